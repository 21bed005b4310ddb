"""What users are told of their clips before the long part begins."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from edit_your_motion.config import AlignmentConfig
from edit_your_motion.errors import PersonError
from edit_your_motion.people.clip_warnings import describe_cuts, describe_motion, describe_person
from edit_your_motion.people.formats.joint_layouts import COCO_JOINTS, arrange
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.plausibility import find_implausible
from edit_your_motion.people.tracking.gaps import find_fillable, longest_run
from stick_figure import ADULT, CHILD, JOINT, LANKY, Build, Camera, make_motion, perform

LEGS = ("right_knee", "left_knee", "right_ankle", "left_ankle")
HEAD = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")


def figure(name: str = "dance", frames: int = 16, camera: Camera | None = None) -> Keypoints:
    return (camera or Camera()).film(perform(ADULT, make_motion(name, frames)))


def hide(keypoints: Keypoints, joints: tuple[str, ...], frames: slice = slice(None)) -> Keypoints:
    body = keypoints.body.copy()
    body[frames, [JOINT[joint] for joint in joints] if joints else slice(None), 2] = 0
    return Keypoints(body, keypoints.height, keypoints.width)


def masks_of(keypoints: Keypoints, left: int = 100, right: int = 300, top: int = 50, bottom: int = 450) -> np.ndarray:
    masks = np.zeros((len(keypoints), keypoints.height, keypoints.width), bool)
    masks[:, top:bottom, left:right] = True
    return masks


def only(concerns: tuple[str, ...]) -> str:
    (concern,) = concerns
    return concern


def test_nothing_is_said_of_a_good_clip() -> None:
    clip = figure()
    assert describe_person(clip) == ()
    assert describe_person(clip, masks_of(clip)) == ()
    assert describe_motion(AlignmentConfig(), clip, figure("stand")) == ()


def test_frames_with_nobody_are_named() -> None:
    clip = hide(hide(figure(), (), slice(2, 4)), (), slice(9, 10))
    assert "frames 3, 4, 10 (of 16)" in only(describe_person(clip))
    assert only(describe_person(hide(clip, ()))) == "no joint of the person is seen in any frame"


@pytest.mark.parametrize(("joints", "said"), [(LEGS, "legs are not seen"), (HEAD, "head is not seen")])
def test_parts_that_are_missing_are_named(joints: tuple[str, ...], said: str) -> None:
    assert said in only(describe_person(hide(figure(), joints)))
    assert said in only(describe_person(hide(figure(), joints, slice(2, None))))
    assert describe_person(hide(figure(), joints, slice(0, 4))) == ()
    both = only(describe_person(hide(figure(), ("right_hip", "left_hip", *LEGS))))
    assert "hips and legs are not seen" in both


def test_joints_outside_the_picture_are_named() -> None:
    clip = figure()
    clip.body[4, JOINT["left_wrist"], :2] = (700, 100)
    clip.body[6, JOINT["nose"], :2] = (100, -60)
    said = only(describe_person(clip))
    assert "left wrist" in said
    assert "nose" in said
    assert "frames 5, 7 (of 16)" in said
    clip.body[[4, 6], :, 2] = 0.2  # not seen, so it does not matter where
    assert "outside" not in " ".join(describe_person(clip))


def test_little_confidence_is_said() -> None:
    clip = figure()
    clip.body[..., 2] = 0.4
    assert "confidence of 0.40" in only(describe_person(clip))


def test_a_small_person_is_said() -> None:
    assert "12% of the picture's height" in only(describe_person(figure("stand", camera=Camera(distance=24))))
    # Half a body says nothing of how large the whole is.
    assert "small" not in only(describe_person(hide(figure("stand", camera=Camera(distance=24)), LEGS)))


def test_an_edge_that_cuts_the_person_is_said() -> None:
    clip = figure()
    assert "(left and top)" in only(describe_person(clip, masks_of(clip, left=0, top=0)))
    assert describe_person(clip, masks_of(clip, bottom=512)) == ()  # standing on the lower edge
    concerns = describe_person(hide(clip, LEGS), masks_of(clip, bottom=512))
    assert any("edge cuts the person (bottom)" in concern for concern in concerns)
    rarely = masks_of(clip)
    rarely[:3, :, 0] = True
    assert describe_person(clip, rarely) == ()


def test_a_reference_that_lacks_what_the_source_shows() -> None:
    half = hide(figure(), LEGS)
    assert "reference does not show the legs" in only(describe_motion(AlignmentConfig(), half, figure("stand")))
    assert "reference shows the legs, which" in only(describe_motion(AlignmentConfig(), figure("stand"), half))
    assert describe_motion(AlignmentConfig(), half, hide(figure("stand"), LEGS)) == ()


def test_a_skeleton_that_leaves_the_picture() -> None:
    source = figure("stand", camera=Camera(aside=0.7))
    walk = figure("walk", 90, Camera(distance=6))
    said = only(describe_motion(AlignmentConfig(place="median"), walk, source))
    assert "leaves the picture in frame" in said
    assert "--alignment.place" in said
    assert describe_motion(AlignmentConfig(place="inside"), walk, source) == ()


def test_what_cannot_be_aligned_is_an_error_at_once() -> None:
    with pytest.raises(PersonError, match="none in common"):
        describe_motion(AlignmentConfig(), hide(figure(), BODY_JOINTS[:8]), hide(figure(), BODY_JOINTS[8:]))


def test_a_cut_is_said_with_how_to_take_the_longest_scene() -> None:
    rng = np.random.default_rng(0)
    scenes = [
        rng.integers(low, low + 100, (1, 6, 8, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8) for low in (0, 140)
    ]
    clip = np.concatenate([scenes[0].repeat(5, axis=0), scenes[1].repeat(11, axis=0)])
    said = only(describe_cuts(clip, Fraction(4), 2.0, "source"))
    assert "frames 1 to 5, 6 to 16" in said
    assert said.endswith("--source.start 3.25 --source.frames 11")
    assert describe_cuts(clip[:5], Fraction(4), 2.0, "source") == ()


@pytest.mark.parametrize(
    ("seen", "fps", "filled"),
    [
        ("1111", 8, ""),
        ("11111011", 8, "5"),
        ("11110011", 8, "45"),
        ("1111000111111111", 30, "456"),
        ("1" * 20 + "0" * 16 + "1" * 40, 30, ""),  # more than half a second
        ("1" * 30 + "0" * 15 + "1" * 30, 30, "all"),
        ("0000001" + "0" * 9, 8, ""),  # once in 16 frames
        ("0111111", 4, "0"),
        ("00111111", 4, ""),  # more than a quarter of a second at the beginning
        ("1010101010", 30, ""),  # too many in all
        ("0000", 8, ""),
    ],
)
def test_which_gaps_are_filled(seen: str, fps: int, filled: str) -> None:
    there = np.array([letter == "1" for letter in seen])
    fillable = np.flatnonzero(find_fillable(there, Fraction(fps))).tolist()
    assert fillable == (np.flatnonzero(~there).tolist() if filled == "all" else [int(letter) for letter in filled])


def test_the_longest_run() -> None:
    assert longest_run(np.array([0, 1, 1, 0, 1, 1, 1, 0], bool)) == range(4, 7)
    assert longest_run(np.zeros(4, bool)) == range(0)


def move(keypoints: Keypoints, joint: str, place: tuple[float, ...], frames: slice) -> Keypoints:
    body = keypoints.body.copy()
    body[frames, JOINT[joint], :2] = place
    return Keypoints(body, keypoints.height, keypoints.width)


def test_what_is_no_body_is_named() -> None:
    """A thigh of three trunks; both arms at one point."""
    clip = figure()
    neck, hip = (clip.body[3, JOINT[joint], :2] for joint in ("neck", "right_hip"))
    thigh = move(clip, "right_knee", tuple(hip + 3 * (neck - hip) * (-1, 0.2)), slice(3, 4))
    thigh = Keypoints(thigh.body / np.array([2, 2, 1], np.float32) + np.array([128, 128, 0], np.float32), 512, 512)
    assert "frame 4 (of 16) are hardly those of a body" in only(describe_person(thigh))
    arms = clip
    for joint in ("right_elbow", "left_elbow", "right_wrist", "left_wrist"):
        arms = move(arms, joint, (260, 250), slice(5, 7))
    assert "frames 6, 7 (of 16) are hardly those of a body" in only(describe_person(arms))


@pytest.mark.parametrize("name", ["stand", "spread", "dance", "walk", "jump"])
@pytest.mark.parametrize("build", [ADULT, CHILD, LANKY])
def test_no_view_from_the_side_or_aslant_is_taken_for_no_body(build: Build, name: str) -> None:
    joints = perform(build, make_motion(name, 30))
    joints = joints - joints.mean(axis=(0, 1))
    for down, around in itertools.product((0, 30, 50), (0, 45, 90, 180)):
        turned = Rotation.from_euler("yx", (around, down), degrees=True).apply(joints.reshape(-1, 3))
        filmed = Camera(distance=3.5).film(turned.reshape(joints.shape) - (0, 1, 0))
        assert not find_implausible(filmed).any()


H36M = (
    "hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "neck", "nose",
    "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
"""Human3.6M's order, which has as many joints as COCO's."""


@pytest.mark.parametrize("order", ["Human3.6M", "COCO and a neck", "OpenPose without an ear"])
@pytest.mark.parametrize("name", ["dance", "walk", "jump", "spread"])
def test_joints_in_another_order_are_no_body_s(name: str, order: str) -> None:
    """A tool's numbers do not say what they are of; as many may be of other joints."""
    body = figure(name).body
    named = {joint: body[:, index] for joint, index in JOINT.items()}
    named |= {"hip": (named["right_hip"] + named["left_hip"]) / 2, "head": 1.5 * named["nose"] - 0.5 * named["neck"]}
    named["spine"] = (named["hip"] + named["neck"]) / 2
    orders = {"Human3.6M": H36M, "COCO and a neck": (*COCO_JOINTS, "neck"), "OpenPose without an ear": BODY_JOINTS[:17]}
    written = np.stack([named[joint] for joint in orders[order]], axis=1)
    read = np.stack([arrange("k", points).body for points in written.astype(np.float32)])
    assert find_implausible(Keypoints(read, 512, 512)).mean() > 0.7
