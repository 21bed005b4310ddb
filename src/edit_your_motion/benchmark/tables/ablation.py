"""The ablation study (Table IV, Fig. 9): the full method against itself without a part, or decided otherwise."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Literal, TypeAlias

from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.methods.catalogue import METHODS, Method, choose_methods
from edit_your_motion.benchmark.paired.scores import PAIRED_METRICS
from edit_your_motion.benchmark.paired.summary import FEWEST_PAIRS, OURS, MethodSummary, Summary, format_difference
from edit_your_motion.metrics import MetricGap, PairedDifference
from edit_your_motion.metrics.published import load_published
from edit_your_motion.storage.files import write_json, write_text

PARTS = ("without-rca", "without-ma", "without-stl", "without-prompt", "animatediff")
"""Table IV's rows and Fig. 9's: what the paper takes away or exchanges."""

DECISIONS = tuple(
    name for name in METHODS if name in ("rca-and-own", "paper-alignment") or name.startswith("inversion-with")
)
"""What the paper leaves open, or what may be had better, decided the other way."""

BOUNDS = ("truth", "source", "true-skeletons")
"""What the rest is to be read against: the best and the least that can be had, and what alignment costs."""

COLUMNS = ("psnr", "ssim", "lpips", "person_psnr", "person_lpips", "background_psnr", "pck_truth", "flicker")
"""The scores that the Markdown shows; the JSON has all."""

Verdict: TypeAlias = Literal["better", "worse", "open"]
"""Of a method against the full one in one score; open where the pairs cannot tell, or are too few."""


@dataclass(frozen=True)
class Comparison:
    """One method against the full one.

    Args:
        method: its name.
        description: what it is.
        differences: it minus the full method, by the name of the score.
        verdicts: what each difference says.
    """

    method: str
    description: str
    differences: dict[str, PairedDifference]
    verdicts: dict[str, Verdict]


@dataclass(frozen=True)
class Ablation:
    """A whole study.

    Args:
        comparisons: of `PARTS`, then of `DECISIONS`, as far as they were run.
        gaps: the others, with what fills them.
        pairs: names of the pairs.
        settings: presets and bases, in a line.
    """

    comparisons: tuple[Comparison, ...]
    gaps: tuple[MetricGap, ...]
    pairs: tuple[str, ...]
    settings: str


def choose_ablations() -> tuple[Method, ...]:
    """The full method, everything it is compared with, and the bounds."""
    return choose_methods((*BOUNDS[:2], OURS, *PARTS, *DECISIONS, *BOUNDS[2:]))


def compare_ablations(folder: Path, summary: Summary) -> Ablation:
    """What each part and each decision is worth, from a summary against the full method.

    Args:
        folder: of the benchmark, for the commands that fill gaps.
        summary: of `paired_summary.summarise`.
    """
    found = {method.name: method for method in summary.methods}
    comparisons, gaps = [], []
    for name in (*PARTS, *DECISIONS):
        if (method := found.get(name)) is not None and method.differences:
            comparisons.append(_compare(method))
        else:
            gaps.append(_gap(folder, METHODS[name], found, summary))
    return Ablation(tuple(comparisons), tuple(gaps), summary.pairs, summary.settings)


def _compare(method: MethodSummary) -> Comparison:
    verdicts = {name: judge(name, difference) for name, difference in method.differences.items()}
    return Comparison(method.name, METHODS[method.name].description, dict(method.differences), verdicts)


def judge(metric: str, difference: PairedDifference) -> Verdict:
    """Whether the interval of a difference lies on one side of 0, and which."""
    low, high = difference.interval.low, difference.interval.high
    if difference.clips < FEWEST_PAIRS or low <= 0 <= high:
        return "open"
    return "better" if (low > 0) == (PAIRED_METRICS[metric].better == "higher") else "worse"


def _gap(folder: Path, method: Method, found: dict[str, MethodSummary], summary: Summary) -> MetricGap:
    command = f"eym ablate {quote(str(folder))}"
    failed = [failure for failure in summary.failures if failure.method == method.name]
    if failed:
        return MetricGap(method.name, f"failed on {len(failed)} pairs: {failed[0].error}", command)
    if method.name in found:
        return MetricGap(method.name, f"fewer than two pairs that {OURS} has too", command)
    if method.motion_adapter:
        return MetricGap(
            method.name, "no AnimateDiff adapter was given", f"{command} --edit.model.motion-adapter ADAPTER"
        )
    return MetricGap(method.name, "not run", command)


def write_ablation(folder: Path, ablation: Ablation) -> None:
    """Writes ``ablation.md`` and ``ablation.json``."""
    write_text(folder / "ablation.md", format_ablation(ablation))
    write_json(folder / "ablation.json", asdict(ablation))


def format_ablation(ablation: Ablation) -> str:
    """The study as Markdown."""
    names = [name for name in COLUMNS if any(name in each.differences for each in ablation.comparisons)]
    titles = [f"{name} {'↑' if PAIRED_METRICS[name].better == 'higher' else '↓'}" for name in names]
    parts = [
        "# Ablation",
        f"Pairs: {len(ablation.pairs)}. {ablation.settings} Each row minus `{OURS}`, pair by pair, with its "
        f"bootstrap interval over pairs; **bold** where at least {FEWEST_PAIRS} pairs tell it from 0.",
    ]
    for heading, chosen in (
        ("The paper's parts (Table IV, Fig. 9)", PARTS),
        ("What the paper leaves open or may be had better, decided the other way", DECISIONS),
    ):
        rows = [each for each in ablation.comparisons if each.method in chosen]
        if not rows:
            continue
        cells = [[each.method, *(format_difference(each.differences.get(name)) for name in names)] for each in rows]
        parts += [f"## {heading}", format_table(["", *titles], cells), "\n".join(_describe(each) for each in rows)]
    parts += ["## The paper's Table IV", _format_published()]
    if ablation.gaps:
        lines = [f"- {gap.name}: {gap.reason}. Fill it with `{gap.remedy}`" for gap in ablation.gaps]
        parts += ["## Gaps", "\n".join(lines)]
    if names:
        parts += ["## Conventions", "\n".join(f"- `{name}`: {PAIRED_METRICS[name].convention}" for name in names)]
    return "\n\n".join(parts) + "\n"


def _describe(comparison: Comparison) -> str:
    """What one row says, in words."""
    said = {
        verdict: [name for name in COLUMNS if comparison.verdicts.get(name) == verdict]
        for verdict in ("better", "worse")
    }
    words = [f"{verdict} in {', '.join(names)}" for verdict, names in said.items() if names]
    return f"- {comparison.method} ({comparison.description}): {'; '.join(words) or 'no difference that shows'}."


def _format_published() -> str:
    table = load_published()["IV"]
    rows = [[name, *("—" if cell is None else f"{cell:g}" for cell in cells)] for name, cells in table.rows.items()]
    titles: Sequence[str] = ["", *(column.title for column in table.columns)]
    return f"{format_table(titles, rows)}\n\n{table.data}. {table.note}"
