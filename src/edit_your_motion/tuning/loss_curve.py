"""The losses of a tuning as a small picture: whether it still learns, at a glance."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 320, 120
"""Of the picture, pixels."""

_BACKGROUND, _FAINT, _RULE = (24, 24, 24), (90, 90, 90), (60, 60, 60)
_STAGES = ((255, 170, 60), (90, 180, 255))
_MEMORY = 0.9
"""Share of the past in each value of the smooth line: single losses say little, as timesteps are random."""


def draw_losses(losses: Mapping[int, float], stages: Sequence[int]) -> UInt8[np.ndarray, "h w 3"]:
    """A curve of the losses so far, each faint and their running mean bright, over the whole of what is to come.

    Args:
        losses: by step, from 1, over all stages; those of before an interruption may be missing.
        stages: how many steps each stage has.
    """
    picture = Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    total, highest = max(1, sum(stages)), max(losses.values(), default=1.0) or 1.0

    def place(step: int, loss: float) -> tuple[float, float]:
        return step / total * (WIDTH - 1), (HEIGHT - 5) - loss / highest * (HEIGHT - 10)

    begin = 0
    for count, colour in zip(stages, _STAGES, strict=False):
        end = begin + count
        draw.line([place(end, 0.0), place(end, highest)], _RULE)
        smooth: list[tuple[float, float]] = []
        mean: float | None = None
        for step in range(begin + 1, end + 1):
            if step in losses:
                loss = losses[step]
                mean = loss if mean is None else _MEMORY * mean + (1 - _MEMORY) * loss
                draw.point(place(step, loss), _FAINT)
                smooth.append(place(step, mean))
        draw.line(smooth, colour, width=2)
        begin = end
    return np.asarray(picture)
