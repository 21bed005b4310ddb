"""What libraries of matrix products are asked for: the same digits for the same numbers; vectors as narrow as torch."""

import os

SETTING, STRICT = "MKL_CBWR", "AUTO,STRICT"
"""Of Intel's Math Kernel Library, by which torch multiplies matrices on x86-64: its best kernels for the processor, and
the same order of sums in every product, wherever its factors lie."""


def ask_for_same_digits() -> None:
    """Has matrix products round alike in every run; what the user has set stays.

    Left alone, the library picks other kernels, which sum in another order, for other places in memory and, on Intel's
    processors, for few rows: a batch of 3 frames then differs from the same frames in a batch of 7, and a resumed run
    from one that was not stopped. It reads the setting at its first product. On AMD's processors 1, 2 or 3 rows are
    summed otherwise all the same.
    """
    os.environ.setdefault(SETTING, STRICT)


def keep_to_narrow_vectors() -> None:
    """Has oneDNN do without wide vectors where torch is told to by ``ATEN_CPU_CAPABILITY``; what the user set stays.

    Left alone, torch's narrow kernels hand attention in bfloat16 to oneDNN's wide ones, and end in "pack_vnni2 is only
    supported when avx512 is supported".
    """
    if os.environ.get("ATEN_CPU_CAPABILITY") in ("default", "avx2"):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
