"""Hands and faces: the laws of their regions and tables, what is found in real clips, and what is drawn for whom."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.config import BaseConfig, EditConfig, NetworkConfig, PeopleConfig
from edit_your_motion.people.alignment import align
from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.finders.face import EYES, MESH_SOURCES, tilt, to_openpose
from edit_your_motion.people.finders.hands import region_of_body, region_of_hand
from edit_your_motion.people.finders.region import Region
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.preparation import open_backend
from edit_your_motion.people.skeleton import HAND_EDGES
from edit_your_motion.video import read_video

CLIPS = Path(__file__).parents[2] / "shared" / "clips"
WRISTS = [BODY_JOINTS.index("left_wrist"), BODY_JOINTS.index("right_wrist")]

OPEN_HAND = np.array(
    [[0.0, 0.0]]
    + [[side * reach, -reach - 0.2] for side in (-0.9, -0.4, 0.0, 0.3, 0.6) for reach in (0.4, 0.7, 0.9, 1.0)]
)
"""A hand that points up, its wrist at the origin and about 1 long."""


def _turned(points: np.ndarray, angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return scale * points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


@pytest.mark.parametrize("angle", np.linspace(-3, 3, 7))
def test_a_region_holding_points_is_their_box_at_its_angle(angle: float) -> None:
    corners = np.array([[-3.0, -2], [3, -2], [3, 2], [-3, 2]])
    region = Region.holding(_turned(corners, angle, 10.0, 70.0, 40.0), angle, 1.5)
    assert region.side == pytest.approx(90)
    np.testing.assert_allclose([region.x, region.y], [70, 40], atol=1e-9)
    np.testing.assert_allclose(
        region.from_picture(_turned(np.array([[3.0, 0]]), angle, 10.0, 70.0, 40.0)), [[0.5 + 30 / 90, 0.5]], atol=1e-9
    )


@pytest.mark.parametrize("angle", np.linspace(-3, 3, 7))
def test_a_region_moves_up_along_its_own_axis(angle: float) -> None:
    region = Region(50.0, 60.0, 40.0, angle)
    np.testing.assert_allclose(region.from_picture(np.array([region.moved_up(0.25).to_picture(np.full(2, 0.5))])),
                               [[0.5, 0.25]], atol=1e-9)  # fmt: skip


@pytest.mark.parametrize("angle", np.linspace(-3, 3, 7))
def test_a_hand_stands_upright_in_its_region(angle: float) -> None:
    hand = _turned(OPEN_HAND, angle, 40.0, 100.0, 90.0)
    placed = region_of_hand(hand).from_picture(hand)
    assert (placed > 0).all()
    assert (placed < 1).all()
    assert placed[0, 1] > placed[[8, 12, 16], 1].max() + 0.3
    wrist_and_knuckles = hand[[0, 17, 5]]
    first = region_of_body(wrist_and_knuckles).from_picture(hand)
    assert (first > 0).all()
    assert (first < 1).all()
    assert first[0, 1] > first[12, 1]


def test_the_faces_table_is_a_face() -> None:
    assert len(MESH_SOURCES) == len(set(MESH_SOURCES)) == 68
    mesh = np.random.default_rng(0).uniform(0, 100, (468, 2))
    face = to_openpose(mesh, 0.8)
    assert face.shape == (70, 3)
    np.testing.assert_allclose(face[:68, :2], mesh[list(MESH_SOURCES)], rtol=1e-6)
    np.testing.assert_allclose(face[[68, 69], :2], [mesh[list(MESH_SOURCES[eye])].mean(axis=0) for eye in EYES], 1e-5)
    np.testing.assert_allclose(face[:, 2], 0.8)


@pytest.fixture(scope="module")
def backend(people_models: None) -> BlazePose:
    return BlazePose(hands=True, face=True)


@pytest.fixture(scope="module")
def frames() -> dict[str, np.ndarray]:
    if not CLIPS.is_dir():
        pytest.skip("no clips of real people")
    return {
        name: read_video(CLIPS / f"{name}.mp4", start=start, frames=2, stride=3).frames
        for name, start in (("juggle", 2.7), ("basketball", 1.9))
    }


def _only(people: list[PersonDetection]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (person,) = people
    assert person.hands is not None
    assert person.face is not None
    return person.body, person.hands, person.face


def _assert_is_a_face(face: np.ndarray) -> None:
    """Seen from the front: every part is where it is on a face, once the eyes are level."""
    right, left = face[EYES[0], :2].mean(axis=0), face[EYES[1], :2].mean(axis=0)
    assert right[0] < left[0]
    x, y = _turned(face[:, :2] - right, -tilt(right, left), 1.0, 0.0, 0.0).T
    assert y[17:27].max() < y[36:48].min()  # brows over eyes
    assert (y[27:31] == np.sort(y[27:31])).all()  # down the nose
    assert y[36:48].max() < y[30] < y[33] < y[48:68].min() + 1 < y[8]
    assert x[31] < x[33] < x[35]
    assert y[:17].argmax() in (7, 8, 9)  # the chin is the lowest of the jaw
    assert (np.diff(x[2:15]) > 0).all()
    assert x[36] < x[68] < x[39] < x[42] < x[69] < x[45]
    assert x[48] < x[51] < x[54]
    assert y[51] < y[62] <= y[66] < y[57]


def test_a_real_face_is_read_where_the_body_has_it(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    for clip in frames.values():
        for people in backend.detect(clip):
            body, _, face = _only(people)
            assert (face[:, 2] > 0.5).all()
            _assert_is_a_face(face)
            breadth = np.linalg.norm(face[0, :2] - face[16, :2])
            assert np.linalg.norm(face[30, :2] - body[0, :2]) < 0.3 * breadth
            assert np.linalg.norm(face[68, :2] - body[14, :2]) < 0.3 * breadth


def test_real_hands_are_read_at_their_own_wrists(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    for people in backend.detect(frames["juggle"]):
        body, hands, _ = _only(people)
        for side, wrist in enumerate(WRISTS):
            hand = hands[side]
            assert (hand[:, 2] > 0.3).all()
            size = np.linalg.norm(hand[0, :2] - hand[12, :2])
            assert np.linalg.norm(hand[0, :2] - body[wrist, :2]) < size
            bones = [np.linalg.norm(hand[start, :2] - hand[end, :2]) for start, end in HAND_EDGES]
            assert max(bones) < size


def test_hands_of_a_mirrored_frame_are_mirrored_with_sides_swapped(
    backend: BlazePose, frames: dict[str, np.ndarray]
) -> None:
    frame = frames["juggle"][0]
    _, hands, face = _only(backend.detect(frame[None])[0])
    _, mirrored, mirrored_face = _only(backend.detect(np.ascontiguousarray(frame[:, ::-1])[None])[0])
    for side in (0, 1):
        size = np.ptp(hands[side, :, :2], axis=0).max()
        back = mirrored[1 - side, :, :2] * (-1, 1) + (frame.shape[1], 0)
        assert np.median(np.linalg.norm(back - hands[side, :, :2], axis=1)) < 0.15 * size
    eyes = mirrored_face[[69, 68], :2] * (-1, 1) + (frame.shape[1], 0)
    assert np.abs(eyes - face[[68, 69], :2]).max() < 0.1 * np.ptp(face[:, 0])


def test_covered_hands_and_faces_are_not_there(backend: BlazePose, frames: dict[str, np.ndarray]) -> None:
    frame = frames["juggle"][0].copy()
    _, hands, face = _only(backend.detect(frame[None])[0])
    for points in (*hands, face):
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        margin = 0.4 * (high - low).max()
        left, top = np.maximum(low - margin, 0).astype(int)
        right, bottom = (high + margin).astype(int)
        frame[top:bottom, left:right] = 96
    picture = Image.fromarray(frame)
    landmarks = backend.read_people(frames["juggle"][0], [])[0].points[:33, :2]
    assert backend._hands is not None
    assert backend._face is not None
    assert not backend._hands.read(picture, landmarks)[..., 2].any()
    assert not backend._face.read(picture, landmarks)[..., 2].any()


@pytest.mark.parametrize(("hands", "face"), [(True, False), (False, True), (False, False)])
def test_each_switch_leaves_its_part_out(
    people_models: None, frames: dict[str, np.ndarray], hands: bool, face: bool
) -> None:
    (person,) = open_backend(PeopleConfig(hands=hands, face=face)).detect(frames["juggle"][:1])[0]
    assert (person.hands is not None, person.face is not None) == (hands, face)
    (person,) = open_backend(PeopleConfig().of_bodies()).detect(frames["juggle"][:1])[0]
    assert person.hands is None
    assert person.face is None


@pytest.mark.parametrize(
    ("base", "controlnet", "skeletons", "whole"),
    [
        ("small", None, "auto", False),
        ("small", None, "whole", True),
        ("some/base", None, "auto", False),
        ("some/base", "lllyasviel/control_v11p_sd15_openpose", "auto", True),
        ("some/base", "folder/control_v11p_sd15_openpose.safetensors", "auto", True),
        ("some/base", "lllyasviel/control_v11p_sd15_openpose", "body", False),
    ],
)
def test_a_controlnet_is_shown_what_it_has_learnt(
    base: str, controlnet: str | None, skeletons: str, whole: bool
) -> None:
    model = BaseConfig(base=base, **({} if controlnet is None else {"controlnet": controlnet}))
    assert EditConfig(model=model, network=NetworkConfig(skeletons=skeletons)).draws_whole is whole


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.3])
def test_fingers_get_the_sources_own_hands_size(ratio: float) -> None:
    body = np.ones((3, 18, 3), np.float32)
    body[..., :2] = np.array([
        [100, 40], [100, 60], [80, 60], [75, 90], [70, 120], [120, 60], [125, 90], [130, 120], [88, 120], [88, 160],
        [88, 200], [112, 120], [112, 160], [112, 200], [96, 36], [104, 36], [90, 38], [110, 38],
    ])  # fmt: skip

    def person(size: float) -> Keypoints:
        hands = np.ones((3, 2, 21, 3), np.float32)
        for side, wrist in enumerate(WRISTS):
            hands[:, side, :, :2] = body[0, wrist, :2] - size * OPEN_HAND
        return Keypoints(body, 256, 256, hands)

    aligned = align(person(20.0), person(20.0 * ratio), "limbs")
    assert aligned.hands is not None
    np.testing.assert_allclose(aligned.hands, person(20.0 * ratio).hands, atol=0.5)
