"""How the camera moved between two frames: the homography of what stands still."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

COARSEST = 24
"""The shortest side of the coarsest level that is aligned, pixels."""

FINEST = 128
"""The shortest side of the finest level on which a clip's camera is followed, pixels: motion is found to a small part
of a pixel, and what is finer costs much and adds little."""

STILL = 0.85
"""A camera stands still if following it leaves more than this share of what differs between the frames: in a place with
little to hold on to, a homography finds something to explain."""

_STEPS = 30
_TOO_FEW = 64
_CONVERGED = 1e-3
_ROBUST = 2.0
"""Differences beyond so many times their median count less and less: what moves is not the camera."""


def follow_camera(
    frames: Float[np.ndarray, "f h w"], still: Bool[np.ndarray, "f h w"], anchor: int
) -> Float[np.ndarray, "f 3 3"]:
    """For each frame the homography that takes a pixel (x, y, 1) of frame `anchor` to where that frame shows it.

    Neighbours are aligned first and their homographies chained; then each frame is aligned to the anchor itself where
    the two share enough of the place, so that errors do not add up.

    Args:
        frames: brightness, of any range.
        still: pixels that belong to the place, not to anybody in it.
        anchor: index of the frame that the others are referred to.
    """
    scale = min(1.0, FINEST / min(frames.shape[1:]))
    small = np.stack([_shrink(frame, scale) for frame in frames])
    free = np.stack([_shrink(part.astype(float), scale) > 0.99 for part in still])
    found = np.tile(np.eye(3), (len(frames), 1, 1))
    for step in (1, -1):
        for index in range(anchor + step, len(frames) if step > 0 else -1, step):
            before = index - step
            between = align_frames(small[before], small[index], free[before], free[index], np.eye(3))
            chained = between @ found[before]
            found[index] = align_frames(small[anchor], small[index], free[anchor], free[index], chained)
    # `_shrink` brings the corners' pixels to the corners' pixels.
    (height, width), (high, wide) = frames.shape[1:], small.shape[1:]
    down = np.diag([(wide - 1) / (width - 1), (high - 1) / (height - 1), 1.0])
    return np.linalg.inv(down) @ found @ down


def align_frames(
    first: Float[np.ndarray, "h w"],
    second: Float[np.ndarray, "h w"],
    first_still: Bool[np.ndarray, "h w"],
    second_still: Bool[np.ndarray, "h w"],
    start: Float[np.ndarray, "3 3"],
) -> Float[np.ndarray, "3 3"]:
    """The homography H that makes second(H x) most like first(x), by Gauss-Newton from coarse to fine.

    Differences are weighted robustly (Geman-McClure), gain and offset of the exposure are fitted along. Where the
    frames share too little to be aligned, or alignment makes nothing better, it is `start`.

    Args:
        first: brightness of the frame whose pixels are sought in the other.
        second: brightness of the other frame.
        first_still: its pixels that may be compared.
        second_still: the same of the other.
        start: where to begin.
    """
    levels = [1.0]
    while min(first.shape) * levels[-1] / 2 >= COARSEST:
        levels.append(levels[-1] / 2)
    homography = start
    for level in reversed(levels):
        one, other = _shrink(first, level), _shrink(second, level)
        free, other_free = (_shrink(part.astype(float), level) > 0.99 for part in (first_still, second_still))
        homography = _refine(one, other, free, other_free, homography, level)
    return homography


def warp(
    picture: Float[np.ndarray, "h w"], homography: Float[np.ndarray, "3 3"], order: int = 1
) -> Float[np.ndarray, "h w"]:
    """The picture as the anchor sees it: its value at H x for every pixel x, NaN outside.

    Args:
        picture: of one channel.
        homography: H, from pixels of the result to pixels of the picture.
        order: of the interpolation, 0 to 5.
    """
    x, y = _project(homography, picture.shape)
    return map_coordinates(picture, [y, x], order=order, mode="constant", cval=np.nan)


def stands_still(
    frames: Float[np.ndarray, "f h w"],
    still: Bool[np.ndarray, "f h w"],
    homographies: Float[np.ndarray, "f 3 3"],
    anchor: int,
) -> bool:
    """Whether the frames, laid over one another as they are, agree about as well as along the homographies.

    Args:
        frames: brightness.
        still: pixels that belong to the place.
        homographies: from `follow_camera`.
        anchor: what they refer to.
    """
    followed = unmoved = 0.0
    for frame, free, homography in zip(frames, still, homographies, strict=True):
        moved, seen = warp(frame, homography), warp(free.astype(float), homography) > 0.99
        both = seen & free & still[anchor] & np.isfinite(moved)
        followed += float(np.abs(moved - frames[anchor])[both].sum())
        unmoved += float(np.abs(frame - frames[anchor])[both].sum())
    return followed >= STILL * unmoved


def _shrink(picture: Float[np.ndarray, "h w"], scale: float) -> Float[np.ndarray, "h2 w2"]:
    return picture if scale == 1 else zoom(gaussian_filter(picture, 0.5 / scale), scale, order=1)


def _project(
    homography: Float[np.ndarray, "3 3"], shape: tuple[int, ...]
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    mapped = np.einsum("ij,jhw->ihw", homography, np.stack([x, y, np.ones_like(x)]))
    return mapped[0] / mapped[2], mapped[1] / mapped[2]


def _refine(
    first: Float[np.ndarray, "h w"],
    second: Float[np.ndarray, "h w"],
    first_still: Bool[np.ndarray, "h w"],
    second_still: Bool[np.ndarray, "h w"],
    start: Float[np.ndarray, "3 3"],
    scale: float,
) -> Float[np.ndarray, "3 3"]:
    """`align_frames` at one level; homographies are those of the finest."""
    # Pixels counted from the middle, in units of the side: the eight numbers of a homography are then alike in size.
    height, width = first.shape
    side = max(height, width)
    to_unit = np.array([[1 / side, 0, -0.5 * width / side], [0, 1 / side, -0.5 * height / side], [0, 0, 1]])
    to_level = np.diag([scale, scale, 1.0])
    normal = to_unit @ to_level
    homography = normal @ start @ np.linalg.inv(normal)
    y, x = np.mgrid[:height, :width]
    x, y = (x - 0.5 * width) / side, (y - 0.5 * height) / side
    best, least = homography, np.inf
    for _ in range(_STEPS):
        pixels = np.linalg.inv(to_unit) @ homography @ to_unit
        values, usable = warp(second, pixels), first_still & (warp(second_still.astype(float), pixels) > 0.99)
        usable &= np.isfinite(values)
        if usable.sum() < _TOO_FEW:
            break
        gain, offset = _fit_light(values[usable], first[usable])
        matched = np.asarray(gain * values + offset)
        left = (matched - first)[usable]
        spread = _ROBUST * max(float(np.median(np.abs(left))), 1e-4)
        cost = float((left**2 / (left**2 + spread**2)).mean() * spread)
        if cost < least:
            best, least = homography, cost
        weights = 1 / (1 + (left / spread) ** 2) ** 2
        down, across = (np.gradient(np.nan_to_num(matched), axis=axis) for axis in (0, 1))
        dx, dy = across[usable] * side, down[usable] * side
        u, v = x[usable], y[usable]
        # The warp composed with I + small: (u, v) -> (u + p0 u + p1 v + p2, v + p3 u + p4 v + p5) / (1 + p6 u + p7 v).
        along = dx * u + dy * v
        slopes = np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy, -along * u, -along * v], axis=-1)
        normal_matrix = slopes.T @ (weights[:, None] * slopes)
        damping = 1e-6 * np.trace(normal_matrix) + 1e-12
        change = np.linalg.solve(normal_matrix + damping * np.eye(8), -slopes.T @ (weights * left))
        small = np.array([[1 + change[0], change[1], change[2]],
                          [change[3], 1 + change[4], change[5]],
                          [change[6], change[7], 1.0]])  # fmt: skip
        homography = homography @ small
        homography = homography / homography[2, 2]
        if np.abs(change).max() * side < _CONVERGED:
            break
    return np.linalg.inv(normal) @ best @ normal


def _fit_light(values: Float[np.ndarray, " n"], wanted: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """The gain and the offset that bring values nearest to those that are wanted; of a plain surface none."""
    level, wanted_level = values.mean(), wanted.mean()
    spread = float(np.square(values - level).sum())
    gain = float(((values - level) * (wanted - wanted_level)).sum()) / spread if spread > 1e-12 * len(values) else 1.0
    return gain, float(wanted_level - gain * level)
