"""The drawn skeletons: OpenPose's colours and order, exact coverage, nothing drawn that is not there."""

from collections.abc import Iterator

import numpy as np
import pytest

from edit_your_motion.errors import PersonError, VideoError
from edit_your_motion.people.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS, Keypoints
from edit_your_motion.people.preview import alignment_preview, comparison_frames, contact_sheet
from edit_your_motion.people.skeleton import JOINT_COLOURS, LIMBS, draw_skeleton

STANDING = np.array(
    [
        [256, 90], [256, 140], [215, 142], [190, 200], [180, 255], [297, 142], [330, 190], [350, 140], [232, 262],
        [228, 350], [225, 440], [280, 262], [290, 345], [300, 435], [240, 74], [272, 74], [224, 86], [288, 86],
    ],
    np.float32,
)  # fmt: skip


def make_keypoints(joints: np.ndarray = STANDING, size: int = 512, frames: int = 1) -> Keypoints:
    body = np.concatenate([joints * size / 512, np.ones((18, 1))], axis=1).astype(np.float32)
    return Keypoints(body=np.repeat(body[None], frames, axis=0), height=size, width=size)


def with_confidence(keypoints: Keypoints, joint: str, confidence: float) -> Keypoints:
    body = keypoints.body.copy()
    body[:, BODY_JOINTS.index(joint), 2] = confidence
    return Keypoints(body=body, height=keypoints.height, width=keypoints.width)


def test_joints_and_limbs_have_openpose_colours() -> None:
    picture = draw_skeleton(make_keypoints())[0]
    for joint, (x, y) in enumerate(STANDING.astype(int)):
        assert picture[y, x].tolist() == JOINT_COLOURS[joint].tolist()
    # Limb i of OpenPose's own sequence, counted from 1 as there, in the colour of joint i at 60 %.
    sequence = [[2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12], [12, 13], [13, 14],
                [2, 1], [1, 15], [15, 17], [1, 16], [16, 18]]  # fmt: skip
    assert [[start + 1, end + 1] for start, end in LIMBS] == sequence
    for limb, (start, end) in enumerate(LIMBS):
        x, y = ((STANDING[start] + STANDING[end]) / 2).astype(int)
        assert np.abs(picture[y, x] - np.floor(0.6 * JOINT_COLOURS[limb].astype(float))).max() <= 1


def test_hues_are_eighteen_equal_steps() -> None:
    assert len({tuple(colour) for colour in JOINT_COLOURS.tolist()}) == 18
    assert (JOINT_COLOURS.max(axis=1) == 255).all()
    assert (JOINT_COLOURS.min(axis=1) == 0).all()


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_areas_are_those_of_discs_and_ellipses(size: int) -> None:
    body = np.zeros((1, 18, 3), np.float32)
    body[0, 3] = [size * 0.31, size * 0.52, 1]
    radius = 4 * size / 512
    disc = draw_skeleton(Keypoints(body, size, size))[0].max(axis=-1).sum() / 255
    assert disc == pytest.approx(np.pi * radius**2, rel=0.03)

    body[0, 4] = [size * 0.61, size * 0.83, 1]
    half = np.hypot(0.3, 0.31) * size / 2
    both = draw_skeleton(Keypoints(body, size, size))[0]
    covered = (both.max(axis=-1) > 76).sum()
    # The discs add what of them stands out of the ellipse's pointed ends: less than both, soft edge included.
    assert np.pi * half * radius < covered < np.pi * half * radius + 2 * np.pi * (radius + 0.5) ** 2


def test_a_shift_by_whole_pixels_shifts_the_picture() -> None:
    keypoints = make_keypoints(STANDING + 0.3)
    moved = make_keypoints(STANDING + 0.3 + np.float32([7, 3]))
    assert np.array_equal(np.roll(draw_skeleton(keypoints), (3, 7), (1, 2)), draw_skeleton(moved))


def test_fractions_of_a_pixel_show() -> None:
    for shift in (0.25, 0.5):
        picture = draw_skeleton(with_only(3, STANDING[3] + shift))[0].max(axis=-1).astype(float)
        y, x = np.indices(picture.shape) + 0.5
        centre = [(axis * picture).sum() / picture.sum() for axis in (x, y)]
        assert np.abs(centre - (STANDING[3] + shift)).max() < 0.02


def with_only(joint: int, place: np.ndarray) -> Keypoints:
    body = np.zeros((1, 18, 3), np.float32)
    body[0, joint] = [*place, 1]
    return Keypoints(body, 512, 512)


