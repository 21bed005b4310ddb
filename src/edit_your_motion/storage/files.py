"""Files that appear whole or not at all, and what the system has against them in our words."""

import ctypes
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from safetensors import SafetensorError

from edit_your_motion.errors import DiskFullError, EditYourMotionError, InputError
from edit_your_motion.storage.machines import name_machine

NO_ROOM = {
    errno.ENOSPC: "no room is left to write {}: free some, or choose another disk",
    errno.EDQUOT: "your quota is used up, {} cannot be written: free some, or choose another disk",
    errno.EFBIG: "{} grew beyond what the file system or a limit (ulimit -f) allows: choose another disk, or lift it",
}
NOT_THERE = {
    errno.EROFS: "{} cannot be written, the file system is read-only: choose another place",
    errno.EACCES: "{} cannot be written, permission denied: choose another place",
    errno.EPERM: "{} cannot be written, it is not permitted: choose another place",
    errno.ENAMETOOLONG: "{} cannot be written, the name is longer than the file system allows: choose a shorter one",
}
LEAST_ROOM = 2**20
"""With fewer free bytes on its disk, a failure that gives no reason is taken for a full disk."""
LONGEST_NAME = 255
"""Bytes of a name that file systems take."""
KEPT = 16
"""Characters of a name that its temporary name keeps: with four bytes each, it still fits any file system."""
PARTIAL, REPLACED = ".partial", "replaced"
"""The end of the name of a folder in which something is being made; in it, what it takes the place of."""
LEFT = re.compile(r"\..{0,16}-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.partial", re.DOTALL)
"""Such a name: the machine, the process."""
UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What systems and disks answer that cannot do something at all."""

_OWN: set[str] = set()
"""Names of what this process is making."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name near `path` that takes its place once the block ends well, and else disappears.

    The block makes a file or a folder there; a folder takes the place of one that was there before, with all its files.
    It is on the disk, not only on its way, before it takes the place; what writers beside it left that were killed is
    removed.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    with explained(path), _workshop(path) as shop:
        temporary = shop / (path.stem[:KEPT] + (path.suffix if len(path.suffix) <= KEPT else ""))
        yield temporary
        if not _OWN.isdisjoint(path.parts):  # whatever this is a part of waits for the disk once
            _take_place(temporary, path)
        else:
            flush(temporary)
            _take_place(temporary, path)
            _flush_folder(path.parent)


def check_writable(path: Path) -> None:
    """Passes a place that something can be written at; folders above it are made.

    Raises:
        DiskFullError: no room is left.
        InputError: the place cannot be written to.
    """
    with explained(path), _workshop(path):
        pass


def remove_file(path: Path) -> None:
    """Removes a file if it is there.

    Raises:
        DiskFullError: not even for that is there room.
        InputError: it cannot be removed.
    """
    with explained(path):
        path.unlink(missing_ok=True)


def remove_whole(path: Path) -> None:
    """Removes a folder with all that it holds; it is there whole or not at all, whenever this ends.

    Raises:
        InputError: it cannot be removed.
    """
    with explained(path), _workshop(path) as shop:
        os.replace(path, shop / "removed")


def sweep(folder: Path) -> None:
    """Removes what was being written in a folder by processes of this machine that are no longer.

    A folder that was just being replaced, on a disk that cannot swap two, is put back where it was.
    """
    with suppress(OSError):  # no such folder, or not ours to clean
        for shop in [folder / name for name in os.listdir(folder) if _is_left(name)]:
            for old in shop.glob(f"{REPLACED}/*"):
                if not os.path.lexists(folder / old.name):
                    os.replace(old, folder / old.name)
            shutil.rmtree(shop, ignore_errors=True)


def sweep_below(folder: Path) -> None:
    """Sweeps a folder and all that it holds."""
    for place, names, _ in os.walk(folder):
        if any(_is_left(name) for name in names):
            sweep(Path(place))
            names[:] = [name for name in names if not LEFT.fullmatch(name)]


@contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is being made, with all that libraries put beside it; it says whose it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    shop = path.with_name(f".{path.stem[:KEPT]}-{name_machine()}-{os.getpid()}-{uuid4().hex[:8]}{PARTIAL}")
    _OWN.add(shop.name)
    try:
        shop.mkdir()
        yield shop
    finally:
        shutil.rmtree(shop, ignore_errors=True)
        if os.path.lexists(shop):  # a disk that failed once does not always fail twice
            shutil.rmtree(shop, ignore_errors=True)
        _OWN.discard(shop.name)


def _is_left(name: str) -> bool:
    """Whether a name is one of a workshop whose process is no longer; of other machines nobody knows."""
    if not (found := LEFT.fullmatch(name)) or found[1] != name_machine() or name in _OWN:
        return False
    return int(found[2]) == os.getpid() or not psutil.pid_exists(int(found[2]))


def flush(path: Path) -> None:
    """Waits until a file, or a folder with all its files, is on the disk: what fails only there fails here."""
    if not path.is_dir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        return
    for folder, _, names in os.walk(path):
        for name in names:
            flush(Path(folder, name))
        _flush_folder(Path(folder))


def _flush_folder(path: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can say."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
    finally:
        os.close(handle)


def name_beside(path: Path, name: str) -> Path:
    """The place beside `path` of that name; where the file system takes none so long, of a digest of it."""
    fits = len(os.fsencode(name)) <= LONGEST_NAME
    return path.with_name(name if fits else f".{sha256(os.fsencode(name)).hexdigest()}")


def write_text(path: Path, text: str) -> None:
    """Writes a text as UTF-8, whole or not at all; bytes of file names that are no text become escapes.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    with written_whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))  # line ends are the same on every system


def write_json(path: Path, content: Any) -> None:
    """Writes strict JSON, whole or not at all.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says in our words why `path` could not be written, whichever library tried.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise explain_failure(error, path) from error


def explain_failure(error: Exception, path: Path) -> EditYourMotionError:
    """Why `path` could not be written, as an error of ours; it is to be raised."""
    code = _code_of(error)
    if code is None and is_full(path.parent):
        code = errno.ENOSPC
    if code in NO_ROOM:
        return DiskFullError(NO_ROOM[code].format(path))
    reason = getattr(error, "strerror", None) or error
    return InputError(NOT_THERE.get(code or 0, f"{{}} cannot be written ({reason}): choose another place").format(path))


def is_of_the_disk(error: OSError) -> bool:
    """Whether an error is of a disk that is full, failing or closed to us, and not a mistake in the program."""
    return error.errno in {*NO_ROOM, *NOT_THERE, errno.EIO, errno.EMFILE, errno.ENFILE}


def _code_of(error: Exception) -> int | None:
    """The system's number of an error; of safetensors it stands only in the message, in one of Rust's two forms."""
    if (code := getattr(error, "errno", None)) is not None:
        return int(code)
    found = re.search(r"(?:os error |code: )(\d+)", str(error))
    if found and sys.platform == "win32":  # a number of Windows' own, which Python knows the common one of
        return OSError(0, "", None, int(found[1])).errno
    return int(found[1]) if found else None


def is_full(folder: Path) -> bool:
    """Whether next to no room is left on the disk of a folder."""
    try:
        return shutil.disk_usage(folder).free < LEAST_ROOM
    except OSError:
        return False


def _take_place(temporary: Path, path: Path) -> None:
    if not (temporary.is_dir() and path.is_dir()):
        os.replace(temporary, path)
    elif not _swap(temporary, path):
        old = temporary.parent / REPLACED / path.name  # no folder with files in it can be replaced in one go
        old.parent.mkdir()
        os.replace(path, old)
        try:
            os.replace(temporary, path)
        except OSError:
            os.replace(old, path)
            raise


def _swap(one: Path, other: Path) -> bool:
    """Gives two folders each other's name in one go; False where the system or the disk cannot."""
    calls = {"linux": ("renameat2", (-100, one, -100, other, 2)), "darwin": ("renamex_np", (one, other, 2))}
    if sys.platform not in calls:
        return False
    name, arguments = calls[sys.platform]
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None)  # C libraries before 2018 lack it
    if call is None:
        return False
    if call(*(os.fsencode(each) if isinstance(each, Path) else each for each in arguments)) == 0:
        return True
    if (code := ctypes.get_errno()) in UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(other))
