"""How near the matte of a person comes to the true share that it has of each pixel?

    python benchmarks/mattes.py [--scenes 20] [--size 256]

Renders people four times as large as they are looked at, so that the share of a pixel that is the person is known, and
lays them over a place that is a little wrong, as generated places are: blurred, shifted in colour, with patches. The
matte that is found in these frames lays the person over the true place; the result is compared with the frames as they
were rendered. Of the matte, the finder's mask, and the true share itself it prints

- alpha: mean error of the share within 4 pixels of the outline;
- outline, person, frame: dB within 4 pixels of the outline, where the person has more than half of the pixel, and in
  all (the contact shadow is the edit's, so that the true share has none).
"""

import argparse

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import distance_transform_edt, gaussian_filter

from edit_your_motion.compositing.matte import composite, make_matte
from edit_your_motion.metrics import psnr
from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.sampling.kept_background import find_reach
from edit_your_motion.stage import Scene, render_clip
from edit_your_motion.stage.render import paint_plate

FINER = 4
BAND = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    finder = BlazePose(hands=False, face=False)
    rows: dict[str, list[list[float]]] = {"the matte": [], "the finder's mask": [], "the true share": []}
    for seed in range(options.scenes):
        frame, place, alpha, keypoints = render(Scene.sample(seed), options.size)
        people = finder.detect(frame[None])[0]
        if not people:
            continue
        found = max(people, key=lambda one: float(np.prod(one.box[2:] - one.box[:2]))).mask
        generated = blemish(frame, place, alpha, np.random.default_rng(seed))
        matte = make_matte(generated[None], keypoints, find_reach(alpha[None] > 0.5, keypoints), found[None])[0]
        for name, share in zip(rows, (matte, found.astype(np.float32), alpha), strict=True):
            rows[name].append(compare(share, alpha, generated, place, frame))
    print(f"| {len(rows['the matte'])} frames | alpha | outline | person | frame |\n|---|---|---|---|---|")
    for name, scores in rows.items():
        alpha_error, *levels = np.mean(scores, axis=0)
        print(f"| {name} | {alpha_error:.3f} | {' | '.join(f'{level:.1f}' for level in levels)} |")


def render(
    scene: Scene, side: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "h w"], Keypoints]:
    """A frame, its place without the person, the person's share of each pixel, and the keypoints."""
    fine = (side * FINER, side * FINER)
    clip = render_clip(scene, frames=1, size=fine, fps=1)
    place = paint_plate(scene.place, scene.view.at(0.0), *fine).picture
    frame, place, alpha = (_shrink(part.astype(np.float32)) for part in (clip.frames[0], place, clip.masks[0]))
    body = clip.keypoints.body / np.array([FINER, FINER, 1], np.float32)
    return frame.round().astype(np.uint8), place.round().astype(np.uint8), alpha, Keypoints(body, side, side)


def _shrink(picture: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    high, wide = (side // FINER for side in picture.shape[:2])
    return picture.reshape(high, FINER, wide, FINER, *picture.shape[2:]).mean(axis=(1, 3))


def blemish(
    frame: UInt8[np.ndarray, "h w 3"],
    place: UInt8[np.ndarray, "h w 3"],
    alpha: Float[np.ndarray, "h w"],
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "h w 3"]:
    """The frame as if it had been generated: its place is wrong by some levels, and all is a little blurred."""
    patches = 120 * gaussian_filter(rng.normal(size=place.shape), (6, 6, 0))
    wrong = gaussian_filter(place.astype(np.float32), (1.5, 1.5, 0)) + rng.normal(0, 8, 3) + patches
    generated = frame + (1 - alpha[..., None]) * (wrong - place)
    return gaussian_filter(generated, (0.5, 0.5, 0)).clip(0, 255).round().astype(np.uint8)


def compare(
    share: Float[np.ndarray, "h w"],
    alpha: Float[np.ndarray, "h w"],
    generated: UInt8[np.ndarray, "h w 3"],
    place: UInt8[np.ndarray, "h w 3"],
    frame: UInt8[np.ndarray, "h w 3"],
) -> list[float]:
    """The error of a share, and of what it lays over the place."""
    person = alpha > 0.5
    outline = np.where(person, distance_transform_edt(person), distance_transform_edt(~person)) <= BAND
    laid = composite(generated[None], place[None], share[None])[0]
    regions = (outline, person, np.ones_like(person))
    levels = [float(psnr(laid[region][None, None], frame[region][None, None])[0]) for region in regions]
    return [float(np.abs(share - alpha)[outline].mean()), *levels]


if __name__ == "__main__":
    main()
