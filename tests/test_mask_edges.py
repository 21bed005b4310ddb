"""Masks go along the edges of their pictures."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.finders.mask_edges import REACH, lay_along_edges
from edit_your_motion.people.finders.region import Region
from edit_your_motion.stage import Pair, render_pair


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_blurred_mask_finds_the_edge_of_a_disc() -> None:
    y, x = np.mgrid[:120, :160]
    disc = (x - 80) ** 2 + (y - 60) ** 2 < 30**2
    frame = np.where(disc[..., None], [200, 40, 40], [40, 60, 200]).astype(np.uint8)
    coarse = gaussian_filter(np.roll(disc, 2, axis=1).astype(np.float32), 2)
    refined = lay_along_edges(frame, coarse, 4.0) > 0.5
    assert iou(coarse > 0.5, disc) < 0.93
    assert iou(refined, disc) > 0.97


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2)])
def test_where_there_is_no_edge_the_mask_stays(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 128, np.uint8)
    np.testing.assert_allclose(lay_along_edges(frame, np.ones(shape, np.float32), 2.0), 1, atol=1e-3)


@pytest.mark.parametrize("place", [(-90.0, 40.0), (30.0, 30.0), (64.0, 200.0)])
def test_a_mask_is_pasted_as_far_as_it_lies_within(place: tuple[float, float]) -> None:
    region = Region(*place, 60.0, 0.3)
    window, soft = region.spread(np.ones((16, 16)), 64, 64, 3)
    assert soft.shape == np.zeros((64, 64))[window].shape
    np.testing.assert_array_equal(region.paste(np.ones((16, 16)), 64, 64)[window], soft > 0.5)


def test_people_s_masks_come_nearer_to_the_truth(people_models: None) -> None:
    clip = render_pair(Pair.sample(901), frames=2, size=(384, 384), fps=2).source
    finder, refined, plain = BlazePose(), [], []
    for frame, truth in zip(clip.frames, clip.masks, strict=True):
        reading = finder.read_people(frame, [])[0]
        (person,) = finder.detect(frame[None])[0][:1]
        assert person.mask is not None
        refined.append(iou(person.mask, truth))
        plain.append(iou(reading.region.paste(reading.mask, 384, 384), truth))
    assert np.mean(refined) > np.mean(plain)
    assert REACH * 384 == 3
