"""Methods under test: what each trains, what it lacks, and that nothing of the base is touched."""

from pathlib import Path

import pytest
import torch

from edit_your_motion.benchmark.methods.catalogue import METHODS, Method, choose_methods, scale_tuning
from edit_your_motion.config import EditConfig, StageConfig, parse_config
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import ConfigError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.nn.motion_attention import MotionAttention
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import InflatedTransformerBlock, VideoUNet
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.tuning.loop import trainable
from synthetic_clip import film
from tiny_network import load_network, load_unet, random_clip, wake

pytestmark = pytest.mark.law

T = torch.tensor([500])
CONFIG = EditConfig()
EDITS = [method for method in METHODS.values() if method.shows == "edit" and method.lacks(CONFIG) is None]


def network_of(checkpoints: Path, method: Method) -> NoisePredictor:
    return load_network(checkpoints, **method.configure(CONFIG).network.of_unet())


def stages_of(method: Method) -> list[StageConfig]:
    return [stage for stage in method.configure(CONFIG).tuning.stages if stage.iterations]


def predict(network: NoisePredictor) -> torch.Tensor:
    clip = random_clip()
    return network(clip.whole, T, clip.text, clip.skeletons)


@pytest.mark.parametrize("method", EDITS, ids=lambda method: method.name)
def test_exactly_the_parameters_named_get_gradients(checkpoints: Path, method: Method) -> None:
    for stage in stages_of(method):
        network = wake(network_of(checkpoints, method))
        with trainable(network, stage, gradient_checkpointing=False) as parameters:
            predict(network).square().mean().backward()
            with_gradient = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
            without = [name for name, value in parameters.items() if value.grad is None or not value.grad.any()]
        assert with_gradient == {f"unet.{name}" for name in parameters}
        # A bias of the keys shifts all scores of a query alike, which the softmax does not see; and MotionEditor's two
        # convolutions, both zero, hand no gradients to each other.
        dead = [name for name in without if not name.endswith("to_k.bias") and ".convolutions." not in name]
        assert dead == []


def test_tune_a_video_trains_queries_and_temporal_attention_without_its_norm(checkpoints: Path) -> None:
    network = network_of(checkpoints, METHODS["tune-a-video"])
    (stage,) = stages_of(METHODS["tune-a-video"])
    blocks = {
        name.removeprefix("unet."): block
        for name, block in network.named_modules()
        if isinstance(block, InflatedTransformerBlock)
    }
    temporal = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "to_out.0.bias")
    expected = {
        f"{block}.{place}"
        for block in blocks
        for place in ("attn1.to_q.weight", "attn2.to_q.weight", *(f"attn_temp.attention.{name}" for name in temporal))
    }
    with trainable(network, stage, gradient_checkpointing=False) as parameters:
        assert parameters.keys() == expected
    assert (stage.iterations, stage.learning_rate, stage.pixels) == (500, 3e-5, "whole")


@torch.no_grad()
def test_tune_a_video_starts_with_its_random_biases_alone(checkpoints: Path) -> None:
    network = network_of(checkpoints, METHODS["tune-a-video"])
    plain = load_network(checkpoints, frame_attention="sparse-causal", motion_attention="none")
    started = predict(network)
    assert not torch.allclose(started, predict(plain), atol=1e-4)
    for block in network.modules():
        if isinstance(block, InflatedTransformerBlock):
            assert not block.attn_temp.attention.to_out[0].weight.any()
            block.attn_temp.attention.to_out[0].bias.zero_()
    assert torch.equal(predict(network), predict(plain))


@torch.no_grad()
def test_tune_a_video_attends_over_time_after_the_feed_forward(checkpoints: Path) -> None:
    network = network_of(checkpoints, METHODS["tune-a-video"])
    block = next(module for module in network.modules() if isinstance(module, InflatedTransformerBlock))
    order: list[str] = []
    for name in ("attn1", "attn2", "ff", "attn_temp"):
        getattr(block, name).register_forward_hook(lambda *_, name=name: order.append(name))
    predict(network)
    assert order == ["attn1", "attn2", "ff", "attn_temp"]


@torch.no_grad()
def test_detaching_tune_a_video_restores_the_stock_network_after_tuning(checkpoints: Path) -> None:
    stock, unet = load_unet(checkpoints), load_unet(checkpoints)
    attached = VideoUNet(unet, frame_attention="sparse-causal", temporal_attention="tune-a-video")
    for part in stages_of(METHODS["tune-a-video"])[0].trains:
        for parameter in attached.parameters_of(part).values():
            parameter += 1
    restored = attached.detach().state_dict()
    assert restored.keys() == stock.state_dict().keys()
    assert all(torch.equal(value, restored[name]) for name, value in stock.state_dict().items())


