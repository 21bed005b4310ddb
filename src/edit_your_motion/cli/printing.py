"""What is printed, printed as it is: names of files and words of other people are no markup, smileys or columns."""

from rich.console import Console, RenderableType


def console(*, errors: bool = False, wrap: bool = False) -> Console:
    """Standard output or standard error, where square brackets and colons stay what they are, and so do long lines."""
    return Console(stderr=errors, soft_wrap=not wrap, markup=False, emoji=False, highlight=False)


def show(what: RenderableType) -> None:
    """Prints a text or a table to standard output."""
    console().print(what)
