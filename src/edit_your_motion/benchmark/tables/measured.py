"""What folders of benchmarks hold, as tables need it: values of every method and clip, and the run behind each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from edit_your_motion.benchmark.cells import CellRecord, load_cells
from edit_your_motion.benchmark.methods.catalogue import in_order
from edit_your_motion.benchmark.paired.scores import PAIRED_METRICS
from edit_your_motion.benchmark.paired.summary import Failure, load_failures
from edit_your_motion.benchmark.settings import Settings
from edit_your_motion.benchmark.tables.further_scores import Distance, FurtherScores, read_further
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import METRICS
from edit_your_motion.metrics.published import PublishedColumn

Kind: TypeAlias = Literal["paired", "sweep", "tiktok", "wild", "cases"]
"""Which data a folder was measured on; a sweep is measured on the paired benchmark's."""

STAND_INS: Mapping[str, tuple[str, ...]] = {
    "lpips_vgg16_unit_range": ("lpips_vgg16", "lpips_alexnet", "lpips"),
}
"""What may stand in a column in the place of its own metric, the nearest first; the table says so."""


@dataclass(frozen=True)
class Run:
    """What stands behind one value.

    Args:
        folder: of the cell: ``scores.json``, ``config.yaml``, ``edited.mp4``.
        clip: the pair or case.
        config: its configuration file; None where nothing was configured (another program's output).
        seed: of tuning.
        commit: of the code; None where it was not recorded.
        created: when, UTC; None where it was not recorded.
        version: of this package.
        device: what computed.
        base: digest of the base.
        settings: preset, base and what differs; None where they were not recorded.
    """

    folder: Path
    clip: str
    config: Path | None
    seed: int | None
    commit: str | None
    created: str | None
    version: str
    device: str
    base: str
    settings: Settings | None


@dataclass(frozen=True)
class MeasuredMethod:
    """One method over a folder's clips.

    Args:
        name: of the method.
        description: what it is.
        scores: value by clip, by name of the score.
        gaps: why a score is not there, by name of the score.
        runs: by clip.
        distances: numbers for all clips at once, by name.
        evaluation: the report that some of the scores come from; None without one.
        evaluated: their names.
    """

    name: str
    description: str
    scores: Mapping[str, Mapping[str, float]]
    gaps: Mapping[str, str]
    runs: Mapping[str, Run]
    distances: Mapping[str, Distance]
    evaluation: Path | None
    evaluated: frozenset[str]

    def has(self, metric: str) -> bool:
        """Whether there is any value of it."""
        return metric in self.scores or metric in self.distances


@dataclass(frozen=True)
class Measured:
    """One folder of a benchmark.

    Args:
        folder: where it lies.
        kind: of data.
        methods: by name.
        clips: the pairs or cases that any method has.
        frames: of each clip; None where clips differ.
        size: height and width, pixels; None where clips differ.
        split: which clips these are, in words.
        failures: cells that could not be made.
        pictures: sheets to look at, an overview first.
    """

    folder: Path
    kind: Kind
    methods: Mapping[str, MeasuredMethod]
    clips: tuple[str, ...]
    frames: int | None
    size: tuple[int, int] | None
    split: str
    failures: tuple[Failure, ...]
    pictures: tuple[Path, ...]

    def column(self, column: PublishedColumn) -> str | None:
        """The score that stands in a published column here: what most methods have of its own metric and the stand-ins.

        None: nobody has any of them.
        """
        if column.metric is None:
            return None
        names = (column.metric, *STAND_INS.get(column.metric, ()))
        having = {name: sum(method.has(name) for method in self.methods.values()) for name in names}
        best = max(having, key=having.__getitem__)
        return best if having[best] else None


def is_benchmark(folder: Path) -> bool:
    """Whether there are cells in the folder."""
    return any(folder.glob("*/*/scores.json"))


