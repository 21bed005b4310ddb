"""A pinhole camera."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32

from edit_your_motion.stage.stick_figure import rotation_about


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken from.

    Args:
        position: metres, in the stage's axes (x to the right of who looks along -z, y up).
        yaw: radians; 0 looks along -z, positive turns to the left.
        pitch: radians; positive looks up.
        focal: focal length in picture heights.
    """

    position: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    focal: float = 1.6

    @cached_property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Columns are the picture's right, up, and toward the viewer, in the stage's axes."""
        return rotation_about("y", np.array(self.yaw)) @ rotation_about("x", np.array(self.pitch))

    def project(self, points: Float[np.ndarray, "n 3"], height: int, width: int) -> Float[np.ndarray, "n 3"]:
        """Pixel x, pixel y and depth (metres along the axis) of points; pixel centres are at .5."""
        seen = (points - np.array(self.position)) @ self.rotation
        depth = -seen[:, 2]
        scale = self.focal * height / np.maximum(depth, 1e-6)
        return np.stack([width / 2 + seen[:, 0] * scale, height / 2 - seen[:, 1] * scale, depth], axis=1)

    def rays(self, height: int, width: int) -> Float32[np.ndarray, "3 3"]:
        """Directions of the picture's rays, of length 1 along the axis: row 0 + row 1 x + row 2 y, in pixels."""
        right, up, back = self.rotation.T
        pixel = 1 / (self.focal * height)
        corner = -back - right * (width / 2 * pixel) + up * (height / 2 * pixel)
        return np.stack([corner, right * pixel, -up * pixel]).astype(np.float32)
