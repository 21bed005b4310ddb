import numpy as np
import pytest

from edit_your_motion.errors import InputError, PersonError, VideoError
from edit_your_motion.metrics import background_error, flicker, keypoint_error, pck, pck_unsided
from edit_your_motion.metrics.background import grow_mask
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.tracking.left_right import swap_sides


def make_keypoints(frames: int = 3, seed: int = 0) -> Keypoints:
    body = np.random.default_rng(seed).uniform(10, 90, (frames, 18, 3)).astype(np.float32)
    body[:, 0, :2], body[:, 1, :2] = (10, 10), (60, 90)  # the box: 10..., so that its longer side is 80
    body[..., 2] = 1
    return Keypoints(body, 100, 100)


def change(keypoints: Keypoints, frame: int, joint: int, values: tuple[float, float, float]) -> Keypoints:
    body = keypoints.body.copy()
    body[frame, joint] += np.array(values, np.float32)
    return Keypoints(body, keypoints.height, keypoints.width)


def test_a_person_who_follows_exactly_has_all_joints_correct() -> None:
    given = make_keypoints()
    np.testing.assert_array_equal(pck(given, given), 1)
    np.testing.assert_array_equal(keypoint_error(given, given), 0)


def test_frames_that_are_turned_round_are_right_but_for_their_sides() -> None:
    given = make_keypoints()
    turned = swap_sides(given, np.array([False, True, False]))
    limbs = sum("_" in name and name.split("_")[1] not in ("eye", "ear") for name in BODY_JOINTS)
    wrong = pck(turned, given)
    assert (wrong[0], wrong[2]) == (1, 1)
    assert wrong[1] <= 1 - limbs / 18 / 2, "most limbs are far from their other side's"
    np.testing.assert_array_equal(pck_unsided(turned, given), 1)
    moved = change(turned, 0, 4, (40.0, 40.0, 0.0))
    np.testing.assert_allclose(pck_unsided(moved, given), [17 / 18, 1, 1])


def test_a_joint_is_correct_within_the_tolerance_of_the_longer_side() -> None:
    given = make_keypoints()
    near, far = change(given, 1, 5, (0, 7.9, 0)), change(given, 1, 5, (0, 8.1, 0))
    np.testing.assert_allclose(pck(near, given), 1)
    np.testing.assert_allclose(pck(far, given), [1, 17 / 18, 1])
    np.testing.assert_allclose(pck(far, given, tolerance=0.2), 1)
    np.testing.assert_allclose(keypoint_error(far, given), [0, 8.1 / 18, 0], rtol=1e-5)


def test_a_joint_that_was_not_detected_is_wrong_and_has_no_distance() -> None:
    given = make_keypoints()
    lost = change(change(given, 2, 4, (0, 0, -1)), 2, 5, (3, 4, 0))
    np.testing.assert_allclose(pck(lost, given), [1, 1, 17 / 18])
    np.testing.assert_allclose(keypoint_error(lost, given), [0, 0, 5 / 17], rtol=1e-5)


def test_a_joint_that_was_not_given_does_not_count() -> None:
    given = change(make_keypoints(), 0, 7, (0, 0, -1))
    detected = change(make_keypoints(), 0, 7, (50, 50, 0))
    np.testing.assert_array_equal(pck(detected, given), 1)
    np.testing.assert_array_equal(keypoint_error(detected, given), 0)


def test_frames_without_a_given_person_are_not_numbers() -> None:
    given = make_keypoints()
    given.body[1, :, 2] = 0
    assert np.isnan(pck(make_keypoints(), given)).tolist() == [False, True, False]
    given.body[..., 2] = 0
    with pytest.raises(PersonError, match="at least one frame"):
        pck(make_keypoints(), given)


def test_keypoints_of_another_canvas_or_length_are_refused() -> None:
    given = make_keypoints()
    with pytest.raises(PersonError, match="3 frames of 100x100 and 4 frames of 100x100"):
        pck(given, make_keypoints(4))
    with pytest.raises(PersonError, match="50x100"):
        keypoint_error(Keypoints(given.body, 100, 50), given)
    with pytest.raises(InputError, match="tolerance above 0"):
        pck(given, given, tolerance=0.0)


