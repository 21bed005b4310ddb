"""People are followed through the frames between a clip's own; the clip gets its own frames and no others."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edit_your_motion.config import ClipConfig, PeopleConfig
from edit_your_motion.people import preparation
from edit_your_motion.people.between_frames import pass_through
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.preparation import Canvas, prepare_reference, prepare_source
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Fit, Video, locate_frames, read_frames_at, read_video, write_video
from synthetic_clip import JOINTS

SILENT = SilentProgress()
FIT = Fit(16, 16)


def numbered(count: int, side: int = 16) -> np.ndarray:
    """Frames that show their number as their brightness."""
    return np.repeat(np.arange(count, dtype=np.uint8), side * side * 3).reshape(count, side, side, 3)


def passage(count: int, rate: float, frames: int, stride: int, fps: float = 30.0, most: int = 600):
    chosen = stride * np.arange(frames)
    times = np.arange(count) / fps
    video = Video(numbered(count), Fraction(fps).limit_denominator(1000))
    return pass_through(video, chosen, times, start=0.0, fps=None, rate=rate, most=most)


@pytest.mark.parametrize(
    ("frames", "stride", "fps", "rate", "expected"),
    [
        (8, 4, 30.0, 30.0, 29),
        (8, 1, 30.0, 30.0, 8),
        (8, 4, 60.0, 30.0, 15),
        (5, 4, 10.0, 30.0, 17),
        (8, 4, 30.0, 0.0, 8),
        (8, 4, 30.0, 7.0, 8),
        (1, 4, 30.0, 30.0, 1),
    ],
)
def test_as_many_frames_as_the_rate_asks_for(frames: int, stride: int, fps: float, rate: float, expected: int) -> None:
    passed = passage(40, rate, frames, stride, fps)
    assert len(passed) == expected
    np.testing.assert_array_equal(passed.indices[passed.rows], stride * np.arange(frames))
    assert (np.diff(passed.times) > 0).all()


def test_a_long_clip_is_filled_up_to_a_bound() -> None:
    assert len(passage(200, 30.0, 20, 10, most=100)) == 96
    assert len(passage(200, 30.0, 20, 10, most=20)) == 20


def test_frames_are_read_one_at_a_time() -> None:
    passed = passage(200, 30.0, 20, 9)
    assert [int(show(FIT)[0, 0, 0]) for show in passed.read()] == passed.indices.tolist()


@pytest.mark.parametrize("fps", [None, 8.0, 12.5, 60.0])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_file_s_frames_are_those_that_were_chosen(tmp_path: Path, fps: float | None, start: float) -> None:
    write_video(tmp_path / "clip.mp4", 4 * numbered(60, 64), 30, crf=0)
    clip = read_video(tmp_path / "clip.mp4", start=start, frames=6, stride=2, fps=fps)
    located = locate_frames(tmp_path / "clip.mp4", 6, start=start, stride=2, fps=fps)
    times, chosen = located.times, located.chosen
    assert (located.fps, located.start) == (clip.fps, clip.start)
    passed = pass_through(tmp_path / "clip.mp4", chosen, times, start=start, fps=fps, rate=30.0)
    shown = read_frames_at(tmp_path / "clip.mp4", passed.indices, start=start, fps=fps)
    read = np.stack([show(None) for show in shown])
    np.testing.assert_array_equal(read[passed.rows], clip.frames)
    assert len(passed) == (chosen[-1] - chosen[0] + 1)


class Bright:
    """Finds somebody whose place is 60 pixels and the picture's brightness, and remembers how many frames it saw."""

    name = "bright"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def detect(self, frames: np.ndarray, *, on_frame: object = None) -> list[list[PersonDetection]]:
        found = []
        for frame in frames:
            height, width = frame.shape[:2]
            x = 60 + float(frame.mean())
            self.seen.append(round(x))
            joints = (JOINTS - JOINTS[0]) * (90, 210) + (x, 10)
            body = np.concatenate([joints, np.full((18, 1), 0.9)], axis=1)
            mask = np.zeros((height, width), bool)
            mask[10:200, int(x) : int(x) + 50] = True
            box = np.array([x, 10, x + 50, 200], np.float32)
            found.append([PersonDetection(box, 0.9, body.astype(np.float32), mask=mask)])
        return found


@pytest.mark.parametrize("rate", [0.0, 30.0])
@pytest.mark.parametrize("as_file", [False, True])
def test_the_clip_is_its_own_frames_whatever_lies_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float, as_file: bool
) -> None:
    finder = Bright()
    monkeypatch.setattr(preparation, "open_backend", lambda people: finder)
    frames = numbered(31, 512) * 4
    source: Path | Video = Video(frames, Fraction(30))
    if as_file:
        source = tmp_path / "clip.mp4"
        write_video(source, frames, 30, crf=0)
    people, video = PeopleConfig(rate=rate), ClipConfig(frames=6, stride=5)
    clip = prepare_source(source, Canvas(512, 512), video, people, SILENT)
    assert len(finder.seen) == (26 if rate else 6)
    assert len(clip) == len(clip.keypoints) == len(clip.masks) == 6
    np.testing.assert_allclose(clip.keypoints.body[:, 0, 0], 60 + 20 * np.arange(6), atol=2.5)
    np.testing.assert_allclose(clip.masks.argmax(axis=2)[:, 100], 60 + 20 * np.arange(6), atol=2.5)
    assert (clip.found, clip.warnings) == (1.0, ())
    reference = prepare_reference(source, video, people, SILENT)
    np.testing.assert_array_equal(reference.keypoints.body, clip.keypoints.body)
