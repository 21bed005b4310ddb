"""The shadow about the feet: it is no part of the plate, and goes with the feet."""

import numpy as np
import pytest

from edit_your_motion.compositing.clean_plate import make_plate
from edit_your_motion.compositing.contact_shadow import ContactShadow, cast_shadow, find_shaded, measure_shadow
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

SIDE, FRAMES = 160, 6
GROUND = 130.0
SHADOW = ContactShadow(depth=0.6, width=0.06, height=0.02, drop=0.0)


def person(middle: float, stance: float = 12.0, lift: float = 0.0, frames: int = FRAMES) -> Keypoints:
    """Somebody of 100 pixels who stands with the feet `stance` apart, the left one lifted."""
    body = np.ones((frames, len(BODY_JOINTS), 3), np.float32)
    body[..., 0], body[..., 1] = middle, GROUND - 60
    body[:, BODY_JOINTS.index("nose"), 1] = GROUND - 106
    for side, name in ((-1, "right_ankle"), (1, "left_ankle")):
        body[:, BODY_JOINTS.index(name), 0] = middle + side * stance / 2
        body[:, BODY_JOINTS.index(name), 1] = GROUND - 6 - (lift if side > 0 else 0)
    return Keypoints(body, SIDE, SIDE)


def floor() -> np.ndarray:
    """A picture of one colour with a fine grain."""
    grain = np.random.default_rng(0).normal(0, 2, (SIDE, SIDE, 1))
    return np.broadcast_to(np.clip(np.array([120, 150, 170]) + grain, 0, 255), (SIDE, SIDE, 3)).astype(np.uint8)


def mask_of(middle: float) -> np.ndarray:
    mask = np.zeros((FRAMES, SIDE, SIDE), bool)
    mask[:, int(GROUND) - 108 : int(GROUND), int(middle) - 9 : int(middle) + 9] = True
    return mask


def clip(shadow: ContactShadow | None, middle: float = 70) -> tuple[np.ndarray, np.ndarray, Keypoints]:
    place = np.repeat(floor()[None], FRAMES, axis=0)
    keypoints, masks = person(middle), mask_of(middle)
    frames = cast_shadow(place, keypoints, shadow) if shadow else place.copy()
    frames[masks] = (200, 60, 20)
    return frames, masks, keypoints


def test_the_plate_has_no_shadow_and_the_edit_casts_it() -> None:
    frames, masks, keypoints = clip(SHADOW)
    shaded = find_shaded(frames, masks, keypoints)
    covered = masks | shaded
    assert covered.sum() > masks.sum()
    places = make_plate(frames, covered).put_under(frames, covered)
    assert np.abs(places.astype(int) - floor()).mean() < 2.5
    with_crescents = make_plate(frames, masks).put_under(frames, masks)
    assert int(with_crescents.min()) < int(places.min()) - 12

    found = measure_shadow(frames, places, masks, shaded, keypoints)
    assert found is not None
    assert found.depth == pytest.approx(SHADOW.depth, rel=0.3)
    elsewhere = person(115, stance=20)
    expected = cast_shadow(np.repeat(floor()[None], FRAMES, axis=0), elsewhere, SHADOW)
    assert np.abs(cast_shadow(places, elsewhere, found).astype(int) - expected).mean() < 3


def test_a_shadow_is_measured_where_some_frames_show_no_feet() -> None:
    frames, masks, keypoints = clip(SHADOW)
    keypoints.body[2:4, [BODY_JOINTS.index(name) for name in ("right_ankle", "left_ankle")], 2] = 0
    shaded = find_shaded(frames, masks, keypoints)
    assert shaded.any()
    assert not shaded[2:4].any()
    places = np.repeat(floor()[None], FRAMES, axis=0)
    found = measure_shadow(frames, places, masks, shaded, keypoints)
    assert found is not None
    assert found.depth == pytest.approx(SHADOW.depth, rel=0.3)


def test_a_shadow_is_measured_against_the_place_where_the_ground_beyond_is_as_dark() -> None:
    place = np.repeat(floor()[None], FRAMES, axis=0)
    place[:, int(GROUND) + 8 :] //= 2
    place[:, : int(GROUND) - 8] //= 2
    keypoints, masks = person(70), mask_of(70)
    bare, shaded = place.copy(), cast_shadow(place, keypoints, SHADOW)
    for frames in (bare, shaded):
        frames[masks] = (200, 60, 20)
    nowhere = find_shaded(shaded, masks, keypoints)
    assert not nowhere.any()
    found = measure_shadow(shaded, place, masks, nowhere, keypoints)
    assert found is not None
    assert found.depth == pytest.approx(SHADOW.depth, rel=0.3)
    assert measure_shadow(bare, place, masks, nowhere, keypoints) is None


@pytest.mark.parametrize("carpet", [None, (60, 150, 60), (240, 240, 240)], ids=["bare", "green", "white"])
def test_no_shadow_is_seen_where_there_is_none(carpet: tuple[int, int, int] | None) -> None:
    frames, masks, keypoints = clip(None)
    if carpet is not None:
        patch = np.zeros_like(masks)
        patch[:, int(GROUND) - 8 : int(GROUND) + 8, 45:95] = True
        frames[patch & ~masks] = carpet
    shaded = find_shaded(frames, masks, keypoints)
    assert not shaded.any()
    assert measure_shadow(frames, frames, masks, shaded, keypoints) is None


def test_a_lifted_foot_shades_the_ground_less_and_a_leap_lifts_no_ground() -> None:
    place = np.repeat(floor()[None], FRAMES, axis=0)

    def light(keypoints: Keypoints, column: int) -> float:
        return float(cast_shadow(place, keypoints, SHADOW)[-1, int(GROUND) - 1, column].mean())

    right, left = 60, 80
    stands, lifts = person(70, stance=20), person(70, stance=20, lift=20)
    assert light(stands, left) == pytest.approx(light(stands, right), abs=8)
    assert light(lifts, left) > light(lifts, right) + 15
    leap = person(70, stance=20)
    leap.body[-1, :, 1] -= 25
    assert light(leap, right) > light(stands, right) + 15
    assert cast_shadow(place, leap, SHADOW)[-1, int(GROUND) - 26 - 4 : int(GROUND) - 22, right].mean() > 140


def test_who_is_not_seen_casts_nothing() -> None:
    keypoints = person(70)
    keypoints.body[..., 2] = 0
    place = np.repeat(floor()[None], FRAMES, axis=0)
    np.testing.assert_array_equal(cast_shadow(place, keypoints, SHADOW), place)
    assert not find_shaded(place, mask_of(70), keypoints).any()
