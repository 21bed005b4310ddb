"""Tables II to VI as Markdown, LaTeX and JSON, and the list of runs behind them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.settings import name_settings
from edit_your_motion.benchmark.tables.measured import Run
from edit_your_motion.benchmark.tables.tables import Cell, Group, Number, Printed, Row, Table, find_best, find_gaps
from edit_your_motion.metrics import Interval, MetricGap
from edit_your_motion.metrics.published import PublishedColumn

NOTHING = "—"
"""A gap, and what the paper does not print."""


def format_number(value: float) -> str:
    """The value with as many digits as the paper's tables have."""
    if value and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"


def format_interval(interval: Interval | None) -> str:
    """An interval in brackets; nothing for None."""
    return "" if interval is None else f"[{format_number(interval.low)}, {format_number(interval.high)}]"


def title_of(column: PublishedColumn) -> str:
    """A column's title with its unit and direction."""
    unit = f", {column.unit}" if column.unit else ""
    return f"{column.title}{unit} {'↑' if column.better == 'higher' else '↓'}"


def to_markdown(tables: Sequence[Table], trace: str) -> str:
    """All tables as Markdown.

    Args:
        tables: from `build_tables`.
        trace: relative path of the list of runs.
    """
    parts = [
        "# The paper's tables, and ours beside them",
        f"[ ]: bootstrap interval; **bold**: the best of its group; {NOTHING} with a number: a gap, explained below "
        f"the table. The runs behind every number of ours: [{trace}]({trace}).",
    ]
    for table in tables:
        parts += [f"## Table {table.name}. {table.caption}", _markdown_table(table, trace), *_markdown_notes(table)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table, trace: str) -> str:
    gaps = {gap: number for number, gap in enumerate(find_gaps(table), 1)}

    def text(cell: Cell, best: bool) -> str:
        if isinstance(cell, MetricGap):
            return f"{NOTHING} ({gaps[cell]})"
        if not isinstance(cell, Number | Printed):
            return ""
        if cell.value is None:
            return NOTHING
        value = f"**{format_number(cell.value)}**" if best else format_number(cell.value)
        return f"{value} {format_interval(cell.interval)}".strip() if isinstance(cell, Number) else value

    rows: list[list[str]] = []
    for group in table.groups:
        link = "" if group.published or group.folder is None else f" [runs]({trace}#{anchor_of(table, group)})"
        rows.append([f"**{group.title}**{link}", *("" for _ in table.columns)])
        best = find_best(table, group)
        for index, row in enumerate(group.rows):
            cells = (text(cell, (index, column) in best) for column, cell in enumerate(row.cells))
            rows.append([row.label, *cells])
    return format_table([table.stub.replace("\\", "\\\\"), *map(title_of, table.columns)], rows)


def _markdown_notes(table: Table) -> list[str]:
    notes = [f"The paper: {table.groups[0].detail}. {table.note}"]
    for group in table.groups[1:]:
        notes.append("\n".join((f"{group.title}: {group.detail}.", "", *(f"- {note}" for note in group.notes))).strip())
    if gaps := find_gaps(table):
        lines = (f"{number}. {describe_gap(gap)}: `{gap.remedy}`" for number, gap in enumerate(gaps, 1))
        notes.append("\n".join(("Gaps, each with the command that fills it:", "", *lines)))
    return notes


def describe_gap(gap: MetricGap) -> str:
    """What is missing and why, in words."""
    return f"{gap.name}: {gap.reason}"


def anchor_of(table: Table, group: Group) -> str:
    """Names the list of a group's runs."""
    words = f"table {table.name} {table.groups.index(group)} {group.title}".lower()
    return "-".join("".join(letter if letter.isalnum() else " " for letter in words).split())


def trace_to_markdown(tables: Sequence[Table], folder: Path) -> str:
    """The runs behind every row of ours, with paths relative to `folder`."""
    parts = ["# The runs behind the tables", "Each number is the mean over the clips listed with its row."]
    for table in tables:
        for group in table.groups:
            traced = [row for row in group.rows if any(isinstance(cell, Number) for cell in row.cells)]
            if traced:
                parts.append(f'<a id="{anchor_of(table, group)}"></a>\n\n## Table {table.name}, {group.title}')
            for row in traced:
                parts += [f"### {row.label}", _trace_table(row, folder)]
    return "\n\n".join(parts) + "\n"


def _trace_table(row: Row, folder: Path) -> str:
    rows = [["all", link(report, folder), *("" for _ in range(6))] for report in find_reports(row)]
    for run in find_runs(row):
        config = NOTHING if run.config is None else link(run.config, folder)
        seed = NOTHING if run.seed is None else str(run.seed)
        settings = NOTHING if run.settings is None else name_settings(run.settings)
        rows.append([run.clip, link(run.folder, folder), config, settings, seed, run.commit or NOTHING,
                     run.created or NOTHING, f"{run.device}, version {run.version}"])  # fmt: skip
    return format_table(["clip", "folder", "configuration", "settings", "seed", "commit", "made", "by"], rows)


def find_runs(row: Row) -> tuple[Run, ...]:
    """All runs behind a row, each once."""
    cells = (cell for cell in row.cells if isinstance(cell, Number))
    return tuple({run.folder: run for cell in cells for run in cell.runs}.values())


