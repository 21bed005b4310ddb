"""Does the default people backend find the synthetic people, and how near to the truth?

    python benchmarks/stage_detection.py [--scenes 40] [--frames 4] [--size 256] [--split train] [--missed SHEET.png]

Prints one JSON object: the share of frames in which somebody is found, the mean error of visible keypoints in person
heights, and PCK: the share of visible keypoints nearer to the truth than a tenth of the picture's person, or of the
torso. Every frame is looked at on its own, so nothing is gained from the frame before.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.stage.render import render_clip
from edit_your_motion.stage.scene import Scene

NECK, RIGHT_HIP, LEFT_HIP = (BODY_JOINTS.index(name) for name in ("neck", "right_hip", "left_hip"))


def measure(scenes: int, frames: int, size: int, split: str, first: int) -> tuple[dict[str, object], list[np.ndarray]]:
    """The figures to print, and the frames in which nobody was found."""
    backend = BlazePose(num_threads=1)
    missed: list[np.ndarray] = []
    missed_by_motion: Counter[str] = Counter()
    motions: list[str] = []
    errors, heights, torsos = [], [], []
    for seed in range(first, first + scenes):
        scene = Scene.sample(seed, split)
        clip = render_clip(scene, frames=frames, size=(size, size), fps=2)
        for frame, truth, mask in zip(clip.frames, clip.keypoints.body, clip.masks, strict=True):
            people = backend.detect(frame[None])[0]
            if not people:
                missed.append(frame)
                missed_by_motion[scene.performance.name] += 1
                continue
            motions.append(scene.performance.name)
            best = max(people, key=lambda person: person.score)
            seen = truth[:, 2] > 0
            errors.append(np.where(seen, np.linalg.norm(best.body[:, :2] - truth[:, :2], axis=1), np.nan))
            rows = np.flatnonzero(mask.any(axis=1))
            heights.append(rows[-1] - rows[0] + 1)
            torsos.append(np.linalg.norm(truth[NECK, :2] - truth[[RIGHT_HIP, LEFT_HIP], :2].mean(axis=0)))
    error, height, torso = np.array(errors), np.array(heights)[:, None], np.array(torsos)[:, None]
    known = ~np.isnan(error)
    per_joint = np.nanmean(error / height, axis=0)
    figures = {
        "split": split, "scenes": scenes, "frames": scenes * frames, "size": size,
        "found": len(error) / (scenes * frames),
        "error_in_heights": float(np.nanmean(error / height)),
        "pck_tenth_of_height": float((error < 0.1 * height)[known].mean()),
        "pck_half_torso": float((error < 0.5 * torso)[known].mean()),
        "pck_fifth_torso": float((error < 0.2 * torso)[known].mean()),
        "pck_tenth_torso": float((error < 0.1 * torso)[known].mean()),
        "error_by_joint": {name: round(float(value), 4) for name, value in zip(BODY_JOINTS, per_joint, strict=True)},
        "error_by_motion": {
            name: round(float(np.nanmean((error / height)[np.array(motions) == name])), 4)
            for name in sorted(set(motions))
        },
        "missed": dict(missed_by_motion),
    }  # fmt: skip
    return figures, missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--split", default="train")
    parser.add_argument("--missed", type=Path)
    options = parser.parse_args()
    figures, missed = measure(options.scenes, options.frames, options.size, options.split, options.first)
    print(json.dumps(figures, indent=2))
    if options.missed and missed:
        Image.fromarray(np.concatenate(missed[:12], axis=1)).save(options.missed)


if __name__ == "__main__":
    main()
