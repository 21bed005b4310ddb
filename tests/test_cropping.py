"""Crops keep the person, wherever in the picture they are, and say where they cannot."""

import numpy as np
import pytest

from edit_your_motion.people.cropping import crop_around, touches_cut, uncut
from edit_your_motion.people.frame_mapping import fit_masks
from edit_your_motion.video import Fit


def person(height: int, width: int, top: int, left: int, tall: int, wide: int) -> np.ndarray:
    masks = np.zeros((1, height, width), bool)
    masks[0, top : top + tall, left : left + wide] = True
    return masks


def crop(masks: np.ndarray, fit: Fit) -> np.ndarray:
    return fit_masks(masks, fit)


@pytest.mark.parametrize("left", [0, 30, 90, 200, 280])
def test_the_window_goes_where_the_person_is(left: int) -> None:
    masks = person(180, 320, 20, left, 140, 40)
    fit = crop_around(masks, Fit(180, 180))
    cropped = crop(masks, fit)
    assert cropped.sum() == masks.sum()
    x = np.flatnonzero(cropped[0].any(axis=0))
    middle = (x[0] + x[-1] + 1) / 2
    if 70 <= left + 20 <= 250:
        assert middle == pytest.approx(90, abs=1)
    assert not touches_cut(cropped, 180, 320, fit).any() or left in (0, 280)


@pytest.mark.parametrize("top", [0, 40, 120])
def test_upright_pictures_too(top: int) -> None:
    masks = person(192, 128, top, 30, 70, 40)
    assert crop(masks, crop_around(masks, Fit(64, 64))).sum() == pytest.approx(masks.sum() / 4, rel=0.1)


def test_one_window_holds_a_walk() -> None:
    """From the left to the middle: the window covers the whole walk, which the middle of the picture does not."""
    masks = np.concatenate([person(100, 300, 10, left, 80, 20) for left in range(0, 80, 10)])
    fit = crop_around(masks, Fit(100, 100))
    assert crop(masks, fit).sum() == masks.sum()
    assert crop(masks, Fit(100, 100)).sum() < masks.sum() / 2


def test_a_person_larger_than_the_window_is_cut_and_said_to_be() -> None:
    masks = person(100, 300, 0, 20, 100, 200)
    fit = crop_around(masks, Fit(100, 100))
    cropped = crop(masks, fit)
    assert cropped.all()
    assert touches_cut(cropped, 100, 300, fit).all()
    assert touches_cut(cropped, 100, 100, Fit(100, 100)).tolist() == [False]


def test_nobody_anywhere_leaves_the_middle() -> None:
    assert crop_around(np.zeros((2, 100, 300), bool), Fit(100, 100)).place == (0.5, 0.5)


@pytest.mark.parametrize(
    ("fit", "expected"),
    [(Fit(64, 64), (64, 114)), (Fit(128, 64), (128, 228)), (Fit(45, 80), (45, 80)), (Fit(64, 64, "pad"), (64, 64))],
)
def test_uncut_has_the_scale_of_the_crop(fit: Fit, expected: tuple[int, int]) -> None:
    whole = uncut(90, 160, fit)
    assert (whole.height, whole.width) == expected
