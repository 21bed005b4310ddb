"""The edited person over the plate: a soft matte from colours, where the skeleton and the finder say it may be."""

from collections.abc import Sequence

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Advance
from edit_your_motion.sampling.kept_background import distances_to_skeletons

CORE = 0.25
"""Share of the body's reach about its skeleton that is the person whatever it looks like."""

FOUND_GROWN = 0.03
"""How far beyond the finder's mask hair, fingers and cloth may reach, as a share of the picture's short side."""

_FARTHEST = 2.0
"""What the finder saw so many times the body's reach off the skeleton is somebody or something else."""

_SURE = 0.008
"""From so far inside of the finder's mask on everything is the person, as a share of the picture's short side."""

_CONTRAST = 1.5
"""How much steeper than the guided filter leaves it the matte's edge is: the filter makes thin limbs transparent
(`benchmarks/mattes.py`)."""

_LEAST = 1 / 255
"""A smaller share than this of a pixel is nothing: less than a level, and where the filter's sums were rounded."""

_SCALES = (0.012, 0.03, 0.1)
"""Widths of the neighbourhoods whose colours count, as shares of the picture's short side; the nearest decides."""

_FINEST = 4.0
"""How wide a blur is at least in the smaller picture that it is made in, pixels."""

_ALIKE = 15.0
"""Colours that are so many levels of 255 apart hardly tell the person from the place."""

_OFF = 20.0
"""What lies so many levels of 255 off the place may be the person, whatever colour the person has beside it."""


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
    skeletons: Keypoints,
    reach: float,
    found: Bool[np.ndarray, "f h w"] | None = None,
    advance: Advance = lambda: None,
) -> Float[np.ndarray, "f h w"]:
    """How much of each pixel is the edited person, from 0 to 1.

    Close to the bones and well inside the finder's mask everything is the person, and far from both nothing is.
    Between, a pixel is the person as far as its colour lies from the generated place's beside it, towards the person's
    beside it or as far off as that (shoes have their own colour). In frames in which the finder saw nobody the reach of
    the body about its skeleton takes the place of the mask. A guided filter (He et al. 2010) lays the matte's edge
    along the edited picture's.

    Args:
        edited: the generated frames.
        skeletons: what guided the edit.
        reach: how far from its skeleton the body reaches, pixels (`find_reach`).
        found: the finder's masks in the edited frames; frames in which it found nobody are empty. What lies far from
            the skeleton does not count.
        advance: called after each frame.
    """
    limbs = distances_to_skeletons(skeletons)
    masks = np.zeros(limbs.shape, bool) if found is None else found
    if reach > 0:
        masks = masks & (limbs <= _FARTHEST * reach)

    def cut_out(index: int) -> Float[np.ndarray, "h w"]:
        return _matte(edited[index].astype(np.float32), limbs[index], reach, masks[index])

    return np.stack(list(parallel_map(cut_out, range(len(edited)), advance)))


def _matte(
    frame: Float[np.ndarray, "h w 3"],
    limbs: Float[np.ndarray, "h w"],
    reach: float,
    found: Bool[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    short_side = min(frame.shape[:2])
    core = limbs <= CORE * reach
    if found.any():
        inside = core | (distance_transform_edt(found) > _SURE * short_side)
        outside = distance_transform_edt(~(found | core)) > FOUND_GROWN * short_side
        likely = gaussian_filter(found.astype(np.float32), 0.005 * short_side)
    else:
        inside, outside = core, limbs > reach
        likely = np.clip(2.4 - 2 * limbs / max(reach, 1.0), 0, 1)
    if not inside.any():
        return np.zeros(frame.shape[:2], np.float32)
    scales = [share * short_side for share in _SCALES]
    place = _colours_near(frame, outside, scales)
    own, person = frame - place, _colours_near(frame, inside, scales) - place
    apart = (person**2).sum(axis=-1)
    towards = (own * person).sum(axis=-1) / np.maximum(apart, 1)
    off = np.sqrt((own**2).sum(axis=-1) / np.maximum(apart, 3 * _OFF**2))
    by_colour = np.clip(np.maximum(towards, 1.3 * off - 0.3), 0, 1)
    alike = np.exp(-apart / (3 * _ALIKE**2)) if outside.any() else 1.0
    between = (1 - alike) * by_colour + alike * likely
    matte = np.where(inside, 1, np.where(outside, 0, between))
    refined = _guided(frame.mean(axis=-1) / 255, matte, max(1, round(0.015 * short_side)))
    sharpened = _CONTRAST * (refined - 0.5) + 0.5
    return np.where(sharpened < _LEAST, 0, np.minimum(sharpened, 1)).astype(np.float32)


def _colours_near(
    frame: Float[np.ndarray, "h w 3"], where: Bool[np.ndarray, "h w"], scales: Sequence[float]
) -> Float[np.ndarray, "h w 3"]:
    """For each pixel the mean colour of those pixels of a region that are near, at the first scale that reaches any."""
    weight = where.astype(np.float32)
    colours = np.zeros_like(frame)
    total = np.zeros(where.shape, np.float32)
    known = np.concatenate([frame * weight[..., None], weight[..., None]], axis=-1)
    for order, scale in enumerate(scales):
        share = np.float32(1e-3**order)
        near = _blur(known, scale)
        colours += share * near[..., :3]
        total += share * near[..., 3]
    return colours / np.maximum(total, np.finfo(np.float32).tiny)[..., None]


def _blur(values: Float[np.ndarray, "h w c"], scale: float) -> Float[np.ndarray, "h w c"]:
    """The values blurred by a Gaussian so many pixels wide; a wide one in a picture as much smaller as it allows."""
    step = max(1, int(scale / _FINEST))
    if step == 1:
        return gaussian_filter(values, (scale, scale, 0))
    height, width = values.shape[:2]
    whole = np.pad(values, ((0, -height % step), (0, -width % step), (0, 0)), mode="symmetric")
    small = gaussian_filter(reduce(whole, "(h y) (w x) c -> h w c", "mean", y=step, x=step), (scale / step,) * 2 + (0,))
    size = whole.shape[1], whole.shape[0]
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))[:height, :width]
        for plane in np.moveaxis(small, -1, 0)
    ]
    return np.stack(planes, axis=-1)


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
