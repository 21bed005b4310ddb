"""Change from frame to frame that no steady motion or fade explains."""

import numpy as np
from jaxtyping import Float64

from edit_your_motion.errors import VideoError
from edit_your_motion.metrics.frames import Frames, Masks, iterate_frames, iterate_masks, iterate_together


def flicker(frames: Frames, masks: Masks | None = None) -> Float64[np.ndarray, "triples"]:
    """The mean of |x_t - (x_{t-1} + x_{t+1}) / 2| for every frame that has two neighbours.

    Convention: ours; values 0..255, lower is better. A still video and a linear fade give 0, a pixel that alternates
    between two values gives their distance. Motion counts as well, so compare videos of the same motion, or give
    `masks` to look at the background alone. NaN for a triple without background: leave it out (`np.nanmean`).

    Args:
        frames: at least three.
        masks: the person; a pixel counts where none of the three frames has the person. None: every pixel counts.

    Raises:
        VideoError: fewer than three frames, or masks that do not fit the frames.
    """
    streams = [iterate_frames(frames)] if masks is None else [iterate_frames(frames), iterate_masks(masks)]
    values: list[float] = []
    previous: list[tuple[np.ndarray, ...]] = []
    for items in iterate_together(*streams):
        previous = [*previous[-2:], items]
        if len(previous) < 3:
            continue
        before, now, after = (triple[0].astype(np.int16) for triple in previous)
        jump = np.abs(2 * now - before - after) / 2
        if masks is not None:
            jump = jump[~np.any([triple[1] for triple in previous], axis=0)]
        values.append(float(jump.mean()) if jump.size else np.nan)
    if not values:
        raise VideoError("flicker needs at least 3 frames")
    return np.array(values, np.float64)
