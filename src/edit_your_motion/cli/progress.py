"""What a terminal shows: a bar with the time left for each phase, and log messages."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edit_your_motion.cli.printing import console
from edit_your_motion.runtime.progress import Advance, SilentProgress
from edit_your_motion.runtime.progress import Progress as AnyProgress


class TerminalProgress:
    """A bar for each phase; it stays when the phase is done.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Draws the bar of one phase."""
        columns = (
            TextColumn("{task.description:<24}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(name, total=total)
            yield lambda: bars.advance(task)


def set_up_output(*, quiet: bool, verbose: bool) -> AnyProgress:
    """Sends log messages to standard error, and returns what shows progress: nothing unless it is a terminal.

    Args:
        quiet: only errors.
        verbose: details too, from the libraries below as well.
    """
    terminal = console(errors=True, wrap=True)
    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
    handler = RichHandler(console=terminal, show_time=False, show_path=verbose, show_level=True)
    level_of_all = logging.DEBUG if verbose else logging.ERROR
    logging.basicConfig(level=level_of_all, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("edit_your_motion").setLevel(level)
    logging.getLogger("numba").setLevel(logging.WARNING)  # its details are the bytecode of all that it compiles
    if not verbose:
        _silence_libraries()
    return TerminalProgress(terminal) if sys.stderr.isatty() and not quiet else SilentProgress()


def _silence_libraries() -> None:
    """No bars and messages of their own from the libraries that load networks."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    warnings.filterwarnings("ignore", module="diffusers|transformers|huggingface_hub")
