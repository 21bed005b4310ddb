"""What an evaluation found, on disk and as a table: each number with its convention, resolution, frames and clips."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edit_your_motion import __version__
from edit_your_motion.benchmark.evaluation.run import SetReport
from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.provenance import commit_of_package
from edit_your_motion.metrics import METRICS, Interval, MetricGap, MetricValue, Report, bootstrap_mean
from edit_your_motion.metrics.report import Better
from edit_your_motion.storage.files import write_json, write_text


@dataclass(frozen=True)
class SetValue:
    """One metric over all clips.

    Args:
        name: of the metric.
        value: the mean of the clips' values, each clip counting the same; or the distance between all of them.
        interval: bootstrap interval of the mean over clips; None for one clip, for infinities and for distances.
        better: which direction is better.
        convention: how it was computed, in one line.
        clips: how many have a value.
        count: how many `of` stand behind it.
        of: "frames", "pairs of frames", "clips" …
        notes: what a reader has to know besides.
    """

    name: str
    value: float
    interval: Interval | None
    better: Better
    convention: str
    clips: int
    count: int
    of: str
    notes: tuple[str, ...] = ()


def summarise_set(report: SetReport) -> tuple[SetValue, ...]:
    """The mean of each metric over the clips that have it, and the pooled distances, in the catalogue's order."""
    found: dict[str, list[MetricValue]] = {}
    for single in report.reports.values():
        for result in single.results:
            if isinstance(result, MetricValue):
                found.setdefault(result.name, []).append(result)
    summary = {name: _average(measured) for name, measured in found.items()}
    for result in report.pooled:
        if isinstance(result, MetricValue):
            summary[result.name] = replace(_average([result]), clips=len(report.reports))
    return tuple(summary[name] for name in METRICS if name in summary)


def _average(measured: Sequence[MetricValue]) -> SetValue:
    """One metric's values of several clips as one."""
    first, values = measured[0], np.array([result.value for result in measured])
    return SetValue(
        name=first.name,
        value=float(values.mean()),
        interval=bootstrap_mean(values) if len(values) > 1 and np.isfinite(values).all() else None,
        better=first.better,
        convention=first.convention,
        clips=len(values),
        count=sum(result.count for result in measured),
        of=first.of,
        notes=tuple(dict.fromkeys(note for result in measured for note in result.notes)),
    )


def write_set_report(folder: Path, report: SetReport) -> None:
    """Writes ``report.json`` and ``table.md``; of many clips also ``clips/NAME.json`` with the report of each.

    Of a single clip ``report.json`` is a `Report`, which `Report.from_json` reads back; of many it has the summary,
    the pooled distances, the gaps and the failures.
    """
    for name, single in report.reports.items() if len(report.reports) > 1 or report.failures else ():
        _write_report(folder / "clips" / f"{name}.json", single)
    write_text(folder / "table.md", format_set(report))
    if len(report.reports) == 1 and not report.failures:
        (single,) = report.reports.values()
        _write_report(folder / "report.json", single)
        return
    gaps = _gaps(report)
    document: dict[str, Any] = {
        "clips": list(report.reports),
        "split": report.split,
        "settings": report.settings,
        "resolutions": list(_resolutions(report.reports.values())),
        "frames": [each.frames for each in report.reports.values()],
        "summary": [_finite(asdict(value)) for value in summarise_set(report)],
        "gaps": [{"name": name, "reason": reason, "clips": clips} for (name, reason), clips in gaps.items()],
        "failures": dict(report.failures),
        "version": __version__,
        "commit": commit_of_package(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_json(folder / "report.json", document)


def format_set(report: SetReport) -> str:
    """The report as Markdown."""
    reports = report.reports
    summary = summarise_set(report)
    frames = sorted({each.frames for each in reports.values()})
    counted = f"{frames[0]}" if len(frames) == 1 else f"{frames[0]} to {frames[-1]}"
    clips = f"{len(reports)} clip{'s' if len(reports) > 1 else ''} of {counted} frames"
    facts = [
        f"{clips}, {', '.join(_resolutions(reports.values()))}.",
        f"Split: {report.split or 'not stated'}",
        report.settings,
    ]
    rows = [_row(value) for value in summary]
    parts = [
        "# Evaluation",
        "\n".join(facts),
        format_table(["metric", "value", "of", "clips", "convention"], rows),
    ]
    if len(reports) > 1:
        parts[-1] += "\n\nMean over clips [bootstrap interval of it]; distances are between all clips at once."
        parts += ["## Clips", _format_clips(reports, [value.name for value in summary])]
    if gaps := _gaps(report):
        lines = [f"- {name}: {reason}" + _of(clips, reports) for (name, reason), clips in gaps.items()]
        parts += ["## Not measured", "\n".join(lines)]
    if report.failures:
        parts += ["## Failed", "\n".join(f"- {name}: {why}" for name, why in report.failures.items())]
    return "\n\n".join(parts) + "\n"


def _row(value: SetValue) -> list[str]:
    name = f"{value.name} {'↑' if value.better == 'higher' else '↓'}"
    convention = "; ".join((value.convention, *value.notes))
    number = format_value(value.value, value.interval)
    return [name, number, f"{value.count} {value.of}", str(value.clips), convention]


def _format_clips(reports: Mapping[str, Report], names: Sequence[str]) -> str:
    shown = [name for name in names if any(name in report.values for report in reports.values())]
    rows = []
    for clip, report in reports.items():
        values = [format_value(report.values[name], None) if name in report.values else "—" for name in shown]
        rows.append([clip, f"{report.frames}", f"{report.width}x{report.height}", *values])
    return format_table(["clip", "frames", "size", *shown], rows)


def _gaps(report: SetReport) -> dict[tuple[str, str], list[str]]:
    """The clips that lack a metric, by its name and the reason with its remedy."""
    gaps: dict[tuple[str, str], list[str]] = {}
    for clip, single in report.reports.items():
        for gap in single.gaps:
            gaps.setdefault((gap.name, f"{gap.reason} ({gap.remedy})"), []).append(clip)
    for result in report.pooled:
        if isinstance(result, MetricGap):
            gaps[result.name, f"{result.reason} ({result.remedy})"] = list(report.reports)
    return gaps


def _of(clips: Sequence[str], reports: Mapping[str, Report]) -> str:
    return "" if len(clips) == len(reports) else f"; in {', '.join(clips)}"


def _resolutions(reports: Iterable[Report]) -> tuple[str, ...]:
    """Resolutions of the clips, and what they were resized to for the comparison with the truth."""
    found: dict[str, None] = {}
    for each in reports:
        text = f"{each.width}x{each.height}"
        if (each.measured_width, each.measured_height) != (each.width, each.height):
            text += f" measured at {each.measured_width}x{each.measured_height}"
        found[text] = None
    return tuple(found)


def _write_report(path: Path, report: Report) -> None:
    write_text(path, report.to_json())


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    number = value["value"]
    return value if math.isfinite(number) else {**value, "value": str(number)}


def format_value(value: float, interval: Interval | None) -> str:
    """A number and, where there is one, its interval: "0.813 [0.802, 0.824]", "2.81e-05"."""
    return _number(value) + (f" [{_number(interval.low)}, {_number(interval.high)}]" if interval else "")


def _number(value: float) -> str:
    if value and abs(value) < 1e-2:
        return f"{value:.2e}"
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"
