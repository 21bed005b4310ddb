"""Colours of hair, skin and clothes in words, and prompts that say them."""

import numpy as np
import pytest

from edit_your_motion.people.appearance_words import LIT, complete_prompt, name_looks
from edit_your_motion.people.colour_words import COLOURS, HAIR_COLOURS
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.stage import Scene, render_clip

LOOKS = {
    "skin": "fair skin", "hair": "brown hair", "top": "orange shirt", "bottom": "navy trousers", "shoes": "white shoes",
}  # fmt: skip


def test_rendered_people_are_named_as_they_are() -> None:
    """Of people that nothing was chosen by, in any place and light; a guess would be right one time in sixteen."""
    hits: dict[str, list[bool]] = {"hair": [], "bottom": [], "shoes": []}
    for seed in range(24):
        scene = Scene.sample(seed, "held_out", 2)
        clip, who = render_clip(scene, frames=2, size=(256, 256), fps=2), scene.identity
        looks = name_looks(clip.frames, clip.keypoints, clip.masks)
        true = {"bottom": who.bottom.cloth.colour}
        if who.footwear.height:
            true["shoes"] = who.footwear.cloth.colour
        if who.hair != "bald" and who.hat == "none":
            true["hair"] = who.hair_colour
        for name in true.keys() & looks.keys():
            hits[name].append(looks[name].rpartition(" ")[0] == true[name])
    assert all(len(found) >= 8 for found in hits.values())
    assert {name: np.mean(found) > 0.6 for name, found in hits.items()} == dict.fromkeys(hits, True)


def paint(body: np.ndarray, colours: dict[str, tuple[float, float, float]]) -> np.ndarray:
    """A man of flat colours around upright joints, as they look in usual light."""
    frame = np.zeros((200, 100, 3), np.uint8)
    rows = {"hair": (0, 22), "skin": (22, 40), "top": (40, 100), "bottom": (100, 172), "shoes": (172, 200)}
    for name, (top, bottom) in rows.items():
        frame[top:bottom] = np.round(255 * (np.array(colours[name]) ** 2.2 * LIT) ** (1 / 2.2))
    return frame


@pytest.fixture
def body() -> np.ndarray:
    places = [
        (50, 30), (50, 45), (38, 46), (36, 70), (34, 95), (62, 46), (64, 70), (66, 95), (43, 102), (43, 136), (43, 170),
        (57, 102), (57, 136), (57, 170), (47, 27), (53, 27), (43, 29), (57, 29),
    ]  # fmt: skip
    return np.concatenate([np.array(places, np.float32), np.ones((18, 1), np.float32)], axis=1)


@pytest.mark.parametrize("colour", ["red", "green", "navy", "white", "black", "yellow"])
def test_every_part_is_measured_at_its_own_place(body: np.ndarray, colour: str) -> None:
    others = dict.fromkeys(("top", "bottom", "shoes"), COLOURS["purple" if colour != "purple" else "grey"])
    for part in others:
        colours = {**others, part: COLOURS[colour], "hair": HAIR_COLOURS["blond"], "skin": (0.86, 0.66, 0.51)}
        frames = paint(body, colours)[None].repeat(2, axis=0)
        found = name_looks(frames, Keypoints(body[None].repeat(2, axis=0), 200, 100), np.ones((2, 200, 100), bool))
        assert found[part].startswith(f"{colour} ")
        assert (found["hair"], found["skin"]) == ("blond hair", "light skin")


def test_bare_legs_and_feet_are_seen(body: np.ndarray) -> None:
    skin, blue = (0.86, 0.66, 0.51), COLOURS["blue"]
    colours = {"hair": HAIR_COLOURS["red"], "skin": skin, "top": blue, "bottom": blue, "shoes": skin}
    frame = paint(body, colours)
    keypoints, masks = Keypoints(body[None], 200, 100), np.ones((1, 200, 100), bool)
    found = name_looks(frame[None], keypoints, masks)
    assert found["bottom"] == "blue trousers"
    assert "shoes" not in found
    frame[136:172] = frame[30, 50]
    assert name_looks(frame[None], keypoints, masks)["bottom"] == "blue shorts"


def test_what_is_not_seen_is_not_named(body: np.ndarray) -> None:
    frames, masks = np.zeros((1, 200, 100, 3), np.uint8), np.ones((1, 200, 100), bool)
    body[[10, 13], 2] = 0
    assert "shoes" not in name_looks(frames, Keypoints(body[None], 200, 100), masks)
    masks[:, :45] = False
    assert name_looks(frames, Keypoints(body[None], 200, 100), masks).keys() == {"top", "bottom"}
    assert name_looks(frames, Keypoints(0 * body[None], 200, 100), masks) == {}


BODY = "with fair skin and brown hair"
CLOTHES = "an orange shirt, navy trousers and white shoes"


@pytest.mark.parametrize(
    ("prompt", "completed"),
    [
        (
            "a man in a red striped shirt is dancing in a gym",
            f"a man {BODY} in a red striped shirt, navy trousers and white shoes is dancing in a gym",
        ),
        (
            "a woman with long blond hair in a dress and boots is dancing",
            "a woman with long blond hair and fair skin in a dress and boots is dancing",
        ),
        ("a man is jumping", f"a man {BODY} in {CLOTHES} is jumping"),
        ("a dancer", f"a dancer {BODY} in {CLOTHES}"),
        ("A bald man in shorts", "A bald man with fair skin in shorts, an orange shirt and white shoes"),
    ],
)
def test_a_prompt_is_given_what_it_does_not_say(prompt: str, completed: str) -> None:
    assert complete_prompt(prompt, LOOKS) == completed
    assert complete_prompt(completed, LOOKS) == completed
    assert complete_prompt(prompt, {}) == prompt
