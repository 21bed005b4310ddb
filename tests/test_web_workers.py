"""Processes of jobs, copied and new: they end and are ended alike, hold nothing of the server, and outlive nobody."""

import json
import multiprocessing.forkserver
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from edit_your_motion.storage.locking import held
from edit_your_motion.web import worker_process
from edit_your_motion.web.job_runner import LOG, JobRunner
from edit_your_motion.web.library import Library
from edit_your_motion.web.worker import JOB
from edit_your_motion.web.worker_process import WorkerProcess, start_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")

LIGHT = ("edit_your_motion.web.worker",)
"""Enough for processes that come to no edit."""


started: list[WorkerProcess] = []


def open_files(number: int) -> set[str]:
    """What a process has open; it may be opening and closing some as one looks."""
    links = set()
    for each in Path(f"/proc/{number}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.add(os.readlink(each))
    return links


def end_original() -> None:
    """Ends what is copied, so that the next copy is one of another."""
    number = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if number is not None:
        psutil.Process(number).kill()
        wait_until(lambda: not runs(number))


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is copied has imported little, and is left to no other test."""
    end_original()
    monkeypatch.setattr(worker_process, "IMPORTED", LIGHT)
    yield
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
    started.clear()
    end_original()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's, which waits as long as somebody else works there."""
    place = tmp_path / "job"
    place.mkdir()
    (place / JOB).write_text(json.dumps({"kind": "apply", "person": "nobody"}))
    return place


def start(folder: Path, *, copied: bool = True) -> WorkerProcess:
    with (folder / LOG).open("a", encoding="utf-8") as log:
        started.append(start_worker(folder, log, copied=copied))
    return started[-1]


def runs(number: int) -> bool:
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def wait_until(condition: object, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.02)


def is_copy(process: WorkerProcess) -> bool:
    return "forkserver" in " ".join(psutil.Process(process.pid).cmdline())


def wait_for_threads(process: WorkerProcess) -> None:
    wait_until(lambda: psutil.Process(process.pid).num_threads() > 1)


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "new"])
def test_it_ends_by_signals_and_with_whoever_started_it(folder: Path, copied: bool) -> None:
    with held(folder):
        ends = {
            -signal.SIGTERM: lambda process: process.terminate(),
            -signal.SIGKILL: lambda process: process.kill(),
            3: lambda process: process.stdin.close(),
        }
        for code, end in ends.items():
            process = start(folder, copied=copied)
            assert is_copy(process) == copied
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
            wait_for_threads(process)  # of which one looks at its stdin
            end(process)
            assert process.wait(120.0) == process.returncode == code
            process.terminate()  # of what has ended is no fault


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "new"])
def test_what_it_says_goes_to_its_log_and_an_unforeseen_end_has_its_code(folder: Path, copied: bool) -> None:
    (folder / JOB).write_text("{")
    process = start(folder, copied=copied)
    assert process.stdout is not None
    assert process.stdout.read() == ""
    assert process.wait(120.0) == 1
    assert "JSONDecodeError" in (folder / LOG).read_text()


def test_it_is_nicer_than_the_server(folder: Path) -> None:
    with held(folder):
        process = start(folder)
        wait_until(lambda: psutil.Process(process.pid).nice() == min(os.nice(0) + 10, 19))


def test_nothing_of_the_server_is_open_in_it(folder: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    (library.folder / "token").write_text("secret")
    with (
        held(folder),
        socket.create_server(("127.0.0.1", 0)) as listening,
        (library.folder / "token").open() as token,
    ):
        process = start(folder)
        places = [library.folder / "library.sqlite", Path(token.name)]
        of_socket = os.readlink(f"/proc/self/fd/{listening.fileno()}")
        here = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        for number in (process.pid, here):
            links = open_files(number)
            assert links
            assert not {of_socket, *map(str, places)} & links


def test_many_that_start_and_end_at_once_have_each_its_own_end(folder: Path) -> None:
    signals = [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1, signal.SIGHUP] * 10

    def begin_and_end(number: signal.Signals) -> int:
        process = start(folder)
        os.kill(process.pid, number)
        return process.wait(120.0)

    with held(folder), ThreadPoolExecutor(8) as threads:
        assert list(threads.map(begin_and_end, signals)) == [-number for number in signals]


def test_one_whose_original_is_killed_can_be_ended_and_another_one_begins(folder: Path) -> None:
    with held(folder):
        first = start(folder)
        end_original()
        second = start(folder)
        assert is_copy(second)
        assert runs(first.pid)
        first.terminate()
        assert first.wait(120.0) == 255
        wait_until(lambda: not runs(first.pid))
        second.kill()
        assert second.wait(120.0) == -signal.SIGKILL


@pytest.mark.parametrize("error", [OSError("AF_UNIX path too long"), EOFError()], ids=["no place", "killed"])
def test_where_nothing_can_be_copied_there_is_a_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(multiprocessing.forkserver._forkserver, "connect_to_new_process", fail)  # type: ignore[attr-defined]
    monkeypatch.setattr(multiprocessing.forkserver, "connect_to_new_process", fail)
    with held(folder):
        process = start(folder)
        assert not is_copy(process)
        assert repr(error) in caplog.text
        process.kill()
        assert process.wait(120.0) == -signal.SIGKILL


def test_a_server_that_is_killed_leaves_no_process(folder: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from edit_your_motion.web import worker_process
worker_process.IMPORTED = {LIGHT!r}
with open(sys.argv[1] + "/log.txt", "a") as log:
    process = worker_process.start_worker(Path(sys.argv[1]), log, copied=True)
print(process.pid, flush=True)
time.sleep(600)
"""
    with held(folder), subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        number = int(server.stdout.readline())
        others = [number, *(each.pid for each in psutil.Process(server.pid).children(recursive=True))]
        assert len(others) >= 3
        server.kill()
        wait_until(lambda: not any(map(runs, others)))


def test_edits_and_estimates_are_copies_and_files_of_others_meet_new_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []

    class StoppedError(Exception):
        pass

    def note(folder: Path, log: object, **how: bool) -> WorkerProcess:
        copied.append(how["copied"])
        raise StoppedError

    monkeypatch.setattr("edit_your_motion.web.job_runner.start_worker", note)
    library = Library(tmp_path / "library")
    runner = JobRunner(library, ["cpu"])
    clip = library.add_clip("clip.mp4", "source", 1)
    for kind in ("edit", "apply", "tune", "prepare", "probe"):
        job = library.add_job(kind, kind, {}, clip=clip.id if kind in ("prepare", "probe") else None)
        library.job_folder(job).mkdir(exist_ok=True)
        with pytest.raises(StoppedError):
            runner._run(job, "cpu")
    with pytest.raises(StoppedError):
        runner.foresee({"kind": "edit", "clips": {}})
    assert copied == [True, True, True, False, False, True]
