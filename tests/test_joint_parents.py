"""Joints that a visible one hangs from are drawn, where a finder has put them into the picture."""

import numpy as np
import pytest

from edit_your_motion.people.joint_parents import raise_parents
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import draw_skeleton

JOINT = {name: index for index, name in enumerate(BODY_JOINTS)}
CHAIN = [("wrist", "elbow"), ("elbow", "shoulder"), ("ankle", "knee"), ("knee", "hip")]


def unsure(joint: str, confidence: float, place: tuple[float, float] | None = None, frames: int = 1) -> Keypoints:
    """Somebody of whom all but one joint is plain to see."""
    body = np.full((frames, 18, 3), 0.9, np.float32)
    body[..., 0] = np.linspace(100, 400, 18)
    body[..., 1] = np.linspace(400, 100, 18)
    body[:, JOINT[joint], 2] = confidence
    if place is not None:
        body[:, JOINT[joint], :2] = place
    return Keypoints(body, 512, 512)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(("child", "parent"), CHAIN)
def test_a_visible_child_raises_its_parent(child: str, parent: str, side: str) -> None:
    found = unsure(f"{side}_{parent}", 0.1, frames=15)
    raised = raise_parents(found)
    assert raised.visible(0.3).all()
    np.testing.assert_array_equal(raised.body[..., :2], found.body[..., :2])
    others = np.arange(18) != JOINT[f"{side}_{parent}"]
    np.testing.assert_array_equal(raised.body[:, others], found.body[:, others])


def test_the_forearm_is_drawn() -> None:
    found = unsure("right_elbow", 0.1)
    found.body[0, [JOINT["right_elbow"], JOINT["right_wrist"]], :2] = [[450, 350], [450, 450]]
    assert not draw_skeleton(found)[0, 400, 450].any()
    assert draw_skeleton(raise_parents(found))[0, 400, 450].any()


def test_nothing_hangs_from_a_hidden_child() -> None:
    found = unsure("right_elbow", 0.1)
    found.body[:, JOINT["right_wrist"], 2] = 0.2
    np.testing.assert_array_equal(raise_parents(found).body, found.body)


@pytest.mark.parametrize(
    ("confidence", "place"), [(0.0, None), (0.1, (-3.0, 200.0)), (0.1, (200.0, 512.0)), (0.1, (600.0, 200.0))]
)
def test_nothing_is_invented(confidence: float, place: tuple[float, float] | None) -> None:
    found = unsure("right_elbow", confidence, place)
    np.testing.assert_array_equal(raise_parents(found).body, found.body)


def test_hands_raise_wrists_and_fingers_their_roots() -> None:
    found = unsure("left_wrist", 0.1)
    hands = np.full((1, 2, 21, 3), 0.9, np.float32)
    hands[..., :2] = 250
    hands[0, 0, 6, 2] = 0.1
    raised = raise_parents(Keypoints(found.body, 512, 512, hands))
    assert raised.visible(0.3).all()
    assert raised.hands is not None
    assert (raised.hands[..., 2] > 0.3).all()
