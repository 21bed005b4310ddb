"""From files to prepared clips: ready keypoints and masks, sizes, single pictures, frames in memory, nobody there."""

import logging
import shutil
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edit_your_motion.config import ClipConfig, PeopleConfig, VideoConfig
from edit_your_motion.errors import PersonError, VideoError
from edit_your_motion.people import preparation
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.preparation import (
    Canvas,
    PreparedClip,
    choose_canvas,
    load_prepared,
    prepare_reference,
    prepare_skeletons,
    prepare_source,
    save_prepared,
)
from edit_your_motion.pipeline import as_source
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Video, VideoInfo, probe, read_video, select, write_video
from synthetic_clip import SyntheticClip, film, ready_people, write_clip

SILENT = SilentProgress()
SQUARE = Canvas(64, 64)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(12, speed=1.0))


def prepare(
    clip: SyntheticClip, video: ClipConfig, people: PeopleConfig | None = None, canvas: Canvas = SQUARE
) -> PreparedClip:
    return prepare_source(clip.video, canvas, video, people or ready_people(clip), SILENT)


def assert_frames_of(clip: PreparedClip, whole: PreparedClip, chosen: list[int]) -> None:
    """The clip has these frames of the whole, with their own keypoints and masks."""
    np.testing.assert_array_equal(clip.keypoints.body, whole.keypoints.body[chosen])
    np.testing.assert_array_equal(clip.masks, whole.masks[chosen])
    difference = clip.video.frames.astype(int) - whole.video.frames[chosen]
    assert np.abs(difference)[whole.masks[chosen]].mean() < 6  # what H.264 changes


@pytest.mark.parametrize(
    ("video", "chosen"),
    [
        (ClipConfig(frames=12), list(range(12))),
        (ClipConfig(frames=3), [0, 1, 2]),
        (ClipConfig(frames=3, stride=4), [0, 4, 8]),
        (ClipConfig(frames=3, start=0.5), [4, 5, 6]),
        (ClipConfig(frames=3, start=0.3, stride=2), [2, 4, 6]),
        (ClipConfig(frames=2, start=0.3125), [3, 4]),  # halfway between two frames
        (ClipConfig(frames=2, start=0.5625), [5, 6]),
    ],
)
def test_ready_people_of_the_whole_file_go_with_the_chosen_frames(
    walk: SyntheticClip, video: ClipConfig, chosen: list[int]
) -> None:
    assert_frames_of(prepare(walk, video), walk.prepared, chosen)


def test_ready_people_of_exactly_the_chosen_frames(walk: SyntheticClip, tmp_path: Path) -> None:
    chosen = [2, 3, 4]
    save_keypoints(tmp_path / "keypoints.json", walk.prepared.keypoints.take(np.array(chosen)))
    masks = tmp_path / "masks"
    masks.mkdir()
    for index in chosen:
        shutil.copy(walk.masks / f"{index:03d}.png", masks)
    people = PeopleConfig(keypoints=tmp_path / "keypoints.json", masks=masks)
    assert_frames_of(prepare(walk, ClipConfig(frames=3, start=0.25), people), walk.prepared, chosen)


@pytest.mark.parametrize(
    "chosen", [ClipConfig(frames=12), ClipConfig(frames=3, start=1.0), ClipConfig(fps=4, frames=3)]
)
@pytest.mark.parametrize("kept", [2, 10])
def test_ready_people_of_other_frames_are_refused(
    walk: SyntheticClip, tmp_path: Path, chosen: ClipConfig, kept: int
) -> None:
    save_keypoints(tmp_path / "keypoints.json", walk.prepared.keypoints.take(np.arange(kept)))
    people = PeopleConfig(keypoints=tmp_path / "keypoints.json", masks=walk.masks)
    with pytest.raises(PersonError, match=rf"{chosen.frames} frames of the clip .* got {kept}"):
        prepare(walk, chosen, people)


def test_keypoints_in_the_place_of_masks_are_refused(walk: SyntheticClip) -> None:
    with pytest.raises(PersonError, match="expected masks"):
        prepare(walk, ClipConfig(frames=12), PeopleConfig(keypoints=walk.keypoints, masks=walk.keypoints))
    with pytest.raises(PersonError, match="expected keypoints"):
        prepare(walk, ClipConfig(frames=12), PeopleConfig(keypoints=walk.masks, masks=walk.masks))


