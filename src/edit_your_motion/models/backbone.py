"""The frozen networks on their device: text and pictures into their spaces and back, and inflation to video."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from hashlib import sha256
from typing import Literal, TypeVar

import numpy as np
import torch
from diffusers import AutoencoderKL
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from edit_your_motion.config import BaseConfig, NetworkConfig, RuntimeConfig
from edit_your_motion.errors import ConfigError, OutOfMemoryError, ran_out_of_memory
from edit_your_motion.models.loading import Base, check_base, load_base
from edit_your_motion.models.prediction_type import velocity_schedule
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.runtime.compilation import compile_layers
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.runtime.random import initialised
from edit_your_motion.runtime.winograd import use_winograd

logger = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "fp16", "bf16"]

Network = TypeVar("Network", bound=nn.Module)

TILE = 256
"""Side of the tiles that a tiled VAE works in, pixels."""


class Backbone:
    """Stable Diffusion with its ControlNet, on a device.

    Args:
        base: the loaded networks; moved to `device`.
        device: where to compute.
        runtime: whether idle networks wait in the machine's memory, the VAE works in tiles, convolutions are laid out
            channels last, and layers are compiled or computed by Winograd's algorithm; its device and types are those
            that the networks were loaded for.
    """

    def __init__(self, base: Base, device: torch.device, runtime: RuntimeConfig | None = None) -> None:
        self.base, self.device, self.runtime = base, device, runtime or RuntimeConfig()
        self.offload = self.runtime.offload and device.type != "cpu"
        for network in (base.unet, base.controlnet):
            network.to(device)
        for network in (base.vae, base.text_encoder):
            network.to("cpu" if self.offload else device)
        if self.runtime.channels_last:
            for network in (base.vae, base.unet, base.controlnet):
                network.to(memory_format=torch.channels_last)
        if self.runtime.tiled_vae:
            base.vae.enable_tiling()
            base.vae.tile_sample_min_size = TILE
            base.vae.tile_latent_min_size = TILE // base.pixels_per_latent
        # The type of the biases is that of the computation; weights may be stored in another.
        self.dtype: torch.dtype = base.unet.conv_in.bias.dtype
        if pays_winograd(self.runtime, device, self.dtype):
            tiles = self.runtime.winograd_tiles
            if not sum(use_winograd(network, tiles) for network in (base.unet, base.controlnet)):
                logger.warning("runtime.winograd changes nothing: no convolution is wide enough, or all are stored")
        self._inflated: VideoUNet | None = None

    @staticmethod
    def check(model: BaseConfig, runtime: RuntimeConfig) -> None:
        """Passes what `load` can load, as far as that can be told without the networks' weights.

        Raises:
            CheckpointError: if a network is missing or does not fit.
            ConfigError: if there is no such device, or it does not have the precision.
        """
        choose_dtype(runtime.precision, choose_device(runtime.device))
        others = {"vae": model.vae, "tokenizer": model.tokenizer}
        check_base(model.base, model.controlnet, model.motion_adapter, **others, lora=model.lora)

    @classmethod
    def load(cls, model: BaseConfig, runtime: RuntimeConfig) -> "Backbone":
        """Loads the networks that `model` names onto the device of `runtime`.

        Raises:
            CheckpointError: if a network is missing or does not fit.
            ConfigError: if there is no such device, or it does not have the precision.
        """
        device = choose_device(runtime.device)
        dtype = choose_dtype(runtime.precision, device)
        storage = choose_storage(runtime.frozen_storage, dtype)
        with explain_memory(device):
            base = load_base(
                model.base,
                model.controlnet,
                model.motion_adapter,
                dtype,
                storage,
                vae=model.vae,
                tokenizer=model.tokenizer,
                lora=model.lora,
            )
            return cls(base, device, runtime)

    @property
    def half(self) -> torch.dtype | None:
        """The type of half precision to compute in, or None for full precision."""
        return self.dtype if self.dtype.itemsize < torch.float32.itemsize else None

    @property
    def digest(self) -> str:
        """Tells this base, with all its parts, from others; an adapter is not the base's, but a method's."""
        parts = sorted((part, digest) for part, digest in self.base.digests.items() if part != "motion adapter")
        return sha256(repr(parts).encode()).hexdigest()[:16]

    @property
    def first_convolution(self) -> str:
        """What persons of the first format were told apart by."""
        weight = self.base.unet.conv_in.weight.detach().float().cpu().numpy()
        return sha256(np.round(weight, 3).tobytes()).hexdigest()[:16]

    def inflate(self, network: NetworkConfig, seed: int) -> NoisePredictor:
        """A fresh video network around the base's U-Net; the one made before it stops working.

        Args:
            network: what it is made of.
            seed: of the random start of its new layers.
        """
        self.deflate()
        with initialised(seed):
            self._inflated = VideoUNet(
                self.base.unet,
                **network.of_unet(),
                # Tuning changes it in place, and the next person starts from what was loaded.
                motion_adapter=deepcopy(self.base.motion_adapter),
            )
        self._inflated.to(self.device)
        if self.runtime.channels_last:
            self._inflated.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        schedule = velocity_schedule(self.base.scheduler)
        schedule = None if schedule is None else schedule.to(self.device)
        predictor = NoisePredictor(self._inflated, self.base.controlnet, schedule).requires_grad_(False).eval()
        if self.runtime.compile:
            compile_layers(predictor)
        return predictor

    def deflate(self) -> None:
        """Lets go of the video network that was made last, and of its memory; the base's U-Net is as it was."""
        if self._inflated is not None:
            self._inflated.detach()
            self._inflated = None

    @torch.no_grad()
    def embed(self, prompt: str) -> Float[Tensor, "1 n d"]:
        """The text encoder's embedding of a prompt, as long as the encoder's context."""
        tokenizer = self.base.tokenizer
        length = min(tokenizer.model_max_length, self.base.text_encoder.config.max_position_embeddings)
        tokens = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        if len(tokenizer(prompt).input_ids) > length:
            logger.warning("the prompt is longer than %d tokens; its end is cut off", length)
        with self._awake(self.base.text_encoder) as text_encoder:
            return text_encoder(tokens.input_ids.to(self.device))[0]

    @torch.no_grad()
    def encode(self, frames: UInt8[np.ndarray, "f h w 3"], progress: Progress) -> Float[Tensor, "1 f c lh lw"]:
        """The VAE's latents of the frames: the mean of its distribution, times its scaling factor."""
        latents = []
        with progress.phase("encode", len(frames)) as advance, self._awake(self.base.vae) as vae:
            for frame in frames:
                pixels = as_pictures(frame[None]).to(self.device, _computed_in(vae)) * 2 - 1
                latents.append(vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor)
                advance()
        return torch.cat(latents)[None].float()

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "1 f c lh lw"], progress: Progress) -> UInt8[np.ndarray, "f h w 3"]:
        """The frames that the VAE makes of latents."""
        frames = []
        with progress.phase("decode", latents.shape[1]) as advance, self._awake(self.base.vae) as vae:
            for latent in latents[0]:
                pixels = vae.decode(latent[None].to(_computed_in(vae)) / vae.config.scaling_factor).sample
                frame = ((pixels.float() + 1) / 2).clamp(0, 1).mul(255).round().byte().cpu()
                frames.append(rearrange(frame, "1 c h w -> h w c").numpy())
                advance()
        return np.stack(frames)

    @contextmanager
    def _awake(self, network: Network) -> Iterator[Network]:
        """A network where it computes, for as long as the block takes."""
        network.to(self.device)
        try:
            yield network
        finally:
            if self.offload:
                network.to("cpu")


