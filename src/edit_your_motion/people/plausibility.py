"""Whether keypoints can be those of a body, however it stands: pictures shorten limbs, but they lengthen none.

Every limb tells how large the body is at the least: its length over that of such a limb on a body of size 1. The
others are shortened more or less, and a limb that asks for a body several times as large as theirs do is none.
"""

import numpy as np
from jaxtyping import Bool

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import DRAWN

_LENGTHS = {
    ("neck", "right_shoulder"): 0.36, ("neck", "left_shoulder"): 0.36,
    ("right_shoulder", "right_elbow"): 0.6, ("left_shoulder", "left_elbow"): 0.6,
    ("right_elbow", "right_wrist"): 0.55, ("left_elbow", "left_wrist"): 0.55,
    ("neck", "right_hip"): 1.0, ("neck", "left_hip"): 1.0,
    ("right_hip", "right_knee"): 0.85, ("left_hip", "left_knee"): 0.85,
    ("right_knee", "right_ankle"): 0.85, ("left_knee", "left_ankle"): 0.85,
    ("neck", "nose"): 0.45,
}  # fmt: skip
"""Limbs and how long they are in units of the trunk, from the neck to a hip."""
_STARTS, _ENDS = (np.array([BODY_JOINTS.index(limb[end]) for limb in _LENGTHS]) for end in (0, 1))
_SIZES = np.array(list(_LENGTHS.values()))

_LEAST_LIMBS = 4
"""With fewer there is nothing to compare with."""

_TOO_LONG = 2.5
"""How many times as large a body a limb may ask for as the limbs in the middle do."""

_TOGETHER = 0.04
"""Joints nearer to each other than this share of the trunk are at one point."""

_LIMB_ENDS = [
    [BODY_JOINTS.index(f"{side}_{joint}") for side in ("right", "left") for joint in joints]
    for joints in (("elbow", "wrist"), ("knee", "ankle"))
]
"""Both arms and both legs: joints that no view of a body puts at one point."""


def find_implausible(keypoints: Keypoints) -> Bool[np.ndarray, " f"]:
    """The frames whose joints are not those of a body: a limb is several times too long, or both arms, or both legs,
    are at one point.
    """
    seen, places = keypoints.visible(DRAWN), keypoints.body[..., :2].astype(float)
    both = seen[:, _STARTS] & seen[:, _ENDS]
    asked = np.linalg.norm(places[:, _STARTS] - places[:, _ENDS], axis=-1) / _SIZES
    implausible = np.zeros(len(keypoints), bool)
    for frame in np.flatnonzero(both.sum(axis=1) >= _LEAST_LIMBS):
        sizes = asked[frame, both[frame]]
        middle = float(np.median(sizes))
        at_one_point = any(
            seen[frame, joints].all() and np.ptp(places[frame, joints], axis=0).max() <= _TOGETHER * sizes.max()
            for joints in _LIMB_ENDS
        )
        implausible[frame] = sizes.max() > _TOO_LONG * middle or at_one_point
    return implausible
