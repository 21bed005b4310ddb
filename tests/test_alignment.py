"""Alignment held to the truth: figures of known build in space, filmed by known cameras.

The source's person does motion A, the reference's does motion B; the truth is the source's person doing B, seen by the
source's camera, travelling about the source's place.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.alignment import Place, align
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from stick_figure import ADULT, CHILD, JOINT, LANKY, Build, Camera, make_motion, perform

LEGS = ("right_knee", "left_knee", "right_ankle", "left_ankle")


NEAR = Camera()


@dataclass(frozen=True)
class Case:
    """Who does what before which camera, in the source and in the reference."""

    person: Build
    stranger: Build
    before: str
    motion: str
    camera: Camera = NEAR
    other_camera: Camera = NEAR

    def clips(self) -> tuple[Keypoints, Keypoints, Keypoints]:
        """Reference, source, truth."""
        standing = perform(self.person, make_motion(self.before))
        truth = perform(self.person, make_motion(self.motion))
        hips = [JOINT["right_hip"], JOINT["left_hip"]]
        places = [np.median(joints[:, hips, 0].mean(axis=1)) for joints in (standing, truth)]
        truth[..., 0] += places[0] - places[1]
        reference = self.other_camera.film(perform(self.stranger, make_motion(self.motion)))
        return reference, self.camera.film(standing), self.camera.film(truth)


CASES = {
    "arms spread": Case(ADULT, ADULT, "stand", "spread"),
    "arms spread, far and aside": Case(ADULT, ADULT, "stand", "spread", Camera(), Camera(distance=6.5, aside=0.4)),
    "same person": Case(ADULT, ADULT, "stand", "dance"),
    "taller": Case(ADULT.scaled(1.2), ADULT, "stand", "dance"),
    "child moves as adult": Case(CHILD, ADULT, "stand", "dance", Camera(distance=3)),
    "adult moves as child": Case(ADULT, CHILD, "dance", "spread", Camera(), Camera(distance=2.5)),
    "long limbs": Case(LANKY, ADULT, "dance", "dance", Camera(), Camera(distance=5)),
    "jump": Case(LANKY, ADULT, "stand", "jump", Camera(), Camera(distance=5)),
    "reference walks by": Case(ADULT, LANKY, "stand", "walk", Camera(), Camera(distance=6)),
    "source walks by": Case(ADULT, LANKY, "walk", "dance", Camera(), Camera(distance=6)),
    "wide canvas": Case(ADULT, ADULT, "dance", "dance", Camera(height=720, width=1280, aside=-0.5), Camera(distance=5)),
}


def distance(one: Keypoints, other: Keypoints) -> float:
    """Mean distance of the joints as a share of the other's height."""
    height = np.ptp(other.body[..., 1], axis=1).mean()
    return float(np.linalg.norm(one.body[..., :2] - other.body[..., :2], axis=-1).mean() / height)


@pytest.mark.parametrize("case", CASES)
def test_limbs_come_near_the_truth(case: str) -> None:
    reference, source, truth = CASES[case].clips()
    aligned = align(reference, source, "limbs")
    assert distance(aligned, truth) < 0.015
    assert distance(aligned, truth) < distance(align(reference, source, "paper"), truth)


def test_spread_arms_squash_the_paper_only() -> None:
    reference, source, truth = CASES["arms spread"].clips()
    assert distance(align(reference, source, "paper"), truth) > 0.05
    assert distance(align(reference, source, "limbs"), truth) < 0.01


def test_limbs_bear_the_noise_of_a_detector() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for case in CASES.values():
        reference, source, truth = case.clips()
        for keypoints in (reference, source):
            keypoints.body[..., :2] += rng.normal(0, 2, keypoints.body[..., :2].shape)
        errors.append(distance(align(reference, source, "limbs"), truth))
    assert np.mean(errors) < 0.02


