"""One job in a folder at a time: who comes second is told who is there."""

import errno
import logging
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from edit_your_motion.errors import FolderInUseError
from edit_your_motion.storage.files import explained, name_beside, sweep

logger = logging.getLogger(__name__)

UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What systems answer whose disks know no locks, as some network disks do."""

LOCKED_BYTE = 2**30
"""On Windows a lock is of bytes that nobody else may read: this one lies beyond what the holder writes of itself."""
ONCE_MORE = 0.05
"""Seconds between two tries where the system has no lock that can be waited for at any length."""


@contextmanager
def held(place: Path, *, wait: bool = False) -> Iterator[None]:
    """Within it no other job, of this process or another, holds the same file or folder.

    The lock is the system's own, on a file beside the place: it ends with its process, however that ends, and holds
    across machines where the disk is one that tells them of each other's locks. Parent folders are made, and what
    killed processes were writing beside the place is removed.

    Args:
        place: the file or folder that is going to be written; it need not be there.
        wait: until whoever holds it is done, instead of raising.

    Raises:
        FolderInUseError: somebody holds it; says who, where and since when.
        InputError: nothing can be written beside the place.
        DiskFullError: no room is left.
    """
    path = name_beside(place.absolute(), f".{place.name}.lock")
    with explained(place):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(path, place, wait)
        try:
            os.ftruncate(handle, 0)
            os.write(handle, _introduce().encode(errors="backslashreplace"))
        except OSError:
            _release(path, handle)
            raise
        sweep(path.parent)
    try:
        yield
    finally:
        _release(path, handle)


def _lock(path: Path, place: Path, wait: bool) -> int:
    """An open and locked file at `path`; what another one has unlocked and removed in between is opened anew."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _acquire(handle, wait)
        except BlockingIOError:
            holder = os.read(handle, 4096).decode(errors="replace") or "another process"
            os.close(handle)
            raise FolderInUseError(
                f"{place} is in use by {holder}: wait for it to end, or choose another place"
            ) from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(handle)
                raise
            logger.warning("%s lies on a disk without locks: let nothing else write there meanwhile", place)
            return handle
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int, wait: bool) -> None:
        """Locks an open file; raises BlockingIOError where somebody else has it and nobody is to wait."""
        while True:
            os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            except PermissionError as error:
                if not wait:
                    raise BlockingIOError(error.errno, error.strerror) from None
            else:
                return
            finally:
                os.lseek(handle, 0, os.SEEK_SET)
            time.sleep(ONCE_MORE)

    def _release(path: Path, handle: int) -> None:
        os.close(handle)  # unlocks it; no open file can be removed
        with suppress(OSError):  # somebody has opened it in between, and removes it
            path.unlink(missing_ok=True)

else:
    import fcntl

    def _acquire(handle: int, wait: bool) -> None:
        """Locks an open file; raises BlockingIOError where somebody else has it and nobody is to wait."""
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(path: Path, handle: int) -> None:
        try:
            path.unlink(missing_ok=True)  # before it is unlocked: whoever waits for it then makes a new one
        except OSError as error:  # what was held for is done all the same
            logger.warning("%s stays: %s", path, error.strerror)
        finally:
            os.close(handle)


def _introduce() -> str:
    """Who this is, for those who come second."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {since} ({command})"