def test_frames_with_an_empty_mask_are_named(walk: SyntheticClip, tmp_path: Path) -> None:
    masks = shutil.copytree(walk.masks, tmp_path / "masks")
    for index in (1, 4):
        Image.new("L", (64, 64)).save(masks / f"{index:03d}.png")
    with pytest.raises(PersonError, match=r"frames 2, 5;.*--people.masks"):
        prepare(walk, ClipConfig(frames=12), PeopleConfig(keypoints=walk.keypoints, masks=masks))


def test_people_of_another_size_are_scaled(walk: SyntheticClip) -> None:
    clip = prepare(walk, ClipConfig(frames=12), canvas=Canvas(128, 128))
    np.testing.assert_allclose(clip.keypoints.body[..., :2], walk.prepared.keypoints.body[..., :2] * 2)
    assert clip.masks.mean() == pytest.approx(walk.prepared.masks.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("size", "expected", "warned"),
    [
        ("64", (64, 64), False),
        ("64x64", (64, 64), False),
        ("128x64", (64, 128), False),
        ("96x64", (64, 128), True),
        ("100", (128, 128), True),
        ("auto", (64, 128), False),
    ],
)
def test_the_canvas(tmp_path: Path, size: str, expected: tuple[int, int], warned: bool) -> None:
    path = tmp_path / "wide.mp4"
    write_video(path, np.zeros((2, 54, 96, 3), np.uint8), 8)
    canvas = choose_canvas(path, VideoConfig(size=size), 64, 96)
    assert (canvas.height, canvas.width) == expected
    assert bool(canvas.warnings) == warned
    if warned:
        assert size in canvas.warnings[0]


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_a_canvas_of_another_shape(tmp_path: Path, how: str) -> None:
    frames = np.zeros((2, 64, 128, 3), np.uint8)
    frames[:, :, :32], frames[:, :, 32:96] = (255, 0, 0), (0, 255, 0)
    write_video(tmp_path / "wide.mp4", frames, 8, crf=0)
    masks = tmp_path / "masks"
    write_video(masks, np.full((2, 64, 64, 3), 255, np.uint8), 8)
    save_keypoints(tmp_path / "keypoints.json", film(2).keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "keypoints.json", masks=masks)
    canvas = Canvas(64, 64, how)
    fitted = prepare_source(tmp_path / "wide.mp4", canvas, ClipConfig(frames=2), ready, SILENT).video.frames
    centre, side, top = fitted[0, 32, 32], fitted[0, 32, 4], fitted[0, 4, 32]
    assert centre[1] > 200
    assert (side[1] > 200) if how == "crop" else (side[0] > 200)
    assert (top[1] > 200) if how == "crop" else (top.max() < 30)


def test_a_single_picture_is_repeated(walk: SyntheticClip, tmp_path: Path) -> None:
    Image.fromarray(walk.prepared.video.frames[0]).save(tmp_path / "still.png")
    save_keypoints(tmp_path / "keypoints.json", walk.prepared.keypoints.take(np.array([0])))
    (tmp_path / "masks").mkdir()
    shutil.copy(walk.masks / "000.png", tmp_path / "masks")
    people = PeopleConfig(keypoints=tmp_path / "keypoints.json", masks=tmp_path / "masks")
    clip = prepare_source(tmp_path / "still.png", SQUARE, ClipConfig(frames=4), people, SILENT)
    assert len(clip) == len(clip.keypoints) == len(clip.masks) == 4
    np.testing.assert_array_equal(clip.video.frames, walk.prepared.video.frames[[0] * 4])
    np.testing.assert_array_equal(clip.masks, walk.prepared.masks[[0] * 4])


def test_a_shorter_clip_gives_what_it_has_and_says_so(walk: SyntheticClip) -> None:
    ready = ready_people(walk, walk)
    for clip in (
        prepare(walk, ClipConfig(frames=13)),
        prepare_reference(walk.video, ClipConfig(frames=13), ready, SILENT),
        prepare_source(walk.prepared.video, SQUARE, ClipConfig(frames=13), ready, SILENT),
        prepare_skeletons(walk.keypoints, ClipConfig(frames=13), None),
    ):
        assert len(clip) == 12
        assert any("12 frames" in warning and "13 that were asked for" in warning for warning in clip.warnings)


