"""Bounds of memory from little to enough, and plans against the truth.

A command that gets too little says so in one line, or works; it does not end without a word. The peak of a plan is
never below the real one of the process, and at most a quarter above.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import trying
from commands import SILENT, edit_config, inputs, scratch
from edit_your_motion.cli import main
from edit_your_motion.config import OPENPOSE_CONTROLNET, EditConfig, dump_config, parse_config
from edit_your_motion.jobs.session import run_edit
from synthetic_clip import film, write_clip
from trying import Account, in_child

LITTLE, STEP = 4 << 20, 1.35
WITHIN = 1.25
LONGEST = 8
"""Frames of a clip whose plan is tried."""
SMALL_MODEL = {"base": "small", "controlnet": OPENPOSE_CONTROLNET}


def campaign(options: argparse.Namespace) -> Account:
    """Tries bounds, each a third above the last, and random settings."""
    account, place = Account("memory", options), scratch()
    bounds = [f"bound/{int(LITTLE * STEP**number) >> 20}" for number in range(min(options.cases, 20))]
    if not options.only or "bound" in options.only:
        account.try_all(bounds, lambda case: attempt_bound(int(case.split("/")[1]) << 20, place))
    if not options.only or "plan" in options.only:
        account.try_all(
            [f"plan/{number}" for number in range(options.cases)],
            lambda case: attempt_plan(int(case.split("/")[1]), options.seed, place),
        )
    return account


def attempt_bound(memory: int, place: Path) -> str:
    """How an edit by the command line ends that gets so many bytes beyond what the libraries take.

    oneDNN calls machine code that it had no memory to write: nobody can catch that, but where it was is said.
    """
    settings, folder = place / "bound.yaml", Path(tempfile.mkdtemp(dir=place))
    settings.write_text(dump_config(edit_config(inputs())))
    ended = in_child(lambda: _by_command_line(settings, folder), memory=memory)
    if ended.how == "killed" and "Fatal Python error: Segmentation fault" in (folder / "said").read_text():
        return "ok 1: a library crashes, and where is said"
    if ended.how != "ok":
        return f"{ended.how}: {ended.what}"
    code, said = ended.what
    if code == 0:
        return "ok 1: it works"
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    return f"ok 1: {lines[0][:160]}" if len(lines) == 1 and "Traceback" not in said else f"status {code}: {said[-400:]}"


def _by_command_line(settings: Path, folder: Path) -> tuple[int, str]:
    said = os.open(folder / "said", os.O_RDWR | os.O_CREAT)
    os.dup2(said, 2)
    try:
        main(["edit", "--config", str(settings), "--output", str(folder / "edit")])
    except SystemExit as end:
        sys.stderr.flush()
        return int(end.code or 0), (folder / "said").read_text(errors="replace")
    raise AssertionError("a command line always exits")


def attempt_plan(number: int, seed: int, place: Path) -> str:
    """The plan of some settings against the peak that the process had."""
    config = draw_settings(np.random.default_rng([seed, number]), longer_clips(place))
    folder = Path(tempfile.mkdtemp(dir=place))
    ended = in_child(lambda: (run_edit(config, folder / "edit", SILENT, force=True), _mapped())[1])
    if ended.how != "ok":
        return f"{ended.how}: {ended.what}"
    record = json.loads((folder / "edit/run.json").read_text(encoding="utf-8"))
    planned = record["memory"]["needed"]
    # A fork has of the libraries' files what it touches again; in a process of its own all that was read is there.
    real = max(phase["peak_memory"] for phase in record["phases"].values()) + _mapped() - ended.what
    ratio = planned / real
    told = f"{planned / 1e6:.0f} MB planned, {real / 1e6:.0f} were taken: {ratio:.2f}"
    return f"ok 1: {told}" if 1 <= ratio <= WITHIN else told


def _mapped() -> int:
    """What of files, mostly libraries, this process has in memory, bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssFile:")) * 1024


def longer_clips(place: Path) -> Path:
    """A folder like that of the inputs, its clips of as many frames as any case takes."""
    folder = place / "longer"
    if not folder.is_dir():
        folder.mkdir()
        for part in ("base", "controlnet"):
            (folder / part).symlink_to(inputs() / part)
        for name, clip in {"source": film(LONGEST), "reference": film(LONGEST, speed=6.0, seed=1)}.items():
            (folder / name).mkdir()
            write_clip(folder / name, clip)
    return folder


def draw_settings(rng: np.random.Generator, place: Path) -> EditConfig:
    """An edit with a step of each kind on the tiny base or on the small one, of some size, with some ways to save
    memory."""
    small = rng.random() < 0.5
    sides = (128, 192, 256, 384) if small else (64, 128, 192, 256, 320)
    values: dict[str, Any] = {
        "video": {"frames": int(rng.integers(2, LONGEST + 1)), "size": str(sides[rng.integers(0, len(sides))])},
        "windows": {"frames": int(rng.integers(4, LONGEST + 1)), "overlap": 2},
        "tuning": {"gradient_checkpointing": bool(rng.random() < 0.5)},
        "runtime": {"memory": "200GB", "tiled_vae": bool(rng.random() < 0.5)},
    }
    if small:
        values["model"] = SMALL_MODEL
    return parse_config(EditConfig, edit_config(place).model_dump(), values)


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 50)).conclude())
