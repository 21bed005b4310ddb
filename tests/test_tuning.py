"""Tuning: it learns, only what it should; and an interrupted one ends like an uninterrupted one, bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edit_your_motion.config import EarlyStoppingConfig
from edit_your_motion.errors import CheckpointError, ConfigError, MissingExtraError
from edit_your_motion.nn.conditions import Conditions
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.runtime.random import Draws
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors
from edit_your_motion.tuning.clip import TuningClip
from edit_your_motion.tuning.early_stopping import StageEnd, has_stalled
from edit_your_motion.tuning.loop import Tuned, Tuning, TuningStep, tune, tuned_parameters
from tiny_network import load_network, random_clip, scheduler, short_tuning

pytestmark = pytest.mark.law

CLIP = random_clip(frames=2, lh=4, lw=8)


def state_of(network: NoisePredictor) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def tuned(checkpoints: Path, tuning: Tuning, dtype: torch.dtype = torch.float32) -> tuple[NoisePredictor, list[float]]:
    network = load_network(checkpoints).to(dtype)
    return network, tune(network, CLIP, scheduler(checkpoints), tuning).losses


def numbered_clip(frames: int) -> TuningClip:
    """A clip whose skeleton pictures tell the number of their frame."""
    clip = random_clip(frames, lh=4, lw=4)
    numbers = torch.arange(frames, dtype=torch.uint8).view(1, frames, 1, 1, 1)
    return replace(clip, skeletons=numbers.expand(1, frames, 3, 32, 32))


class Watcher:
    """Stands in for a network's prediction, and writes down the frames asked for in training and in evaluation."""

    def __init__(self, network: NoisePredictor) -> None:
        self.trained: list[list[int]] = []
        self.evaluated: list[list[int]] = []
        self.bias = next(iter(network.unet.parameters_of("motion-attention").values()))
        network.predict, network.keeps_embedded = self.predict, lambda *shape: False

    def predict(
        self, z: torch.Tensor, t: torch.Tensor, conditions: Conditions, conditioning_scale: float
    ) -> torch.Tensor:
        assert conditions.skeletons is not None
        frames = conditions.skeletons[0, :, 0, 0, 0].tolist()
        assert len(frames) == z.shape[1]
        (self.trained if torch.is_grad_enabled() else self.evaluated).append(frames)
        return z + self.bias.mean()


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


@pytest.mark.parametrize(
    ("gradient_checkpointing", "half"),
    [(False, None), (True, None), (False, torch.bfloat16), (False, torch.float16)],
    ids=["kept", "recomputed", "bf16", "fp16"],
)
@pytest.mark.parametrize("killed_after", [2, 3, 5], ids=["in stage 1", "at its end", "in stage 2"])
def test_resumed_equals_uninterrupted(
    checkpoints: Path, tmp_path: Path, killed_after: int, gradient_checkpointing: bool, half: torch.dtype | None
) -> None:
    config = short_tuning(3, checkpoint_every=1, gradient_checkpointing=gradient_checkpointing)
    whole, whole_losses = tuned(checkpoints, Tuning(config, seed=5, half=half), half or torch.float32)

    class KilledError(Exception):
        pass

    def kill(step: TuningStep) -> None:
        if 3 * step.stage + step.step == killed_after:
            raise KilledError

    tuning = Tuning(config, seed=5, half=half, checkpoint=tmp_path / "checkpoint.safetensors")
    with pytest.raises(KilledError):
        tuned(checkpoints, replace(tuning, on_step=kill), half or torch.float32)
    resumed, losses = tuned(checkpoints, tuning, half or torch.float32)
    assert losses == whole_losses
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_whoever_stops_it_between_two_checkpoints_loses_no_step(checkpoints: Path, tmp_path: Path) -> None:
    config = short_tuning(3, checkpoint_every=1000)
    whole, whole_losses = tuned(checkpoints, Tuning(config, seed=5))

    def stop(step: TuningStep) -> None:
        if (step.stage, step.step) == (0, 2):
            raise KeyboardInterrupt

    tuning = Tuning(config, seed=5, checkpoint=tmp_path / "checkpoint.safetensors")
    with pytest.raises(KeyboardInterrupt):
        tuned(checkpoints, replace(tuning, on_step=stop))
    told: list[TuningStep] = []
    resumed, losses = tuned(checkpoints, replace(tuning, on_step=told.append))
    assert (told[0].stage, told[0].step) == (0, 3), "it goes on from the very step"
    assert losses == whole_losses
    assert all(torch.equal(value, state_of(whole)[name]) for name, value in state_of(resumed).items())


