"""Files that appear whole or not at all, and what the system has against them in our words."""

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from edit_your_motion.errors import DiskFullError, EditYourMotionError, InputError

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


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place once the block ends well, and else disappears.

    The block makes a file or a folder there; a folder takes the place of one that was there before, with all its files.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    suffix = path.suffix if len(path.suffix) <= KEPT else ""
    temporary = path.with_name(f".{path.stem[:KEPT]}-{uuid4().hex[:8]}.partial{suffix}")
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _take_place(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):  # such as that there never was a folder for it
                temporary.unlink()


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
        return
    old = temporary.with_suffix(".replaced")  # no folder with files in it can be replaced in one go
    os.replace(path, old)
    try:
        os.replace(temporary, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
