"""The soft shadow about a person's feet: no part of the place, and cast anew where an edit's person stands."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from edit_your_motion.compositing.clean_plate import grow
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.video.selection import spread_evenly

ACROSS, DOWN = 0.2, 0.1
"""How far a contact shadow reaches from a foot, across and down the picture, in heights of the person."""

SOLE = 0.06
"""From the ankle down to the ground, in heights of the person."""

LIFTED = 0.08
"""A foot that is so much higher than the other, or than the ground, is in the air, in heights of the person."""

DARKER = 0.06
"""The ground about the feet must be darker by this than the ground beyond, as a logarithm, to be in a shadow."""

ANOTHER_COLOUR = 0.08
"""A shadow leaves the ground's colour: its channels' logarithms do not differ by more than this from their mean."""

EXPLAINED = 0.3
"""Share of what the ground is darker by that the shape of a contact shadow must explain."""

EDGE = 0.01
"""What a mask grows by before the ground beside it is compared with the place, as a share of the short side."""

_FRAMES = 16
"""Frames that a shadow is measured in, at most."""

_WIDTHS, _HEIGHTS, _DROPS = (0.04, 0.06, 0.09, 0.13), (0.012, 0.02, 0.035, 0.05), (-0.02, 0.0, 0.02, 0.04)
"""Standard deviations and places that are tried, in heights of the person."""

_ANKLES = [BODY_JOINTS.index(name) for name in ("right_ankle", "left_ankle")]


@dataclass(frozen=True)
class ContactShadow:
    """What a foot on the ground takes of the light about it.

    Args:
        depth: the logarithm of the share that is left at the foot, negated: 0 is no shadow.
        width: standard deviation across the picture, in heights of the person.
        height: the same down the picture.
        drop: how far below the sole its middle lies, in heights of the person.
    """

    depth: float
    width: float
    height: float
    drop: float


@dataclass(frozen=True, eq=False)
class _Feet:
    """Where feet stand, or would if they came down.

    Args:
        ground: x and y in pixels.
        weights: 1 for a foot on the ground, less the higher it is, 0 for one that is not seen.
        stature: the person's height in the picture, pixels.
    """

    ground: Float[np.ndarray, "f 2 2"]
    weights: Float[np.ndarray, "f 2"]
    stature: float

    @classmethod
    def of(cls, keypoints: Keypoints, threshold: float = 0.3) -> "_Feet":
        seen = keypoints.visible(threshold)
        points = keypoints.body[..., :2].astype(np.float64)
        stature = keypoints.stature(threshold)
        ankles, shown = points[:, _ANKLES], seen[:, _ANKLES]
        soles = np.where(shown, ankles[..., 1] + SOLE * stature, -np.inf)
        lowest = soles.max(axis=1)
        stood = lowest[np.isfinite(lowest)]
        if not stood.size or stature <= 0:
            return cls(ankles, np.zeros(shown.shape), stature)
        floor = np.quantile(stood, 0.8)
        # In a jump both feet are over the ground on which the person stands otherwise.
        under = np.where(lowest > floor - LIFTED * stature, lowest, floor)[:, None]
        lifts = np.where(shown, (under - soles) / stature, np.inf)
        ground = np.stack([ankles[..., 0], np.where(lifts > LIFTED, under, soles)], axis=-1)
        return cls(
            np.where(shown[..., None], ground, 0), np.where(shown, np.exp(-np.maximum(lifts, 0) / 0.15), 0), stature
        )

    def take(self, frame: int) -> list[tuple[float, float, float]]:
        """(x, y, weight) of a frame's feet."""
        return [
            (x, y, weight) for (x, y), weight in zip(self.ground[frame], self.weights[frame], strict=True) if weight
        ]


def find_shaded(
    frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"], keypoints: Keypoints
) -> Bool[np.ndarray, "f h w"]:
    """The ground about the feet, beside the person, where a shadow lies on it; nowhere in a clip without one.

    Args:
        frames: of the person.
        masks: the person's pixels.
        keypoints: of the person.
    """
    feet = _Feet.of(keypoints)
    shaded = _find_about(feet, np.arange(len(frames)), masks.shape[1:])
    darker: list[np.ndarray] = []
    for frame in spread_evenly(len(frames), _FRAMES):
        core, wide = (_about(feet, int(frame), masks.shape[1:], scale) for scale in (0.5, 1.6))
        near, far = (area & ~masks[frame] for area in (core, wide & ~shaded[frame]))
        if near.sum() > 20 and far.sum() > 20:
            light = [np.median(np.log(frames[frame][area].astype(np.float64) + 4), axis=0) for area in (far, near)]
            darker.append(light[0] - light[1])
    if not darker:
        return np.zeros_like(masks)
    usual = np.median(darker, axis=0)
    is_shadow = usual.mean() > DARKER and np.ptp(usual) <= 2 * ANOTHER_COLOUR
    return shaded & ~masks if is_shadow else np.zeros_like(masks)


