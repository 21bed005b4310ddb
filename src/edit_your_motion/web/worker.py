"""One job in a process of its own: ``python -m edit_your_motion.web.worker FOLDER`` does what FOLDER/job.json says.

What it tells goes to standard output as a line of JSON each: ``{"phase", "done", "total", "overall", "left"}`` of its
progress, ``{"error"}`` of why it failed, ``{"estimate"}`` where it is only asked what a job would take. Its log goes to
standard error. It ends when its standard input does, that is with whoever started it.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any

from edit_your_motion.errors import EditYourMotionError, ran_out_of_memory
from edit_your_motion.runtime.progress import Advance, JobClock
from edit_your_motion.storage.locking import held

JOB = "job.json"
OF_CLIPS = ("probe", "prepare")
"""Kinds of jobs that open what anybody may have made."""
LARGEST_PREPARATION = 6 << 30
"""Bytes of memory that a process may have for a file that anybody may have made."""

BEHIND = 10
"""How much further back than the server the system puts it: who looks at the page need not wait for a job."""

Tell = Callable[[dict[str, Any]], None]


class Reporter:
    """Tells how far a job is, and how long it still takes.

    Args:
        tell: takes what is told.
        seconds: that the phases to come are foreseen to take, in their order.
        steps: of those phases that may have been begun before.
    """

    def __init__(
        self, tell: Tell, seconds: Mapping[str, float] | None = None, steps: Mapping[str, int] | None = None
    ) -> None:
        self.tell, self.told, self.clock = tell, 0.0, JobClock()
        self.clock.expect(seconds or {}, steps)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """A phase of `total` steps; one that goes on has fewer than were planned, and those before it are over."""
        self.clock.begin(name, total)
        self._report(name)

        def advance() -> None:
            self.clock.advance()
            if time.monotonic() - self.told > 0.25 or self.clock.done == total:
                self._report(name)

        yield advance
        self.clock.end()

    def _report(self, name: str) -> None:
        self.told, clock = time.monotonic(), self.clock
        self.tell(
            {
                "phase": name,
                "done": clock.done,
                "total": clock.total,
                "overall": clock.part if clock.share is None else clock.share,
                "left": clock.left if clock.measured else None,
            }
        )


def main(folder: Path) -> int:
    """Does the job in a folder; 0 once it is done, 1 where it failed in a way that it has told."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is for the log

    def tell(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("edit_your_motion").setLevel(logging.INFO)
    if hasattr(os, "nice"):  # Windows has none
        os.nice(BEHIND)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    try:
        with held(folder, wait=True):  # the process of a server that was killed may still be about to end
            _do(job, folder, tell)
    except EditYourMotionError as error:
        logging.getLogger(__name__).info("failed: %s", error)
        others = map(Path, (*job.get("clips", {}).values(), *filter(None, [job.get("home")]), folder.parent))
        tell({"error": _without_places(str(error), folder, *others)})
        return 1
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not ran_out_of_memory(error):
            raise
        tell({"error": "the file takes more memory than is given to one: bring a shorter or smaller clip"})
        return 1
    return 0


def _bound_memory() -> None:
    """Bounds the memory of this process, where the system can: other people's files are opened in it."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such bound
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST_PREPARATION, LARGEST_PREPARATION))


def _do(job: dict[str, Any], folder: Path, tell: Tell) -> None:
    kind = job["kind"]
    if kind in OF_CLIPS:
        _bound_memory()
        if kind == "probe":
            from edit_your_motion.web.probing import probe_clip as do
        else:
            from edit_your_motion.web.preparing import prepare_clip as do
        do(folder, job, Reporter(tell))
        return
    from edit_your_motion.web import edits

    if "clips" in job:  # nothing is to be done yet
        estimate = edits.foresee({role: Path(place) for role, place in job["clips"].items()}, job)
        tell({"estimate": None if estimate is None else asdict(estimate)})
        return
    edits.run_job(folder, job, lambda seconds, steps: Reporter(tell, seconds, steps))


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(3)


def _without_places(text: str, *folders: Path) -> str:
    """An error without the places of this machine, which are nobody's business."""
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "").replace(f"{folder}", "the clip")
    return text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
