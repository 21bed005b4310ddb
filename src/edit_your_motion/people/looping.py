"""A source that is longer or shorter than an edit, to and fro."""

import math
from fractions import Fraction

import numpy as np
from jaxtyping import Int

from edit_your_motion.people.preparation import PreparedClip


def follow_source(source: PreparedClip, frames: int, fps: Fraction) -> Int[np.ndarray, " f"]:
    """Which frame of the source goes with each of an edit, so that its place moves at its true speed.

    Args:
        source: the person's clip.
        frames: of the edit.
        fps: at which the edit plays, frames/s.
    """
    return loop_frames(len(source), frames, source.video.fps / fps)


def loop_frames(available: int, wanted: int, pace: Fraction = Fraction(1)) -> Int[np.ndarray, " f"]:
    """Indices of `wanted` frames out of `available`, to and fro (0 1 2 1 0 1 …), so that none jumps.

    Args:
        available: how many there are.
        wanted: how many are to be shown.
        pace: how many of the former pass for each of the latter.
    """
    there_and_back = np.concatenate([np.arange(available), np.arange(available - 2, 0, -1)])
    passed = [math.floor(index * pace + Fraction(1, 2)) for index in range(wanted)]
    return there_and_back[np.array(passed, int) % len(there_and_back)]
