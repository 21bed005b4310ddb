"""Where pretrained networks come from: folders, files or hub names, safetensors only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from edit_your_motion.config import OPENPOSE_CONTROLNET
from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.families import refuse_pipeline
from edit_your_motion.models.hub import find
from edit_your_motion.models.kinds import CONTROLNET, MOTION_ADAPTER, TEXT_ENCODER, UNET, VAE
from edit_your_motion.models.loras import load_lora, merge_loras
from edit_your_motion.models.networks import Checkpoint, Kind, digest_of, load_network, open_folder
from edit_your_motion.models.schedules import make_schedule, schedule_facts
from edit_your_motion.models.shipped import SMALL, SMALL_FOLDER
from edit_your_motion.models.single_file import open_base_file, open_controlnet_file, open_vae_file
from edit_your_motion.models.tensor_files import choose_files, pickles_only, read_json
from edit_your_motion.models.tokenizers import clip_tokenizer, find_tokenizer, load_tokenizer, tokenizer_facts
from edit_your_motion.nn.noise_predictor import check_controlnet
from edit_your_motion.nn.video_unet import check_architecture, check_motion_adapter
from edit_your_motion.runtime.weight_storage import store

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
"""Subfolders of a base."""

NETWORKS: dict[str, Kind[Any]] = {"unet": UNET, "vae": VAE, "text_encoder": TEXT_ENCODER}
"""What of them are networks."""


@dataclass(frozen=True)
class Base:
    """The frozen networks of Stable Diffusion 1.5, or of anything with its architecture, and a ControlNet.

    Args:
        digests: of each part, of all that decides what it computes.
    """

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    controlnet: ControlNetModel
    motion_adapter: MotionAdapter | None
    digests: Mapping[str, str]

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
    *,
    vae: str | None = None,
    tokenizer: str | None = None,
    lora: Sequence[str] = (),
) -> Base:
    """Loads a base with its ControlNet.

    Args:
        base: folder, file or hub name, or "small" for the one that ships.
        controlnet: folder, file or hub name; the small base's own takes the place of Stable Diffusion 1.5's.
        motion_adapter: folder or hub name of an AnimateDiff adapter, or None.
        dtype: of the U-Net, the ControlNet, the adapter and the text encoder. The VAE stays in fp32: in fp16 the one
            of Stable Diffusion 1.5 overflows on some pictures.
        storage: in which the weights of all of them wait until they are computed with, the VAE's too, the adapter's
            excepted; None for the type that they are computed in.
        vae: folder, file or hub name of another VAE than the base's.
        tokenizer: folder or hub name of another tokenizer.
        lora: files, each with a weight after a colon if it is not 1, merged into U-Net and text encoder.

    Raises:
        CheckpointError: if something is missing, is a pickle, or does not belong to the architecture.
    """
    # Everything small first: what does not fit should not come out after gigabytes.
    found = _find_base(base, controlnet, motion_adapter, vae=vae, tokenizer=tokenizer)
    _check_fit(found)
    loras = [load_lora(text) for text in lora]
    loaded = storage or dtype
    decoder, vae_digest = load_network(found.vae, storage or torch.float32)
    unet, unet_digest = load_network(found.unet, loaded, partial(merge_loras, loras, "unet"))
    text_encoder, text_digest = load_network(found.text_encoder, loaded, partial(merge_loras, loras, "text_encoder"))
    control, control_digest = load_network(found.controlnet, loaded)
    digests = {
        "U-Net": unet_digest,
        "VAE": vae_digest,
        "text encoder": text_digest,
        "tokenizer": digest_of(tokenizer_facts(found.tokenizer)),
        "scheduler": digest_of(schedule_facts(found.scheduler), {"betas": found.scheduler.betas}),
        "ControlNet": control_digest,
        **({"LoRA": digest_of({"each": [lora.digest for lora in loras]})} if loras else {}),
    }
    motion = None
    if found.motion_adapter is not None:
        motion, digests["motion adapter"] = load_network(found.motion_adapter, dtype)
        motion.requires_grad_(True)
    if storage is not None:
        store(decoder, storage, torch.float32)
        for network in (unet, text_encoder, control):
            store(network, storage, dtype)
    return Base(decoder, text_encoder, found.tokenizer, unet, found.scheduler, control, motion, digests)


def check_base(
    base: str,
    controlnet: str,
    motion_adapter: str | None = None,
    *,
    vae: str | None = None,
    tokenizer: str | None = None,
    lora: Sequence[str] = (),
) -> None:
    """Passes what `load_base` can load, as far as that can be told without the networks' weights.

    Raises:
        CheckpointError: as of `load_base`.
    """
    _check_fit(_find_base(base, controlnet, motion_adapter, vae=vae, tokenizer=tokenizer))
    for text in lora:
        load_lora(text)


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


def load_architecture(base: str, controlnet: str, *, vae: str | None = None) -> Architecture:
    """What the networks of a base and its ControlNet look like; takes no weights.

    Raises:
        CheckpointError: if a configuration is missing.
    """
    found = _find_base(base, controlnet, vae=vae)
    return Architecture(
        vae=dict(found.vae.config),
        text_encoder=found.text_encoder.config,
        unet=dict(found.unet.config),
        controlnet=dict(found.controlnet.config),
    )


@dataclass(frozen=True)
class _Found:
    """The parts of a base and its ControlNet, of which nothing large is read yet."""

    vae: Checkpoint[AutoencoderKL]
    text_encoder: Checkpoint[CLIPTextModel]
    tokenizer: CLIPTokenizer
    unet: Checkpoint[UNet2DConditionModel]
    scheduler: DDIMScheduler
    controlnet: Checkpoint[ControlNetModel]
    motion_adapter: Checkpoint[MotionAdapter] | None


def _find_base(
    base: str,
    controlnet: str,
    motion_adapter: str | None = None,
    *,
    vae: str | None = None,
    tokenizer: str | None = None,
) -> _Found:
    if base == SMALL:
        base = str(SMALL_FOLDER / "base")
        if controlnet in (SMALL, OPENPOSE_CONTROLNET):
            controlnet = str(SMALL_FOLDER / "controlnet")
    place = find(base, _files_of_base, "unet/config.json", "give a folder with a base, or '--base small'")
    parts, schedule = open_base_file(place) if place.is_file() else _open_base_folder(place)
    return _Found(
        vae=parts["vae"] if vae is None else _open(vae, VAE),
        text_encoder=parts["text_encoder"],
        tokenizer=find_tokenizer(tokenizer)
        if tokenizer is not None
        else clip_tokenizer()
        if place.is_file()
        else load_tokenizer(place / "tokenizer"),
        unet=parts["unet"],
        scheduler=make_schedule(schedule, str(place)),
        controlnet=_open(controlnet, CONTROLNET),
        motion_adapter=None if motion_adapter is None else _open(motion_adapter, MOTION_ADAPTER),
    )


def _open_base_folder(folder: Path) -> tuple[dict[str, Checkpoint[Any]], dict[str, Any]]:
    """The networks of a base in a folder, by part, and its schedule."""
    refuse_pipeline(folder)
    if missing := [part for part in PARTS if not (folder / part).is_dir()]:
        raise CheckpointError(
            f"expected the folders {', '.join(PARTS)} in {folder}, found no {', '.join(missing)}; "
            "give a base in the diffusers layout of Stable Diffusion 1.5, or a checkpoint in one file"
        )
    parts = {part: open_folder(folder / part, kind) for part, kind in NETWORKS.items()}
    return parts, read_json(folder / "scheduler" / "scheduler_config.json", f"scheduler in {folder}")


def _open(name: str, kind: Kind[Any]) -> Checkpoint[Any]:
    """One network, in a folder or in a file."""
    place = _find(name, kind)
    if place.is_dir():
        return open_folder(place / "vae" if kind is VAE and (place / "vae").is_dir() else place, kind)
    if kind is MOTION_ADAPTER:
        raise CheckpointError(f"expected a folder with a motion adapter in the diffusers layout, got the file {place}")
    return open_vae_file(place) if kind is VAE else open_controlnet_file(place)


def _find(name: str, kind: Kind[Any]) -> Path:
    """Where one network lies."""
    remedy = f"give a folder with a {kind.title}" + (", or take '--base small'" if kind is CONTROLNET else "")
    return find(name, partial(_files_of_network, kind=kind), "config.json", remedy)


def _files_of_base(names: Sequence[str]) -> list[str]:
    """What of a repository is needed for a base."""
    parts = {part: [name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/")] for part in PARTS}
    if missing := [part for part, inside in parts.items() if not inside]:
        raise CheckpointError(f"expected the folders {', '.join(PARTS)}, found no {', '.join(missing)}")
    small = [name for name in names if name.startswith("tokenizer/") and name.endswith((".json", ".txt"))]
    small += [name for name in ("model_index.json", "scheduler/scheduler_config.json") if name in names]
    return small + [
        f"{part}/{name}" for part, kind in NETWORKS.items() for name in _files_of_network(parts[part], kind)
    ]


def _files_of_network(names: Sequence[str], kind: Kind[Any]) -> list[str]:
    """What of a folder is needed for a network."""
    if not (weights := choose_files(names, kind.stem)):
        got = "only pickled weights" if pickles_only(names) else "none"
        raise CheckpointError(f"expected safetensors of a {kind.title}, found {got}")
    return ["config.json", *weights]


def _check_fit(found: _Found) -> None:
    """Passes parts that fit each other.

    Raises:
        CheckpointError: naming the parts that do not, and what tells them apart.
    """
    vae, text, unet, control = (part.config for part in (found.vae, found.text_encoder, found.unet, found.controlnet))
    # ControlNet brings a picture to the U-Net's size by halving it as often as the VAE does.
    halvings = len(control.conditioning_embedding_out_channels) - 1
    facts = {
        "latent channels (VAE, U-Net)": (vae.latent_channels, unet.in_channels),
        "text width (text encoder, U-Net)": (text.hidden_size, unet.cross_attention_dim),
        # A tokenizer without its files loads all the same, with an empty vocabulary.
        "numbers of tokens (text encoder, tokenizer)": (text.vocab_size, len(found.tokenizer)),
        "channels of pictures (a skeleton's, ControlNet)": (3, control.conditioning_channels),
        "pixels per latent cell (VAE, ControlNet)": (2 ** (len(vae.block_out_channels) - 1), 2**halvings),
    }
    for what, (expected, got) in facts.items():
        if expected != got:
            raise CheckpointError(f"the parts of the base do not fit each other: {what} are {expected} and {got}")
    check_architecture(found.unet.network)
    check_controlnet(control, unet)
    if found.motion_adapter is not None:
        check_motion_adapter(found.motion_adapter.network, found.unet.network)
