"""Where the tasks of a command run: what batch, benchmark, sweep and ablate take."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Group, Parameter

from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.choice import ExecutorName, Share, open_executor

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
        int | None, Parameter(help="Processes on each device (default 1); of slurm, jobs at a time (16).")
    ] = None
    cpus: Annotated[int | None, Parameter(help="Processors, and threads, of each task.")] = None
    gpus: Annotated[float | None, Parameter(help="GPUs of each task; on ray also a part of one.")] = None
    retries: Annotated[int, Parameter(help="How often a task is done again that lost its process or machine.")] = 2
    address: Annotated[str | None, Parameter(help="Address of a Ray cluster; default: one is started here.")] = None
    slurm: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=VALUE, an option of SLURM (partition=gpu, time=MINUTES); repeated."),
    ] = ()

    def open_if_asked(self, folder: Path) -> "Executor | None":
        """The executor; None where none is asked for, and cells share what they can in this process."""
        return None if self.executor is None else self.open(folder / "slurm", self.executor)

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
