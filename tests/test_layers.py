"""Two layers: the camera's motion, the clean plate, what fills its holes, and the matte of the edited person."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from edit_your_motion.compositing.camera_motion import align_frames, follow_camera, scaled, stands_still, warp
from edit_your_motion.compositing.carried_things import find_carried
from edit_your_motion.compositing.clean_plate import Plate, make_plate
from edit_your_motion.compositing.matte import composite, make_matte
from edit_your_motion.compositing.medians import take_median, take_unshaded_median
from edit_your_motion.compositing.missed_limbs import find_missed
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.runtime.progress import Advance

SIDE = 96


def texture(side: int = SIDE, seed: int = 0, smooth: float = 2.0) -> np.ndarray:
    """A place with something to hold on to, brightness of 0..255."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), smooth)
    return (127 + 50 * noise / noise.std()).clip(0, 255)


def shifted(dx: float, dy: float, turn: float = 0.0) -> np.ndarray:
    middle = (SIDE - 1) / 2
    c, s = np.cos(turn), np.sin(turn)
    about = np.array([[c, -s, middle - c * middle + s * middle], [s, c, middle - s * middle - c * middle], [0, 0, 1]])
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]]) @ about


def walking(frames: int = 8, speed: float = 9.0, still: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames with a box that walks through a place, its masks, and the place as each frame looks at it."""
    wide = np.stack([texture(2 * SIDE, seed) for seed in range(3)], axis=-1)
    places, pictures, masks = [], [], []
    for index in range(frames):
        pan = 0 if still else 3 * index
        place = wide[20 : 20 + SIDE, 20 + pan : 20 + pan + SIDE]
        mask = np.zeros((SIDE, SIDE), bool)
        left = round(8 + speed * index)
        mask[30:80, left : left + 14] = True
        places.append(place)
        masks.append(mask)
        pictures.append(np.where(mask[..., None], [250, 20, 20], place))
    frames, places = (np.stack(part).round().astype(np.uint8) for part in (pictures, places))
    return frames, np.stack(masks), places


def test_frames_that_are_aligned_together_are_aligned_as_each_alone() -> None:
    turns = [shifted(3.4, -2.2), shifted(0, 0), shifted(-5, 1, turn=0.04), shifted(1, 2)]
    second = np.stack([texture()] * len(turns))
    first = np.stack([warp(picture, turn) for picture, turn in zip(second, turns, strict=True)])
    first[3] = np.nan  # shares nothing, and is left where it began
    start = np.stack([shifted(1, 1)] * len(turns))
    together = align_frames(first, second, start)
    for index in range(len(turns)):
        (alone,) = align_frames(first[index : index + 1], second[index : index + 1], start[index : index + 1])
        np.testing.assert_allclose(together[index], alone, atol=1e-6)
    np.testing.assert_allclose(together[3], start[3])
    assert np.ptp(together[:, 0, 2]) > 4


@pytest.mark.parametrize("truth", [shifted(0, 0), shifted(3.4, -2.2), shifted(-5, 1, turn=0.04)])
def test_a_camera_s_motion_is_found(truth: np.ndarray) -> None:
    second = texture()
    first = warp(second, truth)
    (found,) = align_frames(first[None], second[None], np.eye(3)[None])
    corners = np.array([[10, 10, 1], [85, 10, 1], [10, 85, 1], [85, 85, 1.0]]).T
    expected, got = truth @ corners, found @ corners
    np.testing.assert_allclose(got[:2] / got[2], expected[:2] / expected[2], atol=0.2)


def place_alone(frames: np.ndarray, masks: np.ndarray) -> np.ndarray:
    return np.where(masks, np.nan, frames.mean(axis=-1))


def test_what_moves_before_the_camera_does_not_move_it() -> None:
    frames, masks, _ = walking()
    place = place_alone(frames, masks)
    assert stands_still(place, follow_camera(place, 4), 4)
    frames, masks, _ = walking(still=False, speed=6)
    place = place_alone(frames, masks)
    found = follow_camera(place, 4)
    assert not stands_still(place, found, 4)
    np.testing.assert_allclose(found[:, 0, 2], -3 * (np.arange(8) - 4), atol=0.5)


def test_homographies_go_with_the_size_of_the_frames() -> None:
    """The middle of a picture's every other pixel lies between two of the whole picture's."""
    turned = shifted(3.4, -2.2, turn=0.3)
    small = scaled(turned, (SIDE, SIDE), (SIDE // 2, SIDE // 2))
    spots = np.array([[4.0, 7, 1], [20, 31, 1]]).T
    whole = turned @ (spots * [[2], [2], [1]] + [[0.5], [0.5], [0]])
    np.testing.assert_allclose((small @ spots)[:2] * 2 + 0.5, whole[:2], atol=1e-9)


def test_a_camera_before_a_bare_wall_stands_still() -> None:
    frames = (200 + np.random.default_rng(0).normal(size=(6, SIDE, SIDE))).astype(np.float32)
    assert stands_still(frames, follow_camera(frames, 3), 3)


def test_a_camera_before_a_wall_with_a_stripe_is_followed_no_farther_than_it_went() -> None:
    """Along a stripe nothing tells where the picture is, and of its perspective nothing at all."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    rng, frames = np.random.default_rng(0), []
    for index in range(9):
        down = y + 2.5 * (index - 4)
        wall = np.where(np.abs(down - 0.8 * x - 25) < 12, 140.0, 210.0)
        frames.append(gaussian_filter(np.where(down > 75, 160.0, wall) + rng.normal(scale=2, size=wall.shape), 1.5))
    place = np.stack(frames)
    found = follow_camera(place, 4)
    assert not stands_still(place, found, 4)
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1.0]]).T
    moved = found @ corners
    assert np.abs(moved[:, :2] / moved[:, 2:] - corners[:2]).max() < 20, "of a camera that went 10 pixels"
    for frame, homography in zip(place, found, strict=True):
        there = warp(frame, homography)
        assert np.nanmedian(np.abs(there - place[4])) < 3
        assert np.nanmean(np.abs(there - place[4]) > 20) < 0.02, "the stripe and the floor lie on themselves"


