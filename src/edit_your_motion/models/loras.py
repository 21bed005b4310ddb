"""LoRAs on a base: files of several tools, merged into the weights as they load: W + weight alpha / rank up down."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.networks import digest_of
from edit_your_motion.models.tensor_files import first_line, read_file, read_metadata, shortened
from edit_your_motion.storage.parsing import parse_json

LAYER = re.compile(
    r"(?P<module>.+?)[._](?:lora_linear_layer[._]|lora[._])(?P<side>A|B|down|up)(?:\.\w+)?\.weight|(?P<scaled>.+)\.alpha"
)
"""A tensor's name in whatever layout: of the module, and which of its two matrices, or its alpha."""

OTHER_KINDS = {"hada_": "LoHa", "lokr_": "LoKr", "dora_scale": "DoRA", "lora_magnitude": "DoRA", "lora_mid": "CP LoCon",
               ".diff": "full differences", "oft_": "OFT"}  # fmt: skip
"""What else is shared as if it were LoRA, by what its tensors are called."""

PARTS = {"lora_unet_": "unet", "lora_te_": "text_encoder", "unet.": "unet", "text_encoder.": "text_encoder"}
"""How names of modules begin, and whose they are; without such a beginning, they are the U-Net's."""

TEXT = "text_model."


@dataclass
class _Layer:
    """What a LoRA adds to one module."""

    down: Tensor | None = None
    up: Tensor | None = None
    alpha: float | None = None


@dataclass(frozen=True)
class Lora:
    """One LoRA file.

    Args:
        path: of the file.
        weight: how strongly it is added.
        layers: what it adds, by module: of the U-Net's as "unet.", of the text encoder's as "text_encoder.", with the
            points of the names as underscores.
        digest: of its tensors and weight.
    """

    path: Path
    weight: float
    layers: Mapping[str, _Layer] = field(repr=False)
    digest: str

    def merge(self, part: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """The weights of a network that this changes, by name, changed, in full precision.

        Args:
            part: "unet" or "text_encoder".
            tensors: of the network.

        Raises:
            CheckpointError: if the LoRA has layers that the network lacks, or of other shapes.
        """
        names = {name.removesuffix(".weight").removeprefix(TEXT).replace(".", "_"): name for name in tensors
                 if name.endswith(".weight")}  # fmt: skip
        layers = {name.partition(".")[2]: layer for name, layer in self.layers.items() if name.startswith(f"{part}.")}
        if unknown := layers.keys() - names.keys():
            raise CheckpointError(
                f"the LoRA {self.path} does not fit the base: {len(unknown)} of its layers are not in the {part}: "
                f"{shortened(unknown)}; take one that was made for Stable Diffusion 1.x"
            )
        for module, layer in layers.items():
            yield names[module], self._changed(tensors[names[module]], layer, names[module])

    def _changed(self, weight: Tensor, layer: _Layer, name: str) -> Tensor:
        assert layer.down is not None
        assert layer.up is not None
        down, up = layer.down.float().flatten(1), layer.up.float().flatten(1)
        rank = down.shape[0]
        if up.shape != (weight.shape[0], rank) or down.shape[1] != weight[0].numel():
            raise CheckpointError(
                f"the LoRA {self.path} does not fit the base: its matrices for '{name}' are {tuple(layer.up.shape)} "
                f"and {tuple(layer.down.shape)}, for weights of {tuple(weight.shape)}"
            )
        scale = self.weight * (rank if layer.alpha is None else layer.alpha) / rank
        return weight.float() + scale * (up @ down).reshape(weight.shape)


def load_lora(text: str) -> Lora:
    """The LoRA of a setting: a safetensors file, with a weight after a colon if it is not 1.

    Raises:
        CheckpointError: if it is no LoRA of U-Net and text encoder, or damaged.
    """
    place, _, number = text.rpartition(":")
    weighted = bool(place) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", number) is not None
    path, weight = (Path(place), float(number)) if weighted else (Path(text), 1.0)
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise CheckpointError(
            f"expected a LoRA as FILE.safetensors or FILE.safetensors:WEIGHT, got '{text}': no such file"
        )
    tensors = read_file(path, "LoRA")
    layers = _layers(tensors, _alphas(read_metadata(path, "LoRA"), path), path)
    return Lora(path, weight, layers, digest_of({"weight": weight}, tensors, f"LoRA {path}"))


def merge_loras(loras: Sequence[Lora], part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network with every LoRA merged in, one after the other."""
    for lora in loras:
        tensors = {**tensors, **dict(lora.merge(part, tensors))}
    return tensors


def _layers(tensors: Mapping[str, Tensor], alphas: Mapping[str, float], path: Path) -> dict[str, _Layer]:
    for sign, kind in OTHER_KINDS.items():
        if any(sign in name for name in tensors):
            raise CheckpointError(
                f"expected a LoRA in {path}, got {kind}, which is not read; merge it with its own tool"
            )
    layers: dict[str, _Layer] = {}
    for name, value in tensors.items():
        if (found := LAYER.fullmatch(name)) is None:
            raise CheckpointError(f"expected a LoRA in {path}, got a tensor '{name}', which no layout of LoRAs has")
        layer = layers.setdefault(_module(found["module"] or found["scaled"], path), _Layer())
        match found["side"]:
            case "A" | "down":
                layer.down = value
            case "B" | "up":
                layer.up = value
            case _:
                layer.alpha = float(value.flatten()[0]) if value.numel() == 1 else torch.nan
    for module, layer in layers.items():
        if layer.down is None or layer.up is None or layer.down.ndim < 2 or layer.up.ndim < 2:
            raise CheckpointError(f"the LoRA {path} is incomplete: it lacks one of the two matrices of '{module}'")
        layer.alpha = alphas.get(module.partition(".")[0]) if layer.alpha is None else layer.alpha
        if layer.alpha is not None and not abs(layer.alpha) < torch.inf:
            raise CheckpointError(f"the LoRA {path} is damaged: the alpha of '{module}' is no number")
    if not layers:
        raise CheckpointError(f"expected a LoRA in {path}, found no tensors")
    return layers


def _module(name: str, path: Path) -> str:
    """One name for a module in all layouts: "unet." or "text_encoder.", and underscores for points."""
    name = name.removeprefix("base_model.model.")
    if name.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.", "transformer.", "lora_transformer_")):
        raise CheckpointError(
            f"expected a LoRA of Stable Diffusion 1.x in {path}, got one of another family ('{name}')"
        )
    part = "unet"
    for start in PARTS:
        if name.startswith(start):
            part, name = PARTS[start], name.removeprefix(start)
            break
    # The first attention processors kept their matrices beside the layers.
    name = re.sub(r"\.processor\.to_out$", ".to_out.0", name).replace(".processor.", ".")
    name = name.replace(".", "_")
    return f"{part}.{name.removeprefix('text_model_') if part == 'text_encoder' else name}"


def _alphas(metadata: Mapping[str, str], path: Path) -> dict[str, float]:
    """The alpha of a network's layers where it is kept beside them, as diffusers does, by network."""
    try:
        said: Any = parse_json(metadata.get("lora_adapter_metadata", "{}"))
        return {
            part: float(said[f"{part}.lora_alpha"]) for part in ("unet", "text_encoder") if f"{part}.lora_alpha" in said
        }
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"the LoRA {path} says about itself what is no JSON: {first_line(error)}") from error
