"""What a U-Net says about noisy latents: their noise, as Stable Diffusion 1.5 does, or their velocity."""

from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor


def velocity_schedule(scheduler: DDIMScheduler) -> Float[Tensor, " steps"] | None:
    """abar_t of every timestep, if the base of this scheduler predicts the velocity; None if it predicts the noise."""
    return scheduler.alphas_cumprod if scheduler.config.prediction_type == "v_prediction" else None


def noise_of_velocity(
    velocity: Float[Tensor, "b *shape"], z: Float[Tensor, "b *shape"], kept: Float[Tensor, " b"]
) -> Float[Tensor, "b *shape"]:
    """The noise in `z` that a predicted velocity means: sqrt(abar) v + sqrt(1 - abar) z.

    The velocity is sqrt(abar) eps - sqrt(1 - abar) z_0 (Salimans and Ho 2022, "Progressive Distillation for Fast
    Sampling of Diffusion Models", appendix D). Where there is little left of z_0 it is nearly -z_0 itself, while the
    noise is nearly `z`, and what a network says about z_0 drowns in its own error.

    Args:
        velocity: as the network predicts it.
        z: noisy latents z_t.
        kept: abar_t of each clip.
    """
    kept = kept.float().reshape(-1, *(1 for _ in z.shape[1:]))
    return (kept.sqrt() * velocity.float() + (1 - kept).sqrt() * z.float()).to(velocity.dtype)
