"""Items made by one thread while another works on those before them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], count: int = 4) -> Iterator[Item]:
    """The same items in the same order; up to `count` are made, in a thread of their own, before they are taken.

    What goes wrong with one is raised where it is taken.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        coming: deque[Future[Item | object]] = deque()
        while True:
            while len(coming) < count:
                coming.append(thread.submit(next, items, end))
            item = coming.popleft().result()
            if item is end:
                return
            yield item  # type: ignore[misc]
