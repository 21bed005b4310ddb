"""The clean plate: the place without its person, from the source's own frames."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from edit_your_motion.compositing.camera_motion import follow_camera, stands_still
from edit_your_motion.compositing.inpainting import fill_smoothly, fill_with_patches
from edit_your_motion.sampling.kept_background import distances_to_regions

GROWN = 0.03
"""What a person's mask grows by before pixels count as the place's, as a share of the picture's short side: hair, the
blur of motion, and contact shadows lie just outside of masks."""

NEAR = 0.12
"""From this far of the person on the frame's own pixels stay, as a share of the picture's short side: what moves in the
place moves on. Nearer, the median of all frames is free of shadows that went along."""

MOST_FRAMES = 48
"""Frames that a plate is made of, at most, evenly spaced: more see hardly more of the place."""


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
        share = _share_of_plate(masks)[..., None]
        return (frames + share * (self.places.astype(np.float32) - frames)).round().astype(np.uint8)


def make_plate(frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"]) -> Plate:
    """The place of a clip without the person in it.

    Each pixel is the median over the frames that see it, brought together by the camera's homographies where it moves;
    what no frame sees is made of patches of what stands around.

    Args:
        frames: of the source.
        masks: the person's pixels.
    """
    free = ~grow(masks, GROWN)
    chosen = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).round().astype(int))
    # Whether the camera stands still is seen in the chosen frames; only one that moves is followed through all.
    some, middle = _brightness(frames[chosen]), len(chosen) // 2
    if stands_still(some, free[chosen], follow_camera(some, free[chosen], middle), middle):
        median, seen = _median(frames[chosen].astype(np.float32), free[chosen])
        places = fill_with_patches(median, ~seen)[None]
        return Plate(_as_bytes(places), float(seen.mean()))
    anchor = len(frames) // 2
    view = _View(frames, free, follow_camera(_brightness(frames), free, anchor), chosen)
    whole = (slice(0, frames.shape[1]), slice(0, frames.shape[2]))
    median, seen = view.seen_from(anchor, whole)
    # What no frame sees is made up once and moves with the camera, or it would flicker.
    made_up = _with_alpha(_as_bytes(fill_with_patches(median, ~seen)), np.ones(seen.shape, bool))
    places, share, total = frames.copy(), _share_of_plate(masks), float(seen.mean())
    for index in np.flatnonzero(masks.any(axis=(1, 2))):
        near = _bounds(share[index] > 0)
        median, seen = view.seen_from(index, near)
        moved, inside = _look(made_up, np.linalg.inv(view.homographies[index]), near)
        places[index][near] = _as_bytes(fill_smoothly(np.where(seen[..., None], median, moved), ~seen & ~inside))
    return Plate(places, total)


def _bounds(region: Bool[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """The smallest box about a region, rows and columns."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _brightness(frames: UInt8[np.ndarray, "f h w 3"]) -> Float[np.ndarray, "f h w"]:
    return np.stack([reduce(frame.astype(np.float32), "h w c -> h w", "mean") for frame in frames])


def grow(masks: Bool[np.ndarray, "f h w"], share: float) -> Bool[np.ndarray, "f h w"]:
    """The masks grown by a share of the picture's short side, a pixel at least."""
    radius = max(1.0, share * min(masks.shape[1:]))
    return distances_to_regions(masks) <= radius


def _share_of_plate(masks: Bool[np.ndarray, "f h w"]) -> Float[np.ndarray, "f h w"]:
    """1 where the person is and near it, passing to 0 farther away."""
    short_side = min(masks.shape[1:])
    far, wide = NEAR * short_side, (NEAR - GROWN) * short_side / 2
    return np.clip((far - distances_to_regions(masks)) / wide, 0, 1)


@dataclass(frozen=True, eq=False)
class _View:
    """Frames of one place, what of it each shows, where each looks, and those that medians are taken over."""

    frames: UInt8[np.ndarray, "f h w 3"]
    free: Bool[np.ndarray, "f h w"]
    homographies: Float[np.ndarray, "f 3 3"]
    chosen: Int[np.ndarray, " n"]

    @cached_property
    def pictures(self) -> dict[int, Image.Image]:
        """The chosen frames; what of them is the place is opaque."""
        return {index: _with_alpha(self.frames[index], self.free[index]) for index in self.chosen.tolist()}

    def seen_from(
        self, index: int | np.integer, window: tuple[slice, slice]
    ) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """A window of the place as frame `index` looks at it, from the chosen frames; and what they see of it."""
        here = np.linalg.inv(self.homographies[index])
        own = {int(index): _with_alpha(self.frames[index], self.free[index])}
        seen = [_look(picture, self.homographies[of] @ here, window) for of, picture in (self.pictures | own).items()]
        return _median(np.stack([picture for picture, _ in seen]), np.stack([there for _, there in seen]))


def _median(
    pictures: Float[np.ndarray, "f h w 3"], visible: Bool[np.ndarray, "f h w"]
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """The median of each pixel over the pictures that show it, 0 where none does; and where one does."""
    count = visible.sum(axis=0)
    # Each pixel's values side by side, in which order they are sorted fast.
    values = np.ascontiguousarray(np.moveaxis(np.where(visible[..., None], pictures, np.float32(np.inf)), 0, -1))
    values.sort(axis=-1)
    ordered = np.moveaxis(values, -1, 0)
    middle = [np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2]
    lower, upper = (np.take_along_axis(ordered, part[None, ..., None], axis=0)[0] for part in middle)
    return np.where(count[..., None] > 0, (lower + upper) / 2, 0).astype(np.float32), count > 0


def _with_alpha(frame: UInt8[np.ndarray, "h w 3"], opaque: Bool[np.ndarray, "h w"]) -> Image.Image:
    return Image.fromarray(np.dstack([frame, opaque.astype(np.uint8) * 255]))


def _look(
    picture: Image.Image, homography: Float[np.ndarray, "3 3"], window: tuple[slice, slice]
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """A window of the picture along a homography; and where it is opaque there."""
    rows, columns = window
    # Pillow counts from pixels' corners, homographies from their middles.
    corner, start = _moved(0.5, 0.5), _moved(columns.start - 0.5, rows.start - 0.5)
    matrix = corner @ homography @ start
    size = (columns.stop - columns.start, rows.stop - rows.start)
    numbers = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    seen = np.asarray(picture.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR))
    return seen[..., :3].astype(np.float32), seen[..., 3] >= 253


def _moved(across: float, down: float) -> Float[np.ndarray, "3 3"]:
    return np.array([[1.0, 0, across], [0, 1.0, down], [0, 0, 1.0]])


def _as_bytes(picture: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return picture.round().clip(0, 255).astype(np.uint8)