@pytest.mark.parametrize(
    ("clip", "chosen"),
    [
        (ClipConfig(), list(range(12))),
        (ClipConfig(start=0.25, end=0.75), [2, 3, 4, 5]),
        (ClipConfig(start=0.25, duration=0.5), [2, 3, 4, 5]),
        (ClipConfig(start=0.75, duration=9.0), [6, 7, 8, 9, 10, 11]),
        (ClipConfig(fps=4), [0, 2, 4, 6, 8, 10]),
        (ClipConfig(fps=4, end=1.0), [0, 2, 4, 6]),
        (ClipConfig(fps=4, stride=2), [0, 4, 8]),
        (ClipConfig(fps=1), [0, 8]),
        (ClipConfig(start=1.0, stride=3), [8, 11]),
        (ClipConfig(fps=16, frames=5), [0, 0, 1, 1, 2]),
    ],
)
def test_a_part_of_a_clip_is_the_same_of_a_file_and_of_memory(
    walk: SyntheticClip, clip: ClipConfig, chosen: list[int]
) -> None:
    of_file = prepare(walk, clip)
    assert_frames_of(of_file, walk.prepared, chosen)
    ready = ready_people(walk, walk)
    of_memory = prepare_source(walk.prepared.video, SQUARE, clip, ready, SILENT)
    np.testing.assert_array_equal(of_memory.video.frames, walk.prepared.video.frames[chosen])
    reference = prepare_reference(walk.video, clip, ready, SILENT)
    assert reference.video.fps == of_file.video.fps == of_memory.video.fps
    for found in (of_memory, reference):
        np.testing.assert_allclose(found.keypoints.body[..., 2], of_file.keypoints.body[..., 2])
    info = probe(walk.video)
    assert select(clip, info).count(info) == len(chosen)


@pytest.mark.parametrize(
    ("rate", "kept"),
    [
        (24, 24),
        (30, 30),
        (60, 30),
        (240, 30),
        (50, 25),
        (1, 1),
        (36, 30),
        (Fraction(60000, 1001), Fraction(30000, 1001)),
    ],
)
def test_a_fast_clip_is_thinned_out_evenly(rate: int | Fraction, kept: int | Fraction) -> None:
    info = VideoInfo(480, Fraction(rate), 64, 64, float(480 / Fraction(rate)), has_audio=False)
    selection = select(ClipConfig(), info)
    assert selection.rate(info.fps) == kept
    assert selection.count(info) == len(selection.indices(480, info.fps)) == pytest.approx(480 / rate * kept, abs=1)
    assert select(ClipConfig(stride=1), info).rate(info.fps) == rate


def test_a_reference_keeps_its_own_shape(tmp_path: Path) -> None:
    clip = write_clip(tmp_path, film(3, height=64, width=96))
    prepared = prepare_reference(clip.video, ClipConfig(frames=3), ready_people(clip, clip), SILENT)
    assert prepared.video.frames.shape == (3, 512, 768, 3)
    np.testing.assert_allclose(prepared.keypoints.body[..., :2], clip.prepared.keypoints.body[..., :2] * 8)


@pytest.mark.parametrize("form", ["array", "pictures", "video"])
def test_frames_in_memory_equal_those_of_a_file(walk: SyntheticClip, form: str) -> None:
    frames = walk.prepared.video.frames
    source = {
        "array": frames,
        "pictures": [Image.fromarray(frame) for frame in frames],
        "video": Video(frames, Fraction(8)),
    }
    video = ClipConfig(frames=3, start=0.3125, stride=2)
    taken = as_source(source[form])
    assert isinstance(taken, Video)
    assert taken.fps == (8 if form == "video" else 30)  # as a folder's, where none is known
    clip = prepare_source(replace(taken, fps=Fraction(8)), SQUARE, video, ready_people(walk), SILENT)
    assert_frames_of(clip, walk.prepared, [3, 5, 7])
    np.testing.assert_array_equal(clip.video.frames, frames[[3, 5, 7]])
    assert clip.video.fps == prepare(walk, video).video.fps == 4


