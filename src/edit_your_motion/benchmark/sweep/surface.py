"""One score over the grid of a sweep, and where its optimum lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from edit_your_motion.benchmark.cells import CellRecord, load_cells
from edit_your_motion.benchmark.paired.scores import PAIRED_METRICS
from edit_your_motion.benchmark.paired.summary import Estimate, estimate_mean
from edit_your_motion.benchmark.sweep.run import Counts, Grid
from edit_your_motion.errors import ConfigError
from edit_your_motion.metrics import PairedDifference, compare_paired
from edit_your_motion.metrics.bootstrap import draw_samples
from edit_your_motion.metrics.report import Better

RESAMPLES = 10_000


@dataclass(frozen=True)
class Surface:
    """One score over the grid.

    Args:
        metric: see `PAIRED_METRICS`.
        better: which direction is better.
        grid: what was tried; not every cell need be there.
        cells: each cell's mean over its pairs.
        pairs: names of those that all these cells have; what follows is over them.
        best: the cell with the best mean.
        best_shares: how often each cell has the best mean when the pairs are drawn anew, in [0, 1].
        behind_best: each other cell minus the best one, pair by pair; empty for a single pair.
    """

    metric: str
    better: Better
    grid: Grid
    cells: Mapping[Counts, Estimate]
    pairs: tuple[str, ...]
    best: Counts
    best_shares: Mapping[Counts, float]
    behind_best: Mapping[Counts, PairedDifference]

    @property
    def as_good(self) -> tuple[Counts, ...]:
        """The cells that these pairs cannot tell from the best one, which is among them."""
        near = (cell for cell, behind in self.behind_best.items() if behind.interval.low <= 0 <= behind.interval.high)
        return tuple(sorted({self.best, *near}))


def load_grid(folder: Path) -> dict[Counts, list[CellRecord]]:
    """The cells of a sweep by their counts, ascending.

    Raises:
        InputError: there are none, one is damaged, or they are of several bases or settings.
    """
    found: dict[Counts, list[CellRecord]] = {}
    for place, cell in load_cells(folder, r"[1-9]\d*-[1-9]\d*").items():
        first, second = place.parent.name.split("-")
        found.setdefault((int(first), int(second)), []).append(cell)
    return dict(sorted(found.items()))


def measured_everywhere(cells: Mapping[Counts, Sequence[CellRecord]]) -> list[str]:
    """The scores that some pair has in every cell that has them at all."""
    found = []
    for metric in PAIRED_METRICS:
        pairs = [{cell.pair for cell in of_counts if metric in cell.scores} for of_counts in cells.values()]
        if (there := [names for names in pairs if names]) and set.intersection(*there):
            found.append(metric)
    return found


def survey(cells: Mapping[Counts, Sequence[CellRecord]], metric: str = "psnr", confidence: float = 0.95) -> Surface:
    """One score over the grid of a sweep, and where its optimum lies.

    The pairs are the same in all cells, so resamples draw pairs: what makes a pair hard for all cells cancels.

    Args:
        cells: from `load_grid`.
        metric: out of `measured_everywhere`.
        confidence: of the intervals, in (0, 1).

    Raises:
        ConfigError: there is no such score, or no pair has it in all cells.
    """
    if metric not in (there := measured_everywhere(cells)):
        raise ConfigError(f"expected a score that a pair has in every cell, out of {', '.join(there)}; got '{metric}'")
    values = {
        counts: of_pair
        for counts, of_counts in cells.items()
        if (of_pair := {cell.pair: cell.scores[metric] for cell in of_counts if metric in cell.scores})
    }
    common = sorted(set.intersection(*(set(of_pair) for of_pair in values.values())))
    better = PAIRED_METRICS[metric].better
    matrix = np.array([[of_pair[pair] for pair in common] for of_pair in values.values()])
    order = list(values)
    best = int((matrix if better == "higher" else -matrix).mean(axis=1).argmax())
    others = {counts: row for counts, row in zip(order, matrix, strict=True) if counts != order[best]}
    return Surface(
        metric=metric,
        better=better,
        grid=Grid(*(tuple(sorted({counts[stage] for counts in order})) for stage in (0, 1))),
        cells={counts: estimate_mean(of_pair, confidence) for counts, of_pair in values.items()},
        pairs=tuple(common),
        best=order[best],
        best_shares=dict(zip(order, map(float, _share_of_wins(matrix, better)), strict=True)),
        behind_best={counts: compare_paired(row, matrix[best], confidence) for counts, row in others.items()}
        if len(common) > 1
        else {},
    )


def _share_of_wins(matrix: Float64[np.ndarray, "cells pairs"], better: Better) -> Float64[np.ndarray, " cells"]:
    """How often each row has the best mean over columns drawn with replacement."""
    signed = matrix if better == "higher" else -matrix

    def find_winner(drawn: np.ndarray) -> np.ndarray:
        return signed[:, drawn].mean(axis=2).argmax(axis=0).astype(np.float64)

    winners = draw_samples(matrix.shape[1], RESAMPLES, 0, find_winner)
    return np.bincount(winners.astype(int), minlength=len(matrix)) / RESAMPLES