def test_it_learns_the_clip(checkpoints: Path) -> None:
    _, losses = tuned(checkpoints, Tuning(short_tuning(30)))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_a_stage_weighs_the_person_as_it_is_told_to(checkpoints: Path) -> None:
    people = torch.zeros_like(CLIP.people)
    people[..., 1:3, 3:6], people[..., 3, 3:6] = 1, 0.5
    clip, schedule, config = replace(CLIP, people=people), scheduler(checkpoints), short_tuning(1)
    draws = Draws(0)
    noise, t = draws.normal(*clip.whole.shape), draws.integers(len(schedule.alphas_cumprod), 1)
    network = load_network(checkpoints)
    conditions = network.prepare(clip.text, clip.skeletons)
    with torch.no_grad():
        noisy = schedule.add_noise(clip.whole, noise, t)
        errors = (network.predict(noisy, t, conditions) - noise).square().mean(2, keepdim=True)
    for weight in (1.0, 10.0):
        stage = config.appearance.model_copy(update={"person_weight": weight})
        alone = config.motion.model_copy(update={"iterations": 0})
        tuning = Tuning(config.model_copy(update={"motion": alone, "appearance": stage}))
        (loss,) = tune(load_network(checkpoints), clip, schedule, tuning).losses
        weights = torch.where(people == 1, weight, torch.where(people == 0.5, (1 + weight) / 2, 1.0))
        assert loss == pytest.approx(float((errors * weights).sum() / weights.sum()), rel=1e-4)


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


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_network_in_half_precision_stays_in_it(checkpoints: Path, half: torch.dtype) -> None:
    config = short_tuning(2)
    in_full: set[torch.dtype] = set()
    network = load_network(checkpoints).to(half)
    start = state_of(network)

    def watch(step: TuningStep) -> None:
        in_full.update(parameter.dtype for parameter in tuned_parameters(network.unet, config).values())

    losses = tune(network, CLIP, scheduler(checkpoints), Tuning(config, half=half, on_step=watch)).losses
    _, full = tuned(checkpoints, Tuning(config))
    assert losses == pytest.approx(full, rel=0.05)
    assert in_full == {torch.float32}
    assert {value.dtype for value in network.parameters()} == {half}
    assert any(not torch.equal(value, start[name]) for name, value in network.state_dict().items())
    assert network(CLIP.whole.to(half), torch.tensor([5]), CLIP.text.to(half), CLIP.skeletons).dtype == half


def test_a_checkpoint_of_another_tuning_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tuned(checkpoints, Tuning(short_tuning(1, checkpoint_every=1), checkpoint=path))
    with pytest.raises(ConfigError, match="--restart"):
        tuned(checkpoints, Tuning(short_tuning(2, checkpoint_every=1), checkpoint=path))
    with pytest.raises(ConfigError, match="--restart"):
        tuned(checkpoints, Tuning(short_tuning(1, checkpoint_every=1), base={"VAE": "another"}, checkpoint=path))


