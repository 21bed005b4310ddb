"""What a terminal shows: a bar with the time left for each phase, and log messages."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edit_your_motion.cli.printing import console
from edit_your_motion.runtime.progress import Advance, JobClock, SilentProgress, in_words
from edit_your_motion.runtime.progress import Progress as AnyProgress

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class TerminalProgress:
    """A bar for each phase, and beside it how far the whole job is; it stays when the phase is done.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.console, self.clock = console, JobClock()

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
            TextColumn("{task.fields[job]}", markup=False),
        )
        self.clock.begin(name, total)
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(name, total=total, job=describe_job(self.clock))

            def advance() -> None:
                self.clock.advance()
                bars.update(task, advance=1, job=describe_job(self.clock))

            yield advance
        self.clock.end()


class LineProgress:
    """For logs: a line every so often, with the phase, how far it is, and how far the whole job is.

    Args:
        console: where to.
        every: seconds between two lines.
    """

    def __init__(self, console: Console, every: float = EVERY) -> None:
        self.console, self.every, self.clock = console, every, JobClock()
        self.last = self.clock.now()

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Writes the lines of one phase."""
        self.clock.begin(name, total)

        def advance() -> None:
            self.clock.advance()
            if self.clock.now() - self.last >= self.every:
                self.last = self.clock.now()
                job = describe_job(self.clock)
                self.console.print(f"{name}: {self.clock.done} of {total}{job and ', '}{job}")

        yield advance
        self.clock.end()


def describe_job(clock: JobClock) -> str:
    """How far the whole job is, in words; empty where nobody knows."""
    share, left = clock.share, clock.left
    return "" if share is None or left is None else f"job {share:.0%}, {in_words(left)} left"


def set_up_output(*, quiet: bool, verbose: bool) -> AnyProgress:
    """Sends log messages to standard error, and returns what shows progress: bars on a terminal, else lines.

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
    if quiet:
        return SilentProgress()
    return TerminalProgress(terminal) if sys.stderr.isatty() else LineProgress(terminal)


def _silence_libraries() -> None:
    """No bars and messages of their own from the libraries that load networks, whether they are imported or will be."""
    os.environ |= {"DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for name in ("diffusers", "transformers"):
        if (library := sys.modules.get(f"{name}.utils.logging")) is not None:
            library.set_verbosity_error()
            library.disable_progress_bar()
    warnings.filterwarnings("ignore", module="diffusers|transformers|huggingface_hub")
