"""Freed memory that is kept: large blocks are used again without asking the kernel."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from edit_your_motion.runtime.allocator import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
import numpy as np
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(1 << 26, np.uint8)
before = faults()
for _ in range(8):
    np.ones(1 << 26, np.uint8)
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library's heap cannot be told")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_large_blocks_are_used_again() -> None:
    assert page_faults("keep") < page_faults("leave") / 10
