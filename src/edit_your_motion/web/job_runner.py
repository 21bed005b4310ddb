"""The workers: a thread for the clips and one for each device, each with at most one process that does a job."""

import json
import logging
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread, Timer
from typing import Any

from edit_your_motion.errors import ConfigError
from edit_your_motion.jobs.inspection import PREVIEW
from edit_your_motion.storage.files import write_text
from edit_your_motion.web.job_files import EDIT
from edit_your_motion.web.library import Job, Lane, Library
from edit_your_motion.web.worker import JOB, OF_CLIPS
from edit_your_motion.web.worker_process import WorkerProcess, start_worker

logger = logging.getLogger(__name__)

LOG = "log.txt"
LONGEST_PREPARATION = 3600.0
"""Seconds that the process of a clip may take."""
LONGEST_ESTIMATE = 300.0
"""Seconds that may be spent on what a job would take."""
PATIENCE = 10.0
"""Seconds that a process has to end once it is told to."""


class JobRunner:
    """Does the jobs of a library, until it is stopped.

    Args:
        library: whose jobs.
        devices: one worker each, as in ``--runtime.device``.
    """

    def __init__(self, library: Library, devices: Sequence[str] = ("auto",)) -> None:
        self.library, self.progress = library, dict[str, dict[str, Any]]()
        self.version = 0
        self._processes: dict[str, WorkerProcess] = {}
        self.devices = tuple(devices)
        self._turn, self._thinking, self._ending = Lock(), Lock(), Event()
        lanes: list[tuple[Lane, str]] = [("clips", "cpu"), *(("edits", device) for device in devices)]
        self._threads = [Thread(target=self._work, args=lane, daemon=True) for lane in lanes]

    def start(self) -> None:
        """Begins with what waits, and what a former server left running."""
        self.library.recover()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends all processes; their jobs are gone on with after the next start."""
        self._ending.set()
        with self._turn:
            for process in self._processes.values():
                process.terminate()
        for thread in self._threads:
            thread.join(PATIENCE)

    def interrupt(self, job: Job) -> None:
        """Ends the process of a job that runs no longer in the library's eyes."""
        with self._turn:
            process = self._processes.get(job.id)
            if process is not None:
                process.terminate()

    def foresee(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a job would take, worked out in a process of its own; one at a time.

        Args:
            request: of the job, with ``clips``: the folders of its clips.

        Raises:
            ConfigError: it cannot be made, in the process's words.
        """
        late, answer = Event(), dict[str, Any]()
        with self._thinking, TemporaryDirectory() as place:
            folder = Path(place)
            asked = {**request, "device": self.devices[0]}
            with self._employ("estimate", folder, asked, LONGEST_ESTIMATE, late) as process:
                for event in _hear(process):
                    answer |= event
            if late.is_set() or not answer:
                answer = {"error": f"what it takes could not be told ({self._explain(process.returncode, folder)})"}
        if "error" in answer:
            raise ConfigError(str(answer["error"]))
        return answer

    def process_of(self, job: Job) -> int | None:
        """The system's number of the process that does a job."""
        process = self._processes.get(job.id)
        return None if process is None else process.pid

    def _work(self, lane: Lane, device: str) -> None:
        while not self._ending.is_set():
            try:
                job = self.library.take_job(lane, tuple(self._processes))
                if job is None:
                    self._ending.wait(0.2)
                else:
                    self._run(job, device)
            except Exception:  # whatever it is must not end the worker of all jobs to come
                logger.exception("a worker stumbled")
                self._ending.wait(5)

    def _run(self, job: Job, device: str) -> None:
        folder, error, late = self.library.job_folder(job), None, Event()
        request = {**job.request, "kind": job.kind, "device": device}
        longest = None if job.clip is None else LONGEST_PREPARATION
        try:
            with self._employ(job.id, folder, request, longest, late) as process:
                current = self.library.job(job.id)  # it may have been paused before its process was known
                if current is None or current.state != "running":
                    process.terminate()
                for event in _hear(process):
                    if "error" in event:
                        error = str(event["error"])
                    else:
                        self.progress[job.id] = {**event, "preview": _stamp(folder / EDIT / PREVIEW)}
                        self.version += 1
        finally:
            self.progress.pop(job.id, None)
        if late.is_set():
            error = f"the file took longer than {LONGEST_PREPARATION / 60:.0f} minutes: bring a shorter clip"
        if process.returncode == 0 or error is not None:
            self.library.end_job(job, error)
        elif not self._ending.is_set():
            self.library.queue_again(job, self._explain(process.returncode, folder))

    @contextmanager
    def _employ(
        self, name: str, folder: Path, request: Mapping[str, Any], longest: float | None, late: Event
    ) -> Iterator[WorkerProcess]:
        """A process that does what is asked for in a folder; it has ended afterwards.

        Args:
            name: by which it is known meanwhile.
            folder: where it works.
            request: what is asked for.
            longest: seconds that it may take; None for any.
            late: is set where it took longer.
        """
        write_text(folder / JOB, json.dumps(request))
        with (folder / LOG).open("a", encoding="utf-8") as log:
            process = start_worker(folder, log, copied=request["kind"] not in OF_CLIPS)
        with self._turn:
            self._processes[name] = process
            if self._ending.is_set():
                process.terminate()

        def give_up() -> None:
            late.set()
            process.kill()

        alarm = Timer(longest or 0, give_up)
        if longest is not None:
            alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            with self._turn:
                del self._processes[name]
            self._close(process)

    def _close(self, process: WorkerProcess) -> None:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _explain(self, code: int, folder: Path) -> str:
        how = f"signal {-code}" if code < 0 else f"code {code}"
        last = read_log(folder, 400).strip().splitlines()[-1:]
        return " ".join((f"its process ended ({how});", *(last or ["its log is empty"])))


def _hear(process: WorkerProcess) -> Iterator[dict[str, Any]]:
    """What a process tells until it ends."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
    process.wait()


def _stamp(path: Path) -> str | None:
    """Something that is another one whenever a file is; None where it is not there."""
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def read_log(folder: Path, most: int = 64_000) -> str:
    """The end of a job's log, of at most so many bytes."""
    path = folder / LOG
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - most))
        return log.read().decode(errors="replace")
