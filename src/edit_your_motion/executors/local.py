"""Tasks in processes of this machine, which go on when one of them is killed."""

import logging
import multiprocessing
import os
import pickle
import signal
import sys
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.contract import Outcome, Task, check_names, in_one_line, perform

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a process has to put its things in order once it is told to end."""


class Local:
    """Does tasks in processes, each of which takes the next task when it is done with one.

    Args:
        environments: one process for each, with these variables of its environment over ours.
        retries: how often a task is done again whose process was killed.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], *, retries: int = 1) -> None:
        if not environments:
            raise ConfigError("expected at least one process, got none: give --jobs 1 or more")
        self.environments, self.retries = environments, retries

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """See `Executor.run`."""
        check_names(tasks)
        waiting, deaths = deque(tasks), Counter[str]()
        workers = [_Worker(environment) for environment in self.environments[: len(tasks)]]
        busy: dict[Any, tuple[_Worker, Task]] = {}
        try:
            while waiting or busy:
                working = {worker for worker, _ in busy.values()}
                for worker in workers:
                    if waiting and worker not in working:
                        task = waiting.popleft()
                        busy[worker.take(task)] = worker, task
                for connection in wait(list(busy)):
                    worker, task = busy.pop(connection)
                    outcome = worker.listen(task)
                    if isinstance(outcome, Outcome):
                        yield outcome
                        continue
                    deaths[task.name] += 1
                    logger.warning("%s: %s", task.name, outcome)
                    if deaths[task.name] <= self.retries:
                        waiting.appendleft(task)
                    else:
                        yield Outcome(task.name, error=f"{outcome}, {deaths[task.name]} times")
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()


class _Worker:
    """One process, started when it is first needed and again after its end."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.process: multiprocessing.process.BaseProcess | None = None
        self.connection: Any = None  # of another class on Windows

    def take(self, task: Task) -> Any:
        """Gives the process a task; the connection tells when to `listen`."""
        if self.connection is None:
            # A new interpreter, as a fork copies the threads' locks but not the threads, and no GPU survives it.
            context = multiprocessing.get_context("spawn")
            self.connection, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, self.environment), daemon=True)
            self.process.start()
            theirs.close()  # so that the pipe breaks with the process
        self.connection.send_bytes(pickle.dumps(task))
        return self.connection

    def listen(self, task: Task) -> Outcome | str:
        """How the task ended; or in words, how the process did."""
        assert self.process is not None
        try:
            outcome = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code, self.connection = self.process.exitcode or 0, None
            return f"its process ended ({_name_signal(-code) if code < 0 else f'code {code}'})"
        assert isinstance(outcome, Outcome)
        return outcome

    def terminate(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def join(self) -> None:
        if self.process is not None:
            self.process.join(PATIENCE)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(connection: Any, environment: Mapping[str, str]) -> None:
    """What a process does: tasks, until there are no more, or whoever started it is gone."""
    os.environ.update(environment)  # before a task imports the libraries that read it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too, and whoever started us decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and 'finally' puts things in order
    Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pickle.loads(connection.recv_bytes())  # of our own parent, over a pipe of its own
        except EOFError:
            return
        outcome = perform(task)
        try:
            connection.send(outcome)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            connection.send(Outcome(task.name, error=in_one_line(f"its value cannot be told: {error}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(3)
