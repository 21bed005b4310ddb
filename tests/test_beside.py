"""A job in a thread beside other work."""

import threading
import time

import pytest

from edit_your_motion.runtime.parallel_map import beside
from edit_your_motion.runtime.progress import Progress

LONG = 10_000


def test_its_result_is_there_at_the_end() -> None:
    entered = threading.Event()

    def job(progress: Progress) -> str:
        with progress.phase("draw", 2) as advance:
            assert entered.wait(10), "it runs while the block does"
            advance()
        return threading.current_thread().name

    with beside(job) as done:
        entered.set()
    assert done.result().startswith("beside")


def test_a_block_that_fails_stops_it_at_its_next_step() -> None:
    steps = []
    begun = threading.Event()

    def job(progress: Progress) -> None:
        with progress.phase("draw", LONG) as advance:
            for step in range(LONG):
                steps.append(step)
                advance()
                begun.set()
                time.sleep(0.005)

    def interrupt() -> None:
        begun.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), beside(job):
        interrupt()
    assert 0 < len(steps) < LONG


def test_what_goes_wrong_beside_is_raised_when_the_block_has_ended() -> None:
    ended = []

    def job(progress: Progress) -> None:
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"), beside(job):
        ended.append(True)
    assert ended
