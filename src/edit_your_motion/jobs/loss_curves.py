"""The losses of a tuning as a picture: each step a dot, their running mean a line, a panel for each stage."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 480, 300
"""Of a panel, pixels."""

_LEFT, _TOP, _MARGIN = 64, 40, 24
_PAPER, _INK, _DOT, _LINE = (255, 255, 255), (29, 39, 51), (176, 196, 216), (0, 114, 178)
_WINDOW = 0.05
"""Share of a stage's steps that the mean runs over."""


def draw_losses(losses: Mapping[int, float], stages: Sequence[int]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture; losses stand on a logarithmic scale that all panels share.

    Args:
        losses: by step, from 1, over all stages; those to come, or from before an interruption, may be missing.
        stages: how many steps each stage has; one of none has no panel.
    """
    ends = np.cumsum(stages)
    panels = [(number, count, int(end) - count) for number, (count, end) in enumerate(zip(stages, ends, strict=True), 1)
              if count]  # fmt: skip
    picture = Image.new("RGB", (WIDTH * max(len(panels), 1), HEIGHT), _PAPER)
    every = np.array([loss for loss in losses.values() if isfinite(loss) and loss > 0])
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.1, 1.0)
    if high <= low:
        low, high = low / 2, high * 2
    for index, (number, count, before) in enumerate(panels):
        known = {
            step: losses[before + step] for step in range(1, count + 1) if isfinite(losses.get(before + step, nan))
        }
        _draw_panel(ImageDraw.Draw(picture), index * WIDTH, f"stage {number}", count, known, low, high)
    return np.asarray(picture)


def running_mean(losses: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The mean over a twentieth of all steps about each, shorter at the ends."""
    half = max(1, round(_WINDOW * len(losses) / 2))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    index = np.arange(len(losses))
    begin, end = np.maximum(index - half, 0), np.minimum(index + half + 1, len(losses))
    return (sums[end] - sums[begin]) / (end - begin)


def _draw_panel(
    draw: ImageDraw.ImageDraw, left: int, name: str, count: int, losses: Mapping[int, float], low: float, high: float
) -> None:
    font = ImageFont.load_default(13)
    right, bottom = left + WIDTH - _MARGIN, HEIGHT - _TOP
    span = np.log(high / low)

    def place(step: int, loss: float) -> tuple[float, float]:
        across = (step - 1) / max(count - 1, 1)
        up = np.clip(np.log(max(loss, low) / low) / span, 0, 1)
        return left + _LEFT + across * (right - left - _LEFT), bottom - up * (bottom - _TOP)

    draw.text((left + _LEFT, 12), f"{name}: {count} steps", _INK, font)
    for level in np.geomspace(low, high, 4).tolist():
        _, y = place(1, level)
        draw.line((left + _LEFT, y, right, y), (226, 230, 235))
        draw.text((left + _LEFT - 6, y), f"{level:.2g}", _INK, font, anchor="rm")
    draw.text((left + _LEFT, bottom + 6), "1", _INK, font)
    draw.text((right, bottom + 6), f"{count}", _INK, font, anchor="ra")
    for step, loss in losses.items():
        x, y = place(step, loss)
        draw.rectangle((x - 1, y - 1, x + 1, y + 1), _DOT)
    smooth = running_mean(np.array(list(losses.values()), float)).tolist()
    draw.line([place(step, mean) for step, mean in zip(losses, smooth, strict=True)], _LINE, 2)
