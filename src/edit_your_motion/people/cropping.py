"""Which part of a clip's pictures a crop keeps: one window for all frames, with the person in it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from edit_your_motion.video.fit import Fit, fit_transform


def uncut(height: int, width: int, fit: Fit) -> Fit:
    """The size of the whole picture at the scale that `fit` brings it to; `fit` itself where it cuts nothing off.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        fit: a crop, or a padding, which never cuts.
    """
    if fit.how == "pad":
        return fit
    scale, _ = fit_transform(height, width, fit)
    return Fit(max(fit.height, round(height * scale[1])), max(fit.width, round(width * scale[0])))


def crop_around(masks: Bool[np.ndarray, "f h w"], fit: Fit) -> Fit:
    """The crop that keeps most of the person over the whole clip, and has what it keeps of them in its middle.

    Args:
        masks: the person's pixels in whole pictures.
        fit: how such pictures are cropped.
    """
    height, width = masks.shape[1:]
    scale, _ = fit_transform(height, width, fit)
    across = _place(masks.sum(axis=(0, 1)).astype(np.float64), fit.width / scale[0])
    down = _place(masks.sum(axis=(0, 2)).astype(np.float64), fit.height / scale[1])
    return replace(fit, place=(across, down))


def on_whole_pixels(height: int, width: int, fit: Fit) -> Fit:
    """The crop moved by less than half a pixel, so that one of a picture at its scale cuts no pixel in two.

    Args:
        height: of the whole picture at the scale of the canvas (`uncut`), pixels.
        width: the same, across.
        fit: a crop; a padding stays as it is.
    """
    rooms = (width - fit.width, height - fit.height)
    places = (round(share * room) / room if room else 0.5 for share, room in zip(fit.place, rooms, strict=True))
    across, down = places
    return fit if fit.how == "pad" else replace(fit, place=(across, down))


def touches_cut(masks: Bool[np.ndarray, "f fit_h fit_w"], height: int, width: int, fit: Fit) -> Bool[np.ndarray, " f"]:
    """In which frames the person reaches a side of the canvas beyond which the picture goes on.

    Args:
        masks: the person's pixels on the canvas.
        height: of the whole picture, pixels.
        width: of the whole picture, pixels.
        fit: how the picture was brought to the canvas.
    """
    scale, offset = fit_transform(height, width, fit)
    before = -offset
    behind = np.array([width, height]) * scale + offset - np.array([fit.width, fit.height])
    sides = {"left": masks[:, :, 0], "top": masks[:, 0], "right": masks[:, :, -1], "bottom": masks[:, -1]}
    cut = dict(zip(sides, np.concatenate([before, behind]) >= 1, strict=True))
    touched = [pixels.any(axis=1) for side, pixels in sides.items() if cut[side]]
    return np.logical_or.reduce(touched) if touched else np.zeros(len(masks), bool)


def _place(weights: Float64[np.ndarray, " n"], length: float) -> float:
    """Where along an axis a window of that length holds most weight, from 0 (its beginning) to 1 (its end)."""
    room = len(weights) - round(length)
    if room < 1 or not weights.any():
        return 0.5
    size = len(weights) - room
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    inside = sums[size:] - sums[:-size]
    best = np.flatnonzero(inside == inside.max())
    # Many windows may hold all of the person: the one whose middle is theirs.
    start = best[len(best) // 2]
    held = np.flatnonzero(weights[start : start + size]) + start
    middle = (held[0] + held[-1] + 1) / 2
    return float(best[np.abs(best + size / 2 - middle).argmin()] / room)
