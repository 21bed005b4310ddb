"""Tuning: it learns, only what it should; and an interrupted one ends like an uninterrupted one, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edit_your_motion.errors import CheckpointError, ConfigError, MissingExtraError
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.tuning.loop import Tuning, TuningStep, tune, tuned_parameters
from tiny_network import load_network, random_clip, scheduler, short_tuning

CLIP = random_clip(frames=2, lh=4, lw=8)


def state_of(network: NoisePredictor) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def tuned(checkpoints: Path, tuning: Tuning) -> tuple[NoisePredictor, list[float]]:
    network = load_network(checkpoints)
    return network, tune(network, CLIP, scheduler(checkpoints), tuning)


def test_each_stage_moves_its_parts_and_nothing_else(checkpoints: Path) -> None:
    network = load_network(checkpoints)
    start = state_of(network)
    config = short_tuning(2)
    states: list[dict[str, torch.Tensor]] = []
    tune(
        network,
        CLIP,
        scheduler(checkpoints),
        Tuning(config, on_step=lambda step: states.append(state_of(network)) if step.step == 2 else None),
    )
    for before, after, stage in [(start, states[0], config.motion), (states[0], states[1], config.appearance)]:
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        allowed = {f"unet.{name}" for part in stage.trains for name in network.unet.parameters_of(part)}
        assert moved <= allowed
        assert len(moved) > 0.9 * len(allowed)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("killed_after", [2, 3, 5], ids=["in stage 1", "at its end", "in stage 2"])
def test_resumed_equals_uninterrupted(
    checkpoints: Path, tmp_path: Path, killed_after: int, gradient_checkpointing: bool
) -> None:
    config = short_tuning(3, checkpoint_every=1, gradient_checkpointing=gradient_checkpointing)
    whole, whole_losses = tuned(checkpoints, Tuning(config, seed=5))

    class KilledError(Exception):
        pass

    def kill(step: TuningStep) -> None:
        if 3 * step.stage + step.step == killed_after:
            raise KilledError

    tuning = Tuning(config, seed=5, checkpoint=tmp_path / "checkpoint.safetensors")
    with pytest.raises(KilledError):
        tuned(checkpoints, replace(tuning, on_step=kill))
    resumed, losses = tuned(checkpoints, tuning)
    assert losses == whole_losses
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_it_learns_the_clip(checkpoints: Path) -> None:
    _, losses = tuned(checkpoints, Tuning(short_tuning(30)))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_a_seed_decides_everything(checkpoints: Path) -> None:
    config = short_tuning(1)
    one, again, other = (tuned(checkpoints, Tuning(config, seed=seed))[1] for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_bf16_computes_in_half_and_keeps_full_weights(checkpoints: Path) -> None:
    network, losses = tuned(checkpoints, Tuning(short_tuning(2), half=torch.bfloat16))
    _, full = tuned(checkpoints, Tuning(short_tuning(2)))
    assert losses != full
    assert losses == pytest.approx(full, rel=0.05)
    assert {value.dtype for value in tuned_parameters(network.unet, short_tuning()).values()} == {torch.float32}


def test_frozen_weights_may_be_in_half_precision(checkpoints: Path) -> None:
    network = load_network(checkpoints).to(torch.bfloat16)
    losses = tune(network, CLIP, scheduler(checkpoints), Tuning(short_tuning(2), half=torch.bfloat16))
    _, full = tuned(checkpoints, Tuning(short_tuning(2)))
    assert losses == pytest.approx(full, rel=0.05)


def test_a_checkpoint_of_another_tuning_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tuned(checkpoints, Tuning(short_tuning(1, checkpoint_every=1), checkpoint=path))
    with pytest.raises(ConfigError, match="--restart"):
        tuned(checkpoints, Tuning(short_tuning(2, checkpoint_every=1), checkpoint=path))


def test_a_damaged_checkpoint_is_named(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tuned(checkpoints, Tuning(short_tuning(1, checkpoint_every=1), checkpoint=path))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        tuned(checkpoints, Tuning(short_tuning(1), checkpoint=path))


def test_a_part_that_is_not_there_is_named(checkpoints: Path) -> None:
    network = load_network(checkpoints, motion_attention=False)
    with pytest.raises(ConfigError, match="motion-attention"):
        tune(network, CLIP, scheduler(checkpoints), Tuning(short_tuning(1)))


def test_a_loss_that_is_no_number_stops_the_tuning(checkpoints: Path) -> None:
    broken = replace(CLIP, person=torch.full_like(CLIP.person, torch.inf))
    with pytest.raises(ConfigError, match="learning rate"):
        tune(load_network(checkpoints), broken, scheduler(checkpoints), Tuning(short_tuning(1)))


def test_8_bit_optimiser_names_its_extra(checkpoints: Path) -> None:
    with pytest.raises(MissingExtraError, match="bitsandbytes"):
        tuned(checkpoints, Tuning(short_tuning(1, optimizer="adamw-8bit")))
