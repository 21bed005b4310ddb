"""How much memory a process may have: of the machine, its container, its limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What there is for a process, with what it has already.

    Args:
        now: as long as other programs keep what they have, bytes.
        most: if they had nothing, bytes; with what the machine may swap.
        whose: what sets that bound, in words.
    """

    now: int
    most: int
    whose: str


def available_memory() -> Memory:
    """What this process may have of the machine's own memory: the least of what machine, container and limits allow."""
    own = psutil.Process().memory_info()
    machine, swap = psutil.virtual_memory(), psutil.swap_memory()
    bounds = [Memory(machine.available + swap.free + own.rss, machine.total + swap.total, "this machine")]
    for bound, used in _of_groups():
        bounds.append(Memory(max(bound - used, 0) + own.rss, bound, "the container or job that this runs in"))
    if (space := _limit_of_addresses()) is not None:
        # All that is mapped counts there, libraries too; what a job is said to take does not.
        room = max(space - own.vms, 0) + own.rss
        bounds.append(Memory(room, room, "the limit of this shell (ulimit -v)"))
    least = min(bounds, key=lambda each: each.most)
    return Memory(min(each.now for each in bounds), least.most, least.whose)


def _of_groups() -> Iterator[tuple[int, int]]:
    """Bounds of the control groups of this process, as containers and clusters set them, and what is used, bytes."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        place = root / name.lstrip("/")
        # In a container the name may be the one outside, where its own groups lie at the root.
        for group in {root, place, *place.parents}:
            if group.is_relative_to(root):
                bound, used = (_read_bytes(group / each) for each in names)
                if bound is not None and used is not None:
                    yield bound, max(used - _reclaimable(group / "memory.stat"), 0)


def _read_bytes(path: Path) -> int | None:
    """A number in a file of the system; None where there is no such file, or it says "max"."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _reclaimable(path: Path) -> int:
    """Bytes of files that the system keeps until somebody needs the memory."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))


def _limit_of_addresses() -> int | None:
    """How much this process may map, bytes; None where there is no limit."""
    try:
        import resource
    except ImportError:
        return None  # Windows has none
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
