"""Parts of a body that something covers in one frame, completed from the others."""

import numpy as np
import pytest

from edit_your_motion.compositing.cutouts import PARTS, Cutout, measure_height
from edit_your_motion.compositing.part_pictures import PartPicture
from edit_your_motion.compositing.warped_person import WarpedPerson
from flat_figure import film, places, pose

pytestmark = pytest.mark.law

TRUNK, RIGHT_THIGH = 0, 2
SHIRT, SLEEVE, BALL = (200, 40, 40), (40, 40, 200), (250, 250, 250)
FOLDED = {6: (10, 62), 7: (-10, 62)}
"""A forearm across the belly."""


def cut(changes: list[dict], paint: list[tuple[slice, slice, tuple[int, int, int]]] | None = None) -> list[Cutout]:
    """Cutouts of somebody in a shirt whose left arm has another colour; and what stands before them in the first."""
    keypoints = pose(*changes)
    frames, masks, empty = film(keypoints)
    across, down = np.meshgrid(np.arange(frames.shape[2]) + 0.5, np.arange(frames.shape[1]) + 0.5)
    for frame, mask, body in zip(frames, masks, keypoints.body, strict=True):
        inside = (np.abs(across - 80) < 12) & (down > 40) & (down < 76)
        mask |= inside
        frame[mask] = SHIRT
        for share in np.linspace(0, 1, 30):
            x, y = body[6, :2] + share * (body[7, :2] - body[6, :2])
            arm = np.hypot(across - x, down - y) < 4
            frame[arm], mask[arm] = SLEEVE, True
    for rows, columns, colour in paint or []:
        frames[0, rows, columns], masks[0, rows, columns] = colour, True
    height = measure_height(keypoints)
    joints = keypoints.body.astype(np.float64)
    made_up = np.zeros_like(masks)
    return [Cutout.cut(*each, height) for each in zip(frames, masks, empty, made_up, joints, strict=True)]


def look(picture: PartPicture, x: float, y: float) -> tuple[np.ndarray, float, float]:
    """Colours and matte at a place, whether it is the part's, and whether it is guessed."""
    pixels, shown, guessed = picture.sample(np.float32([x]), np.float32([y]))
    return pixels[0], float(shown[0]), float(guessed[0])


def test_the_trunk_behind_an_arm_is_taken_from_frames_that_see_it() -> None:
    cutouts = cut([FOLDED, {}, {}])
    before = cutouts[0].sample(TRUNK, np.float32([80]), np.float32([62]))
    assert before[1][0] == 0, "the arm stands there"
    pixels, shown, guessed = look(PartPicture.complete(TRUNK, cutouts[0], cutouts), 80, 62)
    np.testing.assert_allclose(pixels, (*SHIRT, 255), atol=1)
    assert (shown, guessed) == (1, 0)


def test_what_no_frame_shows_is_guessed_and_said_to_be() -> None:
    cutouts = cut([FOLDED])
    pixels, shown, guessed = look(PartPicture.complete(TRUNK, cutouts[0], cutouts), 80, 62)
    np.testing.assert_allclose(pixels, (*SHIRT, 255), atol=1)
    assert (shown, guessed) == (1, 1)


def test_the_edit_keeps_what_is_generated_where_a_part_is_guessed() -> None:
    keypoints = pose(FOLDED)
    frames, masks, empty = film(keypoints)
    masks[0, 40:76, 68:92] = True
    frames[masks] = SHIRT
    warped = WarpedPerson.fit(frames, masks, keypoints, empty, pose({}))
    drawn, _ = warped.over(places(1), (10, 10))
    np.testing.assert_allclose(drawn[0, 62, 80], SHIRT, atol=2, err_msg="sampling begins with the guess")
    edited = np.full_like(frames, 130)
    refined = warped.refine(edited, places(1))
    np.testing.assert_allclose(refined[0, 62, 80], 130, atol=3)
    np.testing.assert_allclose(refined[0, 48, 80], SHIRT, atol=3, err_msg="what is shown lies over the edit")


def test_a_ball_before_a_thigh_in_one_frame_is_none_of_it() -> None:
    ball = (slice(82, 98), slice(64, 80), BALL)
    cutouts = cut([{}, {}, {}, {}], [ball])
    assert PARTS[RIGHT_THIGH].joints == (8, 9)
    held, *_ = look(PartPicture.complete(RIGHT_THIGH, cutouts[0], cutouts), 72, 90)
    np.testing.assert_allclose(held[:3], SHIRT, atol=1)


@pytest.mark.parametrize("frames", [1, 3])
def test_fewer_than_three_others_overrule_nothing(frames: int) -> None:
    cutouts = cut([{}] * frames, [(slice(82, 98), slice(64, 80), BALL)])
    kept, *_ = look(PartPicture.complete(RIGHT_THIGH, cutouts[0], cutouts), 72, 90)
    np.testing.assert_allclose(kept[:3], BALL, atol=1)


def test_braces_that_lie_a_little_elsewhere_are_kept() -> None:
    cutouts = cut([{}, {}, {}, {}], [(slice(44, 72), slice(78, 81), BALL)])
    brace, *_ = look(PartPicture.complete(TRUNK, cutouts[0], cutouts), 79, 58)
    np.testing.assert_allclose(brace[:3], BALL, atol=1)


def test_a_leg_that_was_close_is_no_part_of_the_other() -> None:
    together = {11: (2, 76), 12: (2, 102), 13: (2, 128)}
    apart = {11: (14, 76), 12: (30, 102), 13: (40, 128)}
    cutouts = cut([together, apart, apart, apart])
    close = cutouts[0].sample(RIGHT_THIGH, np.float32([79.5]), np.float32([84]))
    assert close[0][0, 3] == 255, "the other leg is within reach"
    assert close[1][0] == 1
    pixels, shown, _ = look(PartPicture.complete(RIGHT_THIGH, cutouts[0], cutouts), 79.5, 84)
    assert pixels[3] == 0
    assert shown == 1, "where others show that nobody is, it is known"


def test_a_head_is_taken_as_it_is() -> None:
    cutouts = cut([{}, {}, {}, {}], [(slice(18, 26), slice(76, 84), BALL)])
    face, *_ = look(PartPicture.complete(1, cutouts[0], cutouts), 80, 22)
    np.testing.assert_allclose(face[:3], BALL, atol=1)
