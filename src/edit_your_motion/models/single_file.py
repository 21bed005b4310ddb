"""Checkpoints in one file: Stable Diffusion 1.x in its original layout, a ControlNet or a VAE in that or diffusers'.

Nothing is asked of a hub: the architecture is read off the names and shapes of the tensors, and what shapes do not
show (heads, groups, the VAE's scale) is that of Stable Diffusion 1.x. The renaming is that of diffusers.
"""

from collections.abc import Callable, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from diffusers.loaders.single_file_utils import (
    convert_controlnet_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.kinds import CONTROLNET, TEXT_ENCODER, UNET, VAE
from edit_your_motion.models.networks import Checkpoint, check_class, describe
from edit_your_motion.models.tensor_files import read_file, read_json, read_metadata, shortened

UNET_PREFIX, VAE_PREFIX, CONTROL_PREFIX = "model.diffusion_model.", "first_stage_model.", "control_model."
TEXT_PREFIX, OPEN_CLIP_PREFIX = "cond_stage_model.transformer.", "cond_stage_model.model."

HEADS, WIDTH_OF_TEXT_HEAD = 8, 64
"""Of Stable Diffusion 1.x's U-Net, and of CLIP's text encoders; shapes do not show them."""

SIGNS = {
    "Stable Diffusion XL": ("conditioner.embedders.", "lora_te2_"),
    "Stable Diffusion 3": ("model.diffusion_model.joint_blocks.", "joint_blocks."),
    "Flux": ("model.diffusion_model.double_blocks.", "double_blocks.", "transformer.single_transformer_blocks."),
    "Stable Diffusion 2.x": (OPEN_CLIP_PREFIX,),
    "a LoRA (give it as --model.lora, beside a base)": ("lora_unet_", "lora_te_", "unet.lora", "base_model.model."),
    "a ControlNet (give it as --controlnet)": ("zero_convs.", "input_hint_block.", "controlnet_cond_embedding."),
    "a VAE alone (give it as --model.vae, beside a base)": (
        "encoder.down.",
        "encoder.down_blocks.",
        "first_stage_model.",
    ),
    "a U-Net alone": (UNET_PREFIX, "down_blocks.", "input_blocks."),
}
"""Whose tensors are called how; the first sign that is found decides."""

Tensors = Mapping[str, Tensor]

SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""The noise schedule of Stable Diffusion 1.x."""


def open_base_file(path: Path) -> tuple[dict[str, Checkpoint[Any]], dict[str, Any]]:
    """U-Net, VAE and text encoder of a checkpoint in one file, by part, and its schedule.

    Raises:
        CheckpointError: if it is of another family, which is named, or lacks a part.
    """
    tensors = read_file(path, "base")
    unet, text = _under(UNET_PREFIX, _averaged(tensors)), _under(TEXT_PREFIX, tensors)
    if not unet or not text or not _under(VAE_PREFIX, tensors):
        raise CheckpointError(
            f"expected a checkpoint of Stable Diffusion 1.x in {path}, with the tensors {UNET_PREFIX}*, {VAE_PREFIX}* "
            f"and {TEXT_PREFIX}*, got {_recognise(tensors)}"
        )
    parts = {
        "unet": _describe_unet(unet, f"unet in {path}"),
        "vae": _describe_vae(_under(VAE_PREFIX, tensors), f"vae in {path}"),
        "text_encoder": describe(TEXT_ENCODER, _config_of_text(text), f"text_encoder in {path}", lambda: text),
    }
    # Files made by tools that follow a convention for such words say what they predict; most others predict noise.
    said = read_metadata(path, "base").get("modelspec.prediction_type", "epsilon")
    velocity = said.startswith("v") or "v_pred" in tensors
    return parts, {**SCHEDULE, "prediction_type": "v_prediction" if velocity else "epsilon"}


def open_controlnet_file(path: Path) -> Checkpoint[Any]:
    """A ControlNet in one file, in the original layout or diffusers'.

    Raises:
        CheckpointError: if it is something else.
    """
    tensors, what = read_file(path, "controlnet"), f"controlnet in {path}"
    if beside := _config_beside(path, CONTROLNET):
        return describe(CONTROLNET, beside, what, lambda: tensors)
    named = _under(CONTROL_PREFIX, tensors) or tensors
    if "zero_convs.0.0.weight" in named:
        named = _convert(convert_controlnet_checkpoint, named, "", _layers_of(named), what)
    if "controlnet_cond_embedding.conv_in.weight" not in named:
        raise CheckpointError(f"expected a ControlNet of Stable Diffusion 1.x in {path}, got {_recognise(tensors)}")
    embedding = [named["controlnet_cond_embedding.conv_in.weight"]]
    for i in count(1, 2):
        if (layer := named.get(f"controlnet_cond_embedding.blocks.{i}.weight")) is None:
            break
        embedding.append(layer)
    config = {
        **_config_of_unet(named, what),
        "conditioning_channels": embedding[0].shape[1],
        "conditioning_embedding_out_channels": [layer.shape[0] for layer in embedding],
    }
    del config["up_block_types"], config["sample_size"]
    return describe(CONTROLNET, config, what, lambda: named)


def open_vae_file(path: Path) -> Checkpoint[Any]:
    """A VAE in one file, in the original layout or diffusers'; a whole checkpoint's will do.

    Raises:
        CheckpointError: if it is something else.
    """
    tensors, what = read_file(path, "vae"), f"vae in {path}"
    if beside := _config_beside(path, VAE):
        return describe(VAE, beside, what, lambda: tensors)
    named = _under(VAE_PREFIX, tensors) or tensors
    if "encoder.conv_in.weight" not in named:
        raise CheckpointError(f"expected a VAE of Stable Diffusion 1.x in {path}, got {_recognise(tensors)}")
    return _describe_vae(named, what)


def _config_beside(path: Path, kind: Any) -> dict[str, Any] | None:
    """The configuration in the same folder, as diffusers saves it, which says what shapes do not."""
    config = path.parent / "config.json"
    if path.stem.split(".")[0] != kind.stem or not config.is_file():
        return None
    content = read_json(config, kind.title)
    check_class(content, kind, str(path.parent))
    return content


def _describe_unet(unet: Tensors, what: str) -> Checkpoint[Any]:
    named = _convert(convert_ldm_unet_checkpoint, unet, UNET_PREFIX, _layers_of(unet), what)
    config = {**_config_of_unet(named, what), "out_channels": _at(named, "conv_out.weight", what).shape[0]}
    return describe(UNET, config, what, lambda: named)


def _describe_vae(vae: Tensors, what: str) -> Checkpoint[Any]:
    own = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")  # a training keeps its losses beside them
    named = {name: value for name, value in vae.items() if name.startswith(own)}
    if "encoder.down.0.block.0.conv1.weight" in named:
        levels = ("",) * _counted(named, "encoder.down.{}.block.0.conv1.weight")
        named = _convert(
            convert_ldm_vae_checkpoint, named, VAE_PREFIX, {"down_block_types": levels, "up_block_types": levels}, what
        )
    widths = _widths(named, "encoder.down_blocks.{}.resnets.0.conv1.weight", what)
    config = {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": _counted(named, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "latent_channels": _at(named, "decoder.conv_in.weight", what).shape[1],
    }
    return describe(VAE, config, what, lambda: named)


def _config_of_unet(named: Tensors, what: str) -> dict[str, Any]:
    """The configuration of a U-Net, or of the half of one that a ControlNet is, under diffusers' names."""
    widths = _widths(named, "down_blocks.{}.resnets.0.conv1.weight", what)
    attention = [f"down_blocks.{level}.attentions.0.norm.weight" in named for level in range(len(widths))]
    texts = {value.shape[1] for name, value in named.items() if name.endswith("attn2.to_k.weight")}
    projections = [value.ndim for name, value in named.items() if name.endswith("proj_in.weight")]
    if len(texts) != 1:
        raise CheckpointError(f"could not load {what}: expected one text width in it, got {sorted(texts)}")
    return {
        "sample_size": 64,
        "in_channels": _at(named, "conv_in.weight", what).shape[1],
        "block_out_channels": widths,
        "layers_per_block": _counted(named, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["CrossAttnDownBlock2D" if has else "DownBlock2D" for has in attention],
        "up_block_types": ["CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attention)],
        "cross_attention_dim": texts.pop(),
        "attention_head_dim": HEADS,
        "use_linear_projection": 2 in projections,
        **({"class_embed_type": "projection"} if "class_embedding.linear_1.weight" in named else {}),
    }


def _config_of_text(text: Tensors) -> dict[str, Any]:
    """The configuration of one of CLIP's text encoders."""
    plain = {name.removeprefix("text_model."): value for name, value in text.items()}
    vocabulary, width = _at(plain, "embeddings.token_embedding.weight", "text_encoder").shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": _at(plain, "encoder.layers.0.mlp.fc1.weight", "text_encoder").shape[0],
        "num_hidden_layers": _counted(plain, "encoder.layers.{}.mlp.fc1.weight"),
        "num_attention_heads": max(width // WIDTH_OF_TEXT_HEAD, 1),
        "max_position_embeddings": _at(plain, "embeddings.position_embedding.weight", "text_encoder").shape[0],
        "hidden_act": "quick_gelu",
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def _averaged(tensors: Tensors) -> Tensors:
    """The tensors with the running average of the U-Net in its place, where a checkpoint has both."""
    averages = {name: f"model_ema.{name.removeprefix('model.').replace('.', '')}" for name in tensors}
    return {
        name: tensors.get(averages[name], value) if name.startswith(UNET_PREFIX) else value
        for name, value in tensors.items()
    }


def _convert(
    convert: Callable[..., dict[str, Tensor]], tensors: Tensors, prefix: str, config: Mapping[str, Any], what: str
) -> dict[str, Tensor]:
    """Tensors under diffusers' names; none may be lost on the way."""
    try:
        named = convert({f"{prefix}{name}": value for name, value in tensors.items()}, dict(config))
    except (KeyError, AttributeError, IndexError, ValueError, TypeError) as error:
        raise CheckpointError(f"could not load {what}: a tensor of the original layout is missing: {error}") from error
    named = {name: value for name, value in named.items() if value is not None}
    kept = {value.data_ptr() for value in named.values()}
    if lost := [name for name, value in tensors.items() if value.data_ptr() not in kept]:
        raise CheckpointError(
            f"could not load {what}: {len(lost)} of its tensors have no place in Stable Diffusion 1.x: "
            f"{shortened(lost)}"
        )
    return named


def _layers_of(tensors: Tensors) -> dict[str, int]:
    """Residual blocks of a level in the original layout: the first level's, which a convolution ends."""
    layers = takewhile(lambda i: f"input_blocks.{i}.0.in_layers.2.weight" in tensors, count(1))
    return {"layers_per_block": max(len(list(layers)), 1)}


def _under(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _counted(tensors: Tensors, pattern: str) -> int:
    """For how many numbers from 0 on there is a tensor of that name."""
    return len(list(takewhile(lambda i: pattern.format(i) in tensors, count())))


def _widths(tensors: Tensors, pattern: str, what: str) -> list[int]:
    """Channels of each level."""
    if not (levels := _counted(tensors, pattern)):
        raise CheckpointError(f"could not load {what}: found no '{pattern.format(0)}' in it")
    return [tensors[pattern.format(i)].shape[0] for i in range(levels)]


def _at(tensors: Tensors, name: str, what: str) -> Tensor:
    if name not in tensors or tensors[name].ndim < 2:
        raise CheckpointError(f"could not load {what}: expected '{name}', which is missing")
    return tensors[name]


def _recognise(tensors: Tensors) -> str:
    """What a file holds instead, in words."""
    for family, starts in SIGNS.items():
        if any(name.startswith(starts) for name in tensors):
            return family
    return f"tensors that we do not know: {shortened(tensors)}"
