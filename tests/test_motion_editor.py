"""MotionEditor's recipe: its adapter, its causal attention, its second branch, and a whole edit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn.functional import softmax

from edit_your_motion.benchmark.methods.catalogue import METHODS, scale_tuning
from edit_your_motion.benchmark.methods.motion_editor import Branches, apply_in_two_branches
from edit_your_motion.config import EditConfig, parse_config
from edit_your_motion.diffusion.ddim import guide, sample
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.nn.baselines.motion_editor import (
    CausalTemporalAttention,
    KeyValueInjection,
    MotionEditorAdapter,
    SiteMotionEditorAdapter,
)
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.recurrent_causal_attention import FrameAttention
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.tuning.loop import trainable
from synthetic_clip import film
from tiny_network import load_network, load_unet, random_clip, scheduler, wake

pytestmark = pytest.mark.law

METHOD = METHODS["motion-editor"]
T = torch.tensor([500])
CLIP = random_clip(3, lh=8, lw=8)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network(checkpoints: Path) -> NoisePredictor:
    settings = METHOD.configure(EditConfig()).network
    return wake(load_network(checkpoints, **settings.of_unet()))


@pytest.fixture
def injection(network: NoisePredictor) -> Iterator[KeyValueInjection]:
    masks = random(3, 8, 8) > 0
    made = KeyValueInjection(network.unet.unet, masks, layers=2)
    yield made
    made.detach()


def predict(network: NoisePredictor, z: torch.Tensor, *, skeletons: bool = True) -> torch.Tensor:
    return network(z, T, CLIP.text, CLIP.skeletons if skeletons else None)


@torch.no_grad()
def test_a_frame_does_not_see_those_after_it() -> None:
    attention = wake(CausalTemporalAttention(32, heads=4))
    tokens = random(5, 6, 32)
    changed = tokens.clone()
    changed[3:] += random(2, 6, 32, seed=1)
    before, after = (attention(each, 5) for each in (tokens, changed))
    torch.testing.assert_close(after[:3], before[:3])
    assert not torch.allclose(after[3], before[3], atol=1e-3)
    changed = tokens.clone()
    changed[0] += random(6, 32, seed=1)
    assert not torch.allclose(attention(changed, 5)[4], before[4], atol=1e-3)


@torch.no_grad()
def test_causal_attention_is_a_loop_over_what_has_been() -> None:
    temporal = wake(CausalTemporalAttention(8, heads=2))
    attention, tokens = temporal.attention, random(4, 1, 8)
    normed = temporal.norm(tokens)[:, 0]
    q, k, v = (project(normed).view(4, 2, 4) for project in (attention.to_q, attention.to_k, attention.to_v))
    for frame in range(4):
        heads = [
            softmax(k[: frame + 1, head] @ q[frame, head] / 4**0.5, dim=0) @ v[: frame + 1, head] for head in (0, 1)
        ]
        expected = attention.to_out[0](torch.cat(heads))
        torch.testing.assert_close(temporal(tokens, 4)[frame, 0], expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_fresh_causal_attention_adds_its_bias_everywhere() -> None:
    temporal = CausalTemporalAttention(32, heads=4)
    added = temporal(random(6, 5, 32), 3)
    bias = temporal.attention.to_out[0].bias
    assert bias.any()
    torch.testing.assert_close(added, bias.expand_as(added))


@torch.no_grad()
@pytest.mark.parametrize("width", [320, 640])
def test_the_adapter_is_no_identity_at_the_start(width: int) -> None:
    """A deviation of 0.1 leaves at about 1.09, as that of MotionEditor's own adapter does."""
    torch.manual_seed(0)
    site = SiteMotionEditorAdapter(width, heads=8)
    adapted = site(0.1 * random(4, width, 8, 8), random(4, width, 8, 8, seed=1), 4)
    assert float(adapted.std()) == pytest.approx(1.09, abs=0.03)


@torch.no_grad()
def test_the_adapter_sees_skeleton_and_source_and_keeps_clips_apart() -> None:
    site = wake(SiteMotionEditorAdapter(32, heads=4))
    control, feature = random(6, 32, 4, 6), random(6, 32, 4, 6, seed=1)
    adapted = site(control, feature, 3)
    assert not torch.allclose(adapted, site(control, feature + random(6, 32, 4, 6, seed=2), 3), atol=1e-3)
    assert not torch.allclose(adapted, site(control + random(6, 32, 4, 6, seed=2), feature, 3), atol=1e-3)
    torch.testing.assert_close(adapted[3:], site(control[3:], feature[3:], 3), atol=1e-5, rtol=1e-4)


