"""What other systems than Linux ask of the code, as far as reading it and playing their parts here can tell."""

import ast
import errno
import importlib.util
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import fsspec
import pytest

import edit_your_motion
from edit_your_motion.batch.contents import localise
from edit_your_motion.datasets.case import check_name
from edit_your_motion.errors import FolderInUseError, InputError
from edit_your_motion.runtime import profiling
from edit_your_motion.storage import locking
from edit_your_motion.storage.names import as_name, is_reserved

PACKAGE = Path(edit_your_motion.__file__).parent
OF_ONE_SYSTEM = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "winreg"}
FORBIDDEN_IN_NAMES = set('<>:"|?*\\')


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def says_its_encoding(call: ast.Call) -> bool:
    """Whether a call that reads or writes a text names its encoding, or is of another kind."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    places = {"read_text": 0, "write_text": 1, "open": 1 if isinstance(call.func, ast.Name) else 0}
    if name not in places or any(keyword.arg == "encoding" for keyword in call.keywords):
        return True
    if name == "open":
        owner = ast.unparse(call.func)
        mode = call.args[places[name]] if len(call.args) > places[name] else None
        return owner not in {"open", "path.open"} or (isinstance(mode, ast.Constant) and "b" in str(mode.value))
    if isinstance(call.func, ast.Name):  # `storage.files.write_text`, which writes UTF-8
        return True
    return len(call.args) > places[name] or "distribution(" in ast.unparse(call.func)


def test_texts_are_read_and_written_in_utf_8_whatever_the_system_prefers() -> None:
    silent = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and not says_its_encoding(node)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("path.read_text()", False),
        ("path.write_text(text)", False),
        ("open(name)", False),
        ("path.open()", False),
        ("path.read_text('utf-8')", True),
        ("path.write_text(text, encoding='utf-8')", True),
        ("path.open('rb')", True),
        ("open(name, 'wb')", True),
        ("Image.open(path)", True),
    ],
)
def test_missing_encodings_are_seen(code: str, said: bool) -> None:
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert says_its_encoding(call) is said


def test_nothing_that_one_system_has_is_imported_by_all() -> None:
    wrong = []
    for name, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
                wrong += [f"{name} imports {imported}" for imported in names if imported in OF_ONE_SYSTEM]
    assert wrong == []


def test_every_system_can_have_files_of_these_names() -> None:
    names = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    assert [name for name in names if FORBIDDEN_IN_NAMES & set(name)] == []
    assert len({name.lower() for name in names}) == len(names), "two names differ in case alone"


def lock_bytes(handle: int, mode: int, count: int) -> None:
    """What ``msvcrt.locking`` does with ``LK_NBLCK``, by Linux's locks of bytes of an open file."""
    import fcntl

    assert mode == 2
    start = os.lseek(handle, 0, os.SEEK_CUR)
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, count, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, request)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`storage.locking` as Windows loads it, where no open file can be removed."""
    if not sys.platform.startswith("linux"):
        pytest.skip("plays Windows by what Linux has")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=lock_bytes, LK_NBLCK=2))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("locking_on_windows", locking.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.undo()
    unlink = Path.unlink

    def unlink_closed(path: Path, missing_ok: bool = False) -> None:
        for handle in Path("/proc/self/fd").iterdir():
            if handle.exists() and path.exists() and handle.samefile(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_closed)
    return module


def test_windows_has_one_job_in_a_folder_at_a_time(on_windows: ModuleType, tmp_path: Path) -> None:
    with on_windows.held(tmp_path / "edit"):
        with pytest.raises(FolderInUseError, match=rf"edit is in use by process {os.getpid()} on .* since 20"):
            on_windows.held(tmp_path / "edit").__enter__()
        with on_windows.held(tmp_path / "other"):
            pass
    with on_windows.held(tmp_path / "edit"):
        pass
    assert not list(tmp_path.iterdir())


def test_windows_waits_for_whoever_is_there(
    on_windows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = on_windows.held(tmp_path / "edit")
    first.__enter__()
    waits = []

    def leave(seconds: float) -> None:
        waits.append(seconds)
        first.__exit__(None, None, None)

    monkeypatch.setattr(on_windows, "time", SimpleNamespace(sleep=leave))
    with on_windows.held(tmp_path / "edit", wait=True):
        assert waits == [on_windows.ONCE_MORE]
    assert not list(tmp_path.iterdir())


def test_windows_keeps_the_lock_of_whoever_came_in_between(on_windows: ModuleType, tmp_path: Path) -> None:
    with on_windows.held(tmp_path / "edit"):
        (lock,) = tmp_path.iterdir()
        reader = lock.open("rb")
    assert lock.exists(), "who has it open removes it"
    reader.close()
    with on_windows.held(tmp_path / "edit"):
        pass
    assert not list(tmp_path.iterdir())


def test_the_peak_of_memory_is_in_bytes_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    def used(platform: str) -> int:
        monkeypatch.setattr(sys, "platform", platform)
        return profiling._peak_of_process()

    usage = SimpleNamespace(ru_maxrss=3 * 2**20)
    monkeypatch.setitem(sys.modules, "resource", SimpleNamespace(getrusage=lambda who: usage, RUSAGE_SELF=0))
    assert used("linux") == 3 * 2**30, "Linux counts in KiB"
    assert used("darwin") == 3 * 2**20, "macOS in bytes"
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(
        psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=7 * 2**20))
    )
    assert used("win32") == 7 * 2**20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("anna-dance", "anna-dance"), ("Jürgen_2.b", "Jürgen_2.b"), ("a: b?", "a-b"), ("con", "_con"),
        ("LPT1.mp4", "_LPT1.mp4"), ("nul.tar.gz", "_nul.tar.gz"), ("console", "console"), ("com10", "com10"),
        ("end. ", "end"), ("x" * 119 + ".y", "x" * 119),
        ("..", ""), ("a\\b/c", "a-b-c"),
    ],
)  # fmt: skip
def test_names_are_such_as_every_system_takes(text: str, name: str) -> None:
    assert as_name(text) == as_name(name) == name
    assert not is_reserved(name)


@pytest.mark.parametrize("name", ["con", "Aux.mp4", "com1", "nul .txt", "a.", "COM².x"])
def test_names_that_windows_takes_for_something_else_are_refused(name: str) -> None:
    assert is_reserved(name)
    with pytest.raises(InputError, match="rename it"):
        check_name(name)


def test_what_is_brought_from_elsewhere_gets_a_name_that_every_system_takes(tmp_path: Path) -> None:
    files, long = fsspec.filesystem("memory"), "y" * 200
    for key, local in (("take: 1.mp4", "take-1.mp4"), ("aux.mp4", "_aux.mp4"), (f"{long}.json", f"{'y' * 120}.json")):
        files.pipe_file(f"/names/{key}", b"x")
        assert Path(localise(f"memory://names/{key}", "t", tmp_path)).name == local