def test_what_was_done_to_hdr_is_said(walk: SyntheticClip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with av.open(str(tmp_path / "hdr.mp4"), "w") as container:
        frames = read_video(walk.video).frames
        track = container.add_stream("libx264", rate=10)
        track.height, track.width, track.pix_fmt = *frames.shape[1:3], "yuv420p"
        codec = track.codec_context
        codec.color_primaries, codec.color_trc, codec.colorspace = 9, 16, 9
        for frame in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(track.encode(None))
    prepared = prepare_reference(tmp_path / "hdr.mp4", ClipConfig(frames=3), ready_people(walk, walk), SILENT)
    assert any("HDR (PQ, BT.2020)" in warning for warning in prepared.warnings)
    assert "hdr.mp4: HDR (PQ, BT.2020)" in caplog.text


def test_frames_in_memory_that_do_not_do(walk: SyntheticClip) -> None:
    frames = walk.prepared.video
    with pytest.raises(VideoError, match="from 2 s on"):
        prepare_source(frames, SQUARE, ClipConfig(start=2), ready_people(walk), SILENT)
    for bad in (np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(VideoError, match="uint8"):
            as_source(bad)
    for pictures in ([], [Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))]):
        with pytest.raises(VideoError, match="one size"):
            as_source(pictures)


def test_a_saved_clip_loads_back(tmp_path: Path) -> None:
    clip = film(3, height=64, width=128)
    clip = PreparedClip(clip.video, clip.keypoints, clip.masks, found=0.75, raw_jitter=1.5, warnings=("say so", "ä"))
    save_prepared(tmp_path / "clip", clip)
    loaded = load_prepared(tmp_path / "clip")
    np.testing.assert_array_equal(loaded.masks, clip.masks)
    np.testing.assert_array_equal(loaded.keypoints.body, clip.keypoints.body)
    assert np.abs(loaded.video.frames.astype(int) - clip.video.frames)[clip.masks].mean() < 4
    assert loaded.video.fps == clip.video.fps
    assert (loaded.found, loaded.raw_jitter, loaded.warnings) == (clip.found, clip.raw_jitter, clip.warnings)


