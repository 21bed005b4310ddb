"""A rotated square in a picture: what a network sees, and the way back."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image


@dataclass(frozen=True)
class Region:
    """A square of a picture, turned about its centre; its own coordinates run over [0, 1] x [0, 1].

    Args:
        x: of the centre, pixels of the picture.
        y: of the centre, pixels of the picture.
        side: pixels of the picture, above 0.
        angle: radians, clockwise as seen (y runs down).
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, height: int, width: int) -> "Region":
        """The smallest upright region that holds a whole picture of `height` x `width`."""
        return cls(width / 2, height / 2, float(max(height, width)))

    @classmethod
    def about(cls, centre: Float[np.ndarray, "2"], top: Float[np.ndarray, "2"], margin: float) -> "Region":
        """The region with that centre whose upward axis points to `top`, `margin` times as large as reaches it."""
        across, down = np.asarray(top - centre, float)
        side = 2 * margin * float(np.hypot(across, down))
        return cls(float(centre[0]), float(centre[1]), side, float(np.arctan2(across, -down)))

    @classmethod
    def holding(cls, points: Float[np.ndarray, "n 2"], angle: float, margin: float) -> "Region":
        """The region at that angle about the box of some points, `margin` times as large as its longer side."""
        upright = cls(0.0, 0.0, 1.0, angle)
        turned = upright.from_picture(points)
        low, high = turned.min(axis=0), turned.max(axis=0)
        x, y = upright.to_picture((low + high) / 2)
        return cls(float(x), float(y), margin * float((high - low).max()), angle)

    def moved_up(self, share: float) -> "Region":
        """The region moved along its own upward axis, by a share of its side."""
        x, y = (self.x, self.y) - share * self.axes[:, 1]
        return replace(self, x=float(x), y=float(y))

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """The region's right and down axes, in pixels, as columns."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.side * np.array([[cos, -sin], [sin, cos]])

    def to_picture(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Points of the region, [0, 1], in the picture's pixels."""
        return (points - 0.5) @ self.axes.T + (self.x, self.y)

    def from_picture(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Points of the picture, pixels, in the region's coordinates."""
        return (points - (self.x, self.y)) @ np.linalg.inv(self.axes).T + 0.5

    def is_near(self, other: "Region") -> bool:
        """Whether the centres lie within a tenth of the larger side."""
        return float(np.hypot(self.x - other.x, self.y - other.y)) < max(self.side, other.side) / 10

    def crop(self, picture: Image.Image, size: int) -> UInt8[np.ndarray, "h w 3"]:
        """The region as an upright picture of `size` x `size`; black where it leaves the picture."""
        # Bilinear sampling alone would skip pixels where a large region becomes a small picture.
        shrink = max(1, int(self.side / size))
        source = picture.reduce(shrink) if shrink > 1 else picture
        matrix = self.axes / shrink / size
        origin = self.to_picture(np.zeros((1, 2)))[0] / shrink
        coefficients = (*matrix[0], origin[0], *matrix[1], origin[1])
        crop = source.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
        return np.asarray(crop)

    def paste(self, mask: Float[np.ndarray, "s s"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
        """Where a soft mask of the region, [0, 1], exceeds one half, on a picture of `height` x `width`."""
        pasted = np.zeros((height, width), bool)
        window, soft = self.spread(mask, height, width)
        pasted[window] = soft > 0.5
        return pasted

    def spread(
        self, mask: Float[np.ndarray, "s s"], height: int, width: int, margin: int = 0
    ) -> tuple[tuple[slice, slice], Float32[np.ndarray, "h w"]]:
        """A soft mask of the region on the part of a picture that it covers: which rows and columns, and what is there.

        Args:
            mask: [0, 1].
            height: of the picture, pixels.
            width: of the picture, pixels.
            margin: pixels about that part that belong to it too.
        """
        down, across = np.nonzero(mask > 0.5)
        if not len(down):
            return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.float32)
        # Only what the mask's own extent, one cell wider for the interpolation, covers of the picture.
        low, high = np.array([across.min() - 1, down.min() - 1]), np.array([across.max() + 2, down.max() + 2])
        corners = np.array([low, high, [low[0], high[1]], [high[0], low[1]]]) / len(mask)
        places = self.to_picture(corners)
        left, top = np.clip(np.floor(places.min(axis=0)) - margin, 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(places.max(axis=0)) + margin, 0, (width, height)).astype(int).tolist()
        window = slice(top, bottom), slice(left, right)
        if left >= right or top >= bottom:
            return window, np.zeros((max(bottom - top, 0), max(right - left, 0)), np.float32)
        matrix = np.linalg.inv(self.axes) * len(mask)
        origin = self.from_picture(np.array([[left, top]], float))[0] * len(mask)
        coefficients = (*matrix[0], origin[0], *matrix[1], origin[1])
        picture = Image.fromarray(mask.astype(np.float32))
        size = (right - left, bottom - top)
        return window, np.asarray(
            picture.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
        )


def tile(height: int, width: int, parts: int) -> list[Region]:
    """Upright regions, half overlapping, that cover a picture, each a `parts`-th of its longer side."""
    side = max(height, width) / parts

    def centres(length: int) -> np.ndarray:
        if length <= side:
            return np.array([length / 2])
        return np.linspace(side / 2, length - side / 2, int(np.ceil(2 * (length - side) / side)) + 1)

    return [Region(float(x), float(y), side) for y in centres(height) for x in centres(width)]
