"""Work in threads, for libraries that let go of Python while they work: one function for many items, one job beside."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event
from typing import TypeVar

from edit_your_motion.runtime.progress import Advance, Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4
"""Threads at most: arrays of pictures keep no more of them busy."""


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], advance: Advance = lambda: None
) -> Iterator[Result]:
    """What the function makes of each item, in order; few results are held at a time.

    What goes wrong with an item is raised where its result is taken.

    Args:
        function: is called in threads.
        items: what it is called with.
        advance: called after each result, by the thread that takes it.
    """
    workers = min(MOST, os.cpu_count() or 1)
    coming = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="side-by-side") as threads:
        begun: deque[Future[Result]] = deque(threads.submit(function, item) for item in islice(coming, 2 * workers))
        while begun:
            yield begun.popleft().result()
            advance()
            begun.extend(threads.submit(function, item) for item in islice(coming, 1))


@contextmanager
def beside(job: Callable[[Progress], Result]) -> Iterator[Future[Result]]:
    """Does a job in a thread while the block runs, and waits for its end; a block that fails stops it.

    Args:
        job: is given a progress to tell of its steps, after any of which it can be stopped.

    Raises:
        Exception: whatever the job raises, where the block itself ends well.
    """
    stopped = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as thread:
        done = thread.submit(job, _Stoppable(stopped))
        try:
            yield done
        except BaseException:
            stopped.set()
            raise
        done.result()


class _Stoppable:
    """A progress that stops whoever tells it of a step, once its event is set."""

    def __init__(self, stopped: Event) -> None:
        self.stopped = stopped

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        def advance() -> None:
            if self.stopped.is_set():
                raise InterruptedError(name)

        yield advance
