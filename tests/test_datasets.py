"""Data sets on disk: every layout as we read it, lazily, and what is said of damaged ones."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dataset_folders import as_pictures, write_disco, write_motion_editor, write_pictures, write_table, write_tiktok
from edit_your_motion.cli.staging import stage
from edit_your_motion.datasets import clip as clip_module
from edit_your_motion.datasets.case import Case, CaseList, Dataset
from edit_your_motion.datasets.catalogue import DATASETS, choose_cases, open_dataset
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.folder import find_clip, find_clips
from edit_your_motion.datasets.people_files import read_keypoints, read_masks
from edit_your_motion.datasets.split import load_split
from edit_your_motion.errors import ConfigError, InputError, PersonError, VideoError
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.formats.mask_files import list_masks
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.stage import Pair, render_clip
from edit_your_motion.video import write_video
from synthetic_clip import film

SHORT = CasesConfig(frames=3, source_frames=2, fps=8)


@pytest.fixture(scope="module")
def walks() -> dict[str, PreparedClip]:
    return {"00335": film(6), "00336": film(7, seed=1, speed=1.0)}


@pytest.fixture
def split(tmp_path: Path) -> str:
    content = {"name": "two", "dataset": "TikTok", "origin": "this test.", "clips": ["335", "336"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(content))
    return str(tmp_path / "two.yaml")


def near(found: np.ndarray, expected: np.ndarray, pixels: float = 0) -> bool:
    return bool(np.abs(found.astype(float) - expected.astype(float)).max() <= pixels)


def test_a_clip_reads_its_frames_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = film(10).video.frames
    folder = write_pictures(tmp_path / "frames", frames)
    clip = Clip(folder, start=2, count=3, stride=2, fps=12)
    video = clip.read()
    assert np.array_equal(video.frames, frames[[2, 4, 6]])
    assert video.fps == clip.rate == Fraction(6)
    assert len(Clip(folder, start=3).read().frames) == 7
    opened = []
    original = clip_module.iterate_folder
    monkeypatch.setattr(
        clip_module, "iterate_folder", lambda *given: (opened.append(frame) or frame for frame in original(*given))
    )
    stream = clip.iterate()
    assert opened == []
    next(stream)
    assert len(opened) == 3, "reading stops at the first chosen frame"


def test_a_clip_in_a_container_equals_the_same_frames_in_a_folder(tmp_path: Path) -> None:
    frames = film(9).video.frames
    write_video(tmp_path / "clip.mkv", frames, 30, crf=0)
    read = Clip(tmp_path / "clip.mkv", start=4, count=2, stride=3).read()
    whole = Clip(tmp_path / "clip.mkv").read().frames
    assert np.array_equal(read.frames, whole[[4, 7]])
    assert near(whole, frames, 40)
    assert read.fps == 10


def test_a_clip_that_is_too_short_or_missing_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "frames", film(4).video.frames)
    with pytest.raises(VideoError, match=r"frames: expected at least 7 frames .* got 4"):
        Clip(folder, start=2, count=3, stride=2).check()
    with pytest.raises(VideoError, match="got 1"):
        Clip(folder, start=2, count=3, stride=2).read()
    with pytest.raises(VideoError, match="nowhere"):
        Clip(tmp_path / "nowhere").check()
    with pytest.raises(VideoError, match="nowhere"):
        Clip(tmp_path / "nowhere").read()
    with pytest.raises(InputError, match="stride"):
        Clip(folder, stride=0)


def test_ready_people_are_of_the_chosen_frames_or_of_all(tmp_path: Path) -> None:
    walk = film(8)
    frames = write_pictures(tmp_path / "frames", walk.video.frames)
    masks = write_pictures(tmp_path / "masks", as_pictures(walk.masks))
    save_keypoints(tmp_path / "all.json", walk.keypoints)
    save_keypoints(tmp_path / "some.json", walk.keypoints.take(np.array([1, 4])))
    for keypoints in ("all.json", "some.json"):
        clip = Clip(frames, 1, 2, 3, keypoints=tmp_path / keypoints, masks=masks)
        clip.check()
        assert np.allclose(clip.read_keypoints().body, walk.keypoints.body[[1, 4]])
        assert np.array_equal(clip.read_masks(), walk.masks[[1, 4]])
    assert Clip(frames).read_keypoints() is Clip(frames).read_masks() is None
    save_keypoints(tmp_path / "few.json", walk.keypoints.take(np.array([0, 1, 2])))
    with pytest.raises(PersonError, match=r"few\.json: expected .* got 3"):
        Clip(frames, 1, 2, 3, keypoints=tmp_path / "few.json").read_keypoints()


def test_every_reader_gives_a_dataset_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    assert list(DATASETS) == ["tiktok", "wild", "cases", "paired"]
    assert isinstance(CaseList("x", "y", (Case("a", Clip(tmp_path), Clip(tmp_path)),)), Dataset)
    with pytest.raises(ConfigError, match="tiktok, wild, cases, paired"):
        open_dataset("kinetics", tmp_path, SHORT)
    needed = {"tiktok": "00001/images", "wild": "cases.csv", "cases": "case-1", "paired": "source.mp4"}
    for name, stated in needed.items():
        with pytest.raises(InputError, match=stated):
            open_dataset(name, tmp_path, SHORT.model_copy(update={"split": "all"}))
        with pytest.raises(InputError, match="nowhere"):
            open_dataset(name, tmp_path / "nowhere", SHORT)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a b"])
def test_names_that_cannot_name_a_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        Case(name, Clip(tmp_path), Clip(tmp_path))


@pytest.mark.parametrize("inner", ["TikTok_dataset", "."])
def test_tiktok_as_published(tmp_path: Path, walks: dict[str, PreparedClip], split: str, inner: str) -> None:
    write_tiktok(tmp_path / "data" / inner, walks)
    dataset = open_dataset("tiktok", tmp_path / "data", SHORT.model_copy(update={"split": split, "gap": 1}))
    assert dataset.name == "TikTok"
    for stated in ("two", "335, 336", "this test.", "Self-reenactment", "first 2 frames", "next 3", "gap of 1"):
        assert stated in dataset.split
    assert [case.name for case in dataset.cases] == ["00335", "00336"]
    for case, walk in zip(dataset.cases, walks.values(), strict=True):
        assert case.truth == case.reference
        assert np.array_equal(case.source.read().frames, walk.video.frames[:2])
        assert np.array_equal(case.truth.read().frames, walk.video.frames[3:6])
        assert np.allclose(case.reference.read_keypoints().body, walk.keypoints.body[3:6], atol=1e-3)
        assert np.array_equal(case.source.read_masks(), walk.masks[:2])
        assert case.prompts == ("a person is dancing", "a person is dancing")
        assert case.truth.rate == 8


def test_tiktok_as_disco_lays_it_out(tmp_path: Path, walks: dict[str, PreparedClip], split: str) -> None:
    write_disco(tmp_path / "data", {name.lstrip("0"): walk for name, walk in walks.items()})
    dataset = open_dataset("tiktok", tmp_path / "data", SHORT.model_copy(update={"split": split}))
    assert [case.name for case in dataset.cases] == ["335", "336"]
    for case, walk in zip(dataset.cases, walks.values(), strict=True):
        assert np.array_equal(case.truth.read().frames, walk.video.frames[2:5])
        assert (case.source.read_masks() == walk.masks[:2]).mean() > 0.99
        found = case.reference.read_keypoints()
        assert near(found.body[..., :2], walk.keypoints.body[2:5, :, :2], 1.0)
        assert found.body[..., 2].all(), "the neck lies between the shoulders"


def test_discos_points_that_were_not_found_are_absent(tmp_path: Path) -> None:
    walk = film(2)
    walk.keypoints.body[1, BODY_JOINTS.index("left_shoulder"), 2] = 0
    write_disco(tmp_path, {"1": walk})
    found = read_keypoints(tmp_path / "1" / "openpose_json", 64, 64)
    absent = {name for name, seen in zip(BODY_JOINTS, found.visible()[1], strict=True) if not seen}
    assert absent == {"left_shoulder", "neck"}
    (tmp_path / "1" / "openpose_json" / "0001.png.json").write_text("[]")
    assert read_keypoints(tmp_path / "1" / "openpose_json", 64, 64).visible().any(axis=1).tolist() == [True, False]
    (tmp_path / "1" / "openpose_json" / "0001.png.json").write_text('[{"keypoints": [[1, 2]]}]')
    with pytest.raises(PersonError, match=r"0001\.png\.json, person 0: expected 17, .* keypoints, got 1"):
        read_keypoints(tmp_path / "1" / "openpose_json", 64, 64)


def test_masks_are_labels_plots_or_white_on_black(tmp_path: Path) -> None:
    mask = film(1).masks[0]
    labels = write_pictures(tmp_path / "groundsam_vis", mask[None].astype(np.uint8), name="{:04d}.png.mask.png")
    write_pictures(labels, np.zeros((1, 8, 8, 3), np.uint8), name="{:04d}.png.mask.jpg")
    assert [path.name for path in list_masks(labels)] == ["0000.png.mask.png"]
    white = write_pictures(tmp_path / "white", as_pictures(mask[None]))
    for folder in (labels, white):
        assert np.array_equal(read_masks(folder, 64, 64)[0], mask)
    doubled = read_masks(white, 128, 128)[0]
    assert (doubled[::2, ::2] == mask).mean() > 0.97
    with pytest.raises(PersonError, match="empty"):
        read_masks(write_pictures(tmp_path / "black", np.zeros((2, 8, 8), np.uint8)), 8, 8)


def test_one_person_moves_as_the_next_one_where_nobody_knows_the_truth(
    tmp_path: Path, walks: dict[str, PreparedClip], split: str
) -> None:
    write_tiktok(tmp_path / "data", walks)
    cross = SHORT.model_copy(update={"split": split, "protocol": "cross", "stride": 2})
    dataset = open_dataset("tiktok", tmp_path / "data", cross)
    assert [case.name for case in dataset.cases] == ["00335-00336", "00336-00335"]
    assert all(case.truth is None for case in dataset.cases)
    assert "no truth" in dataset.split
    first = dataset.cases[0]
    assert np.array_equal(first.source.read().frames, walks["00335"].video.frames[:4:2])
    assert np.array_equal(first.reference.read().frames, walks["00336"].video.frames[:6:2])


def test_the_literatures_setting_is_a_single_picture(tmp_path: Path, walks: dict[str, PreparedClip]) -> None:
    write_tiktok(tmp_path / "data", walks)
    config = CasesConfig(frames=5, source_frames=1, split="all")
    dataset = open_dataset("tiktok", tmp_path / "data", config)
    assert "All 2 clips of data" in dataset.split
    assert len(dataset.cases[0].source.read().frames) == 1
    assert np.array_equal(dataset.cases[0].truth.read().frames, walks["00335"].video.frames[1:])
    assert [case.name for case in choose_cases(dataset, ("00336",)).cases] == ["00336"]
    with pytest.raises(ConfigError, match="00335, 00336"):
        choose_cases(dataset, ("00337",))


def test_what_is_missing_from_tiktok_is_named(tmp_path: Path, walks: dict[str, PreparedClip], split: str) -> None:
    root = write_tiktok(tmp_path / "data", {"00335": walks["00335"]})
    config = SHORT.model_copy(update={"split": split})
    with pytest.raises(InputError, match="336 is not there"):
        open_dataset("tiktok", root, config)
    published = load_split("tiktok")
    with pytest.raises(InputError, match=", ".join(published.clips[1:])):
        open_dataset("tiktok", root, SHORT)
    long = config.model_copy(update={"split": "all", "frames": 30})
    with pytest.raises(VideoError, match=r"case 00335, reference: .*images: expected at least 32 frames"):
        open_dataset("tiktok", root, long)
    for picture in sorted((root / "00335" / "masks").iterdir())[2:]:
        picture.unlink()
    with pytest.raises(PersonError, match=r"case 00335, reference: .*masks: expected .* got 2"):
        open_dataset("tiktok", root, SHORT.model_copy(update={"split": "all"}))


def test_damaged_files_are_named(tmp_path: Path, walks: dict[str, PreparedClip]) -> None:
    root = write_tiktok(tmp_path / "data", {"00335": walks["00335"]})
    picture = root / "00335" / "images" / "0002.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    with pytest.raises(VideoError, match=r"case 00335, source: .*0002\.png"):
        open_dataset("tiktok", root, SHORT.model_copy(update={"split": "all"}))
    picture.write_bytes(whole)
    dataset = open_dataset("tiktok", root, SHORT.model_copy(update={"split": "all"}))
    keypoints = root / "00335" / "openpose" / "000003_keypoints.json"
    keypoints.write_text("{")
    with pytest.raises(PersonError, match="000003_keypoints"):
        dataset.cases[0].reference.read_keypoints()


@pytest.fixture
def wild(tmp_path: Path) -> Path:
    """Two videos and a picture."""
    for name, seed in (("man", 0), ("woman", 1)):
        write_video(tmp_path / f"{name}.mp4", film(6, seed=seed).video.frames, 8, crf=4)
    write_pictures(tmp_path, film(1, seed=2).video.frames, name="portrait.png")
    save_keypoints(tmp_path / "man.json", film(6).keypoints)
    return tmp_path


ROWS = [
    {"source": "man.mp4", "reference": "woman.mp4", "prompt": "a man, walking", "source_start": 3},
    {"name": "hers", "source": "portrait.png", "reference": "man.mp4", "prompt": "a woman", "edit_prompt": "a dancer",
     "truth": "woman.mp4", "reference_keypoints": "man.json"},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "yaml", "file"])
def test_clips_in_the_wild(wild: Path, kind: str) -> None:
    if kind == "csv":
        write_table(wild, ROWS)
    else:
        (wild / ("cases.yaml" if kind == "yaml" else "mine.yaml")).write_text(yaml.safe_dump(ROWS))
    dataset = open_dataset("wild", wild / "mine.yaml" if kind == "file" else wild, SHORT)
    first, second = dataset.cases
    assert (first.name, second.name) == ("man-woman", "hers")
    assert first.prompts == ("a man, walking", "a man, walking")
    assert second.prompts == ("a woman", "a dancer")
    assert first.truth is None
    whole = Clip(wild / "man.mp4").read().frames
    assert np.array_equal(first.source.read().frames, whole[3:5])
    assert np.array_equal(second.reference.read().frames, whole[:3])
    assert len(second.source.read().frames) == 1
    assert len(second.truth.read().frames) == 3
    assert np.allclose(second.reference.read_keypoints().body, film(3).keypoints.body, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": "nobody.mp4"}, r"reference: .*nobody\.mp4 does not exist"),
        ({"source": "../outside.mp4"}, "row 1: expected files below"),
        ({"prompt": ""}, "row 1: expected prompt, got nothing"),
        ({"colour": "red"}, "row 1: .*got colour"),
        ({"source_start": "-1"}, "row 1: expected source_start"),
        ({"source_start": "5"}, r"source: .*man\.mp4: expected at least 7 frames"),
        ({"name": "a/b"}, "row 1: expected a name"),
        ({"name": "hers"}, "different names"),
    ],
)
def test_a_wrong_row_is_named(wild: Path, change: dict[str, str], message: str) -> None:
    write_table(wild, [{**ROWS[0], **change}, ROWS[1]])
    with pytest.raises(InputError, match=message):
        open_dataset("wild", wild, SHORT)


@pytest.mark.parametrize("text", ["{", "- 3", "", "name: x"])
def test_what_is_no_table_is_named(wild: Path, text: str) -> None:
    (wild / "cases.yaml").write_text(text)
    with pytest.raises(InputError, match=r"cases\.yaml: expected a (table|list)"):
        open_dataset("wild", wild, SHORT)


@pytest.mark.parametrize("place", [".", "data", "data/case-1"])
def test_motion_editors_cases(tmp_path: Path, place: str) -> None:
    write_motion_editor(tmp_path)
    (case,) = open_dataset("cases", tmp_path / place, CasesConfig(frames=8, source_frames=3)).cases
    assert (case.name, case.truth) == ("case-1", None)
    assert case.prompts == ("a girl is dancing", "a girl is boxing")
    assert np.array_equal(case.source.read().frames, film(3).video.frames)
    assert np.array_equal(case.source.read_masks(), film(3).masks)
    assert len(case.reference.read().frames) == 5, "a case with fewer frames is taken whole"
    drawn = film(5, seed=1, speed=1.0, height=512, width=512).keypoints
    read = case.reference.read_keypoints()
    assert near(read.body[:, :14, :2], drawn.body[:, :14, :2], 2)


def test_motion_editors_skeletons_alone_are_a_reference(tmp_path: Path) -> None:
    case = write_motion_editor(tmp_path, target_images=False)
    (read,) = open_dataset("cases", tmp_path, SHORT).cases
    assert read.reference.path.name == "openposefull"
    assert read.reference.read_keypoints().visible().all(axis=1).any()
    for picture in (case / "target_condition" / "openposefull").iterdir():
        picture.unlink()
    with pytest.raises(VideoError, match=r"case-1: expected target_images"):
        open_dataset("cases", tmp_path, SHORT)


def test_motion_editors_wrong_configuration_is_named(tmp_path: Path) -> None:
    write_motion_editor(tmp_path)
    (tmp_path / "configs" / "case-1" / "train-motion.yaml").write_text("input_data: 3")
    with pytest.raises(InputError, match=r"train-motion\.yaml: expected input_data"):
        open_dataset("cases", tmp_path, SHORT)


def test_rendered_people_in_the_layout_of_tiktok(tmp_path: Path) -> None:
    stage(tmp_path, pairs=1, layout="tiktok", seed=7, frames=6, size=64)
    assert (tmp_path / "00007" / "images" / "0001.png").is_file()
    config = SHORT.model_copy(update={"split": "all"})
    (case,) = open_dataset("tiktok", tmp_path, config).cases
    source, truth = case.source.read(), case.truth.read()
    pair = Pair.sample(7, "held_out")
    rendered = render_clip(pair.source, frames=6, size=(64, 64), fps=8)
    used = len(source.frames)
    assert np.array_equal(np.concatenate([source.frames, truth.frames]), rendered.frames[: used + len(truth.frames)])
    expected = rendered.keypoints.body[:used]
    expected = expected * (expected[..., 2:] > 0)  # OpenPose writes zeros for what it does not see
    assert near(case.source.read_keypoints().body, expected, 0.01)
    assert np.array_equal(case.source.read_masks(), rendered.masks[:used])


@pytest.mark.parametrize("layout", ["stage", "benchmark"])
def test_pairs_with_known_truth(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / ("pairs" if layout == "benchmark" else "") / "15-dance"
    for index, name in enumerate(("source", "reference", "truth")):
        write_video(folder / f"{name}.mp4", film(3, seed=index).video.frames, 8, crf=4)
    if layout == "stage":
        captions = {"source": "a man is walking", "reference": "a woman is dancing", "truth": "a man is dancing"}
        (folder / "captions.json").write_text(json.dumps(captions))
        save_keypoints(folder / "source.json", film(3).keypoints)
    else:
        cell = tmp_path / "source" / "15-dance"
        cell.mkdir(parents=True)
        prompts = {"prompt": "a man is walking", "edit_prompt": "a man is dancing"}
        (cell / "config.yaml").write_text(yaml.safe_dump(prompts))
    (case,) = open_dataset("paired", tmp_path, SHORT).cases
    assert case.prompts == ("a man is walking", "a man is dancing")
    assert [len(clip.read().frames) for clip in (case.source, case.reference, case.truth)] == [3, 3, 3]
    assert (case.source.read_keypoints() is None) == (layout == "benchmark")
    (folder / "truth.mp4").unlink()
    with pytest.raises(VideoError, match=r"case 15-dance, truth: .*truth\.mp4"):
        open_dataset("paired", tmp_path, SHORT)


def test_clips_of_a_folder_by_name(tmp_path: Path) -> None:
    frames = film(2).video.frames
    for name in ("b10.mp4", "b9.mp4"):
        write_video(tmp_path / name, frames, 8)
    write_pictures(tmp_path / "b2", frames)
    (tmp_path / "notes.txt").write_text("")
    assert list(find_clips(tmp_path)) == ["b2", "b9", "b10"]
    assert find_clip(tmp_path, "b3") is None
    write_pictures(tmp_path / "b9", frames)
    with pytest.raises(InputError, match=r"b9\.mp4 and b9"):
        find_clip(tmp_path, "b9")


@pytest.mark.parametrize("read", [read_masks, read_keypoints])
def test_people_that_are_not_there_are_named(tmp_path: Path, read: Callable[[Path, int, int], Any]) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read(tmp_path / "nowhere", 8, 8)