def test_a_damaged_checkpoint_is_named(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tuned(checkpoints, Tuning(short_tuning(1, checkpoint_every=1), checkpoint=path))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        tuned(checkpoints, Tuning(short_tuning(1), checkpoint=path))


@pytest.mark.parametrize("damage", ["less", "shape", "more", "stage", "optimiser", "random"])
def test_a_checkpoint_of_other_content_is_refused(checkpoints: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tuning = Tuning(short_tuning(1, checkpoint_every=1), checkpoint=path)
    tuned(checkpoints, tuning)
    tensors, notes = load_tensors(path), load_metadata(path)
    name = next(each for each in tensors if each.startswith("parameter."))
    match damage:
        case "less":
            del tensors[name]
        case "shape":
            tensors[name] = tensors[name][None]
        case "more":
            tensors["parameter.x"] = torch.zeros(3)
        case "stage":
            notes["state"] = json.dumps({**json.loads(notes["state"]), "stage": 2})
        case "optimiser":
            notes["state"] = json.dumps({**json.loads(notes["state"]), "groups": []})
        case "random":
            tensors["random"] = torch.full_like(tensors["random"], -1)
    save_tensors(path, tensors, notes)
    with pytest.raises(CheckpointError, match="delete"):
        tuned(checkpoints, tuning)


def test_a_part_that_is_not_there_is_named(checkpoints: Path) -> None:
    network = load_network(checkpoints, motion_attention="none")
    with pytest.raises(ConfigError, match="motion-attention"):
        tune(network, CLIP, scheduler(checkpoints), Tuning(short_tuning(1)))


def test_a_loss_that_is_no_number_stops_the_tuning(checkpoints: Path) -> None:
    broken = replace(CLIP, person=torch.full_like(CLIP.person, torch.inf))
    with pytest.raises(ConfigError, match="learning rate"):
        tune(load_network(checkpoints), broken, scheduler(checkpoints), Tuning(short_tuning(1)))


def test_8_bit_optimiser_names_its_extra(checkpoints: Path) -> None:
    with pytest.raises(MissingExtraError, match="bitsandbytes"):
        tuned(checkpoints, Tuning(short_tuning(1, optimizer="adamw-8bit")))


@pytest.mark.parametrize("settings", [{"window": 2}, {"window": 9}])
def test_a_window_that_holds_the_clip_changes_nothing(checkpoints: Path, settings: dict) -> None:
    _, expected = tuned(checkpoints, Tuning(short_tuning(2)))
    assert tuned(checkpoints, Tuning(short_tuning(2, **settings)))[1] == expected
    assert tuned(checkpoints, Tuning(short_tuning(2), most_frames=2))[1] == expected


def test_skeletons_may_be_bytes(checkpoints: Path) -> None:
    pictures = CLIP.skeletons.mul(255).byte()
    floats = replace(CLIP, skeletons=pictures.float() / 255)
    results = [
        tune(load_network(checkpoints), clip, scheduler(checkpoints), Tuning(short_tuning(2)))
        for clip in (floats, replace(CLIP, skeletons=pictures))
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(("window", "most_frames"), [(4, 8), (None, 4)], ids=["asked for", "the most"])
def test_a_step_sees_one_window_and_every_frame_has_its_share(
    checkpoints: Path, window: int | None, most_frames: int
) -> None:
    network = load_network(checkpoints)
    watcher = Watcher(network)
    tuning = Tuning(short_tuning(40, window=window), most_frames=most_frames)
    tune(network, numbered_clip(12), scheduler(checkpoints), tuning)
    assert len(watcher.trained) == 80
    assert all(frames == list(range(frames[0], frames[0] + 4)) for frames in watcher.trained)
    shares = [sum(frame in frames for frames in watcher.trained) / 80 for frame in range(12)]
    assert min(shares) > 4 / 12 / 3
    assert max(shares) < 4 / 12 * 2


WATCHED = EarlyStoppingConfig(enabled=True, every=1, patience=2, draws=2)


@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_resumed_equals_uninterrupted_with_windows_and_early_stopping(
    checkpoints: Path, tmp_path: Path, killed_after: int
) -> None:
    """The second stage stands still at this learning rate, so it stops early."""
    config = short_tuning(2, checkpoint_every=1, window=2, early_stopping=WATCHED)
    still = config.appearance.model_copy(update={"learning_rate": 1e-9, "iterations": 9})
    config = config.model_copy(update={"appearance": still})
    clip = random_clip(frames=5, lh=4, lw=4)

    def run(tuning: Tuning) -> tuple[dict[str, torch.Tensor], Tuned]:
        network = load_network(checkpoints)
        result = tune(network, clip, scheduler(checkpoints), tuning)
        return state_of(network), result

    class KilledError(Exception):
        pass

    def kill(step: TuningStep) -> None:
        if 2 * step.stage + step.step == killed_after:
            raise KilledError

    whole, expected = run(Tuning(config, seed=5))
    assert [end.reason for end in expected.stages] == ["iterations", "held-out loss"]
    assert [end.steps for end in expected.stages] == [2, 2]
    tuning = Tuning(config, seed=5, checkpoint=tmp_path / "checkpoint.safetensors")
    with pytest.raises(KilledError):
        run(replace(tuning, on_step=kill))
    resumed, result = run(tuning)
    assert result == expected
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_watching_the_held_out_loss_changes_nothing(checkpoints: Path) -> None:
    patient = WATCHED.model_copy(update={"patience": 100})
    network, losses = tuned(checkpoints, Tuning(short_tuning(3, early_stopping=patient)))
    other, expected = tuned(checkpoints, Tuning(short_tuning(3)))
    assert losses == expected
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_held_out_loss_is_the_same_for_the_same_network_and_falls_with_learning(checkpoints: Path) -> None:
    def first_stage(every: int, **changes: float) -> StageEnd:
        config = short_tuning(15, early_stopping=EarlyStoppingConfig(enabled=True, every=every, patience=100))
        stages = {
            "motion": config.motion.model_copy(update=changes),
            "appearance": config.appearance.model_copy(update={"iterations": 0}),
        }
        tuning = Tuning(config.model_copy(update=stages))
        first, untouched = tune(load_network(checkpoints), CLIP, scheduler(checkpoints), tuning).stages
        assert (untouched.steps, untouched.held_out) == (0, ())
        assert first.reason == "iterations"
        return first

    learnt = first_stage(every=5)
    assert learnt.steps == 15
    assert [step for step, _ in learnt.held_out] == [0, 5, 10, 15]
    assert learnt.held_out[-1][1] < learnt.held_out[0][1]
    still = first_stage(every=1, iterations=2, learning_rate=1e-12)
    assert [loss for _, loss in still.held_out] == pytest.approx([learnt.held_out[0][1]] * 3, rel=1e-5)


def test_held_out_frames_are_evaluated_on_and_never_tuned_on(checkpoints: Path) -> None:
    network = load_network(checkpoints)
    watcher = Watcher(network)
    watched = WATCHED.model_copy(update={"frames": 3, "patience": 50})
    tuning = Tuning(short_tuning(6, window=2, early_stopping=watched))
    tune(network, numbered_clip(7), scheduler(checkpoints), tuning)
    assert {frame for frames in watcher.trained for frame in frames} == {0, 1, 2, 3}
    assert {frame for frames in watcher.evaluated for frame in frames} == {4, 5, 6}
    assert len(watcher.evaluated) == 2 * 7 * 2  # stages, evaluations, draws


@pytest.mark.parametrize(("frames", "held_out"), [(4, 1), (6, 4)])
def test_too_few_frames_to_hold_any_out(checkpoints: Path, frames: int, held_out: int) -> None:
    tuning = Tuning(short_tuning(1, early_stopping=WATCHED.model_copy(update={"frames": held_out})))
    with pytest.raises(ConfigError, match=r"tuning\.early_stopping\.frames"):
        tune(load_network(checkpoints), random_clip(frames, lh=4, lw=4), scheduler(checkpoints), tuning)


@pytest.mark.parametrize(
    ("losses", "stalled"),
    [
        ([5, 4, 3, 2], False),
        ([5], False),
        ([5, 5], False),
        ([5, 5, 5], True),
        ([5, 4, 4, 4], True),
        ([5, 4, 4, 3.9], False),
        ([5, 4, 4, 3.99], True),
        ([5, 6, 4.9, 7], False),
        ([5, 3, 4, 4], True),
    ],
)
def test_a_stage_has_stalled_when_the_last_evaluations_bring_nothing(losses: list[float], stalled: bool) -> None:
    watched = EarlyStoppingConfig(enabled=True, patience=2, improvement=0.01)
    assert has_stalled([*map(float, losses)], watched) is stalled
    assert not has_stalled([*map(float, losses)], watched.model_copy(update={"enabled": False}))