def test_of_the_local_path_only_the_last_bias_learns() -> None:
    site = wake(SiteMotionEditorAdapter(32, heads=4))
    site(random(3, 32, 4, 4), random(3, 32, 4, 4), 3).square().sum().backward()
    moving = {name for name, parameter in site.convolutions.named_parameters() if parameter.grad.any()}
    assert moving == {"2.bias"}


def test_one_adapter_for_each_residual_but_the_mid_one(network: NoisePredictor) -> None:
    adapter = network.unet.motion_attention
    assert isinstance(adapter, MotionEditorAdapter)
    down, _ = network.controlnet(CLIP.whole[0], T, CLIP.text.expand(3, -1, -1), CLIP.skeletons[0], return_dict=False)
    assert len(adapter.sites) == len(down)
    assert [site.norm_self.weight.numel() for site in adapter.sites] == [each.shape[1] for each in down]


def test_the_first_stage_goes_without_controlnet_and_the_second_trains_the_adapter_alone(
    network: NoisePredictor,
) -> None:
    first, second = METHOD.configure(EditConfig()).tuning.stages
    assert (first.skeletons, second.skeletons) == (False, True)
    assert {first.iterations, second.iterations} == {300}
    with trainable(network, first, gradient_checkpointing=False) as parameters:
        predict(network, CLIP.whole, skeletons=first.skeletons).square().mean().backward()
        assert all(parameter.grad is not None for parameter in parameters.values())
        places = {tuple(name.rsplit(".", 3)[-3:-1]) for name in parameters}
        assert {place[0] if place[1].isdigit() else place[1] for place in places} == {"to_q", "to_k", "to_v", "to_out"}
    with trainable(network, second, gradient_checkpointing=False) as parameters:
        assert {name.split(".")[0] for name in parameters} == {"motion_attention"}


def test_a_stage_cannot_train_the_adapter_without_skeletons() -> None:
    with pytest.raises(ConfigError, match=r"tuning\.motion: .*needs skeletons"):
        parse_config(EditConfig, {"tuning": {"motion": {"skeletons": False}}})


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "paper"), (False, "none"), ("paper", "paper"), ("none", "none"), ("motion-editor", "motion-editor")],
)
def test_motion_attention_is_a_switch_or_a_name(value: bool | str, name: str) -> None:
    assert parse_config(EditConfig, {"network": {"motion_attention": value}}).network.motion_attention == name


@torch.no_grad()
def test_injection_that_is_attached_and_not_used_changes_nothing(checkpoints: Path) -> None:
    network = load_network(checkpoints)
    expected = predict(network, CLIP.whole)
    names = list(network.state_dict())
    injection = KeyValueInjection(network.unet.unet, random(3, 8, 8) > 0)
    assert torch.equal(predict(network, CLIP.whole), expected)
    with injection.branch("reconstruction"):
        assert torch.equal(predict(network, CLIP.whole), expected)
    injection.detach()
    assert list(network.state_dict()) == names
    assert torch.equal(predict(network, CLIP.whole), expected)


@torch.no_grad()
def test_injection_sits_in_the_decoders_last_layers(network: NoisePredictor) -> None:
    own = [module for module in network.unet.unet.up_blocks.modules() if isinstance(module, FrameAttention)]
    injection = KeyValueInjection(network.unet.unet, random(3, 8, 8) > 0, layers=2)
    names = [
        name for name, module in network.unet.unet.named_modules() if type(module).__name__ == "_InjectedAttention"
    ]
    injection.detach()
    assert len(own) > 2
    last = [name for name, module in network.unet.unet.named_modules() if module in own[-2:]]
    assert names == last


