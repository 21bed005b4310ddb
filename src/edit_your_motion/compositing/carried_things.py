"""Things that go with a person, as a ball that is thrown and caught: they leave the place with its person."""

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label, maximum_filter, minimum_filter

SIDE = 64
"""Shortest side of the pictures in which things are followed, pixels."""

MOVES = 24.0
"""What differs from the place by so many levels of 255 in some channel is no part of it."""

HANDLED = 0.06
"""What comes so near to the person is handled by them, as a share of the picture's short side."""

REACHED = 0.1
"""A thrown thing is first seen so far beyond, at most, for it is quick."""

LARGEST = 0.5
"""What is larger than so much of the person is somebody else, or the place itself: water, a tree in the wind."""

_LINKED = 0.03
"""Parts of a thing, and its places from frame to frame, lie within so much of each other."""


def find_carried(
    frames: UInt8[np.ndarray, "f h w 3"], places: UInt8[np.ndarray, "g h w 3"], masks: Bool[np.ndarray, "f h w"]
) -> Bool[np.ndarray, "f h w"]:
    """Where things are seen that the person has touched, or will, beside the person; nowhere else.

    What differs from the place is followed through the frames. A thing that comes to the person in some of them goes
    with the person in all; what passes by elsewhere stays.

    Args:
        frames: of the person.
        places: without the person and without what moves, one where the camera stands still, else one for each frame.
        masks: the person's pixels.
    """
    height, width = masks.shape[1:]
    scale = min(1.0, SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    side = min(size)
    # Before a moving camera edges lie beside themselves, by a pixel here.
    around = 3 if len(places) > 1 else 1
    bounds = [_bound(_shrink(place, size), around) for place in places]
    person = np.stack([_shrink(mask.astype(np.uint8) * 255, size) > 0 for mask in masks])
    differs = []
    for index, frame in enumerate(frames):
        (least, most), small = bounds[index % len(bounds)], _shrink(frame, size)
        differs.append(np.maximum(least - small, small - most).max(axis=-1) > MOVES)
    beside = ~_grown(person, HANDLED * side)
    things, count = label(_grown(np.stack(differs) & beside, _LINKED * side) & beside, np.ones((3, 3, 3)))
    if not count:
        return np.zeros_like(masks)
    # In the frame before or after it may still have been in the hand.
    reached = binary_dilation(_grown(person, (HANDLED + REACHED) * side), np.ones((3, 1, 1)))
    carried = np.zeros(things.shape, bool)
    most = LARGEST * person.sum(axis=(1, 2)).max()
    for number, window in enumerate(find_objects(things), 1):
        thing = things[window] == number
        if (thing & reached[window]).any() and thing.sum(axis=(1, 2)).max() <= most:
            carried[window] |= thing
    pictures = [Image.fromarray(here).resize((width, height), Image.Resampling.NEAREST) for here in carried]
    return np.stack([np.asarray(picture) for picture in pictures])


def _shrink(picture: UInt8[np.ndarray, "h w *c"], size: tuple[int, int]) -> Float32[np.ndarray, "h2 w2 *c"]:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), np.float32)


def _bound(
    place: Float32[np.ndarray, "h w 3"], around: int
) -> tuple[Float32[np.ndarray, "h w 3"], Float32[np.ndarray, "h w 3"]]:
    """The least and the most that so many pixels about each have, down and across."""
    window = (around, around, 1)
    return minimum_filter(place, window), maximum_filter(place, window)


def _grown(regions: Bool[np.ndarray, "f h w"], reach: float) -> Bool[np.ndarray, "f h w"]:
    """The regions of each frame, and what lies so many pixels about them."""
    grown = np.zeros_like(regions)
    for index in np.flatnonzero(regions.any(axis=(1, 2))):
        grown[index] = distance_transform_edt(~regions[index]) <= reach
    return grown