def test_a_wall_of_one_colour_is_aligned_without_a_word() -> None:
    """Levels that differ by rounding alone, far from 0: nothing to fit a line to."""
    frames = np.full((4, SIDE, SIDE), 128, np.float32)
    frames[:, ::2] += 1e-4
    assert np.isfinite(follow_camera(frames, 2)).all()


def test_a_shoe_that_a_mask_lacks_is_told_by_the_joints() -> None:
    body = np.zeros((5, 18, 3), np.float32)
    body[:, :, 2] = 1
    body[:, :, :2] = 48, 40
    for joint, (x, y) in {
        0: (48, 10),
        8: (44, 48),
        9: (44, 62),
        10: (44, 76),
        11: (52, 48),
        12: (52, 62),
        13: (52, 76),
    }.items():
        body[:, joint, :2] = x, y
    keypoints = Keypoints(body, SIDE, SIDE)
    masks = np.zeros((5, SIDE, SIDE), bool)
    masks[:, 5:84, 36:60] = True
    assert not find_missed(masks, keypoints).any()
    kick = masks.copy()
    kick[2, 60:] = False
    missed = find_missed(kick, keypoints)
    assert missed.any(axis=(1, 2)).tolist() == [False, False, True, False, False]
    assert missed[2, 78, 44]
    assert missed[2, 70, 52]
    assert not missed[2, :60].any()
    assert not missed[2, :, :36].any()
    kick[:, 54:] = False
    assert not find_missed(kick, keypoints).any(), "of legs that masks always leave out nothing is known"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 24])
