"""Presets: what lies over what, the letter that stays the letter, and what a base may recommend."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.benchmark.settings import describe_settings, find_settings, list_settings
from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.presets import PRESETS, choose_settings, load_preset, make_config

SMALL = {"model": {"base": "small"}}


def write_recommendation(folder: Path, content: Any) -> dict[str, Any]:
    """Settings that name a base which recommends `content`."""
    folder.mkdir(exist_ok=True)
    (folder / "recommended.yaml").write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return {"model": {"base": str(folder)}}


def test_the_letter_is_the_defaults_whatever_the_base_recommends() -> None:
    assert make_config(EditConfig) == EditConfig()
    paper = make_config(EditConfig, SMALL, preset="paper")
    assert paper.model_dump(exclude={"model"}) == EditConfig().model_dump(exclude={"model"})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_an_edit(name: str) -> None:
    preset = load_preset(name)
    assert make_config(EditConfig, preset=name) == make_config(EditConfig, preset, preset="paper")


def test_layers_lie_over_one_another_in_their_order(tmp_path: Path) -> None:
    base = write_recommendation(
        tmp_path / "base", {"settings": {"sampling": {"steps": 21, "guidance_scale": 5, "guidance_rescale": 0.5}}}
    )
    file = ("file.yaml", {**base, "sampling": {"guidance_scale": 6, "guidance_rescale": 0.6}})
    flags = ("flags", {"sampling": {"guidance_rescale": 0.7}})
    chosen = choose_settings(EditConfig, file, flags, preset="best")
    sampling = chosen.config.sampling
    assert sampling.solver == EditConfig().sampling.solver
    assert (sampling.guidance_from, sampling.steps) == ("skeleton", 21)
    assert (sampling.guidance_scale, sampling.guidance_rescale) == (6, 0.7)
    assert chosen.origins["sampling.guidance_from"] == "preset best"
    assert chosen.origins["sampling.steps"] == f"recommended by the base {tmp_path / 'base'}"
    assert chosen.origins["sampling.guidance_scale"] == "file.yaml"
    assert chosen.origins["sampling.guidance_rescale"] == "flags"
    assert "sampling.solver" not in chosen.origins


def test_the_small_base_takes_its_own_settings_by_itself() -> None:
    chosen = choose_settings(EditConfig, ("flags", SMALL))
    assert chosen.preset == "best"
    stages = chosen.config.tuning.motion, chosen.config.tuning.appearance
    assert [stage.learning_rate for stage in stages] == [3e-4, 5e-4]
    assert [stage.person_weight for stage in stages] == [1, 10]
    other = make_config(EditConfig, {**SMALL, "tuning": {"motion": {"learning_rate": 1e-4}}})
    assert other.tuning.motion.learning_rate == 1e-4
    assert choose_settings(EditConfig).preset == "paper"


BENCHMARKS = [PairedConfig, DatasetConfig]


@pytest.mark.parametrize("kind", BENCHMARKS)
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_benchmark_has_the_preset_under_its_edit(kind: type[PairedConfig | DatasetConfig], name: str) -> None:
    edit = make_config(EditConfig, SMALL, preset=name)
    assert make_config(kind, {"edit": SMALL, "preset": name}).edit == edit
    chosen = choose_settings(kind, ("flags", {"edit": SMALL}), preset=name)
    assert (chosen.config.edit, chosen.config.preset, chosen.preset) == (edit, name, name)
    over = make_config(kind, {"edit": {**SMALL, "sampling": {"steps": 7}}, "preset": name})
    assert over.edit.sampling == edit.sampling.model_copy(update={"steps": 7})
    assert describe_settings(over) == {"preset": name, "base": "small", "changed": {"sampling.steps": 7}}


@pytest.mark.parametrize("kind", BENCHMARKS)
def test_a_benchmark_is_of_the_letter_unless_it_says_another(kind: type[PairedConfig | DatasetConfig]) -> None:
    plain = make_config(kind, {"edit": SMALL})
    assert plain.preset == "paper"
    assert plain.edit == make_config(EditConfig, SMALL, preset="paper")
    assert make_config(kind) == kind()
    with pytest.raises(ConfigError, match="best, fast, paper"):
        make_config(kind, {"preset": "quick"})


def test_tables_name_preset_and_base_and_what_differs() -> None:
    config = make_config(PairedConfig, {"edit": SMALL, "preset": "best", "rate": 10})
    plain, own = describe_settings(config), {"preset": "paper", "base": "small", "changed": {}}
    assert list_settings({"a": [plain], "b": [plain, plain]}) == "Preset `best`, base `small`, rate 10.0."
    both = list_settings({"a": [plain], "b": [own], "truth": [None]})
    assert both == "Preset `best`, base `small`, rate 10.0 (a); preset `paper`, base `small` (b)."
    assert list_settings({"truth": [None]}) == "Preset and base not recorded."


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", '{"config": {}}', '{"config": 3, "origins": {}, "preset": "best"}']
)
@pytest.mark.parametrize("name", ["run.json", "scores.json"])
def test_a_record_of_something_else_says_nothing_of_settings(content: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert find_settings(tmp_path / "edited.mp4") is None


def test_a_part_of_an_edit_takes_its_part() -> None:
    whole = make_config(EditConfig, SMALL)
    assert make_config(TuneConfig, SMALL) == whole.for_tuning()
    assert choose_settings(ApplyConfig, base="small").config == whole.for_applying()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("a: [", "recommended.yaml"),
        ("[1, 2]", "expected 'preset'"),
        ({"preset": "quick"}, "quick"),
        ({"preset": ["best"]}, "best"),
        ({"settings": {"model": {"lora": ["/etc/passwd"]}}}, "expected settings of"),
        ({"settings": {"people": {"masks": "/"}}}, "expected settings of"),
        ({"settings": {"sampling": {"steps": 10**9}}}, "sampling.steps"),
        ({"best": {"sampling": {"stepz": 3}}}, "sampling.stepz"),
        ({"settings": 3}, "expected settings of"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]" for i in range(8)), "itself"),
    ],
)  # fmt: skip
def test_a_base_recommends_settings_of_its_own_and_nothing_else(content: Any, named: str, tmp_path: Path) -> None:
    base = write_recommendation(tmp_path / "base", content)
    with pytest.raises(CheckpointError, match=r"recommended\.yaml") as caught:
        make_config(EditConfig, base)
    assert named in str(caught.value)


@pytest.mark.parametrize("base", ["some/hub", "~nobody/x", "x" * 5000, "a.safetensors"])
def test_a_base_without_a_word_recommends_nothing(base: str) -> None:
    assert choose_settings(EditConfig, ("flags", {"model": {"base": base}})).preset == "paper"


def test_there_is_no_such_preset() -> None:
    with pytest.raises(ConfigError, match="best, fast, paper"):
        make_config(EditConfig, preset="quick")
