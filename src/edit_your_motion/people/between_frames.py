"""The frames between those of a clip: people are followed through them, and nothing else is kept of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from edit_your_motion.video import Fit, Video, fit_frame, read_frames_at

MOST = 600
"""Frames that a clip is filled up to; one that has as many of its own gets none between."""


@dataclass(frozen=True)
class Passage:
    """Frames of a source to look at, in order: a clip's and those between them.

    Args:
        source: where they are.
        indices: of the frames, as `locate_frames` counts those of a file.
        times: of the frames, seconds, rising.
        rows: which of them the clip's frames are; one that the clip repeats comes repeatedly.
        start: from which a file was read, seconds.
        fps: by which a file's frames were chosen.
    """

    source: Path | Video
    indices: Int[np.ndarray, " f"]
    times: Float[np.ndarray, " f"]
    rows: Int[np.ndarray, " g"]
    start: float
    fps: float | Fraction | None

    def __len__(self) -> int:
        return len(self.indices)

    def read(self) -> Iterator[Callable[[Fit], UInt8[np.ndarray, "h w 3"]]]:
        """The frames one at a time, each as a function that gives it at the size of a fit."""
        if isinstance(self.source, Video):
            return (partial(fit_frame, self.source.frames[index]) for index in self.indices)
        return read_frames_at(self.source, self.indices, start=self.start, fps=self.fps)


def pass_through(
    source: Path | Video,
    chosen: Int[np.ndarray, " g"],
    times: Float[np.ndarray, " n"],
    *,
    start: float,
    fps: float | Fraction | None,
    rate: float,
    most: int = MOST,
) -> Passage:
    """The frames of a clip, and as many between them as come to about `rate` a second.

    Args:
        source: a file or folder, or frames in memory.
        chosen: the clip's frames.
        times: of all of the source's frames up to the last chosen one, seconds.
        start: from which a file was read, seconds.
        fps: by which a file's frames were chosen; None where they were counted.
        rate: Hz; 0 leaves it at the clip's frames.
        most: frames that a clip is filled up to.
    """
    indices = np.unique(np.concatenate([chosen, _fill(chosen, times, rate, most)]))
    # Some files show two frames at one time, or one before the other.
    rising = np.maximum.accumulate(times[indices]) + 1e-6 * np.arange(len(indices))
    return Passage(source, indices, rising, np.searchsorted(indices, chosen), start, fps)


def _fill(
    chosen: Int[np.ndarray, " g"], times: Float[np.ndarray, " n"], rate: float, most: int
) -> Int[np.ndarray, " f"]:
    """Every so many-th frame from the first chosen one to the last; none where they would be no denser."""
    frames, span = chosen[-1] - chosen[0], times[chosen[-1]] - times[chosen[0]]
    if not rate or span <= 0:
        return chosen[:0]
    step = max(round(frames / span / rate), -(-frames // most), 1)
    dense = np.arange(chosen[0], chosen[-1], step)
    return dense if len(dense) > len(chosen) else chosen[:0]
