"""Tables II to VI: the paper's numbers, ours beside them, and for each of ours the runs behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edit_your_motion.benchmark.methods.catalogue import METHODS
from edit_your_motion.benchmark.paired.summary import FEWEST_PAIRS, estimate_mean
from edit_your_motion.benchmark.settings import list_settings
from edit_your_motion.benchmark.tables import remedies
from edit_your_motion.benchmark.tables.ablation import BOUNDS, DECISIONS, PARTS
from edit_your_motion.benchmark.tables.measured import (
    Kind,
    Measured,
    MeasuredMethod,
    Run,
    convention_of,
    is_benchmark,
    read_measured,
)
from edit_your_motion.benchmark.tables.study_scores import StudyScores, is_study, read_study
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import Interval, MetricGap
from edit_your_motion.metrics.published import PublishedColumn, PublishedTable, load_published

DATA_OF: Mapping[str, tuple[Kind, ...]] = {
    "II": ("tiktok",),
    "III": ("wild", "cases", "paired"),
    "IV": ("wild", "cases", "paired"),
    "V": ("sweep",),
    "VI": ("wild", "cases", "paired"),
}
"""Which data stand in for a table's; the first is the paper's kind, the paired benchmark is what anybody can run."""

FIGURE_9 = ("without-prompt", "animatediff")
"""Further rows of the ablation, which the paper shows as pictures alone."""

STUDY = "study_"


@dataclass(frozen=True)
class Number:
    """A measured value.

    Args:
        value: in the column's unit.
        interval: bootstrap over clips (of a study: over participants); None for a single one.
        count: clips or participants behind it.
        metric: what it is, which may be a stand-in for the column's own.
        runs: what it was computed from.
        report: of a study, an evaluation or pooled distances, where it comes from one.
    """

    value: float
    interval: Interval | None
    count: int
    metric: str
    runs: tuple[Run, ...] = ()
    report: Path | None = None


@dataclass(frozen=True)
class Printed:
    """What the paper prints in a cell; None where it prints nothing or cannot be read."""

    value: float | None


Cell: TypeAlias = Number | Printed | MetricGap | None
"""None: nothing belongs there."""


@dataclass(frozen=True)
class Row:
    """A method, or a number of iterations, in the order of the columns."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows that were measured on the same data.

    Args:
        title: whose numbers these are, and on which data.
        detail: clips, frames, resolution, split.
        rows: in order.
        published: whether they are the paper's.
        notes: conventions of the scores, and what differs from the columns' own.
        folder: where they lie; None for the paper's.
    """

    title: str
    detail: str
    rows: tuple[Row, ...]
    published: bool = False
    notes: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Table:
    """One table, the paper's group first.

    Args:
        name: its Roman number.
        caption: what it compares.
        note: what one has to know before comparing with the paper.
        stub: what the rows are.
        columns: titles and directions.
        groups: the paper's, then ours.
    """

    name: str
    caption: str
    note: str
    stub: str
    columns: tuple[PublishedColumn, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Findings:
    """What tables are made of: benchmarks, sweeps and ablations, and user studies."""

    measured: tuple[Measured, ...] = ()
    studies: tuple[StudyScores, ...] = ()


def read_findings(paths: Sequence[Path]) -> Findings:
    """What lies in folders of benchmarks, sweeps and ablations, and in reports of studies.

    Raises:
        InputError: one of them is nothing of the kind, or damaged.
    """
    measured, studies = [], []
    for path in paths:
        if is_benchmark(path):
            measured.append(read_measured(path))
        elif is_study(path):
            studies.append(read_study(path / "report.json" if path.is_dir() else path))
        else:
            raise InputError(
                f"expected the folder of a benchmark, sweep or ablation (METHOD/CLIP/scores.json), or report.json of a "
                f"study, at {path}; found none: make one with 'eym benchmark', 'eym sweep', 'eym ablate' or 'eym study'"
            )
    return Findings(tuple(measured), tuple(studies))


def build_tables(findings: Findings) -> tuple[Table, ...]:
    """Tables II to VI; what cannot be filled is a named gap with the command that fills it."""
    return tuple(
        _build_sweep(table, findings) if name == "V" else _build(table, findings)
        for name, table in load_published().items()
    )


def find_gaps(table: Table) -> tuple[MetricGap, ...]:
    """The gaps of a table, each once, in the order in which they occur."""
    cells = (cell for group in table.groups for row in group.rows for cell in row.cells)
    return tuple(dict.fromkeys(cell for cell in cells if isinstance(cell, MetricGap)))


def find_best(table: Table, group: Group) -> set[tuple[int, int]]:
    """(row, column) of the best value of each column of a group.

    Over the whole of a sweep, whose columns compare; of a study none, whose rows are all ours against somebody.
    """
    values = {
        (row, column): cell.value
        for row, each in enumerate(group.rows)
        for column, cell in enumerate(each.cells)
        if isinstance(cell, Number | Printed) and cell.value is not None
    }
    compared_columns = [index for index, column in enumerate(table.columns) if not column.name.startswith(STUDY)]
    whole = [values] if table.name == "V" else [
        {place: value for place, value in values.items() if place[1] == column} for column in compared_columns
    ]  # fmt: skip
    best = set()
    for compared in (each for each in whole if len(each) > 1):
        column = table.columns[next(iter(compared))[1]]
        extreme = (max if column.better == "higher" else min)(compared.values())
        best |= {place for place, value in compared.items() if value == extreme}
    return best


def _build(table: PublishedTable, findings: Findings) -> Table:
    """A table of methods by metrics."""
    groups = [_print_paper(table, table.columns)]
    kinds = DATA_OF[table.name]
    found = [each for kind in kinds for each in findings.measured if each.kind == kind]
    groups += [_measure(table, measured) for measured in found]
    if not found:
        reason = f"no folder of {' or '.join(kinds)} was given"
        gap = MetricGap(f"Table {table.name}", reason, remedies.fill_table(kinds[-1]))
        cells = tuple(None if column.name.startswith(STUDY) else gap for column in table.columns)
        groups.append(Group("Here", "not measured", (Row("Edit-Your-Motion", cells),)))
    if any(column.name.startswith(STUDY) for column in table.columns):
        groups += [_ask(table, study) for study in findings.studies] or [_ask_nobody(table)]
    return Table(table.name, table.caption, table.note, "method", table.columns, tuple(groups))


def _print_paper(table: PublishedTable, columns: Sequence[PublishedColumn]) -> Group:
    names = [column.name for column in table.columns]
    rows = tuple(
        Row(label, tuple(Printed(cells[names.index(each.name)] if each.name in names else None) for each in columns))
        for label, cells in table.rows.items()
    )
    return Group("The paper", table.data, rows, published=True)


def _measure(table: PublishedTable, measured: Measured) -> Group:
    columns = tuple((column, measured.column(column)) for column in table.columns)
    rows = [Row(label, _fill(columns, name, measured)) for label, name in _choose_rows(table, measured)]
    notes = [_explain(column, metric, measured) for column, metric in columns if metric is not None]
    notes.append(_describe_intervals(len(measured.clips)))
    return Group(
        f"Here: {measured.folder.name}", describe_data(measured), tuple(rows), False, tuple(notes), measured.folder
    )


def _choose_rows(table: PublishedTable, measured: Measured) -> Iterator[tuple[str, str]]:
    """Label and name of each method: the paper's in its order, then what else was measured and belongs there."""
    known = {plain(name): name for name in (*METHODS, *measured.methods)}
    ours = {known.get(plain(label), _hyphenate(label)): label for label in table.rows}
    others = FIGURE_9 if table.name == "IV" else [
        name for name in measured.methods if name not in (*PARTS, *DECISIONS, *BOUNDS[2:], "truth")
    ]  # fmt: skip
    yield from ((label, name) for name, label in ours.items())
    yield from ((name, name) for name in others if name not in ours)


