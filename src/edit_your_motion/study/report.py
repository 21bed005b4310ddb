"""What a study found: Eq. 18 of every method and question, with and without the participants that were marked."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edit_your_motion.benchmark.settings import UNKNOWN
from edit_your_motion.errors import InputError
from edit_your_motion.metrics.bootstrap import Interval
from edit_your_motion.metrics.published import load_published
from edit_your_motion.metrics.study import preference_score, preference_score_of_people
from edit_your_motion.storage.files import write_text
from edit_your_motion.storage.locking import held
from edit_your_motion.study.definition import Study
from edit_your_motion.study.suspicious import MARKS, Mark
from edit_your_motion.study.table import Row


@dataclass(frozen=True)
class StudyScore:
    """Eq. 18 for one question against one method.

    Args:
        method: the one that ours was compared with.
        question: its name.
        score: ours / (ours + theirs), in [0, 1]; above 0.5 where people prefer ours. None: nobody answered.
        interval: of the score.
        interval_kind: how the interval was made.
        participants: who answered it at least once.
        ours: answers for ours.
        theirs: answers for the other method.
        published: the paper's share for the method of that name, where it has one.
    """

    method: str
    question: str
    score: float | None
    interval: Interval | None
    interval_kind: str
    participants: int
    ours: int
    theirs: int
    published: float | None


@dataclass(frozen=True)
class Scores:
    """The scores from some participants.

    Args:
        participants: who answered anything.
        complete: who answered everything.
        answers: in all.
        scores: methods in the order of the study, questions in theirs.
    """

    participants: int
    complete: int
    answers: int
    scores: tuple[StudyScore, ...]


@dataclass(frozen=True)
class StudyReport:
    """A whole study.

    Args:
        title: of the study.
        ours: name of our method.
        questions: text by name.
        everybody: the scores from all participants.
        unmarked: the scores without those that were marked.
        marked: how many participants have each mark.
        confidence: of the intervals.
        settings: that our results were made with; None where nobody knows.
    """

    title: str
    ours: str
    questions: dict[str, str]
    everybody: Scores
    unmarked: Scores
    marked: dict[Mark, int]
    confidence: float
    settings: str | None


def report_study(study: Study, rows: Sequence[Row], confidence: float = 0.95) -> StudyReport:
    """Eq. 18 per method and question, from everybody and without the marked.

    Args:
        study: which methods and questions there are.
        rows: the answers.
        confidence: of the intervals, in (0, 1).

    Raises:
        InputError: there are no answers, or answers about something that the study does not have.
    """
    methods = dict.fromkeys(method for _, method in study.comparisons)
    questions = {question.name: question.text for question in study.questions}
    if not rows:
        raise InputError("there are no answers yet: nothing can be reported")
    if strange := {(row.answer.method, row.answer.question) for row in rows if
                   row.answer.method not in methods or row.answer.question not in questions}:  # fmt: skip
        raise InputError(f"expected answers about {', '.join(methods)} and {', '.join(questions)}, got {strange}")

    def score(kept: Sequence[Row]) -> Scores:
        found = tuple(_score(kept, method, question, confidence) for method in methods for question in questions)
        given = Counter((row.answer.participant, row.asked) for row in kept)
        complete = sum(answers >= asked for (_, asked), answers in given.items())
        return Scores(len(given), complete, len(kept), found)

    marked = {mark: len({row.answer.participant for row in rows if mark in row.marks}) for mark in MARKS}
    unmarked = [row for row in rows if not row.marks]
    return StudyReport(
        study.title, study.ours, questions, score(rows), score(unmarked), marked, confidence, study.settings
    )


def _score(rows: Iterable[Row], method: str, question: str, confidence: float) -> StudyScore:
    people: dict[int, list[int]] = {}
    for answer in (row.answer for row in rows):
        if (answer.method, answer.question) == (method, question):
            people.setdefault(answer.participant, [0, 0])[0 if answer.for_ours else 1] += 1
    published = _published(method, question)
    if not people:
        return StudyScore(method, question, None, None, "", 0, 0, 0, published)
    counts = np.array(list(people.values()), dtype=np.int64)
    ours, theirs = (int(total) for total in counts.sum(axis=0))
    if len(people) == 1:
        found, kind = preference_score(ours, theirs, confidence), "Wilson's, one person's answers as if independent"
    elif min(ours, theirs) == 0:  # resampled, everybody agreeing gives an interval without width
        found = preference_score(len(people) if ours else 0, len(people) if theirs else 0, confidence)
        kind = "Wilson's, over people: they all agree"
    else:
        found, kind = preference_score_of_people(counts[:, 0], counts[:, 1], confidence), "people resampled"
    score = ours / (ours + theirs)
    return StudyScore(method, question, score, found.interval, kind, len(people), ours, theirs, published)


def _published(method: str, question: str) -> float | None:
    """The share in the paper's Table VI, whatever the name's spelling."""
    table = load_published()["VI"]
    rows = {_plain(name): name for name in table.rows}
    columns = {column.name for column in table.columns}
    if _plain(method) not in rows or f"study_{question}" not in columns:
        return None
    value = table.value(rows[_plain(method)], f"study_{question}")
    return None if value is None else round(value / 100, 4)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def to_markdown(report: StudyReport) -> str:
    """The report as Markdown: a table from everybody, and one without the marked where there are any."""
    lines = [f"# {report.title}", "", f"{report.ours}: {report.settings or UNKNOWN}", ""]
    lines += [f"- **{name}**: {text}" for name, text in report.questions.items()]
    lines += [
        "",
        f"Score (Eq. 18): answers for {report.ours} / all answers, in percent; above 50 people prefer it. In brackets "
        f"its {report.confidence:.0%} interval: whole participants resampled, since one person's answers resemble each "
        "other; where all agree or only one answered, Wilson's (marked *). Then the number of participants. The paper "
        "had 70.",
        "",
        "## Everybody",
        "",
        *_table(report, report.everybody),
    ]
    if any(report.marked.values()):
        lines += ["", "## Without marked participants", "", *_table(report, report.unmarked), "", "Marked:", ""]
        lines += [f"- {mark}, {count}: {MARKS[mark]}" for mark, count in report.marked.items() if count]
    else:
        lines += ["", "Nobody was marked (duplicates, one side throughout, implausibly fast)."]
    return "\n".join(lines) + "\n"


def _table(report: StudyReport, scores: Scores) -> list[str]:
    lines = [
        f"{scores.participants} participants, {scores.complete} of them to the end, {scores.answers} answers.",
        "",
        f"| {report.ours} against | " + " | ".join(report.questions) + " |",
        "| --- |" + " ---: |" * len(report.questions),
    ]
    by_cell = {(each.method, each.question): each for each in scores.scores}
    methods = dict.fromkeys(each.method for each in scores.scores)
    for method in methods:
        cells = [by_cell[method, question] for question in report.questions]
        lines.append(f"| {method} | " + " | ".join(map(_format, cells)) + " |")
        if any(cell.published for cell in cells):
            lines.append(f"| {method}, as published | " + " | ".join(map(_format_published, cells)) + " |")
    return lines


def _format(score: StudyScore) -> str:
    if score.score is None or score.interval is None:
        return "no answers"
    star = "" if score.interval_kind == "people resampled" else "*"
    low, high = 100 * score.interval.low, 100 * score.interval.high
    return f"{100 * score.score:.1f} [{low:.1f}, {high:.1f}]{star}, {score.participants}"


def _format_published(score: StudyScore) -> str:
    return "" if score.published is None else f"{100 * score.published:.2f}"


def to_json(report: StudyReport) -> str:
    """The report as strict JSON."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_report(folder: Path, report: StudyReport) -> tuple[Path, Path]:
    """Writes ``report.md`` and ``report.json``, each whole or not at all, and returns their paths.

    Raises:
        DiskFullError: no room is left.
        InputError: the place cannot be written to.
    """
    paths = folder / "report.md", folder / "report.json"
    with held(paths[0], wait=True):
        for path, text in zip(paths, (to_markdown(report), to_json(report)), strict=True):
            write_text(path, text)
    return paths
