"""Presets: what lies over what, the letter that stays the letter, and what a base may recommend."""

from pathlib import Path
from typing import Any

import pytest
import yaml

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
    assert chosen.config.tuning.motion.learning_rate == chosen.config.tuning.appearance.learning_rate == 3e-4
    other = make_config(EditConfig, {**SMALL, "tuning": {"motion": {"learning_rate": 1e-4}}})
    assert other.tuning.motion.learning_rate == 1e-4
    assert choose_settings(EditConfig).preset == "paper"


def test_the_demo_asks_for_nothing_but_the_small_base() -> None:
    """The settings that the demo's figures are made with are what the small base recommends."""
    path = Path(__file__).parents[1] / "demo" / "settings.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert make_config(EditConfig, settings, preset="paper") == make_config(EditConfig, SMALL)


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
