"""The frozen networks on their device: text and pictures into their spaces and back, and inflation to video."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from hashlib import sha256
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from edit_your_motion.config import BaseConfig, NetworkConfig, RuntimeConfig
from edit_your_motion.errors import ConfigError, OutOfMemoryError
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.progress import Progress
from edit_your_motion.weights import Base, load_base

logger = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "fp16", "bf16"]


class Backbone:
    """Stable Diffusion with its ControlNet, on a device.

    Args:
        base: the loaded networks; moved to `device`.
        device: where to compute.
    """

    def __init__(self, base: Base, device: torch.device) -> None:
        self.base, self.device = base, device
        for network in (base.vae, base.text_encoder, base.unet, base.controlnet):
            network.to(device)
        self.dtype: torch.dtype = base.unet.dtype
        self._inflated: VideoUNet | None = None

    @classmethod
    def load(cls, model: BaseConfig, runtime: RuntimeConfig) -> "Backbone":
        """Loads the networks that `model` names onto the device of `runtime`.

        Raises:
            CheckpointError: if a network is missing or does not fit.
            ConfigError: if there is no such device, or it does not have the precision.
        """
        device = choose_device(runtime.device)
        dtype = choose_dtype(runtime.precision, device)
        with explain_memory(device):
            return cls(load_base(model.base, model.controlnet, model.motion_adapter, dtype), device)

    @property
    def half(self) -> torch.dtype | None:
        """The type of half precision to compute in, or None for fp32."""
        return None if self.dtype == torch.float32 else self.dtype

    @property
    def digest(self) -> str:
        """Tells this base from others: a tuned person belongs to one."""
        weight = self.base.unet.conv_in.weight.detach().float().cpu().numpy()
        return sha256(np.round(weight, 3).tobytes()).hexdigest()[:16]

    def inflate(self, network: NetworkConfig, seed: int) -> NoisePredictor:
        """A fresh video network around the base's U-Net; the one made before it stops working.

        Args:
            network: what it is made of.
            seed: of the random start of its new layers.
        """
        if self._inflated is not None:
            self._inflated.detach()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._inflated = VideoUNet(
                self.base.unet,
                frame_attention=network.frame_attention,
                temporal_attention=network.temporal_attention,
                motion_attention=network.motion_attention,
                # Tuning changes it in place, and the next person starts from what was loaded.
                motion_adapter=deepcopy(self.base.motion_adapter),
            )
        self._inflated.to(self.device)
        return NoisePredictor(self._inflated, self.base.controlnet).requires_grad_(False).eval()

    @torch.no_grad()
    def embed(self, prompt: str) -> Float[Tensor, "1 n d"]:
        """The text encoder's embedding of a prompt, as long as the encoder's context."""
        tokenizer = self.base.tokenizer
        length = min(tokenizer.model_max_length, self.base.text_encoder.config.max_position_embeddings)
        tokens = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        if len(tokenizer(prompt).input_ids) > length:
            logger.warning("the prompt is longer than %d tokens; its end is cut off", length)
        return self.base.text_encoder(tokens.input_ids.to(self.device))[0]

    @torch.no_grad()
    def encode(self, frames: UInt8[np.ndarray, "f h w 3"], progress: Progress) -> Float[Tensor, "1 f c lh lw"]:
        """The VAE's latents of the frames: the mean of its distribution, times its scaling factor."""
        vae, latents = self.base.vae, []
        with progress.phase("encode", len(frames)) as advance:
            for frame in frames:
                pixels = as_pictures(frame[None]).to(self.device, vae.dtype) * 2 - 1
                latents.append(vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor)
                advance()
        return torch.cat(latents)[None].float()

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "1 f c lh lw"], progress: Progress) -> UInt8[np.ndarray, "f h w 3"]:
        """The frames that the VAE makes of latents."""
        vae, frames = self.base.vae, []
        with progress.phase("decode", latents.shape[1]) as advance:
            for latent in latents[0]:
                pixels = vae.decode(latent[None].to(vae.dtype) / vae.config.scaling_factor).sample
                frame = ((pixels.float() + 1) / 2).clamp(0, 1).mul(255).round().byte().cpu()
                frames.append(rearrange(frame, "1 c h w -> h w c").numpy())
                advance()
        return np.stack(frames)


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


@contextmanager
def explain_memory(device: torch.device) -> Iterator[None]:
    """Turns running out of memory into an error that says what to lower.

    Raises:
        OutOfMemoryError: in the place of the libraries' own.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemoryError(
                f"memory ran out on {device}; lower --video.size or --video.frames, keep "
                "--tuning.gradient-checkpointing on, or set --runtime.precision bf16; a tuning goes on where it was"
            ) from error
        raise
