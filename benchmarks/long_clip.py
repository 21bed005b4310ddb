"""Edits clips of several lengths with the windows of `diffusion/windows.py`: memory, seams, drift.

    python benchmarks/long_clip.py 16 300 --iterations 20 --steps 5 --output benchmarks/results/long-clip.json
    python benchmarks/long_clip.py 64 --windows 16/4/1 16/4/1/shift 16/4/0 64/0/0     # kinds of windows against none
    python benchmarks/long_clip.py 96 --preset fast --source-frames 24                # a source seen to and fro

A held-out pair of `eym stage` is rendered at each length, with its true keypoints and masks. Every length runs in a
process of its own, so that the memory of one does not count for another; the kinds of windows share one tuning. For
each it says:

- the peak memory of every phase, bytes (`measurement.py`);
- flicker (`metrics/flicker.py`) at the joints, where one window fades into the next, against inside the windows, of the
  edit and of the true frames, where both must be alike: a seam shows in the edit's ratio and not in the truth's. Once
  over whole frames, and once over the background alone, where nothing moves but the camera;
- the same at the frames in which a source that is seen to and fro turns (`people/looping.py`), where the camera keeps
  still: a moving one turns too, which the truth does not;
- the colour drift: how far the background's mean colour moves from the first 8 frames to the last 8, in values of 0 to
  255, beyond what the truth's does.
"""

import argparse
import json
import platform
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import datetime, timezone
from fractions import Fraction
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_dilation

from edit_your_motion.config import EditConfig, WindowsConfig
from edit_your_motion.diffusion.window_grid import window_starts
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.metrics.flicker import flicker
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.looping import follow_source
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.preview import contact_sheet
from edit_your_motion.presets import make_config
from edit_your_motion.runtime.profiling import Recorder, peak_memory, reset_peak_memory
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import Pair, RenderedClip, render_pair
from edit_your_motion.video import Video, write_video

ENDS = 8
"""Frames at either end that the colour drift is measured between."""


def parse_windows(text: str) -> WindowsConfig:
    """FRAMES/OVERLAP/CONTEXT, with /shift to move them from step to step."""
    frames, overlap, context, *shift = text.split("/")
    return WindowsConfig(frames=int(frames), overlap=int(overlap), context=int(context), shift=shift == ["shift"])


def prepare(clip: RenderedClip, fps: int) -> PreparedClip:
    return PreparedClip(Video(clip.frames, Fraction(fps)), clip.keypoints, clip.masks)


def joints(frames: int, windows: WindowsConfig) -> np.ndarray:
    """Whether each frame lies where one window fades into the next (where they stand still)."""
    starts = window_starts(frames, windows) if frames > windows.frames else [0]
    marked = np.zeros(frames, bool)
    for before, after in pairwise(starts):
        marked[after : before + windows.frames] = True
    return marked


def turns(shown: np.ndarray) -> np.ndarray:
    """Whether the source, of which an edit sees these frames, turns at each, or beside it."""
    turned = np.zeros(len(shown), bool)
    turned[1:-1] = np.diff(shown[1:]) * np.diff(shown[:-1]) < 0
    return np.asarray(binary_dilation(turned))


def measure_seams(edited: np.ndarray, truth: RenderedClip, windows: WindowsConfig) -> dict[str, dict[str, float]]:
    """Mean flicker at joints and inside, of the edit and of the truth; nothing for a clip without joints."""
    at_joint = joints(len(edited), windows)
    if not at_joint.any():
        at_joint = joints(len(edited), WindowsConfig())  # no windows: where the usual ones would have theirs
    return measure_flicker(edited, truth, at_joint)


