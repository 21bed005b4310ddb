"""Left and right kept apart over a clip: a finder that sees a back for a front swaps the two for some frames."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_RIGHT, _LEFT = ([BODY_JOINTS.index(f"{side}_{limb}") for limb in _LIMBS] for side in ("right", "left"))

_FEWEST_PAIRS = 3
"""Limbs seen on both sides in both frames; fewer say too little."""

_TRAVEL_SHARE = 0.6
"""A swap must shorten the joints' way to this share. On 108 rendered clips at 8 frames/s, 72 of them found and 36 true,
the five real swaps shorten it to between 0.2 and 0.5, and legs that cross to 0.93 at best."""


def keep_sides(keypoints: Keypoints, threshold: float = 0.3) -> Keypoints:
    """The keypoints with the limbs' left and right swapped back wherever they changed places between two frames.

    Two neighbouring frames disagree if the joints would travel much less with left and right of one of them swapped.
    Which of the two ways round is right, nothing in the travel says: the one that more of the finder's confidence is
    in stays. The face does not take part; it is found by other features.

    Args:
        keypoints: of one person over consecutive frames.
        threshold: joints up to this confidence take no part in the comparison; they are swapped with the others.
    """
    body = keypoints.body.astype(np.float64)
    pairs = np.stack([body[:, _RIGHT], body[:, _LEFT]])  # side, frame, limb, (x, y, confidence)
    seen = np.all(pairs[..., 2] > threshold, axis=0)
    swapped = np.zeros(len(body), bool)
    for last, frame in pairwise(np.flatnonzero(seen.sum(axis=1) >= _FEWEST_PAIRS)):
        if _disagree(pairs[:, last, :, :2], pairs[:, frame, :, :2], seen[[last, frame]]):
            swapped[frame:] = ~swapped[frame:]
    confidence = pairs[..., 2].sum(axis=(0, 2))
    if confidence[swapped].sum() > confidence[~swapped].sum():
        swapped = ~swapped
    return swap_sides(keypoints, swapped)


def swap_sides(keypoints: Keypoints, frames: Bool[np.ndarray, " f"]) -> Keypoints:
    """The keypoints with the limbs and the hands of both sides exchanged in some frames; the face stays."""
    if not frames.any():
        return keypoints
    body = keypoints.body.copy()
    rows = np.flatnonzero(frames)[:, None]
    body[rows, _RIGHT + _LEFT] = body[rows, _LEFT + _RIGHT]
    hands = keypoints.hands
    if hands is not None:
        hands = np.where(frames[:, None, None, None], hands[:, ::-1], hands)
    return replace(keypoints, body=body, hands=hands)


def _disagree(
    before: Float[np.ndarray, "2 limbs 2"], after: Float[np.ndarray, "2 limbs 2"], seen: Bool[np.ndarray, "2 limbs"]
) -> bool:
    both = seen.all(axis=0)
    if both.sum() < _FEWEST_PAIRS:
        return False
    as_found, swapped = (np.linalg.norm((there - before)[:, both], axis=-1).sum() for there in (after, after[::-1]))
    return bool(swapped < _TRAVEL_SHARE * as_found)
