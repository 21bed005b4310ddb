"""What a study asks of whom: ``study.yaml``, checked on load together with every clip that it names."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from edit_your_motion.config import Section, dump_config, explain, load_config
from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.storage.files import write_text

FILE = "study.yaml"
CLIPS = "clips"
LARGEST_CLIP = 256 << 20
"""Bytes; what is larger does not play well over a network."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w .()+-]*$", max_length=80)]
"""Of a case, a method, a question: nothing that a spreadsheet takes for a formula."""
ClipName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\.(mp4|webm)$")]
"""The digest of the clip's content: it tells a participant nothing, and a changed clip is noticed."""

MEDIA_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}

CONSENT = """\
You are invited to take part in a study that compares methods of video editing. You will see short silent videos of \
people: a source, a reference with a motion, and two results, A and B. Of each set you are asked which result is \
better in some respect, A or B. There are no right or wrong answers.

Taking part is voluntary. You may stop at any time, go on later with your private link, or withdraw: the button \
"Withdraw" deletes your answers and all else that is kept about you.

What is kept: your choices, when and how fast you made them, and a random number that your browser stores (a cookie), \
so that answers given twice can be told. If the link that invited you ends in a code, that is kept too. Your name and \
your network address are not kept, nothing is sent to anybody else, and results are published as numbers only.

Who is responsible: {contact}."""

THANKS = "Thank you for taking part. All of your answers are saved; you can close this page."


class Question(Section):
    """What is asked of two results.

    Args:
        name: stands in tables.
        text: as people read it.
        about: what the results are to be held against.
    """

    name: Name
    text: str = Field(min_length=1, max_length=300)
    about: Literal["prompt", "source", "reference"]


class Case(Section):
    """One edit, by several methods.

    Args:
        name: of the case.
        prompt: what the edit should show; without one, questions about it are not asked.
        source: its clip.
        reference: its clip.
        results: each method's clip.
    """

    name: Name
    prompt: str | None = Field(None, min_length=1, max_length=1000)
    source: ClipName
    reference: ClipName
    results: dict[Name, ClipName]


def write_consent(contact: str) -> str:
    """A consent text to start from.

    Args:
        contact: who is responsible for the study and how to reach them.
    """
    return CONSENT.replace("{contact}", contact.strip().rstrip("."))


def paper_questions(reference: str = "reference skeletons video") -> tuple[Question, ...]:
    """The three questions of the paper's section IV.C.

    Args:
        reference: what people see of the motion; the paper showed skeletons.
    """
    return (
        Question(name="text", text="Which is more aligned to the text prompt?", about="prompt"),
        Question(name="content", text="Which is more content aligned to the source video?", about="source"),
        Question(name="motion", text=f"Which is more motion aligned to the {reference}?", about="reference"),
    )


class Study(Section):
    """A whole study.

    Args:
        title: of the page.
        consent: what participants agree to; empty lines part paragraphs.
        thanks: what they read at the end.
        seed: of every participant's shuffle.
        ours: the method that the others are compared with.
        settings: that our results were made with: preset and base, for the report; None where nobody knows.
        reference_title: stands over the reference.
        questions: asked of every comparison.
        cases: the edits.
        comparisons_per_person: how many each participant sees; None: all.
        most_participants: no more may begin.
        fewest_seconds: whose median comparison takes less is marked as too fast.
        straight_line: who answers at least so many comparisons with one side throughout is marked.
    """

    title: str = Field(min_length=1, max_length=200)
    consent: str = Field(min_length=1, max_length=20_000)
    thanks: str = Field(THANKS, max_length=2000)
    seed: int = Field(33, ge=0, lt=2**63)
    ours: Name
    settings: str | None = Field(None, max_length=2000)
    reference_title: str = Field("Reference skeletons video", max_length=60)
    questions: tuple[Question, ...] = Field(paper_questions(), min_length=1, max_length=20)
    cases: tuple[Case, ...] = Field(min_length=1, max_length=5000)
    comparisons_per_person: int | None = Field(None, ge=1)
    most_participants: int = Field(10_000, ge=1)
    fewest_seconds: float = Field(3.0, ge=0)
    straight_line: int = Field(6, ge=2)

    @model_validator(mode="after")
    def _belong_together(self) -> "Study":
        for what, names in (("questions", self.questions), ("cases", self.cases)):
            if len({each.name for each in names}) < len(names):
                raise ValueError(f"expected {what} of different names")
        if lacking := [case.name for case in self.cases if self.ours not in case.results]:
            raise ValueError(f"expected a result of '{self.ours}' in every case, {', '.join(lacking)} have none")
        if not self.comparisons:
            raise ValueError(f"expected a result of another method than '{self.ours}' in some case")
        if idle := [case.name for case in self.cases if not self.asked_of(case)]:
            raise ValueError(f"expected a question for every case, {', '.join(idle)} have none: give them prompts")
        return self

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """Every case with every other method that has a result in it, by their names."""
        return tuple((case.name, method) for case in self.cases for method in case.results if method != self.ours)

    @property
    def clips(self) -> frozenset[str]:
        """Names of all clips."""
        return frozenset(clip for case in self.cases for clip in (case.source, case.reference, *case.results.values()))

    @property
    def identity(self) -> str:
        """A digest of everything that decides what answers mean; texts around the questions may change."""
        meaning = self.model_dump(mode="json", include={"seed", "ours", "questions", "cases", "comparisons_per_person"})
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def case(self, name: str) -> Case:
        """The case of this name."""
        return next(case for case in self.cases if case.name == name)

    def asked_of(self, case: Case) -> tuple[Question, ...]:
        """The questions that make sense of a case: one about the prompt needs a prompt."""
        return tuple(question for question in self.questions if question.about != "prompt" or case.prompt)


def digest_file(path: Path) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


def save_study(folder: Path, study: Study) -> None:
    """Writes ``study.yaml``, whole or not at all."""
    write_text(folder / FILE, dump_config(study))


def parse_study(values: Mapping[str, Any], place: str) -> Study:
    """The study that nested values describe.

    Args:
        values: as ``study.yaml`` has them.
        place: where they come from, for the error.

    Raises:
        ConfigError: they do not describe a study.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{place}: {explain(error)}") from None


def load_study(folder: Path) -> Study:
    """The study of a folder, its every clip checked.

    Raises:
        ConfigError: ``study.yaml`` is absent or does not describe a study.
        InputError: a clip is absent, empty, larger than 256 MiB, or not what it was when the study was made.
    """
    path = folder / FILE
    study = parse_study(load_config(path), str(path))
    for name in sorted(study.clips):
        _check_clip(folder / CLIPS / name)
    return study


def _check_clip(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"expected a clip at {path}, there is none: bring it back, or make the study again")
    size = path.stat().st_size
    if not 0 < size <= LARGEST_CLIP:
        raise InputError(f"expected a clip of 1 byte to {LARGEST_CLIP >> 20} MiB, {path} has {size} bytes")
    if digest_file(path) != path.stem:
        raise InputError(f"{path} is not the clip that the study was made with: bring it back, or make the study again")
