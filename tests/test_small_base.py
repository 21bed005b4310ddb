"""The base that ships: it is there, small enough, complete, and knows what it was trained to do."""

from pathlib import Path

import torch

from edit_your_motion.config import OPENPOSE_CONTROLNET, NetworkConfig
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import SMALL, SMALL_FOLDER, load_base
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import Scene, render_clip

LARGEST = 80 * 10**6


def load() -> Backbone:
    return Backbone(load_base(SMALL, OPENPOSE_CONTROLNET), torch.device("cpu"))


def test_it_fits_into_the_package() -> None:
    files = [path for path in SMALL_FOLDER.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) <= LARGEST
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".md", ".png", ".yaml"}
    assert Path(SMALL_FOLDER, "README.md").is_file()


def test_its_controlnet_comes_with_it() -> None:
    base = load_base(SMALL, OPENPOSE_CONTROLNET)
    assert base.controlnet.config.block_out_channels == base.unet.config.block_out_channels
    assert base.native_side == 256


@torch.no_grad()
def test_it_sees_and_denoises_people_it_never_met() -> None:
    backbone = load()
    clip = render_clip(Scene.sample(7, "held_out"), frames=2, size=(256, 256))
    latents = backbone.encode(clip.frames, SilentProgress())
    error = backbone.decode(latents, SilentProgress()).astype(float) - clip.frames
    assert (error**2).mean() < 255**2 / 10**2.4  # more than 24 dB

    predictor = backbone.inflate(NetworkConfig(), seed=0)
    t = torch.tensor([300])
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    noisy = backbone.base.scheduler.add_noise(latents, noise, t)
    predicted = predictor(noisy, t, backbone.embed(clip.caption), None)
    assert (predicted - noise).square().mean() < 0.5
