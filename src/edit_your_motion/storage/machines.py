"""Which machine this is, to those who share a disk or a bucket with others."""

import os
import socket
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import psutil


@cache
def name_machine() -> str:
    """Eight digits for this machine, since it was started; a container with processes of its own is one, too."""
    known = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):  # Linux has these
            known.append(os.readlink(place) if os.path.islink(place) else Path(place).read_text(encoding="ascii"))
    return sha256("\n".join(known).encode()).hexdigest()[:8]


def when_begun(process: int) -> float:
    """When a process of this machine began, as a number that stays the same while it lives, however the clock is set.

    Raises:
        psutil.Error: there is no such process.
    """
    return _when_begun(process)


if sys.platform == "linux":

    def _when_begun(process: int) -> float:
        """In ticks since the machine was started; psutil adds the clock's idea of when that was."""
        try:
            content = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            raise psutil.NoSuchProcess(process) from None
        return float(content.rpartition(")")[2].split()[19])

else:

    def _when_begun(process: int) -> float:
        return float(psutil.Process(process).create_time())
