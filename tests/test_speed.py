"""Whatever makes it faster or smaller leaves the result as it was: laws with and without each of them."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import jaxtyping
import pytest
import torch
from diffusers import ControlNetModel
from torch import nn

from edit_your_motion.config import (
    AppearanceStageConfig,
    BaseConfig,
    MotionStageConfig,
    NetworkConfig,
    Recomputation,
    RuntimeConfig,
    StageConfig,
)
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import load_base
from edit_your_motion.nn.conditions import text_attentions
from edit_your_motion.nn.motion_attention import SiteMotionAttention
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.runtime.compilation import REPEATED, compile_layers
from edit_your_motion.runtime.dry_run import OperationCounter
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.runtime.weight_storage import FrozenConv2d, FrozenLinear, store
from edit_your_motion.tuning.loop import Tuning, trainable, tune
from tiny_network import load_network, random_clip, scheduler, short_tuning, wake

T = torch.tensor([500])
STAGES = [MotionStageConfig(), AppearanceStageConfig()]


def close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)


def gradients(
    network: NoisePredictor,
    stage: StageConfig,
    recomputation: Recomputation = False,
    watch: AbstractContextManager[object] | None = None,
) -> dict[str, torch.Tensor]:
    """The gradients of a stage's parameters; the network is left as it was. `watch` is entered for a step."""
    clip = random_clip()
    conditions = network.prepare(clip.text, clip.skeletons)
    with trainable(network, stage, recomputation) as parameters, watch or nullcontext():
        network.predict(clip.whole, T, conditions).square().mean().backward()
        found = {name: parameter.grad.clone() for name, parameter in parameters.items()}
        network.zero_grad()
    return found


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2])
def test_prepared_conditions_predict_what_stock_modules_do(checkpoints: Path, batch: int) -> None:
    """Against diffusers' own ControlNet and cross-attention, which project the prompt for every frame."""
    network, clip = wake(load_network(checkpoints)), random_clip(3, batch)
    prepared = network.predict(clip.whole, T.expand(batch), network.prepare(clip.text, clip.skeletons), 0.7)
    stock = ControlNetModel.from_pretrained(checkpoints / "controlnet")
    z, text = clip.whole.flatten(0, 1), clip.text.repeat_interleave(3, 0)
    down, mid = stock(z, T.expand(len(z)), text, clip.skeletons.flatten(0, 1), 0.7, return_dict=False)
    for attention in text_attentions(network.unet):
        attention.set_processor(type(text_attentions(stock)[0].processor)())
    layers = PerFrame(network.unet)
    close(prepared, layers.predict(clip.whole, T.expand(batch), text, [*down, mid]))


class PerFrame:
    """A video U-Net whose cross-attentions are given the prompt once for every frame, as stock ones are."""

    def __init__(self, unet: nn.Module) -> None:
        self.unet = unet

    def predict(self, z: torch.Tensor, t: torch.Tensor, text: torch.Tensor, residuals: list) -> torch.Tensor:
        hooks = [
            attention.register_forward_pre_hook(
                lambda _, args, given: (args, {**given, "encoder_hidden_states": text}), with_kwargs=True
            )
            for attention in text_attentions(self.unet)
        ]
        try:
            return self.unet(z, t, text[:: z.shape[1]], residuals)
        finally:
            for hook in hooks:
                hook.remove()


@torch.no_grad()
def test_conditions_can_be_cut_and_given_another_prompt(checkpoints: Path) -> None:
    network, clip, other = wake(load_network(checkpoints)), random_clip(5), random_clip(5, seed=1)
    conditions = network.prepare(clip.text, clip.skeletons)
    cut = slice(1, 4)
    expected = network(clip.whole[:, cut], T, clip.text, clip.skeletons[:, cut])
    close(network.predict(clip.whole[:, cut], T, conditions.of_frames(cut)), expected)
    later = network.prepare(clip.text, clip.skeletons, embed=False)
    close(network.predict(clip.whole[:, cut], T, later.of_frames(cut)), expected)
    bytes_ = (clip.skeletons * 255).round().byte()
    close(
        network.predict(clip.whole, T, network.prepare(clip.text, bytes_)),
        network(clip.whole, T, clip.text, bytes_.float() / 255),
    )
    away = conditions.with_text(network.prepare_text(other.text))
    close(network.predict(clip.whole, T, away), network(clip.whole, T, other.text, clip.skeletons))
    without = network.prepare(clip.text, None)
    close(network.predict(clip.whole, T, without.of_frames(cut)), network(clip.whole, T, clip.text, None))


