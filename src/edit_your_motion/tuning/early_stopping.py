"""When a stage of tuning has learnt what there is to learn: a held-out loss, and the rule that reads it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from edit_your_motion.config import EarlyStoppingConfig, Section
from edit_your_motion.errors import ConfigError
from edit_your_motion.runtime.random import Draws


@dataclass(frozen=True)
class Evaluation:
    """The held-out loss after a step of a stage: the stage from 0, the step from 0 (before the first)."""

    stage: int
    step: int
    loss: float


class StageEnd(Section):
    """How a stage of tuning ended.

    Args:
        steps: optimiser steps it took.
        reason: it did all of its iterations, or the held-out loss improved no more.
        held_out: (step, held-out loss) of every evaluation.
    """

    steps: int
    reason: Literal["iterations", "held-out loss"]
    held_out: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Draw:
    """One of the draws that the held-out loss is the mean of: frames, timestep, and the noise of their latents."""

    frames: slice
    t: int
    draws: Draws

    def noise_like(self, z: Tensor) -> Tensor:
        """Standard normal noise, the same for the same draw, on the device of `z`."""
        return self.draws.normal(*z.shape).to(z.device)


def held_out_draws(
    config: EarlyStoppingConfig, seed: int, timesteps: int, held_out: range, window: int
) -> Iterator[Draw]:
    """The draws of every evaluation: timesteps and frames spread evenly, noise from seeds that tuning never has.

    Args:
        config: how many.
        seed: of the tuning.
        timesteps: of the noise schedule.
        held_out: the frames to look at.
        window: how many of them at once.
    """
    size = min(window, len(held_out))
    draws = Draws(seed ^ (1 << 62))
    for index in range(config.draws):
        middle = (index + 0.5) / config.draws
        start = held_out.start + round((len(held_out) - size) * middle)
        yield Draw(slice(start, start + size), int(middle * timesteps), draws)


def split_frames(frames: int, config: EarlyStoppingConfig) -> tuple[range, range]:
    """The frames of a clip to tune on, and those to evaluate on: the same ones, unless some are held out.

    Raises:
        ConfigError: if too few would be left, or the clip is too short for holding any out.
    """
    if not (config.enabled and config.frames):
        return range(frames), range(frames)
    if frames <= 4 or config.frames > frames // 2:
        raise ConfigError(
            "expected a clip of more than 4 frames, of which tuning.early_stopping.frames holds out at most half, got "
            f"{config.frames} of {frames}; lower it, or give it 0 to hold out noise alone"
        )
    return range(frames - config.frames), range(frames - config.frames, frames)


def has_stalled(losses: Sequence[float], config: EarlyStoppingConfig) -> bool:
    """Whether none of the last `patience` held-out losses improves on the least one before them."""
    if not config.enabled or len(losses) <= config.patience:
        return False
    before, recent = losses[: -config.patience], losses[-config.patience :]
    return min(recent) >= (1 - config.improvement) * min(before)
