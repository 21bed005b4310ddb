"""Skeleton pictures as the openpose ControlNets of Stable Diffusion 1.5 were trained on.

Limbs are ellipses at 60 % of their colour, joints are discs at full colour on top of them, hands are thin rainbow
edges with blue dots, faces white dots, all on black. Sizes are those of a 512-pixel picture, scaled with the shorter
side. Coverage is computed from the distance to each shape, so positions keep their fractions of a pixel.
"""

import colorsys
import math

import numpy as np
from jaxtyping import Float32, UInt8

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import Keypoints

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""The 17 drawn limbs in drawing order, as pairs of indices into `BODY_JOINTS`; together they are a tree."""

JOINT_COLOURS: UInt8[np.ndarray, "18 3"] = np.array(
    [
        [255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0],
        [0, 255, 0], [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255],
        [0, 0, 255], [85, 0, 255], [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85],
    ],
    dtype=np.uint8,
)  # fmt: skip
"""RGB of each joint, one step of 20 degrees of hue after the other; limb i has the colour of joint i, darkened."""

DRAWN = 0.3
"""Confidence above which a joint is drawn."""

LIMB_INTENSITY = 0.6
STICK_WIDTH = 4.0 / 512
"""Half the breadth of a limb, and the radius of a joint, as a share of the picture's short side."""

_LIMB_COLOURS = (JOINT_COLOURS[: len(LIMBS)] * LIMB_INTENSITY).astype(np.uint8)
HAND_EDGES = tuple((0 if step == 0 else 4 * finger + step, 4 * finger + step + 1)
                    for finger in range(5) for step in range(4))  # fmt: skip
_HAND_COLOURS = np.array([colorsys.hsv_to_rgb(i / 20, 1, 1) for i in range(20)]) * 255
_HAND_DOT = np.array([0, 0, 255])
_FACE_DOT = np.array([255, 255, 255])

Point = tuple[float, float]
"""(x, y), pixels. A frame has a hundred of them, for which numbers of Python's own are ten times faster."""


def draw_skeleton(
    keypoints: Keypoints,
    *,
    threshold: float = DRAWN,
    hands: bool = True,
    face: bool = True,
    line_width: float | None = None,
) -> UInt8[np.ndarray, "f h w 3"]:
    """One RGB skeleton picture a frame, on black, of the size of the keypoints' canvas.

    Args:
        keypoints: what to draw; what lies outside the canvas is cut off.
        threshold: a point is drawn above this confidence, a limb when both of its ends are.
        hands: whether to draw the hands where there are any.
        face: whether to draw the face where there is one.
        line_width: OpenPose's stick width, half the breadth of a limb and the radius of a joint, in pixels;
            None for 4 pixels at a short side of 512.

    Returns:
        The pictures, all black where nobody is visible.

    Raises:
        PersonError: a point that is to be drawn is not finite.
    """
    width = max(0.75, STICK_WIDTH * min(keypoints.height, keypoints.width)) if line_width is None else line_width
    canvas = np.zeros((len(keypoints), keypoints.height, keypoints.width, 3), np.uint8)
    for frame, picture in enumerate(canvas):
        _draw_body(picture, _drawable(keypoints.body[frame], threshold, frame), width)
        if hands and keypoints.hands is not None:
            for hand in keypoints.hands[frame]:
                _draw_hand(picture, _drawable(hand, threshold, frame), width)
        if face and keypoints.face is not None:
            _draw_dots(picture, _drawable(keypoints.face[frame], threshold, frame), 0.75 * width, _FACE_DOT)
    return canvas


def _drawable(points: Float32[np.ndarray, "points 3"], threshold: float, frame: int) -> list[Point | None]:
    """Each point's (x, y), or None for one that is not to be drawn."""
    visible = points[:, 2] > threshold
    if not np.isfinite(points[visible]).all():
        raise PersonError(f"expected finite coordinates, frame {frame} has some that are not: correct its keypoints")
    return [(x, y) if seen else None for (x, y, _), seen in zip(points.tolist(), visible.tolist(), strict=True)]


def _draw_body(picture: UInt8[np.ndarray, "h w 3"], joints: list[Point | None], width: float) -> None:
    for (start, end), colour in zip(LIMBS, _LIMB_COLOURS, strict=True):
        _draw_limb(picture, joints[start], joints[end], width, colour)
    for joint, colour in zip(joints, JOINT_COLOURS, strict=True):
        _draw_line(picture, joint, joint, width, colour)


