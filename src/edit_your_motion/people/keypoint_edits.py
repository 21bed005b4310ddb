"""Keypoints changed by hand: joints and frames named as people name them, joints moved, hidden, sides exchanged."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.tracking.left_right import swap_sides

__all__ = ["hide_joints", "move_joints", "parse_frames", "parse_joints", "swap_sides"]

_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
GROUPS = {
    "all": BODY_JOINTS,
    "head": ("nose", "right_eye", "left_eye", "right_ear", "left_ear"),
    **{
        f"{side}_{limb}": tuple(f"{side}_{joint}" for joint in joints)
        for side in ("right", "left")
        for limb, joints in (("arm", _ARM), ("leg", _LEG))
    },
}
"""Joints that go by one name."""

_HANDS_OF = {BODY_JOINTS.index("left_wrist"): 0, BODY_JOINTS.index("right_wrist"): 1}
_NOSE = BODY_JOINTS.index("nose")


def parse_joints(text: str) -> Int[np.ndarray, " n"]:
    """The joints of "left_wrist, right arm": indices into `BODY_JOINTS`, each once.

    Args:
        text: names of joints and of `GROUPS`, with commas between them.

    Raises:
        PersonError: one of them is no joint.
    """
    chosen: set[int] = set()
    for name in re.split(r"[,;]", text.lower()):
        wanted = re.sub(r"[\s-]+", "_", name.strip())
        if wanted not in BODY_JOINTS and wanted not in GROUPS:
            raise PersonError(
                f"expected joints of {', '.join(BODY_JOINTS)}, or {', '.join(GROUPS)}, with commas between them, "
                f"got {name.strip()!r:.60}"
            )
        chosen |= {BODY_JOINTS.index(joint) for joint in GROUPS.get(wanted, (wanted,))}
    return np.array(sorted(chosen))


def parse_frames(text: str, count: int) -> Bool[np.ndarray, " f"]:
    """Which of `count` frames "1-12, 20" or "all" are.

    Args:
        text: numbers from 1 and ranges of them, with commas between them; "all" for every one.
        count: how many frames there are.

    Raises:
        PersonError: one of them is no number, or of no frame.
    """
    chosen = np.zeros(count, bool)
    for part in text.split(","):
        if part.strip().lower() == "all":
            chosen[:] = True
            continue
        ends = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 1 <= first <= last <= count:
            raise PersonError(f"expected frames of 1 to {count} as in '1-12, 20', or 'all', got {part.strip()!r:.60}")
        chosen[first - 1 : last] = True
    return chosen


def move_joints(
    keypoints: Keypoints, joints: Int[np.ndarray, " n"], frames: Bool[np.ndarray, " f"], dx: float, dy: float
) -> Keypoints:
    """The keypoints with some joints moved in some frames; a hand goes with its wrist, the face with the nose.

    Args:
        keypoints: of a clip.
        joints: indices into `BODY_JOINTS`.
        frames: in which.
        dx: to the right, pixels.
        dy: down, pixels.
    """

    def move(points: np.ndarray) -> None:
        points[..., :2] += np.array([dx, dy], np.float32)

    return _change(keypoints, joints, frames, move)


def hide_joints(keypoints: Keypoints, joints: Int[np.ndarray, " n"], frames: Bool[np.ndarray, " f"]) -> Keypoints:
    """The keypoints with some joints gone in some frames; a hand goes with its wrist, the face with the nose."""

    def hide(points: np.ndarray) -> None:
        points[:] = 0

    return _change(keypoints, joints, frames, hide)


def _change(
    keypoints: Keypoints,
    joints: Int[np.ndarray, " n"],
    frames: Bool[np.ndarray, " f"],
    change: Callable[[np.ndarray], None],
) -> Keypoints:
    parts = [None if points is None else points.copy() for points in (keypoints.body, keypoints.hands, keypoints.face)]
    body, hands, face = parts
    assert body is not None
    chosen = [(body, joint) for joint in joints]
    if hands is not None:
        chosen += [(hands, _HANDS_OF[joint]) for joint in joints if joint in _HANDS_OF]
    if face is not None and _NOSE in joints:
        chosen.append((face, slice(None)))
    for points, which in chosen:
        changed = points[frames][:, which]
        change(changed)
        points[frames, which] = changed
    return replace(keypoints, body=body, hands=hands, face=face)