def count_calls(modules: list[nn.Module]) -> list[int]:
    """A list that holds, from now on, how often each module was called."""
    calls = [0] * len(modules)
    for index, module in enumerate(modules):

        def count(*_: object, index: int = index) -> None:
            calls[index] += 1

        module.register_forward_hook(count)
    return calls


def test_tuning_embeds_skeletons_and_projects_the_prompt_once(checkpoints: Path) -> None:
    network = load_network(checkpoints)
    attentions = text_attentions(network)
    embedding = count_calls([network.controlnet.controlnet_cond_embedding])
    projections = count_calls([each.to_k for each in attentions] + [each.to_v for each in attentions])
    queries = count_calls([each.to_q for each in attentions])
    tune(network, random_clip(2, lh=4, lw=8), scheduler(checkpoints), Tuning(short_tuning(2)))
    assert embedding == [1]
    assert projections == [1] * len(projections)
    assert min(queries) >= 4


@pytest.mark.parametrize("stage", STAGES, ids=["motion", "appearance"])
@pytest.mark.parametrize(
    "recomputation",
    [True, ("cheap",), ("everything", "cheap", "nothing"), ("nothing", "everything")],
    ids=["everything", "cheap", "by level", "below"],
)
def test_recomputing_changes_no_gradient(checkpoints: Path, stage: StageConfig, recomputation: Recomputation) -> None:
    network = wake(load_network(checkpoints))
    plain, recomputed = gradients(network, stage), gradients(network, stage, recomputation)
    assert all(torch.equal(plain[name], recomputed[name]) for name in plain)


@pytest.mark.parametrize("stage", STAGES, ids=["motion", "appearance"])
def test_recomputing_less_costs_fewer_operations(checkpoints: Path, stage: StageConfig) -> None:
    network = wake(load_network(checkpoints))
    counts = []
    for recomputation in (False, ("cheap",), ("everything", "cheap"), True):
        counter = OperationCounter()
        gradients(network, stage, recomputation, counter)
        counts.append(counter.operations)
    assert counts == sorted(counts)
    assert counts[1] < 1.01 * counts[0], "cheap recomputes no product"
    assert counts[3] > 1.2 * counts[0], "everything recomputes them all"


def test_the_network_before_the_first_layer_that_trains_has_no_graph(checkpoints: Path) -> None:
    network = wake(load_network(checkpoints))
    first = network.unet.unet.down_blocks[0].resnets[0]
    results: list[torch.Tensor] = []
    first.register_forward_hook(lambda _, __, result: results.append(result))
    control: list[torch.Tensor] = []
    network.controlnet.mid_block.register_forward_hook(lambda _, __, result: control.append(result))
    gradients(network, AppearanceStageConfig(), True)
    assert len(results) == 1, "it is not computed again"
    assert len(control) == 1
    assert not any(result.requires_grad for result in (*results, *control))


@pytest.mark.parametrize("stage", STAGES, ids=["motion", "appearance"])
def test_frozen_weights_that_fit_half_precision_change_nothing_when_stored_so(
    checkpoints: Path, stage: StageConfig
) -> None:
    plain, stored = load_network(checkpoints), load_network(checkpoints)
    for network in (plain, stored):
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()
    wake(plain), wake(stored)
    trained = {id(parameter) for part in stage.trains for parameter in stored.unet.parameters_of(part).values()}
    frozen = [module for module in stored.modules() if not any(id(each) in trained for each in module.parameters())]
    for module in frozen:
        if any(type(child) in (nn.Linear, nn.Conv2d) for child in module.children()):
            store(module, torch.float16, torch.float32)
    assert sum(isinstance(module, FrozenConv2d) for module in stored.modules()) > 20
    expected, got = gradients(plain, stage), gradients(stored, stage)
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        close(got[name], gradient)


def test_a_stored_layer_keeps_its_type_and_name_and_can_be_trained() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(4, 4, 1), nn.LayerNorm(4))
    names = list(network.state_dict())
    store(network, torch.float16, torch.float32)
    assert [type(layer) for layer in network] == [FrozenLinear, FrozenConv2d, nn.LayerNorm]
    assert list(network.state_dict()) == names
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        network.to(dtype)
        assert network[0].weight.dtype == torch.float16
        assert network[0].bias.dtype == network[2].weight.dtype == dtype
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    network[0](x).sum().backward()
    assert network[0].weight.grad.shape == (4, 3)