@pytest.mark.parametrize("method", ["paper", "limbs"])
@pytest.mark.parametrize("frames", [1, 40])
def test_a_scaled_and_shifted_clip_is_recovered_exactly(method: str, frames: int) -> None:
    reference = Camera().film(perform(LANKY, make_motion("dance", frames)))
    scale = np.array([0.7, 0.7 if method == "limbs" else 0.55])
    source = reference.mapped(scale, np.array([40.0, 90.0]), 480, 640)
    aligned = align(reference, source, method)
    assert (aligned.height, aligned.width) == (480, 640)
    np.testing.assert_allclose(aligned.body, source.body, atol=2e-3)


def test_paper_follows_algorithm_1_to_the_letter() -> None:
    reference, source, _ = CASES["taller"].clips()

    def boxes(keypoints: Keypoints) -> tuple[np.ndarray, np.ndarray]:
        centres, sizes = [], []
        for frame in keypoints.body:
            left, top = frame[:, 0].min(), frame[:, 1].min()
            right, bottom = frame[:, 0].max(), frame[:, 1].max()
            centres.append([(left + right) / 2, (top + bottom) / 2])
            sizes.append([right - left, bottom - top])
        return np.median(centres, axis=0), np.median(sizes, axis=0)

    (centre_r, size_r), (centre_s, size_s) = boxes(reference), boxes(source)
    aligned = align(reference, source, "paper")
    for axis in (0, 1):
        x = reference.body[..., axis]
        expected = (
            centre_r[axis] + (x - centre_r[axis]) * size_s[axis] / size_r[axis] - (centre_r[axis] - centre_s[axis])
        )
        np.testing.assert_allclose(aligned.body[..., axis], expected, atol=1e-2)


def test_the_default_is_the_paper_and_none_only_fits_the_canvas() -> None:
    reference, source, _ = CASES["wide canvas"].clips()
    np.testing.assert_array_equal(align(reference, source).body, align(reference, source, "paper").body)
    fitted = align(reference, source, "none")
    assert (fitted.height, fitted.width) == (720, 1280)
    np.testing.assert_allclose(fitted.body[..., 0], reference.body[..., 0] * 720 / 512 + 280, rtol=1e-5)
    same, _, _ = CASES["same person"].clips()
    np.testing.assert_array_equal(align(same, same, "none").body, same.body)


def test_one_source_picture_is_enough() -> None:
    reference, source, truth = CASES["same person"].clips()
    picture = Keypoints(source.body[:1], source.height, source.width)
    for method in ("paper", "limbs"):
        assert align(reference, picture, method).body.shape == reference.body.shape
    assert distance(align(reference, picture, "limbs"), truth) < 0.03


def hide(keypoints: Keypoints, joints: tuple[str, ...], frames: slice = slice(None)) -> Keypoints:
    body = keypoints.body.copy()
    for joint in joints:
        body[frames, JOINT[joint]] = 0
    return Keypoints(body, keypoints.height, keypoints.width)


def test_an_upper_body_is_enough() -> None:
    """With the source's legs (or hips too) out of the picture, arms and head still come near the truth."""
    reference, source, truth = CASES["taller"].clips()
    shown = [JOINT[name] for name in BODY_JOINTS if "hip" not in name and name not in LEGS]
    height = np.ptp(truth.body[..., 1], axis=1).mean()
    for hidden, most in ((LEGS, 0.04), (("right_hip", "left_hip", *LEGS), 0.07)):
        aligned = align(reference, hide(source, hidden), "limbs")
        apart = np.linalg.norm(aligned.body[:, shown, :2] - truth.body[:, shown, :2], axis=-1).mean() / height
        assert apart < most
        assert np.isfinite(align(reference, hide(source, hidden), "paper").body).all()


def test_a_few_guessed_legs_decide_nothing() -> None:
    """A half-body source in some frames of which a finder puts legs somewhere."""
    reference, source, _ = CASES["taller"].clips()
    half = hide(source, LEGS)
    expected = align(reference, half, "limbs").body
    torso = np.median(np.linalg.norm(source.body[:, 1, :2] - source.body[:, 8, :2], axis=-1))
    for frames in (slice(5, 9), slice(0, 90, 3)):
        guessing = hide(source, LEGS)
        for joint, below in zip(LEGS, (0.5, 0.5, 2.5, 2.5), strict=True):
            guessing.body[frames, JOINT[joint], :2] = source.body[frames, JOINT["right_hip"], :2] + (0, below * torso)
            guessing.body[frames, JOINT[joint], 2] = 0.6
        np.testing.assert_allclose(align(reference, guessing, "limbs").body, expected, atol=0.5)
    # And so where it is the reference that shows no legs.
    expected = align(half, reference, "limbs").body
    shown = [JOINT[name] for name in BODY_JOINTS if name not in LEGS]
    np.testing.assert_allclose(align(guessing, reference, "limbs").body[:, shown], expected[:, shown], atol=0.5)


