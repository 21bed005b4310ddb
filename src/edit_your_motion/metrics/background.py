"""How well what is not the person survived the edit."""

import numpy as np
from jaxtyping import Bool, Float64

from edit_your_motion.errors import InputError, PersonError
from edit_your_motion.metrics.frames import Frames, Masks, iterate_frames, iterate_masks, iterate_together
from edit_your_motion.metrics.structural import sum_windows


def background_error(
    generated: Frames, source: Frames, generated_masks: Masks, source_masks: Masks, margin: int = 0
) -> Float64[np.ndarray, "f"]:
    """The mean of |generated - source| of each frame over the pixels that neither person covers.

    Convention: ours; values 0..255, lower is better, 0 for an untouched background. NaN for a frame without any such
    pixel (a close-up): leave it out of the mean (`np.nanmean`).

    Args:
        generated: the edited frames.
        source: the frames that were edited.
        generated_masks: the person in `generated`.
        source_masks: the person in `source`.
        margin: pixels by which both masks grow first, for soft outlines and shadows.

    Raises:
        InputError: a negative margin.
        PersonError: the people cover every pixel of every frame.
        VideoError: frames or masks that differ in number or resolution.
    """
    if margin < 0:
        raise InputError(f"expected a margin of 0 pixels or more, got {margin}")
    values = []
    streams = iterate_frames(generated), iterate_frames(source)
    for x, y, *masks in iterate_together(*streams, iterate_masks(generated_masks), iterate_masks(source_masks)):
        outside = ~grow_mask(masks[0] | masks[1], margin)
        values.append(np.abs(x[outside].astype(np.int16) - y[outside]).mean() if outside.any() else np.nan)
    if np.isnan(values).all():
        raise PersonError("the people cover every pixel of every frame: there is no background to compare")
    return np.array(values, np.float64)


def grow_mask(mask: Bool[np.ndarray, "h w"], margin: int) -> Bool[np.ndarray, "h w"]:
    """The mask grown by `margin` pixels in each direction (a square structuring element)."""
    return sum_windows(np.pad(mask, margin)[None], 2 * margin + 1)[0] > 0
