"""Whole jobs: every promised file, resuming, starting over, and nothing half-written after a failure."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from edit_your_motion.config import (
    ApplyConfig,
    ClipConfig,
    EditConfig,
    PrepareConfig,
    ReferenceConfig,
    TuneConfig,
    load_config,
    parse_config,
)
from edit_your_motion.errors import (
    CheckpointError,
    ConfigError,
    DiskFullError,
    EditYourMotionError,
    FolderInUseError,
    InputError,
    ModelFileError,
    PersonError,
    VideoError,
)
from edit_your_motion.jobs import session
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.jobs.session import EditResult, run_apply, run_edit, run_tune
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.person import Person, load_person
from edit_your_motion.presets import choose_settings, load_preset
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.locking import held
from edit_your_motion.video import probe, read_video
from synthetic_clip import SyntheticClip, film, short_edit, write_clip
from test_video import encode, tone

SILENT = SilentProgress()
FILES = {
    "aligned.mp4", "alignment.png", "comparison.mp4", "config.yaml", "edited.mp4", "overlay.mp4", "person", "run.json",
    "sheet.png", "skeletons.json",
}  # fmt: skip


def refuse(people: object, **options: object) -> None:
    raise ModelFileError("no model files in this test")


@pytest.fixture(autouse=True)
def no_detector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is looked for, unless a test asks for the model files: what is ready has to do."""
    if "people_models" in request.fixturenames:
        return

    for module in ("people.preparation", "people.generated_frames"):
        monkeypatch.setattr(f"edit_your_motion.{module}.open_backend", refuse)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("source"), film(2))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("reference"), film(2, height=64, width=96, speed=6.0, seed=1))


@pytest.fixture(scope="module")
def config(checkpoints: Path, source: SyntheticClip, reference: SyntheticClip) -> EditConfig:
    return short_edit(checkpoints, source, reference)