def _fill(columns: Sequence[tuple[PublishedColumn, str | None]], name: str, measured: Measured) -> tuple[Cell, ...]:
    """A method's cells."""
    method = measured.methods.get(name)
    if method is None:
        failed = [failure.error for failure in measured.failures if failure.method == name]
        lack = "needs an AnimateDiff adapter" if name == "animatediff" else "not run here"
        gap = MetricGap(name, f"failed: {failed[0]}" if failed else lack, remedies.fill_row(measured, name))
        return tuple(None if column.metric is None else gap for column, _ in columns)
    wanted = {column.metric: column for column, _ in columns if column.metric is not None}
    missing = [column.metric for column, metric in columns if column.metric and not (metric and method.has(metric))]
    remedy = remedies.fill_scores(measured, name, missing)
    reasons: dict[str, list[str]] = {}
    for metric in missing:
        reasons.setdefault(method.gaps.get(metric, "not measured"), []).append(wanted[metric].title)
    gaps = {
        title: MetricGap(f"{', '.join(titles)} of {name}", reason, remedy)
        for reason, titles in reasons.items()
        for title in titles
    }
    return tuple(
        None if column.metric is None else gaps.get(column.title) or summarise_score(method, metric or column.metric)
        for column, metric in columns
    )


def summarise_score(method: MeasuredMethod, metric: str) -> Number:
    """A score's mean over clips with its bootstrap interval, or the distance over all clips; and what is behind."""
    if (distance := method.distances.get(metric)) is not None:
        return Number(distance.value, None, distance.clips, metric, tuple(method.runs.values()), distance.path)
    of_clip = method.scores[metric]
    estimate = estimate_mean(of_clip, 0.95)
    report = method.evaluation if metric in method.evaluated else None
    return Number(
        estimate.value, estimate.interval, estimate.pairs, metric, tuple(method.runs[clip] for clip in of_clip), report
    )


def _explain(column: PublishedColumn, metric: str, measured: Measured) -> str:
    """What stands in a column here."""
    text = f"{column.title}: `{metric}`, {convention_of(metric, measured)}"
    if any(metric in method.evaluated for method in measured.methods.values()):
        text += "; measured by `eym evaluate` in the clips as they were written (H.264)"
    if metric != column.metric:
        text += f"; a stand-in for `{column.metric}`, not to be compared with the paper's column"
    return text


