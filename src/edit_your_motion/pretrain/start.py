"""Starting from another base: its weights wherever they fit, in networks that may be wider or have more channels."""

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from torch import Tensor

from edit_your_motion.errors import ModelFileError
from edit_your_motion.tuning.checkpoints import load_tensors

DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
WEIGHTS_OF = {
    "vae": f"base/vae/{DIFFUSERS_WEIGHTS}",
    "unet": f"base/unet/{DIFFUSERS_WEIGHTS}",
    "controlnet": f"controlnet/{DIFFUSERS_WEIGHTS}",
    "text_encoder": "base/text_encoder/model.safetensors",
}
TOKENIZER = "base/tokenizer"

MEAN_AND_VARIANCE = ("encoder.conv_out.", "quant_conv.")
"""Layers of a VAE whose outputs are the latents' means, then as many logarithms of variances."""


def part_of(start: Path, part: str) -> Path:
    """Where an exported base keeps a part.

    Raises:
        ModelFileError: if it is not there.
    """
    path = start / (TOKENIZER if part == "tokenizer" else WEIGHTS_OF[part])
    if not path.exists():
        raise ModelFileError(
            f"expected a base that 'eym pretrain --export' wrote in {start}, found no {path.relative_to(start)}"
        )
    return path


def start_vae(vae: AutoencoderKL, start: Path) -> None:
    """Puts the weights of the VAE in `start` into `vae`; what it has beyond them stays as it is.

    Raises:
        CheckpointError: if the file is damaged.
        ModelFileError: if there is none.
    """
    for name, parameter, value in _shared(vae, load_tensors(part_of(start, "vae"))):
        if name == "quant_conv.weight":
            halves = [rearrange(weight, "(q o) (k i) 1 1 -> q o k i", q=2, k=2) for weight in (parameter, value)]
            # The channels that were there keep their meaning: new ones take no part in them.
            halves[0][:, : halves[1].shape[1], :, halves[1].shape[3] :] = 0
            _overlay(*halves)
        elif name.startswith(MEAN_AND_VARIANCE):
            _overlay(*(rearrange(weight, "(q o) ... -> q o ...", q=2) for weight in (parameter, value)))
        else:
            _overlay(parameter, value)


def start_predictor(network: torch.nn.Module, start: Path) -> None:
    """Puts the weights of U-Net, ControlNet and text encoder in `start` into a predictor; the rest stays as it is.

    Raises:
        CheckpointError: if a file is damaged.
        ModelFileError: if one is absent.
    """
    for part in ("unet", "controlnet", "text_encoder"):
        for _, parameter, value in _shared(network.get_submodule(part), load_tensors(part_of(start, part))):
            _overlay(parameter, value)


def _shared(network: torch.nn.Module, values: Mapping[str, Tensor]) -> list[tuple[str, Tensor, Tensor]]:
    """Name, place and value of each parameter that both have with as many axes."""
    return [
        (name, parameter.detach(), values[name])
        for name, parameter in network.named_parameters()
        if name in values and values[name].ndim == parameter.ndim
    ]


def _overlay(place: Tensor, value: Tensor) -> None:
    """Copies what both have room for, from the first element of each axis on."""
    common = tuple(slice(min(ours, theirs)) for ours, theirs in zip(place.shape, value.shape, strict=True))
    place[common] = value[common].to(place)
