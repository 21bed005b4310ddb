"""The processes that jobs are done in: a new one, or a copy of one that has imported all that an edit needs.

To import torch and diffusers takes longer than to begin an edit, so that is done once, in a process that does nothing
else: no thread runs in it, no tensor is made and no GPU is touched, or its copies could not be trusted. It is started
with the first job that wants it, knows neither the library nor its token, and ends with the server.
"""

import gc
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import connection, get_context
from pathlib import Path
from threading import Lock
from typing import IO, Any, Protocol, runtime_checkable

from edit_your_motion.web import worker

logger = logging.getLogger(__name__)

IMPORTED = ("edit_your_motion.cli", "edit_your_motion.web.edits")
"""Modules that a copy need not import: a copy begins by importing the program that it was started from."""


@runtime_checkable
class WorkerProcess(Protocol):
    """Of `subprocess.Popen`, what whoever waits for a job needs; it ends once its `stdin` is closed."""

    pid: int
    returncode: int | Any
    stdin: IO[str] | None
    stdout: IO[str] | None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal; raises `subprocess.TimeoutExpired` where it runs on."""

    def terminate(self) -> None:
        """Asks it to end."""

    def kill(self) -> None:
        """Ends it."""


def start_worker(folder: Path, log: IO[str], *, copied: bool) -> WorkerProcess:
    """A process that does what a folder's job file asks for.

    Args:
        folder: where it works.
        log: where its log goes.
        copied: whether to copy the process that has imported what edits need, where the system can: a new process
            has seen nothing but its own job, as whoever opens files of others has to.
    """
    if copied and sys.platform == "linux":  # elsewhere the libraries of the system bear no copying
        try:
            return _Copy(folder, log)
        except (OSError, EOFError) as error:  # the one to be copied was killed, or found no place for its socket
            logger.warning("a process imports everything anew, as none could be copied: %r", error)
    command, pipe = [sys.executable, "-m", worker.__name__, str(folder)], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, encoding="utf-8")


class _Copy:
    """A copied process.

    Args:
        folder: where it works.
        log: where its log goes.

    Raises:
        OSError: there is none to be copied, and none can be made.
        EOFError: the same; it ended meanwhile.
    """

    turn = Lock()
    """Of whoever touches the list of copies, which the standard library keeps for one thread."""

    def __init__(self, folder: Path, log: IO[str]) -> None:
        context = get_context("forkserver")
        coming, lifeline = context.Pipe(duplex=False)
        hearing, telling = context.Pipe(duplex=False)
        with coming, lifeline, hearing, telling:
            self._process = context.Process(target=_work, args=(folder, coming, telling, log.name), daemon=True)
            with self.turn:
                context.set_forkserver_preload(list(IMPORTED))
                self._process.start()
            self.stdin: IO[str] | None = os.fdopen(os.dup(lifeline.fileno()), "w")
            self.stdout: IO[str] | None = os.fdopen(os.dup(hearing.fileno()), encoding="utf-8")
        self.pid = self._process.pid or 0
        self.returncode: int | Any = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; 255 where nobody knows it, as the process that was copied is gone."""
        if not connection.wait([self._process.sentinel], timeout):
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        with self.turn:
            self._process.join()
            self.returncode = code = self._process.exitcode or 0
        return code

    def terminate(self) -> None:
        """Asks it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _work(folder: Path, coming: connection.Connection, telling: connection.Connection, log: str) -> None:
    """What a copy does: it becomes what `subprocess` would have started."""
    gc.freeze()  # or its collector would look at all that was imported, and so copy the memory of it
    for stream, place in enumerate((coming.fileno(), telling.fileno(), os.open(log, os.O_WRONLY | os.O_APPEND))):
        os.dup2(place, stream)
        os.close(place)
    sys.exit(worker.main(folder))
