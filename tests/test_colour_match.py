"""The edited person's colours: brought to the source's part by part, and nothing else touched."""

from types import SimpleNamespace

import numpy as np
import pytest

from edit_your_motion.compositing.colour_match import match_colours
from edit_your_motion.people.body_parts import measure_colours
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.sampling.kept_background import find_reach
from edit_your_motion.stage import Scene, render_clip
from edit_your_motion.stage.figure import BODY_PARTS

SEED = 25


@pytest.fixture(scope="module")
def clip():
    """A rendered person with hair on the head, plain trousers and shoes."""
    made = render_clip(Scene.sample(SEED, "held_out", 2), frames=3, size=(192, 192), fps=6)
    parts = {name: np.isin(made.parts, 1 + np.array(rows)) for name, rows in BODY_PARTS.items()}
    return SimpleNamespace(frames=made.frames, keypoints=made.keypoints, masks=made.masks, parts=parts)


def _difference(clip, frames: np.ndarray, part: str) -> float:
    wanted = np.median(clip.frames[clip.parts[part]], axis=0)
    return float(np.abs(np.median(frames[clip.parts[part]], axis=0) - wanted).max())


def _matched(clip, frames: np.ndarray) -> np.ndarray:
    wanted = measure_colours(clip.frames, clip.keypoints, clip.masks)
    reach = find_reach(clip.masks, clip.keypoints)
    return match_colours(frames, clip.masks.astype(np.float32), clip.keypoints, reach, wanted)


def _recoloured(clip, *parts: str) -> np.ndarray:
    """The truth with some parts in other colours, as a base that does not know the person paints them."""
    frames = clip.frames.copy()
    for part in parts:
        frames[clip.parts[part]] = np.roll(frames[clip.parts[part]], 1, axis=-1)
    return frames


def test_what_has_the_right_colours_stays(clip) -> None:
    np.testing.assert_array_equal(_matched(clip, clip.frames), clip.frames)


def test_foreign_colours_become_the_sources_and_its_shading_stays(clip) -> None:
    parts = ("hair", "bottom", "shoes")
    wrong = _recoloured(clip, *parts)
    mended = _matched(clip, wrong)
    for part in parts:
        before, after = _difference(clip, wrong, part), _difference(clip, mended, part)
        assert before > 20, f"{part} was to be another colour"
        assert after < 0.35 * before, part
    top = clip.parts["top"]
    assert np.abs(mended[top].astype(int) - clip.frames[top]).mean() < 3, "tops stay"
    np.testing.assert_array_equal(mended[~clip.masks], wrong[~clip.masks])


def test_hair_that_is_fair_in_some_frames_alone_becomes_the_source_s_in_all(clip) -> None:
    frames, masks, body = (
        np.tile(part, (4, *[1] * (part.ndim - 1))) for part in (clip.frames, clip.masks, clip.keypoints.body)
    )
    hair = np.tile(clip.parts["hair"], (4, 1, 1))
    fair = np.arange(12) >= 8
    wrong = frames.copy()
    wrong[hair & fair[:, None, None]] = (225, 205, 160)
    keypoints = Keypoints(body, clip.keypoints.height, clip.keypoints.width)
    wanted = measure_colours(frames, keypoints, masks)
    reach = find_reach(masks, keypoints)
    mended = match_colours(wrong, masks.astype(np.float32), keypoints, reach, wanted)

    def off(shown: np.ndarray, index: int) -> float:
        return float(
            np.abs(np.median(shown[index][hair[index]].astype(int) - frames[index][hair[index]], axis=0)).max()
        )

    assert off(wrong, 10) > 60
    assert off(mended, 10) < 0.4 * off(wrong, 10)
    assert off(mended, 2) < 12, "what was right stays"


def test_tops_stay_whatever_their_colour(clip) -> None:
    wrong = _recoloured(clip, "top")
    top = clip.parts["top"]
    assert np.abs(_matched(clip, wrong)[top].astype(int) - wrong[top]).mean() < 3


def test_frames_without_a_skeleton_stay(clip) -> None:
    wrong = _recoloured(clip, "bottom")
    nobody = Keypoints(np.zeros_like(clip.keypoints.body), clip.keypoints.height, clip.keypoints.width)
    wanted = measure_colours(clip.frames, clip.keypoints, clip.masks)
    np.testing.assert_array_equal(match_colours(wrong, clip.masks.astype(np.float32), nobody, 5.0, wanted), wrong)
