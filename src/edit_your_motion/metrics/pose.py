"""How well the person in a generated video follows the keypoints that it was to follow."""

import numpy as np
from jaxtyping import Bool, Float64

from edit_your_motion.errors import InputError, PersonError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.left_right import swap_sides


def pck(
    detected: Keypoints, given: Keypoints, tolerance: float = 0.1, visible_above: float = 0.0
) -> Float64[np.ndarray, "f"]:
    """The share of correct keypoints of each frame.

    Convention: PCK of Yang and Ramanan (2013): a joint is correct within `tolerance` times the longer side of the
    bounding box of the given joints of that frame. Only given joints count, and one that was not detected is wrong.
    In [0, 1], higher is better. NaN for a frame with fewer than two given joints: leave it out (`np.nanmean`).

    Args:
        detected: found in the generated frames, body joints.
        given: what the generated frames were to show, on a canvas of the same size.
        tolerance: share of the box's longer side, above 0.
        visible_above: confidence that a joint has to exceed to be there, in [0, 1).

    Raises:
        InputError: a tolerance that is not positive.
        PersonError: different numbers of frames or canvas sizes, or no frame with two given joints.
    """
    if tolerance <= 0:
        raise InputError(f"expected a PCK tolerance above 0, got {tolerance}")
    distances, expected, found = _compare_joints(detected, given, visible_above)
    points = np.where(expected[..., None], given.body[..., :2].astype(np.float64), np.nan)
    values = np.full(len(given), np.nan)
    for frame in np.flatnonzero(expected.sum(axis=1) >= 2):
        longer_side = np.ptp(points[frame, expected[frame]], axis=0).max()
        correct = found[frame] & (distances[frame] <= tolerance * longer_side)
        values[frame] = correct[expected[frame]].mean()
    return _some_frames(values, "two given joints")


def pck_unsided(
    detected: Keypoints, given: Keypoints, tolerance: float = 0.1, visible_above: float = 0.0
) -> Float64[np.ndarray, "f"]:
    """`pck` with left and right limbs exchanged in the frames in which that is better.

    Convention: ours. Where this is much more than `pck`, the limbs are in their places, and what is lost is which way
    the person faces, or the detector's sense of it: it takes a figure without a clear face for its own back.

    Args:
        detected: as in `pck`, and so are the others.
        given: what the generated frames were to show.
        tolerance: share of the box's longer side, above 0.
        visible_above: confidence that a joint has to exceed to be there, in [0, 1).

    Raises:
        InputError: a tolerance that is not positive.
        PersonError: different numbers of frames or canvas sizes, or no frame with two given joints.
    """
    exchanged = swap_sides(detected, np.ones(len(detected), bool))
    both = (pck(keypoints, given, tolerance, visible_above) for keypoints in (detected, exchanged))
    return np.maximum(*both)


def keypoint_error(detected: Keypoints, given: Keypoints, visible_above: float = 0.0) -> Float64[np.ndarray, "f"]:
    """The mean distance of each frame between detected and given joints.

    Convention: pixels of the canvas, over joints that are both given and detected; lower is better. Joints that were
    not detected do not enter, so read it beside `pck`. NaN for a frame without a common joint.

    Args:
        detected: found in the generated frames, body joints.
        given: what the generated frames were to show, on a canvas of the same size.
        visible_above: confidence that a joint has to exceed to be there, in [0, 1).

    Raises:
        PersonError: different numbers of frames or canvas sizes, or no frame with a common joint.
    """
    distances, expected, found = _compare_joints(detected, given, visible_above)
    values = np.full(len(given), np.nan)
    common = expected & found
    for frame in np.flatnonzero(common.any(axis=1)):
        values[frame] = distances[frame, common[frame]].mean()
    return _some_frames(values, "a joint that is both given and detected")


def _compare_joints(
    detected: Keypoints, given: Keypoints, visible_above: float
) -> tuple[Float64[np.ndarray, "f 18"], Bool[np.ndarray, "f 18"], Bool[np.ndarray, "f 18"]]:
    sizes = [(len(points), points.height, points.width) for points in (detected, given)]
    if sizes[0] != sizes[1]:
        texts = [f"{frames} frames of {width}x{height}" for frames, height, width in sizes]
        raise PersonError(f"expected detected and given keypoints to match, got {texts[0]} and {texts[1]}")
    offsets = detected.body[..., :2].astype(np.float64) - given.body[..., :2]
    return np.linalg.norm(offsets, axis=-1), given.visible(visible_above), detected.visible(visible_above)


def _some_frames(values: Float64[np.ndarray, "f"], needed: str) -> Float64[np.ndarray, "f"]:
    if np.isnan(values).all():
        raise PersonError(f"expected at least one frame with {needed}, got none: is somebody in the video?")
    return values
