"""The answers of a study in SQLite: saved at once, by any number of people at the same time."""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast
from weakref import finalize

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs

from edit_your_motion.config import explain
from edit_your_motion.errors import DiskFullError, InputError
from edit_your_motion.storage.files import is_full
from edit_your_motion.study.definition import Study
from edit_your_motion.study.plan import Comparison, Side, plan_comparisons, seed_of

FILE = "answers.sqlite"
LAYOUT = 1
PATIENCE = 30
"""Seconds that a program waits for another one to write."""
LONGEST = 24 * 3600.0
"""Seconds that one answer can take; what is beyond was left open over night."""

TABLES = """
CREATE TABLE study (identity TEXT NOT NULL);
CREATE TABLE participants (
    number INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, seed TEXT NOT NULL, browser TEXT NOT NULL, code TEXT,
    consent TEXT NOT NULL, began TEXT NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE shown (
    participant INTEGER NOT NULL REFERENCES participants, position INTEGER NOT NULL, case_name TEXT NOT NULL,
    method TEXT NOT NULL, ours TEXT NOT NULL CHECK (ours IN ('left', 'right')), PRIMARY KEY (participant, position)
) WITHOUT ROWID;
CREATE TABLE answers (
    participant INTEGER NOT NULL, position INTEGER NOT NULL, question TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('left', 'right')), seconds REAL NOT NULL,
    changes INTEGER NOT NULL DEFAULT 0, answered TEXT NOT NULL, PRIMARY KEY (participant, position, question),
    FOREIGN KEY (participant, position) REFERENCES shown ON DELETE CASCADE
) WITHOUT ROWID;
"""

RECORD = """
INSERT INTO answers (participant, position, question, choice, seconds, answered) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET changes = changes + (choice <> excluded.choice), choice = excluded.choice,
    seconds = max(seconds, excluded.seconds), answered = excluded.answered
"""


@dataclass(frozen=True)
class Participant:
    """Somebody who agreed to take part.

    Args:
        number: from 1 on, in the order of coming.
        seed: what their shuffle was drawn from.
        browser: digest of the random number that their browser keeps.
        code: at the end of the link that invited them, if it had one.
        began: when, UTC.
        withdrawn: whether they took everything back.
    """

    number: int
    seed: str
    browser: str
    code: str | None
    began: str
    withdrawn: bool


@dataclass(frozen=True)
class Answer:
    """One choice of one participant.

    Args:
        participant: their number.
        position: of the comparison among theirs, from 0 on.
        case: what was compared.
        method: the one that ours was compared with.
        question: its name.
        ours: the side that ours was on.
        choice: the side that they chose.
        seconds: how long the comparison had been in view, at its slowest answering.
        changes: how often they chose otherwise before.
        answered: when last, UTC.
    """

    participant: int
    position: int
    case: str
    method: str
    question: str
    ours: Side
    choice: Side
    seconds: float
    changes: int
    answered: str

    @property
    def for_ours(self) -> bool:
        """Whether ours was preferred."""
        return self.choice == self.ours


Row = TypeVar("Row", Participant, Comparison, Answer)


