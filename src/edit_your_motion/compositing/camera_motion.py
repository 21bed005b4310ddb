"""How the camera moved between two frames: the homography of what stands still.

Pixels are counted from their middles: (0, 0) is the middle of the first one. What does not belong to the place is NaN.
"""

from dataclasses import dataclass

import numpy as np
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter

from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Advance

COARSEST = 24
"""The shortest side of the coarsest level that is aligned, pixels."""

STILL = 0.9
"""A camera stands still if following it leaves more than this share of what differs between the frames: in a place with
little to hold on to, a homography finds something to explain."""

NOISE = 12.0
"""Levels of 255 beyond which all differences count alike: of what is only a little noise, edges that moved must stand
out, but not one thing that moved by itself."""

_POINTS = 1000
"""Pixels that are compared on a level, about: of each small square of the picture the one with the steepest slope.

In three filmed places, moved in known ways by hand, 1000 follow the camera as exactly as 3000.
"""

_TOGETHER = 32
"""Frames that are aligned at a time, in arrays large enough for other threads to work meanwhile."""

_AHEAD = 4
"""Frames that are aligned to the anchor from where their neighbours' steps alone take them, in both directions."""

_STEPS = 15
_TOO_FEW = 64
_CONVERGED = 2e-2
_WILD = 0.5
"""A step of so much, in sides of the picture, is none towards a better alignment."""

_ROBUST = 2.0
"""Differences beyond so many times their median count less and less: what moves is not the camera."""

_USUAL = np.array([0.02, 0.02, 0.2, 0.02, 0.02, 0.2, 0.01, 0.01])
"""By how much each number of a homography usually differs from where it begins: a camera turns, which moves the whole
picture, rather than that it zooms, rolls or comes nearer. This decides where there is little to hold on to, as before a
bare wall, and hardly counts elsewhere."""