def test_the_median_is_that_of_the_pictures_that_show_a_pixel(count: int) -> None:
    rng = np.random.default_rng(count)
    pictures = rng.integers(0, 256, (count, 9, 11, 3), dtype=np.uint8)
    visible = rng.random((count, 9, 11)) < 0.6
    median, seen = take_median(list(pictures), list(visible))
    np.testing.assert_array_equal(seen, visible.sum(axis=0))
    for y, x in np.argwhere(seen):
        np.testing.assert_array_equal(median[y, x], np.median(pictures[visible[:, y, x], y, x], axis=0))


def test_a_median_without_shadows_is_the_median() -> None:
    """However far somebody is; and what is darker where they are far is none."""
    rng = np.random.default_rng(0)
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1)
    pictures = [(place + rng.normal(0, 3, place.shape)).clip(0, 255).round().astype(np.uint8) for _ in range(12)]
    visible = list(rng.random((12, SIDE, SIDE)) < 0.7)
    farness = list(rng.integers(64, 256, (12, SIDE, SIDE), dtype=np.uint8))
    median, count = take_unshaded_median(pictures, visible, farness)
    expected, seen = take_median(pictures, visible)
    np.testing.assert_array_equal(median, expected)
    np.testing.assert_array_equal(count, seen)
    darker = [picture // 2 if index < 3 else picture for index, picture in enumerate(pictures)]
    far = [np.full((SIDE, SIDE), 255 if index < 3 else 64, np.uint8) for index in range(12)]
    median, _ = take_unshaded_median(darker, visible, far)
    np.testing.assert_array_equal(median, take_median(darker, visible)[0])
    lighter = [picture if index < 3 else picture // 2 for index, picture in enumerate(pictures)]
    median, _ = take_unshaded_median(lighter, [np.ones((SIDE, SIDE), bool)] * 12, far)
    assert np.abs(median - place).mean() < 3


def test_what_a_mask_misses_in_a_frame_or_two_is_not_in_the_plate() -> None:
    """Where somebody stands all the time, but for a leg that two masks lack and five lay bare."""
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1).round().astype(np.uint8)
    masks = np.zeros((48, SIDE, SIDE), bool)
    masks[:, 20:80, 20:60] = True
    frames = np.where(masks[..., None], np.uint8(255), place)
    masks[7, 55:80, 44:60] = masks[30, 55:80, 44:60] = False
    plate = make_plate(frames, masks)
    assert not (plate.places[0] == 255).all(axis=-1).any(), "nothing of the leg"
    assert plate.share_seen < 0.75
    bare = place.copy()
    frames[10:15, 55:80, 44:60] = bare[55:80, 44:60]
    masks[10:15, 55:80, 44:60] = False
    masks[[7, 30], 55:80, 44:60] = True
    again = make_plate(frames, masks)
    assert again.share_seen > plate.share_seen
    np.testing.assert_array_equal(again.places[0][62:76, 50:54], place[62:76, 50:54])


def test_a_shadow_that_lies_on_a_place_in_most_frames_is_not_in_the_plate() -> None:
    """Somebody stands still in 18 of 24 frames, beside a shadow; before, both are elsewhere."""
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1).round().astype(np.uint8)
    frames, masks = np.repeat(place[None], 24, axis=0), np.zeros((24, SIDE, SIDE), bool)
    for index in range(24):
        left = 10 if index < 6 else 60
        shade = np.zeros((SIDE, SIDE))
        shade[60:76, left + 12 : left + 28] = 0.5
        frames[index] = (place * (1 - gaussian_filter(shade, 2)[..., None])).round()
        masks[index, 20:76, left : left + 12] = True
        frames[index][masks[index]] = 255
    plate = make_plate(frames, masks)
    assert plate.share_seen == 1
    off = np.abs(plate.places[0].astype(float) - place)
    shaded = np.s_[62:74, 74:86]
    assert np.abs(np.median(frames, axis=0) - place)[shaded].mean() > 40, "the median of all would have it"
    assert off[shaded].mean() < 3
    assert off.mean() < 3


