"""Clips and jobs on disk, and the table that says what is there.

The jobs are a table of our own and not a queue library such as huey. Such a library keeps calls that wait; a call that
was running when its process ended is forgotten, and none can be paused. Here a job is a folder that is gone on with,
one a device at a time, so what is to be kept is its state, and that is one table and a few statements.
"""

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from weakref import finalize

from edit_your_motion.errors import DiskFullError, InputError, counted
from edit_your_motion.storage.files import explain_failure, flush, is_full
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.web.disk import measure

FILE = "library.sqlite"
LAYOUT = 1
PATIENCE = 20.0
"""Seconds to wait for another writer."""
COUNTED_FOR = 15.0
"""Seconds for which the library is taken to be as large as it was, with what was announced since."""

MOST_ATTEMPTS = 3
"""Times that a job's process may end without a word before the job is given up."""

Role = Literal["source", "reference", "skeletons"]
"""What a clip is for: to be edited; to give its motion; or that, and of skeletons or keypoints alone."""

Kind = Literal["probe", "prepare", "tune", "apply", "edit"]
State = Literal["queued", "running", "paused", "cancelled", "failed", "done"]
Lane = Literal["clips", "edits"]
"""Clips are prepared while an edit runs, so the two do not wait for each other."""

FROM: dict[State, tuple[State, ...]] = {
    "paused": ("queued", "running"),
    "cancelled": ("queued", "running", "paused"),
    "queued": ("paused", "cancelled", "failed"),
}
"""What somebody may make of a job that is in one of these states."""

UNFINISHED: tuple[State, ...] = ("queued", "running", "paused")

TABLES = """
CREATE TABLE clips (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, size INTEGER NOT NULL, suffix TEXT NOT NULL,
    created TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, lane TEXT NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, clip TEXT REFERENCES clips (id) ON DELETE CASCADE, request TEXT NOT NULL,
    created TEXT NOT NULL, began TEXT, ended TEXT, attempts INTEGER NOT NULL DEFAULT 0, error TEXT
);
"""


@dataclass(frozen=True)
class Quota:
    """What a library may hold.

    Args:
        file: bytes of one file.
        all: bytes of all files that were brought, and of what was made of them.
        clips: how many.
        waiting: jobs in the queue.
    """

    file: int = 4 << 30
    all: int = 200 << 30
    clips: int = 1000
    waiting: int = 200


@dataclass(frozen=True)
class Clip:
    """A file that somebody brought.

    Args:
        id: random; its folder's name.
        name: as its owner calls it; only ever shown.
        role: what it is for.
        size: bytes that it has, or will have.
        suffix: of the file.
        created: when, UTC.
        complete: whether all of it is there, 0 or 1.
    """

    id: str
    name: str
    role: Role
    size: int
    suffix: str
    created: str
    complete: int


@dataclass(frozen=True)
class Job:
    """Something that takes long.

    Args:
        number: the order in which they are taken.
        id: random; the folder's name, but of a clip's jobs, which work in the clip's folder.
        kind: what is done.
        lane: with which others it waits.
        name: as its owner calls it.
        state: how it stands.
        clip: whose, if it is a clip's.
        request: what was asked for.
        created: when, UTC.
        began: when it ran first or last, UTC.
        ended: when it was over, UTC.
        attempts: how often its process ended without a word.
        error: why it failed.
    """

    number: int
    id: str
    kind: Kind
    lane: Lane
    name: str
    state: State
    clip: str | None
    request: Mapping[str, Any]
    created: str
    began: str | None
    ended: str | None
    attempts: int
    error: str | None


