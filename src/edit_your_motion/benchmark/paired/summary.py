"""What the cells of a paired benchmark say together: means, intervals, differences; tables and sheets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, UInt8

from edit_your_motion.benchmark.cells import load_cells
from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.methods.catalogue import in_order
from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.benchmark.paired.run import Failure
from edit_your_motion.benchmark.paired.scores import PAIRED_METRICS
from edit_your_motion.benchmark.settings import list_settings
from edit_your_motion.benchmark.sheets import CELL_HEIGHT, write_sheet
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import Interval, PairedDifference, bootstrap_mean, compare_paired
from edit_your_motion.metrics.bootstrap import draw_samples
from edit_your_motion.people.preview import contact_sheet, write_picture
from edit_your_motion.storage.files import write_json, write_text
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.video import Fit, fit_frame

OURS = "edit-your-motion"

COLUMNS = (
    "psnr", "ssim", "lpips", "mae", "person_psnr", "person_lpips", "background_psnr",
    "uncovered_psnr", "silhouette", "colours", "head_lpips", "pck", "pck_truth", "flicker",
)  # fmt: skip
"""The scores that the Markdown table shows; the JSON has all."""

SHARES = ("pck", "pck_truth")
"""Pose scores that are also given as a share of what the people backend reaches on the truth."""

FEWEST_PAIRS = 8
"""Below so many pairs a bootstrap interval is too narrow to call a difference by."""

SHEET_PAIRS = 12
"""Most pairs on the overview."""

Scores: TypeAlias = Mapping[str, Mapping[str, float]]
"""Value by pair, by name of the score, of one method."""


@dataclass(frozen=True)
class Estimate:
    """A mean over pairs.

    Args:
        value: the mean.
        interval: of the mean; None for a single pair.
        pairs: how many are behind it.
    """

    value: float
    interval: Interval | None
    pairs: int


@dataclass(frozen=True)
class MethodSummary:
    """One method over all its pairs.

    Args:
        name: of the method.
        pairs: how many it was run on.
        scores: by name, see `PAIRED_METRICS`.
        differences: of each score to the chosen method's, this one minus that one, on the pairs of both; only of
            scores that two pairs or more share.
        pose_shares: each of `SHARES` as a share of the people backend's own accuracy on the truth's frames.
        gaps: pairs without a score, by the score's name.
    """

    name: str
    pairs: int
    scores: Mapping[str, Estimate]
    differences: Mapping[str, PairedDifference]
    pose_shares: Mapping[str, Estimate]
    gaps: Mapping[str, int]


@dataclass(frozen=True)
class Summary:
    """A whole benchmark.

    Args:
        methods: in the order of the tables.
        against: the method that differences are taken to.
        pairs: names of the pairs that any method has.
        failures: cells that could not be made.
        settings: presets and bases, in a line.
    """

    methods: tuple[MethodSummary, ...]
    against: str
    pairs: tuple[str, ...]
    failures: tuple[Failure, ...]
    settings: str


def summarise(folder: Path, against: str = OURS, confidence: float = 0.95) -> Summary:
    """The means of every method's scores, their bootstrap intervals over pairs, and differences pair by pair.

    Args:
        folder: of `run_paired`.
        against: the method that the others are compared with.
        confidence: of the intervals, in (0, 1).

    Raises:
        InputError: there are no cells, one is damaged, or they are of several bases or settings of the benchmark.
    """
    cells = list(load_cells(folder).values())
    values: dict[str, dict[str, dict[str, float]]] = {}
    gaps: dict[str, dict[str, int]] = {}
    for cell in cells:
        of_method = values.setdefault(cell.method, {})
        for name, value in cell.scores.items():
            of_method.setdefault(name, {})[cell.pair] = value
        missing = gaps.setdefault(cell.method, {})
        for name in cell.gaps:
            missing[name] = missing.get(name, 0) + 1
    order = in_order(values)
    backend = values.get("truth", {}).get("pck_truth", {})
    methods = tuple(
        MethodSummary(
            name=name,
            pairs=sum(cell.method == name for cell in cells),
            scores={score: estimate_mean(of_pair, confidence) for score, of_pair in values[name].items()},
            differences={} if name == against else _compare(values[name], values.get(against, {}), confidence),
            pose_shares={
                score: share
                for score in SHARES
                if (share := _share(values[name].get(score, {}), backend, confidence)) is not None
            },
            gaps=gaps[name],
        )
        for name in order
    )
    pairs = {cell.pair for cell in cells}
    settings = list_settings({name: [cell.settings for cell in cells if cell.method == name] for name in order})
    return Summary(methods, against, tuple(_in_order(pairs)), load_failures(folder), settings)


def write_summary(folder: Path, summary: Summary) -> None:
    """Writes ``table.md`` and ``table.json``."""
    write_text(folder / "table.md", format_summary(summary))
    document = {**asdict(summary), "conventions": {name: asdict(metric) for name, metric in PAIRED_METRICS.items()}}
    write_json(folder / "table.json", document)


def format_summary(summary: Summary) -> str:
    """The summary as Markdown."""
    names = [name for name in COLUMNS if any(name in method.scores for method in summary.methods)]
    titles = [f"{name} {'↑' if PAIRED_METRICS[name].better == 'higher' else '↓'}" for name in names]
    means = [
        [method.name, str(method.pairs), *(_text(method.scores.get(name)) for name in names)]
        for method in summary.methods
    ]
    shares = [
        [method.name, *(_text(method.pose_shares.get(name), percent=True) for name in SHARES)]
        for method in summary.methods
        if method.pose_shares
    ]
    differences = [
        [method.name, *(format_difference(method.differences.get(name)) for name in names)]
        for method in summary.methods
        if method.differences
    ]
    parts = [
        "# The paired benchmark",
        f"{len(summary.pairs)} pairs. {summary.settings} Mean [bootstrap interval over pairs]; — is a gap.",
        format_table(["method", "pairs", *titles], means),
        "## Pose accuracy as a share of the people backend's own on the truth",
        format_table(["method", *SHARES], shares),
        f"## Differences to {summary.against}",
        f"Method minus {summary.against} on the pairs of both; **bold** where the interval over at least "
        f"{FEWEST_PAIRS} pairs excludes 0.",
        format_table(["method", *titles], differences),
        "## Conventions",
        "\n".join(f"- `{name}`: {PAIRED_METRICS[name].convention}" for name in names),
    ]
    missing = [
        f"- {method.name}: {name} on {count} pairs"
        for method in summary.methods
        for name, count in method.gaps.items()
        if name in COLUMNS
    ]
    missing += [f"- {failure.method}, {failure.pair}: {failure.error}" for failure in summary.failures]
    if missing:
        parts += ["## Gaps and failures", "\n".join(missing)]
    return "\n\n".join(parts) + "\n"


def write_sheets(folder: Path) -> None:
    """Writes ``sheets/PAIR.png`` for each pair, and ``overview.png``: the middle frame of up to 12 pairs.

    Args:
        folder: of `run_paired`.

    Raises:
        InputError: there are no cells.
    """
    pairs = _in_order({place.name for place in load_cells(folder)})
    middles: dict[str, dict[str, UInt8[np.ndarray, "h w 3"]]] = {}
    for pair in pairs:
        for label, frames in write_sheet(folder, folder / "pairs" / pair, pair):
            middles.setdefault(label, {})[pair] = frames[len(frames) // 2]
    shown = pairs[:SHEET_PAIRS]
    height, width = middles["truth"][shown[0]].shape[:2]
    black = np.zeros((height, width, 3), np.uint8)
    overview = [(label, _stack([of_pair.get(pair, black) for pair in shown])) for label, of_pair in middles.items()]
    write_picture(folder / "overview.png", contact_sheet(overview, SHEET_PAIRS, cell_height=CELL_HEIGHT))


def _stack(frames: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "f h w 3"]:
    """The frames, brought to the first one's size."""
    height, width = frames[0].shape[:2]
    return np.stack([fit_frame(frame, Fit(height, width)) for frame in frames])


