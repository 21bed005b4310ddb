"""What is printed, printed as it is: names of files and words of other people are no markup, smileys or columns."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from edit_your_motion.benchmark.cells import Failure


def console(*, errors: bool = False, wrap: bool = False) -> Console:
    """Standard output or standard error, where square brackets and colons stay what they are, and so do long lines."""
    return Console(stderr=errors, soft_wrap=not wrap, markup=False, emoji=False, highlight=False)


def show(what: RenderableType) -> None:
    """Prints a text or a table to standard output."""
    console().print(what)


def finish(text: str | None, failures: "Sequence[Failure]") -> None:
    """Prints what a benchmark found and what failed, and exits with 1 if anything did."""
    if text is not None:
        show(text)
    for failure in failures:
        sys.stderr.write(f"{failure.method} on {failure.pair} failed: {failure.error}\n")
    if failures:
        sys.exit(1)