def test_saving_a_shorter_clip_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    for frames in (4, 2):
        save_prepared(tmp_path, film(frames))
    assert len(load_prepared(tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finding.json", "frames.mp4", "keypoints.json", "masks"]


@pytest.mark.parametrize("name", ["finding.json", "frames.mp4", "keypoints.json", "masks"])
def test_a_damaged_clip_names_the_file(tmp_path: Path, name: str) -> None:
    save_prepared(tmp_path, film(2))
    path = tmp_path / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(b"{}")
    with pytest.raises((PersonError, VideoError), match=name):
        load_prepared(tmp_path)


def test_nobody_in_a_black_video(tmp_path: Path, people_models: None) -> None:
    write_video(tmp_path / "black.mp4", np.zeros((3, 64, 64, 3), np.uint8), 8)
    with pytest.raises(PersonError, match=r"black\.mp4") as caught:
        prepare_source(tmp_path / "black.mp4", SQUARE, ClipConfig(frames=3), PeopleConfig(), SILENT)
    assert "\n" not in str(caught.value)


class Sometimes:
    """A people finder that sees the figure of a clip in some of its frames, whatever the pictures' size."""

    name = "sometimes"

    def __init__(self, clip: PreparedClip, seen: Sequence[int]) -> None:
        self.clip, self.seen = clip, seen

    def detect(self, frames: np.ndarray, *, on_frame: OnFrame | None = None) -> list[list[PersonDetection]]:
        height, width = frames.shape[1:3]
        scale = np.array([width / self.clip.keypoints.width, height / self.clip.keypoints.height])
        keypoints = self.clip.keypoints.mapped(scale, np.zeros(2), height, width)
        people: list[list[PersonDetection]] = [[] for _ in frames]
        for frame in self.seen:
            body = keypoints.body[frame]
            box = np.array([*body[:, :2].min(axis=0), *body[:, :2].max(axis=0)], np.float32)
            mask = np.asarray(Image.fromarray(self.clip.masks[frame]).resize((width, height)))
            hands, face = np.ones((2, 21, 3), np.float32), np.ones((70, 3), np.float32)
            people[frame] = [PersonDetection(box, 0.9, body, hands, face, mask=mask)]
        return people


@pytest.mark.parametrize("seen", [[6], [0, 1, 2, 12, 13, 14, 15], list(range(0, 16, 2))])
def test_a_person_who_is_hardly_there_is_not_made_up(
    seen: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = film(16, speed=1.0)
    files = write_clip(tmp_path, clip)
    monkeypatch.setattr(preparation, "open_backend", lambda people: Sometimes(clip, seen))
    with pytest.raises(PersonError, match=r"frames .* \(--people.masks\)") as caught:
        prepare_source(files.video, SQUARE, ClipConfig(frames=16), PeopleConfig(), SILENT)
    expected = {6: "--source.start 0.75 --source.frames 1", 0: "--source.start 1.5 --source.frames 4"}[seen[0]]
    assert len(seen) == 8 or expected in str(caught.value)
    if len(seen) == 1:
        with pytest.raises(PersonError, match=r"got 1;.*--reference.start 0.75"):
            prepare_reference(files.video, ClipConfig(frames=16), PeopleConfig(fill_gaps=False), SILENT)


@pytest.mark.parametrize(("hands", "face"), [(True, False), (False, True)])
def test_what_is_switched_off_is_kept_of_no_finder(
    hands: bool, face: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = film(4, speed=1.0)
    files = write_clip(tmp_path, clip)
    monkeypatch.setattr(preparation, "open_backend", lambda people: Sometimes(clip, range(4)))
    people = PeopleConfig(hands=hands, face=face)
    found = prepare_source(files.video, SQUARE, ClipConfig(frames=4), people, SILENT).keypoints
    assert (found.hands is not None, found.face is not None) == (hands, face)


def test_short_gaps_are_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = film(16, speed=1.0)
    files = write_clip(tmp_path, clip)
    seen = [*range(1, 7), *range(9, 16)]
    monkeypatch.setattr(preparation, "open_backend", lambda people: Sometimes(clip, seen))
    filled = prepare_source(files.video, SQUARE, ClipConfig(frames=16), PeopleConfig(), SILENT)
    assert filled.masks.any(axis=(1, 2)).all()
    assert (filled.masks & clip.masks).sum() / (filled.masks | clip.masks).sum() > 0.9


class Standing:
    """A finder that sees the same person in every frame."""

    name = "standing"

    def detect(self, frames: np.ndarray, *, on_frame: OnFrame | None = None) -> list[list[PersonDetection]]:
        clip, (height, width) = film(1), frames.shape[1:3]
        body = clip.keypoints.mapped(np.array([width / 64, height / 64]), np.zeros(2), height, width).body[0]
        mask = np.asarray(Image.fromarray(clip.masks[0]).resize((width, height)))
        box = np.array([*body[:, :2].min(axis=0), *body[:, :2].max(axis=0)], np.float32)
        return [[PersonDetection(box, 0.9, body, mask=mask.copy())] for _ in frames]


def test_a_long_clip_is_held_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a further frame takes: itself before its sides are cut off, and its masks; no copies beside these."""
    monkeypatch.setattr(preparation, "open_backend", lambda people: Standing())
    height, width, picture = 128, 228, np.random.default_rng(0).integers(0, 255, (1, 128, 228, 3), dtype=np.uint8)

    def measure(frames: int) -> int:
        clip = Video(np.broadcast_to(picture, (frames, height, width, 3)), Fraction(24))
        tracemalloc.start()
        try:
            prepared = prepare_source(clip, Canvas(height, height), ClipConfig(frames=frames), PeopleConfig(), SILENT)
            assert prepared.video.frames.shape == (frames, height, height, 3)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    measure(8)
    further = (measure(72) - measure(24)) / 48
    whole, cut, mask, points = 3 * height * width, 3 * height**2, height**2, 16_000
    assert further < whole + cut + mask + points


def test_what_is_wrong_with_a_clip_is_kept_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, other = film(6, seed=1), film(6, seed=1)
    clip = replace(one, video=Video(np.concatenate([one.video.frames, 255 - other.video.frames]), one.video.fps),
                   keypoints=replace(one.keypoints, body=np.concatenate([one.keypoints.body, other.keypoints.body])),
                   masks=np.concatenate([one.masks, other.masks]))  # fmt: skip
    clip.keypoints.body[:, [9, 10, 12, 13], 2] = 0
    files = write_clip(tmp_path, clip)
    with caplog.at_level(logging.WARNING):
        source = prepare(files, ClipConfig(frames=12))
        reference = prepare_reference(files.video, ClipConfig(frames=12), ready_people(files, files), SILENT)
        skeletons = prepare_skeletons(files.keypoints, ClipConfig(frames=12), None)
    for prepared, flag in ((source, "--source.start"), (reference, "--reference.start")):
        told = " ".join(prepared.warnings)
        assert "frames 1 to 6, 7 to 12" in told
        assert flag in told
    for prepared in (source, reference, skeletons):
        assert "legs are not seen" in " ".join(prepared.warnings)
    assert caplog.text.count("legs are not seen") == 3


def test_a_person_who_comes_later_and_goes(tmp_path: Path, clips: Path, people_models: None) -> None:
    from edit_your_motion.video import Fit, read_video

    frames = read_video(clips / "tai-chi.mp4", frames=5, fit=Fit(256, 256)).frames
    frames[2] = 0
    write_video(tmp_path / "gap.mp4", frames, 30)
    clip = prepare_source(tmp_path / "gap.mp4", SQUARE, ClipConfig(frames=5), PeopleConfig(), SILENT)
    assert clip.found == pytest.approx(0.8)
    assert clip.warnings
    assert clip.masks.any(axis=(1, 2)).all()
    reference = prepare_reference(tmp_path / "gap.mp4", ClipConfig(frames=5), PeopleConfig(), SILENT)
    assert reference.keypoints.visible()[2].any()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    """Somebody who stays at the left of a wide picture, with keypoints and masks of all of it."""
    clip = film(3, height=64, width=160, speed=2.0)
    pixels = np.ones_like(clip.video.frames) * 100
    pixels[clip.masks] = (250, 20, 20)
    shift = np.array([-24.0, 0.0])
    keypoints = clip.keypoints.mapped(np.ones(2), shift, 64, 160)
    moved = replace(clip.video, frames=np.roll(pixels, -24, axis=2))
    return write_clip(tmp_path_factory.mktemp("wide"), PreparedClip(moved, keypoints, np.roll(clip.masks, -24, axis=2)))


def test_a_crop_goes_where_the_person_is(wide: SyntheticClip) -> None:
    clip = prepare_source(wide.video, SQUARE, ClipConfig(frames=3), ready_people(wide), SILENT)
    truth = wide.prepared
    assert clip.masks.sum() == truth.masks.sum()
    assert clip.warnings == ()
    assert (clip.video.frames[clip.masks][:, 0] > 180).mean() > 0.95
    for frame in range(3):
        x, y = clip.keypoints.body[frame, :, 0], clip.keypoints.body[frame, :, 1]
        rows, columns = np.nonzero(clip.masks[frame])
        assert columns.min() - 1 <= x.min() <= x.max() <= columns.max() + 2
        assert rows.min() - 1 <= y.min() <= y.max() <= rows.max() + 2
    middle = replace(SQUARE, place=(0.5, 0.5))
    with pytest.raises(PersonError, match="empty"):
        prepare_source(wide.video, middle, ClipConfig(frames=3), ready_people(wide), SILENT)


def test_what_was_prepared_is_given_back_to_the_same_crop(wide: SyntheticClip, tmp_path: Path) -> None:
    clip = prepare_source(wide.video, SQUARE, ClipConfig(frames=3), ready_people(wide), SILENT)
    save_prepared(tmp_path, clip)
    loaded = load_prepared(tmp_path)
    assert loaded.place == clip.place != (0.5, 0.5)
    people = PeopleConfig(keypoints=tmp_path / "keypoints.json", masks=tmp_path / "masks")
    again = prepare_source(wide.video, SQUARE, ClipConfig(frames=3), people, SILENT)
    np.testing.assert_array_equal(again.video.frames, clip.video.frames)
    np.testing.assert_array_equal(again.masks, clip.masks)
    np.testing.assert_allclose(again.keypoints.body, clip.keypoints.body, atol=1e-3)


def test_a_crop_that_cuts_the_person_says_so(wide: SyntheticClip, caplog: pytest.LogCaptureFixture) -> None:
    narrow = Canvas(64, 16)
    clip = prepare_source(wide.video, narrow, ClipConfig(frames=3), ready_people(wide), SILENT)
    assert "cuts the person off in frames 1, 2, 3" in clip.warnings[0]
    assert "--video.fit pad" in caplog.text
    padded = prepare_source(wide.video, replace(narrow, how="pad"), ClipConfig(frames=3), ready_people(wide), SILENT)
    assert "cuts the person" not in " ".join(padded.warnings)