def test_ankles_far_below_the_others_are_no_ground() -> None:
    reference, source, truth = CASES["same person"].clips()
    for clip in (source, reference):
        clip.body[::5, [JOINT["right_ankle"], JOINT["left_ankle"]], 1] += 200
    aligned = align(reference, source, "limbs")
    shown = [JOINT[name] for name in BODY_JOINTS if "ankle" not in name]
    apart = np.linalg.norm(aligned.body[:, shown, :2] - truth.body[:, shown, :2], axis=-1)
    assert apart.mean() < 0.03 * np.ptp(truth.body[0, :, 1])


def test_legs_seen_in_part_of_the_frames_of_a_person_who_comes_later_count() -> None:
    """The half that is asked for is of the frames that show the person."""
    reference, source, _ = CASES["taller"].clips()
    whole = align(reference, source, "limbs").body
    late = hide(source, BODY_JOINTS, slice(0, 70))
    assert np.abs(align(reference, late, "limbs").body - whole).mean() < 4


def test_a_head_alone_is_aligned_by_the_head() -> None:
    reference, source, _ = CASES["taller"].clips()
    head = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
    alone = hide(reference, tuple(name for name in BODY_JOINTS if name not in head))
    aligned = align(alone, source, "limbs")
    places = [np.median(clip.body[:, 0, :2], axis=0) for clip in (aligned, source)]
    np.testing.assert_allclose(*places, atol=1)
    widths = [
        np.quantile(np.linalg.norm(clip.body[:, 16, :2] - clip.body[:, 17, :2], axis=-1), 0.9)
        for clip in (aligned, source)
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)


def middle(keypoints: Keypoints) -> np.ndarray:
    """Of the hips, from left to right, in every frame."""
    return keypoints.body[:, [JOINT["right_hip"], JOINT["left_hip"]], 0].mean(axis=1)


@pytest.mark.parametrize("aside", [-0.7, 0.0, 0.7])
def test_the_places_of_somebody_who_walks_by(aside: float) -> None:
    case = Case(ADULT, LANKY, "stand", "walk", Camera(aside=aside), Camera(distance=6, aside=0.2))
    reference, source, _ = case.clips()
    placed = {place: align(reference, source, "limbs", place=place) for place in get_args(Place)}
    for aligned in placed.values():  # one motion, in different places
        moved = aligned.body[..., :2] - placed["median"].body[..., :2]
        np.testing.assert_allclose(moved, np.broadcast_to([moved[0, 0, 0], 0], moved.shape), atol=1e-3)
    assert np.median(middle(placed["median"])) == pytest.approx(np.median(middle(source)), abs=0.1)
    assert middle(placed["start"])[0] == pytest.approx(middle(source)[0], abs=0.1)
    assert np.median(middle(placed["filmed"])) == pytest.approx(np.median(middle(reference)), abs=0.1)

    def outside(keypoints: Keypoints) -> float:
        x = keypoints.body[..., 0]
        return float(np.maximum(np.maximum(-x, x - keypoints.width), 0).max())

    assert outside(placed["inside"]) < 1
    if aside == 0.0:
        np.testing.assert_array_equal(placed["inside"].body, placed["median"].body)
    else:
        assert outside(placed["median"]) > 20


def test_too_wide_a_travel_leaves_the_picture_on_both_sides_alike() -> None:
    case = Case(ADULT, LANKY, "stand", "walk", Camera(aside=0.2, width=300), Camera(distance=6))
    reference, source, _ = case.clips()
    x = align(reference, source, "limbs", place="inside").body[..., 0]
    assert x.min() < 0
    assert -x.min() == pytest.approx(x.max() - 300, abs=0.5)


