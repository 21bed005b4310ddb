"""Is it still the same person? Colours of hair, skin and clothes, and the head, against the truth's."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from edit_your_motion.metrics import Lpips, lpips
from edit_your_motion.metrics.colour_difference import ciede2000, srgb_to_lab
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.video import Fit, fit_frame

FEWEST = 0.0005
"""Share of the picture that a part has to fill to have a colour: 8 pixels of 128x128."""

HEAD_SIDE = 64
"""Pixels of the head's crop as LPIPS sees it."""

_HEAD = tuple(BODY_JOINTS.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
_NECK = BODY_JOINTS.index("neck")
_REACH = 1.1
"""Half a side of the head's crop, as a share of the way from the neck to the middle of the face."""


def compare_colours(
    frames: UInt8[np.ndarray, "f h w 3"],
    truth: UInt8[np.ndarray, "f h w 3"],
    parts: Mapping[str, Bool[np.ndarray, "f h w"]],
) -> dict[str, float]:
    """CIEDE2000 between the edit's and the truth's colour of each part that is seen.

    The colour of a part is the median in L*a*b* over the pixels where the truth shows it, so a limb in the wrong place
    counts as a limb of the wrong colour. Frames are averaged.

    Args:
        frames: the edit.
        truth: as many and as large.
        parts: where the truth shows them.
    """
    height, width = truth.shape[1:3]
    means = {}
    for name, places in parts.items():
        seen = [i for i, place in enumerate(places) if place.sum() >= max(FEWEST * height * width, 1)]
        if seen:
            pairs = [(_colour(frames[i][places[i]]), _colour(truth[i][places[i]])) for i in seen]
            first, second = np.swapaxes(np.array(pairs), 0, 1)
            means[name] = float(ciede2000(first, second).mean())
    return means


def _colour(pixels: UInt8[np.ndarray, "n 3"]) -> Float64[np.ndarray, "3"]:
    return np.median(srgb_to_lab(pixels.astype(np.float64)), axis=0)


def compare_heads(
    frames: UInt8[np.ndarray, "f h w 3"], truth: UInt8[np.ndarray, "f h w 3"], keypoints: Keypoints, network: Lpips
) -> float | None:
    """LPIPS of a square about the truth's head, both crops resized; None where no frame shows it.

    Args:
        frames: the edit.
        truth: as many and as large.
        keypoints: the truth's.
        network: LPIPS.
    """
    height, width = truth.shape[1:3]
    crops = []
    for i, points in enumerate(keypoints.body):
        face = points[[joint for joint in _HEAD if points[joint, 2] > 0], :2]
        if not len(face) or points[_NECK, 2] == 0:
            continue
        middle = face.mean(axis=0)
        reach = _REACH * np.linalg.norm(middle - points[_NECK, :2])
        (left, top), (right, bottom) = np.floor(middle - reach), np.ceil(middle + reach)
        rows = slice(max(int(top), 0), min(int(bottom), height))
        columns = slice(max(int(left), 0), min(int(right), width))
        if min(rows.stop - rows.start, columns.stop - columns.start) >= 4:
            fit = Fit(HEAD_SIDE, HEAD_SIDE)
            crops.append([fit_frame(clip[i][rows, columns], fit) for clip in (frames, truth)])
    if not crops:
        return None
    first, second = np.swapaxes(np.array(crops), 0, 1)
    return float(lpips(first, second, network).mean())
