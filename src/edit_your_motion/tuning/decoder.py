"""The VAE's decoder tuned on the source's frames: an edit shows the same cloth, face and place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, mse_loss
from torch.nn.utils import clip_grad_norm_

from edit_your_motion.config import DecoderConfig
from edit_your_motion.errors import CheckpointError
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.runtime.random import Draws

EDGES = 0.1
"""Weight of the differences between neighbouring pixels."""

CLIP_NORM = 1.0


def tune_decoder(
    vae: AutoencoderKL,
    frames: UInt8[Tensor, "f 3 h w"],
    latents: Float[Tensor, "1 f c lh lw"],
    config: DecoderConfig,
    seed: int,
    progress: Progress,
) -> dict[str, Tensor]:
    """The decoder's weights after some steps of reproducing the source from its latents; `vae` stays as it was.

    Not in the paper, whose VAE is frozen: what a VAE loses of a clip, fine patterns above all, is lost in every frame
    of an edit, and the clip itself is there to learn it from. Noise on the latents keeps the decoder from relying on
    the source's very ones.

    Args:
        vae: of the base.
        frames: of the source.
        latents: of the source, scaled.
        config: how many steps, and how large.
        seed: of the frames and the noise of each step.
        progress: is told of each step.

    Returns:
        The tuned parameters by their names in `vae`, in fp32.
    """
    parameters = decoder_parameters(vae)
    with (
        decoder_weights(vae, {name: value.detach().clone() for name, value in parameters.items()}),
        torch.enable_grad(),
    ):
        for parameter in parameters.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(parameters.values(), lr=config.learning_rate, weight_decay=0.0, fused=True)
        draws = Draws(seed)
        clean = latents[0].float() / vae.config.scaling_factor
        spread = clean.std()
        with progress.phase("tune the decoder", config.iterations) as advance:
            for step in range(config.iterations):
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * (1 - step / config.iterations)
                chosen = draws.integers(len(clean), min(config.batch, len(clean)))
                noise = draws.normal(len(chosen), *clean.shape[1:]).to(clean)
                z = clean[chosen.to(clean.device)] + config.noise * spread * noise
                with torch.autocast(clean.device.type, vae.dtype, enabled=vae.dtype != torch.float32):
                    made = vae.decode(z).sample.float()
                real = frames[chosen].to(made.device).float() / 127.5 - 1
                (mse_loss(made, real) + EDGES * gradient_distance(made, real)).backward()
                clip_grad_norm_(parameters.values(), CLIP_NORM)
                optimizer.step()
                optimizer.zero_grad()
                advance()
        return {name: value.detach().cpu().clone() for name, value in parameters.items()}


def decoder_parameters(vae: AutoencoderKL) -> dict[str, torch.nn.Parameter]:
    """What turns latents into pixels, by name."""
    return {name: value for name, value in vae.named_parameters() if name.startswith(("decoder.", "post_quant_conv."))}


@contextmanager
def decoder_weights(vae: AutoencoderKL, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Within it, `vae` has these weights; afterwards it is bit for bit what it was.

    Raises:
        CheckpointError: if they are another VAE's.
    """
    own = decoder_parameters(vae)
    if weights and {name: value.shape for name, value in weights.items()} != {n: v.shape for n, v in own.items()}:
        raise CheckpointError("the tuned decoder does not fit the base's VAE; use the base that it was tuned on")
    before = {name: (value.data, value.requires_grad) for name, value in own.items()}
    try:
        for name, value in weights.items():
            own[name].data = value.to(own[name]).clone()
        yield
    finally:
        for name, (value, trains) in before.items():
            own[name].data = value
            own[name].requires_grad_(trains)
            own[name].grad = None


def gradient_distance(made: Float[Tensor, "b c h w"], real: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """How much the differences between neighbours differ, at full and at half size: edges count, not levels."""
    difference = made - real
    scales = [difference, avg_pool2d(difference, 2)]
    steps = [part.diff(dim=axis).abs().mean() for part in scales for axis in (-1, -2)]
    return torch.stack(steps).mean()
