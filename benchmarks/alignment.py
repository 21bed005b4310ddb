"""How near do the aligners bring the reference's skeletons to the truth, with everybody's true keypoints?

    python benchmarks/alignment.py [--frames 8] [--size 256] [--output OUT.json]

Over the pairs of the paired benchmark: the mean distance between aligned and true joints and its systematic part (the
mean shift), both in heights of the person, PCK at 0.1, the share of the aligned joints that lie outside the picture and
of the frames in which more than a tenth of them do. The last two also for the same sources with references that walk
by, and for these with sources that stand aside, where nobody knows the truth. Joints that something hides count too.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.errors import PersonError
from edit_your_motion.metrics import pck
from edit_your_motion.people.alignment import Place, align
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.stage import Scene, render_clip, render_pair
from edit_your_motion.stage.scene import Performance

ALIGNERS = {"none": ("none", "median"), "paper": ("paper", "median")} | {
    f"limbs, {place}": ("limbs", place) for place in get_args(Place)
}


def uncovered(keypoints: Keypoints) -> Keypoints:
    body = keypoints.body.copy()
    body[..., 2] = 1
    return replace(keypoints, body=body)


def walk_by(scene: Scene, frames: int, size: tuple[int, int]) -> Keypoints:
    """The scene's person crosses the picture to the right, at 1.2 m/s in steps of a quarter of a second."""
    x = 0.3 * (np.arange(frames) - (frames - 1) / 2)
    scene = replace(scene, performance=Performance("walk", heading=np.pi / 2))
    clips = [
        render_clip(replace(scene, offset=(float(place), 0.0)), frames=1, size=size, start=frame / 4).keypoints
        for frame, place in enumerate(x)
    ]
    return uncovered(replace(clips[0], body=np.concatenate([clip.body for clip in clips])))


def stand_aside(scene: Scene, side: int) -> Scene:
    """The scene with its person three tenths of the picture's width from where they were."""
    camera = scene.view.camera
    return replace(scene, offset=(side * 0.3 * camera.position[2] / camera.focal, 0.0))


def measure(aligned: Keypoints, truth: Keypoints) -> dict[str, float]:
    offsets = aligned.body[..., :2] - truth.body[..., :2]
    height = np.ptp(truth.body[..., 1], axis=1).max()
    return {
        "error": float(np.linalg.norm(offsets, axis=-1).mean() / height),
        "shift": float(np.linalg.norm(offsets.mean(axis=(0, 1))) / height),
        "pck": float(pck(aligned, truth).mean()),
        **measure_outside(aligned),
    }


def measure_outside(aligned: Keypoints) -> dict[str, float]:
    places = aligned.body[..., :2]
    outside = ((places < 0) | (places >= (aligned.width, aligned.height))).any(axis=-1)
    return {"outside": float(outside.mean()), "frames cut": float((outside.mean(axis=1) > 0.1).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    size = (options.size, options.size)
    measured: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        kind: {name: {} for name in ALIGNERS} for kind in ("pairs", "walk by", "walk by, source aside")
    }
    for number, (name, choice) in enumerate(PAIRS.items()):
        pair = choice.sample()
        clips = render_pair(pair, frames=options.frames, size=size, fps=8)
        source, reference, truth = (uncovered(clip.keypoints) for clip in (clips.source, clips.reference, clips.truth))
        aside = render_clip(stand_aside(pair.source, (-1) ** number), frames=options.frames, size=size, fps=8).keypoints
        walking = walk_by(pair.reference, 12, size)
        if choice.source == "picture":
            source, aside = source.take(np.zeros(1, int)), aside.take(np.zeros(1, int))
        for aligner, (method, place) in ALIGNERS.items():

            def moved(motion: Keypoints, onto: Keypoints, method: Any = method, place: Any = place) -> Keypoints:
                return align(motion, onto, method, place=place)

            try:
                measured["pairs"][aligner][name] = measure(moved(reference, source), truth)
                measured["walk by"][aligner][name] = measure_outside(moved(walking, source))
                measured["walk by, source aside"][aligner][name] = measure_outside(moved(walking, aside))
            except PersonError as error:
                print(f"{name}, {aligner}: {error}")
    for kind, aligners in measured.items():
        for aligner, pairs in aligners.items():
            means = {key: np.mean([values[key] for values in pairs.values()]) for key in next(iter(pairs.values()))}
            shown = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
            print(f"{kind}: {aligner}: {shown} over {len(pairs)} pairs")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
