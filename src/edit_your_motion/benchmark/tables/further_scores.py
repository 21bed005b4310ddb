"""What a benchmark's cells do not hold: distances over all clips, and what `eym evaluate` found in a method's clips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.documents import read_document
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import MetricGap, Report

POOLED = "pooled.json"
"""In a method's folder: distances that a data set's benchmark took over all clips at once."""

EVALUATION = "evaluation"
"""In a method's folder: the output of ``eym evaluate`` on it."""


@dataclass(frozen=True)
class Distance:
    """One number for all clips of a method: its value, how many clips, and the file that says so."""

    value: float
    clips: int
    path: Path


@dataclass(frozen=True)
class FurtherScores:
    """What stands beside a method's cells.

    Args:
        scores: value by clip, by name of the score.
        distances: by name of the score.
        gaps: what could not be measured, by its name.
        path: of the evaluation's report; None without one.
        created: when it was made, ISO 8601, UTC; "" where it does not say so.
    """

    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    distances: Mapping[str, Distance] = field(default_factory=dict)
    gaps: Mapping[str, MetricGap] = field(default_factory=dict)
    path: Path | None = None
    created: str = ""


def read_further(folder: Path, clips: Sequence[str]) -> FurtherScores:
    """What stands beside the cells in a method's folder.

    Args:
        folder: of the method.
        clips: names of its cells; others are passed over.

    Raises:
        InputError: a file is damaged.
    """
    distances, gaps = _read_pooled(folder / POOLED)
    report = folder / EVALUATION / "report.json"
    if not report.is_file():
        return FurtherScores({}, distances, gaps)
    content = read_document(report, "a report of 'eym evaluate'")
    reports, evaluated = _read_evaluation(report, content, clips)
    scores: dict[str, dict[str, float]] = {}
    for clip, single in reports.items():
        for name, value in single.values.items():
            scores.setdefault(name, {})[clip] = value
        gaps |= {gap.name: gap for gap in single.gaps}
    return FurtherScores(scores, {**evaluated, **distances}, gaps, report, str(content.get("created", "")))


def _read_pooled(path: Path) -> tuple[dict[str, Distance], dict[str, MetricGap]]:
    if not path.is_file():
        return {}, {}
    content = read_document(path, "pooled distances of a benchmark")
    try:
        results: list[dict[str, Any]] = content["results"]
        clips = len(content["cases"])
        values = {str(each["name"]): Distance(float(each["value"]), clips, path) for each in results if "value" in each}
        gaps = {str(each["name"]): MetricGap(**each) for each in results if "value" not in each}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"expected pooled distances of a benchmark at {path}, got {error!r}: delete it") from error
    return values, gaps


def _read_report(path: Path) -> Report:
    return Report.from_json(json.dumps(read_document(path, "a report of 'eym evaluate'")))  # read within bounds


def _read_evaluation(
    path: Path, content: Mapping[str, Any], clips: Sequence[str]
) -> tuple[dict[str, Report], dict[str, Distance]]:
    """The report of each clip, and the distances over all of them."""
    if "results" in content:  # of a single clip
        return dict.fromkeys(clips[:1], _read_report(path)), {}
    singles = {clip: path.parent / "clips" / f"{clip}.json" for clip in clips}
    reports = {clip: _read_report(single) for clip, single in singles.items() if single.is_file()}
    try:
        averaged = {name for report in reports.values() for name in report.values}
        distances = {
            str(each["name"]): Distance(float(each["value"]), int(each["clips"]), path)
            for each in content["summary"]
            if each["name"] not in averaged
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"expected a report of 'eym evaluate' at {path}, got {error!r}: delete it") from error
    return reports, distances
