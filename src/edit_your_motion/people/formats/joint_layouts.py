"""The orders in which pose tools list a person's points, told apart by how many there are.

======  ========================================================================================================
points  order
======  ========================================================================================================
17      COCO: nose, eyes, ears, then shoulders to ankles, left before right; no neck
18      OpenPose's COCO model, which is ours
25      OpenPose's BODY_25: mid-hip after the arms, feet at the end
26      Halpe: COCO, top of the head, neck, mid-hip, feet
133     COCO-WholeBody: COCO, 6 of the feet, 68 of the face, left hand, right hand
134     COCO-WholeBody turned to OpenPose's order by DWPose: 18, 6, 68, left hand, right hand
135     OpenPose's BODY_135: COCO, neck, top of the head, 6 of the feet, 20 of each hand, 70 of the face
136     Halpe whole-body: Halpe, 68 of the face, left hand, right hand
137     BODY_25, hands and face, which tools put in different orders: the body alone is read
======  ========================================================================================================

Where there is no neck it lies between the shoulders.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's 17 joints in its order."""

_NECK, _SHOULDERS = 1, (2, 5)


@dataclass(frozen=True)
class Person:
    """One person in one frame; points that are not there have confidence 0."""

    body: Float32[np.ndarray, "18 3"]
    hands: Float32[np.ndarray, "2 21 3"]
    face: Float32[np.ndarray, "70 3"]


@dataclass(frozen=True)
class _Layout:
    """Where our points are among a tool's: -1 for those that it has not."""

    body: Int[np.ndarray, "18"]
    left: Int[np.ndarray, "21"] | None = None
    right: Int[np.ndarray, "21"] | None = None
    face: Int[np.ndarray, "face"] | None = None


def _of_coco(neck: int = -1) -> Int[np.ndarray, "18"]:
    return np.array([COCO_JOINTS.index(name) if name in COCO_JOINTS else neck for name in BODY_JOINTS])


def _whole(body: Int[np.ndarray, "18"], face: int) -> _Layout:
    """A layout whose 68 points of the face begin at `face`, before the hands."""
    left = face + 68
    return _Layout(body, left + np.arange(21), left + 21 + np.arange(21), face + np.arange(68))


_BODY_25 = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
_LAYOUTS = {
    17: _Layout(_of_coco()),
    18: _Layout(np.arange(18)),
    25: _Layout(_BODY_25),
    26: _Layout(_of_coco(neck=18)),
    133: _whole(_of_coco(), 23),
    134: _whole(np.arange(18), 24),
    135: _Layout(_of_coco(neck=17), np.r_[9, 25:45], np.r_[10, 45:65], np.arange(65, 135)),
    136: _whole(_of_coco(neck=18), 26),
    137: _Layout(_BODY_25),
}
COUNTS = tuple(_LAYOUTS)
KNOWN_COUNTS = f"{', '.join(map(str, COUNTS[:-1]))} or {COUNTS[-1]}"


def arrange(where: str, points: Float32[np.ndarray, "points 3"]) -> Person:
    """A tool's points as ours.

    Args:
        where: names the place in the file, for messages.
        points: x, y, confidence; what is below 0 or not finite is taken for a point that was not found.

    Raises:
        PersonError: no known layout has so many points.
    """
    if len(points) not in _LAYOUTS:
        raise PersonError(f"{where}: expected {KNOWN_COUNTS} keypoints, got {len(points)}")
    seen = np.isfinite(points).all(axis=-1) & (points[:, 2] > 0)
    points = np.where(seen[:, None], points, 0).astype(np.float32)
    # Heat maps can pass 1 by a little, and some tools write their sums.
    points[:, 2] = np.minimum(points[:, 2], 1)
    layout = _LAYOUTS[len(points)]
    body = _take(points, layout.body, len(BODY_JOINTS))
    shoulders = body[list(_SHOULDERS)]
    if layout.body[_NECK] < 0 and shoulders[:, 2].all():
        body[_NECK] = (*shoulders[:, :2].mean(axis=0), shoulders[:, 2].min())
    hands = np.stack([_take(points, hand, HAND_POINTS) for hand in (layout.left, layout.right)])
    return Person(body, hands, _take(points, layout.face, FACE_POINTS))


def _take(points: Float32[np.ndarray, "points 3"], columns: np.ndarray | None, count: int) -> np.ndarray:
    """So many points, those of the columns first; faces of 68 lack OpenPose's two pupils."""
    taken = np.zeros((count, 3), np.float32)
    if columns is not None:
        taken[: len(columns)] = np.where(columns[:, None] < 0, 0, points[columns])
    return taken