class AnswerBook:
    """The file of a study's answers.

    Args:
        path: of the database.
        study: whose answers they are.
        make: whether a new one is made where there is none.

    Raises:
        InputError: there is none, it is damaged, or its answers were given to other questions.
        DiskFullError: no room is left.
    """

    def __init__(self, path: Path, study: Study, *, make: bool = False) -> None:
        self.path, self.study = path, study
        if not make and not path.is_file():
            raise InputError(f"expected answers at {path}, there are none: run 'eym study serve {path.parent}' first")
        self._turn = Lock()
        with _named(path):
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            finalize(self, self._database.close)
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                self._database.execute(f"PRAGMA {setting}").fetchall()
        with self._transaction(write=True) as database:
            (layout,) = database.execute("PRAGMA user_version").fetchone()
            if layout == 0:
                for statement in TABLES.split(";")[:-1]:
                    database.execute(statement)
                database.execute("INSERT INTO study VALUES (?)", (study.identity,))
                database.execute(f"PRAGMA user_version = {LAYOUT}")
            elif layout != LAYOUT:
                raise InputError(f"expected answers of layout {LAYOUT} at {path}, got {layout}: update the program")
            (identity,) = database.execute("SELECT identity FROM study").fetchone() or (None,)
            if identity != study.identity:
                raise InputError(
                    f"the answers at {path} were given to another seed, other questions or other clips than "
                    "study.yaml has now: undo the change, or move the answers away"
                )

    def enrol(self, browser: str, code: str | None = None) -> str:
        """Takes somebody in who has agreed to the consent text, and returns the token of their private link.

        Args:
            browser: the random number that the browser keeps.
            code: at the end of the link that invited them.

        Raises:
            InputError: the study has as many participants as it may.
        """
        token = secrets.token_urlsafe(24)
        consent = hashlib.sha256(self.study.consent.encode()).hexdigest()
        with self._transaction(write=True) as database:
            (last,) = database.execute("SELECT coalesce(max(number), 0) FROM participants").fetchone()
            if last >= self.study.most_participants:
                raise InputError("this study has all the participants that it needs")
            number = last + 1
            database.execute(
                "INSERT INTO participants (number, token, seed, browser, code, consent, began) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, _digest(token), seed_of(self.study, number), _digest(browser), code, consent, _now()),
            )
            database.executemany(
                "INSERT INTO shown VALUES (?, ?, ?, ?, ?)",
                [
                    (number, position, each.case, each.method, each.ours)
                    for position, each in enumerate(plan_comparisons(self.study, number))
                ],
            )
        return token

    def find(self, token: str) -> Participant | None:
        """Whose private link this is; None if it is nobody's."""
        with self._transaction() as database:
            rows = database.execute(f"{_PARTICIPANTS} WHERE token = ?", (_digest(token),)).fetchall()
        return self._read(Participant, rows[0]) if rows else None

    def comparisons_of(self, participant: Participant) -> tuple[Comparison, ...]:
        """What a participant sees, in order, as it was drawn when they began; nothing once they have withdrawn."""
        query = "SELECT case_name, method, ours FROM shown WHERE participant = ? ORDER BY position"
        with self._transaction() as database:
            return tuple(self._read(Comparison, row) for row in database.execute(query, (participant.number,)))

    def record(self, participant: Participant, position: int, question: str, choice: Side, seconds: float) -> None:
        """Saves an answer, over an earlier one to the same question.

        Args:
            participant: whose.
            position: of the comparison among theirs, from 0 on.
            question: its name.
            choice: the side.
            seconds: how long the comparison has been in view.

        Raises:
            InputError: they are not asked this.
        """
        comparisons = self.comparisons_of(participant)
        asked = 0 <= position < len(comparisons) and any(
            each.name == question for each in self.study.asked_of(self.study.case(comparisons[position].case))
        )
        if not asked:
            raise InputError(f"expected an answer to something that was asked, got '{question}' at {position}")
        seconds = min(max(float(seconds), 0.0), LONGEST)
        with self._transaction(write=True) as database:
            database.execute(RECORD, (participant.number, position, question, choice, seconds, _now()))

    def withdraw(self, participant: Participant) -> None:
        """Deletes a participant's answers and all that could tell who they are; only their number stays taken."""
        with self._transaction(write=True) as database:
            database.execute("DELETE FROM shown WHERE participant = ?", (participant.number,))
            database.execute(
                "UPDATE participants SET browser = '', code = NULL, withdrawn = 1 WHERE number = ?",
                (participant.number,),
            )
        with self._turn, _named(self.path):  # what is deleted leaves the log of changes too
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def participants(self) -> tuple[Participant, ...]:
        """Everybody who agreed, in the order of coming."""
        with self._transaction() as database:
            rows = database.execute(f"{_PARTICIPANTS} ORDER BY number")
            return tuple(self._read(Participant, row) for row in rows)

    def answers(self, participant: Participant | None = None) -> tuple[Answer, ...]:
        """All answers, or one participant's, in the order of participants and of what they saw."""
        query = (
            "SELECT participant, position, case_name, method, question, ours, choice, seconds, changes, answered "
            "FROM answers JOIN shown USING (participant, position) WHERE ? IS NULL OR participant = ? "
            "ORDER BY participant, position, question"
        )
        number = None if participant is None else participant.number
        with self._transaction() as database:
            return tuple(self._read(Answer, row) for row in database.execute(query, (number, number)))

    def count_asked(self) -> dict[int, int]:
        """How many answers each participant gives in all, by number."""
        questions = {case.name: len(self.study.asked_of(case)) for case in self.study.cases}
        asked: dict[int, int] = {}
        with self._transaction() as database:
            for number, case in database.execute("SELECT participant, case_name FROM shown"):
                if case not in questions:
                    raise self._damaged(f"a case {case!r:.60}")
                asked[number] = asked.get(number, 0) + questions[case]
        return asked

    def _read(self, kind: type[Row], row: tuple[Any, ...]) -> Row:
        """A row as what it stands for; SQLite keeps whatever values it is given, or finds."""
        try:
            return cast(Row, _READERS[kind].validate_python(ArgsKwargs(row)))
        except ValidationError as error:
            raise self._damaged(explain(error)) from error

    def _damaged(self, what: str) -> InputError:
        return InputError(f"expected the answers of a study at {self.path}, the file is damaged: {what}")

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block does; threads of this program take turns, other programs wait."""
        with self._turn, _named(self.path), self._database:
            self._database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield self._database


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Tells which file the database's errors are about."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of what is no text, in a cell or in a message
        if "full" in str(error) or is_full(path.parent):  # a log of changes without room is but a "disk I/O error"
            raise DiskFullError(f"no room is left for answers at {path}: free some") from error
        raise InputError(f"expected a database with a study's answers at {path}, got: {error}") from error


_READERS: dict[type[Any], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Participant, Comparison, Answer)}
_PARTICIPANTS = "SELECT number, seed, browser, code, began, withdrawn FROM participants"


def _digest(secret: str) -> str:
    """What is kept of a secret: enough to know it again, and of no use to whoever reads the file."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
