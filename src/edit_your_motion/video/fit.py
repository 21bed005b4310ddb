"""Sizes: which one to work at, and how a frame gets there with its aspect ratio kept."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from edit_your_motion.config import SIZE
from edit_your_motion.errors import ConfigError
from edit_your_motion.video.clip import LARGEST_SIDE


@dataclass(frozen=True)
class Fit:
    """A size in pixels and what happens to a frame of another shape.

    Args:
        height: of the result, 1 to 16384.
        width: of the result, 1 to 16384.
        how: "crop" fills the size and cuts off what stands out; "pad" keeps the whole frame and leaves black bars.
        place: of "crop", which part is kept, as (x, y) in [0, 1]: 0 cuts off nothing at the left or the top, 1 nothing
            at the right or the bottom, 0.5 alike on both sides.
    """

    height: int
    width: int
    how: Literal["crop", "pad"] = "crop"
    place: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if not (1 <= self.height <= LARGEST_SIDE and 1 <= self.width <= LARGEST_SIDE):
            raise ConfigError(f"a size has sides of 1 to {LARGEST_SIDE} pixels, got {self.width}x{self.height}")
        if self.how not in ("crop", "pad"):
            raise ConfigError(f"a frame is fitted by 'crop' or 'pad', got {self.how!r}")
        if not all(0 <= share <= 1 for share in self.place):
            raise ConfigError(f"the place of a crop is two numbers from 0 to 1, got {self.place}")


def _padded_size(height: int, width: int, fit: Fit) -> tuple[int, int]:
    """Height and width of the picture between the black bars."""
    scale = min(fit.height / height, fit.width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def fit_transform(height: int, width: int, fit: Fit) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    """Scale and offset, each (x, y), that take a place in a frame to the place where `fit_frame` puts it.

    `fitted = place * scale + offset`, in continuous coordinates: a frame spans 0 to width and 0 to height, the centre
    of its first pixel is (0.5, 0.5).

    Args:
        height: of the original frame, in pixels.
        width: of the original frame, in pixels.
        fit: what the frame is fitted to.
    """
    original = np.array([width, height], dtype=np.float64)
    target = np.array([fit.width, fit.height], dtype=np.float64)
    if fit.how == "crop":
        scale = np.repeat(np.max(target / original), 2)
        return scale, (target - original * scale) * np.array(fit.place)
    inner = np.array(_padded_size(height, width, fit)[::-1], dtype=np.float64)
    return inner / original, (target - inner) // 2


def fit_frame(frame: UInt8[np.ndarray, "h w *c"], fit: Fit) -> UInt8[np.ndarray, "fit_h fit_w *c"]:
    """The frame at the size of `fit`, its aspect ratio kept, resampled by Lanczos with the filter widened to shrink.

    Args:
        frame: RGB or one channel, 0 to 255.
        fit: size, and whether to crop or pad.
    """
    height, width = frame.shape[:2]
    if (height, width) == (fit.height, fit.width):
        return frame
    scale, offset = fit_transform(height, width, fit)
    if fit.how == "crop":
        left, top = -offset / scale
        right, bottom = min(left + fit.width / scale[0], width), min(top + fit.height / scale[1], height)
        if scale[0] == 1 and left % 1 == top % 1 == 0:
            return frame[int(top) : int(bottom), int(left) : int(right)].copy()
        box = (max(left, 0.0), max(top, 0.0), right, bottom)
        image = Image.fromarray(frame)
        return np.asarray(image.resize((fit.width, fit.height), Image.Resampling.LANCZOS, box=box)).copy()
    inner_height, inner_width = _padded_size(height, width, fit)
    left, top = (int(side) for side in offset)
    canvas = np.zeros((fit.height, fit.width, *frame.shape[2:]), dtype=np.uint8)
    inner = Image.fromarray(frame).resize((inner_width, inner_height), Image.Resampling.LANCZOS)
    canvas[top : top + inner_height, left : left + inner_width] = np.asarray(inner)
    return canvas


def fit_frames(frames: UInt8[np.ndarray, "f h w *c"], fit: Fit) -> UInt8[np.ndarray, "f fit_h fit_w *c"]:
    """All frames as `fit_frame` has them, in one piece that is held once; such as are of that size as they are."""
    if frames.shape[1:3] == (fit.height, fit.width):
        return frames
    fitted = np.empty((len(frames), fit.height, fit.width, *frames.shape[3:]), np.uint8)
    for place, frame in zip(fitted, frames, strict=True):
        place[...] = fit_frame(frame, fit)
    return fitted


def parse_size(text: str, native: tuple[int, int], multiple: int, area: int) -> tuple[int, int]:
    """Height and width to work at, multiples of `multiple`.

    Args:
        text: "512" for a square, "768x512" for width x height, each side to be rounded to its nearest multiple; "auto"
            for the native aspect ratio at about `area` pixels, as nearly as multiples can have it.
        native: height and width of the source, in pixels.
        multiple: what the networks need both sides to be divisible by, in pixels (64 for Stable Diffusion 1.5).
        area: pixels of a frame that "auto" aims at.

    Returns:
        (height, width); compare with the request to tell a user that it was changed.

    Raises:
        ConfigError: the text is none of the three forms, or a side is 0 or beyond 16384.
    """
    if text.strip().lower() == "auto":
        return _nearest_shape(native, multiple, area)
    match = SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"a size is '512', '768x512' (width x height) or 'auto', got {text!r}")
    wide, high = int(match[1]), int(match[2] or match[1])
    if not (1 <= wide <= LARGEST_SIDE and 1 <= high <= LARGEST_SIDE):
        raise ConfigError(f"a size has sides of 1 to {LARGEST_SIDE} pixels, got {text!r}")
    height, width = (max(1, math.floor(side / multiple + 0.5)) * multiple for side in (high, wide))
    return height, width


def _nearest_shape(native: tuple[int, int], multiple: int, area: int) -> tuple[int, int]:
    """The pair of multiples of which a crop keeps most of the picture, from half the area to twice as much.

    Where two keep nearly the same share, the one nearer to the area: a tenth of the logarithm of how far it is from
    there counts as much as the logarithm of the share.
    """
    ratio = native[0] / native[1]

    def cost(height: int, width: int) -> tuple[float, int]:
        lost, strayed = math.log(height / width / ratio), math.log(height * width / area)
        return round(abs(lost) + abs(strayed) / 10, 9), -height * width

    return min(_shapes(multiple, area), key=lambda shape: cost(*shape))


def _shapes(multiple: int, area: int) -> Iterator[tuple[int, int]]:
    """Height and width in multiples, from half of the area to twice as much; one cell where none lies there."""
    cells = area / multiple**2
    most = min(int(max(1, 2 * cells)), LARGEST_SIDE // multiple)
    for high in range(1, most + 1):
        for wide in range(1, min(int(max(1, 2 * cells)) // high, most) + 1):
            if 2 * high * wide >= cells:
                yield high * multiple, wide * multiple