@torch.no_grad()
def test_the_text_attention_shares_all_but_its_queries_with_the_stock_network(checkpoints: Path) -> None:
    stock = dict(load_unet(checkpoints).named_parameters())
    unet = load_unet(checkpoints)
    own = dict(unet.named_parameters())
    attached = dict(VideoUNet(unet).named_parameters())
    for name in (name for name in stock if ".attn2." in name):
        inflated = attached[f"unet.{name}"]
        assert torch.equal(inflated, stock[name])
        assert (inflated is own[name]) == (".to_q." not in name)


def test_the_methods_that_lack_a_part_really_lack_it(checkpoints: Path) -> None:
    without_ma = network_of(checkpoints, METHODS["without-ma"])
    assert not any(isinstance(module, MotionAttention) for module in without_ma.modules())
    assert all("motion-attention" not in stage.trains for stage in stages_of(METHODS["without-ma"]))
    blocks = [
        block
        for block in network_of(checkpoints, METHODS["without-rca"]).modules()
        if isinstance(block, InflatedTransformerBlock)
    ]
    assert {block.attn1.kind for block in blocks} == {"spatial"}
    (joint,) = stages_of(METHODS["without-stl"])
    full = stages_of(METHODS["edit-your-motion"])
    assert set(joint.trains) == {part for stage in full for part in stage.trains}
    assert (joint.pixels, joint.iterations) == ("whole", sum(stage.iterations for stage in full))
    prompted = EditConfig(prompt="a man dances", edit_prompt="a man jumps")
    promptless = METHODS["without-prompt"].configure(prompted)
    assert (promptless.prompt, promptless.edit_prompt) == ("", "")
    assert METHODS["paper-alignment"].configure(CONFIG).alignment.method == "paper"
    (inversion,) = [method for name, method in METHODS.items() if name.startswith("inversion-")]
    assert inversion.configure(CONFIG).inversion.skeleton is not CONFIG.inversion.skeleton
    assert inversion.name == f"inversion-{'without' if CONFIG.inversion.skeleton else 'with'}-skeleton"


def test_the_full_method_is_the_configuration_itself() -> None:
    assert METHODS["edit-your-motion"].configure(CONFIG) == CONFIG


def test_shorter_stages_keep_their_proportions_and_what_was_off() -> None:
    joint = scale_tuning(METHODS["without-stl"].configure(CONFIG), 0.5).tuning
    assert [stage.iterations for stage in joint.stages] == [0, 300]
    assert [stage.iterations for stage in scale_tuning(CONFIG, 1e-6).tuning.stages] == [1, 1]


def test_every_method_gets_its_own_learning_rate_times_the_same() -> None:
    for name in ("edit-your-motion", "tune-a-video"):
        method = METHODS[name].configure(CONFIG)
        scaled = scale_tuning(method, 1.0, 10.0)
        rates = [[stage.learning_rate for stage in each.tuning.stages if stage.iterations] for each in (method, scaled)]
        assert rates[1] == pytest.approx([10 * rate for rate in rates[0]])


def test_methods_are_chosen_by_name_once_each() -> None:
    assert [method.name for method in choose_methods(["source", "truth", "source"])] == ["source", "truth"]
    with pytest.raises(ConfigError, match=r"got tune-a-vide$"):
        choose_methods(["tune-a-vide"])


def test_plain_controlnet_and_tune_a_video_leave_the_base_as_it_was(checkpoints: Path) -> None:
    short = {
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "prompt": "a box walks",
        "inversion": {"steps": 1},
        "sampling": {"steps": 1},
        "runtime": {"device": "cpu"},
    }
    config = parse_config(EditConfig, short)
    backbone = Backbone.load(config.model, config.runtime)
    clip = film(2)
    before = load_unet(checkpoints).state_dict()
    for name, tuned in (("controlnet", 0), ("tune-a-video", 7)):
        method = scale_tuning(METHODS[name].configure(config), 1e-6)
        person = tune_person(backbone, clip, method.for_tuning(), SilentProgress())
        edit = apply_motion(backbone, person, clip, method.for_applying(), SilentProgress())
        assert edit.frames.shape == clip.video.frames.shape
        assert len(person.losses) == (1 if tuned else 0)
        blocks = sum(isinstance(module, InflatedTransformerBlock) for module in backbone.base.unet.modules())
        assert len(person.parameters) == tuned * blocks
    backbone.inflate(config.network, 0).unet.detach()
    after = backbone.base.unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
