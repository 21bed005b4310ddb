"""Tuning of the decoder: it reproduces its clip better, and leaves the base as it was."""

import pytest
import torch
from torch import Tensor

from edit_your_motion.config import DecoderConfig
from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.tiny import make_vae
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.tuning.decoder import decoder_weights, gradient_distance, tune_decoder

pytestmark = pytest.mark.law

CONFIG = DecoderConfig(iterations=30, learning_rate=3e-3, noise=0.0)


@pytest.fixture
def vae() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_vae((8, 8), groups=4).requires_grad_(False).eval()


@pytest.fixture
def frames() -> Tensor:
    """Four frames with a bright square that moves."""
    frames = torch.full((4, 3, 16, 16), 40, dtype=torch.uint8)
    for index in range(4):
        frames[index, :, 4:10, 2 + 2 * index : 8 + 2 * index] = 220
    return frames


@pytest.fixture
def latents(vae: torch.nn.Module, frames: Tensor) -> Tensor:
    return vae.encode(frames.float() / 127.5 - 1).latent_dist.mean[None] * vae.config.scaling_factor


def error(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> float:
    with torch.no_grad():
        made = vae.decode(latents[0] / vae.config.scaling_factor).sample
    return (made - (frames.float() / 127.5 - 1)).square().mean().item()


def test_the_tuned_decoder_reproduces_the_clip(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> None:
    before = error(vae, frames, latents)
    weights = tune_decoder(vae, frames, latents, CONFIG, 0, SilentProgress())
    with decoder_weights(vae, weights):
        assert error(vae, frames, latents) < 0.5 * before
    assert error(vae, frames, latents) == before


def test_the_base_stays_bit_for_bit(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> None:
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    weights = tune_decoder(vae, frames, latents, CONFIG, 0, SilentProgress())
    with pytest.raises(KeyError), decoder_weights(vae, weights):
        raise KeyError
    after = vae.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in vae.parameters())


def test_a_seed_decides(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> None:
    config = CONFIG.model_copy(update={"iterations": 3, "noise": 0.1})
    first, again, other = (tune_decoder(vae, frames, latents, config, seed, SilentProgress()) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_another_vae_s_decoder_is_refused(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> None:
    weights = tune_decoder(vae, frames, latents, CONFIG.model_copy(update={"iterations": 1}), 0, SilentProgress())
    with pytest.raises(CheckpointError, match="does not fit"), decoder_weights(make_vae((8, 16), groups=4), weights):
        pass


def test_no_weights_leave_the_decoder(vae: torch.nn.Module, frames: Tensor, latents: Tensor) -> None:
    before = error(vae, frames, latents)
    with decoder_weights(vae, {}):
        assert error(vae, frames, latents) == before


def test_gradient_distance_sees_edges_and_not_levels() -> None:
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert gradient_distance(picture + 0.3, picture) < 1e-6
    edge = torch.zeros_like(picture)
    edge[..., 8:] = 1
    # One column of 15 differs by 1 at full size, one of 7 at half size, and no row: (1/15 + 0 + 1/7 + 0) / 4.
    torch.testing.assert_close(gradient_distance(picture + edge, picture).item(), (1 / 15 + 1 / 7) / 4)
