"""What is said while a job runs: the share and the time left of all of it, on a terminal and in a log."""

import io
import time
from itertools import pairwise

import pytest
from rich.console import Console

from edit_your_motion.cli.progress import LineProgress, TerminalProgress, describe_job
from edit_your_motion.runtime.profiling import Housekeeping, Recorder
from edit_your_motion.runtime.progress import JobClock, SilentProgress, expect, in_words


class Hand:
    """A clock that is moved by hand."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def test_the_time_left_follows_what_the_phases_really_take() -> None:
    hand = Hand()
    clock = JobClock(hand)
    assert clock.share is None
    assert describe_job(clock) == ""
    clock.expect({"tune": 100.0, "sample": 50.0})
    clock.begin("tune", 10)
    assert (clock.share, clock.left) == (0.0, 150.0)
    for _ in range(5):
        hand.time += 20  # twice as long as foreseen
        clock.advance()
    assert clock.share == pytest.approx(1 / 3)
    assert clock.left == pytest.approx(100 + 100), (
        "the rest of the phase at its own pace, and what follows as much slower"
    )
    hand.time += 100
    clock.end()
    clock.begin("not foreseen", 1)
    clock.advance()
    assert clock.left == pytest.approx(100)
    clock.end()
    clock.begin("sample", 2)
    hand.time += 50
    clock.advance()
    assert clock.share == pytest.approx(125 / 150)
    assert clock.left == pytest.approx(50)
    hand.time += 50
    clock.advance()
    clock.end()
    assert (clock.share, clock.left) == (pytest.approx(1), pytest.approx(0))


def test_a_log_gets_a_line_every_so_often() -> None:
    written, hand = io.StringIO(), Hand()
    lines = LineProgress(Console(file=written, width=100), every=30.0)
    lines.clock.now, lines.last = hand, 0.0
    expect(lines, {"tune": 100.0})
    with Recorder(lines).phase("tune", 10) as advance:
        for _ in range(10):
            hand.time += 10
            advance()
    said = written.getvalue().splitlines()
    assert said == [
        "tune: 3 of 10, job 30%, 70 s left",
        "tune: 6 of 10, job 60%, 40 s left",
        "tune: 9 of 10, job 90%, 10 s left",
    ]


def test_a_terminal_shows_the_job_beside_the_phase() -> None:
    written = io.StringIO()
    bars = TerminalProgress(Console(file=written, width=140, force_terminal=True))
    expect(bars, {"tune": 60.0, "sample": 60.0})
    for name in ("tune", "sample"):
        with bars.phase(name, 1) as advance:
            advance()
    assert "job 50%" in written.getvalue()
    assert "job 100%" in written.getvalue()
    expect(SilentProgress(), {"tune": 1.0})


def test_durations_are_said_as_people_say_them() -> None:
    said = [in_words(seconds) for seconds in (0.4, 40.0, 200.0, 6000.0, 864e3, 86_400 * 12.4)]
    assert said == ["0 s", "40 s", "3.3 min", "1.7 h", "10 days", "12 days"]


def test_garbage_is_looked_for_in_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look() -> int:
        looks.append(time.perf_counter())
        time.sleep(0.02)
        return 0

    monkeypatch.setattr("gc.collect", look)
    keeping = Housekeeping()
    while len(looks) < 3:
        keeping.give_back()
        time.sleep(0.001)
    assert all(after - before > 20 * 0.02 for before, after in pairwise(looks))
