"""Cloth between the legs: when it is told, and where it hangs in a new pose."""

import numpy as np
import pytest

from edit_your_motion.compositing.cutouts import Cutout, measure_height
from edit_your_motion.compositing.skirts import find_skirt, weigh_other_leg
from edit_your_motion.compositing.warped_person import WarpedPerson
from edit_your_motion.people.keypoints import Keypoints
from flat_figure import PLACE, SIDE, film, pose

pytestmark = pytest.mark.law

STRADDLED = {9: (-24, 102), 10: (-30, 128), 12: (24, 102), 13: (30, 128)}
"""Legs so far apart that the place is seen between trousers."""


def dress(keypoints: Keypoints, hem: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frames, masks and place of somebody in a skirt that ends so far down the thighs (1) or the shins (2)."""
    frames, masks, empty = film(keypoints)
    rows, columns = np.indices((SIDE, SIDE)) + 0.5
    for mask, body in zip(masks, keypoints.body[..., :2], strict=True):
        for (left, right), share in (((11, 8), min(hem, 1)), ((12, 9), hem - 1)):
            for part in np.linspace(0, max(share, 0), 60):
                one, other = (body[joint] + part * (body[joint + 1] - body[joint]) for joint in (left, right))
                middle = 0.5 * (one + other)
                mask |= (np.abs(rows - middle[1]) < 1) & (np.abs(columns - middle[0]) < abs(one[0] - other[0]) / 2 + 5)
    frames[masks] = (150, 40, 160)
    return frames, masks, empty


def cut(keypoints: Keypoints, hem: float) -> list[Cutout]:
    height, joints = measure_height(keypoints), keypoints.body.astype(np.float64)
    clip = zip(*dress(keypoints, hem), joints, strict=True)
    return [Cutout.cut(frame, mask, empty, np.zeros_like(mask), body, height) for frame, mask, empty, body in clip]


@pytest.mark.parametrize(
    ("hem", "joined"), [(0.0, {}), (0.3, {}), (1.0, {2: 4, 4: 2}), (1.9, {2: 4, 4: 2, 3: 5, 5: 3})]
)
def test_a_skirt_is_what_covers_the_place_between_legs(hem: float, joined: dict[int, int]) -> None:
    assert find_skirt(cut(pose(STRADDLED, STRADDLED), hem)) == joined


def test_of_legs_that_are_never_apart_nothing_is_told() -> None:
    together = {8: (-4, 76), 9: (-4, 102), 10: (-4, 128), 11: (4, 76), 12: (4, 102), 13: (4, 128)}
    assert find_skirt(cut(pose(together), 1.0)) == {}


def test_a_skirt_stays_in_one_piece_where_the_legs_part() -> None:
    source = pose(STRADDLED)
    frames, masks, empty = dress(source, 1.0)
    wanted = pose(STRADDLED | {9: (-30, 98), 12: (30, 98)})
    warped, _ = WarpedPerson.fit(frames, masks, source, empty, wanted).over(empty, (10, 10))
    for share in (0.3, 0.6, 0.85):
        row, reach = int(76 + share * 22), int(8 + share * 22)
        covered = (warped[0, row, 80 - reach : 80 + reach] != PLACE).any(axis=-1)
        assert covered.mean() > 0.95, "no gap between the thighs"
    trousers, hose, place = film(source)
    parted, _ = WarpedPerson.fit(trousers, hose, source, place, wanted).over(place, (10, 10))
    assert (parted[0, 94, 74:86] == PLACE).all(), "and trousers do not become one"


def test_cloth_goes_with_a_leg_on_it_and_outside_and_halfway_in_the_middle() -> None:
    joints = pose({}).body[0].astype(np.float64)
    x = np.float32([60, 72, 80, 88, 100])
    share = weigh_other_leg(joints, ((8, 9), (11, 12)), 2.0, x, np.full(5, 90, np.float32))
    np.testing.assert_allclose(share, [0, 0, 0.5, 1, 1], atol=0.02)