def make_scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    source = generator.integers(0, 256, (4, 30, 24, 3), dtype=np.uint8)
    masks = np.zeros((2, 4, 30, 24), bool)
    masks[0, :, 5:15, 3:9] = True
    masks[1, :, 8:20, 12:20] = True
    return source, generator.integers(0, 256, source.shape, dtype=np.uint8), masks[0], masks[1]


def test_background_error_equals_a_masked_mean() -> None:
    source, generated, *masks = make_scene()
    covered = (masks[0] | masks[1])[..., None].repeat(3, axis=-1)
    differences = np.ma.masked_array(np.abs(source.astype(int) - generated), covered)
    expected = differences.reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(background_error(generated, source, *masks), expected.data, rtol=1e-12)


def test_background_error_ignores_both_people_and_their_margin() -> None:
    source, _, *masks = make_scene()
    generated = source.copy()
    generated[masks[0] | masks[1]] ^= 255
    assert background_error(generated, source, *masks).max() == 0
    generated[:, 4, 3:9] ^= 255  # the row above the first person
    assert background_error(generated, source, *masks).min() > 0
    assert background_error(generated, source, *masks, margin=1).max() == 0


def test_a_frame_without_background_is_not_a_number() -> None:
    source, generated, *masks = make_scene()
    masks[0][2] = True
    assert np.isnan(background_error(generated, source, *masks)).tolist() == [False, False, True, False]
    masks[0][:] = True
    with pytest.raises(PersonError, match="no background"):
        background_error(generated, source, *masks)


def test_masks_have_to_fit() -> None:
    source, generated, *masks = make_scene()
    with pytest.raises(VideoError, match="same length"):
        background_error(generated, source, masks[0][:3], masks[1])
    with pytest.raises(VideoError, match=r"masks as bool .*got uint8"):
        background_error(generated, source, masks[0].astype(np.uint8), masks[1])
    with pytest.raises(InputError, match="margin of 0 pixels or more"):
        background_error(generated, source, *masks, margin=-1)


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_grown_masks_equal_a_dilation_by_scipy(margin: int) -> None:
    from scipy.ndimage import binary_dilation

    mask = np.random.default_rng(0).random((20, 31)) < 0.02
    square = np.ones((2 * margin + 1, 2 * margin + 1), bool)
    np.testing.assert_array_equal(grow_mask(mask, margin), binary_dilation(mask, square))


def test_still_videos_and_linear_fades_do_not_flicker() -> None:
    fade = np.zeros((9, 8, 8, 3), np.uint8) + 10 * np.arange(9, dtype=np.uint8)[:, None, None, None]
    np.testing.assert_array_equal(flicker(fade), np.zeros(7))
    np.testing.assert_array_equal(flicker(fade[:1].repeat(5, axis=0)), np.zeros(3))


def test_an_alternating_video_flickers_by_the_distance_of_its_two_pictures() -> None:
    frames = np.full((6, 8, 8, 3), 100, np.uint8)
    frames[::2] = 130
    np.testing.assert_array_equal(flicker(frames), np.full(4, 30))
    np.testing.assert_array_equal(flicker(list(frames[:, None])), np.full(4, 30))


def test_flicker_of_the_background_leaves_the_person_of_all_three_frames_out() -> None:
    frames, masks = np.full((5, 8, 8, 3), 100, np.uint8), np.zeros((5, 8, 8), bool)
    for index in range(5):
        masks[index, :, index] = True
        frames[index, :, index] = 255
    assert flicker(frames).min() > 0
    np.testing.assert_array_equal(flicker(frames, masks), np.zeros(3))
    masks[4] = True
    assert np.isnan(flicker(frames, masks)).tolist() == [False, False, True]


def test_two_frames_cannot_flicker() -> None:
    with pytest.raises(VideoError, match="at least 3 frames"):
        flicker(np.zeros((2, 8, 8, 3), np.uint8))
