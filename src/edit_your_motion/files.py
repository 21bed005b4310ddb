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

    Raises:
        DiskFullError: no room was left.
        InputError: the place cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"no room is left to write {path}: free some, or choose another disk") from error
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()