def measure_shadow(
    frames: UInt8[np.ndarray, "f h w 3"],
    places: UInt8[np.ndarray, "f h w 3"],
    masks: Bool[np.ndarray, "f h w"],
    shaded: Bool[np.ndarray, "f h w"],
    keypoints: Keypoints,
) -> ContactShadow | None:
    """The shadow that the feet cast, from what the frames are darker than the place; None where there is none.

    Args:
        frames: of the person.
        places: the same without the person and the shadow.
        masks: the person's pixels.
        shaded: the ground about the feet (`find_shaded`). Where it is nowhere, since the ground beyond is as dark, all
            ground about the feet is compared with the place.
        keypoints: of the person.
    """
    feet = _Feet.of(keypoints)
    chosen = spread_evenly(len(frames), _FRAMES)
    ground = shaded[chosen] if shaded.any() else _find_about(feet, chosen, masks.shape[1:]) & ~grow(masks[chosen], EDGE)
    spots = {int(frame): np.nonzero(area) for frame, area in zip(chosen, ground, strict=True)}
    light = [
        np.concatenate([np.log(film[i][area].astype(np.float64).mean(axis=-1) + 4) for i, area in spots.items()])
        for film in (places, frames)
    ]
    wanted = light[0] - light[1]
    if wanted.size < 50 or not (wanted**2).sum():
        return None
    best, error = None, (1 - EXPLAINED) * (wanted**2).sum()
    for width, height, drop in product(_WIDTHS, _HEIGHTS, _DROPS):
        unit = ContactShadow(1.0, width, height, drop)
        shape = np.concatenate([_taken(feet.take(i), feet.stature, x, y, unit) for i, (y, x) in spots.items()])
        depth = float((shape * wanted).sum() / max((shape**2).sum(), 1e-9))
        left = ((wanted - depth * shape) ** 2).sum()
        if depth > DARKER and left < error:
            best, error = replace(unit, depth=depth), left
    return best


def cast_shadow(
    places: UInt8[np.ndarray, "f h w 3"], keypoints: Keypoints, shadow: ContactShadow
) -> UInt8[np.ndarray, "f h w 3"]:
    """The places with the shadow of somebody who stands in them as the keypoints say."""
    feet, shaded = _Feet.of(keypoints), places.copy()
    y, x = np.ogrid[: places.shape[1], : places.shape[2]]
    for frame in range(len(places)):
        if standing := feet.take(frame):
            taken = _taken(standing, feet.stature, x, y, shadow)
            shaded[frame] = (places[frame] * np.exp(-taken)[..., None]).round()
    return shaded


def _find_about(feet: _Feet, chosen: Int[np.ndarray, " n"], shape: tuple[int, ...]) -> Bool[np.ndarray, "n h w"]:
    """The ellipses about the feet in some frames."""
    return np.stack([_about(feet, int(frame), shape, 1.0) for frame in chosen])


def _about(feet: _Feet, frame: int, shape: tuple[int, ...], scale: float) -> Bool[np.ndarray, "h w"]:
    """The ellipses about a frame's feet, as far as a shadow reaches times `scale`."""
    area = np.zeros(shape, bool)
    across, down = max(ACROSS * scale * feet.stature, 1.0), max(DOWN * scale * feet.stature, 1.0)
    for x, y, _ in feet.take(frame):
        left, right = (int(np.clip(edge, 0, shape[1])) for edge in (x - across, x + across + 1))
        top, bottom = (int(np.clip(edge, 0, shape[0])) for edge in (y - down, y + down + 1))
        rows, columns = np.ogrid[top:bottom, left:right]
        area[top:bottom, left:right] |= ((columns + 0.5 - x) / across) ** 2 + ((rows + 0.5 - y) / down) ** 2 <= 1
    return area


def _taken(
    feet: list[tuple[float, float, float]],
    stature: float,
    x: Int[np.ndarray, "*places"],
    y: Int[np.ndarray, "*others"],
    shadow: ContactShadow,
) -> Float[np.ndarray, "*all"]:
    """The logarithm of what a frame's feet take of the light at some pixels, negated: a bell about each."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for foot_x, foot_y, weight in feet:
        across = (x + 0.5 - foot_x) / (shadow.width * stature)
        down = (y + 0.5 - foot_y - shadow.drop * stature) / (shadow.height * stature)
        total = total + shadow.depth * weight * np.exp(-(across**2) / 2) * np.exp(-(down**2) / 2)
    return total
