"""The losses of a tuning as a picture: each step a dot, their running mean a line, a panel for each stage."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 480, 300
"""Of a panel, pixels."""

_LEFT, _TOP, _MARGIN = 64, 40, 24
_PAPER, _INK, _DOT, _LINE = (255, 255, 255), (29, 39, 51), (176, 196, 216), (0, 114, 178)
_WINDOW = 0.05
"""Share of a stage's steps that the mean runs over."""


def draw_losses(stages: Sequence[tuple[str, Sequence[float]]]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture; losses stand on a logarithmic scale that all panels share.

    Args:
        stages: the name of each and the losses of its steps; one of no steps has no panel.
    """
    shown = [(name, np.asarray(losses, float)) for name, losses in stages if len(losses)]
    picture = Image.new("RGB", (WIDTH * max(len(shown), 1), HEIGHT), _PAPER)
    every = np.concatenate([losses[np.isfinite(losses) & (losses > 0)] for _, losses in shown] or [np.ones(1)])
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.1, 1.0)
    if high <= low:
        low, high = low / 2, high * 2
    for index, (name, losses) in enumerate(shown):
        _draw_panel(ImageDraw.Draw(picture), index * WIDTH, name, losses, low, high)
    return np.asarray(picture)


def running_mean(losses: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The mean over a twentieth of all steps about each, shorter at the ends."""
    half = max(1, round(_WINDOW * len(losses) / 2))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    index = np.arange(len(losses))
    begin, end = np.maximum(index - half, 0), np.minimum(index + half + 1, len(losses))
    return (sums[end] - sums[begin]) / (end - begin)


def _draw_panel(
    draw: ImageDraw.ImageDraw, left: int, name: str, losses: Float[np.ndarray, " n"], low: float, high: float
) -> None:
    font = ImageFont.load_default(13)
    right, bottom = left + WIDTH - _MARGIN, HEIGHT - _TOP
    span = np.log(high / low)

    def place(step: int, loss: float) -> tuple[float, float]:
        across = step / max(len(losses) - 1, 1)
        up = np.clip(np.log(max(loss, low) / low) / span, 0, 1)
        return left + _LEFT + across * (right - left - _LEFT), bottom - up * (bottom - _TOP)

    draw.text((left + _LEFT, 12), f"{name}: {len(losses)} steps", _INK, font)
    for level in np.geomspace(low, high, 4).tolist():
        _, y = place(0, level)
        draw.line((left + _LEFT, y, right, y), (226, 230, 235))
        draw.text((left + _LEFT - 6, y), f"{level:.2g}", _INK, font, anchor="rm")
    draw.text((left + _LEFT, bottom + 6), "1", _INK, font)
    draw.text((right, bottom + 6), f"{len(losses)}", _INK, font, anchor="ra")
    steps = np.flatnonzero(np.isfinite(losses))
    for step in steps.tolist():
        x, y = place(step, losses[step])
        draw.rectangle((x - 1, y - 1, x + 1, y + 1), _DOT)
    for (before, one), (step, other) in pairwise(
        zip(steps.tolist(), running_mean(losses[steps]).tolist(), strict=True)
    ):
        draw.line((*place(before, one), *place(step, other)), _LINE, 2)
