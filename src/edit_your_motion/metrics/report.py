"""What an evaluation found: values with their conventions, and named gaps where there is none."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from edit_your_motion.errors import InputError
from edit_your_motion.storage.files import write_text
from edit_your_motion.storage.parsing import parse_json

Better: TypeAlias = Literal["lower", "higher"]


@dataclass(frozen=True)
class MetricValue:
    """One number and what it takes to compare it.

    Args:
        name: of the metric, as `evaluate` takes it.
        value: the mean of its per-frame values, or the distance.
        better: which direction is better.
        convention: how it was computed, in one line.
        count: how many `of` stand behind it.
        of: "frames", "pairs of frames", "triples of frames" or "clips".
        notes: what a reader has to know besides (few clips, frames left out).
    """

    name: str
    value: float
    better: Better
    convention: str
    count: int
    of: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricGap:
    """A metric that could not be measured; never a zero.

    Args:
        name: of the metric.
        reason: what was missing.
        remedy: what fills the gap.
    """

    name: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Report:
    """The metrics of one generated video.

    Args:
        results: values and gaps, in the order asked for.
        frames: of the generated video.
        height: of its frames, pixels.
        width: of its frames, pixels.
        measured_height: of the frames that pairwise metrics saw, after `resize_to_truth`.
        measured_width: of the frames that pairwise metrics saw.
        clip_stride: frames between the starts of FID-VID's and FVD's clips.
        prompt: the text behind TA.
        split: which clips of which dataset this belongs to, in words.
    """

    results: tuple[MetricValue | MetricGap, ...]
    frames: int
    height: int
    width: int
    measured_height: int
    measured_width: int
    clip_stride: int = 1
    prompt: str | None = None
    split: str | None = None

    @property
    def values(self) -> dict[str, float]:
        """The measured numbers by metric."""
        return {result.name: result.value for result in self.results if isinstance(result, MetricValue)}

    @property
    def gaps(self) -> tuple[MetricGap, ...]:
        """What could not be measured."""
        return tuple(result for result in self.results if isinstance(result, MetricGap))

    def to_json(self) -> str:
        """The report as strict JSON; an infinite PSNR becomes the string "inf"."""
        document = asdict(self)
        for result in document["results"]:
            if "value" in result and not math.isfinite(result["value"]):
                result["value"] = str(result["value"])
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """The report that `to_json` wrote.

        Raises:
            InputError: not such a document.
        """
        try:
            document = parse_json(text)
            document["results"] = tuple(_read_result(result) for result in document["results"])
            return cls(**document)
        except (ValueError, TypeError, KeyError) as why:
            raise InputError(f"expected a report as `eym evaluate` writes it, but {why}") from why

    def save(self, path: str | Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())


def _read_result(result: dict[str, Any]) -> MetricValue | MetricGap:
    if "value" not in result:
        return MetricGap(**result)
    return MetricValue(**{**result, "value": float(result["value"]), "notes": tuple(result["notes"])})
