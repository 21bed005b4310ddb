"""Keypoints in files: OpenPose's JSON in its several habits, and our own; every fault is named where it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.keypoints_file import load_keypoints, save_keypoints
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.formats.pose_files import read_poses
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints


@pytest.fixture
def keypoints() -> Keypoints:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 400, (3, 130, 3)).astype(np.float32)
    points[..., 2] = rng.uniform(0.2, 1, (3, 130))
    points[rng.uniform(size=(3, 130)) < 0.1] = 0
    points[2] = 0
    hands = points[:, 18:60].reshape(3, 2, 21, 3)
    return Keypoints(body=points[:, :18], height=480, width=640, hands=hands, face=points[:, 60:])


def assert_same(one: Keypoints, other: Keypoints) -> None:
    assert (one.height, one.width) == (other.height, other.width)
    np.testing.assert_array_equal(one.body, other.body)
    for part, counterpart in ((one.hands, other.hands), (one.face, other.face)):
        assert (part is None) == (counterpart is None)
        if part is not None and counterpart is not None:
            np.testing.assert_array_equal(part, counterpart)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def flat(count: int, start: float = 10.0) -> list[float]:
    return [value for index in range(count) for value in (start + index, start + 2 * index, 0.9)]


def test_openpose_round_trip(tmp_path: Path, keypoints: Keypoints) -> None:
    files = write_openpose(tmp_path / "clip", keypoints)
    assert len(files) == 3
    assert json.loads(files[2].read_text())["people"] == []
    assert_same(read_poses(tmp_path / "clip"), keypoints)
    assert sorted(tmp_path.glob("clip/*")) == files


def test_our_file_round_trip(tmp_path: Path, keypoints: Keypoints) -> None:
    path = tmp_path / "new" / "keypoints.json"
    save_keypoints(path, keypoints)
    assert_same(load_keypoints(path), keypoints)
    assert sum('{"frame":' in line for line in path.read_text().splitlines()) == 3
    body_only = Keypoints(keypoints.body, 480, 640)
    save_keypoints(path, body_only)
    assert_same(load_keypoints(path), body_only)


def test_body_25_keeps_the_eighteen(tmp_path: Path) -> None:
    """The names of BODY_25 are OpenPose's; the middle of the hips and the feet have no place among ours."""
    names = ["nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
             "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
             "right_eye", "left_eye", "right_ear", "left_ear"]  # fmt: skip
    file = write(tmp_path / "a.json", {"people": [{"pose_keypoints_2d": flat(25)}]})
    read = read_poses(file, height=100, width=100)
    for joint, name in enumerate(BODY_JOINTS):
        index = names.index(name)
        np.testing.assert_allclose(read.body[0, joint], [10 + index, 10 + 2 * index, 0.9])


def test_shares_of_the_canvas_become_pixels(tmp_path: Path) -> None:
    """DWPose's habit: coordinates in 0..1, the canvas beside, a list of one, null for hands that are not there."""
    body = [value for _ in range(18) for value in (0.5, 0.25, 1)]
    person = {"pose_keypoints_2d": body, "hand_left_keypoints_2d": None, "hand_right_keypoints_2d": [None] * 63}
    file = write(tmp_path / "a.json", [{"people": [person], "canvas_width": 640, "canvas_height": 480}])
    read = read_poses(file)
    np.testing.assert_allclose(read.body[0, :, :2], [[320, 120]] * 18)
    assert read.hands is None
    assert (read.height, read.width) == (480, 640)


def test_annotators_tables(tmp_path: Path) -> None:
    candidate = [[0.1 * index, 0.05 * index] for index in range(1, 19)]
    subset = [[-1.0] * 18, [float(index) if index != 4 else -1.0 for index in range(18)] + [0.9, 17]]
    content = {"bodies": {"candidate": candidate, "subset": subset}, "hands": [], "faces": []}
    read = read_poses(write(tmp_path / "a.json", content), height=200, width=100)
    assert not read.visible()[0, 4]
    np.testing.assert_allclose(read.body[0, 3], [40, 40, 1], rtol=1e-5)


def test_frames_follow_their_numbers_and_people_their_index(tmp_path: Path) -> None:
    for frame, people in ((10, 2), (9, 1), (2, 2)):
        person = [{"pose_keypoints_2d": flat(18, 100 * index + frame)} for index in range(people)]
        write(tmp_path / f"{frame}.png.json", {"people": person})
    read = read_poses(tmp_path, person=2, height=300, width=300)
    np.testing.assert_array_equal(read.visible().any(axis=1), [True, False, True])
    np.testing.assert_allclose(read.body[[0, 2], 0, 0], [102, 110])


