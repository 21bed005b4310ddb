"""The report of a user study, as `eym study report` writes it, read for Table VI."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.benchmark.documents import read_document
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import Interval


@dataclass(frozen=True)
class Preference:
    """Eq. 18 for one question against one method.

    Args:
        score: the share of answers for ours, in [0, 1].
        interval: of the score.
        participants: who answered it.
    """

    score: float
    interval: Interval
    participants: int


@dataclass(frozen=True)
class StudyScores:
    """A whole study.

    Args:
        path: of the report.
        title: of the study.
        participants: who answered anything.
        marked: how many of them were marked as doubtful; their answers count here as everybody's do.
        scores: by method, by name of the question.
        settings: that our edits were made with; None where nobody said.
    """

    path: Path
    title: str
    participants: int
    marked: int
    scores: Mapping[str, Mapping[str, Preference]]
    settings: str | None


def read_study(path: Path) -> StudyScores:
    """The scores of everybody in a report.

    Raises:
        InputError: it is no such report.
    """
    content = read_document(path, "a report of 'eym study report'")
    try:
        scores: dict[str, dict[str, Preference]] = {}
        for each in content["everybody"]["scores"]:
            of_method = scores.setdefault(str(each["method"]), {})
            if each["score"] is not None:
                interval = Interval(**each["interval"])
                of_method[str(each["question"])] = Preference(float(each["score"]), interval, int(each["participants"]))
        participants = int(content["everybody"]["participants"])
        marked = max(0, participants - int(content["unmarked"]["participants"]))
        settings = content.get("settings")
        return StudyScores(path, str(content["title"]), participants, marked, scores, settings and str(settings))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"expected a report of 'eym study report' at {path}, got {error!r}") from error


def is_study(path: Path) -> bool:
    """Whether the path is such a report, or a folder with one, by its name."""
    return (path / "report.json").is_file() or (path.suffix == ".json" and path.is_file())
