"""The edited person's colours brought to those that the source's person has, part by part."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from edit_your_motion.compositing.clean_plate import window_near
from edit_your_motion.people.body_parts import distances_to_parts, measure_colours
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Advance

_WIDTHS: Mapping[str, float] = MappingProxyType({"hair": 0.45, "skin": 0.25, "top": 0.45, "bottom": 0.5, "shoes": 0.35})
"""How far each part reaches from its lines, as a share of the body's reach about its skeleton."""

_ALIKE = 45.0
"""Levels of 255 over which a colour stops being a part's own."""

_NOBODY = 0.01
"""Weight of being none of the parts."""

_OPAQUE = 0.8
"""From this share of a pixel on it shows the edited person's own colour."""

_STEADY = 1.5
"""Frames over which the measured colours are smoothed."""

_SHADING = 12.0
"""Levels of 255 by which a part may be another colour in a frame than in the clip: it is lit otherwise."""

_UNSURE = 0.02
"""Weight of the whole clip's colour beside that of the frames nearby."""

_SOFT = 0.004
"""Blur of the shifts, as a share of the picture's short side."""

_BLUR_ENDS = 4
"""How many times as far a blur reaches as it is wide."""


def match_colours(
    edited: UInt8[np.ndarray, "f h w 3"],
    matte: Float[np.ndarray, "f h w"],
    skeletons: Keypoints,
    reach: float,
    wanted: Mapping[str, Float64[np.ndarray, "3"]],
    advance: Advance = lambda: None,
) -> UInt8[np.ndarray, "f h w 3"]:
    """The edited frames with hair, skin, trousers and shoes shifted to the colours that they should have.

    A base that knows a person from a few hundred steps gives it the hair and the shoes that it has seen most often.
    What they really look like is in the source: each part's median colour is measured at the skeleton's places there
    and in each frame of the edit, and the pixels that lie about that part's lines and have its colour are shifted by
    the difference; folds and shading stay. Tops only compete for pixels: tuning holds their colours, and a median says
    little of a pattern. Not in the paper: an option.

    Args:
        edited: the generated frames, sRGB.
        matte: how much of each pixel is the edited person, from 0 to 1; elsewhere nothing changes.
        skeletons: what guided the edit.
        reach: how far from its skeleton the body reaches, pixels (`find_reach`).
        wanted: the source's colours by part (`measure_colours`); parts that are in only one of the two stay.
        advance: called after each frame that changes.
    """
    own = _follow_colours(edited, skeletons, matte > _OPAQUE)
    parts = [part for part in _WIDTHS if part in wanted and part in own]
    shifts = {part: wanted[part] - own[part] if part != "top" else np.zeros_like(own[part]) for part in parts}
    if not any(shift.any() for shift in shifts.values()):
        return edited

    def match(index: int) -> UInt8[np.ndarray, "h w 3"]:
        matched, person = edited[index].copy(), matte[index] > 0
        if not person.any():
            return matched
        # Beyond the reach of the blur nothing changes where nobody is.
        there = window_near(person, _BLUR_ENDS * _SOFT)
        body = skeletons.body[index] - np.array([there[1].start, there[0].start, 0], np.float32)
        matched[there] = _shift(
            edited[index][there],
            matte[index][there],
            distances_to_parts(body, matte[index][there].shape),
            max(reach, 1.0),
            {part: own[part][index] for part in parts},
            {part: shift[index] for part, shift in shifts.items()},
            _SOFT * min(matte.shape[1:]),
        )
        return matched

    return np.stack(list(parallel_map(match, range(len(edited)), advance)))


def _follow_colours(
    edited: UInt8[np.ndarray, "f h w 3"], skeletons: Keypoints, person: Bool[np.ndarray, "f h w"]
) -> dict[str, Float64[np.ndarray, "f 3"]]:
    """Each part's colour in each frame, smooth in time: generated hair may be dark in one frame and fair in another."""
    everywhere = measure_colours(edited, skeletons, person)
    found = {part: np.full((len(edited), 3), np.nan) for part in everywhere}
    for index in range(len(edited)):
        here = np.array([index])
        for part, colour in measure_colours(edited[here], skeletons.take(here), person[here]).items():
            if part in found:
                found[part][index] = colour
    followed = {}
    for part, colours in found.items():
        seen = np.isfinite(colours[:, :1])
        # Where a frame shows too little of a part, its neighbours say what it looks like, and far from these all do.
        off = gaussian_filter1d(np.where(seen, colours - everywhere[part], 0), _STEADY, axis=0, mode="constant")
        off /= gaussian_filter1d(seen.astype(float), _STEADY, axis=0, mode="constant") + _UNSURE
        size = np.abs(off).max(axis=1, keepdims=True)
        followed[part] = everywhere[part] + off * np.maximum(1 - _SHADING / np.maximum(size, _SHADING), 0)
    return followed


def _shift(
    frame: UInt8[np.ndarray, "h w 3"],
    matte: Float[np.ndarray, "h w"],
    distances: Mapping[str, Float64[np.ndarray, "h w"]],
    reach: float,
    own: Mapping[str, Float64[np.ndarray, "3"]],
    shifts: Mapping[str, Float64[np.ndarray, "3"]],
    soft: float,
) -> UInt8[np.ndarray, "h w 3"]:
    colours = frame.astype(np.float64)
    shifted, weights = np.zeros_like(colours), np.full(matte.shape, _NOBODY)
    for part in (part for part in shifts if part in distances):
        apart = np.square(colours - own[part]).mean(axis=-1) / _ALIKE**2
        away = np.square(distances[part] / (_WIDTHS[part] * reach))
        weight = np.exp(-0.5 * (apart + away))
        shifted += weight[..., None] * shifts[part]
        weights += weight
    smooth = gaussian_filter(shifted / weights[..., None], (soft, soft, 0))
    return np.clip(colours + matte[..., None] * smooth, 0, 255).round().astype(np.uint8)