_ALIKE = 20
"""Pixels that err alike: what differs at one, as by a shadow, differs about it."""


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
    count = len(frames)
    indices = np.arange(count)
    # Towards the anchor: the neighbour of each frame that lies nearer to it.
    before = indices - np.sign(indices - anchor)
    chunks = [indices[start : start + _TOGETHER] for start in range(0, count, _TOGETHER)]

    def go_on(chunk: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b 3 3"]:
        return align_frames(frames[before[chunk]], frames[chunk], np.tile(np.eye(3), (len(chunk), 1, 1)))

    steps = np.empty((count, 3, 3))
    for chunk, found in zip(chunks, parallel_map(go_on, chunks), strict=True):
        steps[chunk] = found
        for _ in chunk:
            advance()
    template = _Template.of(frames[anchor : anchor + 1], 1.0)
    homographies = np.tile(np.eye(3), (count, 1, 1))
    for begin in range(1, max(anchor, count - 1 - anchor) + 1, _AHEAD):
        ahead = [anchor + side * apart for apart in range(begin, begin + _AHEAD) for side in (-1, 1)]
        chunk = np.array([index for index in ahead if 0 <= index < count])
        for index in chunk:
            homographies[index] = steps[index] @ homographies[before[index]]
        homographies[chunk] = template.refine(frames[chunk], homographies[chunk])
    return homographies


def align_frames(
    first: Float[np.ndarray, "b h w"], second: Float[np.ndarray, "b h w"], start: Float[np.ndarray, "b 3 3"]
) -> Float[np.ndarray, "b 3 3"]:
    """For each pair of frames the homography H that makes second(H x) most like first(x): Gauss-Newton, coarse to fine.

    Inverse compositional (Baker and Matthews 2004), on the pixels with the steepest slopes. Differences are weighted
    robustly (Geman-McClure), gain and offset of the exposure are fitted along. Where the frames share too little to be
    aligned, or alignment makes nothing better, it is that of `start`.

    Args:
        first: brightness of the frames whose pixels are sought in the others; NaN where they may not be compared.
        second: the same of the others.
        start: where to begin.
    """
    pyramid = [(first, second)]
    while min(pyramid[-1][0].shape[1:]) / 2 >= COARSEST:
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    homographies = start
    for level, (one, other) in reversed(list(enumerate(pyramid))):
        homographies = _Template.of(one, 0.5**level).refine(other, homographies)
    return homographies


def warp(picture: Float[np.ndarray, "h w"], homography: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "h w"]:
    """The picture as the anchor sees it: its value at H x for every pixel x, NaN outside.

    Args:
        picture: of one channel.
        homography: H, from pixels of the result to pixels of the picture.
    """
    height, width = picture.shape
    y, x = np.mgrid[:height, :width]
    places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return rearrange(_look_up(picture[None], homography[None], places[None]), "1 (h w) -> h w", h=height)


def stands_still(frames: Float[np.ndarray, "f h w"], homographies: Float[np.ndarray, "f 3 3"], anchor: int) -> bool:
    """Whether the frames, laid over one another as they are, agree about as well as along the homographies.

    Args:
        frames: brightness of the place, [0, 255]; NaN where somebody is.
        homographies: from `follow_camera`.
        anchor: what they refer to.
    """
    followed = unmoved = 0.0
    for frame, homography in zip(frames, homographies, strict=True):
        # What lies between pixels has less noise than the pixels: smoothed, both have as little.
        apart = gaussian_filter(np.stack([warp(frame, homography), frame]) - frames[anchor], (0, 1, 1))
        there = np.isfinite(apart).all(axis=0)
        squares = np.minimum(apart[:, there] ** 2, NOISE**2).sum(axis=1)
        followed += float(squares[0])
        unmoved += float(squares[1])
    return followed >= STILL * unmoved


def scaled(
    homographies: Float[np.ndarray, "*f 3 3"], before: tuple[int, int], after: tuple[int, int]
) -> Float[np.ndarray, "*f 3 3"]:
    """Homographies of frames of one height and width as they are of the same frames at another."""
    down, across = before[0] / after[0], before[1] / after[1]
    there = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return np.linalg.inv(there) @ homographies @ there


def _halve(pictures: Float[np.ndarray, "b h w"]) -> Float[np.ndarray, "b h2 w2"]:
    height, width = (side // 2 * 2 for side in pictures.shape[1:])
    return reduce(pictures[:, :height, :width], "b (h y) (w x) -> b h w", "mean", y=2, x=2)


def _look_up(
    pictures: Float[np.ndarray, "b h w"], homographies: Float[np.ndarray, "b 3 3"], places: Float[np.ndarray, "b 3 n"]
) -> Float[np.ndarray, "b n"]:
    """Each picture at the places where its homography takes pixels (x, y, 1), between pixels linearly.

    It is NaN outside of the picture, beside pixels that are NaN, and beyond the horizon.
    """
    count, height, width = pictures.shape
    moved = homographies @ places
    ahead = moved[:, 2] > 1e-6
    x, y = np.moveaxis(moved[:, :2] / np.where(ahead, moved[:, 2], 1.0)[:, None], 1, 0)
    inside = ahead & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    left, top = (np.minimum(each.astype(int), length - 2) for each, length in ((x, width), (y, height)))
    across, down = x - left, y - top
    first = (np.arange(count)[:, None] * height + top) * width + left
    upper, lower = (
        pictures.take(row) * (1 - across) + pictures.take(row + 1) * across for row in (first, first + width)
    )
    return np.where(inside, upper * (1 - down) + lower * down, np.nan)


@dataclass(frozen=True, eq=False)
class _Template:
    """What frames are compared by at one level of the pyramid; one frame alone may be compared with many others.

    Args:
        places: (x, y, 1) of the pixels, of the level: of each small square the one with the steepest slope.
        known: which of them may be compared.
        wanted: their brightness; 0 where it is not known.
        slopes: how it changes with each of the eight numbers of a homography, of pixels counted from the middle in
            units of the longer side: they are then alike in size.
        side: the longer side, pixels of the level.
        to_unit: from pixels of the level to such numbers.
        to_level: from pixels of the finest level to those of this one.
    """

    places: Float[np.ndarray, "b 3 n"]
    known: Bool[np.ndarray, "b n"]
    wanted: Float[np.ndarray, "b n"]
    slopes: Float[np.ndarray, "b n 8"]
    side: int
    to_unit: Float[np.ndarray, "3 3"]
    to_level: Float[np.ndarray, "3 3"]

    @classmethod
    def of(cls, frames: Float[np.ndarray, "b h w"], scale: float) -> "_Template":
        """That of frames so many times as large as at the finest level."""
        height, width = frames.shape[1:]
        side, size = max(height, width), max(1, round((height * width / _POINTS) ** 0.5))
        down, across = np.gradient(frames, axis=(1, 2))
        steep = np.nan_to_num(np.hypot(down, across), nan=-1.0)
        room = ((0, 0), (0, -height % size), (0, -width % size))
        squares = rearrange(np.pad(steep, room, constant_values=-1), "b (h y) (w x) -> b h w (y x)", y=size, x=size)
        best = squares.argmax(axis=-1)
        y, x = np.mgrid[: best.shape[1], : best.shape[2]] * size
        y, x = ((y + best // size).reshape(len(best), -1), (x + best % size).reshape(len(best), -1))
        known = squares.max(axis=-1).reshape(len(best), -1) >= 0
        y, x = np.where(known, y, 0), np.where(known, x, 0)
        wanted, dx, dy = (
            np.where(known, values[np.arange(len(values))[:, None], y, x], 0.0).astype(np.float64)
            for values in (frames, across * side, down * side)
        )
        u, v = (x - 0.5 * width) / side, (y - 0.5 * height) / side
        # What I + small does to (u, v): (u + p0 u + p1 v + p2, v + p3 u + p4 v + p5) / (1 + p6 u + p7 v).
        along = dx * u + dy * v
        return cls(
            np.stack([x, y, np.ones(x.shape)], axis=1),
            known,
            wanted,
            np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy, -along * u, -along * v], axis=-1),
            side,
            np.array([[1 / side, 0, -0.5 * width / side], [0, 1 / side, -0.5 * height / side], [0, 0, 1]]),
            np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]]),
        )

    def refine(
        self, others: Float[np.ndarray, "c h w"], start: Float[np.ndarray, "c 3 3"]
    ) -> Float[np.ndarray, "c 3 3"]:
        """`align_frames` at this level; homographies are those of the finest."""
        normal, from_unit = self.to_unit @ self.to_level, np.linalg.inv(self.to_unit)
        homographies = normal @ start @ np.linalg.inv(normal)
        best, least = homographies.copy(), np.full(len(start), np.inf)
        changed = np.zeros((len(start), _USUAL.size))
        of = np.arange(len(start)) % len(self.known)
        left = np.flatnonzero(self.known.sum(axis=1)[of] >= _TOO_FEW)
        for _ in range(_STEPS):
            if not len(left):
                break
            moved = from_unit @ homographies[left] @ self.to_unit
            values = _look_up(others[left], moved, self.places[of[left]])
            usable = np.isfinite(values) & self.known[of[left]]
            enough = usable.sum(axis=1) >= _TOO_FEW
            left, values, usable = left[enough], values[enough], usable[enough]
            change, cost = self._step(of[left], values, usable, changed[left])
            better = left[cost < least[left]]
            best[better], least[better] = homographies[better], cost[cost < least[left]]
            largest = np.abs(change).max(axis=1)
            small = np.eye(3) + np.pad(change, ((0, 0), (0, 1))).reshape(-1, 3, 3)
            goes_on = largest <= _WILD
            left, largest = left[goes_on], largest[goes_on]
            changed[left] += change[goes_on]
            homographies[left] @= np.linalg.inv(small[goes_on])
            homographies[left] /= homographies[left, 2:, 2:]
            left = left[largest * self.side >= _CONVERGED]
        return np.linalg.inv(normal) @ best @ normal

    def _step(
        self,
        of: Int[np.ndarray, " c"],
        values: Float[np.ndarray, "c n"],
        usable: Bool[np.ndarray, "c n"],
        changed: Float[np.ndarray, "c 8"],
    ) -> tuple[Float[np.ndarray, "c 8"], Float[np.ndarray, " c"]]:
        """What Gauss-Newton changes of each homography, and how far from the template its picture is.

        Args:
            of: which of the template's frames each is compared with.
            values: the picture at the places where the homography takes the template's.
            usable: where they may be compared; what is not seen weighs nothing.
            changed: what was changed of each already.
        """
        values, wanted, slopes = np.where(usable, values, 0.0), self.wanted[of], self.slopes[of]
        counts = usable.sum(axis=1, keepdims=True)
        gain, offset = _fit_light(values, wanted, usable, counts)
        apart = gain * values + offset - wanted
        sizes = np.sort(np.where(usable, np.abs(apart), np.inf), axis=1)
        spread = _ROBUST * np.maximum(np.take_along_axis(sizes, counts // 2, axis=1), 1e-4)
        squares = apart**2
        near = usable * spread**2 / (squares + spread**2)
        held = _ALIKE * (spread / _ROBUST) ** 2 / _USUAL**2
        cost = ((squares * near).sum(axis=1) + (held * changed**2).sum(axis=1)) / (counts * spread)[:, 0]
        weighted = rearrange(slopes * near[..., None] ** 2, "c n p -> c p n")
        matrices = weighted @ slopes
        wanted_change = weighted @ apart[..., None] - (held * changed)[..., None]
        change = np.linalg.solve(matrices + held[:, :, None] * np.eye(8), wanted_change)
        return change[..., 0], cost


def _fit_light(
    values: Float[np.ndarray, "c n"],
    wanted: Float[np.ndarray, "c n"],
    usable: Bool[np.ndarray, "c n"],
    counts: Int[np.ndarray, "c 1"],
) -> tuple[Float[np.ndarray, "c 1"], Float[np.ndarray, "c 1"]]:
    """The gain and the offset that bring values nearest to those that are wanted; of a plain surface no gain.

    Args:
        values: 0 where they are not usable.
        wanted: what they should be.
        usable: which of them count.
        counts: how many do.
    """
    level, wanted_level = ((each * usable).sum(axis=1, keepdims=True) / counts for each in (values, wanted))
    apart = (values - level) * usable
    spread = (apart**2).sum(axis=1, keepdims=True)
    along = (apart * (wanted - wanted_level)).sum(axis=1, keepdims=True)
    plain = spread <= 1e-12 * counts
    gain = np.where(plain, 1.0, along / np.where(plain, 1.0, spread))
    return gain, wanted_level - gain * level
