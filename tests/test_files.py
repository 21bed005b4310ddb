"""Files appear whole or not at all, and a full disk is called one, whoever writes."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from edit_your_motion.errors import DiskFullError, InputError
from edit_your_motion.models.tiny import make_base
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.preparation import save_masks
from edit_your_motion.people.preview import write_picture
from edit_your_motion.pretrain.samples import write_sheet
from edit_your_motion.storage import files
from edit_your_motion.storage.files import explain_failure, write_text, written_whole
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors
from edit_your_motion.video import write_video
from synthetic_clip import film

FILM = np.random.default_rng(0).integers(0, 255, (99, 128, 128, 3), dtype=np.uint8)
SHEET = FILM[:64].reshape(1024, 1024, 3)

WRITERS: dict[str, Callable[[Path], object]] = {
    "text.json": lambda path: write_text(path, "x" * 2_000_000),
    "tensors.safetensors": lambda path: save_tensors(path, {"a": torch.zeros(500_000)}),
    "picture.png": lambda path: write_picture(path, SHEET),
    "sheet.png": lambda path: write_sheet(path, [FILM[:8]] * 8),
    "keypoints.json": lambda path: save_keypoints(path, film(2000).keypoints),
    "film.mp4": lambda path: write_video(path, FILM, 8, crf=0),
    "film.mkv": lambda path: write_video(path, FILM, 8, crf=0),
    "film.gif": lambda path: write_video(path, FILM, 8),
    "film.webp": lambda path: write_video(path, FILM, 8),
}
FOLDERS: dict[str, Callable[[Path], object]] = {
    "masks": lambda path: save_masks(path, np.random.default_rng(0).random((400, 96, 96)) > 0.5),
    "pictures": lambda path: write_video(path, FILM, 8),
    "base": make_base,
}


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Within it no file of this process grows beyond so many bytes."""
    limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_may_not_grow_is_no_half_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("before")
    with files_up_to(100_000), pytest.raises(DiskFullError, match=name):
        WRITERS[name](tmp_path / name)
    assert (tmp_path / name).read_text() == "before"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", [*WRITERS, *FOLDERS])
def test_a_full_disk_is_called_one(name: str, small_disk: Path) -> None:
    with pytest.raises(DiskFullError, match=f"no room is left to write .*{name}.*: free some"):
        {**WRITERS, **FOLDERS}[name](small_disk / name)
    assert os.listdir(small_disk) == []


def test_a_checkpoint_outlives_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "tuning.safetensors"
    save_tensors(path, {"a": torch.ones(50_000)})
    kept = path.read_bytes()
    with pytest.raises(DiskFullError):
        save_tensors(path, {"a": torch.zeros(100_000)})
    assert path.read_bytes() == kept
    assert os.listdir(small_disk) == [path.name]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (OSError(errno.ENOSPC, "x"), DiskFullError, "no room is left"),
        (OSError(errno.EDQUOT, "x"), DiskFullError, "quota"),
        (OSError(errno.EFBIG, "x"), DiskFullError, "ulimit"),
        (OSError(errno.EROFS, "x"), InputError, "read-only"),
        (OSError(errno.EACCES, "x"), InputError, "permission denied"),
        (OSError(errno.ENAMETOOLONG, "x"), InputError, "shorter"),
        (OSError("encoder error -2"), InputError, "encoder error"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), DiskFullError, "no room is left"),
        (SafetensorError('I/O error: Os { code: 122, kind: Other, message: "…" }'), DiskFullError, "quota"),
        (SafetensorError("I/O error: Read-only file system (os error 30)"), InputError, "read-only"),
    ],
)
def test_what_the_system_says_in_our_words(error: Exception, kind: type[Exception], says: str, tmp_path: Path) -> None:
    explained = explain_failure(error, tmp_path / "a.json")
    assert type(explained) is kind
    assert says in str(explained)
    assert str(tmp_path / "a.json") in str(explained)


