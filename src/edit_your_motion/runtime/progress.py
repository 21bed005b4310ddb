"""How long phases tell how far they are, whoever listens: a terminal, a web page, a log, nobody."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias, runtime_checkable

Advance: TypeAlias = Callable[[], None]
"""Called once for each step done."""


@runtime_checkable
class Progress(Protocol):
    """Something that shows how far a phase is."""

    def phase(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Announces a phase of `total` steps; the context's value is called after each of them."""
        ...


class JobClock:
    """How far a whole job is: phases weigh what they were foreseen to take, corrected by what they did take.

    Args:
        now: tells the time, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.ahead: dict[str, float] = {}
        self.steps: Mapping[str, int] = {}
        self.passed = self.spent = 0.0
        self.weight, self.total, self.done, self.began = 0.0, 0, 0, 0.0

    def expect(self, seconds: Mapping[str, float], steps: Mapping[str, int] | None = None) -> None:
        """Takes what the phases of the job ahead are foreseen to take, in their order.

        Args:
            seconds: of each phase; any other unit does too, as long as the phases stand to each other as their times.
            steps: of those phases that may have been begun before: one that goes on takes as much less as it has fewer.
        """
        self.ahead, self.steps = dict(seconds), steps or {}
        self.passed = self.spent = 0.0

    def begin(self, phase: str, total: int) -> None:
        """Starts a phase of so many steps; where it was foreseen, those before it are over."""
        self.total, self.done, self.began, self.weight = total, 0, self.now(), 0.0
        if phase in self.ahead:
            for earlier in list(self.ahead)[: list(self.ahead).index(phase)]:
                del self.ahead[earlier]
            self.weight = self.ahead.pop(phase) * total / (self.steps.get(phase) or total or 1)

    def advance(self) -> None:
        """Counts a step of the phase."""
        self.done += 1

    def end(self) -> None:
        """Ends the phase."""
        if self.weight:
            self.passed += self.weight
            self.spent += self.now() - self.began
        self.weight = 0.0

    @property
    def part(self) -> float:
        """How much of the phase is done, [0, 1]."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    @property
    def measured(self) -> bool:
        """Whether anything of what was foreseen is done, so that its true pace is known."""
        return bool(self.passed or (self.weight and self.done))

    @property
    def share(self) -> float | None:
        """How much of the job is done, [0, 1]; None where nothing was foreseen."""
        whole = self.passed + self.weight + sum(self.ahead.values())
        return (self.passed + self.part * self.weight) / whole if whole else None

    @property
    def left(self) -> float | None:
        """Seconds that the job still takes; None where nothing was foreseen."""
        if self.share is None:
            return None
        pace = self.spent / self.passed if self.passed else 1.0
        here = self.weight * pace
        if self.done and self.weight:
            here = (self.now() - self.began) / self.part
            pace = (self.spent + self.now() - self.began) / (self.passed + self.part * self.weight)
        return (1 - self.part) * here + pace * sum(self.ahead.values())


def expect(progress: Progress, seconds: Mapping[str, float]) -> None:
    """Tells whoever shows progress what the phases ahead are foreseen to take, seconds, if they want to know."""
    clock = getattr(progress, "clock", None)
    if isinstance(clock, JobClock):
        clock.expect(seconds)


def in_words(seconds: float) -> str:
    """A duration as people say it: "40 s", "3 min", "1.7 h", "12 days"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 10 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Announces nothing."""
        yield lambda: None
