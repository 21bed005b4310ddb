"""The C library's heap: what a large tensor leaves is kept for the next one."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Of ``mallopt``, from glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the process; whether it does.

    By default each block above 32 MiB is asked from the kernel anew and given back at once, and the kernel fills every
    page of it with zeros: on two cores, a GELU of 84 MB and a product took 110 ms so, and 25 ms with memory that was
    kept. It is a matter of the whole process, so programs do it and the library does not; it holds for what is
    allocated afterwards. The process stays as large as it once was.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library without it, such as musl
        return False
    # -1 is the largest threshold: nothing is given back. Without mappings, all comes from the one heap.
    return bool(mallopt(_TRIM_THRESHOLD, -1)) and bool(mallopt(_MMAP_MAX, 0))
