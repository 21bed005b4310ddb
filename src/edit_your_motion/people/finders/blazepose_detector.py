"""BlazePose's detector: a single-shot network that finds people, read in numpy.

Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020, and the options of the graph that
is published with the model.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import expit

SIZE = 224
STRIDES = (8, 16, 32)
ANCHORS_PER_CELL = (2, 2, 6)


def lay_anchors(size: int = SIZE) -> Float[np.ndarray, "n 2"]:
    """The centre of each of the detector's anchors, in units of its picture: every anchor is one picture large."""
    layers = []
    for stride, repeats in zip(STRIDES, ANCHORS_PER_CELL, strict=True):
        cells = size // stride
        down, across = np.divmod(np.arange(cells * cells), cells)
        centres = (np.stack([across, down], axis=1) + 0.5) / cells
        layers.append(np.repeat(centres, repeats, axis=0))
    return np.concatenate(layers)


def decode(
    raw_points: Float[np.ndarray, "n 12"], raw_scores: Float[np.ndarray, "n"], anchors: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n 6 2"], Float[np.ndarray, "n"]]:
    """The detector's output as points in units of its picture, and scores in [0, 1].

    The six points are the left top and right bottom corner of the face's box, the centre between the hips, a point on
    the circle about it that holds the whole body, straight above, and the same two for the upper body alone.
    """
    pairs = raw_points.reshape(-1, 6, 2) / SIZE
    centre, extent = pairs[:, 0] + anchors, pairs[:, 1]
    corners = np.stack([centre - extent / 2, centre + extent / 2], axis=1)
    return np.concatenate([corners, pairs[:, 2:] + anchors[:, None]], axis=1), expit(raw_scores)


def overlap(box: Float[np.ndarray, "2 2"], boxes: Float[np.ndarray, "n 2 2"]) -> Float[np.ndarray, "n"]:
    """Intersection over union of a box with each of several; a box is its left top and right bottom corner."""
    shared = np.clip(np.minimum(box[1], boxes[:, 1]) - np.maximum(box[0], boxes[:, 0]), 0, None).prod(axis=1)
    areas = np.clip(boxes[:, 1] - boxes[:, 0], 0, None).prod(axis=1)
    return shared / np.maximum(areas + np.clip(box[1] - box[0], 0, None).prod() - shared, 1e-12)


def merge_overlapping(
    points: Float[np.ndarray, "n k 2"], scores: Float[np.ndarray, "n"], threshold: float = 0.3
) -> list[tuple[Float[np.ndarray, "k 2"], float]]:
    """One set of points for each group of overlapping ones: their mean weighted by score, with the best score.

    Weighted non-maximum suppression: the best remaining detection takes all remaining ones whose boxes (the first two
    points) overlap its own by more than `threshold`.
    """
    merged = []
    order = np.argsort(-scores, kind="stable")
    while len(order):
        near = overlap(points[order[0], :2], points[order, :2]) > threshold
        near[0] = True
        group = order[near]
        merged.append((np.average(points[group], axis=0, weights=scores[group]), float(scores[order[0]])))
        order = order[~near]
    return merged