def test_a_place_that_few_frames_show_is_in_the_plate() -> None:
    """Somebody stands for two hundred frames and steps aside for four of them."""
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1).round().astype(np.uint8)
    masks = np.zeros((200, SIDE, SIDE), bool)
    masks[:, 30:80, 20:34] = True
    masks[101:105] = np.roll(masks[101:105], 40, axis=2)
    plate = make_plate(np.where(masks[..., None], np.uint8(9), place), masks)
    assert plate.share_seen == 1
    assert np.abs(plate.places[0].astype(int) - place).max() == 0


def test_a_plate_says_how_far_it_is() -> None:
    class Bars:
        def __init__(self) -> None:
            self.steps: dict[str, list[int]] = {}

        @contextmanager
        def phase(self, name: str, total: int) -> Iterator[Advance]:
            self.steps[name] = [0, total]

            def advance() -> None:
                self.steps[name][0] += 1

            yield advance

    frames, masks, _ = walking(still=False, speed=6)
    bars = Bars()
    make_plate(frames, masks, bars)
    assert len(bars.steps) == 4
    assert all(done == total for done, total in bars.steps.values())


@pytest.mark.parametrize("still", [True, False])
def test_the_plate_is_the_place_that_the_frames_see(still: bool) -> None:
    frames, masks, places = walking(still=still, speed=9 if still else 6)
    plate = make_plate(frames, masks)
    assert len(plate.places) == (1 if still else len(frames))
    assert plate.share_seen > 0.98
    under = plate.put_under(frames, masks)
    off = np.abs(under.astype(int) - places)
    assert off[masks].mean() < (1 if still else 6), "the person is gone, and the place is what it was"
    far = np.zeros_like(masks)
    far[:, :10] = True
    assert not off[far].any(), "far from the person every frame keeps its own pixels"


def test_nobody_leaves_the_frames_as_they_are() -> None:
    frames, masks, _ = walking()
    plate = make_plate(frames, np.zeros_like(masks))
    np.testing.assert_array_equal(plate.put_under(frames, np.zeros_like(masks)), frames)


def test_a_picture_has_a_plate_too() -> None:
    frames, masks, places = walking(frames=1)
    plate = make_plate(frames, masks)
    assert plate.share_seen < 1
    under = plate.put_under(frames, masks)
    assert np.abs(under.astype(int) - frames)[masks].mean() > 60, "the red box is gone"
    assert abs(float(under[masks].mean()) - float(places.mean())) < 40


def test_a_picture_without_any_place_becomes_grey() -> None:
    frames = np.full((2, SIDE, SIDE, 3), 9, np.uint8)
    plate = make_plate(frames, np.ones(frames.shape[:3], bool))
    assert plate.share_seen == 0
    assert (plate.places == 128).all()


def upright(x: float, frames: int = 1) -> Keypoints:
    body = np.zeros((frames, 18, 3), np.float32)
    body[..., 0], body[..., 1], body[..., 2] = x, np.linspace(25, 75, 18), 1
    return Keypoints(body=body, height=SIDE, width=SIDE)


