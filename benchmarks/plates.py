"""How near does the clean plate come to the place behind the person?

    python benchmarks/plates.py [--scenes 36] [--frames 32] [--size 256] [--output OUT.json]

Held-out scenes of the generator, before a camera that stands still and, every third, one that moves. The masks are the
person's alone; with the ground that `find_shaded` takes for shaded, as in a preparation; or with the true shadow.
Prints the PSNR of the plate where the person is or is near, dB, the mean over the scenes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.compositing.clean_plate import grow, make_plate
from edit_your_motion.compositing.contact_shadow import find_shaded
from edit_your_motion.stage import Pair, render_clip

NEAR = 0.06
"""How near of the person the plate is looked at, as a share of the picture's short side."""

BEST = 50.0
"""What a plate without any error counts as, dB."""


def score(
    places: UInt8[np.ndarray, "g h w 3"], true: UInt8[np.ndarray, "k h w 3"], masks: Bool[np.ndarray, "f h w"]
) -> float:
    """PSNR over the pixels near the person, one error for all frames."""
    near = grow(masks, NEAR)
    shape = (*masks.shape, 3)
    off = (np.broadcast_to(places, shape)[near] / 255.0 - np.broadcast_to(true, shape)[near] / 255.0) ** 2
    return min(BEST, float(-10 * np.log10(max(off.mean(), 1e-9))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=36)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    for number in range(options.scenes):
        pair = Pair.sample(number, "held_out", moving_camera=number % 3 == 2)
        clip = render_clip(pair.source, frames=options.frames, size=(options.size, options.size))
        shaded = find_shaded(clip.frames, clip.masks, clip.keypoints)
        kinds = {"person": clip.masks, "found": clip.masks | shaded, "true": clip.masks | clip.shadows}
        for kind, masks in kinds.items():
            places = make_plate(clip.frames, masks).places
            found.setdefault(kind, []).append(score(places, clip.backgrounds, clip.masks))
    print(json.dumps({kind: float(np.mean(scores)) for kind, scores in found.items()}, indent=1))
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