def _draw_hand(picture: UInt8[np.ndarray, "h w 3"], points: list[Point | None], width: float) -> None:
    for (start, end), colour in zip(HAND_EDGES, _HAND_COLOURS, strict=True):
        _draw_line(picture, points[start], points[end], 0.25 * width, colour)
    _draw_dots(picture, points, width, _HAND_DOT)


def _draw_limb(
    picture: UInt8[np.ndarray, "h w 3"],
    start: Point | None,
    end: Point | None,
    width: float,
    colour: np.ndarray,
) -> None:
    """An ellipse whose long axis runs from `start` to `end`."""
    if start is None or end is None:
        return
    window = _window(picture, start, end, width)
    if window is None:
        return
    part, x, y = window
    half = max(math.hypot(end[0] - start[0], end[1] - start[1]) / 2, 0.5)
    along = (end[0] - start[0]) / (2 * half), (end[1] - start[1]) / (2 * half)
    x, y = x - (start[0] + end[0]) / 2, y - (start[1] + end[1]) / 2
    u, v = (x * along[0] + y * along[1]) / half, (y * along[0] - x * along[1]) / width
    # First-order distance to an ellipse: implicit value over the length of its gradient.
    radius = np.hypot(u, v)
    distance = radius * (radius - 1) / np.maximum(np.hypot(u / half, v / width), 1e-6)
    _blend(part, 0.5 - distance, colour)


def _draw_line(
    picture: UInt8[np.ndarray, "h w 3"],
    start: Point | None,
    end: Point | None,
    width: float,
    colour: np.ndarray,
) -> None:
    """A line with round ends, `width` to either side; a disc where both ends are the same."""
    if start is None or end is None:
        return
    window = _window(picture, start, end, width)
    if window is None:
        return
    part, x, y = window
    along = end[0] - start[0], end[1] - start[1]
    x, y = x - start[0], y - start[1]
    if length := along[0] ** 2 + along[1] ** 2:
        reached = np.minimum(np.maximum((x * along[0] + y * along[1]) / length, 0), 1)
        x, y = x - reached * along[0], y - reached * along[1]
    _blend(part, width + 0.5 - np.hypot(x, y), colour)


def _draw_dots(
    picture: UInt8[np.ndarray, "h w 3"], points: list[Point | None], radius: float, colour: np.ndarray
) -> None:
    """Discs of one colour, all at once: a face has 70."""
    seen = [point for point in points if point is not None]
    if not seen:
        return
    centres = np.array(seen)
    reach = np.arange(-int(radius + 1.5), int(radius + 1.5) + 1)
    cells = np.floor(centres)[:, :, None] + reach
    squares = (cells + 0.5 - centres[:, :, None]) ** 2
    coverage = radius + 0.5 - np.sqrt(squares[:, 0, None, :] + squares[:, 1, :, None])
    x, y = np.broadcast_arrays(cells[:, 0, None, :], cells[:, 1, :, None])
    drawn = (coverage > 0) & (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    x, y = x[drawn].astype(int), y[drawn].astype(int)
    if not len(x):
        return
    left, top = x.min(), y.min()
    shares = np.zeros((y.max() - top + 1, x.max() - left + 1))
    np.maximum.at(shares, (y - top, x - left), coverage[drawn])
    _blend(picture[top : y.max() + 1, left : x.max() + 1], shares, colour)


def _window(
    picture: UInt8[np.ndarray, "h w 3"], start: Point, end: Point, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The part of the picture around two points with its pixel centres, x as a row and y as a column."""
    height, width = picture.shape[:2]
    left, right = _reach(start[0], end[0], margin, width)
    top, bottom = _reach(start[1], end[1], margin, height)
    if left >= right or top >= bottom:
        return None
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    return picture[top:bottom, left:right], x[None, :], y[:, None]


def _reach(one: float, other: float, margin: float, limit: int) -> tuple[int, int]:
    """The first pixel of a side, and the one after the last, that may be drawn on around two places."""
    low, high = math.floor(min(one, other) - margin - 1), math.ceil(max(one, other) + margin + 1)
    return min(max(low, 0), limit), min(max(high, 0), limit)


def _blend(part: UInt8[np.ndarray, "h w 3"], coverage: np.ndarray, colour: np.ndarray) -> None:
    share = np.minimum(np.maximum(coverage, 0), 1).astype(np.float32)[..., None]
    part[...] = np.rint(part + share * (colour - part.astype(np.float32)))
