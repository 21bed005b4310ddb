"""Variants of the benchmark: read from a file, refused with the reason, and tuned once where tuning is the same."""

from pathlib import Path

import pytest
import torch

from edit_your_motion.benchmark.methods.variants import load_variants
from edit_your_motion.benchmark.prefix_tuning import KeptTuning
from edit_your_motion.config import EditConfig, parse_config
from edit_your_motion.edit import tune_person
from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.runtime.profiling import Recorder
from edit_your_motion.runtime.progress import SilentProgress
from synthetic_clip import film, short_edit, write_clip

OPTIONS = Path(__file__).resolve().parents[1] / "benchmarks" / "options.yaml"


def test_the_options_of_the_repository_are_variants() -> None:
    variants = load_variants(OPTIONS)
    assert len(variants) == len({variant.name for variant in variants})
    for variant in variants:
        assert variant.configure(EditConfig()) != EditConfig(), variant.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: {edit: {}}", "there is a method of that name"),
        ("mine: 3", "'description' and 'edit', got 3"),
        ("mine: {edit: 3}", "by name, got 3"),
        ("mine: {edit: {sampling: {stepz: 3}}}", r"sampling\.stepz: no such setting"),
        ("[1]", "expected a mapping"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_variants(tmp_path / "v.yaml")


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("../mine: {edit: {}}")
    with pytest.raises(InputError):
        load_variants(tmp_path / "v.yaml")


def test_another_inversion_tunes_nothing_and_equals_a_tuning_of_its_own(checkpoints: Path, tmp_path: Path) -> None:
    walk = write_clip(tmp_path / "walk", film(2))
    config = short_edit(checkpoints, walk, walk)
    other = parse_config(EditConfig, config.model_dump(), {"inversion": {"skeleton": False}})
    backbone, kept = Backbone.load(config.model, config.runtime), KeptTuning(tmp_path / "kept")
    recorders = Recorder(SilentProgress()), Recorder(SilentProgress())
    kept(backbone, walk.prepared, config.for_tuning(), recorders[0])
    (checkpoint,) = (tmp_path / "kept").glob("*.safetensors")
    before = checkpoint.stat().st_mtime_ns
    shared = kept(backbone, walk.prepared, other.for_tuning(), recorders[1])
    assert checkpoint.stat().st_mtime_ns == before
    for stage in ("tune, stage 1", "tune, stage 2"):
        first, second = (recorder.phases[stage] for recorder in recorders)
        assert second.steps == first.steps > 0
        assert second.seconds >= first.seconds
    alone = tune_person(backbone, walk.prepared, other.for_tuning(), SilentProgress())
    assert torch.equal(shared.noise, alone.noise)
    assert all(torch.equal(shared.parameters[name], value) for name, value in alone.parameters.items())
    kept.forget()
    assert not (tmp_path / "kept").exists()