@torch.no_grad()
def test_the_editing_branch_attends_to_equations_7_and_8(network: NoisePredictor, injection: KeyValueInjection) -> None:
    layer = network.unet.unet.up_blocks[-1].attentions[-1].transformer_blocks[0].attn1
    attention, width = layer.attention, layer.attention.to_q.in_features
    source, edit = random(3, 64, width), random(3, 64, width, seed=1)
    with injection.branch("reconstruction"):
        layer(source, 3)
    with injection.branch("editing"):
        attended = layer(edit, 3)

    def heads(tokens: torch.Tensor) -> torch.Tensor:
        return tokens.unflatten(-1, (attention.heads, -1)).transpose(0, 1)

    masks = layer.masks.flatten(1)[..., None].float()
    for frame in range(3):
        seen = [max(frame - 1, 0), frame]
        k, v = (
            torch.cat(
                [
                    *(project(source)[i] * masks[i] for i in seen),
                    *(project(source)[i] * (1 - masks[i]) for i in seen),
                    project(edit)[frame],
                ]
            )
            for project in (attention.to_k, attention.to_v)
        )
        q = heads(attention.to_q(edit)[frame])
        scores = q @ heads(k).transpose(1, 2) / q.shape[-1] ** 0.5
        out = attention.to_out[0]((softmax(scores, -1) @ heads(v)).transpose(0, 1).flatten(1))
        torch.testing.assert_close(attended[frame], out, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (16, 4)])
def test_masks_follow_the_levels_of_the_unet(checkpoints: Path, height: int, width: int) -> None:
    network, clip = load_network(checkpoints, frame_attention="previous"), random_clip(2, lh=height, lw=width)
    injection = KeyValueInjection(network.unet.unet, random(2, height, width) > 0)
    plain = network(clip.whole, T, clip.text, None)
    with injection.branch("reconstruction"):
        assert torch.equal(network(clip.whole, T, clip.text, None), plain)
    with injection.branch("editing"):
        edit = network(clip.whole, T, clip.text, None)
    injection.detach()
    assert not torch.allclose(edit, plain, atol=1e-4)


def test_a_decoder_without_frame_attention_is_named(checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match="expected an inflated U-Net"):
        KeyValueInjection(load_unet(checkpoints), torch.ones(3, 8, 8, dtype=torch.bool))


@torch.no_grad()
def test_two_branches_of_the_same_conditions_reach_the_same(
    checkpoints: Path, network: NoisePredictor, injection: KeyValueInjection
) -> None:
    # Without ControlNet the conditions are the same, and before the first step of injection nothing else differs.
    branches = Branches(network, injection, CLIP.skeletons, conditioning_scale=0.0, first_step=99)
    network.unet.motion_attention = None
    noise, empty = random(1, 3, 4, 8, 8), torch.zeros_like(CLIP.text)
    both = guide(branches.predict(CLIP.text, CLIP.text), branches.predict(empty, empty), 7.5)
    reached = sample(both, torch.cat([noise, noise]), scheduler(checkpoints), 2)
    torch.testing.assert_close(reached[0], reached[1], atol=1e-4, rtol=1e-4)
    alone = guide(lambda z, t: network(z, t, CLIP.text, None), lambda z, t: network(z, t, empty, None), 7.5)
    torch.testing.assert_close(reached[:1], sample(alone, noise, scheduler(checkpoints), 2), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_only_from_the_first_step_on_and_only_the_editing_branch_is_changed(
    network: NoisePredictor, injection: KeyValueInjection
) -> None:
    branches = Branches(network, injection, CLIP.skeletons, first_step=1)
    call, z = branches.predict(CLIP.text, CLIP.text), random(2, 3, 4, 8, 8)
    before = call(z, T.expand(2))
    torch.testing.assert_close(before[:1], predict(network, z[:1], skeletons=False))
    torch.testing.assert_close(before[1:], predict(network, z[1:]))
    branches.step = 1
    after = call(z, T.expand(2))
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1], atol=1e-4)


def test_a_whole_edit(checkpoints: Path) -> None:
    short = {
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "prompt": "a box walks",
        "inversion": {"steps": 1},
        "sampling": {"steps": 3},
        "runtime": {"device": "cpu"},
    }
    config = scale_tuning(METHOD.configure(parse_config(EditConfig, short)), 1e-6)
    backbone, clip = Backbone.load(config.model, config.runtime), film(2)
    person = tune_person(backbone, clip, config.for_tuning(), SilentProgress())
    assert len(person.losses) == 2
    reference = film(3)
    edit = apply_in_two_branches(backbone, person, reference, config.for_applying(), SilentProgress(), first_step=1)
    assert edit.frames.shape == reference.video.frames.shape
    never = apply_in_two_branches(backbone, person, reference, config.for_applying(), SilentProgress(), first_step=3)
    single = apply_motion(backbone, person, reference, config.for_applying(), SilentProgress())
    assert not torch.allclose(edit.latents, single.latents, atol=1e-3)
    torch.testing.assert_close(never.latents, single.latents, atol=1e-4, rtol=1e-4)
