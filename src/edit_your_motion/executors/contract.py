"""What an executor is: it takes tasks, which stand alone, and tells of each how it ended, in any order."""

import logging
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from edit_your_motion.errors import ConfigError, EditYourMotionError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One piece of work that any process can do.

    Args:
        name: unlike that of any other task of a run.
        work: a function of a module, which other processes find by its name; done twice, it leaves the same.
        arguments: of it; they travel to other processes, so they are small.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Args:
        name: of the task.
        value: what its work returned.
        error: why it failed, in one line; None where it did not.
    """

    name: str
    value: Any = None
    error: str | None = None


@runtime_checkable
class Executor(Protocol):
    """Something that does tasks."""

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """Does all of them and yields how each ended, as they end; a failing one stops no other.

        Whoever stops iterating, or is interrupted, leaves nothing running.
        """
        ...


def perform(task: Task) -> Outcome:
    """Does one task here; whatever goes wrong with it becomes a line, for it is to stop no other one."""
    try:
        return Outcome(task.name, task.work(*task.arguments))
    except EditYourMotionError as error:
        return Outcome(task.name, error=in_one_line(error))
    except Exception as error:  # a fault of ours or of a library: it costs one task, and its traceback is logged
        logger.exception("%s", task.name)
        return Outcome(task.name, error=in_one_line(f"unexpected {type(error).__name__}: {error}"))


def in_one_line(problem: object) -> str:
    """An error's text without its line breaks."""
    return " ".join(str(problem).split())


def check_names(tasks: Sequence[Task]) -> None:
    """Passes tasks whose outcomes can be told apart.

    Raises:
        ConfigError: two have one name.
    """
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"expected tasks of different names, got '{twice}' twice")


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Within it SIGTERM does what Ctrl-C does, so that whatever was begun is ended in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
