"""Whether keypoints and masks that do not come from one finder are of one person."""

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import maximum_filter

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import DRAWN

LEAST_INSIDE = 0.5
"""Share of the joints that lie within the masks of the same person, at the least; mostly it is nine in ten."""
SLACK = 0.02
"""How far out of a mask a joint may be, as a share of the canvas's short side."""


def compare(keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"]) -> tuple[str, ...]:
    """What a user should be told of keypoints and masks that are to show the same person.

    Raises:
        PersonError: the person's joints are where the masks show none: they are inverted.
    """
    inside = share_inside(keypoints, masks)
    if inside >= LEAST_INSIDE:
        return ()
    if masks.mean() > LEAST_INSIDE:
        raise PersonError(
            f"the masks look inverted: {inside:.0%} of the person's joints lie within them, and they cover "
            f"{masks.mean():.0%} of the pictures; write people in white, or say --people.mask-label 0 if they are black"
        )
    return (f"{inside:.0%} of the person's joints lie within the masks: keypoints or masks are of somebody else",)


def share_inside(keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"]) -> float:
    """The share of the joints on the canvas that lie in their frames' masks, or nearly; 1 where there are none."""
    height, width = masks.shape[1:]
    x, y = (keypoints.body[..., axis].astype(int) for axis in (0, 1))
    drawn = keypoints.visible(DRAWN) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    if not drawn.any():
        return 1.0
    frames = np.flatnonzero(drawn.any(axis=1))
    reach = 2 * round(SLACK * min(height, width)) + 1
    found = [maximum_filter(masks[frame], reach)[y[frame][drawn[frame]], x[frame][drawn[frame]]] for frame in frames]
    return float(np.concatenate(found).mean())
