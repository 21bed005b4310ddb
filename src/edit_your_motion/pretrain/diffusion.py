"""The training of U-Net, ControlNet and text encoder: noise prediction on single pictures."""

from copy import deepcopy
from functools import partial

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler
from einops import rearrange, reduce
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from transformers import CLIPTokenizer

from edit_your_motion.diffusion.ddim import Predict, sample
from edit_your_motion.models.prediction_type import noise_of_velocity, velocity_schedule
from edit_your_motion.models.tiny import make_scheduler, make_text_encoder, make_unet
from edit_your_motion.pretrain.config import PretrainConfig
from edit_your_motion.pretrain.frames import FrameShard
from edit_your_motion.pretrain.latents import Examples, LatentPool, examples_of, tokenize
from edit_your_motion.pretrain.start import start_predictor
from edit_your_motion.pretrain.vae import SHOWN, decode
from edit_your_motion.runtime.random import Draws, initialised


class PicturePredictor(nn.Module):
    """The noise in single pictures: U-Net, ControlNet and text encoder as one network.

    Args:
        config: of the whole base.
        vocabulary: tokens that the tokenizer knows.
    """

    def __init__(self, config: PretrainConfig, vocabulary: int) -> None:
        super().__init__()
        sizes = config.architecture
        with initialised(config.seed):
            self.text_encoder = make_text_encoder(
                sizes.text_width, vocabulary, layers=sizes.text_layers, heads=sizes.text_heads, tokens=sizes.tokens
            )
            self.unet = make_unet(
                sizes.unet_widths,
                sizes.layers_per_block,
                sizes.heads,
                sizes.text_width,
                latent_channels=sizes.latent_channels,
                sample_size=config.pictures.size // sizes.factor,
            )
            self.controlnet = ControlNetModel.from_unet(
                self.unet, conditioning_embedding_out_channels=sizes.condition_widths
            )

    def forward(
        self,
        z: Float[Tensor, "b 1 c lh lw"],
        t: Int[Tensor, " b"],
        tokens: Int[Tensor, "b n"],
        skeletons: Float[Tensor, "b 3 h w"],
    ) -> Float[Tensor, "b 1 c lh lw"]:
        """The noise or the velocity in `z`, whichever the base predicts, for each picture.

        Args:
            z: noisy latents, as clips of one frame.
            t: timestep of each picture.
            tokens: of each caption.
            skeletons: skeleton pictures in [0, 1].
        """
        pictures = rearrange(z, "b 1 c lh lw -> b c lh lw")
        text = self.text_encoder(tokens)[0]
        down, mid = self.controlnet(
            pictures, t, encoder_hidden_states=text, controlnet_cond=skeletons, return_dict=False
        )
        noise = self.unet(
            pictures,
            t,
            encoder_hidden_states=text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]
        return rearrange(noise, "b c lh lw -> b 1 c lh lw")