def _in_order(pairs: set[str]) -> list[str]:
    return [*(name for name in PAIRS if name in pairs), *sorted(pairs - PAIRS.keys())]


def estimate_mean(of_pair: Mapping[str, float], confidence: float) -> Estimate:
    """The mean over pairs and its bootstrap interval; none for a single pair."""
    values = np.array(list(of_pair.values()))
    interval = bootstrap_mean(values, confidence) if len(values) > 1 else None
    return Estimate(float(values.mean()), interval, len(values))


def _compare(ours: Scores, theirs: Scores, confidence: float) -> dict[str, PairedDifference]:
    differences = {}
    for name in ours.keys() & theirs.keys():
        common = sorted(ours[name].keys() & theirs[name].keys())
        if len(common) > 1:
            left, right = (np.array([scores[name][pair] for pair in common]) for scores in (ours, theirs))
            differences[name] = compare_paired(left, right, confidence)
    return {name: differences[name] for name in PAIRED_METRICS if name in differences}


def _share(of_pair: Mapping[str, float], backend: Mapping[str, float], confidence: float) -> Estimate | None:
    """The ratio of means of two scores, with the percentile interval over pairs; None without a pair of both."""
    common = sorted(of_pair.keys() & backend.keys())
    ours, theirs = (np.array([scores[pair] for pair in common]) for scores in (of_pair, backend))
    if not common or not theirs.all():
        return None

    def ratios(drawn: np.ndarray) -> Float64[np.ndarray, " resamples"]:
        return ours[drawn].mean(axis=1) / theirs[drawn].mean(axis=1)

    interval = None
    if len(common) > 1:
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(draw_samples(len(common), 10_000, 0, ratios), tails)
        interval = Interval(float(low), float(high), confidence)
    return Estimate(float(ours.mean() / theirs.mean()), interval, len(common))


def load_failures(folder: Path) -> tuple[Failure, ...]:
    """The cells of a benchmark that could not be made.

    Raises:
        InputError: the file of one is damaged.
    """
    return tuple(_load_failure(path) for path in sorted(folder.glob("*/*/failure.json")))


def _load_failure(path: Path) -> Failure:
    try:
        return Failure(**parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"expected a failure of the paired benchmark at {path}, got {error!r}: delete it") from error


def _text(estimate: Estimate | None, *, percent: bool = False) -> str:
    if estimate is None:
        return "—"
    factor, ending = (100, " %") if percent else (1, "")
    text = f"{_number(factor * estimate.value)}{ending}"
    if (interval := estimate.interval) is not None:
        text += f" [{_number(factor * interval.low)}, {_number(factor * interval.high)}]"
    return text


def format_difference(difference: PairedDifference | None) -> str:
    """A difference with its interval, bold where enough pairs tell it from 0."""
    if difference is None:
        return "—"
    low, high = difference.interval.low, difference.interval.high
    text = f"{difference.difference:+.3g} [{low:+.3g}, {high:+.3g}]"
    return f"**{text}**" if difference.clips >= FEWEST_PAIRS and (low > 0 or high < 0) else text


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"
