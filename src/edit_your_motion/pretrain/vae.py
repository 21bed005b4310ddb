"""The VAE's training: crops of pictures, there and back."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from edit_your_motion.metrics import load_lpips
from edit_your_motion.models.tiny import make_vae
from edit_your_motion.pretrain.config import PretrainConfig
from edit_your_motion.pretrain.frames import FramePool, FrameShard
from edit_your_motion.pretrain.samples import to_pictures, to_pixels
from edit_your_motion.pretrain.start import load_anchor, start_vae
from edit_your_motion.runtime.random import Draws, initialised
from edit_your_motion.tuning.decoder import gradient_distance

SHOWN = 8
"""Pictures across a sample sheet."""

START_LOG_VARIANCE = -6.0
"""Of the latents, before training."""

_MEASURED_AT_ONCE = 16


class Crops(NamedTuple):
    """Parts of pictures, and where in them the people and their heads are."""

    pixels: Float[Tensor, "b 3 h w"]
    masks: Bool[Tensor, "b h w"]
    heads: Bool[Tensor, "b h w"]


class VaeTraining:
    """A VAE that learns to reproduce rendered pictures.

    Args:
        config: of the whole base.
        pool: pictures to train on.
        held_out: pictures to measure on.
        device: where to compute.

    Raises:
        ModelFileError: the configuration asks for LPIPS, and its weights can neither be found nor fetched.
    """

    name = "vae"

    def __init__(self, config: PretrainConfig, pool: FramePool, held_out: FrameShard, device: torch.device) -> None:
        self.settings, self.masked, self.side = config.vae, config.pictures.masked, config.pictures.size
        self.pool, self.held_out, self.device = pool, held_out, device
        self.network: AutoencoderKL = build_vae(config).to(device)
        self.anchor: AutoencoderKL | None = None
        if config.from_base:
            start_vae(self.network, config.from_base)
            self.anchor = load_anchor(config.from_base).to(device) if config.vae.anchor else None
        self.average: AutoencoderKL = deepcopy(self.network).requires_grad_(False).eval()
        self.perceived = load_lpips("alexnet", allow_fetch=True).to(device) if config.vae.perceptual else None

    def losses(self, step: int, draws: Draws) -> dict[str, Tensor]:
        """What a step minimises, in parts."""
        settings = self.settings
        if step == settings.encoder_steps:
            # From here on the latents are the ones that the export's encoder makes.
            for part, averaged in zip(encoder_of(self.network), encoder_of(self.average), strict=True):
                part.load_state_dict(averaged.state_dict())
        pixels, masks, heads = self._draw_crops(step, draws)
        with torch.set_grad_enabled(step < settings.encoder_steps):
            latents = self.network.encode(pixels).latent_dist
        noise = draws.normal(*latents.mean.shape).to(self.device)
        made = self.network.decode(latents.mean + latents.std * noise).sample.float()
        weights = (1 + settings.person * masks + settings.head * heads).unsqueeze(1)
        losses = {
            "pixels": (weights * (made - pixels) ** 2).mean(),
            "gradients": settings.gradient * gradient_distance(made, pixels),
        }
        if self.perceived is not None:
            enlarged = (enlarge(pictures, settings.perceptual_scale) for pictures in (made, pixels))
            losses["perceptual"] = settings.perceptual * self.perceived(*enlarged).mean()
        if step < settings.encoder_steps:
            mean, variance, logarithm = latents.mean.float(), latents.var.float(), latents.logvar.float()
            losses["divergence"] = settings.divergence * 0.5 * (mean**2 + variance - 1 - logarithm).mean()
            if self.anchor is not None:
                losses["anchor"] = settings.anchor * distance_from(self.anchor, pixels, mean)
        return losses

    def _draw_crops(self, step: int, draws: Draws) -> Crops:
        settings = self.settings
        whole = step >= settings.steps - settings.whole_steps
        batch, side = (settings.whole_batch, self.side) if whole else (settings.batch, settings.crop)
        indices, shares = draws.integers(len(self.pool), batch), draws.uniform(batch, 5)
        drawn = [self.pool.crop(int(i), side, share[:4]) for i, share in zip(indices, shares, strict=True)]
        frames, masks, heads = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        black = (shares[:, 4] < self.masked)[:, None, None] & ~masks
        frames = frames.masked_fill(black[..., None], 0)
        return Crops(to_pixels(frames).to(self.device), masks.to(self.device), heads.to(self.device))

    def measure(self) -> dict[str, float]:
        """PSNR of held-out pictures, of their people alone, and of people before black."""
        whole, masks = self.held_out.frames, self.held_out.masks
        made = reconstruct(self.average, whole)
        people = reconstruct(self.average, self.held_out.people)
        return {
            "psnr": _psnr(made, whole),
            "psnr_person": _psnr(made[masks], whole[masks]),
            "psnr_masked": _psnr(people, self.held_out.people),
        }

    def sheet(self) -> list[UInt8[np.ndarray, "b h w 3"]]:
        """Held-out pictures and their reconstructions, then the same of people before black."""
        rows = [self.held_out.frames[:SHOWN], self.held_out.people[:SHOWN]]
        return [row for real in rows for row in (real, reconstruct(self.average, real))]


def build_vae(config: PretrainConfig) -> AutoencoderKL:
    """The untrained VAE, the same for the same seed."""
    sizes = config.architecture
    with initialised(config.seed):
        vae = make_vae(
            sizes.vae_widths,
            latent_channels=sizes.latent_channels,
            groups=sizes.vae_groups,
            sample_size=config.pictures.size,
        )
        return _initialise(vae, sizes.latent_channels)


@torch.no_grad()
def _initialise(vae: AutoencoderKL, latent_channels: int) -> AutoencoderKL:
    """Random weights that carry a picture through, so that learning begins at the first step.

    With the library's own start each convolution weakens the picture beside its biases, and the latents' noise drowns
    what is left: in a trial the first 150 steps learnt the mean colour only.
    """
    for name, part in vae.named_modules():
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.kaiming_normal_(part.weight, nonlinearity="linear")
            nn.init.zeros_(part.bias)
            if name.endswith(".conv2"):  # the end of a residual block
                nn.init.zeros_(part.weight)
    vae.quant_conv.weight[latent_channels:] *= 0.1
    vae.quant_conv.bias[latent_channels:] = START_LOG_VARIANCE
    vae.decoder.conv_out.weight *= 0.3
    return vae


def encoder_of(vae: AutoencoderKL) -> tuple[nn.Module, nn.Module]:
    """The parts that make latents."""
    return vae.encoder, vae.quant_conv


@torch.no_grad()
def encode(vae: AutoencoderKL, frames: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b c lh lw"]:
    """The means of the pictures' latents, not yet scaled."""
    batches = to_pixels(frames).split(_MEASURED_AT_ONCE)
    return torch.cat([vae.encode(batch.to(vae.device)).latent_dist.mean for batch in batches])


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Float[Tensor, "b c lh lw"]) -> UInt8[np.ndarray, "b h w 3"]:
    """The pictures of latents that are not scaled."""
    return np.concatenate([to_pictures(vae.decode(batch).sample) for batch in latents.split(_MEASURED_AT_ONCE)])