@pytest.mark.parametrize("finder", ["found", "nobody", "none"])
def test_the_matte_is_the_person_and_nothing_of_an_old_one(finder: str) -> None:
    """The generated place is a little off everywhere; an old silhouette stands beside the person."""
    rng = np.random.default_rng(1)
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1)[None].round().astype(np.uint8)
    person = np.zeros((1, SIDE, SIDE), bool)
    person[0, 22:78, 60:72] = True
    old = np.zeros_like(person)
    old[0, 22:78, 20:32] = True
    generated = place + rng.normal(0, 3, place.shape)
    generated = np.where(person[..., None], [240, 240, 30], np.where(old[..., None], generated + 25, generated))
    edge = person & ~binary_erosion(person)
    generated[edge] = (generated[edge] + place[edge]) / 2
    generated = generated.clip(0, 255).round().astype(np.uint8)
    found = {"found": person, "nobody": np.zeros_like(person), "none": None}[finder]
    matte = make_matte(generated, upright(66), reach=8.0, found=found)
    assert matte[person].mean() > 0.93
    assert not matte[old].any()
    assert matte[matte > 0].min() > 0.0039, "no traces of less than a level, which rounding leaves far from the person"
    laid = composite(generated, place, matte)
    np.testing.assert_array_equal(laid[old], place[old])
    assert ((matte[0, 50] > 0.02) & (matte[0, 50] < 0.98)).any(), "its edge is soft"


@pytest.mark.parametrize("found", [True, False])
def test_a_place_generated_in_other_colours_makes_no_rim_about_the_person(found: bool) -> None:
    person = np.zeros((1, SIDE, SIDE), bool)
    person[0, 22:78, 60:72] = True
    generated = np.where(person[..., None], [200, 60, 40], [150, 150, 170]).astype(np.uint8)
    shoe = np.zeros_like(person)
    shoe[0, 78:80, 60:72] = True
    generated[shoe] = (20, 20, 60)
    matte = make_matte(generated, upright(66), reach=8.0, found=person if found else None)
    about = binary_dilation(person[0], iterations=3) & ~binary_dilation((person | shoe)[0])
    assert matte[0, about].mean() < 0.1
    assert matte[person].mean() > 0.95
    assert matte[shoe].mean() > 0.6, "the finder missed the shoe, which has a colour of its own"


def test_what_the_finder_sees_far_from_the_skeleton_is_not_the_person() -> None:
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1)[None].round().astype(np.uint8)
    person = np.zeros((1, SIDE, SIDE), bool)
    person[0, 22:78, 60:72] = True
    generated = np.where(person[..., None], [240, 240, 30], place).astype(np.uint8)
    something = np.zeros_like(person)
    something[0, 30:50, 2:20] = True
    matte = make_matte(generated, upright(66), reach=8.0, found=person | something)
    assert not matte[something].any()
    np.testing.assert_array_equal(matte, make_matte(generated, upright(66), reach=8.0, found=person))


def test_a_frame_without_a_skeleton_is_the_plate_alone() -> None:
    place = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    nobody = Keypoints(np.zeros((1, 18, 3), np.float32), SIDE, SIDE)
    assert not make_matte(place + 50, nobody, reach=8.0).any()


def test_a_plate_of_a_moving_camera_goes_with_its_frames() -> None:
    places = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert Plate(places).take(np.array([3, 1])).places[:, 0, 0, 0].tolist() == [3, 1]
    assert Plate(places[:1]).take(np.array([3, 1])).places.shape[0] == 1


