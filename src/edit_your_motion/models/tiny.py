"""Small checkpoints in the layout of Stable Diffusion 1.5, made on the spot: for tests and for people who extend us."""

import json
from collections.abc import Sequence
from pathlib import Path

from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from edit_your_motion.config import Prediction
from edit_your_motion.errors import ConfigError
from edit_your_motion.models.tokenizers import LENGTH, make_tokenizer
from edit_your_motion.runtime.random import initialised
from edit_your_motion.storage.files import written_whole

MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
}
"""Lets a stock ``StableDiffusionPipeline`` load the folder too."""


def make_base(
    folder: Path,
    *,
    widths: Sequence[int] = (32, 64, 64, 64),
    layers_per_block: int = 1,
    heads: int = 4,
    text_width: int = 32,
    vae_widths: Sequence[int] = (16, 16, 32, 32),
    seed: int = 0,
) -> Path:
    """Writes an untrained base in the ``diffusers`` folder layout of Stable Diffusion 1.5 and returns `folder`.

    Args:
        folder: where to write; made if it is absent.
        widths: channels of the U-Net's four levels, multiples of 32; (320, 640, 1280, 1280) in Stable Diffusion 1.5.
        layers_per_block: residual blocks a level; 2 in Stable Diffusion 1.5.
        heads: attention heads; 8 in Stable Diffusion 1.5.
        text_width: of the text encoder's embeddings; 768 in Stable Diffusion 1.5.
        vae_widths: channels of the VAE's levels, multiples of 16; each level but the last halves the sides.
        seed: of the random weights.

    Raises:
        ConfigError: if `widths` are not four multiples of 32.
    """
    if len(widths) != 4 or any(width < 32 or width % 32 for width in widths):
        raise ConfigError(f"expected the U-Net's widths as four multiples of 32, got {', '.join(map(str, widths))}")
    with written_whole(folder) as place, initialised(seed):
        tokenizer = make_tokenizer(place / "tokenizer")
        parts = {
            "vae": make_vae(vae_widths),
            "text_encoder": make_text_encoder(text_width, vocabulary=len(tokenizer)),
            "unet": make_unet(widths, layers_per_block, heads, text_width),
        }
        for name, part in {**parts, "scheduler": make_scheduler()}.items():
            part.save_pretrained(place / name)
        (place / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2), encoding="utf-8")
    return folder


def make_controlnet(folder: Path, base: Path, *, zero: bool = False, seed: int = 1) -> Path:
    """Writes a ControlNet for the base in `base` and returns `folder`.

    Args:
        folder: where to write; made if it is absent.
        base: a folder in the layout of `make_base`.
        zero: leave its output convolutions at zero, as at the start of a ControlNet's training; else they are random,
            so that its residuals mean something in tests.
        seed: of the random weights.
    """
    unet = UNet2DConditionModel.from_pretrained(base, subfolder="unet")
    with initialised(seed):
        controlnet = ControlNetModel.from_unet(unet)
        if not zero:
            outputs = [*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block]
            for convolution in [*outputs, controlnet.controlnet_cond_embedding.conv_out]:
                nn.init.normal_(convolution.weight, std=0.1)
    with written_whole(folder) as place:
        controlnet.save_pretrained(place)
    return folder


def make_motion_adapter(folder: Path, base: Path, *, seed: int = 2) -> Path:
    """Writes an AnimateDiff motion adapter for the base in `base` and returns `folder`."""
    config = UNet2DConditionModel.load_config(base, subfolder="unet")
    with initialised(seed):
        adapter = MotionAdapter(
            block_out_channels=tuple(config["block_out_channels"]),
            motion_layers_per_block=config["layers_per_block"],
            motion_num_attention_heads=config["attention_head_dim"],
        )
    with written_whole(folder) as place:
        adapter.save_pretrained(place)
    return folder


def make_vae(
    widths: Sequence[int], *, latent_channels: int = 4, groups: int = 16, sample_size: int = 64
) -> AutoencoderKL:
    """An untrained VAE; its sides shrink by 2 for each of `widths` but the last.

    Args:
        widths: channels of its levels, multiples of `groups`.
        latent_channels: 4 in Stable Diffusion 1.5.
        groups: that the channels are normalised in; 32 in Stable Diffusion 1.5.
        sample_size: side of the pictures, pixels.
    """
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=tuple(widths),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=groups,
        sample_size=sample_size,
    )


def make_text_encoder(
    width: int, vocabulary: int, *, layers: int = 2, heads: int = 2, tokens: int = LENGTH
) -> CLIPTextModel:
    """An untrained CLIP text encoder.

    Args:
        width: of its embeddings, a multiple of `heads`.
        vocabulary: how many tokens there are; the last two begin and end a text.
        layers: 12 in Stable Diffusion 1.5.
        heads: attention heads; 12 in Stable Diffusion 1.5.
        tokens: the longest prompt.
    """
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=tokens,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    return CLIPTextModel(config)


def make_unet(
    widths: Sequence[int],
    layers_per_block: int,
    heads: int,
    text_width: int,
    *,
    latent_channels: int = 4,
    sample_size: int = 8,
) -> UNet2DConditionModel:
    """An untrained U-Net in the architecture of Stable Diffusion 1.5: four levels, the last without attention.

    Args:
        widths: channels of its levels, multiples of 32.
        layers_per_block: residual blocks a level.
        heads: attention heads.
        text_width: of the text encoder's embeddings.
        latent_channels: of the VAE.
        sample_size: side of the pictures, latent cells.
    """
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=tuple(widths),
        layers_per_block=layers_per_block,
        attention_head_dim=heads,
        cross_attention_dim=text_width,
    )


def make_scheduler(prediction: Prediction = "epsilon") -> DDIMScheduler:
    """The noise schedule of Stable Diffusion 1.5.

    Args:
        prediction: what the U-Net says about noisy latents; "epsilon" in Stable Diffusion 1.5.
    """
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
