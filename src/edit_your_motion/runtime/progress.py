"""How long phases tell how far they are, whoever listens: a terminal, a web page, a log, nobody."""

from collections.abc import Callable, Iterator
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


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Announces nothing."""
        yield lambda: None
