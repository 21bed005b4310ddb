"""What a user corrected, had there before, or gave as an input is never written over, and two jobs never mix."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.cli import main
from edit_your_motion.config import ApplyConfig, EditConfig, PrepareConfig, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError, FolderInUseError, InputError
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.jobs.session import run_apply, run_edit
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.locking import held
from edit_your_motion.study.collection import Origins, collect_study
from synthetic_clip import SyntheticClip, film, ready_people, short_edit, write_clip

SILENT = SilentProgress()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(2))


def preparation(walk: SyntheticClip, *, reference: bool = True) -> PrepareConfig:
    people = ready_people(walk, walk).model_dump()
    clips = {"source": {"path": str(walk.video)}, "reference": {"path": str(walk.video) if reference else None}}
    return parse_config(PrepareConfig, {**clips, "video": {"size": "64"}, "people": people})


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that must fail says."""
    with pytest.raises(SystemExit) as ended, warnings.catch_warnings():
        main([str(argument) for argument in arguments])
    _, err = capfd.readouterr()
    assert ended.value.code == 1
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("name", ["keypoints.json", "masks/00001.png", "reference/keypoints.json"])
def test_corrections_outlive_a_second_preparation(walk: SyntheticClip, tmp_path: Path, name: str) -> None:
    run_prepare(preparation(walk), tmp_path / "p", SILENT)
    run_prepare(preparation(walk), tmp_path / "p", SILENT)
    corrected = tmp_path / "p" / name
    if corrected.suffix == ".png":
        Image.fromarray(np.full((64, 64), 255, np.uint8)).save(corrected)
    else:
        corrected.write_text(corrected.read_text().replace("nose", "nose", 1) + "\n")
    before = corrected.read_bytes()
    with pytest.raises(InputError, match="would be written over"):
        run_prepare(preparation(walk), tmp_path / "p", SILENT)
    assert corrected.read_bytes() == before


def test_foreign_files_of_the_same_name_stay(walk: SyntheticClip, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "mine.png").write_bytes(b"painted for days")
    with pytest.raises(InputError, match=r"masks would be written over"):
        run_prepare(preparation(walk), tmp_path, SILENT)
    assert (tmp_path / "masks" / "mine.png").read_bytes() == b"painted for days"
    assert not (tmp_path / "keypoints.json").exists()


def test_a_preparation_holds_nothing_of_another_one(walk: SyntheticClip, tmp_path: Path) -> None:
    run_prepare(preparation(walk), tmp_path / "p", SILENT)
    assert (tmp_path / "p" / "reference").is_dir()
    run_prepare(preparation(walk, reference=False), tmp_path / "p", SILENT)
    assert not (tmp_path / "p" / "reference").exists()
    assert not (tmp_path / "p" / "aligned.mp4").exists()
    assert not (tmp_path / "p" / "puppet.mp4").exists()


@pytest.mark.parametrize("role", ["source", "reference", "reference_keypoints", "truth"])
def test_no_input_is_written_over(walk: SyntheticClip, checkpoints: Path, tmp_path: Path, role: str) -> None:
    names = {"source": "edited.mp4", "reference": "aligned.mp4", "reference_keypoints": "skeletons.json"}
    given = tmp_path / names.get(role, "comparison.mp4")
    given.write_bytes((walk.keypoints if role == "reference_keypoints" else walk.video).read_bytes())
    before = given.read_bytes()
    settings = short_edit(checkpoints, walk, walk).model_dump()
    place = {"people": {role: str(given)}} if role == "reference_keypoints" else {role: {"path": str(given)}}
    config = parse_config(EditConfig, settings, {} if role == "truth" else place)
    with pytest.raises(ConfigError, match=rf"{given.name} would be written over by the results"):
        run_edit(config, tmp_path, SILENT, truth=given if role == "truth" else None)
    assert given.read_bytes() == before
    assert list(tmp_path.iterdir()) == [given]


def test_results_do_not_get_among_frames(walk: SyntheticClip, checkpoints: Path, tmp_path: Path) -> None:
    for index in range(2):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{index}.png")
    settings = short_edit(checkpoints, walk, walk).model_dump()
    config = parse_config(EditConfig, settings, {"source": {"path": str(tmp_path)}})
    with pytest.raises(ConfigError, match="would get among what"):
        run_edit(config, tmp_path, SILENT)
    assert len(list(tmp_path.iterdir())) == 2


def test_untrained_networks_take_no_base_s_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_bytes(b"trained for weeks")
    assert "base would be written over" in refused(capfd, "tiny", tmp_path)
    assert (tmp_path / "base" / "model.safetensors").read_bytes() == b"trained for weeks"
    assert not (tmp_path / "controlnet").exists()


@pytest.mark.parametrize("layout", ["pairs", "tiktok"])
def test_rendered_clips_take_no_real_one_s_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], layout: str
) -> None:
    real = tmp_path / "00001" / "images" / "0001.png"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"filmed")
    stage = ("stage", tmp_path, "--layout", layout, "--seed", 1, "--frames", 2, "--size", 64)
    assert "00001 would be written over" in refused(capfd, *stage)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [real]


def test_an_export_takes_no_other_folder_s_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Said before the training, not after it."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"taken once")
    err = refused(capfd, "pretrain", tmp_path / "run", "--export", tmp_path / "photos", "--vae.steps", 1)
    assert "photos would be written over" in err
    assert (tmp_path / "photos" / "one.jpg").is_file()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["evaluate", "tables", "tiny", "study"])
def test_who_comes_second_is_told(
    walk: SyntheticClip, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    place = tmp_path / "out"
    commands = {
        "evaluate": ("evaluate", walk.video, "--against", walk.video, "--metrics", "psnr", "--output", place),
        "tables": ("tables", tmp_path, "--output", place),
        "tiny": ("tiny", place),
    }
    with held(place):
        if command == "study":
            with pytest.raises(FolderInUseError):
                collect_study(place, Origins(("ours", tmp_path), {}, tmp_path, tmp_path, {}), (), SILENT)
        else:
            assert "out is in use by process" in refused(capfd, *commands[command])
    assert not place.exists()


@pytest.mark.parametrize("command", ["evaluate", "pretrain", "benchmark"])
def test_a_file_in_the_place_of_the_results_is_said_first(
    walk: SyntheticClip, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    place = tmp_path / "out"
    place.write_text("mine")
    commands = {
        "evaluate": ("evaluate", walk.video, "--against", walk.video, "--output", place),
        "pretrain": ("pretrain", place),
        "benchmark": ("benchmark", "paired", place, "--methods", "source"),
    }
    assert f"expected a folder for the results at {place}, got a file" in refused(capfd, *commands[command])
    assert place.read_text() == "mine"


def test_a_base_that_is_gone_is_said_before_the_reference_is_searched(
    walk: SyntheticClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edit_your_motion.jobs import session

    def never(*arguments: object) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(session, "_read_reference", never)
    monkeypatch.setattr(session, "load_person", lambda folder: FakePerson())
    config = parse_config(ApplyConfig, {"reference": {"path": str(walk.video)}})
    with pytest.raises(CheckpointError):
        run_apply(tmp_path, config, tmp_path / "out", SILENT, base=str(tmp_path / "gone"))


class FakePerson:
    config = EditConfig()