def find_reports(row: Row) -> tuple[Path, ...]:
    """The reports of studies and evaluations behind a row, each once."""
    return tuple(dict.fromkeys(cell.report for cell in row.cells if isinstance(cell, Number) and cell.report))


def relative(path: Path, folder: Path) -> str:
    """The way from `folder` to `path`, with forward slashes."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def link(path: Path, folder: Path) -> str:
    """A Markdown link to `path` as seen from `folder`."""
    way = relative(path, folder)
    return f"[{way}](<{way}>)"


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "—": "---", "²": r"$^2$", "±": r"$\pm$",
}  # fmt: skip


def escape_tex(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(_TEX.get(letter, letter) for letter in text)


def to_latex(tables: Sequence[Table]) -> str:
    r"""All tables as LaTeX, to be \input into a document that loads booktabs."""
    packages = " ".join(rf"\usepackage{name}" for name in ("[utf8]{inputenc}", "[T1]{fontenc}", "{booktabs}"))
    head = f"% Made by 'eym tables'. In the preamble: {packages}"
    return "\n\n".join((head, *map(_latex_table, tables))) + "\n"


def _latex_table(table: Table) -> str:
    gaps = {gap: number for number, gap in enumerate(find_gaps(table), 1)}

    def text(cell: Cell, best: bool) -> str:
        if isinstance(cell, MetricGap):
            return f"---$^{{{gaps[cell]}}}$"
        if not isinstance(cell, Number | Printed):
            return ""
        if cell.value is None:
            return "---"
        value = _latex_number(cell.value)
        value = rf"\textbf{{{value}}}" if best else value
        if isinstance(cell, Number) and cell.interval is not None:
            value += rf" {{\scriptsize [{_latex_number(cell.interval.low)}, {_latex_number(cell.interval.high)}]}}"
        return value

    width = len(table.columns) + 1
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escape_tex(table.caption)} (the paper's Table {table.name}).}}",
        rf"\label{{tab:eym-{table.name.lower()}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(escape_tex(title) for title in (table.stub, *map(title_of, table.columns))) + r" \\",
    ]
    for group in table.groups:
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape_tex(group.title)}}}}} \\"]
        best = find_best(table, group)
        for index, row in enumerate(group.rows):
            cells = (text(cell, (index, column) in best) for column, cell in enumerate(row.cells))
            lines.append(" & ".join((escape_tex(row.label), *cells)) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", *_latex_notes(table), r"\end{table*}"]
    return "\n".join(lines)


def _latex_number(value: float) -> str:
    mantissa, exponent, power = format_number(value).partition("e")
    return rf"${mantissa}\times10^{{{power}}}$" if exponent else f"${mantissa}$" if value < 0 else mantissa


def _latex_notes(table: Table) -> list[str]:
    lines = [escape_tex(f"{group.title}: {group.detail}.") for group in table.groups]
    lines += [escape_tex(note.replace("`", "")) + "." for group in table.groups[1:] for note in group.notes]
    lines += [
        rf"$^{{{number}}}$ {escape_tex(describe_gap(gap))}: \texttt{{{escape_tex(gap.remedy)}}}."
        for number, gap in enumerate(find_gaps(table), 1)
    ]
    return [r"\par\smallskip", r"\parbox{\textwidth}{\footnotesize\raggedright", "\n\n".join(lines), "}"]


def to_json(tables: Sequence[Table], folder: Path) -> str:
    """All tables as strict JSON: every value with its interval, metric and the runs behind it.

    Paths are relative to `folder`; ``runs`` lists each run once, under the path that cells name it by.
    """
    runs = {
        relative(run.folder, folder): _run_document(run, folder)
        for table in tables
        for group in table.groups
        for row in group.rows
        for run in find_runs(row)
    }
    document = {"tables": [_table_document(table, folder) for table in tables], "runs": runs}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _run_document(run: Run, folder: Path) -> dict[str, Any]:
    return {
        **asdict(run),
        "folder": relative(run.folder, folder),
        "config": None if run.config is None else relative(run.config, folder),
    }


def _table_document(table: Table, folder: Path) -> dict[str, Any]:
    columns = [asdict(column) for column in table.columns]
    groups = [
        {
            "title": group.title,
            "detail": group.detail,
            "published": group.published,
            "notes": group.notes,
            "folder": None if group.folder is None else relative(group.folder, folder),
            "rows": [
                {"label": row.label, "cells": [_cell_document(cell, folder) for cell in row.cells]}
                for row in group.rows
            ],
        }
        for group in table.groups
    ]
    return {"name": table.name, "caption": table.caption, "note": table.note, "columns": columns, "groups": groups}


def _cell_document(cell: Cell, folder: Path) -> dict[str, Any] | None:
    if cell is None:
        return None
    if isinstance(cell, Printed):
        return {"kind": "published", "value": cell.value}
    if isinstance(cell, MetricGap):
        return {"kind": "gap", **asdict(cell)}
    return {
        "kind": "measured",
        "value": cell.value,
        "interval": None if cell.interval is None else asdict(cell.interval),
        "count": cell.count,
        "metric": cell.metric,
        "runs": [relative(run.folder, folder) for run in cell.runs],
        "report": None if cell.report is None else relative(cell.report, folder),
    }
