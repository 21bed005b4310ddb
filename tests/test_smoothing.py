"""Smoothing held to known motions: less error, no lag, whole swings; gaps filled where and only where asked."""

from itertools import pairwise

import numpy as np
import pytest

from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.smoothing import (
    SmoothingConfig,
    fill_mask_gaps,
    frame_times,
    jitter,
    steady_keypoints,
)

SIDE = 512
RATE = 30.0
TIME = np.arange(150) / RATE
STANDING = np.stack([np.tile([-60.0, 0.0, 60.0], 6), np.linspace(-200, 200, 18)], axis=1)
"""Where the joints of somebody 400 pixels tall are, from the middle."""
MOTIONS = {
    "rest": np.zeros((150, 2)),
    "drift": np.stack([60 * TIME, -20 * TIME], axis=1),
    "sway": np.stack([60 * np.sin(2 * np.pi * 0.3 * TIME), 20 * np.cos(2 * np.pi * 0.3 * TIME)], axis=1),
    "wave": np.stack([80 * np.sin(2 * np.pi * TIME), 40 * np.cos(2 * np.pi * TIME)], axis=1),
    "shake": np.stack([50 * np.sin(2 * np.pi * 2.5 * TIME), 25 * np.cos(2 * np.pi * 2.5 * TIME)], axis=1),
}


def make_keypoints(path: np.ndarray, noise: float = 0.0, confidence: float = 1.0) -> Keypoints:
    body = np.full((len(path), 18, 3), confidence)
    body[..., :2] = 250 + STANDING + path[:, None] + noise * np.random.default_rng(0).normal(size=(len(path), 18, 2))
    return Keypoints(body=body.astype(np.float32), height=SIDE, width=SIDE)


def error(keypoints: Keypoints, path: np.ndarray) -> float:
    return float(np.sqrt((offsets(keypoints.body, path) ** 2).sum(axis=-1).mean()))


def offsets(body: np.ndarray, path: np.ndarray) -> np.ndarray:
    """From where the joints truly are, pixels."""
    return body[..., :2] - 250 - STANDING - path[:, None]


def one_euro_both_ways(values: np.ndarray, min_cutoff: float, beta: float) -> np.ndarray:
    """The published filter, x and y each on its own, and the mean of its runs forward and backward."""

    def share(cutoff: float) -> float:
        return 1 / (1 + RATE / (2 * np.pi * cutoff))

    def run(samples: np.ndarray) -> np.ndarray:
        out, speed = [samples[0]], 0.0
        for before, sample in pairwise(samples):
            speed = speed + share(1.0) * ((sample - before) * RATE - speed)
            out.append(out[-1] + share(min_cutoff + beta * abs(speed)) * (sample - out[-1]))
        return np.array(out)

    return (run(values) + run(values[::-1])[::-1]) / 2


@pytest.mark.parametrize("noise", [1.0, 2.5])
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_error_falls(motion: str, noise: float) -> None:
    path = MOTIONS[motion]
    noisy = make_keypoints(path, noise)
    steady = steady_keypoints(noisy, times=TIME)
    share = {"rest": 0.55, "drift": 0.55, "sway": 0.55, "wave": 0.7, "shake": 0.9}[motion]
    assert error(steady, path) < share * error(noisy, path)
    assert jitter(steady) < 0.7 * jitter(noisy) + jitter(make_keypoints(path))


def test_it_beats_one_euro_both_ways() -> None:
    """With that filter's own best setting for these motions, found by search."""
    clean = {name: path[:, 0] for name, path in MOTIONS.items()}
    noise = np.random.default_rng(1).normal(size=150) * 1.5
    settings = [(cutoff, beta) for cutoff in (0.5, 1.0, 2.0) for beta in (0.005, 0.01, 0.02, 0.04, 0.08)]

    def mean_log_error(smooth: dict[str, np.ndarray]) -> float:
        return float(np.mean([np.log(np.sqrt(((smooth[name] - clean[name]) ** 2).mean())) for name in clean]))

    rival = min(
        mean_log_error({name: one_euro_both_ways(path + noise, *setting) for name, path in clean.items()})
        for setting in settings
    )
    ours = {}
    for name, path in clean.items():
        noisy = make_keypoints(np.stack([path + noise, np.zeros(150)], axis=1))
        ours[name] = steady_keypoints(noisy, times=TIME).body[:, 0, 0] - 250 - STANDING[0, 0]
    assert mean_log_error(ours) < rival - 0.1


