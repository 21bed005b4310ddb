"""The sensitivity study (Table V): every number of iterations of stage 1 by every one of stage 2, on known edits."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edit_your_motion.benchmark.methods.catalogue import Method
from edit_your_motion.benchmark.paired.pairs import PAIRS, PairChoice
from edit_your_motion.benchmark.paired.run import Failure, PairedConfig, run_paired
from edit_your_motion.benchmark.prefix_tuning import PrefixTuning
from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.contract import Executor
from edit_your_motion.metrics import Lpips
from edit_your_motion.metrics.published import load_published
from edit_your_motion.runtime.progress import Progress

Counts: TypeAlias = tuple[int, int]
"""Iterations of stage 1 and of stage 2."""


@dataclass(frozen=True)
class Grid:
    """Which numbers of iterations are tried.

    Args:
        motion: of stage 1, each 1 or more, ascending.
        appearance: of stage 2, likewise.
    """

    motion: tuple[int, ...]
    appearance: tuple[int, ...]

    def __post_init__(self) -> None:
        for stage, counts in (("1", self.motion), ("2", self.appearance)):
            if not counts or min(counts) < 1 or list(counts) != sorted(set(counts)):
                raise ConfigError(
                    f"expected the iterations of stage {stage} as ascending numbers from 1, each once; got {counts}"
                )

    @property
    def cells(self) -> tuple[Counts, ...]:
        """All pairs of counts, those that share the most beside each other."""
        return tuple((first, second) for first in self.motion for second in self.appearance)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Each cell as a method under test."""
        return tuple(
            Method(
                name_cell(cell),
                f"the full method, {cell[0]} iterations of stage 1 and {cell[1]} of stage 2",
                {"tuning": {"motion": {"iterations": cell[0]}, "appearance": {"iterations": cell[1]}}},
            )
            for cell in self.cells
        )


def name_cell(cell: Counts) -> str:
    """Names the cell's folder: "300-100"."""
    return f"{cell[0]}-{cell[1]}"


def published_grid() -> Grid:
    """Table V's."""
    table = load_published()["V"]
    return Grid(tuple(int(row) for row in table.rows), tuple(int(column.name) for column in table.columns))


def run_sweep(
    folder: Path,
    config: PairedConfig,
    progress: Progress,
    *,
    grid: Grid | None = None,
    pairs: Sequence[PairChoice] = tuple(PAIRS.values()),
    lpips: Lpips | None = None,
    executor: Executor | None = None,
) -> list[Failure]:
    """Makes and scores every cell that is not there yet, and returns those that could not be made.

    On each pair stage 1 runs once, up to its largest count, and stage 2 once from each count of stage 1: n x n cells
    cost n + 1 tunings, not n x n. Every cell is, on a CPU bit for bit, what a run of its own gives. Cells lie and go on
    as those of `run_paired`, ``STAGE1-STAGE2/PAIR/``, and the phases of one tell the steps that were its own.

    Args:
        folder: of the sweep.
        config: what all cells share; its own numbers of iterations are of no account.
        progress: is told how far it is.
        grid: which counts; Table V's by default.
        pairs: which ones.
        lpips: the network; by default AlexNet's.
        executor: makes each pair as a task of its own; by default they are made here, and share the loaded networks.

    Raises:
        ConfigError: `config` shortens the stages, or stops them early.
    """
    if config.share != 1:
        raise ConfigError(f"a sweep has numbers of iterations of its own: expected a share of 1, got {config.share}")
    if config.edit.tuning.early_stopping.enabled:
        raise ConfigError("a sweep needs every iteration that it counts: give --edit.tuning.early-stopping.no-enabled")
    states = folder / "unfinished"
    failures = run_paired(
        folder,
        config,
        progress,
        methods=(grid or published_grid()).methods,
        pairs=pairs,
        lpips=lpips,
        tune=PrefixTuning(states),
        executor=executor,
    )
    if not failures:
        shutil.rmtree(states, ignore_errors=True)
    return failures
