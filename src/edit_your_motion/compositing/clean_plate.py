"""The clean plate: the place without its person, from the source's own frames."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Float32, Int, UInt8
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_edt, label

from edit_your_motion.compositing.camera_motion import follow_camera, scaled, stands_still
from edit_your_motion.compositing.carried_things import find_carried
from edit_your_motion.compositing.inpainting import fill_smoothly, fill_with_pieces
from edit_your_motion.compositing.medians import smooth_over, take_unshaded_median
from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Advance, Progress, SilentProgress
from edit_your_motion.video.selection import spread_evenly

GROWN = 0.03
"""What a person's mask grows by before pixels count as the place's, as a share of the picture's short side: hair, the
blur of motion, and contact shadows lie just outside of masks."""

NEAR = 0.12
"""From this far of the person on the frame's own pixels stay, as a share of the picture's short side: what moves in the
place moves on. Nearer, the median of many frames is free of shadows that went along."""

VIEWS = 24
"""Frames that a median is taken over, at most."""

ENOUGH = 7
"""Frames that should show a place, for their median to be free of what only passes by."""

TRUSTED = 3
"""Frames that must show a place for it to count as seen, where so many times as many look at it: what fewer show is as
likely what their masks have missed, a ball or a shoe in motion."""

TRUSTED_OF = 8

APART = 0.25
"""How far the camera turns between two frames whose places are put together, as a share of the picture's short side;
those between are laid out of the two."""

LONGEST = 32
"""Frames between two such ones, at most."""

FOLLOWED = 128
"""The shortest side of the pictures in which the camera is followed, pixels: motion is found to a small part of a
pixel, and what is finer costs much and adds little."""

SMOOTHED = 1.5
"""How much these are smoothed, pixels: a slope that is a pixel wide is taken along other than it is as it moves."""

KEPT = 64 * 2**20
"""Bytes of frames that are kept, at most, for the next median to look at."""

CELLS = 32
"""Parts of a picture, across and down, for which it is known who sees them."""


MOST_CANDIDATES = 600
"""Frames that may be chosen for a median; of more, every so many-th."""

FARTHEST = 0.5
"""From this far of the person on, as a share of the picture's short side, all is far."""

_HIDDEN, _VISIBLE, _FAR = np.uint8(1), np.uint8(64), np.uint8(255)
"""Beside a frame's colours: what a person hides, what is the place's at least, and what is far from the person. What is
outside of the frame is 0."""

_Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture, which may lie outside of it."""


@dataclass(frozen=True, eq=False)
class Plate:
    """The place without its person.

    Args:
        places: one picture where the camera stands still, else one for each of the source's frames.
        share_seen: the share of pixels that some frame of the source shows, [0, 1]; the others are made up.
    """

    places: UInt8[np.ndarray, "g h w 3"]
    share_seen: float = 1.0

    def take(self, frames: Int[np.ndarray, " n"]) -> "Plate":
        """The plate of the source's frames with these indices."""
        return self if len(self.places) == 1 else replace(self, places=self.places[frames])

    def put_under(
        self, frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"]
    ) -> UInt8[np.ndarray, "f h w 3"]:
        """The frames without the person: far from it they keep their own pixels, near it they are the plate's.

        Args:
            frames: of the source, as many as the plate is for.
            masks: the person's pixels in them.
        """
        without = frames.copy()
        places = np.broadcast_to(self.places, frames.shape)
        for index in np.flatnonzero(masks.any(axis=(1, 2))):
            window, share = _share_of_plate(masks[index])
            own = frames[index][window]
            without[index][window] = (own + share[..., None] * (places[index][window] - own.astype(np.float32))).round()
        return without