def test_a_drift_does_not_lag_anywhere() -> None:
    path = np.stack([300 * TIME, -120 * TIME], axis=1)
    assert error(steady_keypoints(make_keypoints(path), times=TIME), path) < 1e-3


def test_time_reversed_gives_time_reversed() -> None:
    noisy = make_keypoints(MOTIONS["wave"], 2.0)
    backward = Keypoints(noisy.body[::-1].copy(), SIDE, SIDE)
    one, other = (steady_keypoints(keypoints, times=TIME).body for keypoints in (noisy, backward))
    np.testing.assert_allclose(one, other[::-1], atol=1e-3)


@pytest.mark.parametrize(("rate", "amplitude"), [(1.0, 80), (2.0, 60), (3.0, 40)])
def test_swings_keep_their_peaks(rate: float, amplitude: float) -> None:
    path = np.stack([amplitude * np.sin(2 * np.pi * rate * TIME), 0 * TIME], axis=1)
    steady = steady_keypoints(make_keypoints(path), times=TIME).body[:, 0, 0]
    assert np.ptp(steady) > 0.97 * np.ptp(path[:, 0])


def test_uncertain_points_weigh_less() -> None:
    keypoints = make_keypoints(MOTIONS["rest"])
    pulled = {}
    for confidence in (0.35, 1.0):
        body = keypoints.body.copy()
        body[75, 3, 0] += 1
        body[75, 3, 2] = confidence
        steady = steady_keypoints(Keypoints(body, SIDE, SIDE), times=TIME)
        pulled[confidence] = abs(steady.body[75, 3, 0] - 250 - STANDING[3, 0])
    assert pulled[0.35] < 0.7 * pulled[1.0]


def test_both_parts_can_be_switched_off() -> None:
    noisy = make_keypoints(MOTIONS["wave"], 2.0)
    noisy.body[40:43, 3] = 0
    nothing = steady_keypoints(noisy, SmoothingConfig(smooth=False, fill_gaps=False), times=TIME)
    np.testing.assert_array_equal(nothing.body, noisy.body)
    smoothed = steady_keypoints(noisy, SmoothingConfig(fill_gaps=False), times=TIME)
    assert not smoothed.body[40:43, 3].any()
    np.testing.assert_array_equal(smoothed.body[..., 2], noisy.body[..., 2])
    filled = steady_keypoints(noisy, SmoothingConfig(smooth=False), times=TIME)
    others = np.ones(noisy.body.shape[:2], bool)
    others[40:43, 3] = False
    np.testing.assert_array_equal(filled.body[others], noisy.body[others])


def test_short_gaps_are_filled_and_long_ones_stay() -> None:
    path = 0.5 * MOTIONS["wave"]
    keypoints = make_keypoints(path, confidence=0.9)
    body = keypoints.body
    body[30:36, 4] = 0
    body[60:72, 5] = 0
    body[90:92, 6, 2] = 0.2  # still there, but not to be trusted
    body[90:92, 6, 0] += 100
    body[:5, 7] = 0
    filled = steady_keypoints(keypoints, SmoothingConfig(smooth=False), times=TIME).body
    np.testing.assert_allclose(filled[30:36, 4, 2], 0.72, rtol=1e-5)
    assert np.abs(offsets(filled, path)[30:36, 4]).max() < 6
    assert not filled[60:72, 5].any()
    assert np.abs(offsets(filled, path)[90:92, 6]).max() < 3
    assert not filled[:2, 7].any()
    np.testing.assert_allclose(filled[2:5, 7, :2], np.broadcast_to(body[5, 7, :2], (3, 2)))


def test_what_moves_on_fast_is_not_held() -> None:
    body = make_keypoints(np.stack([600 * TIME, 0 * TIME], axis=1)).body
    body[:5, 7] = 0
    filled = steady_keypoints(Keypoints(body, SIDE, SIDE), SmoothingConfig(smooth=False), times=TIME).body
    assert filled[4, 7, 2] > 0
    assert not filled[:4, 7].any()


@pytest.mark.parametrize("rate", [30, 15, 10, 5])
def test_gaps_across_large_motion_stay(rate: int) -> None:
    """An arm that comes back from where it swung to, unseen: no way between its two ends is known."""
    times = np.arange(2 * rate) / rate
    keypoints = make_keypoints(np.zeros((len(times), 2)))
    keypoints.body[:, 4, 0] += (150 * np.sin(2 * np.pi * 2 * times)).astype(np.float32)
    unseen = (times > 0.45) & (times < 0.72)
    keypoints.body[unseen, 4, 2] = 0
    assert not steady_keypoints(keypoints, SmoothingConfig(smooth=False), times=times).body[unseen, 4][:, 2].any()