@pytest.fixture
def thrown() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Somebody throws a ball and catches it, far from another that rolls by; with the masks, and the place."""
    place = np.stack([texture(seed=seed) for seed in range(3)], axis=-1).round().astype(np.uint8)
    frames, masks = np.repeat(place[None], 12, axis=0), np.zeros((12, SIDE, SIDE), bool)
    masks[:, 40:90, 8:22] = True
    frames[masks] = (250, 20, 20)
    for index in range(12):
        height = 44 - round(36 * np.sin(np.pi * index / 11))
        frames[index, height : height + 8, 24 + 4 * min(index, 11 - index) :][:, :8] = (20, 20, 250)
        frames[index, 80:86, 70 + index : 76 + index] = (20, 250, 20)
    return frames, masks, place


def test_a_ball_leaves_the_place_with_the_person_who_throws_it(
    thrown: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    frames, masks, place = thrown
    carried = find_carried(frames, place[None], masks)
    ball = (frames == (20, 20, 250)).all(axis=-1)
    far = ball & (np.arange(SIDE) > 34)[None, None]
    assert far.sum() > 200, "the ball flies far enough to be beside the person"
    assert carried[far].mean() > 0.95
    rolling = (frames == (20, 250, 20)).all(axis=-1)
    assert not carried[rolling].any(), "what passes by stays"
    under = Plate(place[None]).put_under(frames, masks | carried)
    assert not (np.abs(under.astype(int) - place) > 60)[far].any()
    np.testing.assert_array_equal(under[rolling], frames[rolling])


def test_the_plate_has_nothing_of_a_ball_that_few_frames_show_where_its_person_stood() -> None:
    place = np.repeat(np.linspace(90, 190, SIDE).astype(np.uint8)[:, None, None], SIDE, axis=1).repeat(3, axis=2)
    frames, masks = np.repeat(place[None], 12, axis=0), np.zeros((12, SIDE, SIDE), bool)
    masks[:10, 30:80, 20:34] = True
    masks[10:, 30:80, 60:74] = True
    frames[masks] = (250, 20, 20)
    frames[10, 50:58, 22:30] = (20, 20, 250)
    frames[11, 50:58, 44:52] = (20, 20, 250)
    left = make_plate(frames, masks).places[0].astype(int) - place
    assert np.abs(left[50:58, 22:30]).mean() < 10
    assert np.abs(frames[10].astype(int) - place)[50:58, 22:30].mean() > 60


def test_a_ball_leaves_the_place_before_a_moving_camera_too() -> None:
    """One frame shows where the person stood, with the ball in it."""
    wide = np.stack([texture(2 * SIDE, seed, smooth=6) for seed in range(3)], axis=-1).round().astype(np.uint8)
    places, frames = (np.stack([wide[20 : 20 + SIDE, 3 * i : 3 * i + SIDE] for i in range(12)]) for _ in range(2))
    masks, ball = (np.zeros((12, SIDE, SIDE), bool) for _ in range(2))
    for index in range(12):
        left = (40 if index < 10 else 80) - 3 * index
        masks[index, 30:80, left : left + 14] = True
    ball[10, 50:58, 13:21] = ball[11, 50:58, 31:39] = True
    frames[masks] = (250, 20, 20)
    frames[ball] = (20, 20, 250)
    plate = make_plate(frames, masks)
    assert len(plate.places) == 12, "the camera moves"
    assert ((plate.places[:10, :, :, 2] > 235) & (plate.places[:10, :, :, 0] < 60)).sum() < 20, "nothing of the ball"
    under = plate.put_under(frames, masks | find_carried(frames, plate.places, masks))
    assert np.abs(under[ball].astype(int) - places[ball]).mean() < 60


def test_what_is_seen_in_the_middle_of_the_unseen_alone_is_no_part_of_the_plate() -> None:
    """The mask has missed a shoe."""
    frames, masks, _ = walking(speed=0)
    shoe = np.zeros((SIDE, SIDE), bool)
    y, x = (axis.mean().astype(int) for axis in np.nonzero(masks[0]))
    shoe[y - 1 : y + 2, x - 1 : x + 2] = True
    missed = masks.copy()
    for index in range(len(frames)):
        missed[index, y - 4 : y + 5, x - 4 : x + 5] = False
    frames[:, shoe] = (255, 255, 255)
    white = (make_plate(frames, missed).places[0] > 240).all(axis=-1)
    assert not white[shoe].any()


def test_somebody_else_and_what_moves_everywhere_are_not_carried(
    thrown: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    frames, masks, place = thrown
    water = frames.copy()
    water[:, :, 40:] = np.where(np.arange(12)[:, None, None, None] % 2, 255 - place[:, 40:], place[:, 40:])
    assert not find_carried(water, place[None], masks)[:, :, 60:].any()
    assert not find_carried(frames, place[None], np.zeros_like(masks)).any()
