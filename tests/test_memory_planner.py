"""The plan for an edit in little memory: it fits, it is monotone, it is told, and what it is made of is measured."""

import json
import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from edit_your_motion.config import (
    AppearanceStageConfig,
    ApplyConfig,
    BaseConfig,
    EditConfig,
    NetworkConfig,
    RuntimeConfig,
    TuneConfig,
    TuningConfig,
    VideoConfig,
    WindowsConfig,
)
from edit_your_motion.errors import ConfigError, OutOfMemoryError
from edit_your_motion.jobs.session import _fit
from edit_your_motion.models.loading import load_architecture
from edit_your_motion.nn import noise_predictor
from edit_your_motion.nn.skeleton_guidance import embedded_bytes
from edit_your_motion.runtime.dry_run import OperationCounter, run_dry
from edit_your_motion.runtime.memory_plan import (
    MARGIN,
    OVERHEAD,
    Means,
    Plan,
    Rehearsal,
    _candidates,
    follow,
    in_gigabytes,
    make_plan,
    parse_bytes,
)
from edit_your_motion.video import write_video
from tiny_network import load_network, random_clip, wake

SHAPE = (12, 128, 128)
WINDOWS = WindowsConfig(frames=12, overlap=8)
MEANS = Means(("everything",), "compute", False, False, 4, 0)


TUNING = TuningConfig(motion={"iterations": 0})


@pytest.fixture(scope="module")
def rehearsal(checkpoints: Path) -> Rehearsal:
    architecture = load_architecture(str(checkpoints / "base"), str(checkpoints / "controlnet"))
    return Rehearsal(architecture, NetworkConfig(), TUNING, cpu(), SHAPE)


def cpu(memory: int | str | None = None, **settings: object) -> RuntimeConfig:
    return RuntimeConfig(device="cpu", precision="fp32", memory=None if memory is None else str(memory), **settings)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GB", 8 * 10**9), ("7.5 GiB", 7.5 * 2**30), ("512m", 512 * 10**6), ("1000", 1000), (" 2 tb ", 2 * 10**12)],
)
def test_amounts_of_memory(text: str, count: float | int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "8 bananas", "-1GB", "0GB", "GB", "1e3", "9" * 400 + "GB", "8GB\n8GB"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ConfigError, match="8GB"):
        parse_bytes(text)


def test_less_memory_never_makes_a_plan_that_takes_more(rehearsal: Rehearsal) -> None:
    roomy = make_plan(rehearsal, WINDOWS, cpu("100GB"))
    assert roomy.means == Means(("nothing",), "compute", False, False, 12, 0), "with room, nothing is given up"
    plans = [roomy]

    def descend() -> None:
        while True:
            plans.append(make_plan(rehearsal, WINDOWS, cpu(plans[-1].needed - 1)))

    with pytest.raises(OutOfMemoryError, match="recompute all activations") as refused:
        descend()
    assert in_gigabytes(plans[-1].needed) in str(refused.value), "the least that would fit is named"
    needed, costs = [each.needed for each in plans], [each.means.cost for each in plans]
    assert needed == sorted(needed, reverse=True)
    assert costs == sorted(costs)
    assert len(plans) >= 5
    assert all(each.needed <= each.budget for each in plans)


def test_shorter_windows_are_the_last_resort(rehearsal: Rehearsal) -> None:
    candidates = list(_candidates(rehearsal, WindowsConfig(frames=12, overlap=2), cpu()))
    assert {means.window for means in candidates} == {12, 6}
    shortened = [means.cost for means in candidates if means.cuts]
    assert max(means.cost for means in candidates if not means.cuts) < min(shortened)


def test_what_is_set_already_stays(rehearsal: Rehearsal) -> None:
    tuning = TUNING.model_copy(update={"recompute": ("everything", "nothing")})
    set_already = Rehearsal(rehearsal.architecture, NetworkConfig(), tuning, cpu(), (2, 64, 64))
    made = make_plan(set_already, WINDOWS, cpu("100GB", frozen_storage="fp16", tiled_vae=True))
    assert made.means == Means(("everything", "nothing"), "fp16", False, True, 2, 0)
    untuned = Rehearsal(rehearsal.architecture, NetworkConfig(), None, cpu(), (2, 64, 64))
    assert make_plan(untuned, WINDOWS, cpu("100GB")).means.recompute == ("nothing",)
    config = follow(made, TuneConfig(tuning=tuning, windows=WINDOWS))
    assert (config.runtime.frozen_storage, config.runtime.tiled_vae, config.runtime.offload) == ("fp16", True, False)
    assert config.tuning.recomputation == ("everything", "nothing")
    assert config.windows == WINDOWS
    shorter = Plan(1, 1, replace(made.means, window=6, cuts=1))
    assert follow(shorter, ApplyConfig(windows=WINDOWS)).windows.frames == 6


def test_a_loaded_person_lies_beside_the_network(rehearsal: Rehearsal) -> None:
    alone, beside = (
        Rehearsal(rehearsal.architecture, NetworkConfig(), None, cpu(), (2, 64, 64), person=size) for size in (0, 10**7)
    )
    means = make_plan(alone, WINDOWS, cpu("100GB")).means
    assert beside.needed(means) - alone.needed(means) == 10**7


