"""How near do the aligners bring the reference's skeletons to the truth, with everybody's true keypoints?

    python benchmarks/alignment.py [--frames 8] [--size 256] [--output OUT.json]

Over the pairs of the paired benchmark: the mean distance between aligned and true joints and its systematic part (the
mean shift), both in heights of the person, and PCK at 0.1. Joints that something hides count too.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from edit_your_motion.benchmark.pairs import PAIRS
from edit_your_motion.errors import PersonError
from edit_your_motion.metrics import pck
from edit_your_motion.people.alignment import AlignmentMethod, align
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.stage import render_pair


def uncovered(keypoints: Keypoints) -> Keypoints:
    body = keypoints.body.copy()
    body[..., 2] = 1
    return replace(keypoints, body=body)


def measure(aligned: Keypoints, truth: Keypoints) -> dict[str, float]:
    offsets = aligned.body[..., :2] - truth.body[..., :2]
    height = np.ptp(truth.body[..., 1], axis=1).max()
    return {
        "error": float(np.linalg.norm(offsets, axis=-1).mean() / height),
        "shift": float(np.linalg.norm(offsets.mean(axis=(0, 1))) / height),
        "pck": float(pck(aligned, truth).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    size = (options.size, options.size)
    measured: dict[str, dict[str, dict[str, float]]] = {method: {} for method in get_args(AlignmentMethod)}
    for name, choice in PAIRS.items():
        pair = render_pair(choice.sample(), frames=options.frames, size=size, fps=8)
        source, reference, truth = (uncovered(clip.keypoints) for clip in (pair.source, pair.reference, pair.truth))
        if choice.source == "picture":
            source = source.take(np.zeros(1, int))
        for method in get_args(AlignmentMethod):
            try:
                measured[method][name] = measure(align(reference, source, method), truth)
            except PersonError as error:
                print(f"{name}, {method}: {error}")
    for method, pairs in measured.items():
        means = {key: np.mean([values[key] for values in pairs.values()]) for key in ("error", "shift", "pck")}
        print(f"{method}: {', '.join(f'{key} {value:.3f}' for key, value in means.items())} over {len(pairs)} pairs")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
