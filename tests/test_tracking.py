"""Following one person: laws on synthetic people, and one real clip."""

from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from edit_your_motion.errors import PersonError
from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.appearance import add_looks, compare_looks
from edit_your_motion.people.tracking.tracker import Track, compare_bodies, follow_person
from edit_your_motion.video import Fit, read_video

HEIGHT, WIDTH = 60, 200
STILL = np.zeros(2, np.float32)


def _person(
    x: float, *, height: float = 40.0, hands: bool = False, masked: bool = True, look: int | None = None
) -> PersonDetection:
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
        look=None if look is None else np.eye(3, 125, 3 * look, dtype=np.float32),
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


def test_the_people_among_whom_one_chooses_are_shown_where_most_of_them_are_together() -> None:
    late, early = [130 - 2 * frame for frame in range(12)], [30 + 2 * frame for frame in range(12)]
    detections = [
        [_person(early[frame]), *([_person(late[frame], height=30)] if frame >= 3 else [])] for frame in range(12)
    ]
    kept = np.arange(12) % 2 == 0
    for number, way in ((1, early), (2, late)):
        track = _follow(detections, person=number, kept=kept)
        together = track.gathering
        assert together is not None
        assert together.frame >= 4
        assert kept[together.frame], "it is a frame of the clip"
        left, _, right, bottom = together.boxes[number]
        assert (left + right) / 2 * WIDTH == pytest.approx(way[together.frame], abs=1e-3)
        assert bottom == pytest.approx(1)
        taken = track.take(np.flatnonzero(kept)).gathering
        assert taken is not None
        assert (taken.frame * 2, taken.boxes) == (together.frame, together.boxes)


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
    (warning,) = track.warnings  # the third is there too briefly to be anybody
    assert warning.startswith("2 people; the largest, number 2 from the left, was taken, --people.person")
    assert track.people.max() == 3
    assert _follow(detections, person=2).warnings == ()


def test_whoever_stands_where_the_person_is_to_be_comes_before_the_largest() -> None:
    small, large = _person(40, height=30), _person(120, height=50)
    detections = [[small, large] for _ in range(6)]
    nearly = np.stack([small.body + np.float32([3, 2, 0])] * 6)
    assert _path(_follow(detections, near=Keypoints(nearly, HEIGHT, WIDTH))) == [float(small.body[1, 0])] * 6
    assert _path(_follow(detections)) == [float(large.body[1, 0])] * 6
    nowhere = Keypoints(np.zeros((6, 18, 3), np.float32), HEIGHT, WIDTH)
    assert _path(_follow(detections, near=nowhere)) == _path(_follow(detections))
    assert _path(_follow(detections, near=Keypoints(nearly, HEIGHT, WIDTH), person=2)) == _path(_follow(detections))


def _cross(looks: tuple[int | None, int | None], hidden: range = range(8, 11), turn: bool = False) -> list:
    """Two people pass each other; the second is behind the first in some frames, or they turn round there."""
    detections = []
    for frame in range(20):
        x = min(frame, 18 - frame) if turn else frame
        people = [_person(30 + 7 * x, look=looks[0]), _person(160 - 7 * x, look=looks[1])]
        detections.append(people[:1] if frame in hidden else people)
    return detections


@pytest.mark.parametrize("turn", [False, True])
def test_who_is_hidden_by_another_is_known_again_by_the_look(turn: bool) -> None:
    detections = _cross((0, 1), turn=turn)
    for person, hidden in ((1, []), (2, [8, 9, 10])):
        track = _follow(detections, person=person)
        assert np.flatnonzero(~track.found).tolist() == hidden
        assert track.doubtful == ()
        for frame in np.flatnonzero(track.found):
            np.testing.assert_array_equal(track.keypoints.body[frame], detections[frame][person - 1].body)


@pytest.mark.parametrize("looks", [(0, 0), (None, None)])
def test_where_two_could_be_each_other_it_is_said(looks: tuple[int | None, int | None]) -> None:
    track = _follow(_cross(looks, turn=True), person=2)
    assert track.doubtful
    assert set(track.doubtful) <= set(range(6, 14))
    (warning,) = (warning for warning in track.warnings if "somebody else" in warning)
    assert f"frame {track.doubtful[0] + 1}" in warning


