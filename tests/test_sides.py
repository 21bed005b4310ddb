"""Left and right swapped back: frames that a finder turned round, and none of those in which limbs cross."""

import numpy as np
import pytest

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.sides import keep_sides

FRAMES = 12
LIMBS = [BODY_JOINTS.index(f"{side}_{limb}") for side in ("right", "left") for limb in ("shoulder", "knee")]

SWINGS = {"ankle": 1, "knee": 0.5, "wrist": -1, "elbow": -0.5}


def walk(width: float, *, stride: float = 50) -> Keypoints:
    """Somebody whose legs and arms cross twice a second in the picture, at 8 frames a second."""
    body = np.zeros((FRAMES, 18, 3), np.float32)
    phase = 2 * np.pi * np.arange(FRAMES) / 8
    for name, joint in ((name, joint) for joint, name in enumerate(BODY_JOINTS)):
        side = -1 if name.startswith("right") else 1 if name.startswith("left") else 0
        swing = SWINGS.get(name.split("_")[-1], 0) * stride
        body[:, joint, 0] = 250 + side * (width + swing * np.sin(phase))
        body[:, joint, 1] = 20 * joint
        body[:, joint, 2] = 0.9
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
    found = turned_round(walk(30), list(range(8)))
    np.testing.assert_array_equal(keep_sides(found).body, turned_round(walk(30), list(range(FRAMES))).body)
    found.body[:8, :, 2] = 0.4  # two thirds of the frames, and less than half of the confidence
    np.testing.assert_array_equal(keep_sides(found).body[..., :2], walk(30).body[..., :2])


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
