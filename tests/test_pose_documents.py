"""What pose tools write: the same dance, written down in every tool's way, is read back; the rest is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.joint_layouts import COCO_JOINTS
from edit_your_motion.people.formats.pose_files import read_poses
from edit_your_motion.people.formats.precomputed import load_precomputed
from edit_your_motion.people.keypoints import BODY_JOINTS

FRAMES, HEIGHT, WIDTH = 6, 360, 640
SHAPE = {"height": HEIGHT, "width": WIDTH}
COCO = [BODY_JOINTS.index(name) for name in COCO_JOINTS]


def make_points(count: int, seed: int = 0) -> np.ndarray:
    """So many points a frame, x, y, confidence, within the picture."""
    generator = np.random.default_rng(seed)
    points = np.ones((FRAMES, count, 3))
    points[..., :2] = generator.uniform(50, 350, (FRAMES, count, 2)).round(2)
    points[..., 2] = generator.uniform(0.3, 1, (FRAMES, count)).round(2)
    return points


BODY = make_points(18)
NECK = BODY_JOINTS.index("neck")
BODY[:, NECK] = np.concatenate([BODY[:, [2, 5], :2].mean(axis=1), BODY[:, [2, 5], 2].min(axis=1)[:, None]], axis=1)


def openpose(frame: int) -> dict[str, Any]:
    return {"people": [{"pose_keypoints_2d": BODY[frame].ravel().tolist()}]}


def flat(frame: int) -> list[float]:
    return list(BODY[frame, COCO].ravel().tolist())


def rows(frame: int) -> list[list[float]]:
    return list(BODY[frame, COCO].tolist())


def apart(frame: int) -> dict[str, Any]:
    return {"keypoints": BODY[frame, COCO, :2].tolist(), "keypoint_scores": BODY[frame, COCO, 2].tolist()}


def visibility(frame: int) -> list[float]:
    return list(np.concatenate([BODY[frame, COCO, :2], np.full((17, 1), 2)], axis=1).ravel().tolist())


NAMES = dict(enumerate(COCO_JOINTS))
DOCUMENTS: dict[str, Any] = {
    "ComfyUI": [{**openpose(frame), "canvas_height": HEIGHT, "canvas_width": WIDTH} for frame in range(FRAMES)],
    "ComfyUI, nested": [[openpose(frame)] for frame in range(FRAMES)],
    "AlphaPose": [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": flat(frame), "score": 2.5}
        for frame in reversed(range(FRAMES))
    ],
    "COCO results": [{"image_id": 17 + frame, "keypoints": flat(frame), "score": 1} for frame in range(FRAMES)],
    "COCO annotations": {
        "images": [
            {"id": 1000 - frame, "file_name": f"clip_{frame:04d}.png", "height": HEIGHT, "width": WIDTH}
            for frame in range(FRAMES)
        ],
        "annotations": [
            {"image_id": 1000 - frame, "num_keypoints": 17, "keypoints": visibility(frame)} for frame in range(FRAMES)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_JOINTS)}],
    },
    "MMPose": {
        "meta_info": {"keypoint_id2name": {str(index): name for index, name in NAMES.items()}},
        "instance_info": [{"frame_id": 1 + frame, "instances": [apart(frame)]} for frame in range(FRAMES)],
    },
    "easy_ViTPose": {
        "keypoints": [{"1": [[y, x, score] for x, y, score in rows(frame)]} for frame in range(FRAMES)],
        "skeleton": NAMES,
    },
    "ViTPose": [
        [{"keypoints": apart(frame)["keypoints"], "scores": apart(frame)["keypoint_scores"], "labels": [0] * 17}]
        for frame in range(FRAMES)
    ],
    "Ultralytics": [
        [{"name": "person", "keypoints": dict(zip(("x", "y", "visible"), BODY[frame, COCO].T.tolist(), strict=True))}]
        for frame in range(FRAMES)
    ],
    "by number": {str(frame): openpose(frame) for frame in reversed(range(FRAMES))},
    "by picture": {f"clip_{frame:03d}.png": [apart(frame)] for frame in range(FRAMES)},
    "points by number": {str(frame): BODY[frame].ravel().tolist() for frame in range(FRAMES)},
    "under frames": {"frames": [openpose(frame) for frame in range(FRAMES)], "width": WIDTH, "height": HEIGHT},
    "numbered people": [{"frame_index": 3 + frame, "keypoints": rows(frame)} for frame in range(FRAMES)],
    "flat numbers": BODY.reshape(FRAMES, -1).tolist(),
    "numbers": BODY.tolist(),
    "numbers of people": BODY[:, None, COCO].tolist(),
}


WHOLE = {
    *("AlphaPose", "COCO results", "COCO annotations", "MMPose", "easy_ViTPose"),
    *("by number", "by picture", "points by number", "under frames", "numbered people", "flat numbers"),
}
"""One document for the clip; of the others there may be one for each frame."""
PIXELS = {"COCO annotations", "Ultralytics", "easy_ViTPose"}
"""In pixels by definition."""


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_tools_document_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "k.json").write_text(json.dumps(DOCUMENTS[name]))
    assert_read(tmp_path / "k.json", name)


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - PIXELS))
def test_shares_of_the_picture_become_pixels(tmp_path: Path, name: str) -> None:
    (tmp_path / "k.json").write_text(json.dumps(scale_numbers(DOCUMENTS[name])))
    assert_read(tmp_path / "k.json", name)


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - WHOLE))
def test_a_line_or_a_file_may_be_a_frame(tmp_path: Path, name: str) -> None:
    lines = [json.dumps(document) for document in DOCUMENTS[name]]
    (tmp_path / "k.jsonl").write_text("\n".join(lines))
    (tmp_path / "k").mkdir()
    for frame, line in enumerate(lines):
        (tmp_path / "k" / f"clip-{frame + 7}_keypoints.json").write_text(line)
    assert_read(tmp_path / "k.jsonl", name)
    assert_read(tmp_path / "k", name)


def assert_read(path: Path, name: str) -> None:
    read = load_precomputed(path, **SHAPE).keypoints
    assert read is not None
    assert (read.height, read.width) == (HEIGHT, WIDTH)
    np.testing.assert_allclose(read.body[..., :2], BODY[..., :2], atol=0.05)
    if "annotations" not in name:
        np.testing.assert_allclose(read.body[..., 2], BODY[..., 2], atol=1e-6)


def scale_numbers(content: Any) -> Any:
    """Points [x, y, confidence], [x, y] and flat lists of three as shares of the picture."""
    if isinstance(content, dict):
        kept = ("keypoint_scores", "scores", "score", "canvas_width", "canvas_height")
        return {key: value if key in kept else scale_numbers(value) for key, value in content.items()}
    if isinstance(content, list) and content and isinstance(content[0], float) and len(content) in (2, 3, 51, 54):
        step = 2 if len(content) == 2 else 3
        sides = (WIDTH, HEIGHT, 1)
        return [value / sides[index % step] for index, value in enumerate(content)]
    return [scale_numbers(entry) for entry in content] if isinstance(content, list) else content


def coco_of(points: np.ndarray, neck: int | None = None) -> np.ndarray:
    """Our 18 joints out of points whose first 17 are COCO's, by the names."""
    body = np.zeros((FRAMES, 18, 3))
    for joint, name in enumerate(BODY_JOINTS):
        if name != "neck":
            body[:, joint] = points[:, COCO_JOINTS.index(name)]
    between = np.concatenate([body[:, [2, 5], :2].mean(1), body[:, [2, 5], 2].min(1)[:, None]], axis=1)
    body[:, NECK] = between if neck is None else points[:, neck]
    return body


BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
Expected = Callable[[np.ndarray], np.ndarray]
LAYOUTS: dict[int, tuple[Expected, slice | None, slice | None]] = {
    17: (coco_of, None, None),
    25: (lambda points: points[:, BODY_25], None, None),
    26: (lambda points: coco_of(points, 18), None, None),
    133: (coco_of, slice(91, 133), slice(23, 91)),
    134: (lambda points: points[:, :18], slice(92, 134), slice(24, 92)),
    136: (lambda points: coco_of(points, 18), slice(94, 136), slice(26, 94)),
    137: (lambda points: points[:, BODY_25], None, None),
}


@pytest.mark.parametrize("count", LAYOUTS)
def test_layouts_are_told_apart_by_their_counts(tmp_path: Path, count: int) -> None:
    points = make_points(count, seed=count)
    (tmp_path / "k.json").write_text(json.dumps(points.tolist()))
    np.save(tmp_path / "k.npy", points.astype(np.float32))
    body, hands, face = LAYOUTS[count]
    for name in ("k.json", "k.npy"):
        read = read_poses(tmp_path / name, **SHAPE)
        np.testing.assert_allclose(read.body, body(points), rtol=1e-5)
        assert (read.hands is None, read.face is None) == (hands is None, face is None)
        if read.hands is not None and read.face is not None:
            np.testing.assert_allclose(read.hands.reshape(FRAMES, 42, 3), points[:, hands], rtol=1e-5)
            np.testing.assert_allclose(read.face[:, :68], points[:, face], rtol=1e-5)


