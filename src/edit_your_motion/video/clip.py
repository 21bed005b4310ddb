"""A clip in memory, and what a file says of itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from einops import repeat
from jaxtyping import UInt8

from edit_your_motion.errors import ConfigError, VideoError, counted

# What lies beyond these is no clip but a damaged or hostile file: pixels, frames per second, seconds.
LARGEST_SIDE = 16384
LARGEST_RATE = 1000
LONGEST = 24 * 3600
STILL_RATE = Fraction(30)
# The scheme of an address, or of one of FFmpeg's protocols; a single letter is a drive.
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(:|,,)")


def check_sides(path: Path, width: int, height: int) -> None:
    """Passes frames of a sane size.

    Raises:
        VideoError: a side is longer than 16384 pixels.
    """
    if max(width, height) > LARGEST_SIDE:
        raise VideoError(f"{path} is {width}x{height}, at most {LARGEST_SIDE} a side: shrink it")


def require_source(path: Path, expected: str = "a video, a picture or a folder of frames") -> None:
    """Passes what is there.

    Raises:
        VideoError: nothing is, or an address was given in place of a file.
    """
    try:
        if path.exists():
            return
    except OSError as error:  # its name is too long
        raise VideoError(f"expected {expected}, got '{path!s:.60}…': {error.strerror}") from error
    if ADDRESS.match(str(path)):
        address = re.sub(r"^(?!file:)(\w+):/(?!/)", r"\1://", str(path))  # a path has dropped the second stroke
        raise VideoError(f"{address} is an address, and addresses (URLs) are not read: download it and give the file")
    raise VideoError(f"{path} does not exist: expected {expected}")


@dataclass(frozen=True, eq=False)
class Video:
    """Frames at a constant rate, and where they were taken from.

    Args:
        frames: RGB, 0 to 255.
        fps: frames per second at which they play at their true speed.
        source: the file or folder they come from; its sound can be carried along.
        start: where the first frame lies in the source, in seconds from the source's first frame.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    fps: Fraction
    source: Path | None = None
    start: float = 0.0

    @property
    def duration(self) -> float:
        """Playing time in seconds."""
        return float(len(self.frames) / self.fps)


@dataclass(frozen=True)
class VideoInfo:
    """What a file or folder says of itself; nothing here needed more than one frame to be decoded.

    Args:
        frames: how many there are, None where the file does not say.
        fps: mean frames per second; of an animated picture, those of its first delay.
        width: in square pixels, after rotation.
        height: in square pixels, after rotation.
        duration: in seconds, None where the file does not say.
        has_audio: whether there is a sound track.
        pixel_aspect: breadth over height of a pixel as it is stored, after rotation.
        warnings: what a user should be told of how it is read.
    """

    frames: int | None
    fps: Fraction
    width: int
    height: int
    duration: float | None
    has_audio: bool
    pixel_aspect: float = 1.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimedFrame:
    """One frame of a source: when it is shown, in seconds from the first one, and a way to its pixels.

    The pixels are asked for, not held: a frame that nobody chooses is never converted to RGB. They come whole, or at
    the size (height, width) that is asked for, where the source scales as it converts. Its index counts from the
    source's first frame, None where nobody has counted.
    """

    time: Fraction
    duration: Fraction
    pixels: Callable[[tuple[int, int] | None], UInt8[np.ndarray, "h w 3"]]
    index: int | None = None


def repeat_frames(video: Video, count: int) -> Video:
    """The one frame of `video` (a single picture), `count` times.

    Raises:
        ConfigError: the count is below 1, or the video has more than one frame.
    """
    if count < 1 or len(video.frames) != 1:
        raise ConfigError(
            f"a single picture is repeated once or more, got {counted(len(video.frames), 'frame')} to repeat "
            f"{counted(count, 'time')}: "
            "give one picture and a count of at least 1"
        )
    return replace(video, frames=repeat(video.frames, "1 h w c -> f h w c", f=count))