def test_what_a_base_in_half_precision_is_stored_in_does_not_matter(checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "halved"
    shutil.copytree(checkpoints, folder)
    base = load_base(str(folder / "base"), str(folder / "controlnet"))
    for name, network in {"unet": base.unet, "vae": base.vae, "text_encoder": base.text_encoder}.items():
        network.half().save_pretrained(folder / "base" / name)
    base.controlnet.half().save_pretrained(folder / "controlnet")
    model = BaseConfig(base=str(folder / "base"), controlnet=str(folder / "controlnet"))
    clip = random_clip(2)
    results = []
    for storage in ("compute", "fp16"):
        backbone = Backbone.load(model, RuntimeConfig(device="cpu", precision="fp32", frozen_storage=storage))
        predictor = wake(backbone.inflate(NetworkConfig(), seed=0))
        predictor.to(backbone.dtype)
        with torch.no_grad():
            noise = predictor(clip.whole, T, backbone.embed("someone dances"), clip.skeletons)
        frames = backbone.decode(clip.whole / 10, SilentProgress())
        results.append((noise, torch.from_numpy(frames).float(), backbone.encode(frames, SilentProgress())))
        dtypes = {parameter.dtype for parameter in base_parameters(backbone)}
        assert (torch.float16 in dtypes) == (storage == "fp16")
    for plain, stored in zip(*results, strict=True):
        close(stored, plain)


def base_parameters(backbone: Backbone) -> list[nn.Parameter]:
    base = backbone.base
    return [each for network in (base.unet, base.controlnet, base.vae) for each in network.parameters()]


@torch.no_grad()
def test_fewer_keys_of_motion_attention_are_averages_over_cells(checkpoints: Path) -> None:
    torch.manual_seed(0)
    site = SiteMotionAttention(32, 4, most_keys=8)
    tokens = torch.randn(2, 6 * 8, 32)
    fewer = site._fewer(tokens, 6)
    cells = tokens.reshape(2, 2, 3, 8, 32)[:, :, :, :6].reshape(2, 2, 3, 2, 3, 32)
    averages = fewer.reshape(2, 2, 3, 32)
    torch.testing.assert_close(averages[:, :, :2], cells.mean(dim=(2, 4)))
    assert site._fewer(tokens[:, :8], 2) is not None
    assert torch.equal(site._fewer(tokens[:, :8], 2), tokens[:, :8])
    clip = random_clip(2)
    full = wake(load_network(checkpoints))
    enough = wake(load_network(checkpoints, motion_attention_tokens=10_000))
    few = wake(load_network(checkpoints, motion_attention_tokens=4))
    expected, same, other = (each(clip.whole, T, clip.text, clip.skeletons) for each in (full, enough, few))
    assert torch.equal(expected, same)
    assert not torch.allclose(expected, other, atol=1e-4)


@torch.no_grad()
def test_memory_layout_and_tiles_and_offloading(checkpoints: Path) -> None:
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    clip, results = random_clip(2), []
    for options in ({}, {"channels_last": True, "offload": True}):
        backbone = Backbone.load(model, RuntimeConfig(device="cpu", precision="fp32", **options))
        predictor = wake(backbone.inflate(NetworkConfig(), seed=0))
        results.append(predictor(clip.whole, T, backbone.embed("someone"), clip.skeletons))
    close(results[1], results[0])
    tiled = Backbone.load(model, RuntimeConfig(device="cpu", precision="fp32", tiled_vae=True))
    assert tiled.base.vae.use_tiling
    large = torch.randn(1, 1, 4, 40, 40)
    assert tiled.decode(large, SilentProgress()).shape == (1, 320, 320, 3)


@torch.no_grad()
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # of the compiler's own, about what it cannot trace
def test_compiled_layers_compute_the_same(checkpoints: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("compiling needs a C++ compiler")
    network, clip = wake(load_network(checkpoints)), random_clip(2, lh=8, lw=8)
    expected = network(clip.whole, T, clip.text, clip.skeletons)
    torch._dynamo.reset()
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    layers = [module for module in network.unet.unet.mid_block.modules() if isinstance(module, REPEATED)]
    assert compile_layers(network.unet.unet.mid_block, backend) == len(layers) == 3
    close(network(clip.whole, T, clip.text, clip.skeletons), expected)