def test_body_135_has_its_wrists_with_the_hands(tmp_path: Path) -> None:
    points = make_points(135)
    np.save(tmp_path / "k.npy", points)
    read = read_poses(tmp_path / "k.npy", **SHAPE)
    np.testing.assert_allclose(read.body, coco_of(points, 17), rtol=1e-5)
    assert read.hands is not None
    np.testing.assert_allclose(read.hands[:, :, 0], points[:, [9, 10]], rtol=1e-5)
    np.testing.assert_allclose(read.hands[:, 1, 1:], points[:, 45:65], rtol=1e-5)


def test_frames_with_nobody_keep_their_place(tmp_path: Path) -> None:
    gaps = {
        "null": [openpose(0), None, openpose(2), {"people": None}, {"people": []}, openpose(5)],
        "objects": [openpose(0), {}, openpose(2), {"canvas_width": WIDTH}, {"people": []}, openpose(5)],
        "by number": {"0": openpose(0), "1": None, "2": openpose(2), "3": {}, "5": openpose(5)},
        "AlphaPose": [{"image_id": f"{frame}.jpg", "keypoints": flat(frame)} for frame in (0, 2, 5)],
        "MMPose": {"instance_info": [{"frame_id": 1 + at, "instances": [apart(at)]} for at in (0, 2, 5)]},
        "empty": [[apart(frame)] if frame in (0, 2, 5) else [] for frame in range(FRAMES)],
    }
    for name, content in gaps.items():
        (tmp_path / "k.json").write_text(json.dumps(content))
        read = read_poses(tmp_path / "k.json", **SHAPE)
        assert np.flatnonzero(read.visible().any(axis=1)).tolist() == [0, 2, 5], name
        np.testing.assert_allclose(read.body[2, :, :2], BODY[2, :, :2], atol=0.01)


def test_a_frame_s_own_size_is_its_canvas(tmp_path: Path) -> None:
    for names in (("width", "height"), ("image_width", "image_height")):
        sides = dict(zip(names, (WIDTH, HEIGHT), strict=True))
        (tmp_path / "k.json").write_text(json.dumps([{**openpose(frame), **sides} for frame in range(FRAMES)]))
        read = read_poses(tmp_path / "k.json")
        assert (read.width, read.height) == (WIDTH, HEIGHT)


