"""What a sweep found, as Markdown, JSON and plots."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edit_your_motion.benchmark.markdown import format_table
from edit_your_motion.benchmark.paired.scores import PAIRED_METRICS
from edit_your_motion.benchmark.settings import list_settings
from edit_your_motion.benchmark.sweep.run import Counts, name_cell
from edit_your_motion.benchmark.sweep.surface import RESAMPLES, Surface, load_grid, measured_everywhere, survey
from edit_your_motion.benchmark.sweep.surface_plot import draw_surface
from edit_your_motion.storage.files import write_json, write_text

SWEEP = "sweep.md"
SHOWN = ("psnr", "person_psnr", "background_psnr", "lpips", "pck_truth")
"""The scores whose surfaces are drawn; the JSON has all."""


def survey_folder(folder: Path, metrics: Sequence[str] = SHOWN) -> dict[str, Surface]:
    """The surfaces of those scores that a pair has in every cell, by name.

    Raises:
        InputError: there are no cells, or they do not belong together.
    """
    cells = load_grid(folder)
    there = measured_everywhere(cells)
    return {name: survey(cells, name) for name in metrics if name in there}


def write_sweep(folder: Path) -> tuple[Surface, ...]:
    """Writes ``sweep.md``, ``sweep.json`` and a ``surface-SCORE.svg`` for each of `SHOWN`; returns those surfaces.

    Raises:
        InputError: there is nothing to write of.
    """
    cells = load_grid(folder)
    surfaces = {name: survey(cells, name) for name in measured_everywhere(cells)}
    shown = tuple(surfaces[name] for name in SHOWN if name in surfaces)
    for surface in shown:
        write_text(folder / f"surface-{surface.metric}.svg", draw_surface(surface))
    settings = list_settings({name_cell(counts): [cell.settings for cell in cells[counts]] for counts in cells})
    write_text(folder / SWEEP, format_sweep(shown, settings))
    document = [{**_document(surface), "settings": settings} for surface in surfaces.values()]
    write_json(folder / "sweep.json", document)
    return shown


def format_sweep(surfaces: Sequence[Surface], settings: str) -> str:
    """The surfaces as Markdown, and what the edits were made with."""
    parts = [
        "# Iterations of the two stages",
        f"{settings} Mean [bootstrap interval over pairs]; **bold**: the best cell.",
    ]
    for surface in surfaces:
        arrow = "↑" if surface.better == "higher" else "↓"
        titles = ["stage 1 \\ stage 2", *map(str, surface.grid.appearance)]
        rows = [
            [str(first), *(_cell_text(surface, (first, second)) for second in surface.grid.appearance)]
            for first in surface.grid.motion
        ]
        parts += [
            f"## {surface.metric} {arrow}",
            format_table(titles, rows),
            describe_optimum(surface),
            f"![{surface.metric}](surface-{surface.metric}.svg)",
            f"`{surface.metric}`: {PAIRED_METRICS[surface.metric].convention}",
        ]
    return "\n\n".join(parts) + "\n"


def describe_optimum(surface: Surface) -> str:
    """Where the optimum lies and how sure that is, in words."""
    first, second = surface.best
    text = f"Best at {first} + {second} iterations"
    count = len(surface.pairs)
    if count < 2:
        return f"{text} on the one pair that all cells have; more pairs say how sure that is."
    text += f", in {surface.best_shares[surface.best]:.0%} of {RESAMPLES:,} resamples of {count} pairs."
    others = [cell for cell in surface.as_good if cell != surface.best]
    if not others:
        return f"{text} Every other cell is worse beyond its interval."
    return f"{text} Not to be told from it: {', '.join(f'{one} + {two}' for one, two in others)}."


def _cell_text(surface: Surface, cell: Counts) -> str:
    estimate = surface.cells.get(cell)
    if estimate is None:
        return "—"
    text = f"{estimate.value:.3g}" if abs(estimate.value) < 1 else f"{estimate.value:.2f}"
    if (interval := estimate.interval) is not None:
        text += f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"**{text}**" if cell == surface.best else text


def _document(surface: Surface) -> dict[str, object]:
    convention = PAIRED_METRICS[surface.metric].convention
    cells = [
        {
            "motion": first,
            "appearance": second,
            **asdict(estimate),
            "best_share": surface.best_shares[first, second],
            "behind_best": asdict(behind) if (behind := surface.behind_best.get((first, second))) else None,
        }
        for (first, second), estimate in surface.cells.items()
    ]
    return {
        "metric": surface.metric,
        "better": surface.better,
        "convention": convention,
        "pairs": surface.pairs,
        "best": surface.best,
        "as_good": surface.as_good,
        "cells": cells,
    }