def _computed_in(vae: AutoencoderKL) -> torch.dtype:
    """The type of a VAE's biases; its weights may be stored in another."""
    return vae.encoder.conv_in.bias.dtype


def as_pictures(frames: UInt8[np.ndarray, "f h w 3"]) -> Float[Tensor, "f 3 h w"]:
    """The frames as a tensor in [0, 1], channels first."""
    return rearrange(torch.from_numpy(np.ascontiguousarray(frames)), "f h w c -> f c h w").float() / 255


def choose_device(name: str) -> torch.device:
    """The device of that name; for "auto" the best there is.

    Raises:
        ConfigError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"expected a device of this machine (auto, cpu, cuda, mps), got '{name}': {str(error).splitlines()[0]}; "
            "'eym doctor' shows what there is"
        ) from error
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type to compute in on a device.

    Raises:
        ConfigError: for fp16 on a CPU, which computes it slowly or not at all.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError("fp16 needs a GPU; on a CPU use fp32, or bf16 where the processor has it")
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def choose_storage(name: Literal["compute", "fp16", "bf16"], dtype: torch.dtype) -> torch.dtype | None:
    """The type in which frozen weights wait, or None where that would be no smaller than the one of computation."""
    storage = {"compute": dtype, "fp16": torch.float16, "bf16": torch.bfloat16}[name]
    return storage if storage.itemsize < dtype.itemsize else None


def pays_winograd(runtime: RuntimeConfig, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether wide convolutions are to be computed by Winograd's algorithm: where asked for, on a CPU in fp32."""
    return runtime.winograd and device.type == "cpu" and dtype == torch.float32


@contextmanager
def explain_memory(device: torch.device) -> Iterator[None]:
    """Turns running out of memory into an error that says what to lower.

    Raises:
        OutOfMemoryError: in the place of the libraries' own.
    """
    try:
        yield
    except (RuntimeError, MemoryError, ImportError, OSError) as error:
        if ran_out_of_memory(error):
            raise OutOfMemoryError(device=device) from error
        raise
