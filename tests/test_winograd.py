"""Winograd's algorithm convolves as torch does, to rounding, in both directions, and wherever layers are used."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from edit_your_motion.config import (
    AppearanceStageConfig,
    ApplyConfig,
    BaseConfig,
    NetworkConfig,
    Recomputation,
    RuntimeConfig,
    StageConfig,
    TuneConfig,
    TuningConfig,
    WindowsConfig,
    parse_config,
)
from edit_your_motion.errors import ConfigError, OutOfMemoryError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import load_architecture
from edit_your_motion.nn.conditions import Conditions
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.runtime import winograd
from edit_your_motion.runtime.dry_run import OperationCounter, run_dry
from edit_your_motion.runtime.memory_plan import MARGIN, Means, Rehearsal, _candidates, follow, make_plan
from edit_your_motion.runtime.weight_storage import FrozenConv2d, store
from edit_your_motion.runtime.winograd import (
    MOST_WORK,
    WinogradConv2d,
    convolve,
    convolve_back,
    transform,
    transformed_bytes,
    use_winograd,
)
from edit_your_motion.tuning.loop import trainable
from tiny_network import load_network, random_clip, wake

pytestmark = pytest.mark.law

T = torch.tensor([500])

SHAPES = [
    # frames, channels in and out, height and width
    (1, 8, 8, 4, 4),
    (3, 16, 24, 8, 16),
    (2, 5, 7, 12, 8),
    (2, 32, 16, 6, 9),
    (1, 3, 4, 1, 13),
    (5, 320, 64, 8, 8),
]


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Winograd's algorithm in layers that are too small for it to pay, as those of tiny networks are."""
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 8)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def error(got: Tensor, exact: Tensor) -> float:
    """The largest deviation, in standard deviations of what is exact."""
    return float((got - exact).detach().abs().max() / exact.detach().std())


@pytest.mark.parametrize("work", [MOST_WORK, 1, 100_000], ids=["whole", "row by row", "pieces"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_exact_but_for_rounding(shape: tuple[int, ...], work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Result and gradient against torch's in fp64: 1e-12 computed in fp64, and of the order of fp32's 1e-7 in that."""
    monkeypatch.setattr(winograd, "MOST_WORK", work)
    n, c, o, h, w = shape
    x, weight, bias, gradient = draw(n, c, h, w), draw(o, c, 3, 3) / (9 * c) ** 0.5, draw(o), draw(n, o, h, w, seed=1)
    expected = conv2d(x.requires_grad_(), weight, bias, padding=1)
    (back,) = torch.autograd.grad(expected, x, gradient)
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        U, given = transform(weight.to(dtype)), x.detach().to(dtype).requires_grad_()
        got = convolve(given, U, bias.to(dtype))
        assert error(got, expected) < bound
        assert error(torch.autograd.grad(got, given, gradient.to(dtype))[0], back) < bound
        assert error(convolve(given, U, None), conv2d(x, weight, padding=1)) < bound


def rounding_bound(channels: int, before: int, after: int) -> float:
    """The standard deviation of what rounding leaves of a convolution of independent numbers, in units of the result's.

    Each rounding errs by at most u = 2^-24 of what it rounds. With transforms whose rows have the squared norms a (A^T,
    by column), g (G) and b (B^T), the numbers that are summed at the end have k = sum(a g b) / (16 * 9) times the
    variance of the result. The transform before rounds its sums of `before` terms as often, and their products; the sum
    over `channels` grows evenly, so that its roundings count half; the one after is like the one before; U is rounded
    once. Errors of independent roundings add by their squares.
    """
    a, g, b = (winograd._AT**2).sum(0), (winograd._G**2).sum(1), (winograd._BT**2).sum(1)
    k = float((a * g * b).sum()) / (winograd.TILE**2 * 9)
    return 2**-24 * (k * (1 + before + 1 + channels / 2 + 1 + after + 1)) ** 0.5


def test_it_rounds_about_as_direct_convolution_does() -> None:
    """At Stable Diffusion's width, and of a gradient, whose patches overlap at four places."""
    x, weight = draw(2, 320, 16, 16), draw(320, 320, 3, 3) / 54
    exact, back = conv2d(x, weight, padding=1), torch.nn.grad.conv2d_input(x.shape, weight, x, padding=1)
    halves = x.float(), weight.float()
    deviation = (convolve(halves[0], transform(halves[1]), None) - exact).std() / exact.std()
    points = winograd.PATCH**2
    assert deviation < rounding_bound(320, points, points)
    backwards = (convolve_back(halves[0], transform(halves[1])) - back).std() / back.std()
    assert backwards < rounding_bound(320, winograd.TILE**2, points + 4)
    direct = 2**-24 * (9 * 320 / 2 + 1) ** 0.5
    assert rounding_bound(320, points, points) < 3 * direct


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_operators_keep_torchs_promises(layout: torch.memory_format) -> None:
    """Shapes without contents, no mutation, no alias, and gradients by finite differences."""
    x = draw(1, 3, 5, 8).to(memory_format=layout).requires_grad_()
    U, bias = transform(draw(4, 3, 3, 3)), draw(4)
    operators = ((transform, (draw(4, 3, 3, 3),)), (convolve, (x, U, bias)), (convolve_back, (draw(2, 4, 5, 8), U)))
    for operator, inputs in operators:
        torch.library.opcheck(operator, inputs, test_utils=("test_schema", "test_faketensor"))
    assert torch.autograd.gradcheck(convolve, (x, U, bias))


@pytest.mark.usefixtures("everywhere")
def test_a_layer_keeps_its_parameters_their_names_and_nothing_for_the_backward_pass() -> None:
    network = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 8, 3, padding=1, bias=False))
    network.requires_grad_(False)
    stock, names, parameters = deepcopy(network), list(network.state_dict()), list(network.parameters())
    assert use_winograd(network, 1) == use_winograd(network, 1) == 2
    kept: list[Tensor] = []
    x = draw(2, 8, 8, 8, dtype=torch.float32).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda kept: kept):
        result = network(x)
    assert len(kept) == 1, "what the activation keeps"
    (got,), (expected,) = torch.autograd.grad(result.sum(), x), torch.autograd.grad(stock(x).sum(), x)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert list(network.state_dict()) == names
    assert all(now is before for now, before in zip(network.parameters(), parameters, strict=True))
    assert transformed_bytes(network) == 2 * 36 * 8 * 16 * 4
    network.load_state_dict(stock.state_dict())


