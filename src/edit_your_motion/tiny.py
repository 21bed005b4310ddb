"""Small checkpoints in the layout of Stable Diffusion 1.5, made on the spot: for tests and for people who extend us."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TOKENS = 77

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
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = make_tokenizer(folder / "tokenizer")
        parts = {
            "vae": make_vae(vae_widths),
            "text_encoder": make_text_encoder(text_width, vocabulary=len(tokenizer)),
            "unet": make_unet(widths, layers_per_block, heads, text_width),
        }
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    for name, part in {**parts, "scheduler": scheduler}.items():
        part.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2))
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        controlnet = ControlNetModel.from_unet(unet)
        if not zero:
            outputs = [*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block]
            for convolution in [*outputs, controlnet.controlnet_cond_embedding.conv_out]:
                nn.init.normal_(convolution.weight, std=0.1)
    controlnet.save_pretrained(folder)
    return folder


def make_motion_adapter(folder: Path, base: Path, *, seed: int = 2) -> Path:
    """Writes an AnimateDiff motion adapter for the base in `base` and returns `folder`."""
    config = UNet2DConditionModel.load_config(base, subfolder="unet")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapter = MotionAdapter(
            block_out_channels=tuple(config["block_out_channels"]),
            motion_layers_per_block=config["layers_per_block"],
            motion_num_attention_heads=config["attention_head_dim"],
        )
    adapter.save_pretrained(folder)
    return folder


def make_tokenizer(folder: Path) -> CLIPTokenizer:
    """Writes a CLIP tokenizer that knows single letters only, and returns it; any text can be tokenized."""
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="<|endoftext|>", model_max_length=TOKENS
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_vae(widths: Sequence[int]) -> AutoencoderKL:
    """An untrained VAE; its sides shrink by 2 for each of `widths` but the last."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=tuple(widths),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=64,
    )


def make_text_encoder(width: int, vocabulary: int) -> CLIPTextModel:
    """An untrained CLIP text encoder of two layers."""
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    return CLIPTextModel(config)


def make_unet(widths: Sequence[int], layers_per_block: int, heads: int, text_width: int) -> UNet2DConditionModel:
    """An untrained U-Net in the architecture of Stable Diffusion 1.5: four levels, the last without attention."""
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=tuple(widths),
        layers_per_block=layers_per_block,
        attention_head_dim=heads,
        cross_attention_dim=text_width,
    )