GOOD = {"people": [{"pose_keypoints_2d": flat(18)}], "canvas_width": 100, "canvas_height": 100}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ('{"people": [NaN]}', "NaN is not a number"),
        ("[" * 100_000, "expected JSON"),
        ({"persons": []}, "OpenPose's people"),
        ({"animals": []}, "got an object of animals"),
        ({"people": [3]}, "list of objects"),
        ({"people": []}, "expected body points of a person, got none"),
        (
            {"people": [{"pose_keypoints_2d": [1, 2, 3]}]},
            "person 0, pose_keypoints_2d: expected 51 or 54 or 75",
        ),
        ({"people": [{"pose_keypoints_2d": ["x"] * 54}]}, "expected a number within"),
        ({"people": [{"pose_keypoints_2d": [1e300] * 54}]}, "expected a number within"),
        ({"people": [{"pose_keypoints_2d": [True] * 54}]}, "expected a number within"),
        ({"people": [{"pose_keypoints_2d": [5, 5, -1] * 18}]}, "confidences of 0 or more"),
        ({**GOOD, "canvas_width": 10**9}, "canvas_width"),
        ({"people": GOOD["people"]}, "give the video that the keypoints are of"),
        ({**GOOD, "people": [{"pose_keypoints_2d": [0] * 54}]}, "got none in any"),
        ({"bodies": {"candidate": [[1, 1]], "subset": [[7] * 18]}}, "expected one of 1 points, got 7"),
        ({"bodies": 3}, '"candidate" and "subset"'),
    ],
)
def test_faulty_openpose_files_are_named(tmp_path: Path, content: Any, message: str) -> None:
    file = write(tmp_path / "frame_7.json", content)
    with pytest.raises(PersonError) as caught:
        read_poses(file)
    assert message in str(caught.value)
    assert "frame_7.json" in str(caught.value)


def test_canvases_that_differ_are_named(tmp_path: Path) -> None:
    write(tmp_path / "1.json", GOOD)
    write(tmp_path / "2.json", {**GOOD, "canvas_width": 90})
    with pytest.raises(PersonError, match=r"100x100 in frame 0 and 90x100 in frame 1"):
        read_poses(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PersonError, match="got 0"):
        read_poses(tmp_path / "empty")


def ours(**changes: Any) -> dict[str, Any]:
    rows = [{"frame": frame, "body": {"nose": [1.5, 2.5, 0.9], "neck": None}} for frame in range(2)]
    return {"format": "edit-your-motion keypoints", "version": 1, "height": 9, "width": 9, "frames": rows, **changes}


def test_a_file_written_by_hand(tmp_path: Path) -> None:
    read = load_keypoints(write(tmp_path / "k.json", ours()))
    np.testing.assert_array_equal(read.body[1, 0], np.float32([1.5, 2.5, 0.9]))
    assert read.visible().sum() == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"people": []}, "save it anew"),
        (ours(version=2), "expected version 1, got 2"),
        (ours(height=0), "height to be a whole number"),
        (ours(width=9.5), "width to be a whole number"),
        (ours(widht=9), "'widht'"),
        (ours(frames=[]), "1 to"),
        (ours(frames=[{"frame": 0, "body": {"nose": [1, 2]}}]), "frame 0, nose: expected [x, y, confidence]"),
        (ours(frames=[{"frame": 0, "body": {"nose": [1, 2, 1.5]}}]), "frame 0, nose: expected a confidence in 0..1"),
        (ours(frames=[{"frame": 0, "body": {"nose": [1, "2", 1]}}]), "frame 0, nose: expected a number"),
        (ours(frames=[{"frame": 0}, {"frame": 2}]), 'frame 1: expected a row with "frame": 1'),
        (ours(frames=[{"frame": 0, "body": {"tail": [1, 2, 1]}}]), "got 'tail'"),
        (ours(frames=[{"frame": 0, "body": []}]), "frame 0: expected"),
        (ours(frames=[{"frame": 0, "face": [[1, 2, 1]]}]), "face: expected a list of 70 points or null, got 1"),
        (json.dumps(ours()).replace("1.5", "NaN", 1), "NaN"),
        (json.dumps(ours()).replace("1.5", "1e999", 1), "frame 0, nose: expected a number within"),
        (json.dumps(ours()).replace('"neck": null', '"nose": null', 1), "'nose' stands there twice"),
    ],
)
def test_faulty_files_of_ours_name_frame_and_joint(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(PersonError) as caught:
        load_keypoints(write(tmp_path / "k.json", content))
    assert message in str(caught.value)
    assert "k.json" in str(caught.value)


def test_absent_files_and_bad_points(tmp_path: Path, keypoints: Keypoints) -> None:
    with pytest.raises(PersonError, match="cannot be read"):
        load_keypoints(tmp_path / "absent.json")
    keypoints.body[1, 4] = [np.inf, 3, 0.5]
    for save, target in ((save_keypoints, tmp_path / "k.json"), (write_openpose, tmp_path / "folder")):
        with pytest.raises(PersonError, match="frame 1, right_wrist"):
            save(target, keypoints)
        assert not target.exists()
