"""Following one person: laws on synthetic people, and one real clip."""

from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from edit_your_motion.errors import PersonError
from edit_your_motion.people.backends import PersonDetection
from edit_your_motion.people.blazepose import BlazePose
from edit_your_motion.people.tracking import Track, compare_bodies, follow_person

HEIGHT, WIDTH = 60, 200
STILL = np.zeros(2, np.float32)


def _person(x: float, *, height: float = 40.0, hands: bool = False, masked: bool = True) -> PersonDetection:
    """Somebody whose box's centre is at `x`, on the ground."""
    left, top, right, bottom = x - height / 4, HEIGHT - height, x + height / 4, float(HEIGHT)
    pose = np.random.default_rng(0).uniform(0, 1, (18, 2)) * (right - left, bottom - top) + (left, top)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[int(top) :, max(int(left), 0) : max(int(right), 0)] = masked
    return PersonDetection(
        np.array([left, top, right, bottom], np.float32),
        0.9,
        np.concatenate([pose, np.full((18, 1), 0.8)], axis=1).astype(np.float32),
        hands=np.ones((2, 21, 3), np.float32) if hands else None,
        mask=mask,
    )


def _follow(detections: list[list[PersonDetection]], **options: object) -> Track:
    return follow_person(detections, HEIGHT, WIDTH, **options)  # type: ignore[arg-type]


def _path(track: Track) -> list[float]:
    return [float(body[1, 0]) for body in track.keypoints.body[track.found]]


def test_one_person_comes_out_as_found() -> None:
    detections = [[_person(30 + 3 * frame)] for frame in range(8)]
    track = _follow(detections)
    assert track.found.all()
    assert track.people.tolist() == [1] * 8
    assert track.warnings == ()
    assert (track.keypoints.height, track.keypoints.width) == (HEIGHT, WIDTH)
    for frame, (person,) in enumerate(detections):
        np.testing.assert_array_equal(track.keypoints.body[frame], person.body)
        np.testing.assert_array_equal(track.masks[frame], person.mask)


def test_a_gap_is_bridged_and_left_empty() -> None:
    detections = [[_person(30 + 2 * frame)] if frame not in (3, 4, 5) else [] for frame in range(20)]
    track = _follow(detections)
    assert np.flatnonzero(~track.found).tolist() == [3, 4, 5]
    assert (track.keypoints.body[3:6] == 0).all()
    assert not track.masks[3:6].any()
    assert track.people.tolist() == [1] * 3 + [0] * 3 + [1] * 14
    assert track.warnings == ("the person was found in 17 of 20 frames only",)


def test_after_a_long_gap_somebody_is_somebody_else() -> None:
    detections = [[_person(40)] if frame < 3 or frame > 8 else [] for frame in range(20)]
    assert _follow(detections, max_gap=6).found.sum() == 14
    assert _follow(detections, max_gap=5).found.sum() == 11


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("speed", [3.0, 7.0])
def test_people_who_pass_each_other_keep_their_ways(order: int, speed: float) -> None:
    rightward = [20 + speed * frame for frame in range(25)]
    leftward = [20 + speed * 24 - speed * frame + 1.3 for frame in range(25)]
    detections = [[_person(one), _person(other)][::order] for one, other in zip(rightward, leftward, strict=True)]
    for person, expected in ((1, rightward), (2, leftward)):
        track = _follow(detections, person=person)
        assert track.found.all()
        steps = np.diff(_path(track))
        assert np.allclose(steps, expected[1] - expected[0], atol=1e-3)


def test_people_are_counted_from_the_left_in_the_first_frame_with_people() -> None:
    detections = [[]] + [[_person(120), _person(40), _person(80)] for _ in range(9)]
    for person, x in ((1, 40), (2, 80), (3, 120)):
        assert _path(_follow(detections, person=person))[0] == pytest.approx(float(_person(x).body[1, 0]), abs=1e-3)
    for person in (0, 4, -1):
        with pytest.raises(PersonError, match=rf"from 1 to 3, counted from the left in frame 2 .* got {person}"):
            _follow(detections, person=person)


def test_the_largest_over_the_clip_is_the_default_and_it_is_said() -> None:
    brief = _person(150, height=60)
    detections = [[_person(40, height=30), _person(90, height=40)] + [brief] * (frame < 2) for frame in range(10)]
    track = _follow(detections)
    assert track.found.all()
    assert np.ptp(_path(track)) == 0
    assert track.masks[0].any(axis=0).argmax() == 80
    assert track.warnings == ("up to 3 people in a frame; the largest was taken, `person` chooses another",)
    assert _follow(detections, person=2).warnings == ()


def test_one_person_is_followed_however_the_order_changes() -> None:
    generator = np.random.default_rng(3)
    detections = [[_person(x) for x in generator.permutation([30, 70, 110, 150]).tolist()] for _ in range(12)]
    for person in range(1, 5):
        assert np.ptp(_path(_follow(detections, person=person))) == 0


def test_fast_moves_between_sparse_frames_are_the_same_person() -> None:
    positions = [40, 58, 35, 60, 45, 30]
    assert _follow([[_person(x)] for x in positions]).found.all()


def test_hands_are_kept_where_they_were_found() -> None:
    track = _follow([[_person(40, hands=frame == 1)] for frame in range(3)])
    assert track.keypoints.face is None
    assert track.keypoints.hands is not None
    assert track.keypoints.hands[..., 2].any(axis=(1, 2)).tolist() == [False, True, False]


def test_missing_masks_are_said() -> None:
    track = _follow([[_person(40, masked=frame > 1)] for frame in range(5)])
    assert track.warnings == ("no mask in 2 of the 5 frames that show the person",)


def test_nobody_is_an_error() -> None:
    with pytest.raises(PersonError, match="found nobody in any of 4 frames"):
        _follow([[], [], [], []])


def test_bodies_are_compared_in_units_of_their_size() -> None:
    one, other = _person(40), _person(52)
    diagonal = float(np.hypot(20, 40))
    assert compare_bodies(one, other, STILL) == pytest.approx(12 / diagonal, rel=1e-5)
    assert compare_bodies(one, other, np.array([12, 0], np.float32)) == pytest.approx(0, abs=1e-6)
    one.body[:, 2] = 0
    assert compare_bodies(one, other, STILL) == pytest.approx(12 / diagonal, rel=1e-5)


def test_the_player_of_a_real_clip_is_followed_through_every_frame(people_models: None, clips: Path) -> None:
    with av.open(str(clips / "basketball.mp4")) as container:
        pictures = [frame.to_image().resize((254, 240)) for frame in islice(container.decode(video=0), 0, 60, 10)]
    frames = np.stack([np.asarray(picture) for picture in pictures])
    track = follow_person(BlazePose().detect(frames), *frames.shape[1:3])
    assert track.found.all()
    assert track.warnings == ()
    assert ((track.masks.mean(axis=(1, 2)) > 0.05) & (track.masks.mean(axis=(1, 2)) < 0.4)).all()
    assert all((before & after).any() for before, after in pairwise(track.masks))