@pytest.fixture(scope="module")
def finished(config: EditConfig, source: SyntheticClip, tmp_path_factory: pytest.TempPathFactory) -> EditResult:
    """An edit that is left as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edit_your_motion.people.generated_frames.open_backend", refuse)
        return run_edit(config, tmp_path_factory.mktemp("edit") / "deep" / "er", SILENT, truth=source.video)


@pytest.fixture
def copied(finished: EditResult, tmp_path: Path) -> Path:
    """A copy of the finished edit, to go on with."""
    return Path(shutil.copytree(finished.folder, tmp_path / "edit"))


@pytest.fixture
def tunes_never(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("tuned again")

    monkeypatch.setattr(session, "tune_person", fail)


class KilledError(Exception):
    pass


class KilledAt:
    """Progress that ends the job at a step of a phase."""

    def __init__(self, phase: str, step: int) -> None:
        self.name, self.step = phase, step

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[object]:
        count = 0

        def advance() -> None:
            nonlocal count
            count += 1
            if (name, count) == (self.name, self.step):
                raise KilledError

        yield advance


def assert_same_person(one: Person, other: Person) -> None:
    assert one.losses == other.losses
    assert torch.equal(one.noise, other.noise)
    assert one.parameters.keys() == other.parameters.keys()
    assert all(torch.equal(value, other.parameters[name]) for name, value in one.parameters.items())


def assert_same_files(one: Path, other: Path) -> None:
    """Every file but the record, which has times."""
    files = [{path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)]
    assert files[0] == files[1]
    assert not [name for name in files[0] if name.name != "run.json" and differ(one / name, other / name)]


def differ(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()


def test_every_promised_file_is_there_and_plays(finished: EditResult, reference: SyntheticClip) -> None:
    assert {path.name for path in finished.folder.iterdir()} == FILES
    edited = read_video(finished.folder / "edited.mp4")
    assert edited.frames.shape == (2, 64, 64, 3)
    assert edited.fps == reference.prepared.video.fps
    assert np.abs(edited.frames.astype(int) - finished.edit.frames).mean() < 40  # noise, in 4:2:0
    comparison = probe(finished.folder / "comparison.mp4")
    assert comparison.frames == 2
    assert comparison.fps == edited.fps
    assert comparison.width > 4 * 64
    for name in ("sheet.png", "alignment.png"):
        with Image.open(finished.folder / name) as picture:
            picture.load()
            assert (
                len(
                    set(picture.convert("L").get_flattened_data() if hasattr(picture, "get_flattened_data") else [0, 1])
                )
                > 1
            )


def test_the_record_says_how_the_edit_was_made(finished: EditResult, config: EditConfig) -> None:
    record = json.loads((finished.folder / "run.json").read_text())
    assert parse_config(EditConfig, record["config"]) == config
    assert {"load", "encode", "tune, stage 1", "tune, stage 2", "invert", "sample", "decode"} <= record["phases"].keys()
    assert all(phase["seconds"] > 0 and phase["peak_memory"] > 1e6 for phase in record["phases"].values())
    assert record["phases"]["tune, stage 1"]["steps"] == record["phases"]["sample"]["steps"] == 2
    assert record["versions"]["torch"] == torch.__version__, "with the build, such as +cu130, where it has one"
    assert record["versions"]["python"]
    assert record["warnings"] == []
    assert len(record["losses"]) == 4
    assert record["machine"]["device"] == "cpu"
    assert record["people"]["source"]["mask_area"] == pytest.approx(24 * 48 / 64**2)
    assert record["config"]["runtime"]["seed"] == 33


def test_a_truth_scores_the_edit_and_the_source(finished: EditResult) -> None:
    scores = json.loads((finished.folder / "run.json").read_text())["scores"]
    assert scores.keys() == {"edited", "source"}
    assert {"psnr", "ssim"} <= scores["edited"].keys() & scores["source"].keys()
    # The source is the truth here, but for what saving the person's frames as a film takes from noise.
    assert scores["source"]["psnr"] > 40
    assert scores["source"]["ssim"] > 0.99
    assert 0 < scores["edited"]["psnr"] < 25
    assert scores["edited"]["ssim"] < 0.5


def test_the_saved_settings_rerun_the_same_edit_without_tuning(
    finished: EditResult, copied: Path, tunes_never: None
) -> None:
    again = run_edit(parse_config(EditConfig, load_config(copied / "config.yaml")), copied, SILENT)
    np.testing.assert_array_equal(again.edit.frames, finished.edit.frames)
    np.testing.assert_array_equal(
        read_video(copied / "edited.mp4").frames, read_video(finished.folder / "edited.mp4").frames
    )


def test_applying_needs_no_tuning_and_no_source(
    finished: EditResult, config: EditConfig, tmp_path: Path, tunes_never: None
) -> None:
    applying = config.for_applying()
    result = run_apply(finished.folder / "person", applying, tmp_path / "first", SILENT)
    np.testing.assert_array_equal(result.edit.frames, finished.edit.frames)
    assert {path.name for path in result.folder.iterdir()} == FILES - {"person", "overlay.mp4"}
    assert parse_config(ApplyConfig, load_config(result.folder / "config.yaml")) == applying
    prompted = applying.model_copy(update={"edit_prompt": "something else"})
    other = run_apply(finished.folder / "person", prompted, tmp_path / "second", SILENT)
    assert (other.edit.frames != finished.edit.frames).any()


def test_keypoints_alone_are_a_reference(
    finished: EditResult, config: EditConfig, reference: SyntheticClip, tmp_path: Path, tunes_never: None
) -> None:
    alone = config.for_applying().model_copy(update={"reference": ReferenceConfig()})
    result = run_apply(finished.folder / "person", alone, tmp_path / "edit", SILENT)
    canvas = reference.prepared.keypoints
    assert result.edit.skeletons.body.shape == canvas.body.shape
    assert (result.folder / "comparison.mp4").is_file()
    late = alone.model_copy(update={"reference": ReferenceConfig(start=60)})
    with pytest.raises(PersonError, match=r"keypoints from 60 s on"):
        run_apply(finished.folder / "person", late, tmp_path / "late", SILENT)


@pytest.mark.parametrize("killed", [KilledAt("tune, stage 2", 1), KilledAt("invert", 1)], ids=["tuning", "after"])
def test_killed_and_started_again_ends_as_if_nothing_had_happened(
    finished: EditResult, config: EditConfig, tmp_path: Path, killed: KilledAt
) -> None:
    with pytest.raises(KilledError):
        run_edit(config, tmp_path / "edit", killed)
    assert {path.name for path in (tmp_path / "edit").iterdir()} == {
        "aligned.mp4",
        "config.yaml",
        "overlay.mp4",
        "tuning.safetensors",
    }
    result = run_edit(config, tmp_path / "edit", SILENT)
    assert {path.name for path in (tmp_path / "edit").iterdir()} == FILES
    assert_same_person(load_person(tmp_path / "edit" / "person"), load_person(finished.folder / "person"))
    np.testing.assert_array_equal(result.edit.frames, finished.edit.frames)
    assert_same_files(tmp_path / "edit", finished.folder)


def test_killed_after_tuning_tunes_no_more_and_ends_the_same(
    finished: EditResult, config: EditConfig, copied: Path, tunes_never: None
) -> None:
    with pytest.raises(KilledError):
        run_edit(config, copied, KilledAt("sample", 1))
    (copied / "tuning.safetensors").write_bytes(b"of a process that was killed just before it removed this")
    run_edit(config, copied, SILENT)
    assert_same_files(copied, finished.folder)


def test_tuning_alone_goes_on_and_leaves_only_the_person(
    finished: EditResult, config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning, place = config.for_tuning(), tmp_path / "person"
    with pytest.raises(KilledError):
        run_tune(tuning, place, KilledAt("tune, stage 2", 1))
    assert [path.name for path in tmp_path.iterdir()] == ["person.unfinished"]
    person = run_tune(tuning, place, SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["person"]
    assert_same_person(person, load_person(finished.folder / "person"))
    record = json.loads((place / "run.json").read_text())
    assert (record["losses"], record["prompt"], record["preset"]) == (person.losses, person.prompt, None)
    assert parse_config(TuneConfig, record["config"]) == tuning
    assert {"tune, stage 2", "invert"} <= record["phases"].keys()
    assert "scores" not in record
    monkeypatch.setattr(session, "tune_person", None)
    assert_same_person(run_tune(tuning, place, SILENT), person)


def test_a_person_is_the_same_whether_an_edits_settings_or_their_own_were_given(
    config: EditConfig, tmp_path: Path
) -> None:
    whole = {name: getattr(config, name) for name in TuneConfig.model_fields}
    gone = whole["people"].model_copy(update={"reference_keypoints": tmp_path / "gone.json", "reference_person": 3})
    run_tune(TuneConfig(**{**whole, "people": gone}), tmp_path / "whole", SILENT)
    run_tune(config.for_tuning(), tmp_path / "own", SILENT)
    files = [{path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")
              if path.is_file() and path.name != "run.json"} for name in ("whole", "own")]  # fmt: skip
    assert list(files[0].values()) == list(files[1].values())
    assert "gone.json" not in (tmp_path / "whole" / "config.yaml").read_text()


def test_what_only_the_source_has_to_do_with_is_no_matter_when_applying(
    finished: EditResult, config: EditConfig, tmp_path: Path
) -> None:
    whole = {name: getattr(config, name) for name in ApplyConfig.model_fields}
    gone = {name: tmp_path / f"{name}-gone" for name in ("keypoints", "masks", "plate")}
    people = whole["people"].model_copy(update={**gone, "person": 3})
    result = run_apply(
        finished.folder / "person", ApplyConfig(**{**whole, "people": people}), tmp_path / "edit", SILENT
    )
    np.testing.assert_array_equal(result.edit.frames, finished.edit.frames)
    assert "gone" not in (result.folder / "config.yaml").read_text()


def test_the_sound_is_the_sources_where_that_lies_now(config: EditConfig, copied: Path, tmp_path: Path) -> None:
    moved = encode(tmp_path / "moved.mp4", np.zeros((20, 64, 64, 3), np.uint8), sound=tone(2))
    settings = load_config(copied / "person" / "config.yaml")
    settings["source"]["path"] = str(tmp_path / "gone.mp4")
    (copied / "person" / "config.yaml").write_text(yaml.safe_dump(settings))
    video = config.video.model_copy(update={"sound": True, "sound_of": "source"})
    applying = config.for_applying().model_copy(update={"video": video})
    for source, tracks in ((None, 0), (str(moved), 1)):
        result = run_apply(copied / "person", applying, tmp_path / f"{tracks}", SILENT, source=source)
        with av.open(str(result.folder / "edited.mp4")) as made:
            assert len(made.streams.audio) == tracks


def test_a_person_is_there_with_their_record_or_not_at_all(
    config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, person: Person) -> None:
        assert folder != tmp_path / "person"
        raise KilledError

    monkeypatch.setattr(session, "write_losses", fail)
    with pytest.raises(KilledError):
        run_tune(config.for_tuning(), tmp_path / "person", SILENT)
    assert not (tmp_path / "person").exists()
    monkeypatch.undo()
    run_tune(config.for_tuning(), tmp_path / "person", SILENT)
    assert {"losses.png", "run.json", "tuned.safetensors"} <= {path.name for path in (tmp_path / "person").iterdir()}


def test_another_base_takes_a_word_and_is_recorded(
    finished: EditResult, config: EditConfig, checkpoints: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(checkpoints / "base", tmp_path / "base")
    vae = base / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: value * 1.01 for name, value in load_file(vae).items()}, vae)
    applying, person = config.for_applying(), finished.folder / "person"
    with pytest.raises(CheckpointError, match="another: VAE"):
        run_apply(person, applying, tmp_path / "no", SILENT, base=str(base))
    run_apply(person, applying, tmp_path / "yes", SILENT, base=str(base), other_base=True)
    warnings = json.loads((tmp_path / "yes" / "run.json").read_text())["warnings"]
    assert "the person was tuned on another base; what is another: VAE" in warnings


@pytest.mark.parametrize("preset", ["best", "fast"])
def test_a_preset_makes_an_edit(preset: str, config: EditConfig, tmp_path: Path) -> None:
    quick = {"inversion": {"steps": 1}, "sampling": {"steps": 1}}
    tuned = {} if preset == "fast" else {"tuning": {"motion": {"iterations": 1}, "appearance": {"iterations": 1}}}
    chosen = choose_settings(
        EditConfig, ("ours", config.model_dump()), ("preset", load_preset(preset)), ("test", {**quick, **tuned})
    )
    result = run_edit(chosen.config, tmp_path / "edit", SilentProgress(), chosen=chosen)
    record = json.loads((result.folder / "run.json").read_text())
    assert (len(record["losses"]), record["origins"]["sampling.background"]) == (2 if tuned else 0, "preset")
    assert probe(result.folder / "edited.mp4").frames == config.video.frames


def test_a_prompt_is_completed_from_the_source(
    config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    embed = session.Backbone.embed
    monkeypatch.setattr(session.Backbone, "embed", lambda self, prompt: asked.append(prompt) or embed(self, prompt))
    changes = {"complete_prompt": True, "edit_prompt": "somebody is jumping"}
    result = run_edit(parse_config(EditConfig, config.model_dump(), changes), tmp_path / "a", SILENT)
    prompt = json.loads((result.folder / "run.json").read_text())["prompt"]
    assert prompt.startswith(config.prompt.split(" is ")[0])
    assert any(word in prompt for word in ("shirt", "trousers", "shorts", "skin", "hair"))
    assert prompt != config.prompt
    assert config.prompt not in asked
    assert prompt in asked
    assert changes["edit_prompt"] not in asked
    assert any(each.startswith("somebody ") and each.endswith(" is jumping") for each in asked)
    assert prompt in (result.folder / "person" / "README.md").read_text()
    person = load_person(result.folder / "person")
    assert person.prompt == prompt
    assert person.config.prompt == config.prompt


def test_a_prompt_is_needed_only_where_nothing_says_what_is_seen(config: EditConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--complete-prompt"):
        run_edit(config.model_copy(update={"prompt": " "}), tmp_path / "a", SILENT)
    assert not (tmp_path / "a" / "person").exists()
    silent = parse_config(EditConfig, config.model_dump(), {"prompt": "", "complete_prompt": True})
    result = run_edit(silent, tmp_path / "b", SILENT)
    prompt = load_person(result.folder / "person").prompt
    assert prompt.startswith("a person ")
    assert any(word in prompt for word in ("shirt", "trousers", "shorts", "skin", "hair"))


def test_a_folder_of_other_settings_is_left_alone_until_told(config: EditConfig, copied: Path) -> None:
    other = parse_config(EditConfig, config.model_dump(), {"prompt": "another"})
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="--restart"):
        run_edit(other, copied, SILENT)
    with pytest.raises(ConfigError, match="--restart"):
        run_tune(other.for_tuning(), copied / "person", SILENT)
    # What is wrong with the new clips comes out before the old person is thrown away.
    broken = parse_config(EditConfig, other.model_dump(), {"reference": "nowhere.mp4"})
    with pytest.raises(VideoError, match="nowhere"):
        run_edit(broken, copied, SILENT, restart=True)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    run_edit(other, copied, SILENT, restart=True)
    assert load_person(copied / "person").config.prompt == "another"


def test_an_unfinished_tuning_of_other_settings_is_left_alone_until_told(config: EditConfig, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run_edit(config, tmp_path, KilledAt("tune, stage 1", 1))
    other = parse_config(EditConfig, config.model_dump(), {"runtime": {"seed": 5}})
    with pytest.raises(ConfigError, match="--restart"):
        run_edit(other, tmp_path, SILENT)
    with pytest.raises(KilledError):
        run_edit(other, tmp_path, KilledAt("tune, stage 2", 1), restart=True)


@pytest.mark.parametrize("what", ["source", "reference", "prompt"])
def test_what_is_needed_is_asked_for(config: EditConfig, tmp_path: Path, what: str) -> None:
    people = config.people.model_copy(update={"reference_keypoints": None})
    without = config.model_copy(update={what: EditConfig.model_fields[what].default, "people": people})
    with pytest.raises(ConfigError, match=f"expected a {what}"):
        run_edit(without, tmp_path / "edit", SILENT)
    assert not (tmp_path / "edit").exists()


@pytest.mark.parametrize("what", ["source", "reference", "truth"])
def test_bad_clips_come_out_before_the_long_part_and_leave_nothing(
    config: EditConfig, tmp_path: Path, what: str, tunes_never: None
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = str(tmp_path / "broken.mp4")
    truth = Path(broken) if what == "truth" else None
    bad = config if truth else config.model_copy(update={what: ClipConfig(path=broken)})
    with pytest.raises(VideoError, match="broken"):
        run_edit(bad, tmp_path / "edit", SILENT, truth=truth)
    assert not (tmp_path / "edit").exists()


def test_keypoints_of_another_clip_leave_nothing(config: EditConfig, tmp_path: Path) -> None:
    longer = write_clip(tmp_path / "longer", film(1))
    people = config.people.model_copy(update={"keypoints": longer.keypoints})
    with pytest.raises(PersonError, match="got 1"):
        run_edit(config.model_copy(update={"people": people}), tmp_path / "edit", SILENT)
    assert not (tmp_path / "edit").exists()


def test_no_person_is_put_where_something_else_lies(config: EditConfig, tmp_path: Path, tunes_never: None) -> None:
    (tmp_path / "holiday.jpg").write_text("precious")
    for restart in (False, True):
        with pytest.raises(InputError, match="something else"):
            run_tune(config.for_tuning(), tmp_path, SILENT, restart=restart)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_an_output_that_is_a_file_is_refused(config: EditConfig, tmp_path: Path, tunes_never: None) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another place"):
        run_edit(config, tmp_path / "file" / "edit", SILENT)
    with pytest.raises(InputError, match="choose another place"):
        run_prepare(preparing(config), tmp_path / "file", SILENT)


@pytest.mark.parametrize("name", ["edited.mp4", "comparison.mp4", "sheet.png", "alignment.png", "run.json"])
def test_a_full_disk_leaves_no_half_written_file(
    config: EditConfig, copied: Path, name: str, monkeypatch: pytest.MonkeyPatch, tunes_never: None
) -> None:
    replace = os.replace

    def replace_with_little_room(temporary: Path, path: Path) -> None:
        if Path(path).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(temporary, path)

    for file in FILES - {"person", "config.yaml"}:
        (copied / file).unlink()
    monkeypatch.setattr(os, "replace", replace_with_little_room)
    with pytest.raises(DiskFullError, match=name):
        run_edit(config, copied, SILENT)
    left = {path.name for path in copied.iterdir()}
    assert left <= FILES - {name, "run.json"}


def test_a_failed_rerun_does_not_look_complete(
    config: EditConfig, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KilledError

    monkeypatch.setattr(session, "score_edit", fail)
    with pytest.raises(KilledError):
        run_edit(config, copied, SILENT)
    assert not (copied / "run.json").exists()


def preparing(config: EditConfig, **changes: object) -> PrepareConfig:
    values = {"source": config.source, "video": config.video, "people": config.people, **changes}
    return PrepareConfig.model_validate(values)


def test_preparing_writes_what_can_be_given_back(source: SyntheticClip, config: EditConfig, tmp_path: Path) -> None:
    clip = run_prepare(preparing(config), tmp_path / "prepared", SILENT)
    names = {path.name for path in (tmp_path / "prepared").iterdir()}
    assert names == {
        ".written.json", "finding.json", "frames.mp4", "keypoints.json", "masks", "overlay.mp4", "plate", "preview.png",
        "run.json",
        "skeleton.mp4",
    }  # fmt: skip
    record = json.loads((tmp_path / "prepared" / "run.json").read_text())
    assert parse_config(PrepareConfig, record["config"]) == preparing(config)
    assert record["people"]["source"]["found"] == clip.found
    assert record["phases"].keys()
    assert not {"losses", "prompt", "scores"} & record.keys()
    given_back = config.people.model_copy(
        update={
            "keypoints": tmp_path / "prepared/keypoints.json",
            "masks": tmp_path / "prepared/masks",
            "plate": tmp_path / "prepared/plate",
        }
    )
    again = run_prepare(preparing(config, people=given_back), tmp_path / "again", SILENT)
    np.testing.assert_array_equal(again.masks, clip.masks)
    np.testing.assert_array_equal(again.keypoints.body, clip.keypoints.body)
    assert clip.plate is not None
    assert again.plate is not None
    np.testing.assert_array_equal(again.plate.places, clip.plate.places)


@pytest.mark.slow
def test_real_clips_through_the_default_backend(
    checkpoints: Path, clips: Path, people_models: None, config: EditConfig, tmp_path: Path
) -> None:
    real = {
        "source": str(clips / "tai-chi.mp4"),
        "reference": str(clips / "juggle.mp4"),
        "video": {"frames": 3, "size": "128x64"},
        "people": {"keypoints": None, "masks": None, "reference_keypoints": None},
    }
    result = run_edit(parse_config(EditConfig, config.model_dump(), real), tmp_path, SILENT)
    assert result.edit.frames.shape == (3, 64, 128, 3)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["people"]["source"]["found"] == record["people"]["reference"]["found"] == 1
    assert 0.03 < record["people"]["source"]["mask_area"] < 0.4
    assert "pck" in record["scores"]["edited"]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["video"]["size"] == "128x64"


@pytest.fixture
def own(config: EditConfig, copied: Path, source: SyntheticClip, tmp_path: Path) -> EditConfig:
    """The settings of the finished edit, with files of its source that a test may change."""
    folder = tmp_path / "own"
    shutil.copytree(source.masks, folder / "masks")
    shutil.copy(source.video, folder / "video.mp4")
    shutil.copy(source.keypoints, folder / "keypoints.json")
    people = {"keypoints": str(folder / "keypoints.json"), "masks": str(folder / "masks")}
    return parse_config(EditConfig, config.model_dump(), {"source": str(folder / "video.mp4"), "people": people})


def test_equal_files_of_other_names_are_the_same_person(own: EditConfig, copied: Path, tunes_never: None) -> None:
    run_edit(own, copied, SILENT)


@pytest.mark.parametrize("what", ["source", "keypoints", "masks"])
def test_other_files_of_the_same_name_are_another_person(
    own: EditConfig, copied: Path, what: str, tunes_never: None
) -> None:
    other = write_clip(Path(str(own.source.path)).parent / "other", film(2, seed=9, speed=3.0))
    if what == "source":
        shutil.copy(other.video, str(own.source.path))
    elif what == "keypoints":
        shutil.copy(other.keypoints, str(own.people.keypoints))
    else:
        shutil.copy(other.masks / "001.png", Path(str(own.people.masks)) / "001.png")
    called = "the source" if what == "source" else f"--people.{what}"
    with pytest.raises(ConfigError, match=f"{called} is .*{own.source.path if what == 'source' else what}.*--restart"):
        run_edit(own, copied, SILENT)
    with pytest.raises(ConfigError, match=f"{called} is .*--restart"):
        run_tune(own.for_tuning(), copied / "person", SILENT)


def test_what_changed_is_said(config: EditConfig, copied: Path, tunes_never: None) -> None:
    other = parse_config(
        EditConfig, config.model_dump(), {"runtime": {"seed": 5}, "tuning": {"motion": {"iterations": 3}}}
    )
    with pytest.raises(ConfigError) as told:
        run_edit(other, copied, SILENT)
    assert "--tuning.motion.iterations was 2 and is 3" in str(told.value)
    assert "--runtime.seed was 33 and is 5" in str(told.value)


def test_a_person_who_does_not_say_what_they_were_tuned_on(config: EditConfig, copied: Path, tunes_never: None) -> None:
    from edit_your_motion.person_folder import PARAMETERS
    from edit_your_motion.storage.tensor_files import save_tensors
    from edit_your_motion.storage.tensor_headers import load_metadata
    from edit_your_motion.tuning.checkpoints import load_tensors

    path = copied / "person" / PARAMETERS
    metadata = load_metadata(path)
    del metadata["inputs"]
    save_tensors(path, load_tensors(path), metadata)
    with pytest.raises(ConfigError, match=r"eym apply .*person REFERENCE.*--restart"):
        run_edit(config, copied, SILENT)
    run_apply(copied / "person", config.for_applying(), copied, SILENT)


@pytest.mark.parametrize("job", ["edit", "tune", "apply", "prepare"])
def test_two_jobs_in_one_folder(
    config: EditConfig, finished: EditResult, tmp_path: Path, job: str, tunes_never: None
) -> None:
    place = tmp_path / "place"
    jobs = {
        "edit": lambda: run_edit(config, place, SILENT),
        "tune": lambda: run_tune(config.for_tuning(), place, SILENT),
        "apply": lambda: run_apply(finished.folder / "person", config.for_applying(), place, SILENT),
        "prepare": lambda: run_prepare(preparing(config), place, SILENT),
    }
    with held(place), pytest.raises(FolderInUseError, match=rf"place is in use by process {os.getpid()} on "):
        jobs[job]()
    assert not list(tmp_path.iterdir())


def test_a_person_is_tuned_by_one_job_at_a_time(config: EditConfig, tmp_path: Path, tunes_never: None) -> None:
    with held(tmp_path / "person"), pytest.raises(FolderInUseError, match="person"):
        run_edit(config, tmp_path, SILENT)


def test_a_truth_that_is_too_short_comes_out_before_anything_is_loaded(
    config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Backbone, "load", None)
    long, short = (write_clip(tmp_path / name, film(count)) for name, count in (("long", 20), ("short", 10)))
    clips = {name: str(long.video) for name in ("source", "reference")}
    wanted = parse_config(EditConfig, config.model_dump(), {**clips, "video": {"frames": 20}})
    with pytest.raises(VideoError, match="has 10 frames where the reference has 20"):
        run_edit(wanted, tmp_path / "edit", SILENT, truth=short.video)
    assert not (tmp_path / "edit").exists()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"people": {"keypoints": "nowhere.json"}}, "nowhere.json"),
        ({"people": {"masks": "nowhere"}}, "nowhere"),
        ({"people": {"reference_keypoints": "nowhere.json"}}, "nowhere.json"),
        ({"reference": None, "people": {"reference_keypoints": "nowhere.json"}}, "nowhere.json"),
        ({"people": {"backend": "rtmlib", "masks": None}}, r"\[rtmlib\]"),
        ({"people": {"backend": "magic"}}, "--people.backend"),
        ({"tuning": {"optimizer": "adamw-8bit"}}, r"\[bitsandbytes\]"),
        ({"windows": {"frames": 2, "overlap": 5}}, "overlap"),
    ],
)
def test_what_can_be_known_early_comes_early(
    config: EditConfig, tmp_path: Path, values: dict[str, object], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Backbone, "load", None)
    monkeypatch.setattr("edit_your_motion.jobs.early_checks.importlib.util.find_spec", lambda name: None)
    with pytest.raises(EditYourMotionError, match=error):
        run_edit(parse_config(EditConfig, config.model_dump(), values), tmp_path / "edit", SILENT)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_comes_out_before_anything_is_loaded(
    config: EditConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Backbone, "load", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place"):
        run_edit(config, tmp_path / "file" / "edit", SILENT)


def test_names_as_long_as_the_file_system_takes(config: EditConfig, tmp_path: Path) -> None:
    place = tmp_path / ("x" * 255)
    run_tune(config.for_tuning(), place, SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["x" * 255]


def without(joints: list[int], clip: SyntheticClip, folder: Path) -> dict[str, dict[str, str]]:
    """Settings with the reference's keypoints but some joints."""
    body = clip.prepared.keypoints.body.copy()
    body[:, joints] = 0
    save_keypoints(folder / "some.json", replace(clip.prepared.keypoints, body=body))
    return {"people": {"reference_keypoints": str(folder / "some.json")}}


