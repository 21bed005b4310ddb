"""The clean plate: the place without its person, from the source's own frames."""

from dataclasses import dataclass, replace

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, Int, UInt8

from edit_your_motion.compositing.camera_motion import follow_camera, stands_still, warp
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
    anchor = len(frames) // 2
    brightness = reduce(frames.astype(np.float32), "f h w c -> f h w", "mean")
    homographies = follow_camera(brightness, free, anchor)
    if stands_still(brightness, free, homographies, anchor):
        median, seen = _median(frames[chosen].astype(np.float32), free[chosen])
        places = fill_with_patches(median, ~seen)[None]
        return Plate(_as_bytes(places), float(seen.mean()))
    view = _View(frames, free, homographies, chosen)
    median, seen = view.seen_from(anchor)
    # What no frame sees is made up once and moves with the camera, or it would flicker.
    made_up = fill_with_patches(median, ~seen)
    places = np.empty(frames.shape, np.uint8)
    shares = []
    for index in range(len(frames)):
        median, seen = view.seen_from(index)
        moved, inside = _warp_colours(made_up, np.linalg.inv(homographies[index]))
        places[index] = _as_bytes(fill_smoothly(np.where(seen[..., None], median, moved), ~seen & ~inside))
        shares.append(seen.mean())
    return Plate(places, float(np.mean(shares)))


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

    def seen_from(self, index: int) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """The place as frame `index` looks at it, from the chosen frames; and what they see of it."""
        here = np.linalg.inv(self.homographies[index])
        pictures, visible = [], []
        for other in np.union1d(self.chosen, [index]):
            between = self.homographies[other] @ here
            frame, free = self.frames[other].astype(np.float32), self.free[other]
            picture, inside = _warp_colours(frame, between)
            pictures.append(picture)
            visible.append(inside & (np.nan_to_num(warp(free.astype(np.float32), between)) > 0.99))
        return _median(np.stack(pictures), np.stack(visible))


def _median(
    pictures: Float[np.ndarray, "f h w 3"], visible: Bool[np.ndarray, "f h w"]
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """The median of each pixel over the pictures that show it, 0 where none does; and where one does."""
    count = visible.sum(axis=0)
    ordered = np.sort(np.where(visible[..., None], pictures, np.float32(np.inf)), axis=0)
    middle = [np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2]
    lower, upper = (np.take_along_axis(ordered, part[None, ..., None], axis=0)[0] for part in middle)
    return np.where(count[..., None] > 0, (lower + upper) / 2, 0).astype(np.float32), count > 0


def _warp_colours(
    picture: Float[np.ndarray, "h w 3"], homography: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """The picture along a homography, 0 outside; and where it is inside."""
    moved = np.stack([warp(picture[..., channel], homography) for channel in range(3)], axis=-1)
    inside = np.isfinite(moved).all(axis=-1)
    return np.where(inside[..., None], moved, 0).astype(np.float32), inside


def _as_bytes(picture: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return picture.round().clip(0, 255).astype(np.uint8)
