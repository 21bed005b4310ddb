"""What libraries of matrix products are asked for: the same digits for the same numbers; vectors as narrow as torch."""

import os
import platform

SETTING, STRICT = "MKL_CBWR", "AUTO,STRICT"
"""Of Intel's Math Kernel Library, by which torch multiplies matrices on x86-64: its best kernels for the processor, and
the same order of sums in every product, wherever its factors lie and however many rows it has."""


def ask_for_same_digits() -> None:
    """Has matrix products on Intel's processors round alike in every run; what the user has set stays.

    Left alone, the library picks other kernels, which sum in another order, for few rows and for other places in
    memory: a batch of 3 frames then differs from the same frames in a batch of 7, and a resumed run from one that was
    not stopped. It reads the setting at its first product. Other makers' processors it serves in other ways, and there
    the setting might cost speed.
    """
    if _made_by_intel():
        os.environ.setdefault(SETTING, STRICT)


def keep_to_narrow_vectors() -> None:
    """Has oneDNN do without wide vectors where torch is told to by ``ATEN_CPU_CAPABILITY``; what the user set stays.

    Left alone, torch's narrow kernels hand attention in bfloat16 to oneDNN's wide ones, and end in "pack_vnni2 is only
    supported when avx512 is supported".
    """
    if os.environ.get("ATEN_CPU_CAPABILITY") in ("default", "avx2"):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


def _made_by_intel() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return "GenuineIntel" in file.read(512)
    except OSError:  # not Linux
        return "GenuineIntel" in platform.processor()
