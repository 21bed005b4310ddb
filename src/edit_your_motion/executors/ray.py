"""Tasks on Ray: on a cluster that is there, or on one that is started on this machine for them."""

import logging
import os
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.executors.contract import Outcome, Task, check_names, in_one_line, perform

logger = logging.getLogger(__name__)

IN_FLIGHT = 256
"""Tasks that Ray knows of at a time, at least: its driver keeps a few kilobytes of each."""
SPARE = 4
"""Tasks that Ray knows of for each that its cluster can do at once."""
PATIENCE = 10.0
"""Seconds that tasks have to put their things in order once they are told to end."""


class Ray:
    """Does tasks on Ray.

    Args:
        address: of a cluster: 'auto', 'ray://HEAD:10001'; None for one on this machine, which ends with the run.
        cpus: that a task gets, and threads that it computes with.
        gpus: that a task gets; a fraction shares one. None for one where the cluster has any.
        retries: how often a task is done again whose process or machine was lost.
    """

    def __init__(
        self, *, address: str | None = None, cpus: int = 1, gpus: float | None = None, retries: int = 3
    ) -> None:
        self.address, self.cpus, self.gpus, self.retries = address, cpus, gpus, retries

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """See `Executor.run`."""
        check_names(tasks)
        ray = _import_ray()
        ours = not ray.is_initialized()
        if ours:
            try:
                started = {"include_dashboard": False} if self.address is None else {"address": self.address}
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **started)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"expected a Ray cluster at '{self.address}', got {in_one_line(error)}: start one with "
                    "'ray start --head', or leave --address out"
                ) from error
        try:
            yield from self._run(ray, tasks)
        finally:
            if ours:
                ray.shutdown()

    def _run(self, ray: Any, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        options, at_once = self._fit(ray)
        do = ray.remote(**options)(_perform_with)
        waiting, running = deque(tasks), dict[Any, str]()
        try:
            while waiting or running:
                while waiting and len(running) < max(IN_FLIGHT, SPARE * at_once):
                    task = waiting.popleft()
                    running[do.options(name=task.name).remote(task, self.cpus, os.getcwd())] = task.name
                ready, _ = ray.wait(list(running), num_returns=1, timeout=None)
                if len(running) > 1:  # those that ended with it, so that all are looked through less often
                    ready, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
                for reference in ready:
                    yield self._listen(ray, reference, running.pop(reference))
        finally:
            for reference in running:
                ray.cancel(reference, force=False)
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)

    def _fit(self, ray: Any) -> tuple[dict[str, Any], int]:
        """What Ray is told of each task, and how many it can do at once; passes what the cluster has.

        Raises:
            ConfigError: no machine of it has as much as one task is to get.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        has_gpu = any(node.get("GPU", 0) for node in nodes)
        gpus = float(has_gpu) if self.gpus is None else self.gpus
        asked = {"CPU": float(self.cpus), "GPU": gpus}
        fitting = [node for node in nodes if all(node.get(kind, 0) >= count for kind, count in asked.items())]
        if not fitting:
            most = {kind: max((node.get(kind, 0) for node in nodes), default=0) for kind in asked}
            raise ConfigError(
                f"expected a machine of the cluster with {self.cpus} processors and {gpus:g} GPUs for a task, got at "
                f"most {most['CPU']:g} and {most['GPU']:g}: lower --cpus or --gpus"
            )
        shares = [min(int(node[kind] / count) for kind, count in asked.items() if count) for node in fitting]
        return {"num_cpus": self.cpus, "num_gpus": gpus, "max_retries": self.retries}, sum(shares)

    def _listen(self, ray: Any, reference: Any, name: str) -> Outcome:
        """How a task ended; where its process or machine was lost once too often, that."""
        try:
            outcome = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # such as on a machine without this package
            last = str(error).strip().splitlines()[-1]
            return Outcome(name, error=in_one_line(f"its worker could not begin: {last}"))
        except ray.exceptions.RayError as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            logger.warning("%s: %s", name, error)
            return Outcome(name, error=in_one_line(f"Ray lost it {self.retries + 1} times: {first}"))
        assert isinstance(outcome, Outcome)
        return outcome


def _perform_with(task: Task, threads: int, folder: str) -> Outcome:
    """Does a task where the driver is, so that relative paths mean the same, with so many threads.

    What computes reads how many when a process first imports it.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if os.path.isdir(folder):
        os.chdir(folder)
    return perform(task)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "the executor 'ray'") from error
    return ray
