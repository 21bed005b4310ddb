"""Laws of the inflated U-Net and of motion attention, with and without gradient checkpointing."""

from pathlib import Path

import pytest
import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

from edit_your_motion.config import AppearanceStageConfig, MotionStageConfig
from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.prediction_type import noise_of_velocity
from edit_your_motion.models.tiny import make_base, make_controlnet, make_scheduler
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import PARTS, VideoUNet
from edit_your_motion.tuning.clip import TuningClip
from edit_your_motion.tuning.loop import trainable
from tiny_network import TEXT_WIDTH, in_fp64, load_network, load_unet, random_clip, wake

pytestmark = pytest.mark.law

T = torch.tensor([500])


def run(network: NoisePredictor, frames: int = 3, batch: int = 1) -> torch.Tensor:
    clip = _clip_for(network, frames, batch)
    return network(clip.whole, T.expand(batch), clip.text, clip.skeletons)


def _clip_for(network: NoisePredictor, frames: int, batch: int) -> TuningClip:
    clip = random_clip(frames, batch)
    return in_fp64(clip) if next(network.parameters()).dtype == torch.float64 else clip


def stock_prediction(network: NoisePredictor, unet: UNet2DConditionModel, frames: int, batch: int = 1) -> torch.Tensor:
    """Stable Diffusion + ControlNet, every frame on its own, as diffusers computes it."""
    clip = _clip_for(network, frames, batch)
    z, skeletons = clip.whole.flatten(0, 1), clip.skeletons.flatten(0, 1)
    t, text = T.expand(len(z)), clip.text.repeat_interleave(frames, 0)
    down, mid = network.controlnet(z, t, text, skeletons, return_dict=False)
    noise = unet(z, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
    return noise.unflatten(0, (batch, frames))


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_inflated_equals_the_stock_network_on_single_frames(checkpoints: Path, gradient_checkpointing: bool) -> None:
    network = load_network(checkpoints).double().requires_grad_(gradient_checkpointing)
    network.unet.gradient_checkpointing = gradient_checkpointing
    expected = stock_prediction(network, load_unet(checkpoints).double(), frames=1, batch=2)
    torch.testing.assert_close(run(network, frames=1, batch=2), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_without_rca_it_equals_the_stock_network_bit_for_bit(checkpoints: Path, gradient_checkpointing: bool) -> None:
    network = load_network(checkpoints, frame_attention="spatial").requires_grad_(gradient_checkpointing)
    network.unet.gradient_checkpointing = gradient_checkpointing
    assert torch.equal(run(network), stock_prediction(network, load_unet(checkpoints), frames=3))


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_fresh_motion_attention_changes_nothing(checkpoints: Path, gradient_checkpointing: bool) -> None:
    networks = [
        load_network(checkpoints, motion_attention=kind).requires_grad_(gradient_checkpointing)
        for kind in ("paper", "none")
    ]
    for network in networks:
        network.unet.gradient_checkpointing = gradient_checkpointing
    assert torch.equal(*map(run, networks))


@torch.no_grad()
def test_woken_motion_attention_changes_something(checkpoints: Path) -> None:
    fresh, woken = load_network(checkpoints), load_network(checkpoints)
    wake(woken.unet.motion_attention)
    assert not torch.allclose(run(fresh), run(woken), atol=1e-3)


@torch.no_grad()
def test_motion_attention_sees_the_feature_before_the_residual_joins(checkpoints: Path) -> None:
    network = load_network(checkpoints)
    seen = []
    network.unet.motion_attention.sites[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    run(network)
    conv_in = network.unet.unet.conv_in(random_clip().whole.flatten(0, 1))
    assert torch.equal(seen[0], conv_in)


@torch.no_grad()
def test_clips_of_a_batch_do_not_see_each_other(checkpoints: Path) -> None:
    network = wake(load_network(checkpoints)).double()
    clip = in_fp64(random_clip(3, batch=2))
    together = network(clip.whole, T.expand(2), clip.text, clip.skeletons)
    alone = network(clip.whole[1:], T, clip.text[1:], clip.skeletons[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-9, rtol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("motion_adapter", [False, True])
def test_detach_restores_the_stock_network(checkpoints: Path, motion_adapter: bool) -> None:
    stock, unet = load_unet(checkpoints), load_unet(checkpoints)
    adapter = MotionAdapter.from_pretrained(checkpoints / "adapter") if motion_adapter else None
    attached = VideoUNet(unet, motion_adapter=adapter)
    for part in PARTS:
        for parameter in attached.parameters_of(part).values():
            parameter += 1
    restored = attached.detach()
    assert restored is unet
    assert [type(module) for module in restored.modules()] == [type(module) for module in stock.modules()]
    assert restored.state_dict().keys() == stock.state_dict().keys()
    assert all(torch.equal(value, restored.state_dict()[name]) for name, value in stock.state_dict().items())
    z, text = torch.randn(2, 4, 8, 8), torch.randn(2, 77, TEXT_WIDTH)
    assert torch.equal(restored(z, 5, text).sample, stock(z, 5, text).sample)


def test_calling_the_inflated_stock_network_directly_says_what_to_call(checkpoints: Path) -> None:
    unet = VideoUNet(load_unet(checkpoints)).unet
    with pytest.raises(TypeError, match="call VideoUNet"):
        unet(torch.randn(2, 4, 8, 8), 5, torch.randn(2, 77, TEXT_WIDTH))


@torch.no_grad()
def test_motion_adapter_equals_animatediff(checkpoints: Path) -> None:
    adapter = MotionAdapter.from_pretrained(checkpoints / "adapter")
    theirs = UNetMotionModel.from_unet2d(load_unet(checkpoints), MotionAdapter.from_pretrained(checkpoints / "adapter"))
    ours = VideoUNet(load_unet(checkpoints), frame_attention="spatial", motion_adapter=adapter).double()
    theirs, clip = theirs.double(), in_fp64(random_clip(4))
    expected = theirs(clip.whole.transpose(1, 2), T, clip.text.repeat_interleave(4, 0)).sample.transpose(1, 2)
    torch.testing.assert_close(ours(clip.whole, T, clip.text), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("motion_adapter", [False, True])
@pytest.mark.parametrize("stage", [MotionStageConfig(), AppearanceStageConfig()], ids=["motion", "appearance"])
def test_a_stage_gives_gradients_to_exactly_its_parameters(
    checkpoints: Path, stage: object, motion_adapter: bool, gradient_checkpointing: bool
) -> None:
    network = wake(load_network(checkpoints, motion_adapter=motion_adapter))
    with trainable(network, stage, gradient_checkpointing) as parameters:
        run(network).square().mean().backward()
        with_gradient = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
        without = [name for name, parameter in parameters.items() if parameter.grad is None or not parameter.grad.any()]
    assert with_gradient == {f"unet.{name}" for name in parameters}
    # A bias of the keys shifts all scores of a query alike, which the softmax does not see.
    assert [name for name in without if not name.endswith("to_k.bias")] == []
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_checkpointing_changes_no_gradient(checkpoints: Path) -> None:
    gradients = []
    for gradient_checkpointing in (False, True):
        network = wake(load_network(checkpoints))
        with trainable(network, AppearanceStageConfig(), gradient_checkpointing) as parameters:
            run(network).square().mean().backward()
            gradients.append([parameter.grad for parameter in parameters.values()])
    assert all(torch.equal(plain, recomputed) for plain, recomputed in zip(*gradients, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (8, 24), (9, 13)])
def test_any_size_and_number_of_frames(checkpoints: Path, size: tuple[int, int]) -> None:
    clip = random_clip(5, lh=size[0], lw=size[1])
    assert load_network(checkpoints)(clip.whole, T, clip.text, clip.skeletons).shape == clip.whole.shape


def test_parts_that_do_not_fit_are_refused(tmp_path: Path, checkpoints: Path) -> None:
    from diffusers import ControlNetModel

    wide = make_base(tmp_path / "base", widths=(32, 32, 64, 64))
    controlnet = ControlNetModel.from_pretrained(make_controlnet(tmp_path / "controlnet", wide))
    with pytest.raises(CheckpointError, match="block_out_channels"):
        NoisePredictor(VideoUNet(load_unet(checkpoints)), controlnet)
    with pytest.raises(CheckpointError, match="motion adapter"):
        VideoUNet(
            UNet2DConditionModel.from_pretrained(wide, subfolder="unet"),
            motion_adapter=MotionAdapter.from_pretrained(checkpoints / "adapter"),
        )
    other = UNet2DConditionModel(block_out_channels=(32,) * 4, cross_attention_dim=32, class_embed_type="timestep")
    with pytest.raises(CheckpointError, match="class_embed_type"):
        VideoUNet(other)


def test_a_velocity_is_turned_into_the_noise_that_it_means(checkpoints: Path) -> None:
    schedule = make_scheduler("v_prediction")
    clip, t, noise = random_clip(batch=2), torch.tensor([3, 980]), torch.randn(2, 3, 4, 8, 16)
    noisy = schedule.add_noise(clip.whole, noise, t)
    velocity = schedule.get_velocity(clip.whole, noise, t)
    kept = schedule.alphas_cumprod[t]
    torch.testing.assert_close(noise_of_velocity(velocity, noisy, kept), noise, atol=1e-5, rtol=1e-5)

    network = load_network(checkpoints)
    predicted = network(noisy, t, clip.text, clip.skeletons)
    as_velocity = NoisePredictor(network.unet, network.controlnet, schedule.alphas_cumprod)
    made = as_velocity(noisy, t, clip.text, clip.skeletons)
    torch.testing.assert_close(made, noise_of_velocity(predicted, noisy, kept))
    assert "velocity_schedule" not in as_velocity.state_dict()
