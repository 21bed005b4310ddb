"""Whether keypoints can be those of a body, however it stands: pictures shorten limbs, but they lengthen none.

Every limb tells how large the body is at the least: its length over that of such a limb on a body of size 1. The
others are shortened more or less, and a limb that asks for a body several times as large as theirs do is none. And
joints that are listed in another order than they are read in make limbs that go to and fro across the body.
"""

import numpy as np
from jaxtyping import Bool, Float64
from scipy.sparse.csgraph import minimum_spanning_tree

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import DRAWN, LIMBS

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

_LONGEST_TREE, _LEAST_JOINTS = 1.65, 10
"""How many times as long as the shortest trees over the joints of either side the limbs there may be: bodies seen from
anywhere reach 1.48, of those in other tools' orders half pass 1.8. With fewer joints there is nothing to tell it by."""

_SIDES = [[limb for limb in LIMBS if not any(BODY_JOINTS[joint].startswith(other) for joint in limb)]
          for other in ("left", "right")]  # fmt: skip
"""Limbs of the right side and of the left one, with what is between: seen from the side, the two lie on each other."""

_LIMB_ENDS = [
    [BODY_JOINTS.index(f"{side}_{joint}") for side in ("right", "left") for joint in joints]
    for joints in (("elbow", "wrist"), ("knee", "ankle"))
]
"""Both arms and both legs: joints that no view of a body puts at one point."""


def find_implausible(keypoints: Keypoints) -> Bool[np.ndarray, " f"]:
    """The frames whose joints are not those of a body: a limb is several times too long, both arms, or both legs, are
    at one point, or the limbs go to and fro.
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
        implausible[frame] = sizes.max() > _TOO_LONG * middle or at_one_point or _is_tangled(places[frame], seen[frame])
    return implausible


def _is_tangled(places: Float64[np.ndarray, "18 2"], seen: Bool[np.ndarray, "18"]) -> bool:
    """Whether the limbs are much longer than what the same joints can be tied together by."""
    if seen.sum() < _LEAST_JOINTS:
        return False
    drawn, shortest = 0.0, 0.0
    for side in _SIDES:
        limbs = np.array([limb for limb in side if seen[list(limb)].all()]).reshape(-1, 2)
        joints = places[np.unique(limbs)]
        apart = np.linalg.norm(joints[:, None] - joints[None], axis=-1)
        shortest += minimum_spanning_tree(np.maximum(apart, np.finfo(float).tiny)).sum() if len(limbs) else 0
        drawn += np.linalg.norm(places[limbs[:, 0]] - places[limbs[:, 1]], axis=-1).sum()
    return bool(drawn > _LONGEST_TREE * shortest)
