"""How well is a hole of a person's shape filled, that no frame sees into?

    python benchmarks/inpainting.py [--scenes 36] [--size 256] [--clips CLIP...] [--output OUT.json]

The held-out scenes of the generator are rendered once with their person and once without: the person and the shadow at
the feet, grown as for a plate, are the hole. Of real clips nobody knows what is behind the person: there the hole is
the person's shape moved aside, by a twelfth of the width and its multiples, wherever it does not touch the person; in
three frames of each. Prints the mean PSNR over the pixels of the holes, dB, and the LPIPS of the whole pictures.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from edit_your_motion.compositing.clean_plate import GROWN, grow
from edit_your_motion.compositing.inpainting import fill_smoothly, fill_with_pieces
from edit_your_motion.metrics.lpips import lpips
from edit_your_motion.metrics.lpips_weights import load_lpips
from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.stage import Pair, render_clip
from edit_your_motion.video import Fit, read_video

Case = tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]
"""The true picture, the hole, and where nothing may be taken from."""
STEPS = 12


def render(scenes: int, size: int) -> Iterator[Case]:
    """Places that are known behind their people."""
    for number in range(scenes):
        clip = render_clip(Pair.sample(number, "held_out", moving_camera=False).source, frames=1, size=(size, size))
        hole = grow(clip.masks, GROWN)[0] | clip.shadows[0]
        yield clip.backgrounds[0], hole, hole


def cut(clip: Path, size: int) -> Iterator[Case]:
    """Frames of a clip with a hole beside the person."""
    frames = read_video(clip, fit=Fit(size, size)).frames
    chosen = frames[np.linspace(0, len(frames) - 1, 3).astype(int)]
    finder = BlazePose()
    for frame in chosen:
        (people,) = finder.detect(frame[None])
        if not people or people[0].mask is None:
            continue
        person = grow(people[0].mask[None], GROWN)[0]
        for step in range(-STEPS // 2, STEPS // 2 + 1):
            shift = step * size // STEPS
            hole = np.zeros_like(person)
            hole[:, max(shift, 0) : size + min(shift, 0)] = person[:, max(-shift, 0) : size - max(shift, 0)]
            if hole.sum() > 0.9 * person.sum() and not (hole & person).any():
                yield frame, hole, hole | person


def measure(cases: list[Case], fill: Callable[..., Float[np.ndarray, "h w 3"]]) -> dict[str, float]:
    """The scores of a filling over some cases, and its seconds for each."""
    network, seconds, scores = load_lpips(), 0.0, []
    for true, hole, closed in cases:
        start = time.perf_counter()
        found = fill(true.astype(np.float32), closed)
        seconds += time.perf_counter() - start
        filled = true.copy()
        filled[hole] = np.clip(found[hole].round(), 0, 255)
        error = np.mean((filled[hole] / 255.0 - true[hole] / 255.0) ** 2)
        scores.append((-10 * np.log10(max(error, 1e-6)), lpips(filled[None], true[None], network)[0]))
    psnr, distance = np.mean(scores, axis=0)
    return {"psnr": float(psnr), "lpips": float(distance), "seconds": seconds / len(cases), "cases": len(cases)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=36)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    groups = {"rendered": list(render(options.scenes, options.size))}
    groups |= {clip.stem: list(cut(clip, options.size)) for clip in options.clips}
    found = {
        group: {"smooth": measure(cases, fill_smoothly), "pieces": measure(cases, fill_with_pieces)}
        for group, cases in groups.items()
        if cases
    }
    print(json.dumps(found, indent=1))
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