def test_who_stands_at_the_edge_stays_there() -> None:
    """Inside keeps the travel in the picture; it does not move a person whom the source's picture cuts."""
    reference, source, _ = Case(ADULT, ADULT, "stand", "stand", Camera(aside=1.1)).clips()
    cut = Keypoints(
        np.where(source.body[..., :1] < source.width, source.body, 0).astype(np.float32), source.height, source.width
    )
    assert (source.body[..., 0] > source.width).any()
    for place in ("inside", "median"):
        aligned = align(reference, cut, "limbs", place=place)  # type: ignore[arg-type]
        assert np.abs(middle(aligned) - middle(source)).max() < 8


def test_joints_that_come_and_go_do_not_move_the_others() -> None:
    reference, source, _ = CASES["same person"].clips()
    whole = align(reference, source, "limbs")
    gone = ("left_elbow", "right_knee")
    patchy = align(hide(reference, gone, slice(20, 30)), source, "limbs")
    others = [index for name, index in JOINT.items() if name not in (*gone, "left_wrist", "right_ankle")]
    np.testing.assert_allclose(patchy.body[:, others], whole.body[:, others], atol=3.0)
    # A wrist without its elbow hangs on the shoulder, near where the elbow would have put it.
    apart = np.linalg.norm(patchy.body[..., :2] - whole.body[..., :2], axis=-1)
    assert apart[20:30, JOINT["left_wrist"]].max() < 12
    assert (patchy.body[20:30, JOINT["left_elbow"], 2] == 0).all()


def test_feet_that_rest_keep_resting() -> None:
    reference, source, _ = CASES["child moves as adult"].clips()
    aligned = align(reference, source, "limbs")
    ankles = [JOINT["right_ankle"], JOINT["left_ankle"]]
    lowest = [keypoints.body[:, ankles, 1].max(axis=1) for keypoints in (source, aligned)]
    assert np.quantile(lowest[1], 0.75) == pytest.approx(np.quantile(lowest[0], 0.75), abs=0.5)
    assert np.ptp(lowest[1]) < 12


def test_hands_and_face_stay_on_their_joints() -> None:
    reference, source, _ = CASES["child moves as adult"].clips()
    wrists = reference.body[:, [JOINT["left_wrist"], JOINT["right_wrist"]], None]
    hands = np.repeat(wrists, 21, axis=2)
    hands[..., 0] += np.arange(21)
    face = np.repeat(reference.body[:, :1], 70, axis=1)
    face[..., 1] += np.arange(70) / 5
    whole = Keypoints(reference.body, reference.height, reference.width, hands, face)
    aligned = align(whole, source, "limbs")
    assert aligned.hands is not None
    assert aligned.face is not None
    np.testing.assert_allclose(aligned.hands[:, 0, 0], aligned.body[:, JOINT["left_wrist"]], atol=1e-3)
    np.testing.assert_allclose(aligned.face[:, 0], aligned.body[:, 0], atol=1e-3)
    for points in (aligned.hands, aligned.face):  # rigid: evenly spaced points stay so
        np.testing.assert_allclose(np.diff(points[..., :2], n=2, axis=-2), 0, atol=2e-3)


def test_what_cannot_be_aligned_says_why() -> None:
    reference, source, _ = CASES["same person"].clips()
    legs_only = hide(reference, tuple(name for name in BODY_JOINTS if name not in LEGS))
    for method in ("paper", "limbs"):
        with pytest.raises(PersonError, match="none in common"):
            align(legs_only, hide(source, LEGS), method)
        with pytest.raises(PersonError, match="0 in the reference"):
            align(hide(reference, BODY_JOINTS), source, method)
    with pytest.raises(PersonError, match="neck or both hips"):
        align(legs_only, source, "limbs")
    one = hide(reference, BODY_JOINTS[1:])
    with pytest.raises(PersonError, match=r"0\.0 x 0\.0"):
        align(one, source, "paper")


def test_an_unknown_method_is_refused() -> None:
    reference, source, _ = CASES["same person"].clips()
    from jaxtyping import TypeCheckError

    with pytest.raises((ConfigError, TypeCheckError)):
        align(reference, source, "affine")  # type: ignore[arg-type]