def in_place(layer: nn.Conv2d) -> None:
    with torch.no_grad():
        layer.weight.mul_(2)


def replaced(layer: nn.Conv2d) -> None:
    layer.weight.data = layer.weight.data * 2


def loaded(layer: nn.Conv2d) -> None:
    layer.load_state_dict({"weight": layer.weight * 2, "bias": layer.bias})


def moved(layer: nn.Conv2d) -> None:
    layer.to(torch.float64)
    assert layer.transformed is None
    layer.to(torch.float32).weight.data *= 2


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("change", [in_place, replaced, loaded, moved])
def test_transformed_weights_follow_the_weight(change: Callable[[nn.Conv2d], None]) -> None:
    layer, x = WinogradConv2d(8, 8, fewest_tiles=1).requires_grad_(False), draw(1, 8, 8, 8, dtype=torch.float32)
    layer(x)
    before = layer.transformed
    layer(x)
    assert layer.transformed is before, "they are made once"
    for _ in range(2):
        change(layer)
        assert error(layer(x), conv2d(x, layer.weight, layer.bias, padding=1)) < 1e-5


@pytest.mark.usefixtures("everywhere")
def test_transformed_weights_that_were_made_without_gradients_serve_with_them() -> None:
    layer, x = WinogradConv2d(8, 8, fewest_tiles=1).requires_grad_(False), draw(1, 8, 8, 8, dtype=torch.float32)
    with torch.inference_mode():
        layer(x)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad is not None


