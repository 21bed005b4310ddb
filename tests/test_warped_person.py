"""A person's own pixels in new poses: cut out at the joints, and put together again."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from edit_your_motion.compositing.cutouts import PARTS, measure_height
from edit_your_motion.compositing.warped_person import WarpedPerson
from edit_your_motion.people.keypoints import Keypoints
from flat_figure import PLACE, SIDE, STANDING, film, places, pose

pytestmark = pytest.mark.law


BACK = {0: None, 14: None, 15: None}
"""A head that is seen from behind shows its ears alone."""


def warp(source: Keypoints, wanted: Keypoints) -> WarpedPerson:
    frames, masks, empty = film(source)
    return WarpedPerson.fit(frames, masks, source, empty, wanted)


def near(keypoints: Keypoints, bone: tuple[int, int], away: float) -> np.ndarray:
    """Where in the frames is no farther from a bone than so many pixels."""
    across, down = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    within = np.zeros((len(keypoints), SIDE, SIDE), bool)
    for mask, body in zip(within, keypoints.body[..., :2], strict=True):
        for share in np.linspace(0, 1, 60):
            x, y = body[bone[0]] + share * (body[bone[1]] - body[bone[0]])
            mask |= np.hypot(across - x, down - y) < away
    return within


def test_the_same_pose_elsewhere_is_the_same_picture_elsewhere() -> None:
    frames, masks, empty = film(pose({}))
    warped, shares = WarpedPerson.fit(frames, masks, pose({}), empty, pose({}, x=65, y=12)).over(empty, (10, 10))
    moved = np.roll(frames, (12, -15), axis=(1, 2))
    inside = np.roll(masks, (12, -15), axis=(1, 2))
    off = np.abs(warped.astype(int) - moved).max(axis=-1)
    assert (off[inside] <= 1).mean() > 0.9, "its own pixels, but for the soft edge"
    assert (warped[~inside] == PLACE).all()
    np.testing.assert_allclose(float(shares.mean()), inside.mean(), rtol=0.1)


def test_the_edit_takes_over_what_is_shown_and_keeps_what_is_not() -> None:
    frames, masks, empty = film(pose({}))
    warped = WarpedPerson.fit(frames, masks, pose({}), empty, pose({}, x=65))
    edited = np.full_like(frames, 200)
    refined = warped.refine(edited, empty)
    inside = np.roll(masks, -15, axis=2)
    assert (np.abs(refined.astype(int) - np.roll(frames, -15, axis=2)).max(axis=-1)[inside] <= 2).mean() > 0.9
    about = np.zeros_like(masks)
    about[:, 10:135, 30:100] = True
    beside = about & ~inside
    assert (refined[beside] == PLACE).mean() > 0.9, "where the source shows that nobody is, nothing generated is left"
    assert (refined[:, :, 140:] == 200).all()


def test_a_wrongly_made_up_place_beside_the_head_is_no_hair() -> None:
    """Of a picture nobody knows what is behind the person: a rim of the place that differs from the guess stays
    where it was, and hair that the mask has missed, which differs from what stands beside it too, goes along."""
    frames, masks, empty = film(pose({}))
    rows, columns = np.ogrid[:SIDE, :SIDE]
    about = np.hypot(columns - 80, rows - 22)
    rim = ~masks[0] & (about < 16) & (rows < 30)
    guess = empty.copy()
    guess[0, rim] = (200, 200, 210)
    hair = rim & (rows < 20) & (columns > 74) & (columns < 86) & (about < 13)
    frames[0, hair] = (250, 160, 0)
    warped = WarpedPerson.fit(frames, masks, pose({}), guess, pose({}, x=65))
    elsewhere = np.full_like(empty, 120)
    drawn, _ = warped.over(elsewhere, (10, 10))
    moved, moved_hair = (np.roll(each, -15, axis=1) for each in (rim, hair))
    aside = moved & ~np.roll(binary_dilation(masks[0] | hair, iterations=2), -15, axis=1)
    assert aside.sum() > 50
    assert (drawn[0][aside] == 120).all()
    assert (np.abs(drawn[0][moved_hair].astype(int) - (250, 160, 0)).max(axis=-1) < 20).mean() > 0.6


def test_a_limb_is_turned_and_stretched_with_its_bone() -> None:
    frames, masks, empty = film(pose({}))
    raised = pose({6: (33, 40), 7: (53, 40)})
    warped, _ = WarpedPerson.fit(frames, masks, pose({}), empty, raised).over(empty, (10, 10))
    shoulder, elbow, before = np.array([93, 40]), np.array([113, 40]), np.array([102, 58])
    for share in (0.3, 0.5, 0.7):
        x, y = shoulder + share * (elbow - shoulder)
        from_there = warped[0, int(y), int(x), :2].astype(float) - 90
        np.testing.assert_allclose(from_there, shoulder + share * (before - shoulder), atol=1.5)
        np.testing.assert_allclose(warped[0, int(y) + 15, int(x)], PLACE, err_msg="where the arm was")


def test_a_back_is_no_face() -> None:
    warped = warp(pose({}), pose(BACK))
    assert (warped.trusted[1] <= 0).all()
    edited = np.full((1, SIDE, SIDE, 3), 200, np.uint8)
    head = warped.refine(edited, places(1))[0, 15:25, 75:85]
    assert (head == 200).all()


def test_sampling_begins_a_back_with_the_hair_about_the_face() -> None:
    frames, masks, empty = film(pose({}))
    hair = masks[0] & (np.arange(SIDE)[:, None] < 18)
    frames[0, hair] = (60, 30, 10)
    turned = {**BACK, 16: (6, 21), 17: (-6, 21)}
    warped = WarpedPerson.fit(frames, masks, pose({}), empty, pose(turned))
    drawn, shares = warped.over(empty, (10, 10))
    assert shares.sum() > 0
    np.testing.assert_allclose(drawn[0, 22, 80], (60, 30, 10), atol=2)
    assert warped.trusted[1, 0] == 0, "the edit keeps what is generated"
    front = WarpedPerson.fit(frames, masks, pose({}), empty, pose({})).over(empty, (10, 10))[0]
    np.testing.assert_allclose(front[0, 22, 80], frames[0, 22, 80], atol=2, err_msg="a face stays one")


def test_a_back_is_shown_by_a_back_and_a_face_is_not() -> None:
    source = pose(BACK)
    frames, masks, empty = film(source)
    masks[0] |= film(pose({}))[1][0]
    frames[masks] = (60, 30, 10)
    assert WarpedPerson.fit(frames, masks, source, empty, pose(BACK)).trusted[1, 0] == 1
    assert WarpedPerson.fit(frames, masks, source, empty, pose({})).trusted[1, 0] == -1


def test_a_trunk_turned_round_is_not_trusted() -> None:
    turned = {joint: (-x, y) for joint, (x, y) in STANDING.items() if joint in {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}}
    assert warp(pose({}), pose({})).trusted[0, 0] == 1
    assert warp(pose({}), pose(turned)).trusted[0, 0] < 0.1


def test_what_stands_before_a_limb_in_one_frame_is_not_taken() -> None:
    source = pose({}, {}, {}, {})
    frames, masks, empty = film(source)
    frames[0, 104:128, 64:80] = (255, 0, 0)  # a ball before the right shin
    warped = WarpedPerson.fit(frames, masks, source, empty, pose({}))
    assert PARTS[3].joints == (9, 10)
    assert warped.chosen[3, 0] != 0


def test_an_arm_before_the_body_is_taken_from_where_it_is_free() -> None:
    folded = {6: (16, 56), 7: (-4, 60)}
    warped = warp(pose(folded, {}), pose(folded))
    assert PARTS[9].joints == (6, 7)
    assert warped.chosen[9, 0] == 1


def test_parts_do_not_change_their_frame_for_little() -> None:
    nearly = [{7: (30 + 0.2 * (index % 2), 74)} for index in range(6)]
    warped = warp(pose(*nearly), pose(*nearly))
    assert (warped.chosen == warped.chosen[:, :1]).all()


@pytest.mark.parametrize(("x", "seen"), [(-60, False), (0, True), (SIDE, True), (SIDE + 60, False)])
def test_a_body_at_the_border_or_beyond(x: float, seen: bool) -> None:
    warped = warp(pose({}), pose({}, x=x))
    frames, shares = warped.over(places(1), (10, 10))
    assert frames.shape == (1, SIDE, SIDE, 3)
    assert bool(shares.sum() > 0) == seen


def test_nobody_changes_nothing() -> None:
    nobody = pose({})
    nobody.body[..., 2] = 0
    edited = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    for source, wanted in ((nobody, pose({})), (pose({}), nobody)):
        warped = warp(source, wanted)
        assert np.array_equal(warped.refine(edited, places(1)), edited)
        assert np.array_equal(warped.over(edited, (10, 10))[0], edited)


def test_hair_that_the_mask_misses_comes_along_and_the_shadow_does_not() -> None:
    frames, masks, empty = film(pose({}))
    frames[0, 9:13, 76:84] = (20, 10, 10)
    frames[0, 133:136, 66:74] = PLACE // 3
    warped, _ = WarpedPerson.fit(frames, masks, pose({}), empty, pose({}, x=65)).over(empty, (10, 10))
    np.testing.assert_allclose(warped[0, 11, 65].astype(int), (20, 10, 10), atol=2)
    np.testing.assert_array_equal(warped[0, 134, 54], PLACE)


def test_the_height_of_a_body() -> None:
    assert 95 < measure_height(pose({})) < 125
    np.testing.assert_allclose(measure_height(pose({}).mapped(np.array([2.0, 2.0]), np.zeros(2), 320, 320)),
                               2 * measure_height(pose({})))  # fmt: skip


def test_an_arm_lies_over_what_it_crosses_and_the_place_does_not_show_between() -> None:
    source, crossing = pose({}), {6: (20, 46), 7: (0, 52)}
    frames, masks, empty = film(source)
    arm = near(source, (6, 7), 6) & ~near(source, (6, 7), 1.6)
    frames[arm], masks[arm] = PLACE, False
    warped, _ = WarpedPerson.fit(frames, masks, source, empty, pose(crossing)).over(places(1), (10, 10))
    trunk = warped[0, 43:60, 81:86].reshape(-1, 3)
    assert (trunk[:, 2] > 150).all(), "above and below the arm is the trunk, and not the place"
    wrist = warped[0, 51, 82].astype(int) - 90
    assert np.hypot(wrist[0] - 109, wrist[1] - 73) < 6, "where the arm is, it is seen"


@pytest.mark.parametrize("side", [-1, 1])
def test_the_outer_side_of_a_bent_knee_is_round(side: int) -> None:
    bent = {9: (-9, 102), 10: (-9 + 26 * side, 102)}
    frames, masks, empty = film(pose({}))
    wide = near(pose({}), (8, 9), 8) | near(pose({}), (9, 10), 8)
    frames[wide], masks = (90, 180, 200), masks | wide
    warped, _ = WarpedPerson.fit(frames, masks, pose({}), empty, pose(bent)).over(empty, (10, 10))
    somebody = (warped[0] != PLACE).any(axis=-1)
    knee = np.array([71, 102])
    for angle in np.linspace(0.1, np.pi / 2 - 0.1, 7):
        way = np.array([-side * np.cos(angle), np.sin(angle)])
        within, beyond = (np.floor(knee + way * away).astype(int) for away in (6.5, 10.5))
        assert somebody[within[1], within[0]], "no gap where neither limb is"
        assert not somebody[beyond[1], beyond[0]], "no corner, and the thigh does not go on below the knee"


def test_the_place_does_not_come_along_as_a_rim() -> None:
    frames, masks, empty = film(pose({}))
    frames[masks], empty[:] = (20, 20, 20), 240
    share = np.clip(gaussian_filter(masks[0].astype(float), 1.0), 0, 1)[..., None]
    frames[0] = np.rint(share * 20 + (1 - share) * 240)
    dark = np.full_like(empty, 40)
    warped = WarpedPerson.fit(frames, masks, pose({}), empty, pose({}, x=65))
    warped.draw_over(0, dark[0])
    assert dark.max() <= 60, "nothing bright about somebody dark before something dark"


def test_what_the_mask_clips_of_an_arm_comes_along() -> None:
    source = pose({})
    frames, masks, empty = film(source)
    clipped = masks & ~np.roll(masks, 1, axis=2)
    clipped[0, :, :95] = False
    known = masks & ~clipped
    assert (masks & ~known).sum() > 20
    whole, _ = WarpedPerson.fit(frames, masks, source, empty, pose({}, x=65)).over(empty, (10, 10))
    mended, _ = WarpedPerson.fit(frames, known, source, empty, pose({}, x=65)).over(empty, (10, 10))
    lost = np.roll(masks & ~known, -15, axis=2)
    assert ((mended != PLACE).any(axis=-1) & lost).sum() > 0.8 * ((whole != PLACE).any(axis=-1) & lost).sum()


def test_a_hand_is_taken_from_where_it_holds_nothing() -> None:
    source = pose(*[{}] * 8)
    frames, masks, empty = film(source)
    frames[masks] = (200, 150, 120)
    ball = masks & (np.arange(SIDE)[:, None] > 75) & (np.arange(SIDE) > 104)
    ball[6:] = False
    assert ball.sum() > 100
    frames[ball] = (230, 90, 20)
    warped = WarpedPerson.fit(frames, masks, source, empty, pose({}))
    assert PARTS[9].joints == (6, 7)
    assert warped.chosen[9, 0] >= 6, "though it holds something in most frames"