def test_a_canvas_may_be_written_with_a_point(tmp_path: Path) -> None:
    documents = [{**openpose(frame), "canvas_height": 360.0, "canvas_width": 640.0} for frame in range(FRAMES)]
    (tmp_path / "k.json").write_text(json.dumps(documents))
    read = read_poses(tmp_path / "k.json")
    assert (read.height, read.width) == (360, 640)
    (tmp_path / "k.json").write_text(json.dumps([{**documents[0], "canvas_width": 640.5}]))
    with pytest.raises(PersonError, match="whole number"):
        read_poses(tmp_path / "k.json")


def test_points_that_were_not_found_are_absent(tmp_path: Path) -> None:
    """They are null, 0 0 0, 0 0, a negative confidence or, in arrays, not a number."""
    body = BODY.copy()
    body[:, 4] = 0
    for form in ("null", "zeros", "pairs", "nan"):
        points: Any = body[..., :2].tolist() if form == "pairs" else body.tolist()
        if form == "null":
            points = [{"people": [{"pose_keypoints_2d": [v or None for row in one for v in row]}]} for one in points]
        path = tmp_path / "k.json"
        path.write_text(json.dumps(points))
        if form == "nan":
            path = tmp_path / "k.npy"
            np.save(path, np.where(body == 0, np.nan, body))
        read = read_poses(path, **SHAPE)
        assert np.flatnonzero(~read.visible().all(axis=0)).tolist() == [4], form


def test_the_person_is_followed_though_tools_list_people_in_any_order(tmp_path: Path) -> None:
    large = np.ones((FRAMES, 18, 3))
    large[..., :2] = np.random.default_rng(1).uniform(0, 1, (18, 2)) * (90, 200) + (400, 80)
    large[..., 0] += 5 * np.arange(FRAMES)[:, None]
    small = large * (0.5, 0.5, 1)
    content = [
        {"people": [{"pose_keypoints_2d": one[frame].ravel().tolist()} for one in order]}
        for frame, order in enumerate([(large, small), (small, large)] * 3)
    ]
    (tmp_path / "k.json").write_text(json.dumps(content))
    for person, expected in ((None, large), (1, small), (2, large)):
        read = read_poses(tmp_path / "k.json", person=person, **SHAPE)
        np.testing.assert_allclose(read.body, expected, atol=0.01)
    with pytest.raises(PersonError, match="expected a person 3, got at most 2"):
        read_poses(tmp_path / "k.json", person=3, **SHAPE)