@pytest.mark.parametrize("rate", [30, 15, 10, 5])
@pytest.mark.parametrize("swings", [0.3, 1.0, 2.0, 4.0])
def test_it_does_no_harm_at_any_rate(rate: int, swings: float) -> None:
    times = np.arange(3 * rate) / rate
    path = np.stack([90 * np.sin(2 * np.pi * swings * times), 40 * np.cos(2 * np.pi * swings * times)], axis=1)
    noisy = make_keypoints(path, 1.5)
    assert error(steady_keypoints(noisy, times=times), path) <= error(noisy, path)


def test_uneven_frames_are_taken_at_their_times() -> None:
    times = TIME[np.sort(np.random.default_rng(3).permutation(150)[:100])]
    path = np.stack([300 * times, -120 * times**2], axis=1)
    assert error(steady_keypoints(make_keypoints(path), times=times), path) < 1e-2
    with pytest.raises(PersonError, match="100 rising times"):
        steady_keypoints(make_keypoints(path), times=times[::-1])


def test_somebody_small_is_steadied_as_somebody_large() -> None:
    """All is in the body's size: a picture of half the size gives half of every number."""
    large = make_keypoints(MOTIONS["wave"], 2.0)
    large.body[40:44, 3] = 0
    small = large.mapped(np.full(2, 0.5), np.zeros(2), SIDE, SIDE)
    one, other = (steady_keypoints(keypoints, times=TIME).body[..., :2] for keypoints in (large, small))
    np.testing.assert_allclose(one / 2, other, atol=1e-3)


def test_filled_points_stay_between_their_ends() -> None:
    body = make_keypoints(np.stack([np.minimum(TIME, 2.0) * 40, 0 * TIME], axis=1)).body
    body[58:64, 2] = 0
    filled = steady_keypoints(Keypoints(body, SIDE, SIDE), SmoothingConfig(smooth=False), times=TIME).body
    assert (np.diff(filled[55:70, 2, 0]) >= 0).all()


def test_hands_face_and_short_clips_come_through() -> None:
    for frames in (1, 2, 3):
        points = np.random.default_rng(0).uniform(1, 500, (frames, 133, 3)).astype(np.float32)
        points[..., 2] = 1
        keypoints = Keypoints(points[:, :18], SIDE, SIDE, points[:, 18:60].reshape(frames, 2, 21, 3), points[:, 60:130])
        steady = steady_keypoints(keypoints, times=TIME[:frames])
        assert np.isfinite(steady.body).all()
        assert steady.hands is not None
        assert steady.face is not None
        if frames < 3:
            np.testing.assert_allclose(steady.face, keypoints.face, atol=1e-2)
            np.testing.assert_allclose(steady.hands, keypoints.hands, atol=1e-2)
    assert jitter(make_keypoints(np.zeros((2, 2)))) == 0


def test_jitter_of_a_known_shake() -> None:
    path = np.stack([np.where(np.arange(20) % 2, 1.5, -1.5), np.zeros(20)], axis=1)
    assert jitter(make_keypoints(path)) == pytest.approx(6.0, rel=1e-4)
    assert jitter(make_keypoints(np.stack([np.arange(20.0) * 4, np.zeros(20)], axis=1))) == pytest.approx(0, abs=1e-4)


def test_masks_between_others_take_a_shape_between() -> None:
    y, x = np.indices((60, 120))
    masks = np.zeros((8, 60, 120), bool)
    for frame in (2, 6):
        masks[frame] = (x - 10 * frame - 10) ** 2 + (y - 30) ** 2 < 144
    filled = fill_mask_gaps(masks)
    for frame in (3, 4, 5):
        truth = (x - 10 * frame - 10) ** 2 + (y - 30) ** 2 < 144
        assert (filled[frame] & truth).sum() / (filled[frame] | truth).sum() > 0.95
    np.testing.assert_array_equal(filled[[0, 1, 7]], masks[[2, 2, 6]])
    np.testing.assert_array_equal(filled[[2, 6]], masks[[2, 6]])
    with pytest.raises(PersonError, match="at least one of 8 masks"):
        fill_mask_gaps(np.zeros_like(masks))


@pytest.mark.parametrize(
    "setting", [{"min_cutoff": 0.0}, {"beta": -1.0}, {"longest_gap": -1.0}, {"min_cutoff": float("nan")}]
)
def test_senseless_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        SmoothingConfig(**setting)
    with pytest.raises(PersonError, match="frame rate"):
        frame_times(3, 0.0)
