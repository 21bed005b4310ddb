"""How near `eym plan` comes to what edits then take.

    python benchmarks/plan_accuracy.py --output plan-accuracy.json

Five edits of rendered people that differ in frames, windows, steps, guidance and how big the picture is, all on the
small base. Each is planned, then done, in a process of its own; the machine should have nothing else to do. Of each the
report has the planned and the true seconds, whole and of the phases that were planned, and how far they are apart.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edit_your_motion.config import EditConfig
from edit_your_motion.jobs.estimate import plan_edit
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.presets import make_config
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import Pair, render_pair
from edit_your_motion.video import write_video

FPS = 8
SHORT: dict[str, Any] = {"motion": {"iterations": 40}, "appearance": {"iterations": 40}}
EDITS: dict[str, dict[str, Any]] = {
    "short": {"tuning": SHORT, "inversion": {"steps": 20}, "sampling": {"steps": 20}},
    "long motion": {"source": {"frames": 8}, "tuning": SHORT, "inversion": {"steps": 10}, "sampling": {"steps": 10}},
    "long tuning": {"video": {"frames": 8}, "tuning": {"motion": {"iterations": 100}}, "inversion": {"steps": 20}},
    "guided": {"video": {"frames": 12}, "tuning": SHORT, "sampling": {"steps": 30, "guidance_scale": 4.0}},
    "large": {"video": {"frames": 8, "size": "384"}, "tuning": SHORT, "inversion": {"steps": 20}},
}  # fmt: skip
FRAMES = 32


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Plans an edit and does it."""
    clips = {role: {"path": str(folder / f"{role}.mp4")} for role in ("source", "reference")}
    chosen = {key: dict(value) for key, value in EDITS[name].items()}
    for role, clip in clips.items():
        chosen[role] = {**chosen.get(role, {}), **clip}
    config = make_config(EditConfig, {"model": {"base": "small"}, "prompt": "a person is dancing", **chosen})
    planned = plan_edit(config)
    started = time.perf_counter()
    result = run_edit(config, folder / name, SilentProgress(), force=True)
    seconds = time.perf_counter() - started
    phases = json.loads((result.folder / "run.json").read_text())["phases"]
    return {
        "planned": planned.total,
        "seconds": seconds,
        "ratio": planned.total / seconds,
        "frames": [planned.source, planned.frames],
        "phases": {
            phase: {"planned": planned.seconds.get(phase), "seconds": phases.get(phase, {}).get("seconds")}
            for phase in {**planned.seconds, **phases}
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("plan-accuracy.json"))
    parser.add_argument("--only", choices=EDITS, nargs="*", default=list(EDITS))
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, folder = arguments.one
        print(json.dumps(measure(name, Path(folder))))
        return
    with TemporaryDirectory() as place:
        folder = Path(place)
        pair = render_pair(Pair.sample(7), frames=FRAMES, fps=FPS)
        for role, clip in (("source", pair.source), ("reference", pair.reference)):
            write_video(folder / f"{role}.mp4", clip.frames, FPS)
        found = {}
        for name in arguments.only:
            command = [sys.executable, __file__, "--one", name, str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}: planned {found[name]['planned']:.0f} s, took {found[name]['seconds']:.0f} s", flush=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "worst": max(abs(one["ratio"] - 1) for one in found.values()),
        "edits": found,
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