class DiffusionTraining:
    """U-Net, ControlNet and text encoder that learn together to predict the noise, or velocity, in encoded pictures.

    Args:
        config: of the whole base.
        pool: encoded pictures to train on.
        held_out: rendered pictures to measure on.
        vae: frozen, with its scaling factor set.
        tokenizer: of the captions.
        device: where to compute.
    """

    name = "diffusion"

    @property
    def target(self) -> str:
        """What the network predicts: noise or velocity."""
        return "noise" if velocity_schedule(self.scheduler) is None else "velocity"

    def __init__(
        self,
        config: PretrainConfig,
        pool: LatentPool,
        held_out: FrameShard,
        vae: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        device: torch.device,
    ) -> None:
        self.settings, self.seed, self.device = config.diffusion, config.seed, device
        self.pool, self.vae = pool, vae
        self.scheduler = make_scheduler(config.architecture.prediction)
        self.network = PicturePredictor(config, len(tokenizer)).to(device).train()
        if config.from_base:
            start_predictor(self.network, config.from_base, tokenizer)
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        self.shown = held_out
        self.held_out = examples_of(held_out, vae, tokenizer, vae.config.scaling_factor)
        self._weights = snr_weights(self.scheduler, self.settings.snr_limit)
        self.no_tokens = tokenize(tokenizer, [""])[0]

    def losses(self, step: int, draws: Draws) -> dict[str, Tensor]:
        """What a step minimises: the squared error of the prediction."""
        settings = self.settings
        count = settings.batch
        examples = self.pool.take(draws.integers(len(self.pool), count))
        without = draws.uniform(2, count)
        tokens = torch.where((without[0] < settings.no_caption)[:, None], self.no_tokens, examples.tokens)
        seen = rearrange(without[1] >= settings.no_skeleton, "b -> b 1 1 1")
        noise = draws.normal(*examples.latents.shape)
        t = draws.integers(len(self.scheduler.alphas_cumprod), count)
        skeletons = examples.skeletons.to(self.device)  # early: what follows is slow on the CPU of a fast GPU
        shown = Examples(examples.latents, tokens, skeletons * seen.to(self.device))
        errors = self._errors(self.network, shown, noise, t)
        cells = examples.latents.shape[-1]
        places = 1 + settings.person * near_skeletons(skeletons, cells)
        if settings.head:
            places = places + settings.head * near_skeletons(heads_of(skeletons), cells)
        weights = rearrange(self._weights[t].to(self.device), "b -> b 1 1") * places / places.mean()
        return {self.target: (errors * weights).mean()}

    def _errors(
        self, network: PicturePredictor, examples: Examples, noise: Tensor, t: Tensor
    ) -> Float[Tensor, "b lh lw"]:
        """The mean squared error of the prediction in each cell."""
        clean, t = examples.latents.to(self.device), t.to(self.device)
        noise = noise.to(self.device)
        noisy = rearrange(self.scheduler.add_noise(clean, noise, t), "b c lh lw -> b 1 c lh lw")
        predicted = rearrange(_bind(network, examples, self.device)(noisy, t), "b 1 c lh lw -> b c lh lw")
        target = self.scheduler.get_velocity(clean, noise, t) if self.target == "velocity" else noise
        return reduce((predicted.float() - target) ** 2, "b c lh lw -> b lh lw", "mean")

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """The loss on held-out pictures, with the same noise and timesteps each time."""
        count = len(self.held_out.latents)
        noise = Draws(self.seed).normal(*self.held_out.latents.shape)
        t = torch.linspace(0, len(self.scheduler.alphas_cumprod) - 1, count).long()
        return {self.target: self._errors(self.average, self.held_out, noise, t).mean().item()}

    def sheet(self) -> list[UInt8[np.ndarray, "b h w 3"]]:
        """Held-out pictures, what the VAE keeps of them, their skeletons, and what is generated from these."""
        examples = self.held_out.first(SHOWN)
        noise = Draws(self.seed).normal(*examples.latents.shape)
        z = rearrange(noise, "b c lh lw -> b 1 c lh lw").to(self.device)
        made = sample(self._noise_predictor(examples), z, self.scheduler, self.settings.sheet_steps)
        skeletons = rearrange(examples.skeletons * 255, "b c h w -> b h w c").round().byte().numpy()
        return [
            self.shown.frames[:SHOWN],
            self._decode(examples.latents.to(self.device)),
            skeletons,
            self._decode(rearrange(made, "b 1 c lh lw -> b c lh lw")),
        ]

    def _noise_predictor(self, examples: Examples) -> Predict:
        predict = _bind(self.average, examples, self.device)
        if (schedule := velocity_schedule(self.scheduler)) is None:
            return predict
        kept = schedule.to(self.device)
        return lambda z, t: noise_of_velocity(predict(z, t), z, kept[t])

    def _decode(self, latents: Float[Tensor, "b c lh lw"]) -> UInt8[np.ndarray, "b h w 3"]:
        return decode(self.vae, latents / self.vae.config.scaling_factor)


def snr_weights(scheduler: DDIMScheduler, limit: float) -> Float[Tensor, " t"]:
    """The weight of each timestep's error: min(w, limit) / w, where w is what the error in z_0 weighs without it.

    Of predicted noise, w is the signal-to-noise ratio (Hang et al., "Efficient Diffusion Training via Min-SNR Weighting
    Strategy", 2023); of predicted velocity it is that plus 1, so that timesteps with hardly any signal, where the whole
    picture is decided, keep their weight.
    """
    kept = scheduler.alphas_cumprod
    ratio = kept / (1 - kept) + (velocity_schedule(scheduler) is not None)
    return ratio.clamp(max=limit) / ratio


def near_skeletons(skeletons: Float[Tensor, "b 3 h w"], cells: int) -> Float[Tensor, "b lh lw"]:
    """1 where a cell is no farther from a drawn skeleton than its own side, else 0.

    Args:
        skeletons: square pictures.
        cells: along a side.
    """
    side = skeletons.shape[-1] // cells
    drawn = (skeletons > 0).any(dim=1, keepdim=True).float()
    return rearrange(max_pool2d(max_pool2d(drawn, side), 3, 1, padding=1), "b 1 lh lw -> b lh lw")


def heads_of(skeletons: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """What of drawn skeletons belongs to eyes and ears, the rest black; it is known by its colours, purple to pink."""
    red, green, blue = skeletons.split(1, dim=1)
    return skeletons * ((red > 0.5 * blue) & (blue > 0.25 * red) & (green <= 0.02))


def _bind(network: PicturePredictor, examples: Examples, device: torch.device) -> Predict:
    return partial(network, tokens=examples.tokens.to(device), skeletons=examples.skeletons.to(device))
