"""A tiny noise predictor with something to learn in every part, for tests."""

from pathlib import Path

import torch
from diffusers import ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from torch import nn

from edit_your_motion.config import AppearanceStageConfig, MotionStageConfig, TuningConfig
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.tuning.clip import TuningClip

TEXT_WIDTH = 32


def load_unet(checkpoints: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(checkpoints / "base", subfolder="unet")


def load_network(checkpoints: Path, *, motion_adapter: bool = False, **parts: object) -> NoisePredictor:
    """A fresh network; the random start of its new parts is always the same."""
    adapter = MotionAdapter.from_pretrained(checkpoints / "adapter") if motion_adapter else None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = VideoUNet(load_unet(checkpoints), motion_adapter=adapter, **parts)
    return NoisePredictor(unet, ControlNetModel.from_pretrained(checkpoints / "controlnet")).requires_grad_(False)


def wake(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives every zero-initialised projection random weights, so that all paths carry signal."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if ".to_out." in name and not parameter.any():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return module


def scheduler(checkpoints: Path) -> DDIMScheduler:
    return DDIMScheduler.from_pretrained(checkpoints / "base", subfolder="scheduler")


def random_clip(frames: int = 3, batch: int = 1, lh: int = 8, lw: int = 16, seed: int = 0) -> TuningClip:
    generator = torch.Generator().manual_seed(seed)
    return TuningClip(
        person=torch.randn(batch, frames, 4, lh, lw, generator=generator),
        whole=torch.randn(batch, frames, 4, lh, lw, generator=generator),
        text=torch.randn(batch, 77, TEXT_WIDTH, generator=generator),
        skeletons=torch.rand(batch, frames, 3, 8 * lh, 8 * lw, generator=generator),
    )


def short_tuning(iterations: int = 3, **settings: object) -> TuningConfig:
    return TuningConfig(
        motion=MotionStageConfig(iterations=iterations, learning_rate=1e-3),
        appearance=AppearanceStageConfig(iterations=iterations, learning_rate=1e-3),
        **settings,
    )
