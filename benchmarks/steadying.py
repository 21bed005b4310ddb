"""What does each step of steadying do to what the default people backend finds, at 5, 10, 15 and 30 frames a second?

    python benchmarks/steadying.py [--size 512] [--seconds 3] [--cache FOLDER] [--output OUT.json]

Renders every packaged motion and every routine of choreography at a slow, a usual and a wild tempo, finds the person in
each frame at 30 frames a second, and then takes every sixth, third, second and single frame: found in these frames
alone ("alone"), or found at 30 frames a second and thinned out afterwards ("between"). Prints, for each way, rate and
step, the means over the clips of

- pck_005, pck_010: the share of the truth's visible joints that are found (confidence above 0.3) nearer than so many
  heights of the person; one that is not found is wrong;
- error: mean distance of the joints that both show, in per cent of the height, at most 10;
- jitter: mean second difference of those errors over time, likewise;
- worse: in how many clips pck_010 fell by more than 0.001.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.left_right import keep_sides
from edit_your_motion.people.tracking.smoothing import SmoothingConfig, frame_times, steady_keypoints
from edit_your_motion.stage import Scene, render_clip
from edit_your_motion.stage.motion import ACTIONS

RATE = 30
STRIDES = (1, 2, 3, 6)
TEMPOS = {"usual": 1.2, "wild": 2.0, "slow": 0.6}
ROUTINES = ("boogie", "posing", "waving", "circling", "jumping_jacks", "squatting", "stretching", "lunging", "bowing",
            "standing", "marching", "balancing")  # fmt: skip
TURNING = ("spin", "spinkick", "circling")
HEADINGS = (0.0, 0.5, -0.7, 1.5, 2.4, 3.1)
FILL, SMOOTH = SmoothingConfig(smooth=False), SmoothingConfig(fill_gaps=False)

Steps = Callable[[Keypoints, np.ndarray], Keypoints]
STEPS: dict[str, Steps] = {
    "none": lambda found, times: found,
    "sides": lambda found, times: keep_sides(found, times=times),
    "gaps": lambda found, times: steady_keypoints(found, FILL, times=times),
    "smoothing": lambda found, times: steady_keypoints(found, SMOOTH, times=times),
    "all": lambda found, times: steady_keypoints(keep_sides(found, times=times), times=times),
}


def find_clips(size: int, seconds: float, cache: Path | None) -> Iterator[tuple[str, Keypoints, Keypoints, float]]:
    """Tempo, what was found and what is true at 30 frames a second, and the person's height in pixels."""
    backend = BlazePose(num_threads=1)
    for number, (tempo, speed) in enumerate(TEMPOS.items()):
        for seed, name in enumerate((*ACTIONS, *ROUTINES), start=1000 * number):
            kept = None if cache is None else cache / f"{name}-{tempo}-{size}-{seconds:g}.npz"
            if kept is not None and kept.is_file():
                stored = np.load(kept)
            else:
                scene = Scene.sample(seed)
                act = replace(scene.performance, name=name, seed=seed, speed=speed, start=0.2)
                if name not in TURNING:
                    act = replace(act, heading=float(np.random.default_rng(seed).choice(HEADINGS)))
                scene = replace(scene, performance=act)
                clip = render_clip(scene, frames=round(RATE * seconds) + 1, size=(size, size), fps=RATE)
                found = np.stack([_largest(people) for people in backend.detect(clip.frames)])
                tall = clip.masks.any(axis=2).sum(axis=1)
                stored = {"found": found, "truth": clip.keypoints.body, "height": np.percentile(tall[tall > 0], 90)}
                if kept is not None:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    np.savez_compressed(kept, **stored)
            found, truth = (Keypoints(stored[which], size, size) for which in ("found", "truth"))
            yield tempo, found, truth, float(stored["height"])


def _largest(people: list[PersonDetection]) -> np.ndarray:
    """The body of the person whose box is the largest; zeros where there is nobody."""
    if not people:
        return np.zeros((18, 3), np.float32)
    return max(people, key=lambda person: np.prod(person.box[2:] - person.box[:2])).body


def measure(found: Keypoints, truth: Keypoints, height: float) -> dict[str, float]:
    there, seen = truth.visible(), found.visible(0.3)
    offsets = (found.body[..., :2].astype(np.float64) - truth.body[..., :2]) / height
    distances = np.where(seen, np.linalg.norm(offsets, axis=-1), np.inf)
    both = there & seen
    known = both[:-2] & both[1:-1] & both[2:]
    trembling = np.linalg.norm(offsets[:-2] - 2 * offsets[1:-1] + offsets[2:], axis=-1)[known]
    return {
        "pck_005": float((distances < 0.05)[there].mean()),
        "pck_010": float((distances < 0.1)[there].mean()),
        "error": 100 * float(np.minimum(distances, 0.1)[both].mean()) if both.any() else float("nan"),
        "jitter": 100 * float(np.minimum(trembling, 0.1).mean()) if known.any() else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--cache", type=Path, help="keeps what was found, which takes nearly all of the time")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    measured: dict[tuple[str, int, str], list[tuple[str, dict[str, float]]]] = {}
    for tempo, found, truth, height in find_clips(options.size, options.seconds, options.cache):
        times = frame_times(len(found), RATE)
        for step, change in STEPS.items():
            steadied = change(found, times)
            for stride in STRIDES:
                rows = np.arange(0, len(found), stride)
                alone = change(found.take(rows), times[rows])
                for way, keypoints in (("alone", alone), ("between", steadied.take(rows))):
                    scores = measure(keypoints, truth.take(rows), height)
                    measured.setdefault((way, RATE // stride, step), []).append((tempo, scores))
    table = []
    for (way, rate, step), clips in measured.items():
        before = measured[way, rate, "none"]
        row: dict[str, object] = {"way": way, "rate": rate, "step": step, "clips": len(clips)}
        for name in clips[0][1]:
            row[name] = round(float(np.nanmean([scores[name] for _, scores in clips])), 4)
        losses = [old["pck_010"] - new["pck_010"] for (_, old), (_, new) in zip(before, clips, strict=True)]
        row["worse"] = sum(loss > 0.001 for loss in losses)
        row["largest_loss"] = round(max(losses), 4)
        row["pck_005_by_tempo"] = {
            tempo: round(float(np.mean([scores["pck_005"] for name, scores in clips if name == tempo])), 4)
            for tempo in TEMPOS
        }
        table.append(row)
        print(json.dumps(row))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
