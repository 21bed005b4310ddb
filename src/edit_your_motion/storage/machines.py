"""Which machine this is, to those who share a disk or a bucket with others."""

import os
import socket
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path


@cache
def name_machine() -> str:
    """Eight digits for this machine, since it was started; a container with processes of its own is one, too."""
    known = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):  # Linux has these
            known.append(os.readlink(place) if os.path.islink(place) else Path(place).read_text(encoding="ascii"))
    return sha256("\n".join(known).encode()).hexdigest()[:8]
