"""Left and right swapped back: frames that a finder turned round, and none of those in which limbs cross."""

import numpy as np
import pytest

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.tracking.left_right import keep_sides, swap_sides
from stick_figure import film_turn

FRAMES = 12
LIMBS = [BODY_JOINTS.index(f"{side}_{limb}") for side in ("right", "left") for limb in ("shoulder", "knee")]

SWINGS = {"ankle": 1, "knee": 0.5, "wrist": -1, "elbow": -0.5}


def walk(width: float, *, stride: float = 50, ears: bool = True) -> Keypoints:
    """Somebody whose legs and arms cross twice a second in the picture, at 8 frames a second."""
    body = np.zeros((FRAMES, 18, 3), np.float32)
    phase = 2 * np.pi * np.arange(FRAMES) / 8
    for name, joint in ((name, joint) for joint, name in enumerate(BODY_JOINTS)):
        side = -1 if name.startswith("right") else 1 if name.startswith("left") else 0
        swing = SWINGS.get(name.split("_")[-1], 0) * stride
        body[:, joint, 0] = 250 + side * (width + swing * np.sin(phase))
        body[:, joint, 1] = 20 * joint
        body[:, joint, 2] = 0.9 if ears or not name.endswith("ear") else 0.0
    hands = np.zeros((FRAMES, 2, 21, 3), np.float32)
    hands[:, 0] = 1.0
    return Keypoints(body, 512, 512, hands)


def turned_round(keypoints: Keypoints, frames: list[int]) -> Keypoints:
    """The same with the limbs of both sides exchanged in some frames, the face as it was."""
    body, hands = keypoints.body.copy(), keypoints.hands.copy()
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        right, left = BODY_JOINTS.index(f"right_{name}"), BODY_JOINTS.index(f"left_{name}")
        for frame in frames:
            body[frame, [right, left]] = body[frame, [left, right]]
    hands[frames] = hands[frames][:, ::-1]
    return Keypoints(body, 512, 512, hands)


@pytest.mark.parametrize("frames", [[0], [5], [11], [3, 4], [0, 1, 6], [1, 3, 5, 7]])
def test_frames_turned_round_are_turned_back(frames: list[int]) -> None:
    true = walk(30)
    kept = keep_sides(turned_round(true, frames))
    np.testing.assert_array_equal(kept.body, true.body)
    np.testing.assert_array_equal(kept.hands, true.hands)


def test_of_two_ways_round_the_more_confident_stays() -> None:
    found = turned_round(walk(30, ears=False), list(range(3, 9)))
    assert keep_sides(found) is found  # as many frames show the one as the other
    found.body[3:9, :, 2] = 0.4
    np.testing.assert_array_equal(keep_sides(found).body[..., :2], walk(30).body[..., :2])


def test_ears_tell_which_way_round_is_right() -> None:
    np.testing.assert_array_equal(keep_sides(turned_round(walk(30), list(range(8)))).body, walk(30).body)


@pytest.mark.parametrize("width", [0.0, 5.0, 30.0])
def test_crossing_limbs_are_left_alone(width: float) -> None:
    """Seen from the side the limbs of both sides change places; shoulders and hips hardly move."""
    found = walk(width)
    assert keep_sides(found) is found


def test_frames_that_show_nobody_follow_the_last_that_did() -> None:
    found = turned_round(walk(30), [4, 5, 6])
    found.body[5, :, 2] = 0
    kept = keep_sides(found)
    np.testing.assert_array_equal(kept.body[[3, 4, 6, 7]], walk(30).body[[3, 4, 6, 7]])
    assert not kept.body[5, :, 2].any()


def test_too_few_limbs_say_nothing() -> None:
    found = turned_round(walk(30), [4])
    others = [joint for joint in range(18) if joint not in LIMBS]
    found.body[:, others, 2] = 0
    assert keep_sides(found) is found


@pytest.mark.parametrize("far_hidden", [False, True])
@pytest.mark.parametrize("turns", [0.25, 0.5, 1.0, 2.0])
def test_true_turns_are_left_alone(turns: float, far_hidden: bool) -> None:
    """At every rate and length, however fast, whether or not the limbs behind the body are found."""
    for rate in (30, 15, 10):
        for frames in (8, 16, 30, 60):
            for seed in range(5):
                found = film_turn(seed, frames, rate, turns, far_hidden=far_hidden)
                assert keep_sides(found, times=np.arange(frames) / rate) is found, (rate, frames, seed)


@pytest.mark.parametrize("with_head", [False, True])
@pytest.mark.parametrize("rate", [30, 15])
def test_a_flickering_third_is_mended(rate: int, with_head: bool) -> None:
    """Eight of 24 frames of somebody who faces the camera, the head exchanged with the limbs or not."""
    wrong = mended = 0
    for seed in range(20):
        true = film_turn(seed, 24, rate, turns=0.0, heading=0.4)
        frames = np.zeros(24, bool)
        frames[np.random.default_rng(seed).permutation(24)[:8]] = True
        found = swap_sides(true, frames)
        if with_head:
            found.body[np.ix_(frames, [14, 15, 16, 17])] = found.body[np.ix_(frames, [15, 14, 17, 16])]
        kept = keep_sides(found, times=np.arange(24) / rate).body[:, LIMBS]
        right = (kept == true.body[:, LIMBS]).all(axis=(1, 2))
        wrong += int((~right & ~frames).sum())
        mended += int((right & frames).sum())
    assert wrong == 0
    assert mended >= 0.95 * 20 * 8


def test_a_turn_that_the_finder_sees_late_is_not_undone() -> None:
    """It holds on to the front until the back is plain, and then sees the turn: the frames after it are right."""
    true = film_turn(1, 60, 30, turns=0.25, heading=0.0)
    late = np.zeros(60, bool)
    late[31:40] = True  # 90 degrees are reached after 30 frames
    found = swap_sides(true, late)
    kept = keep_sides(found, times=np.arange(60) / 30).body
    np.testing.assert_array_equal(kept[40:], true.body[40:])
    np.testing.assert_array_equal(kept[:31], true.body[:31])


def test_nobody_moves_between_frames_far_apart() -> None:
    """Half a turn fits between frames a third of a second apart: nothing tells it from a swap."""
    found = turned_round(walk(30, ears=False), [4])
    assert keep_sides(found, times=np.arange(FRAMES) / 3) is found