def _build_sweep(table: PublishedTable, findings: Findings) -> Table:
    """Table V: both stages' iterations."""
    sweeps = [each for each in findings.measured if each.kind == "sweep"]
    counts = sorted(
        {int(column.name) for column in table.columns} | {second for each in sweeps for _, second in _cells(each)}
    )
    columns = tuple(PublishedColumn(str(count), str(count), "higher", "psnr", "dB") for count in counts)
    groups = [_print_paper(table, columns), *(_sweep(columns, each) for each in sweeps)]
    if not sweeps:
        gap = MetricGap("Table V", "no folder of a sweep was given", remedies.fill_table("sweep"))
        rows = tuple(Row(label, tuple(gap for _ in columns)) for label in table.rows)
        groups.append(Group("Here", "not measured", rows))
    return Table(table.name, table.caption, table.note, "stage 1 \\ stage 2", columns, tuple(groups))


def _cells(measured: Measured) -> list[tuple[int, int]]:
    return sorted((int(first), int(second)) for first, second in (name.split("-") for name in measured.methods))


def _sweep(columns: Sequence[PublishedColumn], measured: Measured) -> Group:
    there = _cells(measured)
    gap = MetricGap(
        "cell", "not among this sweep's cells, or not finished", remedies.fill_table("sweep", measured.folder)
    )

    def fill(first: int, second: int) -> Cell:
        method = measured.methods.get(f"{first}-{second}")
        if method is None or "psnr" not in method.scores:
            return gap if second in {column for _, column in there} else None
        return summarise_score(method, "psnr")

    rows = tuple(
        Row(str(first), tuple(fill(first, int(column.name)) for column in columns))
        for first in sorted({first for first, _ in there})
    )
    notes = (f"`psnr`, {convention_of('psnr', measured)}", _describe_intervals(len(measured.clips)))
    return Group(f"Here: {measured.folder.name}", describe_data(measured), rows, False, notes, measured.folder)


def _ask(table: PublishedTable, study: StudyScores) -> Group:
    labels = {plain(label): label for label in table.rows}

    def fill(method: str, column: PublishedColumn) -> Cell:
        if not column.name.startswith(STUDY):
            return None
        found = study.scores[method].get(column.name.removeprefix(STUDY))
        if found is None:
            return MetricGap(method, "nobody answered this question", remedies.fill_study())
        low, high = 100 * found.interval.low, 100 * found.interval.high
        interval = Interval(low, high, found.interval.confidence)
        return Number(100 * found.score, interval, found.participants, "Eq. 18", report=study.path)

    rows = tuple(
        Row(labels.get(plain(method), method), tuple(fill(method, column) for column in table.columns))
        for method in study.scores
    )
    detail = f"{study.participants} participants, {study.marked} of them marked as doubtful and counted all the same"
    detail += f"; ours: {study.settings}" if study.settings else ""
    notes = ("share of answers for ours against the row's method, %, Eq. 18; interval over participants",)
    return Group(f"Here: {study.title}", detail, rows, False, notes, study.path.parent)


def _ask_nobody(table: PublishedTable) -> Group:
    reason = "no report of a study was given; eym study make and eym study serve ask people"
    gap = MetricGap("user study", reason, remedies.fill_study())
    cells = tuple(gap if column.name.startswith(STUDY) else None for column in table.columns)
    return Group("Here: user study", "not asked", (Row("Edit-Your-Motion", cells),))


def describe_data(measured: Measured) -> str:
    """Number of clips, frames, resolution and split, in words."""
    frames = "frames differ" if measured.frames is None else f"{measured.frames} frames"
    size = "sizes differ" if measured.size is None else f"{measured.size[1]}x{measured.size[0]}"
    base = {run.base for method in measured.methods.values() for run in method.runs.values() if run.base}
    settings = {name: [run.settings for run in method.runs.values()] for name, method in measured.methods.items()}
    used = list_settings(settings).rstrip(".")
    clips = f"{len(measured.clips)} clip{'' if len(measured.clips) == 1 else 's'}"
    return f"{clips}, {frames}, {size}; split: {measured.split}; base {' '.join(sorted(base)) or 'unknown'}; {used}"


def _describe_intervals(clips: int) -> str:
    text = "[ ]: 95 % bootstrap interval (BCa) of the mean over clips"
    return f"{text}; too narrow to be trusted below {FEWEST_PAIRS} clips" if clips < FEWEST_PAIRS else text


def plain(name: str) -> str:
    """A method's name without what its spellings differ in: "w/o RCA" and "without-rca" are one."""
    return "".join(letter for letter in name.lower().replace("w/o", "without") if letter.isalnum())


def _hyphenate(label: str) -> str:
    """A folder's name for a method of the paper: "AnimateAnyone" becomes "animate-anyone"."""
    words = "".join(f" {letter}" if letter.isupper() and (index == 0 or not label[index - 1].isupper()) else letter
                    for index, letter in enumerate(label))  # fmt: skip
    return "-".join(words.lower().replace("-", " ").split())