def test_what_cannot_be_aligned_is_said_before_tuning(
    config: EditConfig, source: SyntheticClip, reference: SyntheticClip, tmp_path: Path, tunes_never: None
) -> None:
    body = source.prepared.keypoints.body.copy()
    body[:, 9:] = 0
    save_keypoints(tmp_path / "upper.json", replace(source.prepared.keypoints, body=body))
    values = without(list(range(9)), reference, tmp_path)
    values["people"]["keypoints"] = str(tmp_path / "upper.json")
    with pytest.raises(PersonError, match="none in common"):
        run_edit(parse_config(EditConfig, config.model_dump(), values), tmp_path / "edit", SILENT)
    assert not (tmp_path / "edit").exists()


def test_what_is_wrong_with_the_clips_is_told_first_and_kept(
    config: EditConfig,
    finished: EditResult,
    reference: SyntheticClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = parse_config(EditConfig, config.model_dump(), without([9, 10, 12, 13], reference, tmp_path))
    run_apply(finished.folder / "person", values.for_applying(), tmp_path / "applied", SILENT)
    warnings = json.loads((tmp_path / "applied" / "run.json").read_text())["warnings"]
    for begin in ("reference: the person's legs are not seen", "alignment: the reference does not show the legs"):
        assert any(warning.startswith(begin) for warning in warnings)

    def stop(*arguments: object, **options: object) -> None:
        raise KilledError

    monkeypatch.setattr(session, "tune_person", stop)
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(KilledError):
        run_edit(values, tmp_path / "edit", SILENT)
    assert "legs are not seen" in caplog.text
    assert "does not show the legs" in caplog.text
