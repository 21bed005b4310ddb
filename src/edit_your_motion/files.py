"""Files that appear whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from edit_your_motion.errors import DiskFullError, InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place once the block ends well, and else disappears.

    The block makes a file or a folder there; a folder takes the place of one that was there before, with all its files.

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _take_place(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"no room is left to write {path}: free some, or choose another disk") from error
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


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
