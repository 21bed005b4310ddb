"""The command that makes many edits: batch."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Group, Parameter

from edit_your_motion.cli.printing import show
from edit_your_motion.cli.settings import EDITING, EditFlags, EditingFlags
from edit_your_motion.config import EditConfig
from edit_your_motion.errors import ConfigError, counted
from edit_your_motion.executors.opening import ExecutorName, Share, open_executor

if TYPE_CHECKING:
    from edit_your_motion.executors.contract import Executor

MACHINES = Group("Machines", sort_key=80)
"""The group of where tasks run."""


@dataclass(frozen=True)
class Machines:
    """Where the tasks of a command run, and what each gets of the machines."""

    executor: Annotated[
        ExecutorName | None,
        Parameter(help="here (one after the other), local (processes), ray, or slurm; docs/cluster.md."),
    ] = None
    jobs: Annotated[
        int | None, Parameter(help="Of local, processes a device (default 1); of slurm, jobs at a time (16).")
    ] = None
    cpus: Annotated[int | None, Parameter(help="Processors, and threads, of each task.")] = None
    gpus: Annotated[float | None, Parameter(help="GPUs of each task; on ray also a part of one.")] = None
    retries: Annotated[int, Parameter(help="How often a task is done again that lost its process or machine.")] = 2
    address: Annotated[str | None, Parameter(help="Of a Ray cluster; default: one is started here.")] = None
    slurm: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=VALUE, an option of SLURM (partition=gpu, time=MINUTES); repeated."),
    ] = ()

    def open(self, folder: Path, default: ExecutorName) -> "Executor":
        """The executor; SLURM's scripts and logs go into the folder.

        Raises:
            ConfigError: it cannot give such a share.
        """
        if wrong := next((text for text in self.slurm if "=" not in text), None):
            raise ConfigError(f"expected --slurm NAME=VALUE, got '{wrong}'")
        options = dict(text.split("=", 1) for text in self.slurm)
        share = Share(self.jobs, self.cpus, self.gpus, self.retries, self.address, options)
        return open_executor(self.executor or default, share, folder)


MachineFlags: TypeAlias = Annotated[Machines, Parameter(name="*", group=MACHINES)]
MACHINE = Machines()


def batch(
    manifest: Path,
    /,
    *,
    output: str = "batch",
    cache: Path | None = None,
    force: bool = False,
    machines: MachineFlags = MACHINE,
    common: EditingFlags = EDITING,
    settings: EditFlags = None,
) -> None:
    """Make an edit of every row of MANIFEST: CSV, YAML or JSON lines.

    Columns are source, reference, prompt, name, preset, truth, and any setting by its full name; a source or reference
    may be a pattern (clips/*.mp4). What OUTPUT holds already is not made again, each person is tuned once, and a
    failing row stops nothing. OUTPUT then has edits/NAME/, persons/, summary.csv, summary.json and index.html.

    Parameters
    ----------
    output
        Folder or URL (s3://bucket/folder) for the results.
    cache
        Folder of each machine for what it brings from elsewhere.
    force
        Also make edits of which the skeletons say that nothing good can come.
    """
    from edit_your_motion.batch.contents import default_cache
    from edit_your_motion.batch.making import Workshop
    from edit_your_motion.batch.manifest import read_manifest
    from edit_your_motion.batch.rows import plan_rows
    from edit_your_motion.batch.run import run_batch
    from edit_your_motion.batch.summary import gather_results, write_summary
    from edit_your_motion.storage.stores import is_url, open_store

    progress = common.open_progress()
    shared = [values for _, values in common.list_layers(EditConfig, settings)]
    rows = plan_rows(read_manifest(manifest), manifest.absolute().parent, shared, common.preset)
    output = output if is_url(output) else str(Path(output).expanduser().absolute())
    workshop = Workshop(output, (cache or default_cache()).absolute(), force)
    executor = machines.open(Path("slurm-logs") if is_url(output) else Path(output) / "slurm", "local")
    failures = run_batch(rows, workshop, executor, progress)
    store = open_store(output)
    write_summary(gather_results(rows, store), store)
    if not common.quiet:
        show(f"{counted(len(rows) - len(failures), 'edit')} of {len(rows)} done: look at {output}/index.html")
    for row in rows:
        if row.name in failures:
            sys.stderr.write(f"{row.name} ({row.where}) failed: {failures[row.name]}\n")
    if failures:
        sys.exit(1)
