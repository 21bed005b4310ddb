"""Tables II to VI as one web page that needs nothing from anywhere: styles, plots and notes are inside."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from edit_your_motion.benchmark.tables.formats import (
    NOTHING,
    anchor_of,
    describe_gap,
    find_reports,
    find_runs,
    format_interval,
    format_number,
    relative,
    title_of,
)
from edit_your_motion.benchmark.tables.measured import Measured, Run
from edit_your_motion.benchmark.tables.tables import Cell, Group, Number, Printed, Row, Table, find_best, find_gaps
from edit_your_motion.metrics import MetricGap

_STYLE = """
:root{--ink:#1d2733;--faint:#6b7785;--line:#dfe4ea;--band:#f4f6f9;--blue:#0b5394;--gap:#b45309}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem 4rem;color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;background:#fff}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.8rem 0 .8rem}h3{font-size:1rem;margin:1.2rem 0 .4rem}
nav a{margin-right:1rem}a{color:var(--blue)}p{margin:.5rem 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 .6rem}
th,td{padding:.4rem .7rem;text-align:right;white-space:nowrap;vertical-align:top}
th:first-child,td:first-child{text-align:left}
thead th{white-space:normal;border-top:2px solid var(--ink);border-bottom:1px solid var(--ink);font-size:.9rem}
tbody{border-bottom:1px solid var(--line)}tbody:last-child{border-bottom:2px solid var(--ink)}
tr.group th{background:var(--band);text-align:left;font-size:.9rem}
tr.group small{font-weight:400;color:var(--faint);white-space:normal}
td small{display:block;color:var(--faint);font-size:.75rem}
td.measured{cursor:help}
td.measured a,td.gap a{color:inherit;text-decoration:none}td.measured a:hover{text-decoration:underline}
td.gap{color:var(--gap)}td.printed{color:#45505c}
ol,ul{padding-left:1.4rem;margin:.4rem 0}.notes{font-size:.87rem;color:#3f4a56}
.notes p{margin:.6rem 0 .2rem}
code{background:var(--band);padding:.1rem .3rem;border-radius:3px;font-size:.85em;overflow-wrap:anywhere}
details{margin:.5rem 0}summary{cursor:pointer}details table{font-size:.85rem}
details th,details td{text-align:left;padding:.2rem .6rem}
figure{margin:1rem 0}figure img,figure svg{max-width:100%;height:auto}figcaption{font-size:.87rem;color:#3f4a56}
.sheets{columns:3 14rem;font-size:.87rem}
"""


def to_page(
    tables: Sequence[Table], measured: Sequence[Measured], plots: Sequence[tuple[str, str]], folder: Path
) -> str:
    """The page as HTML.

    Args:
        tables: from `build_tables`.
        measured: the benchmarks whose sheets are shown.
        plots: an SVG document and what it shows, of each sweep.
        folder: where the page will lie; pictures and runs are linked from there.
    """
    contents = "".join(f'<a href="#table-{table.name}">Table {table.name}</a>' for table in tables)
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Edit-Your-Motion: the tables</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        "<h1>The paper's tables, and ours beside them</h1>",
        "<p>Intervals in brackets are bootstrapped; the best of each group is bold. Point at a number of ours for the "
        "runs behind it, follow it to their list. An amber dash is a gap, with the command that fills it below.</p>",
        f'<nav>{contents}<a href="#pictures">Pictures</a><a href="#runs">Runs</a></nav>',
    ]
    for table in tables:
        parts += _draw_table(table)
        if table.name == "V":
            parts += [f"<figure>{svg}<figcaption>{escape(text)}</figcaption></figure>" for svg, text in plots]
    parts += ['<h2 id="pictures">Pictures</h2>', *_show_pictures(measured, folder)]
    parts += ['<h2 id="runs">The runs behind the numbers</h2>', *_list_runs(tables, folder)]
    return "\n".join((*parts, "</body>\n</html>")) + "\n"


def _draw_table(table: Table) -> Iterator[str]:
    gaps = {gap: number for number, gap in enumerate(find_gaps(table), 1)}
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in (table.stub, *map(title_of, table.columns)))
    yield f'<h2 id="table-{table.name}">Table {table.name}</h2>\n<div class="scroll"><table>'
    yield f"<caption>{escape(table.caption)}</caption>\n<thead><tr>{titles}</tr></thead>"
    for group in table.groups:
        detail = f" <small>{escape(group.detail)}</small>"
        yield f'<tbody><tr class="group"><th colspan="{len(table.columns) + 1}">{escape(group.title)}{detail}</th></tr>'
        best = find_best(table, group)
        for index, row in enumerate(group.rows):
            anchor = _anchor(table, group, index)
            cells = (
                _draw_cell(cell, (index, column) in best, gaps, table, anchor) for column, cell in enumerate(row.cells)
            )
            yield f"<tr><td>{escape(row.label)}</td>{''.join(cells)}</tr>"
        yield "</tbody>"
    yield "</table></div>"
    yield from _note(table, gaps)


def _draw_cell(cell: Cell, best: bool, gaps: dict[MetricGap, int], table: Table, anchor: str) -> str:
    if isinstance(cell, MetricGap):
        number = gaps[cell]
        words = escape(f"{describe_gap(cell)}. Fill it with: {cell.remedy}")
        dash = f'<a href="#gap-{table.name}-{number}">{NOTHING}<sup>{number}</sup></a>'
        return f'<td class="gap" title="{words}">{dash}</td>'
    if not isinstance(cell, Number | Printed):
        return "<td></td>"
    if cell.value is None:
        return f'<td class="printed">{NOTHING}</td>'
    text = f"<b>{format_number(cell.value)}</b>" if best else format_number(cell.value)
    if isinstance(cell, Printed):
        return f'<td class="printed">{text}</td>'
    interval = f"<small>{format_interval(cell.interval)}</small>" if cell.interval else ""
    return f'<td class="measured" title="{escape(describe_origin(cell))}"><a href="#{anchor}">{text}</a>{interval}</td>'


def describe_origin(number: Number) -> str:
    """What stands behind a value, in a few words."""
    if not number.runs:
        return f"{number.metric}; {number.count} participants"
    seeds, commits, devices = (
        ", ".join(sorted({str(getattr(run, name)) for run in number.runs if getattr(run, name) is not None}))
        or "not recorded"
        for name in ("seed", "commit", "device")
    )
    place = number.runs[0].folder.parent
    return (
        f"{number.metric}; {number.count} clips; {place.parent.name}/{place.name}; seed {seeds}; commit {commits}; "
        f"on {devices}"
    )


def _note(table: Table, gaps: dict[MetricGap, int]) -> Iterator[str]:
    yield f'<div class="notes"><p><b>The paper:</b> {escape(table.groups[0].detail)}. {escape(table.note)}</p>'
    for group in table.groups[1:]:
        if group.notes:
            items = "".join(f"<li>{_mark_code(note)}</li>" for note in group.notes)
            yield f"<p><b>{escape(group.title)}:</b> {escape(group.detail)}.</p><ul>{items}</ul>"
    if gaps:
        yield "<p><b>Gaps</b>, each with the command that fills it:</p><ol>"
        for gap, number in gaps.items():
            command = f"<code>{escape(gap.remedy)}</code>"
            yield f'<li id="gap-{table.name}-{number}">{escape(describe_gap(gap))}: {command}</li>'
        yield "</ol>"
    yield "</div>"


def _mark_code(text: str) -> str:
    """The text escaped, with what stands in backticks as code."""
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(text.split("`"))
    )


def _show_pictures(measured: Sequence[Measured], folder: Path) -> Iterator[str]:
    if not any(each.pictures for each in measured):
        yield "<p>None of the folders has sheets.</p>"
    for each in measured:
        if not each.pictures:
            continue
        yield f"<h3>{escape(each.folder.name)}</h3>"
        first, *others = each.pictures
        source = _address(first, folder)
        yield (
            f'<figure><a href="{source}"><img src="{source}" alt="{escape(first.stem)}" loading="lazy"></a>'
            f"<figcaption>{escape(first.stem)}</figcaption></figure>"
        )
        links = "<br>".join(f'<a href="{_address(path, folder)}">{escape(path.stem)}</a>' for path in others)
        yield f'<p class="sheets">{links}</p>'


def _list_runs(tables: Sequence[Table], folder: Path) -> Iterator[str]:
    for table in tables:
        for group in table.groups:
            for index, row in enumerate(group.rows):
                if any(isinstance(cell, Number) for cell in row.cells):
                    yield _list_row(table, group, row, index, folder)


def _list_row(table: Table, group: Group, row: Row, index: int, folder: Path) -> str:
    """Everything behind a row, folded up."""
    runs, reports = find_runs(row), find_reports(row)
    counted = f"{len(runs)} runs" if runs else "a report"
    title = escape(f"Table {table.name}, {group.title}, {row.label}: {counted}")
    links = ", ".join(f'<a href="{_address(path, folder)}">{escape(relative(path, folder))}</a>' for path in reports)
    body = f"{_draw_runs(runs, folder) if runs else ''}{f'<p>Reports: {links}</p>' if reports else ''}"
    # The anchor is inside, since what is folded up opens for a link to something in it.
    return f'<details><summary>{title}</summary><div id="{_anchor(table, group, index)}">{body}</div></details>'


def _draw_runs(runs: Sequence[Run], folder: Path) -> str:
    names = ("clip", "scores", "configuration", "seed", "commit", "made", "device", "version")
    head = "".join(f"<th>{name}</th>" for name in names)
    lines = []
    for run in runs:
        config = NOTHING if run.config is None else f'<a href="{_address(run.config, folder)}">config.yaml</a>'
        scores = f'<a href="{_address(run.folder / "scores.json", folder)}">{escape(relative(run.folder, folder))}</a>'
        seed = NOTHING if run.seed is None else str(run.seed)
        words = (run.clip, seed, run.commit or NOTHING, run.created or NOTHING, run.device, run.version)
        clip, *rest = (f"<td>{escape(word)}</td>" for word in words)
        lines.append(f"<tr>{clip}<td>{scores}</td><td>{config}</td>{''.join(rest)}</tr>")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def _anchor(table: Table, group: Group, index: int) -> str:
    return f"{anchor_of(table, group)}-{index}"


def _address(path: Path, folder: Path) -> str:
    return quote(relative(path, folder))
