"""What the cells of a data set's benchmark say together: means over cases, pooled distances, tables and sheets."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edit_your_motion.benchmark.cells import CellRecord, load_cells
from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.evaluation.report import format_value
from edit_your_motion.benchmark.evaluation.subjects import stream
from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.methods.catalogue import in_order
from edit_your_motion.benchmark.paired.summary import Estimate, estimate_mean, load_failures
from edit_your_motion.benchmark.pooling import pool_distances
from edit_your_motion.benchmark.settings import Settings, list_settings
from edit_your_motion.benchmark.sheets import write_sheet
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.metrics import METRICS, FeatureNetworks, MetricGap, MetricValue
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_json, write_text
from edit_your_motion.video import probe

POOLED = "pooled.json"
"""In a method's folder: distances between all its edits and all truths, and what they were taken over."""


@dataclass(frozen=True)
class DatasetMethod:
    """One method over all its cases.

    Args:
        name: of the method.
        cases: their names.
        scores: mean and interval over cases, by name of the metric.
        pooled: distances between all edits and all truths.
        gaps: how many cases lack a score, by its name and the reason.
        notes: what a reader has to know besides.
        settings: what its edits were made with.
    """

    name: str
    cases: tuple[str, ...]
    scores: dict[str, Estimate]
    pooled: tuple[MetricValue | MetricGap, ...]
    gaps: dict[tuple[str, str], int]
    notes: tuple[str, ...]
    settings: tuple[Settings | None, ...]


def summarise_dataset(folder: Path, config: DatasetConfig, progress: Progress) -> tuple[DatasetMethod, ...]:
    """The means of every method's scores over its cases, and its pooled distances, which go to ``METHOD/pooled.json``.

    Args:
        folder: of `run_dataset`.
        config: where the networks of the pooled distances are.
        progress: is told how far these are.

    Raises:
        InputError: there are no cells, one is damaged, or they are of several bases or settings of the benchmark.
    """
    cells: dict[str, list[CellRecord]] = {}
    for cell in load_cells(folder).values():
        cells.setdefault(cell.method, []).append(cell)
    return tuple(_summarise(folder, name, cells[name], config, progress) for name in in_order(cells))


def write_dataset_summary(folder: Path, methods: Sequence[DatasetMethod], split: str) -> None:
    """Writes ``table.md`` and ``table.json``."""
    write_text(folder / "table.md", format_dataset_summary(folder, methods, split))
    document = {
        "split": split,
        "methods": [
            {**asdict(method), "gaps": [{"name": n, "reason": r, "cases": c} for (n, r), c in method.gaps.items()]}
            for method in methods
        ],
        "failures": [asdict(failure) for failure in load_failures(folder)],
        "conventions": {name: {"better": each.better, "convention": each.convention} for name, each in METRICS.items()},
    }
    write_json(folder / "table.json", document)


def format_dataset_summary(folder: Path, methods: Sequence[DatasetMethod], split: str) -> str:
    """The summary as Markdown."""
    distances = {method.name: _values(method.pooled) for method in methods}
    names = [
        name for name in METRICS
        if any(name in method.scores or name in distances[method.name] for method in methods)
    ]  # fmt: skip
    rows = [
        [method.name, str(len(method.cases)), *(_text(method, distances[method.name], name) for name in names)]
        for method in methods
    ]
    titles = [f"{name} {'↑' if METRICS[name].better == 'higher' else '↓'}" for name in names]
    parts = [
        "# Benchmark on a data set",
        f"{split}\n\n{_describe_edits(folder)} {list_settings({method.name: method.settings for method in methods})}",
        "Mean [bootstrap interval over cases]; distances are over all cases at once; — is a gap.",
        format_table(["method", "cases", *titles], rows),
        "## Conventions",
        "\n".join(f"- `{name}`: {METRICS[name].convention}" for name in names),
    ]
    missing = _list_gaps(methods)
    missing += [f"- {method.name}: {note}" for method in methods for note in method.notes]
    missing += [f"- {failure.method}, {failure.pair}: {failure.error}" for failure in load_failures(folder)]
    if missing:
        parts += ["## Gaps, notes and failures", "\n".join(missing)]
    return "\n\n".join(parts) + "\n"