def distance_from(
    anchor: AutoencoderKL, pixels: Float[Tensor, "b 3 h w"], latents: Float[Tensor, "b c lh lw"]
) -> Float[Tensor, ""]:
    """The mean square of what the first channels of latents differ by from the anchor's, of pictures of whatever size
    gives it as many cells.
    """
    sides = 2 ** (len(anchor.config.block_out_channels) - 1) * latents.shape[-1]
    with torch.no_grad():
        known = anchor.encode(avg_pool2d(pixels, pixels.shape[-1] // sides)).latent_dist.mean.float()
    channels = min(known.shape[1], latents.shape[1])
    return (latents[:, :channels] - known[:, :channels]).square().mean()


def enlarge(pictures: Float[Tensor, "b 3 h w"], scale: int) -> Float[Tensor, "b 3 sh sw"]:
    """The pictures, each side `scale` times as long."""
    if scale == 1:
        return pictures
    return interpolate(pictures, scale_factor=scale, mode="bilinear", align_corners=False)


def reconstruct(vae: AutoencoderKL, frames: UInt8[np.ndarray, "b h w 3"]) -> UInt8[np.ndarray, "b h w 3"]:
    """The pictures after the way to latents and back."""
    return decode(vae, encode(vae, frames))


def _psnr(made: np.ndarray, real: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all pixels at once, dB; bounded where both are the same."""
    error = np.square(made.astype(np.float32) - real.astype(np.float32)).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / max(error, 1e-3)))
