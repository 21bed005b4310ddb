"""Cuts to other scenes, told from flashes, moving cameras, and people who move."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from edit_your_motion.video import Fit, read_video
from edit_your_motion.video.cuts import find_cuts, list_scenes

RATE = Fraction(30)


def paint(seed: int, height: int = 120, width: int = 400) -> np.ndarray:
    """A wide scene: things of a few colours and all sizes."""
    rng = np.random.default_rng(seed)
    scene = np.full((height, width, 3), rng.integers(40, 220, 3))
    colours = rng.integers(0, 255, (5, 3))
    for _ in range(150):
        top, left = rng.integers(-20, height), rng.integers(-20, width)
        tall, wide = rng.integers(5, 50, 2)
        scene[max(top, 0) : top + tall, max(left, 0) : left + wide] = colours[rng.integers(5)]
    return gaussian_filter(scene, (1, 1, 0)).astype(np.uint8)


def film(scene: np.ndarray, count: int, speed: float = 0.0, width: int = 160) -> np.ndarray:
    """A part of a scene, with a camera that pans by `speed` pixels a frame and a block that crosses it."""
    frames = np.stack([scene[:, round(speed * frame) : round(speed * frame) + width] for frame in range(count)])
    for frame, picture in enumerate(frames):
        left = 3 + frame * 9 % (width - 40)
        picture[30:110, left : left + 30] = (200, 30, 40)
    return frames


ONE, OTHER = film(paint(1), 16), film(paint(2), 16)


def test_a_cut_is_found_where_it_is() -> None:
    for step in (1, 2, 4):
        clip = np.concatenate([ONE[::step], OTHER[::step], ONE[::step]])
        expected = [16 // step, 32 // step]
        assert find_cuts(clip, RATE / step).tolist() == expected
    assert [list(scene) for scene in list_scenes(np.array([2, 3]), 5)] == [[0, 1], [2], [3, 4]]


@pytest.mark.parametrize("speed", [0.0, 1.0, 5.0, 16.0])
def test_a_moving_camera_and_a_fast_person_are_none(speed: float) -> None:
    assert not len(find_cuts(film(paint(3), 15, speed), RATE))
    assert not len(find_cuts(film(paint(4), 1), RATE))


@pytest.mark.parametrize("rate", [6, 30])
def test_flashes_dropouts_and_changed_light_are_none(rate: int) -> None:
    clip = film(paint(5), 30)
    clip[5] = 255
    clip[10] = 0
    clip[15] = np.clip(clip[15] * 1.6 + 40, 0, 255)
    clip[20:] = clip[20:] * 0.6
    assert not len(find_cuts(clip, Fraction(rate)))


def test_through_black_to_another_scene_is_one() -> None:
    dark = [(ONE[-1] * share).astype(np.uint8) for share in np.linspace(1, 0, 8)]
    light = [(OTHER[0] * share).astype(np.uint8) for share in np.linspace(0, 1, 8)]
    assert len(find_cuts(np.stack([*ONE, *dark, *light, *OTHER]), RATE)) == 1
    back = [(ONE[-1] * share).astype(np.uint8) for share in np.linspace(0, 1, 8)]
    assert not len(find_cuts(np.stack([*ONE, *dark, *back, *ONE]), RATE))


def dissolve(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """The last frames of one film run over into the first ones of another."""
    share = np.linspace(0, 1, count + 2)[1:-1, None, None, None]
    mixed = one[-count:] * (1 - share) + other[:count] * share
    return np.concatenate([one[:-count], mixed.astype(np.uint8), other[count:]])


@pytest.fixture(scope="module")
def real(clips: Path) -> list[np.ndarray]:
    """The first 90 frames of three real clips."""
    names = ("tai-chi", "basketball", "juggle")
    return [read_video(clips / f"{name}.mp4", frames=90, stride=1, fit=Fit(120, 160)).frames for name in names]


@pytest.mark.parametrize("count", [6, 30])
def test_a_dissolve_to_another_scene_is_one(real: list[np.ndarray], count: int) -> None:
    for one, other in zip(real, [*real[1:], real[0]], strict=True):
        (found,) = find_cuts(dissolve(one, other, count), RATE)
        assert abs(found - (90 - count / 2)) <= count / 2


def test_what_moves_in_real_clips_is_none(real: list[np.ndarray]) -> None:
    for frames in real:
        assert not len(find_cuts(frames, RATE))


def test_a_slow_change_of_light_is_none() -> None:
    clip = film(paint(6), 60)
    lit = clip * np.linspace(0.5, 1.2, 60)[:, None, None, None]
    assert not len(find_cuts(np.clip(lit, 0, 255).astype(np.uint8), RATE))


def test_real_clips_have_none_and_between_them_is_one(clips: Path) -> None:
    films = [
        read_video(clips / f"{name}.mp4", frames=20, stride=4, fit=Fit(120, 160))
        for name in ("tai-chi", "basketball", "juggle")
    ]
    for one, other in zip(films, [*films[1:], films[0]], strict=True):
        assert not len(find_cuts(one.frames, one.fps))
        assert find_cuts(np.concatenate([one.frames, other.frames]), one.fps).tolist() == [20]


def test_a_slow_zoom_is_none() -> None:
    picture = Image.fromarray(paint(6)[:, :160])
    frames = [picture.crop((k, k, 160 - k, 120 - k)).resize((160, 120)) for k in range(0, 50, 2)]
    assert not len(find_cuts(np.stack(frames), RATE))