L_EYE = {"keypoint_id2name": {"0": "L_Eye"}}
ANIMAL = {"meta_info": L_EYE, "instance_info": [{"frame_id": 0, "instances": [apart(0)]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "got none in any"),
        (3, "expected OpenPose's people"),
        ({"data": [1]}, "got an object of data"),
        ([{"data": [1]}], "got a list of objects of data"),
        ([1, 2, 3], "got int64 of shape (3)"),
        ([[1, 2, 3]], "points, got 1"),
        ([[1, 2], [1, 2, 3]], "uneven lengths"),
        (make_points(19).tolist(), "got 19"),
        ([[["1", "2"]] * 17], "got <U1"),
        ([{"image_id": "cover.jpg", "keypoints": flat(0)}], "a name with one, got 'cover.jpg'"),
        ([{"image_id": 0, "keypoints": flat(0)}, {"image_id": 10**11, "keypoints": flat(0)}], "at most 200000 frames"),
        ([{"image_id": 0, "keypoints": [1, 2, "3"] * 17}], "expected a number within"),
        ([{"image_id": 0, "keypoints": [1, 2, 3] * 16}], "got 16"),
        ([{"keypoints": {"x": 3}}], 'lists "x", "y"'),
        ([{**apart(0), "keypoint_scores": [1.0]}], "17 scores, one a keypoint, got 1"),
        (ANIMAL, "joints named as COCO's"),
        ({"keypoints": [[1]], "skeleton": NAMES}, "person by number"),
        ({"1": openpose(0), "a_01.png": openpose(1)}, "number 1 again"),
        ({"1": BODY.tolist(), "2": openpose(1)}, "got 6 frames"),
        ({"images": 3, "annotations": []}, "lists of objects"),
        ({"images": [], "annotations": [], "categories": 3}, "lists of objects"),
        ([openpose(0), {"people": [{"pose_keypoints_2d": [1, 2, 3]}]}], "frame 1, person 0"),
        ((BODY * (5, 5, 1)).tolist(), "pixels of 640x360, most points lie outside"),
        (((BODY - (200, 200, 0)) / (300, 300, 1)).tolist(), "shares of the picture, 0 to 1"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "k.json").write_text(json.dumps(content))
    with pytest.raises(PersonError) as caught:
        read_poses(tmp_path / "k.json", **SHAPE)
    assert message in str(caught.value)
    assert "k.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("numbers", [2, 3])
@pytest.mark.parametrize("count", [17, 18])
def test_a_row_of_an_array_may_be_a_frame(tmp_path: Path, numbers: int, count: int) -> None:
    points = BODY[:, COCO] if count == 17 else BODY
    np.save(tmp_path / "k.npy", points[..., :numbers].reshape(FRAMES, -1))
    read = load_precomputed(tmp_path / "k.npy", **SHAPE).keypoints
    assert read is not None
    np.testing.assert_allclose(read.body[..., :2], BODY[..., :2], rtol=1e-6)


def a_hand(x: float, y: float) -> list[list[float]]:
    """A small hand that hangs down from a wrist."""
    return [[x + index % 5, y + index] for index in range(21)]


TABLES = {
    "person by person": lambda lefts, rights: [lefts[0], rights[0], lefts[1], rights[1]],
    "side by side": lambda lefts, rights: [*lefts, *rights],
    "the other person first": lambda lefts, rights: [rights[1], lefts[1], lefts[0], rights[0]],
    "one not found": lambda lefts, rights: [rights[0], lefts[1], rights[1]],
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("person", [1, 2])
def test_hands_hang_on_their_own_wrists(tmp_path: Path, name: str, person: int) -> None:
    """The annotators' tables list hands in orders of their own, and leave out those that they do not find."""
    bodies = [[[left + index, 100 + 5 * index] for index in range(18)] for left in (100, 400)]
    wrists = {side: BODY_JOINTS.index(f"{side}_wrist") for side in ("left", "right")}
    for body in bodies:
        body[wrists["left"]][0] += 80
        body[wrists["right"]][0] -= 80
    lefts, rights = ([a_hand(*body[wrists[side]]) for body in bodies] for side in ("left", "right"))
    content = {
        "bodies": {"candidate": [*bodies[0], *bodies[1]], "subset": [list(range(18)), list(range(18, 36))]},
        "hands": TABLES[name](lefts, rights),
        "faces": [],
    }
    (tmp_path / "k.json").write_text(json.dumps(content))
    read = read_poses(tmp_path / "k.json", person=person, **SHAPE)
    assert read.hands is not None
    for side, hands in enumerate((lefts, rights)):
        if name == "one not found" and (person, side) == (1, 0):
            assert not read.hands[0, side, :, 2].any()
        else:
            np.testing.assert_allclose(read.hands[0, side, :, :2], hands[person - 1])


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999, 99, 18, 3), }".ljust(117) + b"\n"
    (tmp_path / "claims.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)
    (tmp_path / "none.npy").write_bytes(b"")
    for name in ("k.npy", "claims.npy", "none.npy"):
        with pytest.raises(PersonError, match="plain array"):
            read_poses(tmp_path / name, **SHAPE)


def test_the_list_of_a_comfyui_node(cases: Path) -> None:
    read = load_precomputed(cases / "comfy_list.json").keypoints
    assert read is not None
    assert (len(read), read.height, read.width) == (8, 360, 640)
    np.testing.assert_allclose(read.body[0, 0], [200.0, 76.3, 0.9], rtol=1e-6)
