"""A tiny noise predictor with something to learn in every part, for tests."""

from dataclasses import fields, replace
from pathlib import Path

import torch
from diffusers import ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from torch import nn

from edit_your_motion.config import AppearanceStageConfig, MotionStageConfig, TuningConfig
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.runtime.random import Draws, initialised
from edit_your_motion.tuning.clip import TuningClip

TEXT_WIDTH = 32


def load_unet(checkpoints: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(checkpoints / "base", subfolder="unet")


def load_network(checkpoints: Path, *, motion_adapter: bool = False, **parts: object) -> NoisePredictor:
    """A fresh network; the random start of its new parts is always the same."""
    adapter = MotionAdapter.from_pretrained(checkpoints / "adapter") if motion_adapter else None
    with initialised(0):
        unet = VideoUNet(load_unet(checkpoints), motion_adapter=adapter, **parts)
    return NoisePredictor(unet, ControlNetModel.from_pretrained(checkpoints / "controlnet")).requires_grad_(False)


def wake(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives every zero-initialised projection random weights, so that all paths carry signal."""
    draws = Draws(seed)
    for name, parameter in module.named_parameters():
        if ".to_out." in name and not parameter.any():
            parameter.data = draws.normal(*parameter.shape) * 0.1
    return module


def scheduler(checkpoints: Path) -> DDIMScheduler:
    return DDIMScheduler.from_pretrained(checkpoints / "base", subfolder="scheduler")


def random_clip(frames: int = 3, batch: int = 1, lh: int = 8, lw: int = 16, seed: int = 0) -> TuningClip:
    draws = Draws(seed)
    return TuningClip(
        person=draws.normal(batch, frames, 4, lh, lw),
        whole=draws.normal(batch, frames, 4, lh, lw),
        people=torch.zeros(batch, frames, 1, lh, lw),
        text=draws.normal(batch, 77, TEXT_WIDTH),
        skeletons=draws.uniform(batch, frames, 3, 8 * lh, 8 * lw),
    )


def in_fp64(clip: TuningClip) -> TuningClip:
    """The clip for a network in fp64, in which laws hold to a billionth on any processor."""
    return replace(clip, **{field.name: getattr(clip, field.name).double() for field in fields(clip)})


def short_tuning(iterations: int = 3, **settings: object) -> TuningConfig:
    return TuningConfig(
        motion=MotionStageConfig(iterations=iterations, learning_rate=1e-3),
        appearance=AppearanceStageConfig(iterations=iterations, learning_rate=1e-3),
        **settings,
    )
