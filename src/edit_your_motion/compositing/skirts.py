"""Whether cloth hangs between the legs of a person, and how it is brought to a new pose."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from edit_your_motion.compositing.cutouts import LEGS, Cutout, Joints

_APART = 2.4
"""Half breadths of a leg from bone to bone from which on the place would be seen between trousers."""

_WHERE = np.linspace(0.3, 0.8, 6)
"""Shares of the way along thighs and shins where it is looked for."""

_MOSTLY = 0.6
"""Share of the spots between the legs that a skirt covers."""


def find_skirt(cutouts: Sequence[Cutout]) -> Mapping[int, int]:
    """Of each leg's parts, indices of `PARTS`, that of the other leg which hangs in the same cloth.

    Thighs alone, or shins too. Empty for trousers, and where the legs are never far enough apart to tell.
    """
    looks = [[_look_between(cutout, *pair) for cutout in cutouts] for pair in LEGS]
    thighs, shins = (np.concatenate(each) for each in looks)
    # Where thighs are never apart, a skirt is still told by what hangs between the knees.
    told = thighs if len(thighs) else np.concatenate([each[:1] for each in looks[1]])
    if not len(told) or told.mean() < _MOSTLY:
        return {}
    pairs = LEGS if len(shins) and shins.mean() >= _MOSTLY else LEGS[:1]
    return {one: other for pair in pairs for one, other in (pair, pair[::-1])}


def join_legs(cutouts: Sequence[Cutout], skirt: Mapping[int, int]) -> None:
    """What hangs between two legs belongs to both, in place."""
    for cutout in cutouts:
        for index, other in skirt.items():
            cutout.members[cutout.owners == other] |= np.uint16(1 << index)


def weigh_other_leg(
    joints: Joints,
    bones: tuple[tuple[int, ...], tuple[int, ...]],
    breadth: float,
    x: Float32[np.ndarray, " n"],
    y: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"]:
    """How far the cloth at some points goes with the other leg, [0, 1]: not at all on the leg itself and outside of it.

    Args:
        joints: of the body.
        bones: the ends of the leg's bone, and of the other's.
        breadth: half of a leg's, pixels: up to here it goes with the leg alone.
        x: of the points, pixels.
        y: the same.
    """
    (first, second), (other, end) = (joints[list(bone), :2] for bone in bones)
    along, points = second - first, np.stack([x, y], axis=-1) - first
    share = np.clip(points @ along / max(float(along @ along), 1e-6), 0, 1)[:, None]
    across = other - first + share * (end - other - along)
    apart = np.maximum(np.linalg.norm(across, axis=-1), 1e-3)
    aside = ((points - share * along) * across).sum(axis=-1) / apart
    inner = np.minimum(breadth, 0.45 * apart)
    return np.clip((aside - inner) / (apart - 2 * inner), 0, 1).astype(np.float32)


def _look_between(cutout: Cutout, right: int, left: int) -> Bool[np.ndarray, " k"]:
    """Whether the person is at spots between two legs, from above; only those where the legs are far enough apart."""
    axes = [cutout.find_axes(index) for index in (right, left)]
    ends = [axis[0] + _WHERE[:, None] * axis[1] for axis in axes if axis is not None]
    if len(ends) < len(axes):
        return np.zeros(0, bool)
    far = np.linalg.norm(ends[0] - ends[1], axis=-1) > _APART * cutout.measure_breadth(right)
    x, y = (0.5 * (ends[0] + ends[1])[far]).astype(np.float32).T
    values, _ = cutout.sample(right, x, y)
    return values[:, 3] > 127
