"""Medians over pictures of one place, of which each shows only a part."""

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8
from PIL import Image
from scipy.ndimage import find_objects, gaussian_filter

FARTHEST_SHARE = 0.25
"""Share of the pictures that show a pixel in which the person is farthest: from these it is known how light it is."""

FEWEST = 3
"""So many of them at least."""

LIGHTER = (0.03, 0.09)
"""From the first on a pixel that these show lighter, as a logarithm, counts as one that a shadow lies on in the others,
wholly from the second on."""

SMOOTHED = 0.01
"""Shadows are soft: how much lighter a place is is smoothed by this, as a share of the picture's short side."""

LOOKED_AT = 128
"""Where shadows lie is seen in every so-many-th pixel, of so many along the short side."""

_BLACK = 16.0
"""Added to brightness before its logarithm is taken: in the dark a step of one is noise."""


def take_median(
    pictures: list[UInt8[np.ndarray, "h w 3"]], visible: list[Bool[np.ndarray, "h w"]]
) -> tuple[Float32[np.ndarray, "h w 3"], Int[np.ndarray, "h w"]]:
    """The median of each pixel over the pictures that show it, 0 where none does; and how many do."""
    planes = [
        np.where(there[..., None], picture, np.uint8(255)) for picture, there in zip(pictures, visible, strict=True)
    ]
    count = np.stack(visible).sum(axis=0)
    _sort_planes(planes)
    # What is not seen is last: the others' middle is that of the first `count`.
    total = np.zeros(planes[0].shape, np.float32)
    for middle in (np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2):
        ranks = np.unique(middle)
        total += planes[ranks[0]]
        for rank in ranks[1:]:
            where = middle == rank
            total[where] += planes[rank][where].astype(np.float32) - planes[ranks[0]][where]
    return np.where(count[..., None] > 0, total / 2, np.float32(0)), count


def take_unshaded_median(
    pictures: list[UInt8[np.ndarray, "h w 3"]],
    visible: list[Bool[np.ndarray, "h w"]],
    farness: list[UInt8[np.ndarray, "h w"]],
) -> tuple[Float32[np.ndarray, "h w 3"], Int[np.ndarray, "h w"]]:
    """The median of each pixel over the pictures that show it, without the shadow that someone casts on it in most.

    The shadow goes along with the person. Where those pictures in which the person is farthest away show a place
    lighter than all together do, their median is taken.

    Args:
        pictures: of one place.
        visible: what each shows of it.
        farness: how far each pixel is from the person, in any unit.

    Returns:
        The median, 0 where none shows anything; and how many do.
    """
    median, count = take_median(pictures, visible)
    every = max(1, min(count.shape) // LOOKED_AT)
    thin = (slice(None, None, every),) * 2
    clear = _take_farthest_median(*_crop(thin, pictures, visible, farness))
    shaded = _find_shaded(median[thin], clear, count[thin] > 0)
    height, width = count.shape
    share = np.asarray(Image.fromarray(shaded).resize((width, height), Image.Resampling.BILINEAR))
    for window in find_objects((share > 0).astype(np.uint8)):
        clear = _take_farthest_median(*_crop(window, pictures, visible, farness))
        median[window] += share[window][..., None] * (clear - median[window])
    return median, count


def smooth_over(
    values: Float32[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], sigma: float
) -> Float32[np.ndarray, "h w"]:
    """Values smoothed by a bell of `sigma` pixels that weighs what is known alone."""
    shares = gaussian_filter(known.astype(np.float32), sigma)
    return gaussian_filter(np.where(known, values, 0), sigma) / np.maximum(shares, np.float32(1e-3))


def _crop(window: tuple[slice, ...], *stacks: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The same part of all pictures of some lists."""
    return [[each[window] for each in stack] for stack in stacks]


def _find_shaded(
    median: Float32[np.ndarray, "h w 3"], clear: Float32[np.ndarray, "h w 3"], seen: Bool[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """How surely a shadow lies on each pixel of the median that is not on the clear place, [0, 1]."""
    lighter = np.log((clear + _BLACK) / (median + _BLACK)).mean(axis=-1)
    smooth = smooth_over(lighter, seen, SMOOTHED * min(seen.shape))
    return np.clip((smooth - LIGHTER[0]) / (LIGHTER[1] - LIGHTER[0]), 0, 1).astype(np.float32)


def _take_farthest_median(
    pictures: list[UInt8[np.ndarray, "h w 3"]],
    visible: list[Bool[np.ndarray, "h w"]],
    farness: list[UInt8[np.ndarray, "h w"]],
) -> Float32[np.ndarray, "h w 3"]:
    """The median of each pixel over those pictures that show it from which the person is farthest."""
    planes = [np.where(there, far, np.uint8(0)) for there, far in zip(visible, farness, strict=True)]
    _sort_planes(planes)
    count = np.sum(visible, axis=0)
    taken = np.minimum(np.maximum(np.ceil(FARTHEST_SHARE * count).astype(int), FEWEST), np.maximum(count, 1))
    least = np.take_along_axis(np.stack(planes), (len(planes) - taken)[None], axis=0)[0]
    far_enough = [there & (far >= least) for there, far in zip(visible, farness, strict=True)]
    return take_median(pictures, far_enough)[0]


def _sort_planes(planes: list[UInt8[np.ndarray, "*shape"]]) -> None:
    """Sorts each pixel through the planes, in place: a network of comparisons of whole planes.

    Batcher's merge exchange, Knuth, The Art of Computer Programming, 5.2.2, algorithm M.
    """
    count = len(planes)
    top = 1 << max(count - 1, 0).bit_length() >> 1
    step = top
    while step > 0:
        jump, rest, distance = top, 0, step
        while distance > 0:
            for low in range(count - distance):
                if low & step == rest:
                    one, other = planes[low], planes[low + distance]
                    planes[low], planes[low + distance] = np.minimum(one, other), np.maximum(one, other)
            distance, jump, rest = jump - step, jump >> 1, step
        step >>= 1
