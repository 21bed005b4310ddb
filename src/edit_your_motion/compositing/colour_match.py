"""The edited person's colours brought to those that the source's person has, part by part."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64, UInt8
from scipy.ndimage import gaussian_filter

from edit_your_motion.people.body_parts import distances_to_parts, measure_colours
from edit_your_motion.people.keypoints import Keypoints

_WIDTHS: Mapping[str, float] = MappingProxyType({"hair": 0.45, "skin": 0.25, "top": 0.45, "bottom": 0.5, "shoes": 0.35})
"""How far each part reaches from its lines, as a share of the body's reach about its skeleton."""

_ALIKE = 45.0
"""Levels of 255 over which a colour stops being a part's own."""

_NOBODY = 0.01
"""Weight of being none of the parts."""

_OPAQUE = 0.8
"""From this share of a pixel on it shows the edited person's own colour."""

_SOFT = 0.004
"""Blur of the shifts, as a share of the picture's short side."""


def match_colours(
    edited: UInt8[np.ndarray, "f h w 3"],
    matte: Float[np.ndarray, "f h w"],
    skeletons: Keypoints,
    reach: float,
    wanted: Mapping[str, Float64[np.ndarray, "3"]],
) -> UInt8[np.ndarray, "f h w 3"]:
    """The edited frames with hair, skin, trousers and shoes shifted to the colours that they should have.

    A base that knows a person from a few hundred steps gives it the hair and the shoes that it has seen most often.
    What they really look like is in the source: each part's median colour is measured at the skeleton's places there
    and in the edit, and the pixels that lie about that part's lines and have its colour are shifted by the difference;
    folds and shading stay. Tops only compete for pixels: tuning holds their colours, and a median says little of a
    pattern. Not in the paper: an option.

    Args:
        edited: the generated frames, sRGB.
        matte: how much of each pixel is the edited person, from 0 to 1; elsewhere nothing changes.
        skeletons: what guided the edit.
        reach: how far from its skeleton the body reaches, pixels (`find_reach`).
        wanted: the source's colours by part (`measure_colours`); parts that are in only one of the two stay.
    """
    found = measure_colours(edited, skeletons, matte > _OPAQUE)
    shifts = {part: wanted[part] - found[part] for part in _WIDTHS if part in wanted and part in found}
    if "top" in shifts:
        shifts["top"] = np.zeros(3)
    if not any(shift.any() for shift in shifts.values()):
        return edited
    own = {part: found[part] for part in shifts}
    matched = [
        _shift(frame, cover, distances_to_parts(body, cover.shape), max(reach, 1.0), own, shifts)
        for frame, cover, body in zip(edited, matte, skeletons.body, strict=True)
    ]
    return np.stack(matched)


def _shift(
    frame: UInt8[np.ndarray, "h w 3"],
    matte: Float[np.ndarray, "h w"],
    distances: Mapping[str, Float64[np.ndarray, "h w"]],
    reach: float,
    own: Mapping[str, Float64[np.ndarray, "3"]],
    shifts: Mapping[str, Float64[np.ndarray, "3"]],
) -> UInt8[np.ndarray, "h w 3"]:
    colours = frame.astype(np.float64)
    shifted, weights = np.zeros_like(colours), np.full(matte.shape, _NOBODY)
    for part in (part for part in shifts if part in distances):
        apart = np.square(colours - own[part]).mean(axis=-1) / _ALIKE**2
        away = np.square(distances[part] / (_WIDTHS[part] * reach))
        weight = np.exp(-0.5 * (apart + away))
        shifted += weight[..., None] * shifts[part]
        weights += weight
    soft = _SOFT * min(matte.shape)
    smooth = gaussian_filter(shifted / weights[..., None], (soft, soft, 0))
    return np.clip(colours + matte[..., None] * smooth, 0, 255).round().astype(np.uint8)
