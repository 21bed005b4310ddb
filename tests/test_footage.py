"""Clips are passed through once, a few frames at a time."""

import gc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edit_your_motion.config import ClipConfig, PeopleConfig
from edit_your_motion.errors import VideoError
from edit_your_motion.people import preparation
from edit_your_motion.people.cropping import on_whole_pixels, uncut
from edit_your_motion.people.finders.blazepose import LAG, BlazePose
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.preparation import Canvas, prepare_source
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.runtime.read_ahead import read_ahead
from edit_your_motion.video import Fit, Video, fit_frame, locate_frames, read_video, write_video


def test_no_decoded_frame_outlives_its_turn(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", np.zeros((40, 64, 64, 3), np.uint8), 30)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
        locate_frames(tmp_path / "clip.mp4", None)
        read_video(tmp_path / "clip.mp4")
        assert sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) - before < 4
    finally:
        gc.enable()


def test_items_come_in_order_and_errors_where_they_happen() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise OSError("the eleventh")

    taken = read_ahead(items(), 3)
    assert [next(taken) for _ in range(10)] == list(range(10))
    with pytest.raises(OSError, match="eleventh"):
        next(taken)
    assert list(read_ahead(iter(()))) == []


def test_few_items_are_made_ahead() -> None:
    made: list[int] = []
    taken = read_ahead((made.append(number) or number for number in range(100)), 3)
    for number in range(50):
        assert next(taken) == number
        assert len(made) <= number + 1 + 3


def test_a_finder_holds_few_frames(people_models: None) -> None:
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(12):
            taken.append(number)
            yield np.zeros((64, 64, 3), np.uint8)

    for done, people in enumerate(BlazePose(hands=True, face=True).follow(frames()), 1):
        assert people == []
        assert len(taken) <= done + LAG + 1
    assert done == 12


class Streaming:
    """Finds one person in every frame; answers lag two frames behind."""

    name = "streaming"

    def detect(self, frames: np.ndarray, *, on_frame: object = None) -> list[list[PersonDetection]]:
        raise AssertionError("it takes streams")

    def follow(self, frames: Iterator[np.ndarray]) -> Iterator[list[PersonDetection]]:
        waiting: list[list[PersonDetection]] = []
        for frame in frames:
            height, width = frame.shape[:2]
            x = float(frame.mean()) / 255 * width
            body = np.stack([np.full(18, x), np.linspace(10, 90, 18), np.full(18, 0.9)], axis=1).astype(np.float32)
            mask = np.zeros((height, width), bool)
            mask[10:90, max(0, int(x) - 5) : int(x) + 5] = True
            waiting.append([PersonDetection(np.array([x - 9, 9, x + 9, 91], np.float32), 0.9, body, mask=mask)])
            if len(waiting) > 2:
                yield waiting.pop(0)
        yield from waiting


def test_who_lags_behind_is_still_of_the_right_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "open_backend", lambda people: Streaming())
    levels = np.linspace(100, 150, 12).round().astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (12, 512, 768, 3)).copy()
    clip = prepare_source(
        Video(frames, Fraction(8)), Canvas(64, 64), ClipConfig(), PeopleConfig(smooth=False), SilentProgress()
    )
    # 768x512 comes to 96x64, of which 64 columns are kept.
    left = clip.place[0] * 32
    assert left == round(left)
    np.testing.assert_allclose(clip.keypoints.body[:, 1, 0], levels / 255 * 96 - left, atol=0.5)
    assert np.abs(clip.video.frames[:, 32, 32, 0].astype(int) - levels).max() <= 1


@pytest.mark.parametrize("place", [(0.5, 0.5), (0.123, 0.5), (1.0, 0.0)])
def test_a_crop_cuts_no_pixel_in_two(place: tuple[float, float]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 107, 3), np.uint8)
    whole = uncut(60, 107, Fit(60, 60))
    fit = on_whole_pixels(whole.height, whole.width, Fit(60, 60, place=place))
    left = round(fit.place[0] * 47)
    assert abs(left - place[0] * 47) <= 0.5
    np.testing.assert_array_equal(fit_frame(frame, fit), frame[:, left : left + 60])


def test_more_than_a_clip_may_be_is_told_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edit_your_motion.people.footage.LARGEST_CLIP", 2**20)
    clip = Video(np.zeros((100, 64, 64, 3), np.uint8), Fraction(8))
    with pytest.raises(VideoError, match=r"100 frames of 64x64 .* a lower rate"):
        prepare_source(clip, Canvas(64, 64), ClipConfig(), PeopleConfig(), SilentProgress())
