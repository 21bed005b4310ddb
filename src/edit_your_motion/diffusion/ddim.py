"""Inversion and sampling, and the loss that tuning minimises, on the schedules of diffusers."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from diffusers import DDIMScheduler
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from edit_your_motion.config import SolverName
from edit_your_motion.diffusion.solvers import SOLVERS, OnStep, Predict
from edit_your_motion.models.prediction_type import velocity_schedule

__all__ = ["OnStep", "Predict", "Rescale", "denoising_loss", "guide", "invert", "rescaling", "sample", "signal_levels"]

Rescale: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(guided noise, conditional noise, z, t) -> noise, each (b, f, c, lh, lw)."""


@torch.no_grad()
def invert(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    scheduler: DDIMScheduler,
    steps: int,
    on_step: OnStep | None = None,
    *,
    solver: SolverName = "ddim",
    fixed_point: int = 0,
) -> Float[Tensor, "b f c lh lw"]:
    """z*, the noise from which `sample` with the same solver and steps leads back to `z` (Eqs. 6 and 17).

    ::

        z_t = sqrt(abar_t) / sqrt(abar_{t-1}) * (z_{t-1} - sqrt(1 - abar_{t-1}) eps) + sqrt(1 - abar_t) eps

    Differs from the paper: the printed sqrt(abar_t - 1) is a misprint of sqrt(abar_{t-1}).

    Args:
        predict: the network.
        z: latents of the clip, z_0.
        scheduler: the base's noise schedule.
        steps: how many steps from z_0 to z*.
        on_step: called after each step; where there are several passes over the path, in the last one.
        solver: the formula above is that of "ddim".
        fixed_point: passes that refine the inversion, each as dear as the inversion itself; with 0, `sample` leads
            back to `z` up to the error of a step, and to `z` itself with more and more of them.

    Raises:
        ConfigError: if the schedule has fewer timesteps than `steps`.
    """
    return SOLVERS[solver].invert(predict, z, scheduler, steps, on_step, fixed_point)


@torch.no_grad()
def sample(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    scheduler: DDIMScheduler,
    steps: int,
    on_step: OnStep | None = None,
    *,
    solver: SolverName = "ddim",
) -> Float[Tensor, "b f c lh lw"]:
    """z_0, reached from the noise `z` by deterministic steps (Song et al. 2020, Eq. 12 with eta = 0).

    Args:
        predict: the network.
        z: the noise to start from.
        scheduler: the base's noise schedule.
        steps: how many steps from the noise to z_0.
        on_step: called after each step.
        solver: DDIM, or one that comes as far in fewer steps.

    Raises:
        ConfigError: if the schedule has fewer timesteps than `steps`.
    """
    return SOLVERS[solver].sample(predict, z, scheduler, steps, on_step)


def signal_levels(scheduler: DDIMScheduler, steps: int, solver: SolverName = "ddim") -> tuple[float, ...]:
    """abar, the share of the variance that is clean latents, of what each step of sampling begins with; z* first.

    Args:
        scheduler: the base's noise schedule.
        steps: of sampling.
        solver: that samples.

    Raises:
        ConfigError: if the schedule has fewer timesteps than `steps`.
    """
    return tuple(float(scheduler.alphas_cumprod[t]) for t in SOLVERS[solver].timesteps(scheduler, steps))


def guide(
    conditional: Predict,
    unconditional: Predict,
    scale: float | int | Float[Tensor, "1 f 1 lh lw"],
    rescale: Rescale | None = None,
) -> Predict:
    """Classifier-free guidance (Ho and Salimans 2022): unconditional + scale * (conditional - unconditional).

    At scale 1, the paper's setting, this is `conditional` itself and `unconditional` is never called.

    Args:
        conditional: what is wanted.
        unconditional: what to lead away from.
        scale: how far; a number for each cell leads the picture away in some places only.
        rescale: what becomes of the guided noise, see `rescaling`.
    """
    if not isinstance(scale, Tensor) and scale == 1:
        return conditional

    def predict(z: Tensor, t: Tensor) -> Tensor:
        away_from, wanted = unconditional(z, t), conditional(z, t)
        guided = away_from + scale * (wanted - away_from)
        return guided if rescale is None else rescale(guided, wanted, z, t)

    return predict


def rescaling(
    share: float | int, scheduler: DDIMScheduler, where: Bool[Tensor, "1 f 1 lh lw"] | None = None
) -> Rescale | None:
    """Brings guided noise back to the colours of what is wanted, for `guide`; None for a share of 0.

    Strong guidance drives colours and contrast apart. The clean latents that the guided noise implies get, for each
    frame and channel, the mean and the standard deviation that the conditional noise's have. Differs from Lin et al.
    (2024, section 3.4), whose rescaling of the network's output keeps its standard deviation alone.

    Args:
        share: of the way, 0 to 1.
        scheduler: the base's noise schedule.
        where: the cells that are guided and brought back, both measured and changed; None for all.
    """
    if not share:
        return None

    def rescale(guided: Tensor, wanted: Tensor, z: Tensor, t: Tensor) -> Tensor:
        signal = scheduler.alphas_cumprod.to(z.device)[t]
        weights = torch.ones_like(z[:, :, :1]) if where is None else where.to(z)
        clean, goal = ((z - (1 - signal).sqrt() * noise) / signal.sqrt() for noise in (guided, wanted))
        (mean, spread), (goal_mean, goal_spread) = (_moments(latents, weights) for latents in (clean, goal))
        matched = goal_mean + (clean - mean) * goal_spread / spread.clamp(min=1e-5)
        clean = clean + share * weights * (matched - clean)
        return (z - signal.sqrt() * clean) / (1 - signal).sqrt()

    return rescale


def _moments(
    latents: Float[Tensor, "b f c lh lw"], weights: Float[Tensor, "1 f 1 lh lw"]
) -> tuple[Float[Tensor, "b f c 1 1"], Float[Tensor, "b f c 1 1"]]:
    """Mean and standard deviation of each frame's channels, over the cells that have a weight; 0 where none has."""
    total = weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    mean = (weights * latents).sum(dim=(-2, -1), keepdim=True) / total
    variance = (weights * (latents - mean) ** 2).sum(dim=(-2, -1), keepdim=True) / total
    return mean, variance.sqrt()


def denoising_loss(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    noise: Float[Tensor, "b f c lh lw"],
    t: Int[Tensor, " b"],
    scheduler: DDIMScheduler,
    weights: Float[Tensor, "b f 1 lh lw"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted noise (Eq. 16); of the predicted velocity, for a base that predicts that.

    Args:
        predict: the network; it returns the noise whatever the base predicts.
        z: clean latents, z_0.
        noise: eps, standard normal.
        t: timestep of each clip.
        scheduler: the base's noise schedule.
        weights: of each cell in the mean; default: all the same.
    """
    noisy = scheduler.add_noise(z, noise, t)
    errors = (predict(noisy, t).float() - noise.float()) ** 2
    if (schedule := velocity_schedule(scheduler)) is not None:
        # The noise in given latents is sqrt(abar) times the velocity, and something known.
        errors = errors / rearrange(schedule.to(z.device)[t], "b -> b 1 1 1 1")
    if weights is None:
        return errors.mean()
    return (errors.mean(2, keepdim=True) * weights).sum() / weights.sum()
