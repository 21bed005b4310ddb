"""Holes filled by what stands around them: smoothly, and by pieces that go on as the picture does."""

from itertools import product

import numpy as np
import pytest

from edit_your_motion.compositing.inpainting import _put_together, fill_smoothly, fill_with_pieces
from edit_your_motion.compositing.shift_map import _Seams, assign_shifts, find_shifts

SIDE = 100


def hole_in(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    hole[rows, columns] = True
    return hole


def windows(height: int, width: int, period: int) -> np.ndarray:
    """A front of windows, the same again and again."""
    y, x = np.mgrid[:height, :width] % period
    pane = (y > period // 4) & (x > period // 3)
    return np.where(pane[..., None], [40.0, 60, 90], [180, 160, 140])


def grass(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(120, 30, (height, width, 3)).clip(0, 255)


def test_holes_become_as_smooth_as_their_rim() -> None:
    ramp = np.repeat(np.linspace(0, 255, SIDE)[None, :, None], SIDE, axis=0).repeat(3, axis=2)
    hole = hole_in(SIDE, SIDE, slice(30, 60), slice(30, 60))
    np.testing.assert_allclose(fill_smoothly(np.where(hole[..., None], 0, ramp), hole), ramp, atol=1e-6)


def test_pieces_carry_on_an_edge_that_smoothness_would_blur() -> None:
    wall = np.where(np.arange(SIDE)[:, None, None] < 50, [200.0, 180, 160], [60, 70, 80]) * np.ones((SIDE, SIDE, 1))
    hole = hole_in(SIDE, SIDE, slice(25, 80), slice(40, 60))
    damaged = np.where(hole[..., None], 0, wall)
    assert np.abs(fill_smoothly(damaged, hole) - wall)[hole].mean() > 6
    filled = fill_with_pieces(damaged, hole)
    assert np.abs(filled - wall)[hole].mean() < 0.5
    np.testing.assert_array_equal(filled[~hole], wall[~hole])


@pytest.mark.parametrize(("height", "width", "period"), [(120, 150, 20), (400, 300, 37), (210, 900, 45)])
def test_what_repeats_goes_on_to_the_pixel(height: int, width: int, period: int) -> None:
    front = windows(height, width, period)
    hole = hole_in(height, width, slice(height // 4, 3 * height // 4), slice(width // 3, width // 2))
    filled = fill_with_pieces(np.where(hole[..., None], 0, front), hole)
    assert (np.abs(filled - front)[hole].max(axis=-1) > 10).mean() < 0.02


def test_texture_stays_as_rough_as_it_is_around() -> None:
    lawn = grass(260, 260)
    hole = hole_in(260, 260, slice(60, 220), slice(90, 170))
    filled = fill_with_pieces(np.where(hole[..., None], 0, lawn), hole)
    rough = [np.abs(np.diff(picture, axis=1))[60:220, 91:170].mean() for picture in (filled, lawn)]
    assert rough[0] > 0.9 * rough[1]


def test_no_seam_remains_where_the_light_changes() -> None:
    light = np.linspace(100, 150, 200)[None, :, None] * np.ones((200, 1, 3))
    hole = hole_in(200, 200, slice(50, 150), slice(70, 130))
    filled = fill_with_pieces(np.where(hole[..., None], 0, light), hole)
    assert np.abs(np.diff(filled, axis=1)).max() < 3
    assert np.abs(np.diff(filled, axis=0)).max() < 3


@pytest.mark.parametrize(("apart", "kept"), [(120.0, 120.0), (10.0, 0.0)])
def test_pieces_that_differ_much_keep_an_edge_and_others_none(apart: float, kept: float) -> None:
    wall = np.where(np.arange(60)[None, :, None] < 30, 60, 60 + apart) * np.ones((40, 1, 3))
    hole = hole_in(40, 60, slice(10, 30), slice(20, 40))
    pieces = np.where(hole, np.where(np.arange(60) < 30, 1, 2), 0)
    filled = _put_together(wall, hole, pieces, np.array([(0, 0), (0, -18), (0, 18)]))
    assert np.abs(filled[20, 30] - filled[20, 29]).mean() == pytest.approx(kept, abs=2)


@pytest.mark.parametrize("shape", [(8, 8), (9, 40), (37, 50), (20, 120)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_any_picture_with_any_hole_is_filled(shape: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(1)
    picture = grass(*shape)
    hole = rng.uniform(size=shape) < share
    hole[: shape[0] // 2, -shape[1] // 3 :] = True  # nothing can be brought to some of it
    hole[-1, 0] = False
    filled = fill_with_pieces(np.where(hole[..., None], np.nan, picture).copy(), hole)
    assert np.isfinite(filled).all()
    assert filled.min() >= 0
    assert filled.max() <= 255
    np.testing.assert_array_equal(filled[~hole], picture[~hole])


def test_where_all_or_nothing_is_missing_there_is_no_piece() -> None:
    picture = grass(40, 40)
    np.testing.assert_array_equal(fill_with_pieces(picture, np.zeros((40, 40), bool)), picture)
    assert (fill_with_pieces(picture, np.ones((40, 40), bool)) == 127.5).all()


def test_of_two_shifts_the_cut_takes_what_is_cheapest_of_all() -> None:
    picture = grass(12, 12)
    hole = hole_in(12, 12, slice(4, 7), slice(4, 8))
    shifts = np.array([(0, 4), (-4, 0)])
    seams = _Seams(picture, hole, shifts)
    cheapest = min(seams.price(np.array(choice)) for choice in product((0, 1), repeat=int(hole.sum())))
    chosen = assign_shifts(picture, hole, shifts)
    assert seams.price(chosen[hole]) == pytest.approx(cheapest, rel=1e-4)
    assert (chosen[~hole] == -1).all()


def test_every_pixel_has_a_choice_and_what_repeats_is_among_it() -> None:
    front = windows(100, 100, 20)
    hole = hole_in(100, 100, slice(10, 90), slice(35, 75))
    shifts = find_shifts(fill_smoothly(front, hole), hole)
    there = np.argwhere(hole)[:, None] + shifts
    inside = ((there >= 0) & (there < 100)).all(axis=-1)
    known = inside & ~hole[tuple(np.moveaxis(there.clip(0, 99), -1, 0))]
    assert (known.sum(axis=1) >= 2).all()
    assert (np.abs(shifts[:10]) % 20 == 0).all()
