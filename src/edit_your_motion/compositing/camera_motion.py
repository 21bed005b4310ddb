"""How the camera moved between two frames: the homography of what stands still.

Pixels are counted from their middles: (0, 0) is the middle of the first one. What does not belong to the place is NaN.
"""

import numpy as np
from einops import rearrange, reduce
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Advance

COARSEST = 24
"""The shortest side of the coarsest level that is aligned, pixels."""

STILL = 0.85
"""A camera stands still if following it leaves more than this share of what differs between the frames: in a place with
little to hold on to, a homography finds something to explain."""

_POINTS = 3000
"""Pixels that are compared on a level, about: of each small square of the picture the one with the steepest slope."""

_STEPS = 15
_TOO_FEW = 64
_CONVERGED = 2e-2
_WILD = 0.5
"""A step of so much, in sides of the picture, is none towards a better alignment."""

_ROBUST = 2.0
"""Differences beyond so many times their median count less and less: what moves is not the camera."""


def follow_camera(
    frames: Float[np.ndarray, "f h w"], anchor: int, advance: Advance = lambda: None
) -> Float[np.ndarray, "f 3 3"]:
    """For each frame the homography that takes a pixel (x, y, 1) of frame `anchor` to where that frame shows it.

    Neighbours are aligned and their homographies chained; each chained one is then aligned to the anchor itself where
    the two share enough of the place, so that errors do not add up.

    Args:
        frames: brightness of the place, of any range, smoothed a little; NaN where somebody is.
        anchor: index of the frame that the others are referred to.
        advance: called after each frame.
    """

    def go_on(index: int) -> Float[np.ndarray, "3 3"]:
        if index == anchor:
            return np.eye(3)
        before = index - 1 if index > anchor else index + 1
        return align_frames(frames[before], frames[index], np.eye(3))

    def chain(way: range) -> Float[np.ndarray, "_ 3 3"]:
        chained = [np.eye(3)]
        for index in way:
            chained.append(_refine(frames[anchor], frames[index], steps[index] @ chained[-1], 1.0))
        return np.stack(chained)

    steps: list[Float[np.ndarray, "3 3"]] = []
    for step in parallel_map(go_on, range(len(frames))):
        steps.append(step)
        advance()
    before, after = parallel_map(chain, [range(anchor - 1, -1, -1), range(anchor + 1, len(frames))])
    return np.concatenate([before[:0:-1], after])


