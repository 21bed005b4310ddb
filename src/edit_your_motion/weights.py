"""Where pretrained networks come from: folders or hub names in the ``diffusers`` layout, safetensors only."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from edit_your_motion.config import OPENPOSE_CONTROLNET, Prediction
from edit_your_motion.errors import CheckpointError
from edit_your_motion.nn.frozen import store

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
"""Subfolders of a base."""

SMALL = "small"
"""Name of the base that ships with the package."""

SMALL_FOLDER = Path(__file__).parent / "small"

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Base:
    """The frozen networks of Stable Diffusion 1.5, or of anything with its architecture, and a ControlNet."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    controlnet: ControlNetModel
    motion_adapter: MotionAdapter | None

    @property
    def pixels_per_latent(self) -> int:
        """Pixels that one latent cell covers, along one side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def side_multiple(self) -> int:
        """What the sides of a picture are multiples of, in pixels: no level of the U-Net has a half cell."""
        return self.pixels_per_latent * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def native_side(self) -> int:
        """Side of the square pictures that the base was trained on, pixels."""
        return self.unet.config.sample_size * self.pixels_per_latent


def load_base(
    base: str,
    controlnet: str,
    motion_adapter: str | None = None,
    dtype: torch.dtype = torch.float32,
    storage: torch.dtype | None = None,
) -> Base:
    """Loads a base with its ControlNet.

    Args:
        base: folder or hub name, or "small" for the one that ships.
        controlnet: folder or hub name; the small base's own takes the place of Stable Diffusion 1.5's.
        motion_adapter: folder or hub name of an AnimateDiff adapter, or None.
        dtype: of the U-Net, the ControlNet, the adapter and the text encoder. The VAE stays in fp32: in fp16 the one
            of Stable Diffusion 1.5 overflows on some pictures.
        storage: in which the weights of all of them wait until they are computed with, the VAE's too, the adapter's
            excepted; None for the type that they are computed in.

    Raises:
        CheckpointError: if something is missing, is a pickle, or does not belong to the architecture.
    """
    base, controlnet = _places(base, controlnet)
    if Path(base).is_dir() and (missing := [part for part in PARTS if not Path(base, part).is_dir()]):
        raise CheckpointError(
            f"expected the folders {', '.join(PARTS)} in {base}, found no {', '.join(missing)}; "
            "give a base in the diffusers layout of Stable Diffusion 1.5"
        )

    def load(kind: Callable[..., Loaded], **options: object) -> Loaded:
        return _load(kind, base, use_safetensors=True, **options)

    loaded = storage or dtype
    vae = load(AutoencoderKL.from_pretrained, subfolder="vae", torch_dtype=storage or torch.float32)
    unet = load(UNet2DConditionModel.from_pretrained, subfolder="unet", torch_dtype=loaded)
    text_encoder = load(CLIPTextModel.from_pretrained, subfolder="text_encoder", dtype=loaded)
    tokenizer = _load(CLIPTokenizer.from_pretrained, base, subfolder="tokenizer")
    scheduler = _load(DDIMScheduler.from_pretrained, base, subfolder="scheduler")
    _check_fit(vae, unet, text_encoder, tokenizer, scheduler)
    control = _load(ControlNetModel.from_pretrained, controlnet, use_safetensors=True, torch_dtype=loaded)
    if storage is not None:
        store(vae, storage, torch.float32)
        for network in (unet, text_encoder, control):
            store(network, storage, dtype)
    return Base(
        vae=vae.eval().requires_grad_(False),
        text_encoder=text_encoder.eval().requires_grad_(False),
        tokenizer=tokenizer,
        unet=unet.eval().requires_grad_(False),
        # The scheduler of a checkpoint may be of another class whose defaults clip; latents have no fixed range.
        scheduler=DDIMScheduler.from_config(scheduler.config, clip_sample=False),
        controlnet=control.eval().requires_grad_(False),
        motion_adapter=None
        if motion_adapter is None
        else _load(MotionAdapter.from_pretrained, motion_adapter, use_safetensors=True, torch_dtype=dtype).eval(),
    )


@dataclass(frozen=True)
class Architecture:
    """What the networks of a base look like, without their weights: the configurations beside them.

    Args:
        vae: of diffusers' ``AutoencoderKL``.
        text_encoder: of transformers' ``CLIPTextModel``.
        unet: of diffusers' ``UNet2DConditionModel``.
        controlnet: of diffusers' ``ControlNetModel``.
    """

    vae: dict[str, Any]
    text_encoder: CLIPTextConfig
    unet: dict[str, Any]
    controlnet: dict[str, Any]

    @property
    def pixels_per_latent(self) -> int:
        """Pixels that one latent cell covers, along one side."""
        return 2 ** (len(self.vae["block_out_channels"]) - 1)

    @property
    def side_multiple(self) -> int:
        """What the sides of a picture are multiples of, in pixels."""
        return self.pixels_per_latent * 2 ** (len(self.unet["block_out_channels"]) - 1)

    @property
    def native_side(self) -> int:
        """Side of the square pictures that the base was trained on, pixels."""
        return int(self.unet["sample_size"]) * self.pixels_per_latent


def load_architecture(base: str, controlnet: str) -> Architecture:
    """What the networks of a base and its ControlNet look like; takes no weights.

    Raises:
        CheckpointError: if a configuration is missing.
    """
    base, controlnet = _places(base, controlnet)
    return Architecture(
        vae=dict(_load(AutoencoderKL.load_config, base, subfolder="vae")),
        text_encoder=_load(CLIPTextConfig.from_pretrained, base, subfolder="text_encoder"),
        unet=dict(_load(UNet2DConditionModel.load_config, base, subfolder="unet")),
        controlnet=dict(_load(ControlNetModel.load_config, controlnet)),
    )


def _places(base: str, controlnet: str) -> tuple[str, str]:
    """Where the networks lie: of the base that ships, and of its own ControlNet, in the package."""
    if base != SMALL:
        return base, controlnet
    own = controlnet in (SMALL, OPENPOSE_CONTROLNET)
    return str(SMALL_FOLDER / "base"), str(SMALL_FOLDER / "controlnet") if own else controlnet


def _load(load: Callable[..., Loaded], name: str, **options: object) -> Loaded:
    """One network or tokenizer, with every failure of the libraries below as one clear error."""
    part = options.get("subfolder", "weights")
    here = Path(name).is_dir()
    if not here and (name.count("/") > 1 or name.startswith((".", "/", "~"))):  # never a hub name
        raise CheckpointError(f"expected a folder or a hub name, got '{name}', and there is no such folder")
    try:
        return load(name, **options)
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        if "safetensors" in str(error) and _has_pickles(Path(name, str(options.get("subfolder", "")))):
            raise CheckpointError(
                f"expected safetensors in {name} ({part}), found only pickled weights, which can run anything on "
                "loading; convert them with a tool that you trust, or take a checkpoint that has safetensors"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"could not load {part} of {name}{'' if here else ', which is no folder here, from the hub'}: {reason} "
            "(expected a folder or a hub name in the diffusers layout of Stable Diffusion 1.5)"
        ) from error


def _has_pickles(folder: Path) -> bool:
    return any(file.suffix in {".bin", ".pt", ".pth", ".ckpt"} for file in folder.glob("*"))


def _check_fit(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    scheduler: DDIMScheduler,
) -> None:
    facts = {
        "latent channels (VAE, U-Net)": (vae.config.latent_channels, unet.config.in_channels),
        "text width (text encoder, U-Net)": (text_encoder.config.hidden_size, unet.config.cross_attention_dim),
        # A tokenizer without its files loads all the same, with an empty vocabulary.
        "numbers of tokens (text encoder, tokenizer)": (text_encoder.config.vocab_size, len(tokenizer)),
    }
    for what, (expected, got) in facts.items():
        if expected != got:
            raise CheckpointError(f"the parts of the base do not fit each other: {what} are {expected} and {got}")
    if scheduler.config.prediction_type not in get_args(Prediction):
        raise CheckpointError(
            f"expected a base that predicts {' or '.join(get_args(Prediction))}, got one that predicts "
            f"'{scheduler.config.prediction_type}' (prediction_type in its scheduler_config.json)"
        )
