"""The commands behind the paper's tables: ablate, sweep, tables."""

import sys
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.cli.executors import MACHINE, MachineFlags
from edit_your_motion.cli.printing import finish, show
from edit_your_motion.cli.settings import COMMON, CommonFlags, PairedFlags, Quiet, SweepFlags

Counts: TypeAlias = Annotated[tuple[int, ...], Parameter(consume_multiple=True)]
"""Several numbers after one flag."""


def ablate(
    folder: Path,
    /,
    *,
    pairs: tuple[str, ...] = (),
    machines: MachineFlags = MACHINE,
    common: CommonFlags = COMMON,
    settings: PairedFlags = None,
) -> None:
    """Measure what each part of the method is worth: Table IV, Fig. 9.

    On the pairs of the paired benchmark, whose FOLDER it may be; what that holds is not made again. Writes ablation.md,
    ablation.json (differences to the full method with bootstrap intervals), table.md, table.json and sheets/.

    Parameters
    ----------
    folder
        Folder of the benchmark, for all that it makes.
    pairs
        Pairs of the benchmark, by name; default: all.
    """
    from edit_your_motion.benchmark.paired.pairs import PAIRS, choose_pairs
    from edit_your_motion.benchmark.paired.run import run_paired
    from edit_your_motion.benchmark.paired.summary import summarise, write_sheets, write_summary
    from edit_your_motion.benchmark.tables.ablation import (
        choose_ablations,
        compare_ablations,
        format_ablation,
        write_ablation,
    )

    resolved = common.resolve(PairedConfig, settings)
    progress = common.open_progress()
    chosen = choose_pairs(pairs or PAIRS)
    failures = run_paired(
        folder, resolved, progress, methods=choose_ablations(), pairs=chosen, executor=machines.open_if_asked(folder)
    )
    summary = summarise(folder)
    write_summary(folder, summary)
    write_sheets(folder)
    ablation = compare_ablations(folder, summary)
    write_ablation(folder, ablation)
    finish(None if common.quiet else format_ablation(ablation), failures)


def sweep(
    folder: Path,
    /,
    *,
    stage_1: Counts = (),
    stage_2: Counts = (),
    pairs: tuple[str, ...] = (),
    machines: MachineFlags = MACHINE,
    common: CommonFlags = COMMON,
    settings: SweepFlags = None,
) -> None:
    """Measure how many iterations the two stages need: Table V.

    Stage 1 runs once for each pair, and stage 2 once from each of its counts: 4 x 4 cells cost 5 tunings. What FOLDER
    holds is not made again; writes sweep.md, sweep.json and surface-SCORE.svg.

    Parameters
    ----------
    folder
        Folder of the sweep, for all that it makes.
    stage_1
        Iterations of stage 1 to try; default: the paper's 100, 200, 300, 400.
    stage_2
        Iterations of stage 2 to try; likewise.
    pairs
        Pairs of the benchmark, by name; default: all.
    """
    from edit_your_motion.benchmark.paired.pairs import PAIRS, choose_pairs
    from edit_your_motion.benchmark.sweep.run import Grid, published_grid, run_sweep
    from edit_your_motion.benchmark.sweep.summary import SWEEP, write_sweep

    resolved = common.resolve(PairedConfig, settings)
    progress = common.open_progress()
    paper = published_grid()
    grid = Grid(tuple(sorted({*stage_1})) or paper.motion, tuple(sorted({*stage_2})) or paper.appearance)
    failures = run_sweep(
        folder,
        resolved,
        progress,
        grid=grid,
        pairs=choose_pairs(pairs or PAIRS),
        executor=machines.open_if_asked(folder),
    )
    write_sweep(folder)
    finish(None if common.quiet else (folder / SWEEP).read_text(encoding="utf-8"), failures)


def tables(*folders: Path, output: Path = Path("tables"), quiet: Quiet = False) -> None:
    """Make the paper's Tables II to VI, with ours beside them.

    Writes tables.md, trace.md, tables.tex, tables.json and index.html. What the folders do not fill is a gap, named
    with the command that fills it.

    Parameters
    ----------
    folders
        Of benchmarks, sweeps, ablations, and user studies with their report.json.
    output
        Where to write.
    """
    from edit_your_motion.benchmark.tables.files import MARKDOWN, PAGE, write_tables
    from edit_your_motion.benchmark.tables.tables import read_findings
    from edit_your_motion.storage.locking import held

    with held(output):
        write_tables(output, read_findings(folders))
    if not quiet:
        show((output / MARKDOWN).read_text(encoding="utf-8"))
        sys.stdout.write(f"{output / PAGE}\n")