def measure_flicker(edited: np.ndarray, truth: RenderedClip, marked: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean flicker at the frames that are marked and at the others; nothing where none is."""
    at_joint = marked[1:-1]
    if not at_joint.any():
        return {}
    figures = {}
    for name, frames, masks in (
        ("edit", edited, None),
        ("truth", truth.frames, None),
        ("edit, background", edited, truth.masks),
        ("truth, background", truth.frames, truth.masks),
    ):
        values = flicker(frames, masks)
        joint, inside = (float(np.nanmean(values[part])) for part in (at_joint, ~at_joint))
        figures[name] = {"joints": joint, "inside": inside, "ratio": joint / inside}
    return figures


def measure_drift(edited: np.ndarray, truth: RenderedClip) -> float:
    """How far the background's mean colour moves from the first frames to the last, beyond the truth's."""

    def colour(frames: np.ndarray, part: slice) -> np.ndarray:
        return frames[part][~truth.masks[part]].mean(axis=0)

    first, last = slice(ENDS), slice(-ENDS, None)
    moved = [colour(frames, last) - colour(frames, first) for frames in (edited, truth.frames)]
    return float(np.linalg.norm(moved[0] - moved[1]))


def run(frames: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Everything about one length, for each kind of windows."""
    torch.set_num_threads(arguments.threads)
    size = (arguments.size, arguments.size)
    sampled = Pair.sample(arguments.pair, moving_camera=arguments.moving_camera)
    pair = render_pair(sampled, frames=frames, size=size, fps=arguments.fps)
    source, reference, truth = prepare(pair.source, arguments.fps), prepare(pair.reference, arguments.fps), pair.truth
    source = source.take(np.arange(len(source))[: arguments.source_frames]).with_plate()
    shown = follow_source(source, frames, source.video.fps)
    stage = {"iterations": arguments.iterations}
    settings: dict[str, Any] = {
        "prompt": pair.source.caption,
        "edit_prompt": pair.truth.caption,
        "model": {"base": arguments.base},
        "video": {"frames": frames, "size": str(arguments.size)},
        "tuning": {
            "motion": stage,
            "appearance": stage,
            "window": arguments.tuning_window,
            "gradient_checkpointing": arguments.gradient_checkpointing,
        },
        "inversion": {"steps": arguments.steps},
        "sampling": {"steps": arguments.steps},
        "runtime": {"device": arguments.device},
    }
    config = make_config(EditConfig, settings, preset=arguments.preset)
    backbone = Backbone.load(config.model, config.runtime)
    reset_peak_memory(backbone.device)
    loaded = peak_memory(backbone.device)
    results = []
    with TemporaryDirectory() as folder:
        for name in arguments.windows:
            windows = parse_windows(name)
            config = make_config(EditConfig, settings | {"windows": windows.model_dump()}, preset=arguments.preset)
            recorder = Recorder(SilentProgress(), backbone.device)
            checkpoint = Path(folder, "tuning.safetensors")
            person = tune_person(backbone, source, config.for_tuning(), recorder, checkpoint=checkpoint)
            edit = apply_motion(backbone, person, reference, config.for_applying(), recorder)
            if arguments.pictures is not None:
                place = arguments.pictures / f"{frames}-{name.replace('/', '-')}"
                rows = [("source", source.video.frames[shown]), ("truth", truth.frames), ("edited", edit.frames)]
                write_video(place / "edited.mp4", edit.frames, source.video.fps, crf=8)
                Image.fromarray(contact_sheet(rows, 12)).save(place / "sheet.png")
            results.append(
                {
                    "frames": frames,
                    "windows": name,
                    "memory_before": loaded,
                    "phases": {phase: asdict(record) for phase, record in recorder.phases.items()},
                    "last_losses": person.losses[-5:],
                    "flicker": measure_seams(edit.frames, truth, windows),
                    "turns": measure_flicker(edit.frames, truth, turns(shown)),
                    "colour_drift": measure_drift(edit.frames, truth),
                }
            )
    return results


def report(result: dict[str, Any]) -> str:
    memory = ", ".join(f"{name} {phase['peak_memory'] / 2**20:.0f}" for name, phase in result["phases"].items())

    def ratios(kind: str) -> str:
        return ", ".join(f"{name} {values['ratio']:.3f}" for name, values in result[kind].items())

    return (
        f"{result['frames']} frames, windows {result['windows']}\n"
        f"  peak memory, MiB: before {result['memory_before'] / 2**20:.0f}, {memory}\n"
        f"  flicker at the joints / inside: {ratios('flicker')}\n"
        f"  flicker where the source turns / elsewhere: {ratios('turns')}\n"
        f"  colour drift: {result['colour_drift']:.2f} of 255"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=int, nargs="+", help="lengths of the clip")
    parser.add_argument("--windows", nargs="+", default=["16/4/1"], help="FRAMES/OVERLAP/CONTEXT[/shift] of each kind")
    parser.add_argument("--tuning-window", type=int, default=16)
    parser.add_argument("--base", default="small")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--fps", type=int, default=8)
    parser.add_argument("--pair", type=int, default=57, help="seed of the held-out pair")
    parser.add_argument("--moving-camera", action="store_true")
    parser.add_argument("--source-frames", type=int, help="of the source, which is seen to and fro")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--iterations", type=int, default=20, help="of each stage")
    parser.add_argument("--steps", type=int, default=5, help="of inversion, and of sampling")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pictures", type=Path, help="folder for the edited videos and sheets")
    parser.add_argument("--output", type=Path, help="JSON")
    arguments = parser.parse_args()

    results = []
    for frames in arguments.frames:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            for result in alone.submit(run, frames, arguments).result():
                results.append(result)
                print(report(result), flush=True)
    if arguments.output:
        content = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
            "torch": torch.__version__,
            "machine": platform.machine(),
            "settings": {
                key: str(value) for key, value in vars(arguments).items() if key not in ("pictures", "output")
            },
            "results": results,
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
