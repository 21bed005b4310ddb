"""The answers of a study as CSV: one row for each, enough for the report without the database."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.errors import InputError
from edit_your_motion.storage.files import written_whole
from edit_your_motion.study.answers import Answer, AnswerBook
from edit_your_motion.study.plan import SIDES
from edit_your_motion.study.suspicious import MARKS, Mark, mark_participants

COLUMNS = (
    "participant", "code", "seed", "marks", "asked", "position", "case", "method", "question", "ours", "choice",
    "preferred", "seconds", "changes", "answered",
)  # fmt: skip
LARGEST_TABLE = 1 << 30


@dataclass(frozen=True)
class Row:
    """An answer and what is known of who gave it.

    Args:
        answer: the choice.
        code: the participant's, if the link that invited them had one.
        seed: of their shuffle.
        marks: why their answers deserve a second look.
        asked: how many answers they give in all.
    """

    answer: Answer
    code: str | None
    seed: str
    marks: tuple[Mark, ...]
    asked: int


def list_rows(book: AnswerBook) -> tuple[Row, ...]:
    """Every answer of a study, with its participant's marks.

    Raises:
        InputError: somebody has answered who was asked nothing.
    """
    participants, answers, asked = book.participants(), book.answers(), book.count_asked()
    marks = mark_participants(book.study, participants, answers)
    people = {each.number: each for each in participants}
    if lacking := sorted({answer.participant for answer in answers} & marks.keys() - (asked.keys() & people.keys())):
        raise InputError(f"expected what participant {lacking[0]} was asked at {book.path}, got answers alone")
    return tuple(
        Row(answer, people[number].code, people[number].seed, marks[number], asked[number])
        for answer in answers
        if (number := answer.participant) in marks
    )


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows as CSV (UTF-8), whole or not at all.

    Raises:
        DiskFullError: no room is left.
        InputError: the place cannot be written to.
    """
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            answer = row.answer
            writer.writerow((
                answer.participant, row.code or "", row.seed, " ".join(row.marks), row.asked, answer.position,
                answer.case, answer.method, answer.question, answer.ours, answer.choice,
                "ours" if answer.for_ours else "theirs", answer.seconds, answer.changes, answer.answered,
            ))  # fmt: skip


def read_table(path: Path) -> tuple[Row, ...]:
    """The rows that `write_table` wrote.

    Raises:
        InputError: the file is absent, larger than 1 GiB, or no such table.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise ValueError(f"more than {LARGEST_TABLE >> 30} GiB")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"the columns {', '.join(reader.fieldnames or ())}")
            return tuple(map(_read_row, reader))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"expected answers as 'eym study export' writes them at {path}, got {error}") from error


def _read_row(cells: dict[str, str]) -> Row:
    if None in cells.values() or len(cells) > len(COLUMNS):
        raise ValueError(f"a row of {cells!r:.80}, which has not one cell a column")
    marks = tuple(mark for mark in MARKS if mark in cells["marks"].split())
    ours, choice = (SIDES[SIDES.index(cells[name])] for name in ("ours", "choice"))  # ValueError for other words
    answer = Answer(
        participant=int(cells["participant"]),
        position=int(cells["position"]),
        case=cells["case"],
        method=cells["method"],
        question=cells["question"],
        ours=ours,
        choice=choice,
        seconds=float(cells["seconds"]),
        changes=int(cells["changes"]),
        answered=cells["answered"],
    )
    return Row(answer, cells["code"] or None, cells["seed"], marks, int(cells["asked"]))
