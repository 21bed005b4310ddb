"""Whole edits of clips that are longer than a window, and of tunings that stop early."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edit_your_motion.config import EditConfig, parse_config
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import ConfigError, ModelFileError
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import load_base
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.person import Person, load_person
from edit_your_motion.runtime.progress import SilentProgress
from synthetic_clip import SyntheticClip, film, short_edit, write_clip

pytestmark = pytest.mark.law

SILENT = SilentProgress()
WINDOWS = {"frames": 4, "overlap": 2}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(7))


@pytest.fixture(scope="module")
def config(checkpoints: Path, walk: SyntheticClip) -> EditConfig:
    return short_edit(checkpoints, walk, walk, video={"frames": 7, "size": "64"}, windows=WINDOWS)


@pytest.fixture(scope="module")
def backbone(config: EditConfig) -> Backbone:
    return Backbone.load(config.model, config.runtime)


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames the network saw, call by call."""
    seen: list[int] = []
    predict = NoisePredictor.predict

    def watch(network: NoisePredictor, z: torch.Tensor, *others: Any, **named: Any) -> torch.Tensor:
        seen.append(z.shape[1])
        return predict(network, z, *others, **named)

    monkeypatch.setattr(NoisePredictor, "predict", watch)
    return seen


def edit(
    backbone: Backbone, walk: SyntheticClip, config: EditConfig, **changes: Any
) -> tuple[Person, np.ndarray, torch.Tensor]:
    changed = parse_config(EditConfig, config.model_dump(), changes)
    person = tune_person(backbone, walk.prepared, changed.for_tuning(), SILENT)
    result = apply_motion(backbone, person, walk.prepared, changed.for_applying(), SILENT)
    return person, result.frames, result.latents


def test_the_network_never_sees_more_than_a_window(
    backbone: Backbone, walk: SyntheticClip, config: EditConfig, lengths: list[int]
) -> None:
    person, frames, _ = edit(backbone, walk, config)
    # Two stages of two steps; two steps of inversion and two of sampling, of windows at 0, 2 and 3.
    assert lengths == [4] * (4 + 2 * 3 + 2 * 3)
    assert person.noise.shape[1] == len(frames) == 7
    assert torch.isfinite(person.noise).all()


def test_a_clip_of_one_window_is_edited_as_without_windows_bit_for_bit(
    backbone: Backbone, walk: SyntheticClip, config: EditConfig
) -> None:
    one, other = (
        edit(backbone, walk, config, windows={"frames": frames, "shift": shift})
        for frames, shift in ((7, True), (4096, False))
    )
    assert one[0].losses == other[0].losses
    assert torch.equal(one[0].noise, other[0].noise)
    assert torch.equal(one[2], other[2])


def test_where_no_frame_looks_at_others_windows_change_nothing(walk: SyntheticClip, config: EditConfig) -> None:
    """Spatial attention, and nothing tuned: temporal and motion attention still add nothing.

    In fp64, as batches of another length may be rounded otherwise and sampling multiplies that; what it multiplies it
    by, a few ten thousand here, depends on the weights.
    """
    model = config.model
    backbone = Backbone(load_base(model.base, model.controlnet, dtype=torch.float64), torch.device("cpu"))
    untuned = {"motion": {"iterations": 0}, "appearance": {"iterations": 0}}
    settings = {"network": {"frame_attention": "spatial"}, "tuning": untuned}
    whole = edit(backbone, walk, config, **settings, windows={"frames": 7})
    for shift in (False, True):
        covered = edit(backbone, walk, config, **settings, windows={"shift": shift})
        torch.testing.assert_close(covered[0].noise, whole[0].noise, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(covered[2], whole[2], atol=1e-6, rtol=1e-6)


def test_windows_that_do_not_fit_are_named_before_anything_long(
    backbone: Backbone, walk: SyntheticClip, config: EditConfig, lengths: list[int]
) -> None:
    with pytest.raises(ConfigError, match=r"windows\.overlap"):
        edit(backbone, walk, config, windows={"overlap": 4})
    person, _, _ = edit(backbone, walk, config, windows={"frames": 7})
    lengths.clear()
    applying = parse_config(EditConfig, config.model_dump(), {"windows": {"context": 2}}).for_applying()
    with pytest.raises(ConfigError, match=r"windows\.context"):
        apply_motion(backbone, person, walk.prepared, applying, SILENT)
    assert lengths == []


def test_the_record_and_the_person_say_why_and_when_a_stage_stopped(
    config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(people: object) -> None:
        raise ModelFileError("no model files in this test")

    monkeypatch.setattr("edit_your_motion.people.generated_frames.open_backend", refuse)
    watched = {"enabled": True, "every": 1, "patience": 1, "improvement": 0.9, "draws": 1}
    tuning = {"early_stopping": watched, "motion": {"iterations": 3}, "appearance": {"iterations": 0}}
    changed = parse_config(EditConfig, config.model_dump(), {"tuning": tuning})
    result = run_edit(changed, tmp_path / "edit", SILENT)
    first, second = json.loads((result.folder / "run.json").read_text())["stages"]
    assert (first["steps"], first["reason"]) == (1, "held-out loss")
    assert [step for step, _ in first["held_out"]] == [0, 1]
    assert second == {"steps": 0, "reason": "iterations", "held_out": []}
    person = load_person(result.folder / "person")
    assert [stage.model_dump(mode="json") for stage in person.stages] == [first, second]
    assert len(person.losses) == 1