@pytest.mark.parametrize("name", ["x" * 255, "x" * 251 + ".mp4", "é" * 127, "a." + "y" * 253])
def test_names_as_long_as_the_file_system_takes(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"
    assert os.listdir(tmp_path) == [name]
    for _ in range(2):
        with written_whole(tmp_path / name[::-1] if name[::-1] != name else tmp_path / ("z" * 255)) as folder:
            folder.mkdir()
    assert len(os.listdir(tmp_path)) == 2


def test_names_longer_than_that(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shorter"):
        write_text(tmp_path / ("x" * 256), "whole")
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_no_text_can_be_written_down(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_text(tmp_path / "run.json", f'{{"source": "{name}"}}')
    assert (tmp_path / "run.json").read_text() == '{"source": "caf\\udce9"}'


def start_writing(place: Path) -> "subprocess.Popen[str]":
    """A process that is in the middle of writing a file and a folder, with what a library puts beside them."""
    program = (
        "import sys; from pathlib import Path; from edit_your_motion.storage.files import written_whole\n"
        "folder = Path(sys.argv[1])\n"
        "with written_whole(folder / 'a.json') as file, written_whole(folder / 'b') as made:\n"
        "    file.write_text('half'); (file.parent / '.tmpAbCdEf').write_text('x'); made.mkdir()\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("then", ["a file is written", "the folder is held"])
def test_what_a_killed_process_was_writing_goes_and_what_a_living_one_writes_stays(then: str, tmp_path: Path) -> None:
    killed, living = start_writing(tmp_path), start_writing(tmp_path)
    end(killed)
    assert len(os.listdir(tmp_path)) == 4
    if then == "a file is written":
        write_text(tmp_path / "c.json", "c")
    else:
        with held(tmp_path / "c"):
            pass
    assert all(f"-{living.pid}-" in name for name in os.listdir(tmp_path) if name != "c.json")
    assert len(set(os.listdir(tmp_path)) - {"c.json"}) == 2
    end(living)
    write_text(tmp_path / "c.json", "c")
    assert os.listdir(tmp_path) == ["c.json"]


def test_of_other_machines_nothing_is_known(tmp_path: Path) -> None:
    left = tmp_path / f".a-00000000-{2**22 + 1}-12345678.partial"
    left.mkdir()
    write_text(tmp_path / "a.json", "a")
    assert left.is_dir()


@pytest.mark.parametrize("moves", [0, 1, 2])
@pytest.mark.parametrize("swapping", [True, False], ids=["swapped", "one after the other"])
def test_a_folder_is_never_lost_while_it_is_replaced(swapping: bool, moves: int, tmp_path: Path) -> None:
    def write(text: str) -> None:
        with written_whole(tmp_path / "a.b") as made:
            made.mkdir()
            (made / "file").write_text(text)

    write("old")
    if not (child := os.fork()):
        done, replace_file = 0, os.replace

        def move(*arguments: Any) -> None:
            nonlocal done
            if done == moves:
                os.kill(os.getpid(), signal.SIGKILL)
            replace_file(*arguments)
            done += 1

        os.replace = move
        if not swapping:
            files._swap = lambda one, other: False
        write("new")
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    files.sweep(tmp_path)
    assert (tmp_path / "a.b/file").read_text() == ("new" if swapping or moves == 2 else "old")
    assert os.listdir(tmp_path) == ["a.b"]


def test_what_fails_only_on_the_way_to_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("before")

    def fail(handle: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError, match="quota"):
        write_text(tmp_path / "a.json", "after")
    assert (tmp_path / "a.json").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_removed_folder_is_whole_or_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := tmp_path / "a").mkdir()
    (folder / "file").write_text("x")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before anything of it is gone
    files.remove_whole(folder)
    assert not folder.exists()
    monkeypatch.undo()
    write_text(tmp_path / "b", "b")
    assert os.listdir(tmp_path) == ["b"]


def test_the_same_tensors_and_texts_are_the_same_file_in_every_process(tmp_path: Path) -> None:
    texts = {name: f'{{"{name}": "é\\u0001\\n/"}}' for name in ("base", "losses", "stages", "inputs", "more")}
    program = (
        "import sys, json, torch; from pathlib import Path\n"
        "from edit_your_motion.storage.tensor_files import save_tensors as save\n"
        "save(Path(sys.argv[1]), {'a': torch.ones(3), 'b': torch.zeros(2)}, json.loads(sys.argv[2]))"
    )
    for name in "12":
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name), json.dumps(texts)], check=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert load_metadata(tmp_path / "1") == texts
    assert load_tensors(tmp_path / "1")["a"].tolist() == [1, 1, 1]


def test_a_disk_that_fails_once_as_it_tidies_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, failed = shutil.rmtree, []

    def fail_once(path: Path, *, ignore_errors: bool) -> None:
        if failed:
            remove(path, ignore_errors=ignore_errors)
        failed.append(path)

    monkeypatch.setattr(shutil, "rmtree", fail_once)
    write_text(tmp_path / "text.json", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["text.json"]
    assert len(failed) == 2


def test_what_a_former_process_left_goes_from_every_folder_below(tmp_path: Path) -> None:
    machine = files.name_machine()
    left = tmp_path / "a" / "b" / f".scores-{machine}-{2**22 + 1}-12345678.partial"
    other = tmp_path / "a" / f".scores-00000000-{2**22 + 1}-12345678.partial"
    for folder in (left, other):
        folder.mkdir(parents=True)
    files.sweep_below(tmp_path)
    assert not left.exists()
    assert other.exists(), "another machine may still be writing"
