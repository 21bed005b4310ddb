"""Joints that a confident one hangs from: without its elbow a wrist draws nothing, however well it is seen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import DRAWN, HAND_EDGES, LIMBS

_RAISED = 0.05
"""By how much a raised confidence exceeds the threshold."""

_WRISTS = [BODY_JOINTS.index(f"{side}_wrist") for side in ("left", "right")]
"""In the order of the hands."""


def raise_parents(keypoints: Keypoints, threshold: float = DRAWN) -> Keypoints:
    """The keypoints with the parent of every visible joint visible too, if a finder has put it into the picture.

    A limb is drawn between two visible joints: a forearm in plain sight would vanish with an elbow that the finder is
    unsure of. The parent stays where it was found, at a confidence just above the threshold. One of confidence 0, which
    nobody has found, and one outside the picture stay as they are.

    Args:
        keypoints: of one person.
        threshold: a joint is visible above this confidence.
    """
    height, width = keypoints.height, keypoints.width
    body = _raise(keypoints.body, LIMBS, threshold, height, width)
    hands = keypoints.hands
    if hands is not None:
        wrists = np.stack([body[:, _WRISTS], hands[:, :, 0]], axis=2)
        body[:, _WRISTS] = _raise(wrists, ((0, 1),), threshold, height, width)[:, :, 0]
        hands = _raise(hands, HAND_EDGES, threshold, height, width)
    return replace(keypoints, body=body, hands=hands)


def _raise(
    points: Float32[np.ndarray, "*frames points 3"],
    edges: Sequence[tuple[int, int]],
    threshold: float,
    height: int,
    width: int,
) -> Float32[np.ndarray, "*frames points 3"]:
    """The points with the first of each edge raised where the second is visible."""
    raised = points.copy()
    inside = ((points[..., :2] >= 0) & (points[..., :2] < (width, height))).all(axis=-1)
    unsure = inside & (points[..., 2] > 0) & (points[..., 2] <= threshold)
    for parent, child in edges:
        lifted = unsure[..., parent] & (points[..., child, 2] > threshold)
        raised[..., parent, 2] = np.where(lifted, threshold + _RAISED, raised[..., parent, 2])
    return raised