def align_frames(
    first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"], start: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "3 3"]:
    """The homography H that makes second(H x) most like first(x), by Gauss-Newton from coarse to fine.

    Inverse compositional (Baker and Matthews 2004), on the pixels with the steepest slopes. Differences are weighted
    robustly (Geman-McClure), gain and offset of the exposure are fitted along. Where the frames share too little to be
    aligned, or alignment makes nothing better, it is `start`.

    Args:
        first: brightness of the frame whose pixels are sought in the other; NaN where they may not be compared.
        second: the same of the other frame.
        start: where to begin.
    """
    pyramid = [(first, second)]
    while min(pyramid[-1][0].shape) / 2 >= COARSEST:
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    homography = start
    for level, (one, other) in reversed(list(enumerate(pyramid))):
        homography = _refine(one, other, homography, 0.5**level)
    return homography


def warp(picture: Float[np.ndarray, "h w"], homography: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "h w"]:
    """The picture as the anchor sees it: its value at H x for every pixel x, NaN outside.

    Args:
        picture: of one channel.
        homography: H, from pixels of the result to pixels of the picture.
    """
    height, width = picture.shape
    y, x = np.mgrid[:height, :width]
    return rearrange(_look_up(picture, homography, x.ravel(), y.ravel()), "(h w) -> h w", h=height)


def stands_still(frames: Float[np.ndarray, "f h w"], homographies: Float[np.ndarray, "f 3 3"], anchor: int) -> bool:
    """Whether the frames, laid over one another as they are, agree about as well as along the homographies.

    Args:
        frames: brightness of the place; NaN where somebody is.
        homographies: from `follow_camera`.
        anchor: what they refer to.
    """
    followed = unmoved = 0.0
    for frame, homography in zip(frames, homographies, strict=True):
        apart = np.abs(np.stack([warp(frame, homography), frame]) - frames[anchor])
        there = np.isfinite(apart).all(axis=0)
        followed += float(apart[0, there].sum())
        unmoved += float(apart[1, there].sum())
    return followed >= STILL * unmoved


def scaled(
    homographies: Float[np.ndarray, "*f 3 3"], before: tuple[int, int], after: tuple[int, int]
) -> Float[np.ndarray, "*f 3 3"]:
    """Homographies of frames of one height and width as they are of the same frames at another."""
    down, across = before[0] / after[0], before[1] / after[1]
    there = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return np.linalg.inv(there) @ homographies @ there


def _halve(picture: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h2 w2"]:
    height, width = (side // 2 * 2 for side in picture.shape)
    return reduce(picture[:height, :width], "(h a) (w b) -> h w", "mean", a=2, b=2)


def _look_up(
    picture: Float[np.ndarray, "h w"], homography: Float[np.ndarray, "3 3"], x: np.ndarray, y: np.ndarray
) -> Float[np.ndarray, " n"]:
    """The picture at the places where a homography takes pixels; NaN outside, and beyond the horizon."""
    across, down, depth = homography @ np.stack([x, y, np.ones(len(x))])
    depth = np.where(depth > 1e-6, depth, np.nan)
    places = np.nan_to_num(np.stack([down / depth, across / depth]), nan=-9.0)
    return map_coordinates(picture, places, order=1, mode="constant", cval=np.nan)


def _steepest(
    picture: Float[np.ndarray, "h w"],
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Pixels to compare: x and y, and the slopes across and down there; of each small square the steepest."""
    height, width = picture.shape
    side = max(1, round((height * width / _POINTS) ** 0.5))
    down, across = np.gradient(picture)
    steep = np.nan_to_num(np.hypot(down, across), nan=-1.0)
    room = ((0, -height % side), (0, -width % side))
    squares = rearrange(np.pad(steep, room, constant_values=-1), "(h a) (w b) -> h w (a b)", a=side, b=side)
    best = squares.argmax(axis=-1)
    y, x = np.mgrid[: best.shape[0], : best.shape[1]] * side
    y, x = (y + best // side).ravel(), (x + best % side).ravel()
    known = squares.max(axis=-1).ravel() >= 0
    y, x = y[known], x[known]
    return x, y, across[y, x], down[y, x]


def _refine(
    first: Float[np.ndarray, "h w"],
    second: Float[np.ndarray, "h w"],
    start: Float[np.ndarray, "3 3"],
    scale: float,
) -> Float[np.ndarray, "3 3"]:
    """`align_frames` at one level; homographies are those of the finest."""
    # Pixels counted from the middle, in units of the side: the eight numbers of a homography are then alike in size.
    height, width = first.shape
    side = max(height, width)
    to_unit = np.array([[1 / side, 0, -0.5 * width / side], [0, 1 / side, -0.5 * height / side], [0, 0, 1]])
    to_level = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    normal, from_unit = to_unit @ to_level, np.linalg.inv(to_unit)
    homography = normal @ start @ np.linalg.inv(normal)
    x, y, across, down = _steepest(first)
    if len(x) < _TOO_FEW:
        return start
    wanted, u, v = first[y, x], (x - 0.5 * width) / side, (y - 0.5 * height) / side
    # What I + small does to (u, v): (u + p0 u + p1 v + p2, v + p3 u + p4 v + p5) / (1 + p6 u + p7 v).
    dx, dy = across * side, down * side
    along = dx * u + dy * v
    slopes = np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy, -along * u, -along * v], axis=-1)
    best, least = homography, np.inf
    for _ in range(_STEPS):
        values = _look_up(second, from_unit @ homography @ to_unit, x, y)
        usable = np.isfinite(values)
        if usable.sum() < _TOO_FEW:
            break
        gain, offset = _fit_light(values[usable], wanted[usable])
        left = gain * values[usable] + offset - wanted[usable]
        spread = _ROBUST * max(float(np.median(np.abs(left))), 1e-4)
        cost = float((left**2 / (left**2 + spread**2)).mean() * spread)
        if cost < least:
            best, least = homography, cost
        weights = 1 / (1 + (left / spread) ** 2) ** 2
        weighted = weights[:, None] * slopes[usable]
        normal_matrix = slopes[usable].T @ weighted
        damping = 1e-6 * np.trace(normal_matrix) + 1e-12
        change = np.linalg.solve(normal_matrix + damping * np.eye(8), weighted.T @ left)
        if np.abs(change).max() > _WILD:
            break
        small = np.array([[1 + change[0], change[1], change[2]],
                          [change[3], 1 + change[4], change[5]],
                          [change[6], change[7], 1.0]])  # fmt: skip
        homography = homography @ np.linalg.inv(small)
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
