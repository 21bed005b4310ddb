"""Limbs that a person's masks lack in some frames, as a shoe that kicks: the joints tell that they are there."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

_INDEX = {name: index for index, name in enumerate(BODY_JOINTS)}

_LIMBS = (
    ("shoulder", "elbow", 0.0, 0.025),
    ("elbow", "wrist", 0.5, 0.025),
    ("hip", "knee", 0.0, 0.04),
    ("knee", "ankle", 0.3, 0.04),
)
"""Where each begins and ends, by how much of its length hand or foot goes on beyond, and half its breadth in heights of
the person."""

_USUAL = 0.8
"""Share of a limb's line that masks have in most frames; one that they have less of is not where its joints are."""

_SPOTS = np.linspace(0, 1, 24)


def find_missed(
    masks: Bool[np.ndarray, "f h w"], keypoints: Keypoints, threshold: float = 0.3
) -> Bool[np.ndarray, "f h w"]:
    """What of the person's limbs lies outside of its masks; nothing of limbs that masks mostly leave out.

    Args:
        masks: the person's pixels.
        keypoints: of the person.
        threshold: joints up to this confidence are not seen.
    """
    missed = np.zeros_like(masks)
    seen, points = keypoints.visible(threshold), keypoints.body[..., :2].astype(np.float64)
    stature = keypoints.stature(threshold)
    for first, second, beyond, half in _list_limbs():
        shown = np.flatnonzero(seen[:, [first, second]].all(axis=1))
        lines = [(frame, points[frame, first], points[frame, second]) for frame in shown]
        inside = [_look_along(masks[frame], start, end) for frame, start, end in lines]
        if not lines or np.median([spots.mean() for spots in inside]) < _USUAL:
            continue
        for (frame, start, end), spots in zip(lines, inside, strict=True):
            if spots.all():
                continue
            outside = _SPOTS[~spots]
            # Where the mask ends before the limb does, hand or foot are missed too.
            last = outside[-1] if spots[-1] else 1 + beyond
            _draw(missed[frame], start + outside[0] * (end - start), start + last * (end - start), half * stature)
    return missed & ~masks


def _list_limbs() -> Iterator[tuple[int, int, float, float]]:
    for side in ("right", "left"):
        for first, second, beyond, half in _LIMBS:
            yield _INDEX[f"{side}_{first}"], _INDEX[f"{side}_{second}"], beyond, half


def _look_along(
    mask: Bool[np.ndarray, "h w"], start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]
) -> Bool[np.ndarray, "spots"]:
    """Which spots of the line between two points lie in a mask; those outside of the picture miss nothing."""
    x, y = (start + _SPOTS[:, None] * (end - start)).T.astype(int)
    height, width = mask.shape
    there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return ~there | mask[y.clip(0, height - 1), x.clip(0, width - 1)]


def _draw(
    region: Bool[np.ndarray, "h w"], start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], half: float
) -> None:
    """Adds all that lies so near to a line, in pixels."""
    height, width = region.shape
    low, high = np.minimum(start, end) - half, np.maximum(start, end) + half + 1
    left, top = (int(np.clip(place, 0, side)) for place, side in zip(low, (width, height), strict=True))
    right, bottom = (int(np.clip(place, 0, side)) for place, side in zip(high, (width, height), strict=True))
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    along = end - start
    share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-6), 0, 1)
    away = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    region[top:bottom, left:right] |= away <= half
