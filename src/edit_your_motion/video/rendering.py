"""A decoded frame as players show it: square pixels, upright, ordinary colours, black where it is transparent."""

import struct

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, Interpolation
from jaxtyping import UInt8, UInt16

from edit_your_motion.errors import VideoError
from edit_your_motion.video.colours import (
    BT2020_PRIMARIES,
    HDR,
    HLG_PEAK,
    LARGEST_PEAK,
    PQ,
    UNSPECIFIED,
    WHITE,
    Colours,
    to_ordinary,
)
from edit_your_motion.video.cropping import Crop
from edit_your_motion.video.orientation import read_orientation, read_side_data

# By whether the colours are ordinary, for which eight bits are enough, and whether there is transparency.
FORMATS = {(True, False): "rgb24", (True, True): "rgba", (False, False): "rgb48le", (False, True): "rgba64le"}
# The same in planes: for pixels side by side FFmpeg has no fast way to shrink with every pixel's own chroma.
PLANES = {"rgb24": "gbrp", "rgb48le": "gbrp16le"}
# Lanczos, and a conversion of every pixel's own chroma, without which the scaled picture is a level darker.
SHRINKING = Interpolation.LANCZOS | 0x2000  # SWS_FULL_CHR_H_INT
# H.273's numbers of matrices: BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020.
BT709, BT601, BT2020 = 1, 5, 9
MATRICES = {BT709, 4, BT601, 6, 7, BT2020}
UNREAD_MATRICES = {8: "YCgCo", 10: "BT.2020 with constant luminance", 11: "SMPTE 2085", 14: "ICtCp"}


def read_colours(frame: av.VideoFrame, peak: float | None = None) -> Colours:
    """How the frame's red, green and blue are coded, by its tags.

    Args:
        frame: as it was decoded.
        peak: of the track, cd/m2, where it is known.
    """
    transfer = frame.color_trc
    primaries = frame.color_primaries
    if transfer in HDR and primaries == UNSPECIFIED:
        primaries = BT2020_PRIMARIES
    return Colours(primaries, transfer, (peak or HLG_PEAK) if transfer == PQ else HLG_PEAK)


def read_peak(frame: av.VideoFrame) -> float | None:
    """The brightest light that the content or the display it was made on has, cd/m2; None where nothing is said."""
    brightest = 0.0
    if content := read_side_data(frame, Type.CONTENT_LIGHT_LEVEL):
        (brightest,) = struct.unpack_from("=I", content)
    if not brightest and (display := read_side_data(frame, Type.MASTERING_DISPLAY_METADATA)):
        numerator, denominator, _, is_known = struct.unpack_from("=4i", display, 72)
        brightest = numerator / denominator if is_known and denominator else 0
    return min(max(float(brightest), WHITE), LARGEST_PEAK) if brightest > 0 else None


def render(
    frame: av.VideoFrame, width: int, crop: Crop, peak: float | None, size: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """The frame as it is to be seen, in RGB.

    FFmpeg shrinks while it converts, into planes, in a fifth of the time that a conversion and Pillow's shrinking take.

    Args:
        frame: as it was decoded.
        width: of what is shown once its pixels are square, before it is turned.
        crop: is not shown.
        peak: of the track, cd/m2, where it is known.
        size: height and width to shrink it to, where that neither stretches nor cuts it; whole without one.

    Raises:
        VideoError: its colours are coded in a way that is not read.
    """
    colours, is_transparent = read_colours(frame, peak), has_alpha(frame)
    depth = FORMATS[colours.is_ordinary, is_transparent]
    if (matrix := _matrix(frame)) is not None:
        frame.colorspace = matrix  # a matrix that is only asked for is not heeded by every PyAV
    orientation = read_orientation(frame)
    stretch = width / (frame.width - crop.left - crop.right)
    small = None if crop != Crop() or is_transparent else _shrunk(frame.height, width, size, orientation.turned)
    if small is not None:
        shrunk = frame.reformat(width=small[1], height=small[0], format=PLANES[depth], interpolation=SHRINKING)
        values = shrunk.reformat(format=depth).to_ndarray()
    else:
        values = frame.reformat(width=round(frame.width * stretch), format=depth).to_ndarray()
        left = round(crop.left * stretch)
        values = values[crop.top : frame.height - crop.bottom, left : left + width]
    shown = values[..., :3]
    if _is_grey(frame) and frame.color_range == ColorRange.MPEG:
        shown = _stretch_grey(shown)
    if not colours.is_ordinary:
        shown = to_ordinary(shown, colours)
    if is_transparent:
        shown = over_black(shown, values[..., 3])
    return orientation.apply(shown)


def _shrunk(height: int, width: int, size: tuple[int, int] | None, turned: bool) -> tuple[int, int] | None:
    """Height and width of a frame that comes to a size when it is turned; None where it would not as it is."""
    if size is None:
        return None
    small = size[::-1] if turned else size
    down, across = small[0] / height, small[1] / width
    # Sides are whole pixels, so that one of them may be off by half of one.
    alike = abs(down * width - small[1]) <= 0.5 or abs(across * height - small[0]) <= 0.5
    return small if alike and max(down, across) < 1 else None


def over_black(
    pixels: UInt8[np.ndarray, "h w 3"], alpha: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture on black, as far as its alpha lets it be seen."""
    share = alpha[..., None].astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
    return np.rint(pixels * share).astype(np.uint8)


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether the frame has transparent places."""
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def _matrix(frame: av.VideoFrame) -> int | None:
    """The matrix that the frame was coded with; None for RGB and grey.

    Where no tag says so it is BT.2020's in HDR, BT.709's from a width of 1280 or a height of 577 on, else BT.601's, as
    players decide.
    """
    matrix = frame.colorspace
    if frame.format.is_rgb or frame.format.has_palette or _is_grey(frame):
        return None
    if matrix in UNREAD_MATRICES:
        raise VideoError(f"the colours are coded in {UNREAD_MATRICES[matrix]}, which is not read: convert to BT.709")
    if matrix in MATRICES:
        return matrix
    if frame.color_trc in HDR or frame.color_primaries == BT2020_PRIMARIES:
        return BT2020
    return BT709 if frame.width >= 1280 or frame.height > 576 else BT601


def _is_grey(frame: av.VideoFrame) -> bool:
    return frame.format.name.startswith(("gray", "ya8", "ya16", "mono"))


def _stretch_grey(
    values: UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"],
) -> UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]:
    """Limited range made full, which libswscale does to colours and never to grey."""
    most = np.iinfo(values.dtype).max
    stretched = (values.astype(np.float32) - most * np.float32(16 / 255)) * np.float32(255 / 219)
    return np.rint(np.clip(stretched, 0, most)).astype(values.dtype)
