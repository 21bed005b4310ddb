"""Starting from another base: its weights wherever they fit, in networks that may be wider, have more channels, more
words, or a VAE of more levels.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from torch import Tensor, nn
from transformers import CLIPTokenizer

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

CONDITION = "controlnet_cond_embedding."
"""The ControlNet's path from skeleton pictures to latent cells."""

GAIN = 8.0
"""SiLU(gain x) / gain is nearly x where x is not negative, as in a skeleton picture."""


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

    Levels that it has more begin at the side of the pixels, where they average neighbours on the way to the latents and
    repeat them on the way back: latents and pictures are those of the picture at the size that `start` knows.

    Raises:
        CheckpointError: if the file is damaged.
        ModelFileError: if there is none, or its VAE has more levels.
    """
    values = load_tensors(part_of(start, "vae"))
    added = len(vae.config.block_out_channels) - _count(values, "encoder.down_blocks.")
    if added < 0:
        raise ModelFileError(
            f"expected a base whose VAE has at most {len(vae.config.block_out_channels)} levels, got one with "
            f"{-added} more in {start}; give architecture.vae_widths as many"
        )
    for name, parameter, value in _shared(vae, _deeper(values, "encoder.down_blocks.", added)):
        if name == "quant_conv.weight":
            halves = [rearrange(weight, "(q o) (k i) 1 1 -> q o k i", q=2, k=2) for weight in (parameter, value)]
            # The channels that were there keep their meaning: new ones take no part in them.
            halves[0][:, : halves[1].shape[1], :, halves[1].shape[3] :] = 0
            _overlay(*halves)
        elif name.startswith(MEAN_AND_VARIANCE):
            _overlay(*(rearrange(weight, "(q o) ... -> q o ...", q=2) for weight in (parameter, value)))
        else:
            if name in ("post_quant_conv.weight", "decoder.conv_in.weight"):
                parameter[:, value.shape[1] :] = 0  # channels that it does not know yet do not disturb
            _overlay(parameter, value)
    for level in range(added):
        _average_neighbours(vae.encoder.down_blocks[level].downsamplers[0].conv, first=0)
        _keep(vae.decoder.up_blocks[-2 - level].upsamplers[0].conv)


def load_anchor(start: Path) -> AutoencoderKL:
    """The VAE in `start`, frozen.

    Raises:
        ModelFileError: if there is none.
    """
    vae = AutoencoderKL.from_pretrained(part_of(start, "vae").parent, torch_dtype=torch.float32)
    return vae.requires_grad_(False).eval()


def start_predictor(network: nn.Module, start: Path, tokenizer: CLIPTokenizer) -> None:
    """Puts the weights of U-Net, ControlNet and text encoder in `start` into a predictor; the rest stays as it is.

    Args:
        network: with these three parts.
        start: an exported base.
        tokenizer: of the predictor's captions; words that both know keep their meaning.

    Raises:
        CheckpointError: if a file is damaged.
        ModelFileError: if one is absent.
    """
    for part in ("unet", "controlnet", "text_encoder"):
        values = load_tensors(part_of(start, part))
        if part == "controlnet":
            values = _start_condition(network.get_submodule("controlnet.controlnet_cond_embedding"), values)
        for name, parameter, value in _shared(network.get_submodule(part), values):
            if name.endswith("token_embedding.weight"):
                _take_words(parameter, value, tokenizer, CLIPTokenizer.from_pretrained(part_of(start, "tokenizer")))
                continue
            if name == "conv_in.weight":
                parameter[:, value.shape[1] :] = 0  # channels that it does not know yet do not disturb
            _overlay(parameter, value)


@torch.no_grad()
def _start_condition(embedding: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ControlNet's weights under the names they go to, after levels that `embedding` has more were made to hand the
    skeleton picture on at the size that `values` know.
    """
    conv_in, *blocks, _ = (part for part in embedding.modules() if isinstance(part, nn.Conv2d))
    added = (len(blocks) - _count(values, f"{CONDITION}blocks.")) // 2
    deeper = _deeper(values, f"{CONDITION}blocks.", 2 * added)
    if added <= 0:
        return deeper
    # The others keep their random weights: from channels that nobody feeds and nobody reads no gradient comes.
    _keep(conv_in, GAIN, channels=3)
    for level in range(added):
        _average_neighbours(blocks[2 * level], first=1)
        _keep(blocks[2 * level + 1])
    # What saw the picture's colours comes last of what was added.
    last = blocks[2 * added - 1]
    last.weight[:, 3:] = 0
    _overlay(last.weight, deeper.pop(f"{CONDITION}conv_in.weight") / GAIN)
    if last.bias is not None:
        _overlay(last.bias, deeper.pop(f"{CONDITION}conv_in.bias"))
    return deeper


def _take_words(place: Tensor, value: Tensor, tokenizer: CLIPTokenizer, theirs: CLIPTokenizer) -> None:
    """Copies the embeddings of the tokens that both tokenizers have."""
    known = theirs.get_vocab()
    for token, index in tokenizer.get_vocab().items():
        if token in known:
            _overlay(place[index], value[known[token]])


def _count(values: Mapping[str, Tensor], blocks: str) -> int:
    """How many blocks the names that begin so are of."""
    return len({name.removeprefix(blocks).split(".")[0] for name in values if name.startswith(blocks)})


def _deeper(values: Mapping[str, Tensor], blocks: str, by: int) -> dict[str, Tensor]:
    """The values with the numbers of these blocks raised."""

    def rename(name: str) -> str:
        if not name.startswith(blocks):
            return name
        number, _, rest = name.removeprefix(blocks).partition(".")
        return f"{blocks}{int(number) + by}.{rest}"

    return {rename(name): value for name, value in values.items()}


@torch.no_grad()
def _keep(convolution: nn.Conv2d, gain: float = 1.0, channels: int | None = None) -> None:
    """Makes a convolution of 3x3 hand its channels on, as many as it can; or the first so many, others as they were."""
    _clear(convolution, channels)
    for channel in range(channels or min(convolution.weight.shape[:2])):
        convolution.weight[channel, channel, 1, 1] = gain


@torch.no_grad()
def _average_neighbours(convolution: nn.Conv2d, first: int) -> None:
    """Makes a convolution of 3x3 hand on the mean of two by two pixels, the first at this row and column of it."""
    _clear(convolution)
    for channel in range(min(convolution.weight.shape[:2])):
        convolution.weight[channel, channel, first : first + 2, first : first + 2] = 0.25


def _clear(convolution: nn.Conv2d, channels: int | None = None) -> None:
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter[:channels])


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
