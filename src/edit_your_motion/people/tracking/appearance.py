"""What somebody looks like: the colours of head, trunk and legs, by which people are told apart when motion cannot."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.keypoints import BODY_JOINTS

_INDEX = {name: index for index, name in enumerate(BODY_JOINTS)}
_PARTS = (
    (("nose", "nose"), ("right_ear", "left_ear"), ("neck", "nose")),
    (("neck", "right_hip"), ("neck", "left_hip"), ("right_shoulder", "right_hip"), ("left_shoulder", "left_hip")),
    tuple((f"{side}_{start}", f"{side}_{end}")
          for side in ("right", "left") for start, end in (("hip", "knee"), ("knee", "ankle"))),
)  # fmt: skip
"""Head, trunk and legs, each as the bones that its pixels lie near; arms are thin, cross others, and do not count."""

_WEIGHTS = np.array([0.2, 0.5, 0.3])
"""Of head, trunk and legs."""

_LEVELS = 5
"""Of each channel of a part's histogram."""

_MOST_PIXELS = 600
"""Of a person that are looked at; every so many-th where there are more."""

_REACH = 0.12
"""How far from a part's bones its pixels lie, in diagonals of the person's box."""

_FEWEST = 12
"""Pixels of a part that say what it looks like."""

_VISIBLE = 0.3


def add_looks(
    frames: UInt8[np.ndarray, "f h w 3"], detections: Sequence[Sequence[PersonDetection]]
) -> list[list[PersonDetection]]:
    """The people in each frame, each with their look, of which what another one may cover is left out.

    Args:
        frames: in which they were found.
        detections: everybody in each frame.
    """
    return [
        [replace(person, look=_look(frame, person, [other for other in people if other is not person]))
         for person in people]
        for frame, people in zip(frames, detections, strict=True)
    ]  # fmt: skip


def compare_looks(
    one: Float32[np.ndarray, "parts colours"] | None, other: Float32[np.ndarray, "parts colours"] | None
) -> float | None:
    """How unlike two looks are, 0 to 1, by the parts that both show; None where they share none."""
    if one is None or other is None:
        return None
    both = (one.sum(axis=1) > 0) & (other.sum(axis=1) > 0)
    if not both.any():
        return None
    # Hellinger's distance: like the intersection, but less taken up with the largest patch of colour.
    common = np.sqrt(one[both] * other[both]).sum(axis=1)
    return float(np.sqrt(np.clip(1 - np.average(common, weights=_WEIGHTS[both]), 0, 1)))


def mean_look(looks: Sequence[Float32[np.ndarray, "parts colours"]]) -> Float32[np.ndarray, "parts colours"] | None:
    """The look that several of one person have on average, each part over those that show it; None of none."""
    if not looks:
        return None
    stacked = np.stack(looks)
    shown = stacked.sum(axis=2, keepdims=True) > 0
    return (stacked.sum(axis=0) / np.maximum(shown.sum(axis=0), 1)).astype(np.float32)


def _look(
    frame: UInt8[np.ndarray, "h w 3"], person: PersonDetection, others: Sequence[PersonDetection]
) -> Float32[np.ndarray, "parts colours"]:
    """Shares of the colours of each part; zeros for a part that is not seen."""
    places = _own_pixels(frame, person, others)
    diagonal = max(float(np.hypot(*(person.box[2:] - person.box[:2]))), 1.0)
    distances = np.stack([_distance(places + 0.5, person, part) for part in _PARTS])
    nearest = np.where(distances.min(axis=0) < _REACH * diagonal, distances.argmin(axis=0), -1)
    look = np.zeros((len(_PARTS), _LEVELS**3), np.float32)
    for part in range(len(_PARTS)):
        x, y = places[nearest == part].T
        if len(x) >= _FEWEST:
            look[part] = _histogram(frame[y, x])
    return look


def _own_pixels(
    frame: UInt8[np.ndarray, "h w 3"], person: PersonDetection, others: Sequence[PersonDetection]
) -> Int[np.ndarray, "n 2"]:
    """Some pixels, x and y, of the person: of the mask, or else of the box, and of nobody else's."""
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(person.box[:2]), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(person.box[2:]), 0, (width, height)).astype(int)
    region = slice(top, bottom), slice(left, right)
    own: Bool[np.ndarray, "h w"] = np.ones((bottom - top, right - left), bool)
    if person.mask is not None and person.mask.any():
        own &= person.mask[region]
    for other in others:
        if other.mask is not None:
            own &= ~other.mask[region]
    y, x = np.nonzero(own)
    step = max(1, len(x) // _MOST_PIXELS)
    return np.stack([x[::step] + left, y[::step] + top], axis=1)


def _distance(
    places: Float[np.ndarray, "n 2"], person: PersonDetection, part: Sequence[tuple[str, str]]
) -> Float[np.ndarray, " n"]:
    """Of each place from the nearest of a part's bones that are seen; infinite where none is."""
    nearest = np.full(len(places), np.inf)
    for bone in part:
        start, end = (person.body[_INDEX[name]] for name in bone)
        if min(start[2], end[2]) > _VISIBLE:
            along = (end - start)[:2].astype(float)
            share = np.clip((places - start[:2]) @ along / max(float(along @ along), 1e-9), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(places - start[:2] - share[:, None] * along, axis=1))
    return nearest


def _histogram(pixels: UInt8[np.ndarray, "n 3"]) -> Float32[np.ndarray, " colours"]:
    """Shares of the colours; one between two levels counts for both, so that small changes of light change little."""
    places = np.clip(pixels / 255 * _LEVELS - 0.5, 0, _LEVELS - 1)
    below = np.minimum(places.astype(int), _LEVELS - 2)
    above = places - below
    counts = np.zeros((_LEVELS,) * 3)
    for corner in np.ndindex(2, 2, 2):
        np.add.at(counts, tuple((below + corner).T), np.where(corner, above, 1 - above).prod(axis=1))
    return (counts.ravel() / len(pixels)).astype(np.float32)