def test_the_plan_is_told(rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="edit_your_motion.runtime.memory_plan"):
        made = make_plan(rehearsal, WINDOWS, cpu("100GB"))
    assert caplog.messages == [made.describe()]
    assert "100.00 GB" in made.describe()
    assert "windows of 12 frames" in made.describe()
    assert json.loads(json.dumps(made.record()))["frozen_storage"] == "compute"


@pytest.mark.parametrize("recompute", [("nothing",), ("cheap",), ("everything",)])
def test_the_estimate_is_near_what_tuning_really_holds(
    checkpoints: Path, rehearsal: Rehearsal, recompute: tuple[str, ...]
) -> None:
    """Results of a real step, followed tensor by tensor, against those of the dry run: the margin covers them."""
    stage = AppearanceStageConfig()
    smaller = Rehearsal(rehearsal.architecture, NetworkConfig(), TUNING, cpu(), (4, 64, 128))
    expected = smaller.tuning_step(stage, recompute, 4, smaller.predictor)
    network, clip = wake(load_network(checkpoints)), random_clip(4, lh=8, lw=16)
    network.unet.gradient_checkpointing = recompute
    for part in stage.trains:
        for parameter in network.unet.parameters_of(part).values():
            parameter.requires_grad_(True)

    conditions = network.prepare(clip.text, clip.skeletons)

    def tune() -> None:
        network.predict(clip.whole, torch.tensor([5]), conditions).square().mean().backward()

    real = run_dry(tune, [network])
    assert 0.95 * expected.memory < real.memory < MARGIN * expected.memory
    assert real.operations == expected.operations


def test_skeletons_of_a_clip_that_would_take_too_much_are_embedded_at_every_step(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = rehearsal.predictor
    frames, height, width = rehearsal.shape
    taken = embedded_bytes(predictor.controlnet, frames, height, width)
    embedded = rehearsal.make_conditions(frames, predictor)
    assert embedded.embedded
    assert embedded.skeletons is not None
    assert embedded.skeletons.nbytes == taken
    once = rehearsal.prediction(frames, predictor)
    assert rehearsal.phases(MEANS)["sample"] > 2 * taken + rehearsal.least(MEANS)
    monkeypatch.setattr(noise_predictor, "MOST_KEPT", taken - 1)
    longer = Rehearsal(rehearsal.architecture, NetworkConfig(), TUNING, cpu(), rehearsal.shape)
    assert not longer.make_conditions(frames, longer.predictor).embedded
    assert longer.prediction(frames, longer.predictor).operations > once.operations


def test_recomputing_more_holds_less(rehearsal: Rehearsal) -> None:
    stage = AppearanceStageConfig()
    order = [("nothing",), ("cheap",), ("everything", "cheap"), ("everything",)]
    held = [rehearsal.tuning_step(stage, recompute, 12, rehearsal.predictor).memory for recompute in order]
    assert held == sorted(held, reverse=True)
    assert held[-1] < 0.6 * held[0]
    assert rehearsal.least(replace(MEANS, frozen_storage="fp16")) < rehearsal.least(MEANS)
    assert rehearsal.least(MEANS) > OVERHEAD


def test_a_counter_holds_on_to_nothing() -> None:
    """Finding: torch's own counter keeps the results of recomputed layers alive, and the peak is then that of none."""
    layers = [torch.nn.Linear(64, 64, device="meta") for _ in range(6)]

    def run() -> None:
        hidden = torch.empty(1000, 64, device="meta", requires_grad=True)
        for layer in layers:
            hidden = checkpoint(lambda x, layer=layer: layer(x).sin().sin().sin().sin(), hidden, use_reentrant=False)
        hidden.sum().backward()

    alone = run_dry(run, layers)
    with OperationCounter() as counter:
        again = run_dry(run, layers)
    one = 1000 * 64 * 4
    assert alone == again
    assert alone.memory < 16 * one, "six inputs and one layer, not thirty results"
    assert counter.operations == alone.operations == 4 * 6 * 2 * 1000 * 64 * 64


def test_a_session_fits_its_settings_to_the_memory_that_it_is_given(checkpoints: Path, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 64, 128, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames, Fraction(8))
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    video = VideoConfig(frames=2, size="128x64")
    config = EditConfig(source=str(tmp_path / "clip.mp4"), model=model, video=video, tuning=TUNING, runtime=cpu())
    assert _fit(config) == (config, None)
    asking = config.model_copy(update={"runtime": cpu("2GB")})
    fitted, made = _fit(asking)
    assert made is not None
    assert made.budget == 2 * 10**9
    assert fitted.tuning.recompute == made.means.recompute == ("nothing",)
    assert fitted.for_tuning().identity() == asking.for_tuning().identity(), "it is the same person"
    with pytest.raises(OutOfMemoryError, match="2 frames of 128x64"):
        _fit(config.model_copy(update={"runtime": cpu("600MB")}))
