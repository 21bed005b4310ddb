"""The stage's body and its motions: skinning, retargeting and kinematics obey their laws."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.stage.body import BONE, BONES, PARENTS, bone_transforms, load_cast, skin
from edit_your_motion.stage.bvh import LEG, read_bvh
from edit_your_motion.stage.choreography import ROUTINES, choreograph
from edit_your_motion.stage.mesh import cut, inflate, skin_part
from edit_your_motion.stage.motion import ACTIONS, Motion, load_motion
from edit_your_motion.stage.retarget import frame_from, retarget, swing
from edit_your_motion.stage.stick_figure import (
    MARKER,
    MARKERS,
    PELVIS_HEIGHT,
    rotation_about,
    rotation_from_quaternion,
    stick_figure_markers,
)
from edit_your_motion.stage.surface import vertex_normals

BONE_PAIRS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "toe"))
] + [("neck", "crown"), ("pelvis", "spine"), ("left_hip", "right_hip")]


def upright(frames: int = 1) -> np.ndarray:
    return stick_figure_markers(np.tile([0.0, PELVIS_HEIGHT, 0.0], (frames, 1)), {})


def test_the_template_is_a_closed_surface_that_looks_outward():
    body = load_cast().template
    edges = np.sort(np.concatenate([body.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).mean() > 0.999  # some fingers share an edge after thinning
    a, b, c = (body.vertices[body.triangles[:, corner]] for corner in range(3))
    litres = 1000 * np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert 50 < litres < 110
    np.testing.assert_allclose(body.weights.sum(axis=1), 1, atol=1e-9)


def test_parents_come_before_their_children():
    assert all(parent < bone for bone, parent in enumerate(PARENTS))
    assert BONES[PARENTS[BONE["left_hand"]]] == "left_forearm"


def test_bodies_differ_in_height_and_men_are_taller_on_average():
    cast = load_cast()
    heights = np.array([cast.shaped(person).vertices[:, 1].max() for person in cast.bodies])
    assert 1.3 < heights.min() < 1.65 < 1.8 < heights.max() < 2.2
    assert heights[cast.male].mean() > heights[~cast.male].mean() + 0.05


def test_skinning_at_rest_is_the_identity():
    body = load_cast().template
    still = np.broadcast_to(np.eye(3), (1, len(BONES), 3, 3))
    transforms = bone_transforms(body.joints, still, body.joints[:1])
    np.testing.assert_allclose(skin(body.vertices, body.weights, transforms[0]), body.vertices, atol=1e-12)


def test_skinning_one_rigid_turn_of_all_bones_is_that_turn():
    body = load_cast().template
    turn = Rotation.from_euler("xyz", [0.4, -1.1, 0.3]).as_matrix()
    rotations = np.broadcast_to(turn, (1, len(BONES), 3, 3))
    transforms = bone_transforms(body.joints, rotations, np.array([[1.0, 2.0, 3.0]]))
    expected = (body.vertices - body.joints[0]) @ turn.T + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(skin(body.vertices, body.weights, transforms[0]), expected, atol=1e-12)


def test_rotations_agree_with_scipy():
    rng = np.random.default_rng(0)
    quaternions = rng.normal(size=(20, 4))
    expected = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
    np.testing.assert_allclose(rotation_from_quaternion(quaternions), expected, atol=1e-12)
    for axis in "xyz":
        expected = Rotation.from_euler(axis, 0.7).as_matrix()
        np.testing.assert_allclose(rotation_about(axis, np.array(0.7)), expected, atol=1e-12)


def test_swing_takes_one_direction_to_the_other_by_the_angle_between_them():
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 50, 3))
    start[0], end[0] = [0.0, 1.0, 0.0], [0.0, -2.0, 0.0]
    turns = swing(start, end)
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (start, end)]
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turns, unit[0]), unit[1], atol=1e-4)
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1), -1, 1))
    np.testing.assert_allclose(Rotation.from_matrix(turns).magnitude(), angle, atol=1e-3)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)


def test_frames_are_rotations_that_keep_up():
    frames = frame_from(np.array([[0.0, 2.0, 0.0]]), np.array([[1.0, 5.0, 0.0]]))
    np.testing.assert_allclose(frames[0], np.eye(3), atol=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_bones_of_a_clip_keep_their_length(name):
    markers = load_motion(name).markers
    rest = upright()[0]
    for a, b in BONE_PAIRS:
        expected = np.linalg.norm(rest[MARKER[a]] - rest[MARKER[b]])
        lengths = np.linalg.norm(markers[:, MARKER[a]] - markers[:, MARKER[b]], axis=1)
        np.testing.assert_allclose(lengths, expected, atol=2e-3)


def test_known_facts_of_the_clips():
    walk, backflip, run = (load_motion(name) for name in ("walk", "backflip", "run"))
    # The walker goes forward, which is the way the figure faces, at a walker's pace.
    travel = walk.markers[-1, 0] - walk.markers[0, 0]
    assert 0.8 < travel[2] / walk.seconds < 1.8
    assert abs(travel[0]) < 0.2
    assert run.markers[-1, 0, 2] / run.seconds > 2.0
    # Half way through a backflip the head is below the feet.
    assert (backflip.markers[:, MARKER["crown"], 1] < backflip.markers[:, MARKER["left_ankle"], 1]).any()


def test_knees_and_elbows_never_bend_the_wrong_way():
    for name in ("walk", "run", "dance_a", "spinkick"):
        markers = load_motion(name).markers
        at = {marker: markers[:, index] for marker, index in MARKER.items()}
        for side in ("left", "right"):
            # A knee's hinge points to the figure's left: thigh x shin does, whenever the knee is bent.
            thigh, shin = at[f"{side}_knee"] - at[f"{side}_hip"], at[f"{side}_ankle"] - at[f"{side}_knee"]
            bend = np.cross(thigh, shin)
            left = at["left_hip"] - at["right_hip"]
            bent = np.linalg.norm(bend, axis=1) > 0.3 * 0.4215 * 0.4099
            assert ((bend * left).sum(axis=1)[bent] > 0).mean() > 0.9, (name, side)


def test_standing_upright_leaves_trunk_and_legs_at_rest():
    body = load_cast().template
    rotations = retarget(upright(), body)[0]
    for name in ("pelvis", "spine", "waist", "chest", "neck", "head"):
        np.testing.assert_allclose(rotations[BONE[name]], np.eye(3), atol=1e-6)
    for side in ("left", "right"):
        foot = Rotation.from_matrix(rotations[BONE[f"{side}_foot"]]).magnitude()
        assert foot < 0.2


@pytest.mark.parametrize("name", ["dance_a", "cartwheel", "spinkick", "getup_faceup"])
def test_limbs_point_where_their_markers_point(name):
    body = load_cast().template
    markers = load_motion(name).markers[::7]
    rotations = retarget(markers, body)
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(-1, -2), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)
    bones = (("upper_arm", "forearm", "shoulder", "elbow"), ("forearm", "hand", "elbow", "wrist"),
             ("thigh", "shin", "hip", "knee"), ("shin", "foot", "knee", "ankle"))  # fmt: skip
    for side in ("left", "right"):
        for bone, child, start, end in bones:
            at_rest = body.joints[BONE[f"{side}_{child}"]] - body.joints[BONE[f"{side}_{bone}"]]
            got = rotations[:, BONE[f"{side}_{bone}"]] @ at_rest
            wanted = markers[:, MARKER[f"{side}_{end}"]] - markers[:, MARKER[f"{side}_{start}"]]
            cosine = (got * wanted).sum(axis=1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
            np.testing.assert_allclose(cosine, 1, atol=1e-5)


def test_a_body_twice_as_large_gets_the_same_rotations():
    body = load_cast().template
    markers = load_motion("dance_b").markers[::20]
    np.testing.assert_allclose(retarget(markers * 2, body), retarget(markers, body), atol=1e-6)


def test_turning_the_motion_turns_every_bone():
    body = load_cast().template
    motion = load_motion("kick")
    turn = rotation_about("y", np.array(0.8))
    got = retarget(motion.turned(0.8).markers[::9], body)
    np.testing.assert_allclose(got, turn @ retarget(motion.markers[::9], body), atol=1e-4)


def test_mirroring_twice_is_nothing_and_once_exchanges_the_sides():
    motion = load_motion("punch")
    mirrored = motion.mirrored()
    np.testing.assert_array_equal(mirrored.mirrored().markers, motion.markers)
    left, right = MARKER["left_wrist"], MARKER["right_wrist"]
    np.testing.assert_array_equal(mirrored.markers[:, left], motion.markers[:, right] * [-1, 1, 1])
    np.testing.assert_array_equal(mirrored.markers[:, 0], motion.markers[:, 0] * [-1, 1, 1])


def test_time_goes_round_in_a_cycle_and_forth_and_back_otherwise():
    markers = np.zeros((5, len(MARKERS), 3))
    markers[:, :, 0] = np.arange(5)[:, None]
    once, cycle = Motion(markers, 1.0, "moving"), Motion(markers, 1.0, "moving", cycle=True)
    seconds = np.array([0.0, 0.5, 4.0, 5.0, 8.0, 9.0])
    np.testing.assert_allclose(once.at(seconds)[:, 0, 0], [0, 0.5, 4, 3, 0, 1])
    np.testing.assert_allclose(cycle.at(seconds)[:, 0, 0], [0, 0.5, 0, 1, 0, 1])


def test_a_held_motion_stays_in_the_middle_and_keeps_its_pose():
    motion = load_motion("run")
    held = motion.held()
    path = held.markers[:, 0, [0, 2]]
    assert np.linalg.norm(path, axis=1).max() < 0.5
    np.testing.assert_allclose(
        held.markers - held.markers[:, :1] * [1, 0, 1], motion.markers - motion.markers[:, :1] * [1, 0, 1], atol=1e-9
    )


def test_an_unknown_motion_is_refused():
    with pytest.raises(ConfigError, match="expected a motion out of"):
        load_motion("moonwalk")


@pytest.mark.parametrize("routine", sorted(ROUTINES))
def test_choreography_stands_on_the_ground_within_what_joints_allow(routine):
    motion = choreograph(routine, 3)
    np.testing.assert_array_equal(motion.markers, choreograph(routine, 3).markers)
    lowest = motion.markers[..., 1].min(axis=1)
    assert lowest.min() > -1e-9
    assert lowest.max() < 0.2
    at = {marker: motion.markers[:, index] for marker, index in MARKER.items()}
    for side in ("left", "right"):
        thigh, shin = at[f"{side}_knee"] - at[f"{side}_hip"], at[f"{side}_ankle"] - at[f"{side}_knee"]
        left = at["left_hip"] - at["right_hip"]
        assert (np.cross(thigh, shin) * left).sum(axis=1).min() > -1e-3, "a knee bends forward"


def sphere() -> tuple[np.ndarray, np.ndarray]:
    body = load_cast().template
    return body.vertices, body.triangles


def test_a_cut_runs_where_the_measure_is_zero():
    cast = load_cast()
    part = skin_part(cast.template, cast.template, 0)
    keep = part.coordinates[:, 1] - 1.0
    upper, lower = cut(part, keep), cut(part, -keep)
    assert upper.coordinates[:, 1].min() == pytest.approx(1.0, abs=1e-9)
    assert lower.coordinates[:, 1].max() == pytest.approx(1.0, abs=1e-9)

    def area(piece) -> float:
        a, b, c = (piece.vertices[piece.triangles[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    assert area(upper) + area(lower) == pytest.approx(area(part), rel=1e-9)
    np.testing.assert_allclose(upper.weights.sum(axis=1), 1, atol=1e-9)


def test_normals_point_outward_and_inflating_adds_volume():
    cast = load_cast()
    vertices, triangles = sphere()
    normals = vertex_normals(vertices, triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)

    def volume(points: np.ndarray) -> float:
        a, b, c = (points[triangles[:, corner]] for corner in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    part = skin_part(cast.template, cast.template, 0)
    grown = inflate(part, np.full(len(vertices), 0.005))
    assert volume(grown.vertices) > 1.05 * volume(vertices)


def write_bvh(path: Path, motion_lines: str, frames: int, scale: float = 100.0) -> Path:
    """A small human whose limbs hang straight down, in centimetres or any other unit."""

    def joint(name: str, offset: tuple[float, float, float], *children: str) -> str:
        inside = "".join(children) or "End Site { OFFSET 0 -5 0 }"
        x, y, z = (scale * value for value in offset)
        return f"JOINT {name} {{ OFFSET {x} {y} {z} CHANNELS 3 Zrotation Xrotation Yrotation {inside} }} "

    def leg(side: str, sign: float) -> str:
        foot = joint(f"{side}Foot", (0, -0.4, 0))
        return joint(f"{side}UpLeg", (sign * 0.1, 0, 0), joint(f"{side}Leg", (0, -0.4, 0), foot))

    def arm(side: str, sign: float) -> str:
        hand = joint(f"{side}Hand", (0, -0.25, 0))
        return joint(f"{side}Arm", (sign * 0.2, 0.2, 0), joint(f"{side}ForeArm", (0, -0.3, 0), hand))

    spine = joint("Spine", (0, 0.25, 0), joint("Neck", (0, 0.25, 0), joint("Head", (0, 0.1, 0))), arm("Left", 1),
                  arm("Right", -1))  # fmt: skip
    root = (
        "ROOT Hips { OFFSET 0 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation "
        + leg("Left", 1) + leg("Right", -1) + spine + "}"
    )  # fmt: skip
    path.write_text(f"HIERARCHY {root} MOTION Frames: {frames} Frame Time: 0.05 {motion_lines}")
    return path


def test_a_bvh_file_becomes_the_motion_it_describes(tmp_path):
    # Joints in the order of the file; the left thigh is the second one. Frame 2 lifts it forward by 90 degrees: from
    # down to front is a turn of -90 about x.
    joints = 15  # but for the root
    first = ["0", "80", "0", "0", "0", "0"] + ["0"] * (3 * joints)
    second = list(first)
    second[2] = "30"
    second[6 + 1] = "-90"
    motion = read_bvh(write_bvh(tmp_path / "a.bvh", " ".join(first + second), 2))
    assert motion.fps == pytest.approx(20)
    thigh = motion.markers[:, MARKER["left_knee"]] - motion.markers[:, MARKER["left_hip"]]
    np.testing.assert_allclose(thigh, [[0, -LEG / 2, 0], [0, 0, LEG / 2]], atol=1e-9)
    travel = motion.markers[1, 0] - motion.markers[0, 0]
    np.testing.assert_allclose(travel, [0, 0, 0.3 * LEG / 0.8], atol=1e-9)
    nose = motion.markers[0, MARKER["nose"]] - motion.markers[0, MARKER["neck"]]
    np.testing.assert_allclose(nose, [0, 0.12, 0.12], atol=1e-9)


def test_the_unit_of_a_bvh_file_does_not_matter(tmp_path):
    values = " ".join(["0"] * (2 * (6 + 3 * 15)))
    in_metres, in_inches = (
        read_bvh(write_bvh(tmp_path / f"{scale}.bvh", values, 2, scale)).markers for scale in (1.0, 39.37)
    )
    np.testing.assert_allclose(in_metres, in_inches, atol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a motion",
        "HIERARCHY ROOT Hips { OFFSET 0 0",
        "HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 1 Wrotation } MOTION Frames: 2 Frame Time: 0.1 1 2",
        "HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 1 Xrotation } MOTION Frames: 2 Frame Time: 0.1 1",
        "HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 1 Xrotation } MOTION Frames: 2 Frame Time: 0.1 1 nan",
        "HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 1 Xrotation } MOTION Frames: 2 Frame Time: 0.1 1 2",
        "HIERARCHY } MOTION Frames: 2 Frame Time: 0.1 1 2",
    ],
)
def test_a_damaged_bvh_file_is_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "bad.bvh"
    path.write_text(text)
    with pytest.raises(InputError, match=r"expected .*bad\.bvh"):
        read_bvh(path)


def test_a_missing_or_binary_bvh_file_is_refused(tmp_path):
    path = tmp_path / "bytes.bvh"
    path.write_bytes(b"\xff\xfe\x00\x81" * 10)
    for bad in (path, tmp_path / "absent.bvh"):
        with pytest.raises(InputError, match="readable BVH"):
            read_bvh(bad)