def test_where_it_does_not_pay_the_stock_layer_computes() -> None:

    def direct(*shape: int, dtype: torch.dtype = torch.float32, trained: bool = False) -> bool:
        layer = WinogradConv2d(192, 192, fewest_tiles=64).to("meta", dtype).requires_grad_(False)
        layer.bias.requires_grad_(trained)
        layer(torch.empty(*shape, device="meta", dtype=dtype))
        return layer.transformed is None

    assert not direct(1, 192, 32, 32)
    assert not direct(5, 192, 14, 14)
    assert direct(1, 192, 28, 28), "too few tiles"
    assert direct(8, 192, 10, 10), "too much of them lies outside"
    assert direct(1, 192, 32, 32, dtype=torch.bfloat16)
    assert direct(1, 192, 32, 32, trained=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert direct(1, 192, 32, 32)


@pytest.mark.usefixtures("everywhere")
def test_only_layers_of_its_shape_are_turned() -> None:
    others = [
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(8, 4, 3, padding=1),
    ]
    network = nn.Sequential(*others, nn.Sequential(nn.Conv2d(8, 8, 3, padding=1)))
    store(network[-1], torch.float16, torch.float32)
    assert use_winograd(network, 1) == 0
    assert list(network)[:-1] == others
    assert type(network[-1][0]) is FrozenConv2d, "what is stored waits for want of memory"


def test_the_products_that_are_computed_are_counted() -> None:
    """The operators' own counts, with contents and without, against those of the products that they are made of."""
    x, weight, bias, gradient = draw(3, 8, 9, 12), draw(16, 8, 3, 3), draw(16), draw(3, 16, 9, 12)
    U = transform(weight)
    for operator, inputs in ((transform, (weight,)), (convolve, (x, U, bias)), (convolve_back, (gradient, U))):
        with OperationCounter() as whole:
            operator(*inputs)
        with OperationCounter() as parts:
            operator._init_fn(*inputs)
        dry = run_dry(lambda operator=operator, inputs=inputs: operator(*(each.to("meta") for each in inputs)))
        assert whole.operations == parts.operations == dry.operations > 0


def gradients(
    network: NoisePredictor, stage: StageConfig, recomputation: Recomputation, prepared: Conditions | None = None
) -> dict[str, Tensor]:
    clip = random_clip()
    conditions = prepared or network.prepare(clip.text, clip.skeletons)
    with trainable(network, stage, recomputation) as parameters:
        network.predict(clip.whole, T, conditions).square().mean().backward()
        found = {name: parameter.grad.clone() for name, parameter in parameters.items()}
        network.zero_grad()
    return found


@pytest.mark.usefixtures("everywhere")
def test_a_network_predicts_and_learns_the_same_whatever_is_recomputed(checkpoints: Path) -> None:
    stock, turned, clip = wake(load_network(checkpoints)), wake(load_network(checkpoints)), random_clip()
    names, stage = list(turned.state_dict()), AppearanceStageConfig()
    assert use_winograd(turned, 1) > 20
    counts, found = [], []
    # Weights are transformed during the first step, that is within a layer of which "cheap" keeps the products.
    for recomputation in (("cheap",), False, True, ("everything", "cheap", "nothing")):
        with OperationCounter() as counter:
            found.append(gradients(turned, stage, recomputation))
        counts.append(counter.operations)
    with OperationCounter() as counter:
        expected = gradients(stock, stage, False)
    for each in found:
        assert all(torch.equal(each[name], gradient) for name, gradient in found[0].items())
        assert all(error(each[name], gradient) < 1e-3 for name, gradient in expected.items() if gradient.any())
    with torch.no_grad():
        inputs = (clip.whole, T, clip.text, clip.skeletons)
        assert error(turned(*inputs), stock(*inputs)) < 1e-4
    transforms = 2 * 9 * transformed_bytes(turned) // 4
    assert 0 < transforms <= counts[0] - counts[1] < transforms + 0.01 * counts[1], "cheap recomputes no product"
    assert counts[2] > 1.1 * counts[1], "everything recomputes them"
    assert counts[1] < 0.95 * counter.operations
    assert list(turned.state_dict()) == names


@pytest.mark.usefixtures("everywhere")
def test_the_setting_reaches_u_net_and_controlnet(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    clip, results = random_clip(2), []

    def load(**settings: object) -> Backbone:
        return Backbone.load(model, RuntimeConfig(device="cpu", precision="fp32", winograd_tiles=1, **settings))

    for options in ({}, {"winograd": True}, {"winograd": True, "channels_last": True}):
        backbone = load(**options)
        predictor = wake(backbone.inflate(NetworkConfig(), seed=0))
        with torch.no_grad():
            results.append(predictor(clip.whole, T, backbone.embed("someone"), clip.skeletons))
        turned = [transformed_bytes(network) for network in (predictor.unet, predictor.controlnet)]
        assert all(turned) == any(turned) == bool(options)
        assert error(results[-1], results[0]) < 1e-4
    assert not caplog.messages
    assert transformed_bytes(load(winograd=True, frozen_storage="fp16").base.unet) == 0
    assert "changes nothing" in caplog.text
    reduced = Backbone.load(model, RuntimeConfig(device="cpu", precision="bf16", winograd=True))
    assert not any(isinstance(module, WinogradConv2d) for module in reduced.base.unet.modules())


def test_it_excludes_compilation_and_makes_no_other_person() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        parse_config(TuneConfig, {"runtime": {"compile": True, "winograd": True}})
    assert TuneConfig(runtime=RuntimeConfig(winograd=True, winograd_tiles=64)).identity() == TuneConfig().identity()


TILES = 12
"""Of 6 frames of 64x128 pixels at the second level of the tiny U-Net; at its finest there are 48."""


def asking(memory: int | str = "100GB", **settings: object) -> RuntimeConfig:
    """A machine whose memory is planned, and that is to use Winograd's algorithm."""
    always = {"device": "cpu", "precision": "fp32", "tiled_vae": True, "winograd": True, "winograd_tiles": TILES}
    return RuntimeConfig(memory=str(memory), **{**always, **settings})


@pytest.mark.usefixtures("everywhere")
def test_a_plan_counts_transformed_weights_and_gives_them_up_by_and_by_for_want_of_memory(checkpoints: Path) -> None:
    architecture = load_architecture(str(checkpoints / "base"), str(checkpoints / "controlnet"))
    windows = WindowsConfig(frames=6, overlap=2)
    rehearsal = Rehearsal(architecture, NetworkConfig(), None, asking(), (6, 64, 128))
    roomy = make_plan(rehearsal, windows, asking())
    assert roomy.means.winograd == TILES
    assert follow(roomy, ApplyConfig(runtime=asking())).runtime.winograd
    with torch.no_grad():
        network, clip = load_network(checkpoints), random_clip(6)
        use_winograd(network, TILES)
        network(clip.whole, T, clip.text, clip.skeletons)
    direct = replace(roomy.means, winograd=0)
    assert rehearsal.least(roomy.means) - rehearsal.least(direct) == transformed_bytes(network) > 10**6

    plans = [roomy]

    def descend() -> None:
        while True:
            plans.append(make_plan(rehearsal, windows, asking(plans[-1].needed - 1)))

    with pytest.raises(OutOfMemoryError):
        descend()
    assert [each.means.winograd for each in plans] == [TILES, 2 * TILES, 0, 0]
    assert [each.needed for each in plans] == sorted((each.needed for each in plans), reverse=True)
    assert f"from {2 * TILES} tiles on" in plans[1].describe()
    assert follow(plans[1], ApplyConfig(runtime=asking())).runtime.winograd_tiles == 2 * TILES
    assert "directly" in plans[-1].describe()
    last = follow(plans[-1], ApplyConfig(runtime=asking()))
    assert (last.runtime.winograd, last.runtime.frozen_storage) == (False, "fp16")
    stored = list(_candidates(rehearsal, windows, asking(frozen_storage="fp16")))
    assert not any(means.winograd for means in stored)
    rehearsal.winograd = False
    assert {means.winograd for means in _candidates(rehearsal, windows, asking())} == {None}


@pytest.mark.slow
@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("recompute", [("nothing",), ("cheap",), ("everything",)])
def test_the_estimate_of_tuning_is_that_of_the_layers_that_tune(checkpoints: Path, recompute: Recomputation) -> None:
    architecture = load_architecture(str(checkpoints / "base"), str(checkpoints / "controlnet"))
    stage, means = AppearanceStageConfig(), Means(recompute, "compute", False, False, 3, 0, winograd=1)
    rehearsal = Rehearsal(architecture, NetworkConfig(), TuningConfig(), asking(), (3, 64, 128))
    expected = rehearsal.tuning_step(stage, recompute, 3, rehearsal._predictor(means))
    network, clip = wake(load_network(checkpoints)), random_clip()
    use_winograd(network, 1)
    with torch.no_grad():
        network(clip.whole, T, clip.text, clip.skeletons)
    conditions = network.prepare(clip.text, clip.skeletons)
    real = run_dry(lambda: gradients(network, stage, recompute, conditions), [network])
    assert real.operations == expected.operations
    assert 0.9 * expected.memory < real.memory < MARGIN * expected.memory
    assert expected.operations < rehearsal.tuning_step(stage, recompute, 3, rehearsal.predictor).operations