def test_uncertain_joints_take_their_limbs_with_them() -> None:
    whole = make_keypoints()
    without = draw_skeleton(with_confidence(whole, "right_elbow", 0.3))[0]
    picture = draw_skeleton(whole)[0]
    for limb in (2, 3):
        x, y = STANDING[list(LIMBS[limb])].mean(axis=0).astype(int)
        assert picture[y, x].any()
        assert not without[y, x].any()
    x, y = STANDING[3].astype(int)
    assert not without[y, x].any()
    assert np.array_equal(draw_skeleton(with_confidence(whole, "right_elbow", 0.31))[0], picture)


def test_hands_and_faces_are_drawn_where_asked() -> None:
    body = make_keypoints().body
    hands = np.zeros((1, 2, HAND_POINTS, 3), np.float32)
    hands[0, 0, :2] = [[20.5, 30.5, 1], [44.5, 30.5, 1]]
    face = np.zeros((1, FACE_POINTS, 3), np.float32)
    face[0, 5] = [100.5, 300.5, 1]
    keypoints = Keypoints(body, 512, 512, hands, face)
    picture = draw_skeleton(keypoints)[0]
    assert picture[300, 100].tolist() == [255, 255, 255]
    assert picture[30, 20].tolist() == [0, 0, 255]
    assert picture[30, 32].tolist() == [255, 0, 0]  # the thumb's first edge begins the rainbow
    plain = draw_skeleton(keypoints, hands=False, face=False)
    assert np.array_equal(plain, draw_skeleton(Keypoints(body, 512, 512)))


def test_what_lies_outside_is_cut_off() -> None:
    keypoints = make_keypoints(STANDING + np.float32([1e5, -1e5]))
    assert not draw_skeleton(keypoints).any()
    body = np.zeros((1, 18, 3), np.float32)
    body[0, 2:4] = [[-300, 100, 1], [300, 100, 1]]
    picture = draw_skeleton(Keypoints(body, 200, 200))[0]
    assert picture[100, 0].any()
    assert picture[100, 199].any()


def test_points_that_are_no_numbers_are_refused() -> None:
    body = make_keypoints().body.copy()
    body[0, 3, 0] = np.nan
    with pytest.raises(PersonError, match="frame 0"):
        draw_skeleton(Keypoints(body, 512, 512))
    body[0, 3, 2] = 0
    draw_skeleton(Keypoints(body, 512, 512))


def clips() -> Iterator[tuple[str, np.ndarray]]:
    for value, (frames, height, width) in enumerate([(9, 64, 48), (1, 30, 90)]):
        yield f"clip {value}", np.full((frames, height, width, 3), 60 + 60 * value, np.uint8)


def test_contact_sheet_shows_first_and_last_frame() -> None:
    frames = np.zeros((9, 64, 64, 3), np.uint8)
    frames[0], frames[-1] = 200, 100
    sheet = contact_sheet([("a", frames)], columns=3, cell_height=64)
    values = set(sheet[40].reshape(-1, 3)[:, 0].tolist())
    assert {200, 100, 0} <= values
    assert contact_sheet(list(clips())).shape[2] == 3
    for bad in ([], [("a", frames[:0])]):
        with pytest.raises(VideoError, match="expected"):
            contact_sheet(bad)


def test_comparison_keeps_frames_in_step() -> None:
    moving = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((1, 65, 51, 3), 40, np.uint8)
    still = np.full((1, 130, 100, 3), 250, np.uint8)
    joined = comparison_frames([("moving", moving), ("still", still)])
    assert len(joined) == 5
    assert joined.shape[1] % 2 == joined.shape[2] % 2 == 0
    for frame in range(5):
        assert joined[frame, 60, 20].tolist() == [40 * frame] * 3
        assert joined[frame, 60, 80].tolist() == [250] * 3
    with pytest.raises(VideoError, match="one length"):
        comparison_frames([("a", moving), ("b", moving[:3])])


def test_alignment_preview_refuses_frames_of_another_clip() -> None:
    keypoints, frames = make_keypoints(size=128, frames=3), np.full((3, 128, 128, 3), 90, np.uint8)
    sheet = alignment_preview(frames, keypoints, frames, keypoints, keypoints, np.arange(3))
    assert sheet.shape[0] > 4 * 192
    with pytest.raises(VideoError, match="3 of 128x128, got 2 of 128x128"):
        alignment_preview(frames[:2], keypoints, frames, keypoints, keypoints, np.arange(3))
