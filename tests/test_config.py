"""Configuration: round trips, precedence, and errors that name the setting."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from edit_your_motion.cli.settings import Common, TuneFlags
from edit_your_motion.config import (
    ApplyConfig,
    BaseConfig,
    EditConfig,
    PrepareConfig,
    Section,
    TuneConfig,
    dump_config,
    load_config,
    merge,
    parse_config,
)
from edit_your_motion.errors import ConfigError, counted

KINDS = [TuneConfig, ApplyConfig, EditConfig, PrepareConfig]
OTHER_THAN_DEFAULT = {
    "prompt": "eine Frau tanzt: «schnell», 50% # no comment",
    "source": "a folder/clip: 1.mp4",
    "video": {"frames": 3, "fps": 12.5, "size": "96x64", "sound": True},
    "people": {"masks": "some/masks", "person": 2},
    "tuning": {"motion": {"iterations": 7, "learning_rate": 1e-5}, "appearance": {"trains": ["frame-attention"]}},
    "runtime": {"seed": 2**62},
}


def only_known(kind: type[Section], values: dict) -> dict:
    return {key: value for key, value in values.items() if key in kind.model_fields}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [{}, OTHER_THAN_DEFAULT], ids=["defaults", "others"])
def test_a_dumped_configuration_loads_back_equal(kind: type[Section], values: dict, tmp_path: Path) -> None:
    config = parse_config(kind, only_known(kind, values))
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    assert parse_config(kind, load_config(tmp_path / "config.yaml")) == config


def test_a_dump_is_complete_and_in_the_order_of_the_definition() -> None:
    dumped = yaml.safe_load(dump_config(EditConfig()))
    assert list(dumped) == list(EditConfig.model_fields)
    assert list(dumped["tuning"]["motion"]) == list(EditConfig().tuning.motion.model_dump())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"promt": "x"}, "promt"),
        ({"video": {"frame": 3}}, "video.frame"),
        ({"tuning": {"motion": {"lr": 1e-3}}}, "tuning.motion.lr"),
        ({"video": {"frames": 0}}, "video.frames"),
        ({"video": {"frames": "many"}}, "video.frames"),
        ({"video": {"frames": 2.5}}, "video.frames"),
        ({"video": 8}, "video"),
        ({"video": {"start": -1}}, "source.start"),
        ({"source": {"end": 1.0, "duration": 2.0}}, "source"),
        ({"source": {"start": 3.0, "end": 2.0}}, "source"),
        ({"video": {"fps": float("nan")}}, "video.fps"),
        ({"people": {"model": "huge"}}, "people.model"),
        ({"tuning": {"motion": {"trains": ["everything"]}}}, "tuning.motion.trains.0"),
        ({"tuning": {"appearance": {"learning_rate": 0}}}, "tuning.appearance.learning_rate"),
        ({"runtime": {"precision": "fp8"}}, "runtime.precision"),
        ({"runtime": {"seed": 2**63}}, "runtime.seed"),
    ],
)
def test_a_bad_setting_is_named_in_full(values: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{named}: ") as caught:
        parse_config(EditConfig, values)
    assert "\n" not in str(caught.value)


def test_every_bad_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"video\.frames: .*; tuning\.motion\.lr: no such setting"):
        parse_config(EditConfig, {"video": {"frames": 0}, "tuning": {"motion": {"lr": 1}}})


def test_later_layers_win_key_by_key() -> None:
    file = {"video": {"frames": 3, "size": "64"}, "tuning": {"motion": {"iterations": 5}}}
    config = parse_config(TuneConfig, file, {"video": {"frames": 4}})
    assert (config.video.frames, config.video.size, config.video.stride) == (4, "64", None)
    assert (config.tuning.motion.iterations, config.tuning.motion.trains) == (5, TuneConfig().tuning.motion.trains)
    assert config.tuning.appearance == TuneConfig().tuning.appearance


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("source: file.mp4\nprompt: of the file\nvideo: {frames: 3, size: '64'}\n")
    (flag_type,) = [kind for kind in TuneFlags.__origin__.__args__ if kind is not type(None)]
    flags = flag_type.model_validate({"video": {"frames": 5}})
    config = Common(config=path).resolve(TuneConfig, flags, source="given.mp4")
    assert (config.source.path, config.prompt) == ("given.mp4", "of the file")
    assert (config.video.frames, config.video.size, config.video.fit) == (5, "64", "crop")
    assert Common(config=path).resolve(TuneConfig, None, source=None).source.path == "file.mp4"


def test_merging_changes_no_layer() -> None:
    lower, upper = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(lower, upper) == {"a": {"b": 1, "c": 2}}
    assert (lower, upper) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    "content",
    [
        b"- a\n- b\n",
        b"a: [",
        b"\xff\xfe\x00",
        b"when: 2020-99-99\n",
        b"[" * 3000,
        b"!!python/object/apply:os.getcwd []",
    ],
    ids=["list", "broken", "no text", "no date", "deep", "python object"],
)
def test_a_file_that_is_no_configuration_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yaml") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_an_absent_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "numbers.yaml").write_text("3: 4\n")
    with pytest.raises(ConfigError, match=r"numbers\.yaml.*got 3"):
        load_config(tmp_path / "numbers.yaml")
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(ConfigError, match=r"empty\.yaml"):
        load_config(tmp_path / "empty.yaml")


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        EditConfig().video.frames = 3


def test_an_edit_holds_its_tuning_and_its_applying() -> None:
    config = parse_config(EditConfig, OTHER_THAN_DEFAULT, {"reference": "r.mp4", "sampling": {"steps": 3}})
    tuning, applying = config.for_tuning(), config.for_applying()
    assert tuning.for_tuning() == tuning
    assert applying.for_applying() == applying
    for name, value in config.people:
        assert value in (getattr(tuning.people, name), getattr(applying.people, name)), f"'{name}' is lost"
    for name in TuneConfig.model_fields.keys() - {"source", "video", "people"}:
        assert getattr(tuning, name) == getattr(config, name)
    for name in ApplyConfig.model_fields.keys() - {"people"}:
        assert getattr(applying, name) == getattr(config, name)


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"runtime": {"device": "cpu"}}, True),
        ({"video": {"reference_start": 2.0, "sound": True}}, True),
        ({"people": {"reference_person": 2}}, True),
        ({"tuning": {"checkpoint_every": 7, "gradient_checkpointing": False}}, True),
        ({"runtime": {"seed": 1}}, False),
        ({"prompt": "another"}, False),
        ({"tuning": {"motion": {"iterations": 299}}}, False),
        ({"people": {"person": 2}}, False),
        ({"video": {"frames": 9}}, False),
        ({"video": {"frames": 9}, "source": {"frames": 5}}, False),
        ({"source": {"start": 1.0}}, False),
    ],
)
def test_identity_is_what_decides_the_person(values: dict, same: bool) -> None:
    assert (parse_config(TuneConfig, values).identity() == TuneConfig().identity()) == same


def test_a_share_of_steps_that_nothing_is_held_through_is_no_part_of_an_edit() -> None:
    def identity(noise: str, held: float) -> dict[str, Any]:
        values = {"sampling": {"person_noise": noise, "person_held": held}}
        return parse_config(EditConfig, values).identity()

    assert identity("inverted", 0.3) == identity("inverted", 0.5)
    assert identity("moved", 0.3) != identity("moved", 0.5)
    assert identity("warped", 0.3) != identity("warped", 0.5)


def test_the_small_base_uses_its_own_controlnet() -> None:
    assert BaseConfig(base="small").used_controlnet == "small"
    assert BaseConfig(base="small", controlnet="other").used_controlnet == "other"
    assert BaseConfig().used_controlnet == BaseConfig().controlnet


def test_numbers_in_sentences() -> None:
    assert [counted(count, "frame") for count in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]


@pytest.mark.parametrize(
    "nested",
    [
        {"source": {"path": ""}},
        {"reference": ""},
        {"people": {"masks": ""}},
        {"people": {"keypoints": ""}},
        {"model": {"base": ""}},
        {"model": {"vae": ""}},
        {"runtime": {"memory": ""}},
        {"people": {"backend": ""}},
    ],
)
def test_an_empty_text_is_no_value(nested: dict[str, Any]) -> None:
    """A variable that was not set; as a path it would be the folder one is in."""
    with pytest.raises(ConfigError, match="expected a value, or nothing at all"):
        parse_config(EditConfig, nested)


@pytest.mark.parametrize("size", ["banana", "512x", "x512", "-64", "64*64", "1e3", "5 12", "1234567"])
def test_what_is_no_size_is_said_with_the_settings(size: str) -> None:
    with pytest.raises(ConfigError, match=r"video\.size.*a size is '512'"):
        parse_config(EditConfig, {"video": {"size": size}})


def test_prompts_may_be_empty() -> None:
    config = parse_config(EditConfig, {"prompt": "", "edit_prompt": "", "sampling": {"negative_prompt": ""}})
    assert config.edit_prompt == ""
