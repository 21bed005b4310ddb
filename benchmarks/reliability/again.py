"""The same edit again: the same bytes from the same seed, and how far other threads and vectors are from them."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import trying
from commands import SILENT, differing, digest, edit_config, inputs, scratch
from edit_your_motion.config import OPENPOSE_CONTROLNET
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.video import read_video
from trying import Account, in_child

OTHERS = {
    "two threads": {"OMP_NUM_THREADS": "2"},
    "no wide vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
}
FARTHEST = 1.0
"""Levels of 255 that frames of the base that ships may lie apart, on average, after another order of rounding."""
REAL: dict[str, Any] = {
    "model": {"base": "small", "controlnet": OPENPOSE_CONTROLNET},
    "video": {"size": "128"},
    "tuning": {name: {"iterations": 25, "learning_rate": 3e-5} for name in ("motion", "appearance")},
    "inversion": {"steps": 10},
    "sampling": {"steps": 10},
}
"""A whole edit with the base that ships. Networks of random weights show nothing: a step of Adam on them is as large
whatever the gradient, so that rounding decides which way it goes."""


def campaign(options: argparse.Namespace) -> Account:
    """Repeats edits of several seeds in forks, and one in processes with other numbers of threads and other vectors."""
    account, place = Account("again", options), scratch()
    inputs()  # once for all: those of a fork would be its own, and settings name them
    account.try_all([f"same/{seed}" for seed in range(options.cases)], lambda case: repeat(int(case[5:]), place))
    others = list(OTHERS) if options.cases > 1 else []
    account.try_all(others, lambda case: compare(case, place))
    return account


def edit(seed: int, folder: Path, **values: Any) -> None:
    """One edit."""
    run_edit(edit_config(inputs(), runtime={"seed": seed, "device": "cpu"}, **values), folder, SILENT)


def repeat(seed: int, place: Path) -> str:
    """Whether two runs give the same files."""
    found = []
    for name in ("one", "other"):
        ended = in_child(lambda name=name: edit(seed, place / f"{name}-{seed}"))
        if ended.how != "ok":
            return f"{ended.how}: {ended.what}"
        found.append(digest(place / f"{name}-{seed}"))
    return "ok" if found[0] == found[1] else f"two runs differ in {differing(*found)}"


def compare(case: str, place: Path) -> str:
    """How far the frames of a process with another environment are from ours."""
    if not (place / "ours").is_dir():
        in_child(lambda: edit(0, place / "ours", **REAL))
    program = (
        "import sys; sys.path.insert(0, sys.argv[3]); import paths, torch, commands; from pathlib import Path\n"
        "commands.inputs = lambda: Path(sys.argv[2])\n"
        "import again; torch.set_num_threads(int(sys.argv[4])); again.edit(0, Path(sys.argv[1]), **again.REAL)"
    )
    folder = place / case.replace(" ", "-")
    environment = {**os.environ, **OTHERS[case]}
    ended = subprocess.run(
        [sys.executable, "-c", program, folder, inputs(), Path(__file__).parent, "2" if "threads" in case else "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        return f"status {ended.returncode}: {ended.stderr[-300:]}"
    one, other = (read_video(each / "edited.mp4").frames.astype(np.int16) for each in (place / "ours", folder))
    apart = np.abs(one - other)
    return (
        f"ok 1: {apart.mean():.4f} levels apart, at most {apart.max()}"
        if apart.mean() <= FARTHEST
        else f"{apart.mean()} apart"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(campaign(trying.read_options(__doc__, 20)).conclude())
