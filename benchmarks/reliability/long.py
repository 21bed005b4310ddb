"""Very many small jobs through the queue of the web app: memory, handles, threads and files of the server stay flat.

Most are a clip that is brought and probed; every so many is a whole edit. Their processes are forks of one that has
imported everything, as an import takes longer than the job.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

import trying
from commands import inputs, scratch
from edit_your_motion.config import load_config
from edit_your_motion.web import job_files, job_runner, worker
from edit_your_motion.web.library import Job, Library, Quota
from trying import Account
from web_site import PROMPT

AT_ONCE, EDIT_EVERY = 50, 100
GROWTH = 24 << 20
"""Bytes that a server may have grown by, in all, after the first jobs."""


def be_worker(folder: str, coming: Any, going: Any, log: str) -> None:
    """A worker's process, its streams as the runner gives them."""
    os.dup2(coming.fileno(), 0)
    os.dup2(going.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os._exit(worker.main(Path(folder)))


class Forked:
    """Of `subprocess.Popen`, what the runner uses, as a fork of a warm process."""

    def __init__(self, command: list[str], *, stderr: Any, **_: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        coming, ours = context.Pipe(duplex=False)
        theirs, going = context.Pipe(duplex=False)
        self.process = context.Process(target=be_worker, args=(command[-1], coming, going, stderr.name))
        self.process.start()
        coming.close()
        going.close()
        self.stdin, self.stdout = os.fdopen(os.dup(ours.fileno()), "w"), os.fdopen(os.dup(theirs.fileno()), "r")
        ours.close()
        theirs.close()
        self.pid, self.returncode = self.process.pid, None
        self.terminate, self.kill = self.process.terminate, self.process.kill

    def wait(self, timeout: float | None = None) -> None:
        """Waits for its end, as `subprocess.Popen.wait` does."""
        self.process.join(timeout)
        if (code := self.process.exitcode) is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        self.returncode = code


def campaign(options: argparse.Namespace) -> Account:
    """Does jobs, some at a time, and takes stock after each time."""
    account, place = Account("long", options), scratch()
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["commands"])
    job_runner.subprocess = SimpleNamespace(  # type: ignore[attr-defined]
        Popen=Forked, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )
    library = Library(place / "library", Quota(clips=1 << 20, waiting=1 << 20))
    runner = job_runner.JobRunner(library, ["cpu"])
    runner.start()
    stock: list[dict[str, int]] = account.content.setdefault("stock", [])

    def attempt(case: str) -> str:
        first = int(case.split("-")[0])
        if failed := do_jobs(library, range(first, min(first + AT_ONCE, options.cases))):
            return failed
        found = take_stock(place, library)
        stock.append({"jobs": first + AT_ONCE, **found})
        begun = stock[min(1, len(stock) - 1)]
        grown = {
            name: (begun[name], found[name]) for name in ("handles", "threads", "litter") if found[name] > begun[name]
        }
        if grown or found["memory"] > begun["memory"] + GROWTH:
            return f"grown: {grown}, memory {begun['memory'] >> 20} to {found['memory'] >> 20} MiB"
        return f"ok {min(AT_ONCE, options.cases - first)}"

    if account.cases:  # a server that was started anew has another stock
        stock.clear()
    account.try_all([f"{first}-{first + AT_ONCE - 1}" for first in range(0, options.cases, AT_ONCE)], attempt)
    runner.stop()
    return account


def do_jobs(library: Library, numbers: range) -> str | None:
    """Has jobs done, and says which failed; what they made is deleted, as people do."""
    jobs = []
    for number in numbers:
        if number % EDIT_EVERY:
            content = (inputs() / "source/video.mp4").read_bytes()
            clip = library.add_clip(f"{number}.mp4", "source", len(content))
            library.original(clip).write_bytes(content)
            library.complete_clip(clip)
            jobs += [job for job in library.jobs() if job.clip == clip.id]
        else:
            offer = load_config(inputs() / "tiny.yaml")
            request = {"frames": 2, "prompt": PROMPT, "offer": offer, "settings": {}, "base": None}
            id = f"{number:024x}"
            for name in ("source", "reference"):
                job_files.copy_clip(inputs() / "job/inputs" / name, library.folder / "jobs" / id / "inputs" / name)
            jobs.append(library.add_ready_job(id, "edit", f"{number}", request))
    until = time.monotonic() + 60 * len(jobs)
    while waiting := [job for job in map(_now(library), jobs) if job.state in ("queued", "running")]:
        if time.monotonic() > until:
            return f"{len(waiting)} jobs still wait"
        time.sleep(0.2)
    for job in map(_now(library), jobs):
        if job.state != "done":
            return f"{job.kind} {job.name} is {job.state}: {job.error}"
        if job.clip is None:
            library.remove_job(job)
        elif clip := library.clip(job.clip):
            library.remove_clip(clip)
    return None


def _now(library: Library) -> Any:
    def find(job: Job) -> Job:
        found = library.job(job.id)
        assert found is not None, f"{job} is gone"
        return found

    return find


def take_stock(place: Path, library: Library) -> dict[str, int]:
    """What the server holds, and the processor time that it and its workers have taken."""
    own = psutil.Process()
    files = [path for path in place.rglob("*") if path.name not in ("library.sqlite-wal", "library.sqlite-shm")]
    times = [each.cpu_times() for each in own.children(recursive=True)]
    return {
        "memory": own.memory_info().rss, "handles": own.num_fds(), "threads": own.num_threads(), "litter": len(files),
        "own_seconds": int(sum(own.cpu_times()[:2])), "workers_seconds": int(sum(sum(each[:4]) for each in times)),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 2000)).conclude())