def make_plate(
    frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"], progress: Progress | None = None
) -> Plate:
    """The place of a clip without the person in it.

    Each pixel is the median over frames that see it, brought together by the camera's homographies where it moves;
    what no frame sees is made of pieces of what stands around.

    Args:
        frames: of the source.
        masks: the person's pixels.
        progress: is told how far it is.
    """
    progress, shape = progress or SilentProgress(), frames.shape[1:3]
    chosen = spread_evenly(len(frames), VIEWS)
    # Whether the camera stands still is seen in some frames; only one that moves is followed through all.
    with progress.phase("see whether the camera moves", len(chosen)) as advance:
        some, middle = _brightness(frames[chosen], masks[chosen]), len(chosen) // 2
        still = stands_still(some, follow_camera(some, middle, advance), middle)
    anchor = len(frames) // 2
    if still:
        film = _Film(frames, masks, np.tile(np.eye(3), (len(frames), 1, 1)))
    else:
        with progress.phase("follow the camera", len(frames)) as advance:
            small = _brightness(frames, masks)
            followed = follow_camera(small, anchor, advance)
        film = _Film(frames, masks, scaled(followed, small.shape[1:], shape))
        film = film.without(_find_carried_along(frames, masks, followed, anchor))
    with progress.phase("fill what no frame shows", 1) as advance:
        median, seen = film.look_around(anchor)
        if still and seen.any():
            # What the person carries may be all that some frames show of a place that he hides in the others.
            place = np.where(seen[..., None], median.round(), frames[anchor]).astype(np.uint8)
            if (carried := find_carried(frames, place[None], masks)).any():
                film = film.without(carried)
                median, seen = film.look_around(anchor)
        whole, share_seen = _fill(median, seen)
        advance()
    if still:
        return Plate(whole[None], share_seen)
    return Plate(_lay(film, anchor, whole, progress), share_seen)


def _find_carried_along(
    frames: UInt8[np.ndarray, "f h w 3"],
    masks: Bool[np.ndarray, "f h w"],
    homographies: Float[np.ndarray, "f 3 3"],
    anchor: int,
) -> Bool[np.ndarray, "f h w"]:
    """`find_carried` before a moving camera, against the place as it is laid in pictures of the size it is followed in.

    Args:
        frames: of the source.
        masks: the person's pixels.
        homographies: from `follow_camera`, of pictures of that size.
        anchor: what they refer to.
    """
    height, width = frames.shape[1:3]
    size = _followed_size(height, width)
    small = np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX)) for frame in frames])
    people = np.stack([_shrink_mask(mask, size) for mask in masks])
    film = _Film(small, people, homographies)
    median, seen = film.look_around(anchor)
    places = _lay(film, anchor, _as_bytes(fill_smoothly(median, ~seen)), SilentProgress())
    carried = find_carried(small, places, people)
    whole = [Image.fromarray(here).resize((width, height), Image.Resampling.NEAREST) for here in carried]
    return np.stack([np.asarray(picture) for picture in whole])


def _fill(
    median: Float32[np.ndarray, "h w 3"], seen: Bool[np.ndarray, "h w"]
) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """A place with what is not seen of it made up; and the share that is seen."""
    seen = _without_islands(seen)
    return _as_bytes(fill_with_pieces(median, ~seen)), float(seen.mean())


def _lay(
    film: "_Film", anchor: int, whole: UInt8[np.ndarray, "h w 3"], progress: Progress
) -> UInt8[np.ndarray, "f h w 3"]:
    """The film's frames with the place wherever somebody is near."""
    stations, places = _Stations(film, anchor, whole), film.frames.copy()
    with progress.phase("lay the clean plate", len(stations.at) + len(stations.windows)) as advance:
        stations.paint(advance)
        for index, laid in zip(stations.windows, parallel_map(stations.lay, stations.windows), strict=True):
            places[index][stations.windows[index]] = laid
            advance()
    return places


def grow(masks: Bool[np.ndarray, "f h w"], share: float) -> Bool[np.ndarray, "f h w"]:
    """The masks grown by a share of the picture's short side, a pixel at least."""
    grown = np.zeros_like(masks)
    for index in np.flatnonzero(masks.any(axis=(1, 2))):
        window = window_near(masks[index], share)
        grown[index][window] = distance_transform_edt(~masks[index][window]) <= _pixels(masks.shape[1:], share)
    return grown


def find_never_seen(masks: Bool[np.ndarray, "f h w"]) -> Bool[np.ndarray, "h w"]:
    """Where a camera that stands still sees too little of the place for it to be known.

    Args:
        masks: the person's pixels.
    """
    seen = (~grow(masks, GROWN)).sum(axis=0)
    return seen < _trust(np.full_like(seen, len(masks)))


def _trust(looks: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """How many of the frames that look at a place must show it."""
    return (looks // TRUSTED_OF).clip(1, TRUSTED)


def window_near(mask: Bool[np.ndarray, "h w"], share: float) -> _Window:
    """The box about all that lies so near the person, rows and columns.

    Args:
        mask: the person's pixels, of which there is one at least.
        share: how near, as a share of the picture's short side.
    """
    reach = math.ceil(_pixels(mask.shape, share)) + 1
    lines = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(int(part[0]) - reach, 0), min(int(part[-1]) + reach + 1, side))
                     for part, side in zip(lines, mask.shape, strict=True))  # fmt: skip
    return rows, columns


