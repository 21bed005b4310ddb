"""Seconds and peak memory of each phase."""

import ctypes
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edit_your_motion.runtime.progress import Advance, Progress

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PhaseRecord:
    """What one phase took.

    Args:
        seconds: of wall-clock time.
        peak_memory: highest memory in use while it ran, bytes: of the GPU where one is used, else of the process.
        steps: how many it had.
    """

    seconds: float
    peak_memory: int
    steps: int


@dataclass
class Recorder:
    """Passes progress on to `progress` and records what every phase took.

    Args:
        progress: who is told.
        device: whose memory is watched; None, as long as no network of ours computes, is the process.
        phases: the records so far, in order; phases of one name are added up.
    """

    progress: Progress
    device: "torch.device | None" = None
    phases: dict[str, PhaseRecord] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Announces a phase and records it when it ends, also when it fails."""
        reset_peak_memory(self.device)
        start = time.perf_counter()
        try:
            with self.progress.phase(name, total) as advance:
                yield advance
        finally:
            seconds, peak = time.perf_counter() - start, peak_memory(self.device)
            if earlier := self.phases.get(name):
                seconds, peak = seconds + earlier.seconds, max(peak, earlier.peak_memory)
                total += earlier.steps
            self.phases[name] = PhaseRecord(seconds, peak, total)


def synchronize(device: "torch.device") -> None:
    """Waits until a device has done all that it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: "torch.device | None") -> None:
    """Begins a new watch over the highest memory in use."""
    if device is not None and device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return
    _HOUSEKEEPING.give_back()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # not Linux, or not allowed: the peak is then that of the whole process so far


class Housekeeping:
    """Returns what was freed to the system, where the C library can: otherwise it still counts as in use.

    To look through all objects for what nobody holds any more takes a tenth of a second and more once the libraries are
    loaded. Phases that are shorter than `PAUSE` of these looks leave little behind that is not freed at once: they are
    passed over.
    """

    PAUSE = 20

    def __init__(self) -> None:
        self._next = 0.0

    def give_back(self) -> None:
        """Does so, and looks for garbage before unless it did a short while ago."""
        start = time.perf_counter()
        if start >= self._next:
            gc.collect()
            end = time.perf_counter()
            self._next = end + self.PAUSE * (end - start)
        if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
            library.malloc_trim(0)


_HOUSEKEEPING = Housekeeping()


def peak_memory(device: "torch.device | None") -> int:
    """Highest memory in use since the watch began, bytes."""
    if device is not None and device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
    except (OSError, StopIteration):  # not Linux
        return _peak_of_process()


def _peak_of_process() -> int:
    """The process's highest memory since it began, bytes, as systems that reset no watch tell it."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
