"""Participants whose answers deserve a second look: marked, never deleted."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Literal, TypeAlias

from edit_your_motion.study.answers import Answer, Participant
from edit_your_motion.study.definition import Study

Mark: TypeAlias = Literal["duplicate", "one-side", "too-fast"]
MARKS: Mapping[Mark, str] = {
    "duplicate": "answered again from the same browser or with the same code; the first time is not marked",
    "one-side": "chose the same side throughout",
    "too-fast": "took implausibly little time for a comparison (median)",
}


def mark_participants(
    study: Study, participants: Iterable[Participant], answers: Sequence[Answer]
) -> dict[int, tuple[Mark, ...]]:
    """The marks of everybody who answered anything, by their number.

    Sides are shuffled so that whoever looks chooses both: of `study.straight_line` comparisons all on one side happen
    to somebody without any preference once in 2^(straight_line - 1) times, and never to one who prefers one method
    throughout.

    Args:
        study: has the limits.
        participants: in the order of coming.
        answers: of all of them, each participant's together.
    """
    by_person = {number: list(theirs) for number, theirs in groupby(answers, lambda answer: answer.participant)}
    duplicates = _find_duplicates([each for each in participants if each.number in by_person])
    marks: dict[int, tuple[Mark, ...]] = {}
    for number, theirs in by_person.items():
        times: dict[int, float] = {}
        for answer in theirs:
            times[answer.position] = max(answer.seconds, times.get(answer.position, 0.0))
        found: list[Mark] = ["duplicate"] if number in duplicates else []
        if len(times) >= study.straight_line and len({answer.choice for answer in theirs}) == 1:
            found.append("one-side")
        if median(times.values()) < study.fewest_seconds:
            found.append("too-fast")
        marks[number] = tuple(found)
    return marks


def _find_duplicates(participants: Sequence[Participant]) -> set[int]:
    seen: set[tuple[str, str]] = set()
    duplicates = set()
    for each in participants:
        traits = {("browser", each.browser), *([("code", each.code)] if each.code else [])}
        if traits & seen:
            duplicates.add(each.number)
        seen |= traits
    return duplicates
