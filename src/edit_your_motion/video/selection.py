"""Which frames of a clip a configuration takes, once it is known what the clip has."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int

from edit_your_motion.config import ClipConfig
from edit_your_motion.video.clip import VideoInfo

USUAL_RATE = 30
"""Frames a second that show a motion well: a faster clip is thinned out, unless it is asked for at its own rate."""

LEAST_RATE = 24
"""What a clip may come to by leaving out every so many-th of its frames; else it is taken at `USUAL_RATE`, unevenly."""


@dataclass(frozen=True)
class Selection:
    """The frames of one clip that are taken.

    Args:
        start: where they begin, seconds from the clip's first frame.
        end: where they end, seconds; None for the clip's end.
        fps: at which rate they are taken, frames/s; None for every frame of the file.
        stride: of these, every so many-th.
        frames: at most so many; None for all.
    """

    start: float = 0.0
    end: float | None = None
    fps: Fraction | None = None
    stride: int = 1
    frames: int | None = None

    def rate(self, of_the_clip: Fraction) -> Fraction:
        """Frames a second at which they play at their true speed."""
        return (self.fps or of_the_clip) / self.stride

    def count(self, info: VideoInfo) -> int | None:
        """How many there are, as far as the clip says; None where it does not."""
        begin = exactly(self.start)
        if self.fps is None and info.frames is not None:
            there, rate = info.frames - math.floor(begin * info.fps), info.fps
        elif info.duration is not None:
            rate = self.fps or info.fps
            there = math.ceil((exactly(info.duration) - begin) * rate)
        else:
            return None
        if self.end is not None:
            there = min(there, round((exactly(self.end) - begin) * rate))
        taken = max(0, -(-there // self.stride))
        return taken if self.frames is None else min(taken, self.frames)

    def indices(self, available: int, rate: Fraction) -> Int[np.ndarray, " f"]:
        """Which of so many frames at an even rate they are.

        Args:
            available: how many frames the clip has.
            rate: of the clip, frames/s.
        """
        begin, half = exactly(self.start), Fraction(1, 2)
        end = available / rate if self.end is None else min(exactly(self.end), available / rate)
        if self.fps is None:
            chosen = np.arange(math.floor(begin * rate + half), math.floor(end * rate - half) + 1)
        else:
            moments = [begin + index / self.fps for index in range(max(0, math.floor((end - begin) * self.fps + half)))]
            # The frame on show at a moment, or the next one where that is nearer, as `resample` takes them.
            early = min(half, rate / self.fps / 2)
            chosen = np.array([min(math.floor(moment * rate + early), available - 1) for moment in moments], int)
        return chosen[:: self.stride][: self.frames]


def exactly(seconds: float) -> Fraction:
    """A time to the microsecond, to reckon with."""
    return Fraction(seconds).limit_denominator(10**6)


def select(clip: ClipConfig, info: VideoInfo) -> Selection:
    """The frames of a clip that a configuration takes.

    Where it names neither a rate nor a stride, a clip of more than 30 frames/s is thinned out evenly.

    Args:
        clip: which frames.
        info: what the clip has.
    """
    fps = None if clip.fps is None else Fraction(clip.fps).limit_denominator(1001)
    stride = clip.stride or 1
    if clip.fps is None and clip.stride is None:
        stride = math.ceil(info.fps / (USUAL_RATE + Fraction(1, 10)))
        if stride > 1 and info.fps / stride < LEAST_RATE:
            fps, stride = Fraction(USUAL_RATE), 1
    return Selection(clip.start, clip.until, fps, max(stride, 1), clip.frames)


def spread_evenly(frames: int, most: int) -> Int[np.ndarray, " n"]:
    """Indices of so many frames of a clip at most, from its first to its last, evenly spaced."""
    return np.linspace(0, frames - 1, min(most, frames)).round().astype(int)
