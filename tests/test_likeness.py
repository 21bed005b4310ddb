"""Scores of whether it is still the same person, and the generator's truth about the parts of a person."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from edit_your_motion.benchmark.paired.likeness import compare_colours, compare_heads
from edit_your_motion.metrics.colour_difference import ciede2000, srgb_to_lab
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.stage import RenderedClip, Scene, render_clip
from edit_your_motion.stage.figure import BODY_PARTS, HAT
from tiny_judges import stub_lpips


def test_colour_differences_are_those_of_an_independent_implementation() -> None:
    first, second = np.random.default_rng(0).uniform([0, -128, -128], [100, 128, 128], (2, 20_000, 3))
    first[:100, 1:] = 0  # greys have no hue
    assert np.allclose(ciede2000(first, second), deltaE_ciede2000(first, second), atol=1e-9)
    assert np.allclose(ciede2000(first, second), ciede2000(second, first), atol=1e-9)


def test_colour_differences_are_the_published_ones() -> None:
    first = [(50, 2.6772, -79.7751), (50, 2.5, 0), (50, 2.5, 0), (2.0776, 0.0795, -1.1350)]
    second = [(50, 0, -82.7485), (50, 0, -2.5), (73, 25, -18), (0.9033, -0.0636, -0.5514)]
    found = ciede2000(np.array(first, float), np.array(second, float))
    assert np.allclose(found, [2.0425, 4.3065, 27.1492, 0.9082], atol=5e-5)


def test_lab_is_that_of_an_independent_implementation() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (1000, 3)).astype(float)
    assert np.abs(srgb_to_lab(colours) - rgb2lab(colours / 255)).max() < 0.01


@pytest.fixture(scope="module")
def dancer() -> RenderedClip:
    return render_clip(Scene.sample(3), frames=2, size=(128, 128))


def test_every_pixel_of_the_person_is_one_part(dancer: RenderedClip) -> None:
    assert np.array_equal(dancer.parts > 0, dancer.masks)
    named = {row for rows in BODY_PARTS.values() for row in rows} | {HAT}
    assert set(np.unique(dancer.parts[dancer.masks]) - 1) <= named


def test_other_shoes_change_the_shoes_alone() -> None:
    scene = Scene.sample(3)
    shoes = replace(scene.identity.footwear, cloth=replace(scene.identity.footwear.cloth, colour="yellow"))
    other = replace(scene, identity=replace(scene.identity, footwear=shoes))
    first, second = (render_clip(each, frames=2, size=(128, 128)) for each in (scene, other))
    changed = (first.frames != second.frames).any(axis=-1)
    of_shoes = np.isin(first.parts, 1 + np.array(BODY_PARTS["shoes"]))
    assert of_shoes.any()
    assert changed[of_shoes].mean() > 0.9
    edges = np.isin(first.parts, (0, *(1 + np.array(BODY_PARTS["skin"] + BODY_PARTS["bottom"]))))
    assert (of_shoes | edges)[changed].all()
    assert (changed & ~of_shoes).sum() < of_shoes.sum()


def test_a_part_of_another_colour_is_as_far_as_its_colours_are() -> None:
    truth = np.full((2, 32, 32, 3), (200, 30, 30), np.uint8)
    edit, place = truth.copy(), np.zeros((2, 32, 32), bool)
    place[:, 4:12, 4:12] = True
    edit[:, 4:12, 4:12] = (30, 30, 200)
    edit[:, 20:] = 0
    nowhere = np.zeros_like(place)
    found = compare_colours(edit, truth, {"top": place, "shoes": nowhere})
    red, blue = (rgb2lab(np.array([[colour]]) / 255)[0, 0] for colour in ((200, 30, 30), (30, 30, 200)))
    assert found == {"top": pytest.approx(float(deltaE_ciede2000(red, blue)), abs=0.01)}
    assert compare_colours(truth, truth, {"top": place}) == {"top": 0}
    assert compare_colours(edit, truth, {}) == {}


def test_the_head_alone_is_compared() -> None:
    body = np.zeros((1, 18, 3), np.float32)
    for name, place in {"nose": (40, 20), "left_ear": (46, 18), "right_ear": (34, 18), "neck": (40, 32)}.items():
        body[0, BODY_JOINTS.index(name)] = (*place, 1)
    truth = np.random.default_rng(0).integers(0, 256, (1, 80, 80, 3), dtype=np.uint8)
    below, within = truth.copy(), truth.copy()
    below[:, 50:] = 0
    within[:, 14:24, 34:46] = 0
    keypoints, network = Keypoints(body, 80, 80), stub_lpips()
    assert compare_heads(below, truth, keypoints, network) == 0
    assert (compare_heads(within, truth, keypoints, network) or 0) > 0
    assert compare_heads(within, truth, Keypoints(0 * body, 80, 80), network) is None
