"""Keypoints changed by hand: what is named is changed, and nothing else."""

import numpy as np
import pytest

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoint_edits import hide_joints, move_joints, parse_frames, parse_joints
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints


@pytest.fixture
def keypoints() -> Keypoints:
    points = np.random.default_rng(0).uniform(1, 60, (5, 130, 3)).astype(np.float32)
    points[..., 2] = 1
    return Keypoints(points[:, :18], 64, 64, hands=points[:, 18:60].reshape(5, 2, 21, 3), face=points[:, 60:])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nose", {"nose"}),
        ("Left Wrist, left-wrist", {"left_wrist"}),
        ("right arm; neck", {"right_shoulder", "right_elbow", "right_wrist", "neck"}),
        ("all", set(BODY_JOINTS)),
    ],
)
def test_joints_are_named_as_people_do(text: str, names: set[str]) -> None:
    assert {BODY_JOINTS[joint] for joint in parse_joints(text)} == names


@pytest.mark.parametrize("text", ["", "tail", "nose,", "nose neck"])
def test_what_is_no_joint_is_said(text: str) -> None:
    with pytest.raises(PersonError, match="expected joints of nose, neck"):
        parse_joints(text)


@pytest.mark.parametrize(
    ("text", "numbers"), [("all", range(1, 6)), ("2", [2]), ("1-2, 5", [1, 2, 5]), (" 3 - 4 ,4", [3, 4])]
)
def test_frames_are_counted_from_one(text: str, numbers: list[int]) -> None:
    assert list(np.flatnonzero(parse_frames(text, 5)) + 1) == list(numbers)


@pytest.mark.parametrize("text", ["", "0", "6", "4-2", "1,,2", "-3", "first", "1-"])
def test_what_is_no_frame_is_said(text: str) -> None:
    with pytest.raises(PersonError, match="expected frames of 1 to 5"):
        parse_frames(text, 5)


def test_a_hand_goes_with_its_wrist_and_the_face_with_the_nose(keypoints: Keypoints) -> None:
    frames = parse_frames("2-3", 5)
    moved = move_joints(keypoints, parse_joints("left_wrist, nose"), frames, 2.0, -1.0)
    assert moved.hands is not None
    assert moved.face is not None
    by = np.array([2, -1, 0], np.float32)
    joints = parse_joints("left_wrist, nose")
    np.testing.assert_array_equal(moved.body[frames][:, joints], keypoints.body[frames][:, joints] + by)
    np.testing.assert_array_equal(moved.hands[frames, 0], keypoints.hands[frames, 0] + by)
    np.testing.assert_array_equal(moved.face[frames], keypoints.face[frames] + by)
    np.testing.assert_array_equal(moved.hands[:, 1], keypoints.hands[:, 1])
    np.testing.assert_array_equal(moved.body[~frames], keypoints.body[~frames])
    others = np.setdiff1d(np.arange(18), joints)
    np.testing.assert_array_equal(moved.body[:, others], keypoints.body[:, others])


def test_what_is_hidden_is_gone(keypoints: Keypoints) -> None:
    hidden = hide_joints(keypoints, parse_joints("right_arm"), parse_frames("5", 5))
    assert hidden.hands is not None
    assert not hidden.body[4, parse_joints("right_arm")].any()
    assert not hidden.hands[4, 1].any()
    assert hidden.hands[4, 0].all()
    assert keypoints.body.all(), "those that were given stay as they are"