def test_who_leaves_and_comes_back_is_known_by_the_look() -> None:
    def clip(back: int, beside: int) -> list[list[PersonDetection]]:
        """Somebody leaves to the left, comes back from the right; another is there all the time."""
        return [
            ([_person(max(60 - 10 * frame, 5), look=0)] if frame < 6 else [_person(195 - 5 * (frame - 46), look=back)])
            * (frame < 6 or frame > 45) + [_person(100, look=beside)]
            for frame in range(60)
        ]  # fmt: skip

    assert _follow(clip(0, 1), person=1).found.sum() == 20
    assert (
        _follow(clip(2, 1), person=1, expected_share=0.0).found.sum() == 60
    )  # is too short, so 1 is the one who stays
    assert [track.found.sum() for track in (_follow(clip(0, 0), person=1),)] == [60]  # nor are twins told apart


def test_changed_light_breaks_no_way() -> None:
    track = _follow([[_person(40 + frame % 3, look=0 if frame < 7 else 1)] for frame in range(14)])
    assert track.found.all()
    assert track.warnings == ()


def test_a_body_found_twice_and_one_that_flickers_are_nobody_else() -> None:
    detections = [[_person(60), _person(62, height=36)] + [_person(150)] * (frame in (3, 9)) for frame in range(16)]
    assert _follow(detections).warnings == ()
    with pytest.raises(PersonError, match="from 1 to 1"):
        _follow(detections, person=2)


@pytest.mark.parametrize("first", [True, False])
def test_of_a_body_found_twice_the_better_finding_is_kept(first: bool) -> None:
    """As in generated frames: beside the person, their arms and what is behind these pass for a lying one, unsurely."""
    whole = _person(100, height=40)
    part = replace(_person(103, height=16), body=whole.body * np.float32([1, 1, 0.5]))
    track = _follow([[part, whole] if first else [whole, part] for _ in range(8)])
    assert track.keypoints.body[0, 1, 2] == np.float32(0.8)
    assert track.masks[0].sum() == whole.mask.sum()


def test_who_comes_later_has_a_number_too() -> None:
    detections = [
        [_person(40), _person(90)] + [_person(190)] * (frame > 5) + [_person(10)] * (frame > 8) for frame in range(20)
    ]
    for person, x in ((1, 40), (2, 90), (3, 190), (4, 10)):
        assert _path(_follow(detections, person=person))[0] == pytest.approx(float(_person(x).body[1, 0]), abs=1e-3)


def test_a_look_is_of_ones_own_clothes() -> None:
    frames = np.full((1, HEIGHT, WIDTH, 3), 128, np.uint8)
    people = [_person(60), _person(70)]
    for person, colour in zip(people, ((220, 20, 20), (20, 20, 220)), strict=True):
        person.body[:, 0] = person.box[[0, 2]].mean()
        person.body[:, 1] = np.linspace(person.box[1], person.box[3], 18)
        frames[0, :, int(person.box[0]) : int(person.box[2])] = colour
    (front,) = add_looks(frames, [people[1:]])[0]
    behind, covering = add_looks(frames, [people])[0]
    (mixed,) = add_looks(frames, [people[:1]])[0]  # with the other's colours, whom nobody has found
    alone = frames.copy()
    alone[0, :, 50:70] = (220, 20, 20)
    (whole,) = add_looks(alone, [people[:1]])[0]
    apart = [compare_looks(person.look, whole.look) for person in (behind, mixed, front)]
    assert apart[0] is not None
    assert apart[0] < 0.05 < apart[1] < apart[2]  # type: ignore[operator]
    assert compare_looks(covering.look, front.look) < 0.6  # type: ignore[operator]
    assert compare_looks(None, front.look) is None


def test_the_one_who_passes_behind_is_the_same_before_and_after(people_models: None, clips: Path) -> None:
    path = clips.parent / "cases" / "crossb.mp4"
    if not path.is_file():
        pytest.skip(f"no test clip at {path}")
    frames = read_video(path, fit=Fit(512, 1024)).frames
    detections = add_looks(frames, BlazePose().detect(frames))
    for person, direction in ((1, 1), (2, -1)):
        track = follow_person(detections, 512, 1024, person=person)
        x = track.keypoints.body[track.found, 1, 0]
        assert (np.sign(x[-1] - x[0]), track.found[[0, -1]].all()) == (direction, True)
        assert (direction * np.diff(x) > 0).all()
        assert track.found.sum() >= 13


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
