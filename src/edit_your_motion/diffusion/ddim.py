"""DDIM inversion and sampling, and the loss that tuning minimises, on the schedulers of diffusers."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import mse_loss

Predict: TypeAlias = Callable[[Float[Tensor, "b f c lh lw"], Int[Tensor, " b"]], Float[Tensor, "b f c lh lw"]]
"""eps_theta: the predicted noise in z at timestep t, everything else bound."""

OnStep: TypeAlias = Callable[[int, Float[Tensor, "b f c lh lw"]], Float[Tensor, "b f c lh lw"] | None]
"""Called after each step with its timestep and the latents it reached; may return others to go on with."""


def invert(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    scheduler: DDIMScheduler,
    steps: int,
    on_step: OnStep | None = None,
) -> Float[Tensor, "b f c lh lw"]:
    """z*, the noise from which `sample` leads back to `z` (Eqs. 6 and 17).

    ::

        z_t = sqrt(abar_t) / sqrt(abar_{t-1}) * (z_{t-1} - sqrt(1 - abar_{t-1}) eps) + sqrt(1 - abar_t) eps

    Differs from the paper: the printed sqrt(abar_t - 1) is a misprint of sqrt(abar_{t-1}).

    Args:
        predict: the network.
        z: latents of the clip, z_0.
        scheduler: the base's noise schedule.
        steps: how many steps from z_0 to z*.
        on_step: called after each step.
    """
    inverse = DDIMInverseScheduler.from_config(scheduler.config)
    inverse.set_timesteps(steps)
    return _walk(predict, z, inverse, on_step)


def sample(
    predict: Predict,
    z: Float[Tensor, "b f c lh lw"],
    scheduler: DDIMScheduler,
    steps: int,
    on_step: OnStep | None = None,
) -> Float[Tensor, "b f c lh lw"]:
    """z_0, reached from the noise `z` by deterministic DDIM steps (Song et al. 2020, Eq. 12 with eta = 0).

    Args:
        predict: the network.
        z: the noise to start from.
        scheduler: the base's noise schedule.
        steps: how many steps from the noise to z_0.
        on_step: called after each step.
    """
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(steps)
    return _walk(predict, z, scheduler, on_step)


@torch.no_grad()
def _walk(
    predict: Predict, z: Tensor, scheduler: DDIMScheduler | DDIMInverseScheduler, on_step: OnStep | None
) -> Tensor:
    z = z.float()  # half precision loses the small differences between neighbouring noise levels
    for t in scheduler.timesteps:
        noise = predict(z, t.to(z.device).expand(len(z))).float()
        z = scheduler.step(noise, int(t), z, return_dict=False)[0]
        if on_step is not None and (replaced := on_step(int(t), z)) is not None:
            z = replaced
    return z


def guide(conditional: Predict, unconditional: Predict, scale: float) -> Predict:
    """Classifier-free guidance (Ho and Salimans 2022): unconditional + scale * (conditional - unconditional).

    At scale 1, the paper's setting, this is `conditional` itself and `unconditional` is never called.
    """
    if scale == 1:
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
    """Mean squared error of the predicted noise (Eq. 16).

    Args:
        predict: the network.
        z: clean latents, z_0.
        noise: eps, standard normal.
        t: timestep of each clip.
        scheduler: the base's noise schedule.
    """
    noisy = scheduler.add_noise(z, noise, t)
    return mse_loss(predict(noisy, t).float(), noise.float())
