"""Where the points of a bent joint come from."""

import numpy as np
import pytest

from edit_your_motion.compositing.cutouts import PARTS
from edit_your_motion.compositing.part_maps import Bend
from flat_figure import pose

THIGH, SHIN = PARTS[2], PARTS[3]
STRAIGHT = {8: (-8, 76), 9: (-8, 102), 10: (-8, 128)}


def bend(wanted: dict, there: dict, scale: float = 1.0) -> Bend | None:
    return Bend.between(THIGH, SHIN, pose(wanted).body[0].astype(float), pose(there).body[0].astype(float), scale)


def fan(joint: Bend, x: float, y: float, reach: float = 50.0) -> tuple[float, float, float]:
    """The spot that a point comes from, (-1, -1) where it is not moved, and how much of the point is left."""
    spots = np.full(1, -1, np.float32), np.full(1, -1, np.float32)
    left = joint.fan_out(np.float32([x]), np.float32([y]), spots, reach)
    return float(spots[0][0]), float(spots[1][0]), float(left[0])


def test_a_straight_joint_or_one_that_is_not_seen_is_no_bend() -> None:
    assert bend(STRAIGHT, STRAIGHT) is None
    assert bend(STRAIGHT | {10: (10, 110)}, STRAIGHT | {10: None}) is None


@pytest.mark.parametrize("side", [-1, 1])
def test_the_outer_side_comes_from_across_the_joint_as_far_off(side: int) -> None:
    joint = bend(STRAIGHT | {10: (-8 + 26 * side, 102)}, STRAIGHT, scale=2.0)
    assert joint is not None
    for angle in (0.1, 0.8, 1.4):
        x, y, left = fan(joint, 72 - 6 * side * np.cos(angle), 102 + 6 * np.sin(angle))
        np.testing.assert_allclose((x, y, left), (72 - 3 * side, 102, 1), atol=1e-3)


def test_what_a_limb_shows_itself_is_not_moved() -> None:
    joint = bend(STRAIGHT | {10: (18, 102)}, STRAIGHT)
    assert joint is not None
    for x, y in ((72, 90), (66, 90), (90, 102), (90, 108), (78, 96)):
        assert fan(joint, x, y) == (-1, -1, 1)


def test_a_joint_that_is_bent_alike_is_itself() -> None:
    bent = STRAIGHT | {10: (10, 120)}
    joint = bend(bent, bent)
    assert joint is not None
    for angle in np.linspace(0.75 * np.pi, np.pi, 5)[1:-1]:
        spot = 72 + 5 * np.cos(angle), 102 + 5 * np.sin(angle)
        np.testing.assert_allclose(fan(joint, *spot), (*spot, 1), atol=1e-3)


def test_beyond_what_the_limb_is_broad_nothing_is_its_own() -> None:
    joint = bend(STRAIGHT | {10: (18, 102)}, STRAIGHT)
    assert joint is not None
    corner = 72 - 8 * 0.7, 102 + 8 * 0.7
    assert fan(joint, *corner, reach=5.0)[2] == 0
    assert fan(joint, *corner, reach=9.0)[2] == 1
    assert fan(joint, 64, 101, reach=5.0)[2] == 0, "nor beside the thigh's end, on that side"
    assert fan(joint, 64, 80, reach=5.0)[2] == 1
