"""Which executor, and how much of the machines each task gets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.contract import Executor
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.executors.local import Local
from edit_your_motion.executors.ray import Ray
from edit_your_motion.executors.slurm import Slurm

ExecutorName: TypeAlias = Literal["here", "local", "ray", "slurm"]
"""One after the other in this process; processes of this machine; Ray; jobs of SLURM."""


@dataclass(frozen=True)
class Share:
    """What tasks get; None where the executor knows best.

    Args:
        jobs: of local, processes a device; of SLURM, jobs at a time.
        cpus: that a task gets, and threads that it computes with.
        gpus: that a task gets; on Ray also a fraction.
        retries: how often a task is done again whose process or machine was lost.
        address: of a Ray cluster; None for one that is started here.
        slurm: options of SLURM by name.
    """

    jobs: int | None = None
    cpus: int | None = None
    gpus: float | None = None
    retries: int = 2
    address: str | None = None
    slurm: Mapping[str, str] | None = None


def open_executor(name: ExecutorName, share: Share, folder: Path) -> Executor:
    """The executor of that name.

    Args:
        name: which one.
        share: what tasks get.
        folder: where SLURM's scripts and logs go.

    Raises:
        ConfigError: it cannot give that share.
    """
    for what, number in (("--jobs", share.jobs), ("--cpus", share.cpus)):
        if number is not None and number < 1:
            raise ConfigError(f"expected {what} of 1 or more, got {number}")
    if min(share.gpus or 0, share.retries) < 0:
        raise ConfigError(f"expected --gpus and --retries of 0 or more, got {share.gpus} and {share.retries}")
    if name == "here":
        return InProcess()
    if name == "local":
        return Local(list_environments(share), retries=share.retries)
    if name == "ray":
        return Ray(address=share.address, cpus=share.cpus or 1, gpus=share.gpus, retries=share.retries)
    gpus = int(share.gpus or 0)
    if gpus != (share.gpus or 0):
        raise ConfigError(f"expected whole --gpus under SLURM, got {share.gpus:g}: only Ray shares one")
    return Slurm(
        folder,
        at_once=share.jobs or 16,
        cpus=share.cpus or 1,
        gpus=gpus,
        options=share.slurm,
        retries=share.retries,
    )


def list_environments(share: Share) -> list[dict[str, str]]:
    """The environments of local processes: each GPU has `jobs` of them, and a machine without one has as many.

    A process sees its own GPU alone, so that the device 'auto' is the right one.
    """
    devices = _list_gpus() if share.gpus is None or share.gpus > 0 else []
    jobs = share.jobs or 1
    processes = jobs * max(len(devices), 1)
    threads = share.cpus or max((os.cpu_count() or 1) // processes, 1)
    alike = {"OMP_NUM_THREADS": str(threads)}
    return [{**alike, "CUDA_VISIBLE_DEVICES": device} for device in devices or [""] for _ in range(jobs)]


def _list_gpus() -> list[str]:
    """The GPUs that this process sees, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return [str(index) for index in range(count)] if visible is None else visible.split(",")[:count]