def _describe_edits(folder: Path) -> str:
    """Frames and resolutions of the edits, as their files have them."""
    clips = {probe(path) for path in folder.glob("*/*/edited.mp4")}
    frames, sizes = sorted({clip.frames or 0 for clip in clips}), sorted({(clip.width, clip.height) for clip in clips})
    counts = " or ".join(map(str, frames))
    return f"Edits of {counts} frames of {' or '.join(f'{width}x{height}' for width, height in sizes)}."


def _list_gaps(methods: Sequence[DatasetMethod]) -> list[str]:
    """A line for each reason: the metrics that it concerns, and the methods with how many cases."""
    concerned: dict[str, tuple[dict[str, None], dict[str, int]]] = {}
    for method in methods:
        for (name, reason), count in method.gaps.items():
            names, cases = concerned.setdefault(reason, ({}, {}))
            names[name] = None
            cases[method.name] = max(count, cases.get(method.name, 0))
    lines = []
    for reason, (names, cases) in concerned.items():
        everywhere = cases == {method.name: len(method.cases) for method in methods}
        where = "everywhere" if everywhere else ", ".join(f"{name} ({count} cases)" for name, count in cases.items())
        lines.append(f"- {', '.join(names)}, {where}: {reason}")
    return lines


def write_dataset_sheets(folder: Path) -> None:
    """Writes ``sheets/CASE.png``: source, reference, truth if it is known, and every method's edit."""
    for case in sorted({place.name for place in load_cells(folder)}):
        write_sheet(folder, folder / "cases" / case, case)


def _summarise(
    folder: Path, name: str, cells: Sequence[CellRecord], config: DatasetConfig, progress: Progress
) -> DatasetMethod:
    values: dict[str, dict[str, float]] = {}
    gaps: dict[tuple[str, str], int] = {}
    for cell in cells:
        for metric, value in cell.scores.items():
            values.setdefault(metric, {})[cell.pair] = value
        for metric, reason in cell.gaps.items():
            gaps[metric, reason] = gaps.get((metric, reason), 0) + 1
    pooled = _pool(folder, name, [cell.pair for cell in cells], config, progress)
    for result in pooled:
        if isinstance(result, MetricGap):
            gaps[result.name, f"{result.reason} ({result.remedy})"] = len(cells)
    scores = {metric: estimate_mean(of_case, 0.95) for metric, of_case in values.items()}
    notes = tuple(dict.fromkeys(note for cell in cells for note in cell.notes))
    settings = tuple(cell.settings for cell in cells)
    return DatasetMethod(name, tuple(cell.pair for cell in cells), scores, pooled, gaps, notes, settings)


def _pool(
    folder: Path, method: str, cases: Sequence[str], config: DatasetConfig, progress: Progress
) -> tuple[MetricValue | MetricGap, ...]:
    """Distances between a method's edits and the truths, as the files have them."""
    truths = {case: folder / "cases" / case / "truth.mp4" for case in cases}
    pairs = [
        (stream(Clip(folder / method / case / "edited.mp4")), stream(Clip(truth)))
        for case, truth in truths.items()
        if truth.is_file()
    ]
    pooled = pool_distances(pairs, FeatureNetworks(**dict(config.networks)), config.clip_stride, progress)
    content = {"cases": list(cases), "clip_stride": config.clip_stride, "results": [asdict(each) for each in pooled]}
    write_json(folder / method / POOLED, content)
    return pooled


def _values(pooled: Sequence[MetricValue | MetricGap]) -> dict[str, float]:
    return {result.name: result.value for result in pooled if isinstance(result, MetricValue)}


def _text(method: DatasetMethod, distances: dict[str, float], name: str) -> str:
    if name in distances:
        return format_value(distances[name], None)
    estimate = method.scores.get(name)
    return "—" if estimate is None else format_value(estimate.value, estimate.interval)
