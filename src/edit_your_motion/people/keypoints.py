"""The keypoints of one person over a clip."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from edit_your_motion.errors import PersonError

BODY_JOINTS = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
"""OpenPose-18 (COCO) order; left and right are the person's own."""

HAND_POINTS = 21
FACE_POINTS = 70


@dataclass(frozen=True)
class Keypoints:
    """One person's keypoints over a clip, in the pixels of a canvas of ``height`` x ``width``.

    Each point is (x, y, confidence): x to the right and y down, in pixels, pixel centres at .5;
    confidence in [0, 1], and 0 means "not there" (its x and y mean nothing then).

    Args:
        body: OpenPose-18, in the order of `BODY_JOINTS`.
        height: of the canvas, pixels.
        width: of the canvas, pixels.
        hands: left hand, right hand, each in OpenPose's order of 21 points; None when the backend finds none.
        face: OpenPose's 70 points; None when the backend finds none.
    """

    body: Float32[np.ndarray, "f 18 3"]
    height: int
    width: int
    hands: Float32[np.ndarray, "f 2 21 3"] | None = None
    face: Float32[np.ndarray, "f 70 3"] | None = None

    def __post_init__(self) -> None:
        for name, points in (("hands", self.hands), ("face", self.face)):
            if points is not None and len(points) != len(self.body):
                raise PersonError(f"expected {name} of {len(self.body)} frames as the body has, got {len(points)}")

    def __len__(self) -> int:
        return len(self.body)

    def visible(self, threshold: float = 0.0) -> np.ndarray:
        """Which body joints have a confidence above `threshold`: bool (f, 18)."""
        return self.body[..., 2] > threshold

    def stature(self, threshold: float = 0.3) -> float:
        """How tall the person stands in the picture, pixels: in most frames they are less; 0 where nobody is seen."""
        seen, down = self.visible(threshold), self.body[..., 1].astype(np.float64)
        there = seen.any(axis=1)
        if not there.any():
            return 0.0
        heights = np.where(seen, down, -np.inf).max(axis=1) - np.where(seen, down, np.inf).min(axis=1)
        return float(np.quantile(heights[there], 0.9))

    def take(self, frames: Int[np.ndarray, " g"]) -> "Keypoints":
        """The keypoints of the frames with these indices, in this order."""
        hands, face = (None if points is None else points[frames] for points in (self.hands, self.face))
        return replace(self, body=self.body[frames], hands=hands, face=face)

    def mapped(
        self, scale: Float[np.ndarray, "2"], offset: Float[np.ndarray, "2"], height: int, width: int
    ) -> "Keypoints":
        """The same keypoints after x' = x * scale + offset, on a canvas of `height` x `width`."""

        def move(points: np.ndarray | None) -> np.ndarray | None:
            if points is None:
                return None
            moved = points.copy()
            moved[..., :2] = points[..., :2] * scale + offset
            return moved

        body = move(self.body)
        assert body is not None
        return replace(self, body=body, hands=move(self.hands), face=move(self.face), height=height, width=width)
