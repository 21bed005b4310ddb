"""The kinds of networks that a base is made of, and how their files of all times are read."""

from collections.abc import Mapping
from typing import Any

from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from edit_your_motion.models.families import refuse_unet
from edit_your_motion.models.networks import Kind

DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model", "model"
"""How the two libraries call a file of weights."""

OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in the attention of VAEs saved before 2023, and of today."""

NO_ACCOUNT = {"sample_size", "force_upcast"}
"""Entries of a configuration that change nothing of what a network computes here."""


def _decisive(network: nn.Module) -> dict[str, Any]:
    """A diffusers configuration without what is there for the record; built ones have every default filled in."""
    config: Any = network.config
    return {name: value for name, value in config.items() if name[0] != "_" and name not in NO_ACCOUNT}


def _decisive_text(network: CLIPTextModel) -> dict[str, Any]:
    return {name: getattr(network.config, name) for name in ("hidden_act", "layer_norm_eps", "num_attention_heads")}


def _rename_vae(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The names of today for those of old attentions, whose projections may be 1x1 convolutions too."""
    renamed = {}
    for name, value in tensors.items():
        words = name.split(".")
        if "attentions" in words:
            name = ".".join(OLD_ATTENTION.get(word, word) for word in words)
            value = value.flatten(1) if name.endswith("weight") and value.ndim > 2 else value
        renamed[name] = value
    return renamed


def _rename_text_encoder(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Versions of transformers disagree on a prefix; positions are counted, not stored."""
    prefix = "text_model."
    named = {name.removeprefix(prefix): value for name, value in tensors.items() if not name.endswith("position_ids")}
    return {f"{prefix}{name}": value for name, value in named.items()} if hasattr(network, "text_model") else named


VAE = Kind("vae", AutoencoderKL.from_config, ("AutoencoderKL",), DIFFUSERS, _decisive, _rename_vae)
TEXT_ENCODER = Kind(
    "text_encoder",
    lambda config: CLIPTextModel(CLIPTextConfig.from_dict(dict(config))),
    ("CLIPTextModel", "CLIPModel", "CLIPTextModelWithProjection"),
    TRANSFORMERS,
    _decisive_text,
    _rename_text_encoder,
)
UNET = Kind(
    "unet", UNet2DConditionModel.from_config, ("UNet2DConditionModel",), DIFFUSERS, _decisive, refuse=refuse_unet
)
CONTROLNET = Kind("controlnet", ControlNetModel.from_config, ("ControlNetModel",), DIFFUSERS, _decisive)
MOTION_ADAPTER = Kind("motion adapter", MotionAdapter.from_config, ("MotionAdapter",), DIFFUSERS, _decisive)
