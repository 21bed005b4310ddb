"""The edited person over the plate: a soft matte from what differs, where the skeleton and the finder say it may be."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.sampling.kept_background import distances_to_skeletons

CORE = 0.25
"""Share of the body's reach about its skeleton that is the person whatever it looks like."""

FOUND_GROWN = 0.02
"""How far beyond the finder's mask hair, fingers and cloth may reach, as a share of the picture's short side."""

_NOISE = 3.0
"""Differences of so many times what the generated place differs from the plate anyhow are half the person's."""

_LEAST = 12.0
"""The same, levels of 255, at least."""


def composite(
    edited: UInt8[np.ndarray, "f h w 3"], plates: UInt8[np.ndarray, "f h w 3"], matte: Float[np.ndarray, "f h w"]
) -> UInt8[np.ndarray, "f h w 3"]:
    """The edited person over the plates: matte * edited + (1 - matte) * plates.

    Args:
        edited: the generated frames.
        plates: the place alone.
        matte: 0 where the plate shows, 1 where the edit does.
    """
    return (plates + matte[..., None] * (edited.astype(np.float32) - plates)).round().astype(np.uint8)


def make_matte(
    edited: UInt8[np.ndarray, "f h w 3"],
    plates: UInt8[np.ndarray, "f h w 3"],
    skeletons: Keypoints,
    reach: float,
    found: Bool[np.ndarray, "f h w"] | None = None,
) -> Float[np.ndarray, "f h w"]:
    """How much of each pixel is the edited person, from 0 to 1.

    The person is what differs from the plate within the reach of the skeleton. Close to the bones it is the person even
    where it has the place's colour. Where the finder sees it in a frame, its mask, a little grown, is the limit, and
    the inside of the mask is the person throughout. A guided filter (He et al. 2010) lays the matte's edge along the
    edited picture's.

    Args:
        edited: the generated frames.
        plates: the place alone.
        skeletons: what guided the edit.
        reach: how far from its skeleton the body reaches, pixels (`find_reach`).
        found: the finder's masks in the edited frames; frames in which it found nobody are empty.
    """
    limbs = distances_to_skeletons(skeletons)
    return np.stack(
        [
            _matte(frame, plate, distances, reach, None if found is None or not found[index].any() else found[index])
            for index, (frame, plate, distances) in enumerate(zip(edited, plates, limbs, strict=True))
        ]
    )


def _matte(
    frame: UInt8[np.ndarray, "h w 3"],
    plate: UInt8[np.ndarray, "h w 3"],
    limbs: Float[np.ndarray, "h w"],
    reach: float,
    found: Bool[np.ndarray, "h w"] | None,
) -> Float[np.ndarray, "h w"]:
    short_side = min(frame.shape[:2])
    near = limbs <= 1.2 * reach
    if not near.any():
        return np.zeros(frame.shape[:2], np.float32)
    difference = np.sqrt(((frame.astype(np.float32) - plate) ** 2).mean(axis=-1))
    difference = gaussian_filter(difference, 0.004 * short_side)
    around = (limbs > 1.2 * reach) & (limbs <= 3 * reach)
    noise = float(np.median(difference[around])) if around.any() else 0.0
    threshold = max(_LEAST, _NOISE * noise)
    differs = np.clip((difference - 0.5 * threshold) / threshold, 0, 1)
    bones = np.clip(2 - limbs / max(CORE * reach, 1.0), 0, 1)
    if found is None:
        inside, limit = bones, np.clip((1.2 * reach - limbs) / (0.2 * reach + 1), 0, 1)
    else:
        deep = distance_transform_edt(found)
        away = distance_transform_edt(~found & (bones < 1))
        grown = FOUND_GROWN * short_side
        inside = np.maximum(np.clip(deep / max(0.01 * short_side, 1.0) - 0.5, 0, 1), bones)
        limit = np.clip(1 - (away - grown) / max(grown, 1.0), 0, 1)
    matte = np.maximum(inside, differs * limit)
    refined = _guided(frame.astype(np.float32).mean(axis=-1) / 255, matte, max(1, round(0.015 * short_side)))
    return np.where(near, np.clip(refined, 0, 1), 0).astype(np.float32)


def _guided(
    guide: Float[np.ndarray, "h w"], matte: Float[np.ndarray, "h w"], radius: int, smooth: float = 1e-3
) -> Float[np.ndarray, "h w"]:
    """The guided filter: locally a linear function of the guide."""
    side = 2 * radius + 1

    def mean(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        return uniform_filter(values, side)

    centre, level = mean(guide), mean(matte)
    slope = (mean(guide * matte) - centre * level) / (mean(guide * guide) - centre**2 + smooth)
    return mean(slope) * guide + mean(level - slope * centre)
