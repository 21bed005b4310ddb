"""The commands that compare methods on data sets: benchmark tiktok, wild, cases."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.cli.executors import MACHINE, MachineFlags
from edit_your_motion.cli.printing import finish
from edit_your_motion.cli.settings import COMMON, Common, CommonFlags, DatasetFlags

MethodNames: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(help="Methods, by name; default: all, but none with --export-clips or --external alone."),
]
"""Methods under test by name."""

SUMMARIES = {
    "tiktok": "Edit the dancers of the TikTok dataset.",
    "wild": "Edit clips of a folder, paired by a table.",
    "cases": "Edit MotionEditor's case folders.",
}
"""What each command does, by the layout that it reads."""

_HELP = """{summary}

    What FOLDER holds is not made again; table.md, table.json and sheets/ are made from all of it. FOLDER/METHOD/CASE/
    has edited.mp4, config.yaml and scores.json; a failing case stops nothing.

    Parameters
    ----------
    folder
        Folder of the benchmark, for all that it makes.
    data
        Where the data lies (docs/data.md).
    external
        NAME=FOLDER of another project's outputs to score, CASE.mp4 or CASE/ with pictures.
    only
        Cases, by name; default: all.
    export_clips
        Write exports/CASE/: source, reference, skeletons and prompts in forms that other projects read.
    """


def make_command(kind: str) -> Callable[..., None]:
    """The command for one layout of data."""

    def run(
        folder: Path,
        /,
        *,
        data: Path,
        methods: MethodNames = (),
        external: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
        export_clips: bool = False,
        machines: MachineFlags = MACHINE,
        common: CommonFlags = COMMON,
        settings: DatasetFlags = None,
    ) -> None:
        resolved = common.resolve(DatasetConfig, settings)
        run_on_data(
            folder, kind, data, resolved, common,
            methods=methods, external=external, only=only, export_clips=export_clips, machines=machines,
        )  # fmt: skip

    run.__name__, run.__doc__ = kind, _HELP.format(summary=SUMMARIES[kind])
    return run


def run_on_data(
    folder: Path,
    kind: str,
    data: Path,
    config: DatasetConfig,
    common: Common,
    *,
    methods: tuple[str, ...],
    external: tuple[str, ...],
    only: tuple[str, ...],
    export_clips: bool,
    machines: MachineFlags,
) -> None:
    """Makes what is missing, then tables and sheets of all that is there; exits with 1 if a cell failed."""
    from edit_your_motion.benchmark.datasets.run import run_dataset
    from edit_your_motion.benchmark.datasets.summary import (
        format_dataset_summary,
        summarise_dataset,
        write_dataset_sheets,
        write_dataset_summary,
    )
    from edit_your_motion.benchmark.methods.catalogue import METHODS, choose_methods
    from edit_your_motion.benchmark.methods.external import parse_external
    from edit_your_motion.datasets.catalogue import choose_cases, open_dataset

    progress = common.open_progress()
    others = parse_external(external)
    chosen = choose_methods(methods or (() if export_clips or others else METHODS))
    dataset = choose_cases(open_dataset(kind, data, config.cases), only)
    failures = run_dataset(
        folder,
        kind,
        dataset,
        config,
        progress,
        methods=chosen,
        external=others,
        export=export_clips,
        executor=machines.open_if_asked(folder),
    )
    text = None
    if any(folder.glob("*/*/scores.json")):
        summary = summarise_dataset(folder, config, progress)
        write_dataset_summary(folder, summary, dataset.split)
        write_dataset_sheets(folder)
        text = format_dataset_summary(folder, summary, dataset.split)
    finish(None if common.quiet else text, failures)
