"""What every data set is read as."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edit_your_motion.datasets.clip import Clip
from edit_your_motion.errors import InputError
from edit_your_motion.storage.names import is_reserved

_NAME = re.compile(r"[\w][\w.+-]*")


@dataclass(frozen=True)
class Case:
    """One edit to be made: a person, a motion, and the truth where it is known.

    Args:
        name: unlike any other of the data set; names folders, so letters, digits, ``_ . + -`` only.
        source: the person to be edited; a single frame is a picture.
        reference: the motion.
        truth: the person of the source truly doing the reference's motion, frame by frame; None if nobody knows.
        prompt: what the source shows.
        edit_prompt: what the edit should show; None: as `prompt`.
    """

    name: str
    source: Clip
    reference: Clip
    truth: Clip | None = None
    prompt: str = ""
    edit_prompt: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def prompts(self) -> tuple[str, str]:
        """Of the source, and of the edit."""
        return self.prompt, self.prompt if self.edit_prompt is None else self.edit_prompt

    def check(self) -> None:
        """Passes where every file is there and long enough; no pixels are decoded.

        Raises:
            InputError: a file is not; names the case and the file.
        """
        for name, clip in (("source", self.source), ("reference", self.reference), ("truth", self.truth)):
            try:
                if clip is not None:
                    clip.check()
            except InputError as error:
                raise type(error)(f"case {self.name}, {name}: {error}") from error


@runtime_checkable
class Dataset(Protocol):
    """Cases, and where their list comes from."""

    @property
    def name(self) -> str:
        """Stands in reports: "TikTok"."""
        ...

    @property
    def split(self) -> str:
        """Which cases these are, who chose them, and how they were cut, in words."""
        ...

    @property
    def cases(self) -> Sequence[Case]:
        """In order; nothing of them is read yet."""
        ...


@dataclass(frozen=True)
class CaseList:
    """A `Dataset` whose files are known to be there.

    Args:
        name: of the data set.
        split: which cases, and their origin.
        cases: at least one, of different names.
    """

    name: str
    split: str
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        if not names or len(set(names)) < len(names):
            raise InputError(f"expected cases of different names in {self.name}, got {', '.join(names) or 'none'}")

    def check(self) -> "CaseList":
        """The same, once all files are seen to be there.

        Raises:
            InputError: one is not.
        """
        for case in self.cases:
            case.check()
        return self


def check_name(name: str) -> str:
    """The name, if it can name a folder.

    Raises:
        InputError: it cannot.
    """
    if not _NAME.fullmatch(name) or len(name) > 200 or is_reserved(name):
        raise InputError(f"expected a name of letters, digits and _ . + -, for any system, got {name!r}: rename it")
    return name
