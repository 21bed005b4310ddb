"""A study whose clips nobody looks at, and people who answer it; light, for tests that start programs of their own."""

from collections.abc import Callable

from edit_your_motion.study.answers import AnswerBook, Participant
from edit_your_motion.study.definition import Study
from edit_your_motion.study.plan import Side

OURS = "edit-your-motion"


def clip_name(number: int) -> str:
    return f"{number:032x}.mp4"


def imagine(cases: int = 5, methods: int = 3, **settings: object) -> Study:
    """A study whose clips nobody looks at."""
    names = [OURS, *(f"method {index}" for index in range(methods))]
    return Study(
        title="t", consent="c", ours=OURS,
        cases=tuple(
            {
                "name": f"case {case}", "prompt": "p", "source": clip_name(0), "reference": clip_name(1),
                "results": {name: clip_name(100 * case + index) for index, name in enumerate(names, 2)},
            }
            for case in range(cases)
        ),
        **settings,
    )  # fmt: skip


Chooser = Callable[[str, Side], Side]


def answer_all(
    book: AnswerBook,
    choose: Chooser,
    browser: str,
    seconds: float | int = 20,
    code: str | None = None,
) -> Participant:
    """Somebody who answers everything: `choose` gets the method and our side."""
    participant = book.find(book.enrol(browser, code))
    assert participant is not None
    for position, each in enumerate(book.comparisons_of(participant)):
        for question in book.study.asked_of(book.study.case(each.case)):
            book.record(participant, position, question.name, choose(each.method, each.ours), float(seconds))
    return participant


def prefer_ours(method: str, ours: Side) -> Side:
    return ours


def prefer_theirs(method: str, ours: Side) -> Side:
    return "right" if ours == "left" else "left"