class Library:
    """A folder of clips and jobs; safe to be used by several threads.

    Args:
        folder: made if it is absent.
        quota: what it may hold.

    Raises:
        InputError: the folder cannot be used.
        DiskFullError: no room is left.
    """

    def __init__(self, folder: Path, quota: Quota | None = None) -> None:
        self.folder, self.quota = folder.absolute(), quota or Quota()
        self.version = 0
        self._turn, self._counting = Lock(), Lock()
        self._used, self._coming, self._counted_until = 0, 0, -1.0
        with _named(folder):
            for name in ("clips", "jobs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.folder / FILE, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            finalize(self, self._database.close)
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._database.execute(f"PRAGMA {setting}").fetchall()
        with self._transaction() as database:
            (layout,) = database.execute("PRAGMA user_version").fetchone()
            if layout == 0:
                for statement in TABLES.split(";")[:-1]:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {LAYOUT}")
            elif layout != LAYOUT:
                raise InputError(f"expected a library of layout {LAYOUT} at {folder}, got {layout}: update the program")

    # Clips

    def add_clip(self, name: str, role: Role, size: int) -> Clip:
        """A new clip whose bytes are still to come.

        Raises:
            InputError: it is too large, or the library is full.
            DiskFullError: the disk has no room for it, beside what was announced before.
        """
        if not 0 < size <= self.quota.file:
            raise InputError(f"expected a file of 1 to {self.quota.file} bytes, got {size}")
        self._set_aside(size)
        clip = Clip(make_id(), name, role, size, _suffix(name), _now(), 0)
        with self._transaction() as database:
            (count,) = database.execute("SELECT count(*) FROM clips").fetchone()
            if count >= self.quota.clips:
                raise InputError(f"the library may hold {counted(self.quota.clips, 'clip')}: delete some first")
            database.execute(
                "INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?, 0)",
                (clip.id, clip.name, clip.role, clip.size, clip.suffix, clip.created),
            )
            self.clip_folder(clip).mkdir()  # before the row is there for good: a folder without one is cleared away
        return clip

    def _set_aside(self, size: int) -> None:
        """Passes a file that has room, and counts it as coming.

        All files are looked at now and then only, or before one is refused: it takes longer than all else of an
        announcement.
        """
        with self._counting:
            for anew in (time.monotonic() > self._counted_until, True):
                if anew:
                    self._used, self._counted_until = self.used(), time.monotonic() + COUNTED_FOR
                    self._coming = sum(clip.size - self.received(clip) for clip in self.clips() if not clip.complete)
                used, coming, most = self._used, self._coming, self.quota.all
                free = shutil.disk_usage(self.folder).free
                if used + coming + size <= most and coming + size <= free:
                    self._coming += size
                    return
        if used + coming + size > most:
            raise InputError(f"the library may hold {most} bytes, has {used} and waits for {coming}: delete something")
        raise DiskFullError(f"{size} bytes have no room on the server's disk: {free} are free; delete something")

    def change_clip(self, clip: Clip, name: str, role: Role) -> None:
        """Gives a clip another name, or takes it for something else: it is looked at anew then.

        Raises:
            InputError: it is not whole, or the person was found in it, or is being found.
        """
        anew = role != clip.role
        if anew and not clip.complete:
            raise InputError("expected the whole file first")
        if anew and any(
            job.clip == clip.id and (job.kind == "prepare" or job.state in UNFINISHED) for job in self.jobs()
        ):
            raise InputError(
                f"the person was looked for in this {clip.role} already: bring the file again as the other"
            )
        changed = replace(clip, name=name, role=role)
        with self._transaction() as database:
            database.execute("UPDATE clips SET name = ?, role = ? WHERE id = ?", (name, role, clip.id))
            if anew:
                self._insert_job(database, make_id(), "probe", name, self.describe_original(changed), clip.id)

    def complete_clip(self, clip: Clip) -> None:
        """Says that all bytes of a clip are there, and has it probed; they are on the disk before it is said."""
        flush(self.original(clip))
        with self._transaction() as database:
            database.execute("UPDATE clips SET complete = 1 WHERE id = ?", (clip.id,))
            self._insert_job(database, make_id(), "probe", clip.name, self.describe_original(clip), clip.id)

    def clips(self) -> list[Clip]:
        """All clips, the last first."""
        with self._reading() as database:
            rows = database.execute("SELECT * FROM clips ORDER BY rowid DESC").fetchall()
        return [Clip(*row) for row in rows]

    def clip(self, id: str) -> Clip | None:
        """The clip of that name, if there is one."""
        with self._reading() as database:
            row = database.execute("SELECT * FROM clips WHERE id = ?", (id,)).fetchone()
        return Clip(*row) if row else None

    def clip_folder(self, clip: Clip) -> Path:
        """Where a clip's files are."""
        return self.folder / "clips" / clip.id

    def original(self, clip: Clip) -> Path:
        """A clip as it came."""
        return self.clip_folder(clip) / f"original{clip.suffix}"

    def received(self, clip: Clip) -> int:
        """How many bytes of a clip have come."""
        try:
            return self.original(clip).stat().st_size
        except FileNotFoundError:
            return 0

    def describe_original(self, clip: Clip) -> dict[str, Any]:
        """What a clip's process needs to know of the file."""
        return {"original": self.original(clip).name, "role": clip.role}

    def remove_clip(self, clip: Clip) -> int:
        """Deletes a clip; jobs have copies of their own.

        Returns:
            The bytes that are free now.

        Raises:
            InputError: it is being prepared.
        """
        freed = measure(self.clip_folder(clip)).frees
        with self._transaction() as database:
            if any(job.clip == clip.id and job.state == "running" for job in _read_jobs(database)):
                raise InputError("this clip is being prepared: wait, or cancel that first")
            database.execute("DELETE FROM clips WHERE id = ?", (clip.id,))
        shutil.rmtree(self.clip_folder(clip), ignore_errors=True)
        return freed

    # Jobs

    def add_job(self, kind: Kind, name: str, request: Mapping[str, Any], *, clip: str | None = None) -> Job:
        """A job at the end of the queue; what it needs beside its request is to be in its folder already.

        Raises:
            InputError: as many jobs wait as may.
        """
        return self.add_ready_job(make_id(), kind, name, request, clip=clip)

    def add_ready_job(
        self, id: str, kind: Kind, name: str, request: Mapping[str, Any], *, clip: str | None = None
    ) -> Job:
        """The same for a job whose folder was made before under this id."""
        with self._transaction() as database:
            if clip is None:
                self._require_room(database, 1)
            self._insert_job(database, id, kind, name, request, clip)
        job = self.job(id)
        assert job is not None
        return job

    def require_room(self, count: int) -> None:
        """Passes as many new jobs as the queue has room for.

        Raises:
            InputError: there are more.
        """
        with self._transaction() as database:
            self._require_room(database, count)

    def jobs(self) -> list[Job]:
        """All jobs in their order."""
        with self._reading() as database:
            return _read_jobs(database)

    def job(self, id: str) -> Job | None:
        """The job of that name, if there is one."""
        with self._reading() as database:
            row = database.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        return _read_job(row) if row else None

    def last_job(self, clip: Clip) -> Job | None:
        """What was done last with a clip, or is being done."""
        with self._reading() as database:
            row = database.execute(
                "SELECT * FROM jobs WHERE clip = ? ORDER BY number DESC LIMIT 1", (clip.id,)
            ).fetchone()
        return _read_job(row) if row else None

    def job_folder(self, job: Job) -> Path:
        """Where a job works."""
        return self.folder / ("jobs" if job.clip is None else "clips") / (job.clip or job.id)

    def take_job(self, lane: Lane, busy: Collection[str] = ()) -> Job | None:
        """The next job of a lane, now running; nobody else gets it.

        Args:
            lane: whose.
            busy: jobs that were stopped and queued again, and whose process has not ended yet.
        """
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running', 'paused')").fetchall()
            unfinished = {job.id: job for job in map(_read_job, rows)}
            # A motion waits for its person; one who was cancelled is missed by whoever needs them, in words.
            waiting = [job for job in unfinished.values() if job.state == "queued" and job.lane == lane
                       and job.id not in busy and job.request.get("person") not in unfinished]  # fmt: skip
            if not waiting:
                return None
            job = min(waiting, key=lambda job: job.number)
            database.execute(
                "UPDATE jobs SET state = 'running', began = ?, error = NULL WHERE id = ?", (_now(), job.id)
            )
        return self.job(job.id)

    def move_job(self, job: Job, state: State) -> None:
        """Pauses, cancels or queues a job.

        Raises:
            InputError: it is in no state for that.
        """
        with self._transaction() as database:
            (now,) = database.execute("SELECT state FROM jobs WHERE id = ?", (job.id,)).fetchone() or (None,)
            if now not in FROM.get(state, ()):
                raise InputError(f"a job that is {now} cannot be {state}")
            database.execute(
                "UPDATE jobs SET state = ?, ended = ?, attempts = 0 WHERE id = ?",
                (state, _now() if state == "cancelled" else None, job.id),
            )

    def end_job(self, job: Job, error: str | None) -> None:
        """Says that a running job is over: done, or failed with an error in words."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = ?, error = ?, ended = ? WHERE id = ? AND state = 'running'",
                ("done" if error is None else "failed", error, _now(), job.id),
            )

    def queue_again(self, job: Job, reason: str) -> None:
        """A job whose process ended without a word waits again, in its old place, unless that happened too often."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET attempts = attempts + 1, state = iif(attempts + 1 < ?, 'queued', 'failed'), "
                "error = iif(attempts + 1 < ?, NULL, ?) WHERE id = ? AND state = 'running'",
                (MOST_ATTEMPTS, MOST_ATTEMPTS, reason, job.id),
            )

    def recover(self) -> None:
        """After a start: jobs that a former server left running wait again, whole files are looked at, orphans go.

        A job without its folder is one whose request ended in an error: a disk that fails while it says that something
        is written may have written it all the same.
        """
        with self._transaction() as database:
            database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            for job in _read_jobs(database):
                if job.state == "queued" and job.clip is None and not self.job_folder(job).is_dir():
                    database.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
            known = {row[0] for row in database.execute("SELECT id FROM jobs UNION SELECT id FROM clips")}
        for clip in self.clips():
            if not clip.complete and self.received(clip) == clip.size:
                self.complete_clip(clip)
        for place in (*(self.folder / "jobs").iterdir(), *(self.folder / "clips").iterdir()):
            if place.name.removeprefix(".").removesuffix(".lock") not in known:  # of what was removed or never begun
                shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink(missing_ok=True)

    def rename_job(self, job: Job, name: str) -> None:
        """Gives a job another name."""
        with self._transaction() as database:
            database.execute("UPDATE jobs SET name = ? WHERE id = ?", (name, job.id))

    def insist_on(self, job: Job) -> None:
        """Queues a job that was refused, to be begun all the same.

        Raises:
            InputError: it is in no state for that.
        """
        insisted = (
            "UPDATE jobs SET request = json_set(request, '$.force', json('true')) WHERE id = ? AND state = 'failed'"
        )
        with self._transaction() as database:
            database.execute(insisted, (job.id,))
        self.move_job(job, "queued")

    def remove_job(self, job: Job) -> int:
        """Deletes a job and all that it made.

        Returns:
            The bytes that are free now.

        Raises:
            InputError: it runs, or its person is needed by one that waits.
        """
        freed = 0 if job.clip is not None else measure(self.job_folder(job)).frees
        with self._transaction() as database:
            for other in _read_jobs(database):  # as they are now, and nobody takes one meanwhile
                if other.id == job.id and other.state == "running":
                    raise InputError("this job runs: cancel it first")
                if other.request.get("person") == job.id and other.state in UNFINISHED:
                    raise InputError("another job waits for this one's person: cancel that first")
            database.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
        if job.clip is None:
            shutil.rmtree(self.job_folder(job), ignore_errors=True)
        return freed

    def used(self) -> int:
        """Bytes that the library takes; a file that several share counts once."""
        return measure(self.folder).size

    def _insert_job(
        self, database: sqlite3.Connection, id: str, kind: Kind, name: str, request: Mapping[str, Any], clip: str | None
    ) -> None:
        lane: Lane = "clips" if clip is not None else "edits"
        database.execute(
            "INSERT INTO jobs (id, kind, lane, name, state, clip, request, created) "
            "VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
            (id, kind, lane, name, clip, json.dumps(request), _now()),
        )

    def _require_room(self, database: sqlite3.Connection, count: int) -> None:
        waiting_edits = "SELECT count(*) FROM jobs WHERE state = 'queued' AND clip IS NULL"
        (waiting,) = database.execute(waiting_edits).fetchone()
        if waiting + count > self.quota.waiting:
            most = self.quota.waiting
            raise InputError(f"{counted(waiting, 'job')} wait already and {most} may in all: cancel some, or wait")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One look, which keeps no writer waiting."""
        with self._turn, _named(self.folder / FILE):
            yield self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; one at a time."""
        with self._turn, _named(self.folder / FILE):
            changes = self._database.total_changes
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
            self.version += self._database.total_changes > changes


def make_id() -> str:
    """A random name that cannot be guessed."""
    return secrets.token_hex(12)


def _suffix(name: str) -> str:
    """The end of a client's file name, if it can be one of a clip: readers of files go by it."""
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 6 else ""


def _read_jobs(database: sqlite3.Connection) -> list[Job]:
    return [_read_job(row) for row in database.execute("SELECT * FROM jobs ORDER BY number")]


def _read_job(row: tuple[Any, ...]) -> Job:
    number, id, kind, lane, name, state, clip, request, *rest = row
    try:
        asked = dict(parse_json(request))
    except (ValueError, TypeError) as error:
        raise InputError(f"what the library has of job {number} is damaged ({error}): delete {FILE}") from error
    return Job(number, id, kind, lane, name, state, clip, asked, *rest)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Says in our words what is wrong with the library's file."""
    try:
        yield
    except OSError as error:
        raise explain_failure(error, path) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of what is no text, in a cell or in a message
        if is_full(path.parent):
            raise DiskFullError(f"no room is left for {path}: free some") from error
        raise InputError(f"the library at {path} cannot be used ({error}): check the folder") from error
