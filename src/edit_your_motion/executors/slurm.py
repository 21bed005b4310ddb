"""Tasks as jobs of SLURM, by submitit."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.executors.contract import Outcome, Task, check_names, in_one_line, perform

logger = logging.getLogger(__name__)

LARGEST_ARRAY = 1000
"""Tasks of one array of jobs; SLURM takes 1001 unless it is told otherwise."""
PAUSE = 2.0
"""Seconds between two looks at the jobs."""


class Slurm:
    """Does each task as a job of its own.

    Args:
        folder: for scripts, logs and outcomes; every machine has to see it.
        at_once: so many jobs run at a time, at most.
        cpus: of each job.
        gpus: of each job.
        options: of SLURM's own, by their names there: partition, account, time (minutes), mem, ...
        retries: how often a task is done again whose job was lost.
        cluster: 'local' runs the jobs as processes of this machine, to try things out.
    """

    def __init__(
        self,
        folder: Path,
        *,
        at_once: int = 16,
        cpus: int = 1,
        gpus: int = 0,
        options: Mapping[str, str] | None = None,
        retries: int = 1,
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        self.folder, self.at_once, self.cpus, self.gpus = folder, at_once, cpus, gpus
        self.options, self.retries, self.cluster = dict(options or {}), retries, cluster

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """See `Executor.run`."""
        check_names(tasks)
        waiting, losses = list(tasks), Counter[str]()
        running: dict[str, tuple[Task, Any]] = {}
        try:
            while waiting or running:
                # SLURM itself keeps jobs waiting; without it all would begin at once.
                room = len(waiting) if self.cluster == "slurm" else self.at_once - len(running)
                self._submit(waiting[:room], running)
                del waiting[:room]
                for task, job in list(running.values()):
                    if not job.done():
                        continue
                    del running[task.name]
                    outcome = _listen(task, job)
                    losses[task.name] += outcome is None
                    if outcome is not None:
                        yield outcome
                    elif losses[task.name] <= self.retries:
                        waiting.append(task)
                    else:
                        where = job.paths.stderr
                        yield Outcome(task.name, error=f"its job ended without an outcome {losses[task.name]} times, "
                                                       f"the last one ({job.state}) left {where}")  # fmt: skip
                if running:
                    time.sleep(PAUSE if self.cluster == "slurm" else PAUSE / 10)
        finally:
            for _, job in running.values():
                job.cancel(check=False)

    def _submit(self, tasks: Sequence[Task], running: dict[str, tuple[Task, Any]]) -> None:
        """Queues the tasks, in arrays, and notes each one's job."""
        if not tasks:
            return
        executor = self._open()
        for start in range(0, len(tasks), LARGEST_ARRAY):
            part = tasks[start : start + LARGEST_ARRAY]
            with executor.batch():
                jobs = [executor.submit(perform, task) for task in part]
            running.update({task.name: (task, job) for task, job in zip(part, jobs, strict=True)})

    def _open(self) -> Any:
        try:
            import submitit
        except ImportError as error:
            raise MissingExtraError("submitit", "slurm", "the executor 'slurm'") from error
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError("expected SLURM's sbatch on this machine, got none: submit from a login node")
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        own: dict[str, Any] = {f"slurm_{name}": value for name, value in self.options.items()}
        if self.cluster == "slurm":
            own["slurm_array_parallelism"] = self.at_once
        try:
            executor.update_parameters(
                name="eym", cpus_per_task=self.cpus, gpus_per_node=self.gpus, timeout_min=_minutes(self.options), **own
            )
        except (NameError, TypeError, ValueError) as error:
            raise ConfigError(f"expected options of SLURM as submitit names them, got {in_one_line(error)}") from error
        return executor


def _minutes(options: Mapping[str, str]) -> int:
    """How long a job may take; submitit's own five minutes are too short for most."""
    given = options.get("time", "1440")
    if not given.isdecimal():
        raise ConfigError(f"expected --slurm time=MINUTES, got '{given}'")
    return int(given)


def _listen(task: Task, job: Any) -> Outcome | None:
    """How a job's task ended; None where the job left nothing."""
    error = job.exception()
    if error is None:
        outcome = job.result()
        assert isinstance(outcome, Outcome)
        return outcome
    logger.warning("%s: %s", task.name, error)
    return None
