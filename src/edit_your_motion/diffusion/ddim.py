"""Inversion and sampling, and the loss that tuning minimises, on the schedules of diffusers."""

import torch
from diffusers import DDIMScheduler
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from edit_your_motion.config import SolverName
from edit_your_motion.diffusion.solvers import SOLVERS, OnStep, Predict
from edit_your_motion.prediction import velocity_schedule

__all__ = ["OnStep", "Predict", "denoising_loss", "guide", "invert", "sample", "signal_levels"]


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


def guide(conditional: Predict, unconditional: Predict, scale: float | int | Float[Tensor, "1 f 1 lh lw"]) -> Predict:
    """Classifier-free guidance (Ho and Salimans 2022): unconditional + scale * (conditional - unconditional).

    At scale 1, the paper's setting, this is `conditional` itself and `unconditional` is never called.

    Args:
        conditional: what is wanted.
        unconditional: what to lead away from.
        scale: how far; a number for each cell leads the picture away in some places only.
    """
    if not isinstance(scale, Tensor) and scale == 1:
        return conditional

    def predict(z: Tensor, t: Tensor) -> Tensor:
        away_from = unconditional(z, t)
        return away_from + scale * (conditional(z, t) - away_from)

    return predict


def denoising_loss(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    noise: Float[Tensor, "b f c lh lw"],
    t: Int[Tensor, " b"],
    scheduler: DDIMScheduler,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted noise (Eq. 16); of the predicted velocity, for a base that predicts that.

    Args:
        predict: the network; it returns the noise whatever the base predicts.
        z: clean latents, z_0.
        noise: eps, standard normal.
        t: timestep of each clip.
        scheduler: the base's noise schedule.
    """
    noisy = scheduler.add_noise(z, noise, t)
    errors = (predict(noisy, t).float() - noise.float()) ** 2
    if (schedule := velocity_schedule(scheduler)) is not None:
        # The noise in given latents is sqrt(abar) times the velocity, and something known.
        errors = errors / rearrange(schedule.to(z.device)[t], "b -> b 1 1 1 1")
    return errors.mean()