def _without_islands(seen: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """What is seen without small parts in the middle of what is not.

    Few frames show them, and at the very edge of the person: a ball's rim, a shoe that the mask has missed.
    """
    islands, count = label(seen, np.ones((3, 3)))
    if count < 2:
        return seen
    sizes = np.bincount(islands.ravel())
    small = sizes < math.pi * _pixels(seen.shape, GROWN) ** 2
    return seen & ~small[islands]


@dataclass(frozen=True, eq=False)
class _Film:
    """Frames of one place with somebody in it, and where each looks."""

    frames: UInt8[np.ndarray, "f h w 3"]
    masks: Bool[np.ndarray, "f h w"]
    homographies: Float[np.ndarray, "f 3 3"]

    def without(self, carried: Bool[np.ndarray, "f h w"]) -> "_Film":
        """The same with what somebody carries masked like them."""
        return replace(self, masks=self.masks | carried)

    def look_around(self, index: int) -> tuple[Float32[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """The whole place as frame `index` looks at it, and what is seen of it."""
        height, width = self.masks.shape[1:]
        return self.seen_from(index, (slice(0, height), slice(0, width)))

    @cached_property
    def free(self) -> Bool[np.ndarray, "f n n"]:
        """Which cells of each frame show nothing but the place."""
        height, width = self.masks.shape[1:]
        down, across = (np.arange(CELLS) * side // CELLS for side in (height, width))
        there = np.stack(
            [np.maximum.reduceat(np.maximum.reduceat(mask, down, axis=0), across, axis=1) for mask in self.masks]
        )
        return ~np.stack([binary_dilation(cells, np.ones((3, 3), bool)) for cells in there])

    def seen_from(self, index: int, window: _Window) -> tuple[Float32[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """A window of the place as frame `index` looks at it, by the median of some frames; and what they see of it."""
        here = np.linalg.inv(self.homographies[index])
        views = self._choose(here, window) or [index]
        looks = [_look(self._marked(view), self.homographies[view] @ here, window) for view in views]
        farness = [far for _, far in looks]
        visible = [far >= _VISIBLE for far in farness]
        median, count = take_unshaded_median([picture for picture, _ in looks], visible, farness)
        inside = np.sum([far > 0 for far in farness], axis=0)
        return median, count >= _trust(inside)

    def _choose(self, here: Float[np.ndarray, "3 3"], window: _Window) -> list[int]:
        """The frames that a window's median is taken over: half of them evenly spread in time, half by what is rare."""
        candidates = spread_evenly(len(self.frames), MOST_CANDIDATES)
        visible = self._sees(candidates, here, window)
        overlapping = np.flatnonzero(visible.any(axis=1))
        taken = _spread(overlapping, VIEWS // 2).tolist()
        while len(taken) < VIEWS:
            rare = visible[taken].sum(axis=0) < ENOUGH
            gained = visible[:, rare].sum(axis=1)
            gained[taken] = 0
            if not gained.any():
                break
            taken.append(int(gained.argmax()))
        others = np.setdiff1d(overlapping, taken)
        return candidates[[*taken, *_spread(others, VIEWS - len(taken))]].tolist()

    def _sees(
        self, candidates: Int[np.ndarray, " g"], here: Float[np.ndarray, "3 3"], window: _Window
    ) -> Bool[np.ndarray, "g n"]:
        """Which cells of a window each of some frames shows."""
        height, width = self.masks.shape[1:]
        y, x = (np.linspace(part.start, part.stop, 2 * CELLS + 1)[1::2] - 0.5 for part in window)
        centres = np.stack([*(axis.ravel() for axis in np.meshgrid(x, y)), np.ones(CELLS**2)])
        across, down, depth = rearrange(self.homographies[candidates] @ here @ centres, "g c n -> c g n")
        depth = np.where(depth > 1e-6, depth, np.nan)
        column, row = (np.nan_to_num((place / depth + 0.5) / side * CELLS, nan=-1.0)
                       for place, side in ((across, width), (down, height)))  # fmt: skip
        inside = (column >= 0) & (column < CELLS) & (row >= 0) & (row < CELLS)
        column, row = (np.where(inside, part, 0).astype(int) for part in (column, row))
        return inside & self.free[candidates[:, None], row, column]

    @cached_property
    def _marked(self) -> Callable[[int], Image.Image]:
        """Gives a frame and how far its pixels are from the person; medians one after another look at many of them."""
        frames, masks = self.frames, self.masks  # not the film itself, which would hold what holds it

        @lru_cache(min(2 * VIEWS, KEPT // masks[0].size // 4))
        def marked(index: int) -> Image.Image:
            hidden = grow(masks[index][None], GROWN)[0]
            return _mark(frames[index], np.where(hidden, _HIDDEN, _tell_how_far(masks[index])))

        return marked


class _Stations:
    """The place as some frames along a film look at it, of which that of each frame is laid.

    Args:
        film: all frames.
        anchor: frame that the homographies refer to.
        whole: the place as that frame looks at it. What no frame sees is made up once, in it, and moves with the
            camera, or it would flicker.
    """

    def __init__(self, film: _Film, anchor: int, whole: UInt8[np.ndarray, "h w 3"]) -> None:
        self.film = film
        self.whole = _mark(whole, np.full(whole.shape[:2], _FAR))
        self.windows = {int(index): window_near(film.masks[index], NEAR)
                        for index in np.flatnonzero(film.masks.any(axis=(1, 2)))}  # fmt: skip
        self.at = self._place()
        self.painted: dict[int, tuple[_Window, Image.Image]] = {}

    def paint(self, advance: Advance) -> None:
        """Makes the stations' pictures, and tells of each."""
        self.painted.update(zip(self.at, parallel_map(self._paint, self.at, advance), strict=True))

    def lay(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """The place in a frame's window: between two stations as both have it, by how far each is away."""
        after = int(np.searchsorted(self.at, index))
        later, earlier = self.at[after], self.at[max(after - 1, 0)]
        if later == index or earlier == later:
            return self._see(later, index)
        share = (index - earlier) / (later - earlier)
        one, other = (self._see(station, index).astype(np.float32) for station in (earlier, later))
        return _as_bytes(one + share * (other - one))

    def _see(self, station: int, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """What a station shows of the place in a frame's window."""
        (rows, columns), picture = self.painted[station]
        # The station's picture begins where its window does.
        moved = _moved(-float(columns.start), -float(rows.start)) @ self._between(index, station)
        return _transform(picture, moved, self.windows[index])

    def _between(self, one: int, other: int) -> Float[np.ndarray, "3 3"]:
        """From where one frame shows something to where another does."""
        return self.film.homographies[other] @ np.linalg.inv(self.film.homographies[one])

    def _place(self) -> list[int]:
        """The stations: the first and the last frame with somebody, and between them wherever the camera has turned."""
        if not self.windows:
            return []
        first, *others = self.windows
        at = [first]
        height, width = self.film.masks.shape[1:]
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1.0]]).T
        for index in others:
            across, down, depth = self._between(at[-1], index) @ corners
            apart = np.hypot(across / depth - corners[0], down / depth - corners[1]).max()
            if index - at[-1] >= LONGEST or apart > APART * min(height, width) or index == others[-1]:
                at.append(index)
        return at

    def _paint(self, station: int) -> tuple[_Window, Image.Image]:
        """A station's picture, of all that the frames about it need of it."""
        window = self._span(station)
        median, seen = self.film.seen_from(station, window)
        moved, inside = _look(self.whole, np.linalg.inv(self.film.homographies[station]), window)
        filled = fill_smoothly(np.where(seen[..., None], median, moved), ~seen & (inside < _VISIBLE))
        return window, Image.fromarray(_as_bytes(filled))

    def _span(self, station: int) -> _Window:
        """The box about all windows of the frames between a station's neighbours, as it sees them."""
        place, sides = self.at.index(station), self.film.masks.shape[1:]
        before, after = self.at[max(place - 1, 0)], self.at[min(place + 1, len(self.at) - 1)]
        ends = []
        for index in range(before, after + 1):
            if index in self.windows:
                rows, columns = self.windows[index]
                corners = np.array(
                    [[x, y, 1.0] for x in (columns.start, columns.stop) for y in (rows.start, rows.stop)]
                )
                across, down, depth = self._between(index, station) @ corners.T
                ends.append(np.stack([down, across])[:, depth > 0] / depth[depth > 0])
        spots = np.concatenate(ends, axis=1)
        low, high = spots.min(axis=1) - 2, spots.max(axis=1) + 2
        # A frame that shows the place quite otherwise would want a picture without end.
        rows, columns = (slice(int(max(start, -side)), int(min(stop, 2 * side)))
                         for start, stop, side in zip(low, high, sides, strict=True))  # fmt: skip
        return rows, columns


def _spread(items: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " m"]:
    """Of some items at most so many, evenly spaced."""
    return items[spread_evenly(len(items), count)]


def _brightness(
    frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"]
) -> Float32[np.ndarray, "f h2 w2"]:
    """Frames in which the camera is followed: the brightness of the place, NaN where somebody is."""
    size = _followed_size(*frames.shape[1:3])

    def shrink(index: int) -> Float32[np.ndarray, "h2 w2"]:
        grey = Image.fromarray(frames[index]).convert("L").resize(size, Image.Resampling.BOX)
        somebody = grow(_shrink_mask(masks[index], size)[None], GROWN)[0]
        smooth = smooth_over(np.asarray(grey, np.float32), ~somebody, SMOOTHED)
        return np.where(somebody, np.float32(np.nan), smooth)

    return np.stack(list(parallel_map(shrink, range(len(frames)))))


def _followed_size(height: int, width: int) -> tuple[int, int]:
    """Width and height of the pictures in which the camera is followed."""
    scale = min(1.0, FOLLOWED / min(height, width))
    return round(width * scale), round(height * scale)


def _shrink_mask(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    """The mask in a smaller picture: wherever anything of it is."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) > 0


def _pixels(shape: tuple[int, ...], share: float) -> float:
    """A share of a picture's short side, pixels; one at least."""
    return max(1.0, share * min(shape))


def _share_of_plate(mask: Bool[np.ndarray, "h w"]) -> tuple[_Window, Float32[np.ndarray, "h2 w2"]]:
    """Where the person is near: which rows and columns, and there 1 where they are, passing to 0 farther away."""
    window = window_near(mask, NEAR)
    far, wide = NEAR * min(mask.shape), (NEAR - GROWN) * min(mask.shape) / 2
    return window, np.clip((far - distance_transform_edt(~mask[window])) / wide, 0, 1).astype(np.float32)


def _tell_how_far(mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """How far each pixel is from the person: `_VISIBLE` where they are, `_FAR` from `FARTHEST` on."""
    height, width = mask.shape
    small = _shrink_mask(mask, _followed_size(height, width))
    if not small.any():
        return np.full(mask.shape, _FAR)
    share = (distance_transform_edt(~small) / (FARTHEST * min(small.shape))).clip(0, 1)
    far = (_VISIBLE + share * float(_FAR - _VISIBLE)).astype(np.uint8)
    return np.asarray(Image.fromarray(far).resize((width, height), Image.Resampling.BILINEAR))


def _mark(frame: UInt8[np.ndarray, "h w 3"], fourth: UInt8[np.ndarray, "h w"]) -> Image.Image:
    """The frame with a fourth value beside each pixel's colours."""
    height, width = fourth.shape
    # Not as alpha, with which Pillow would weigh colours.
    return Image.frombuffer("RGBX", (width, height), np.dstack([frame, fourth]), "raw", "RGBX", 0, 1)


def _look(
    picture: Image.Image, homography: Float[np.ndarray, "3 3"], window: _Window
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """A window of the picture (`_mark`) along a homography; and what stands beside it, 0 outside of the picture."""
    seen = _transform(picture, homography, window)
    return seen[..., :3], seen[..., 3]


def _transform(
    picture: Image.Image, homography: Float[np.ndarray, "3 3"], window: _Window
) -> UInt8[np.ndarray, "h w c"]:
    """A window of the picture along a homography; 0 where that leaves the picture."""
    rows, columns = window
    # Pillow counts from pixels' corners, homographies from their middles.
    matrix = _moved(0.5, 0.5) @ homography @ _moved(columns.start - 0.5, rows.start - 0.5)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    numbers = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    return np.asarray(picture.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR))


def _moved(across: float, down: float) -> Float[np.ndarray, "3 3"]:
    return np.array([[1.0, 0, across], [0, 1.0, down], [0, 0, 1.0]])


def _as_bytes(picture: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return picture.round().clip(0, 255).astype(np.uint8)
