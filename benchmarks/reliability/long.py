"""Very many small edits through the queue of the web app: memory, handles, threads and files of the server stay flat.

It can be ended and gone on with; what each of its servers held after every few edits stands in the results.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

import trying
from commands import inputs, scratch
from edit_your_motion.config import load_config
from edit_your_motion.web import job_files, worker_process
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Job, Library, Quota
from trying import Account
from web_site import PROMPT

AT_ONCE = 5
PATIENCE = 900.0
"""Seconds for an edit, on a machine that may have much else to do."""
GROWTH = 24 << 20
"""Bytes that a server, or what its workers are copied from, may have grown by, in all, after the first edits."""


def campaign(options: argparse.Namespace) -> Account:
    """Does edits, some at a time, and takes stock after each time."""
    account, place = Account("long", options), scratch()
    inputs()
    tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(dir=place)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
    worker_process.IMPORTED = ("commands",)  # where nobody is looked for in what was made
    library = Library(place / "library", Quota(waiting=1 << 20))
    runner = JobRunner(library, ["cpu"])
    runner.start()
    stock: list[dict[str, int]] = account.content.setdefault("stock", [])
    mine: list[dict[str, int]] = []

    def attempt(case: str) -> str:
        numbers = range(int(case.split("-")[0]), int(case.split("-")[1]) + 1)
        if failed := do_edits(library, numbers):
            return failed
        mine.append(take_stock(place))
        stock.append({"edits": numbers.stop, "server": os.getpid(), **mine[-1]})
        return compare(mine[min(1, len(mine) - 1)], mine[-1]) or f"ok {len(numbers)}"

    account.try_all(
        [f"{first}-{min(first + AT_ONCE, options.cases) - 1}" for first in range(0, options.cases, AT_ONCE)], attempt
    )
    runner.stop()
    return account


def compare(before: dict[str, int], now: dict[str, int]) -> str | None:
    """What has grown; None where nothing has."""
    bounds = {"memory": GROWTH, "copied_memory": GROWTH, "handles": 0, "copied_handles": 0, "threads": 0, "files": 0}
    grown = {name: (before[name], now[name]) for name, bound in bounds.items() if now[name] > before[name] + bound}
    return f"grown: {grown}" if grown else None


def do_edits(library: Library, numbers: range) -> str | None:
    """Has edits done, and says which failed; what they made is deleted, as people do."""
    offer = load_config(inputs() / "tiny.yaml")
    request = {"frames": 2, "prompt": PROMPT, "offer": offer, "settings": {}, "base": None}
    jobs = []
    for number in numbers:
        id = f"{number:024x}"
        for name in ("source", "reference"):
            job_files.copy_clip(inputs() / "job/inputs" / name, library.folder / "jobs" / id / "inputs" / name)
        jobs.append(library.add_ready_job(id, "edit", f"{number}", request))

    def look() -> list[Job]:
        return [job for job in library.jobs() if job.state in ("queued", "running")]

    until = time.monotonic() + PATIENCE * len(jobs)
    while waiting := look():
        if time.monotonic() > until:
            return f"{len(waiting)} jobs still wait"
        time.sleep(0.5)
    done = library.jobs()
    if [job.id for job in done] != [job.id for job in jobs]:
        return f"{len(jobs)} jobs were asked for, {len(done)} are there"
    for job in done:
        if job.state != "done" or not (library.job_folder(job) / job_files.EDIT / "edited.mp4").is_file():
            return f"{job.name} is {job.state}: {job.error}"
        library.remove_job(job)
    return None


def take_stock(place: Path) -> dict[str, int]:
    """What the server holds, and what its workers are copied from, and the processor time that all have taken."""
    own = psutil.Process()
    originals = [each for each in own.children() if "forkserver" in " ".join(each.cmdline())]
    files = [path for path in place.rglob("*") if path.name not in ("library.sqlite-wal", "library.sqlite-shm")]
    return {
        "memory": own.memory_info().rss, "handles": own.num_fds(), "threads": own.num_threads(), "files": len(files),
        "copied_memory": sum(each.memory_info().rss for each in originals),
        "copied_handles": sum(each.num_fds() for each in originals),
        "server_seconds": round(sum(own.cpu_times()[:2])),
        "workers_seconds": round(sum(sum(each.cpu_times()[:4]) for each in originals)),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 2000)).conclude())
