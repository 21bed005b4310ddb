"""How much of the machine other programs take, while something is measured on it."""

import os
import time

import psutil

BUSY = 0.25
"""From so large a share of the processors on, what is measured says little of the machine."""


class OtherPrograms:
    """Other programs of usual priority, from now on."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.everybody, self.own = _spent(), time.process_time()

    @property
    def share(self) -> float:
        """Of all processors since then, [0, 1]."""
        theirs = _spent() - self.everybody - (time.process_time() - self.own)
        there = (time.perf_counter() - self.began) * (os.cpu_count() or 1)
        return min(max(theirs / max(there, 1e-9), 0.0), 1.0)


def _spent() -> float:
    """Seconds of the processors; niced programs, which give way to others, do not count."""
    times = psutil.cpu_times()
    return float(times.user + times.system)
