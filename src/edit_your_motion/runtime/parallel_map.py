"""One function applied to many items in threads: for libraries that let go of Python while they work."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4
"""Threads at most: arrays of pictures keep no more of them busy."""


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What the function makes of each item, in order; few results are held at a time.

    What goes wrong with an item is raised where its result is taken.
    """
    workers = min(MOST, os.cpu_count() or 1)
    coming = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="side-by-side") as threads:
        begun: deque[Future[Result]] = deque(threads.submit(function, item) for item in islice(coming, 2 * workers))
        while begun:
            yield begun.popleft().result()
            begun.extend(threads.submit(function, item) for item in islice(coming, 1))
