"""What is seen before anything is tuned can be judged, corrected and given back, and stops what nothing can come of."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edit_your_motion.config import AlignmentConfig, EditConfig, PrepareConfig, parse_config
from edit_your_motion.errors import PersonError
from edit_your_motion.jobs import session
from edit_your_motion.jobs.inspection import require_hope, take_prepared
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.people.clip_warnings import frames_of
from edit_your_motion.people.formats.keypoints_file import load_keypoints, save_keypoints
from edit_your_motion.people.preparation import Canvas, load_prepared, prepare_reference, prepare_source
from edit_your_motion.people.preview import mark_person
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import read_video
from synthetic_clip import SyntheticClip, film, ready_people, short_edit, write_clip

SILENT = SilentProgress()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("source"), film(3))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    clip = film(5, height=64, width=96, seed=1)
    return write_clip(tmp_path_factory.mktemp("reference"), replace(clip, video=replace(clip.video, fps=Fraction(16))))


@pytest.fixture
def prepared(source: SyntheticClip, reference: SyntheticClip, tmp_path: Path) -> Path:
    config = parse_config(
        PrepareConfig,
        {
            "source": {"path": str(source.video)},
            "reference": {"path": str(reference.video)},
            "video": {"size": "64"},
            "people": ready_people(source, reference).model_dump(),
        },
    )
    run_prepare(config, tmp_path / "prepared", SILENT)
    return tmp_path / "prepared"


def test_every_frame_is_shown_with_what_was_found(prepared: Path) -> None:
    for place, frames, fps in ((prepared, 3, 8), (prepared / "reference", 5, 16)):
        overlay = read_video(place / "overlay.mp4")
        assert (len(overlay.frames), overlay.fps) == (frames, fps)
    aligned = read_video(prepared / "aligned.mp4")
    assert (aligned.frames.shape, aligned.fps) == ((5, 64, 64, 3), 16)
    puppet = read_video(prepared / "puppet.mp4")
    assert (puppet.frames.shape, puppet.fps) == ((5, 64, 64, 3), 16)
    source = read_video(prepared / "frames.mp4").frames
    assert np.abs(puppet.frames[0].astype(int) - source[0]).mean() < 40, "the place and the person of the source"
    assert (np.abs(puppet.frames[0].astype(int) - puppet.frames[4]) > 40).any(), "who moves"


def test_a_record_says_at_which_frames_of_the_edit_its_warnings_are(tmp_path: Path) -> None:
    clips = {}
    for name, frames, fps, hidden in (("source", 3, 8, 1), ("reference", 5, 16, 4)):
        clip = film(frames)
        body = clip.keypoints.body.copy()
        body[hidden, :, 2] = 0
        keypoints = replace(clip.keypoints, body=body)
        (tmp_path / name).mkdir()
        clips[name] = write_clip(
            tmp_path / name, replace(clip, video=replace(clip.video, fps=Fraction(fps)), keypoints=keypoints)
        )
    content = {f"{name}": {"path": str(clip.video)} for name, clip in clips.items()}
    people = ready_people(clips["source"], clips["reference"]).model_dump()
    config = parse_config(PrepareConfig, {**content, "video": {"size": "64"}, "people": people})
    run_prepare(config, tmp_path / "prepared", SILENT)
    record = json.loads((tmp_path / "prepared" / "run.json").read_text())
    told = dict(zip(record["warnings"], record["concerned"], strict=True))
    by_clip = {text.partition(":")[0]: frames for text, frames in told.items() if "no joint of the person" in text}
    assert by_clip == {"source": [1, 2], "reference": [4]}  # two frames of the edit to each of the source
    unseen = [each for each in load_prepared(tmp_path / "prepared").warnings if "no joint of the person" in each]
    assert [frames_of(each) for each in unseen] == [(1,)]


def test_an_overlay_has_the_outline_of_the_mask() -> None:
    clip = film(2, height=128, width=128)
    marked = mark_person(clip.video.frames, clip.keypoints, clip.masks)
    outline = (marked == (255, 0, 255)).all(axis=-1)
    assert outline.any(axis=(1, 2)).all()
    assert not (outline & ~clip.masks).any()
    assert outline.sum() < 0.2 * clip.masks.sum()
    nobody = replace(clip.keypoints, body=np.zeros_like(clip.keypoints.body))
    assert mark_person(clip.video.frames, nobody, np.zeros_like(clip.masks)).shape == clip.video.frames.shape


def test_what_was_corrected_is_taken(prepared: Path, checkpoints: Path, source: SyntheticClip) -> None:
    for folder in (prepared, prepared / "reference"):
        found = load_keypoints(folder / "keypoints.json")
        save_keypoints(folder / "keypoints.json", found.mapped(np.ones(2), np.full(2, 3.0), found.height, found.width))
    for mask in (prepared / "masks").iterdir():
        mask.write_bytes((prepared / "masks" / "00000.png").read_bytes())
    places = {"source": str(prepared), "reference": str(prepared / "reference")}
    given = {"keypoints": None, "masks": None, "reference_keypoints": None}
    whole = {**places, "people": given, "video": {"frames": None, "size": "64"}}
    config = take_prepared(parse_config(EditConfig, short_edit(checkpoints, source, source).model_dump(), whole))
    assert config.source.path is not None
    assert config.reference.path is not None
    clip = prepare_source(config.source.path, Canvas(64, 64), config.source_clip, config.people, SILENT)
    np.testing.assert_allclose(clip.keypoints.body[..., :2], source.prepared.keypoints.body[..., :2] + 3, atol=1e-3)
    np.testing.assert_array_equal(clip.masks, source.prepared.masks[[0, 0, 0]])
    motion = prepare_reference(config.reference.path, config.reference_clip, config.people, SILENT)
    assert (len(motion), motion.video.fps) == (5, 16)
    corrected = load_keypoints(prepared / "reference" / "keypoints.json")
    np.testing.assert_allclose(motion.keypoints.body, corrected.body, atol=1e-3)


def test_a_clip_that_was_not_prepared_stays_as_it_is(checkpoints: Path, source: SyntheticClip) -> None:
    config = short_edit(checkpoints, source, source)
    assert take_prepared(config) == config
    assert take_prepared(config.for_tuning()) == config.for_tuning()


def test_what_nothing_good_can_come_of_is_not_begun(
    checkpoints: Path, source: SyntheticClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("tuned")

    monkeypatch.setattr(session, "tune_person", fail)
    good = film(3)
    body = good.keypoints.body.copy()
    body[..., :2] = np.random.default_rng(0).uniform(0, 64, body[..., :2].shape)
    tangled = write_clip(tmp_path, replace(good, keypoints=replace(good.keypoints, body=body)))
    config: EditConfig = short_edit(checkpoints, source, tangled)
    with pytest.raises(PersonError, match=r"reference are hardly those of a body.*--force"):
        run_edit(config, tmp_path / "edit", SILENT)
    assert len(read_video(tmp_path / "edit" / "aligned.mp4").frames) == 2
    with pytest.raises(AssertionError, match="tuned"):
        run_edit(config, tmp_path / "edit", SILENT, force=True)
    require_hope(good, good, AlignmentConfig(), force=False)
