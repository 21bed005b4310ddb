"""The kept background: the source where nobody stands, the edit where somebody does, and no seam between."""

import numpy as np
import pytest

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.sampling.kept_background import FEATHER, find_reach, keep_background

SIDE = 128


def standing_at(x: float | int, frames: int = 2) -> Keypoints:
    """An upright figure of 60 pixels whose joints lie on one vertical line."""
    body = np.zeros((frames, 18, 3), np.float32)
    body[..., 0] = x
    body[..., 1] = np.linspace(40, 100, 18)
    body[..., 2] = 1
    return Keypoints(body=body, height=SIDE, width=SIDE)


def column(x: int, breadth: int, frames: int = 2) -> np.ndarray:
    mask = np.zeros((frames, SIDE, SIDE), bool)
    mask[:, 36:104, x - breadth : x + breadth] = True
    return mask


@pytest.fixture
def kept() -> np.ndarray:
    """White generated frames over a black source; the person went from x = 30 to x = 90."""
    edited, source = np.full((2, SIDE, SIDE, 3), 255, np.uint8), np.zeros((2, SIDE, SIDE, 3), np.uint8)
    return keep_background(edited, source, column(30, 8), standing_at(30), standing_at(90))


def test_the_source_stays_where_nobody_stands(kept: np.ndarray) -> None:
    assert not kept[:, :20].any()
    assert not kept[:, :, 54:70].any()
    assert not kept[:, :, 112:].any()


def test_both_places_of_the_person_are_generated(kept: np.ndarray) -> None:
    assert (kept[:, 40:100, 22:38] == 255).all(), "what the person left"
    assert (kept[:, 45:95, 83:97] == 255).all(), "where the person is now"


def test_the_passage_has_no_step(kept: np.ndarray) -> None:
    steps = np.abs(np.diff(kept[0, 70, :, 0].astype(int)))
    assert 0 < steps.max() <= 255 / (FEATHER * SIDE) + 1


def test_the_reach_is_the_body_s_own() -> None:
    assert find_reach(column(30, 8), standing_at(30)) == pytest.approx(7, abs=1.5)
    assert find_reach(column(30, 16), standing_at(30)) > find_reach(column(30, 8), standing_at(30))
    assert find_reach(np.zeros((2, SIDE, SIDE), bool), standing_at(30)) == 0


@pytest.mark.parametrize("frames", [1, 2])
def test_masks_that_show_nobody_count_as_none(frames: int) -> None:
    """A finder may follow a body whose pixels it cannot tell from the place's."""
    edited, source = np.full((frames, SIDE, SIDE, 3), 255, np.uint8), np.zeros((frames, SIDE, SIDE, 3), np.uint8)
    given = (edited, source, column(30, 8, frames), standing_at(30, frames), standing_at(90, frames))
    nobody = np.zeros((frames, SIDE, SIDE), bool)
    np.testing.assert_array_equal(keep_background(*given, nobody), keep_background(*given))


def test_frames_without_a_skeleton_keep_what_the_person_left() -> None:
    nobody = standing_at(90)
    nobody.body[..., 2] = 0
    edited, source = np.full((2, SIDE, SIDE, 3), 255, np.uint8), np.zeros((2, SIDE, SIDE, 3), np.uint8)
    kept = keep_background(edited, source, column(30, 8), standing_at(30), nobody)
    assert (kept[:, 40:100, 22:38] == 255).all()
    assert not kept[:, :, 60:].any()


def test_where_the_edited_person_is_found_the_source_comes_nearer() -> None:
    edited, source = np.full((2, SIDE, SIDE, 3), 255, np.uint8), np.zeros((2, SIDE, SIDE, 3), np.uint8)
    found = column(90, 4)
    found[1] = False
    kept = keep_background(edited, source, column(30, 12), standing_at(30), standing_at(90), found)
    assert (kept[0, 45:95, 86:94] == 255).all(), "the person"
    assert not kept[0, 45:95, 101:].any(), "what its old reach would have kept"
    assert (kept[1, 45:95, 83:97] == 255).all(), "nobody is found there, so the reach decides"
    assert (kept[:, 40:100, 22:38] == 255).all(), "what the person left"


def test_a_limb_that_the_mask_lacks_stays() -> None:
    edited, source = np.full((2, SIDE, SIDE, 3), 255, np.uint8), np.zeros((2, SIDE, SIDE, 3), np.uint8)
    found = column(90, 4)
    found[:, 70:] = False
    kept = keep_background(edited, source, column(30, 12), standing_at(30), standing_at(90), found)
    assert (kept[:, 75:95, 89:92] == 255).all()
