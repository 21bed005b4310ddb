"""The files that `eym tables` writes."""

from pathlib import Path

from edit_your_motion.benchmark.sweep.summary import describe_optimum, survey_folder
from edit_your_motion.benchmark.sweep.surface_plot import draw_surface
from edit_your_motion.benchmark.tables.formats import to_json, to_latex, to_markdown, trace_to_markdown
from edit_your_motion.benchmark.tables.page import to_page
from edit_your_motion.benchmark.tables.tables import Findings, Table, build_tables
from edit_your_motion.storage.files import written_whole

MARKDOWN, LATEX, JSON, PAGE, TRACE = "tables.md", "tables.tex", "tables.json", "index.html", "trace.md"


def write_tables(folder: Path, findings: Findings) -> tuple[Table, ...]:
    """Writes ``tables.md``, ``trace.md``, ``tables.tex``, ``tables.json`` and ``index.html``; returns the tables.

    Args:
        folder: where; made if it is absent.
        findings: from `read_findings`.

    Raises:
        DiskFullError: no room is left.
        InputError: `folder` cannot be written to.
    """
    tables = build_tables(findings)
    contents = {
        TRACE: trace_to_markdown(tables, folder),
        MARKDOWN: to_markdown(tables, TRACE),
        LATEX: to_latex(tables),
        JSON: to_json(tables, folder),
        PAGE: to_page(tables, findings.measured, _plot_sweeps(findings), folder),
    }
    for name, text in contents.items():
        with written_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return tables


def _plot_sweeps(findings: Findings) -> list[tuple[str, str]]:
    """Each sweep's surfaces, and in words where the optimum lies."""
    return [
        (draw_surface(surface), f"{measured.folder.name}, {name}. {describe_optimum(surface)}")
        for measured in findings.measured
        if measured.kind == "sweep"
        for name, surface in survey_folder(measured.folder).items()
    ]