def read_measured(folder: Path) -> Measured:
    """Everything that the cells of a folder say.

    Raises:
        InputError: there are no cells, one is damaged, or they are of several bases or settings.
    """
    cells = load_cells(folder)
    shared = next(iter(cells.values())).request.get("benchmark")
    settings = shared if isinstance(shared, dict) else {}
    kind = _kind_of(cells.values(), settings)
    size = _read_size(settings.get("size"))
    return Measured(
        folder=folder,
        kind=kind,
        methods=_gather_methods(cells, size[0] if size and kind in ("paired", "sweep") else None),
        clips=tuple(dict.fromkeys(cell.pair for cell in cells.values())),
        frames=settings.get("frames"),
        size=size,
        split=_describe_split(kind, settings, len({cell.pair for cell in cells.values()})),
        failures=load_failures(folder),
        pictures=tuple(
            path for path in (folder / "overview.png", *sorted(folder.glob("sheets/*.png"))) if path.is_file()
        ),
    )


def convention_of(metric: str, measured: Measured) -> str:
    """How a score is computed there, in one line."""
    evaluated = any(metric in method.evaluated for method in measured.methods.values())
    if measured.kind in ("paired", "sweep") and metric in PAIRED_METRICS and not evaluated:
        return PAIRED_METRICS[metric].convention
    return METRICS[metric].convention if metric in METRICS else "as its cells say"


def _kind_of(cells: Sequence[CellRecord] | Any, settings: Mapping[str, Any]) -> Kind:
    named = settings.get("dataset", "paired")
    if named == "paired" and all(re.fullmatch(r"[1-9]\d*-[1-9]\d*", cell.method) for cell in cells):
        return "sweep"
    if named not in get_args(Kind):
        raise InputError(f"expected cells of the data {', '.join(get_args(Kind))}; got '{named}'")
    return named


def _read_size(value: Any) -> tuple[int, int] | None:
    """Height and width of "256", 256 or "512x768" (width first); None where clips keep their own."""
    if match := re.fullmatch(r"(\d+)(?:x(\d+))?", str(value)):
        return int(match[2] or match[1]), int(match[1])
    return None


def _describe_split(kind: Kind, settings: Mapping[str, Any], count: int) -> str:
    if kind in ("paired", "sweep"):
        return f"{count} of the held-out pairs of rendered people"
    return str(settings.get("split", "not recorded"))


def _gather_methods(cells: Mapping[Path, CellRecord], side: int | None) -> dict[str, MeasuredMethod]:
    names = {cell.method for cell in cells.values()}
    return {
        name: _gather(name, {at: cell for at, cell in cells.items() if cell.method == name}, side)
        for name in in_order(sorted(names, key=_by_number))
    }


def _gather(name: str, cells: Mapping[Path, CellRecord], side: int | None) -> MeasuredMethod:
    scores: dict[str, dict[str, float]] = {}
    gaps: dict[str, str] = {}
    for cell in cells.values():
        values = dict(cell.scores)
        if side is not None and "mae" in values:
            values.setdefault("l1", values["mae"] / side**2)  # L1's own definition, see metrics.pixel
        for score, value in values.items():
            scores.setdefault(score, {})[cell.pair] = value
        gaps |= cell.gaps
    runs = {cell.pair: _read_run(folder, cell) for folder, cell in cells.items()}
    further = read_further(next(iter(cells)).parent, list(runs))
    if further.created and any(further.created < (run.created or "") for run in runs.values()):
        gaps |= dict.fromkeys(further.scores, f"{further.path} is older than the clips that it measured")
        further = FurtherScores(distances=further.distances)
    return MeasuredMethod(
        name=name,
        description=next(iter(cells.values())).description,
        scores={**further.scores, **scores},
        gaps={**gaps, **{name: gap.reason for name, gap in further.gaps.items()}},
        runs=runs,
        distances={metric: each for metric, each in further.distances.items() if metric not in scores},
        evaluation=further.path,
        evaluated=frozenset(further.scores.keys() - scores.keys()),
    )


def _read_run(folder: Path, cell: CellRecord) -> Run:
    config = folder / "config.yaml"
    runtime = cell.request.get("config", {}).get("runtime", {})
    # Cells from before they were recorded lack commit and date.
    seed, commit, created = (getattr(cell, name, None) for name in ("seed", "commit", "created"))
    return Run(
        folder=folder,
        clip=cell.pair,
        config=config if config.is_file() else None,
        seed=runtime.get("seed") if seed is None else seed,
        commit=commit,
        created=created,
        version=cell.version,
        device=cell.device,
        base=cell.base,
        settings=cell.settings,
    )


def _by_number(name: str) -> tuple[list[int], str]:
    return [int(digits) for digits in re.findall(r"\d+", name)], name
