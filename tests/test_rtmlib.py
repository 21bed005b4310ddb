"""The rtmlib backend: the order of its points, and the real package on networks that answer with known values."""

from pathlib import Path

import numpy as np
import pytest

from edit_your_motion.errors import MissingExtraError, ModelFileError
from edit_your_motion.people.finders.backends import load_backend
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.finders.rtmlib import Rtmlib, load_rtmlib, to_openpose
from edit_your_motion.people.keypoints import BODY_JOINTS

COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
FRAME = np.zeros((48, 64, 3), np.uint8)


def _whole() -> np.ndarray:
    numbers = np.arange(133.0)
    return np.stack([numbers, numbers + 200, np.linspace(0.3, 0.9, 133)], axis=1)


def test_points_become_openpose_points_of_the_same_name() -> None:
    whole = _whole()
    body, hands, face = to_openpose(whole)
    for joint, point in zip(BODY_JOINTS, body, strict=True):
        if joint != "neck":
            np.testing.assert_allclose(point, whole[COCO.index(joint)], rtol=1e-6)
    np.testing.assert_allclose(body[1], [5.5, 205.5, whole[5, 2]], rtol=1e-6)
    assert hands[..., 0].tolist() == [list(range(91, 112)), list(range(112, 133))]
    assert face[:, 0].tolist() == [*range(23, 91), COCO.index("right_eye"), COCO.index("left_eye")]


def test_each_network_gets_the_channels_it_learnt_from() -> None:
    frame = np.zeros((400, 200, 3), np.uint8)
    frame[..., 0] = 255
    seen: list[np.ndarray] = []

    def find_people(picture: np.ndarray) -> np.ndarray:
        seen.append(picture[0, 0].copy())
        return np.array([[1, 2, 30, 40], [5, 5, 20, 20]])

    def read_pose(picture: np.ndarray, bboxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(picture[0, 0].copy())
        scores = np.stack([np.full(133, 1.2), np.full(133, 0.1)])
        return np.stack([_whole()[:, :2]] * len(bboxes)), scores

    people = Rtmlib(find_people, read_pose).detect(frame[None])[0]
    assert [pixel.tolist() for pixel in seen] == [[0, 0, 255], [255, 0, 0]]
    assert [person.box.tolist() for person in people] == [[1, 2, 30, 40]]
    assert (people[0].body[:, 2] == 1).all()
    assert people[0].mask is None


def test_a_segmenter_gives_each_person_a_mask() -> None:
    class Segmenter:
        def segment(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
            mask = np.zeros(frame.shape[:2], bool)
            mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
            return mask

    backend = Rtmlib(
        lambda picture: np.array([[1, 2, 11, 12]]),
        lambda picture, bboxes: (_whole()[None, :, :2], np.ones((1, 133))),
        segmenter=Segmenter(),
    )
    done: list[tuple[int, int]] = []
    people = backend.detect(np.stack([FRAME, FRAME]), on_frame=lambda *counts: done.append(counts))
    assert isinstance(backend, PeopleBackend)
    assert [person.mask.sum() for (person,) in people if person.mask is not None] == [100, 100]
    assert done == [(1, 2), (2, 2)]


def test_a_frame_without_people_is_not_read_as_a_person() -> None:
    def refuse(picture: np.ndarray, bboxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("there was nobody to read")

    assert Rtmlib(lambda picture: np.array([]), refuse).detect(FRAME[None]) == [[]]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rtmlib", None)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", object())
    with pytest.raises(MissingExtraError, match=r"edit-your-motion\[rtmlib\]"):
        load_rtmlib(tmp_path / "a.onnx", tmp_path / "b.onnx")


def _save_constant_network(path: Path, size: tuple[int, int], outputs: dict[str, np.ndarray]) -> None:
    """An ONNX file that answers every picture of that size with the same tensors."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    picture = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, *size])
    nodes, answers = [], []
    for name, value in outputs.items():
        constant = onnx.numpy_helper.from_array(value.astype(np.float32), f"{name}_value")
        nodes.append(helper.make_node("Constant", [], [name], value=constant))
        answers.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, value.shape))
    graph = helper.make_graph(nodes, "constant", [picture], answers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


def test_the_real_package_runs_the_files_at_their_own_sizes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("rtmlib")
    pytest.importorskip("onnxruntime")
    box, height, width = (8.0, 4.0, 56.0, 44.0), 128, 96
    # The detector scales 48 x 64 frames to 96 x 128 and so returns boxes of twice the size.
    detections = np.array([[[*(2 * edge for edge in box), 0.9], [0, 0, 9, 9, 0.1]]])
    columns, rows = np.arange(133) % (2 * width), 2 * np.arange(133) % (2 * height)
    across, down = np.zeros((1, 133, 2 * width)), np.zeros((1, 133, 2 * height))
    across[0, np.arange(133), columns], down[0, np.arange(133), rows] = 0.8, 0.7
    _save_constant_network(tmp_path / "detector.onnx", (128, 128), {"dets": detections})
    _save_constant_network(tmp_path / "pose.onnx", (height, width), {"simcc_x": across, "simcc_y": down})

    backend = load_backend("rtmlib", detector=str(tmp_path / "detector.onnx"), pose=tmp_path / "pose.onnx", masks=False)
    (person,) = backend.detect(FRAME[None])[0]
    assert capsys.readouterr().out == ""
    np.testing.assert_allclose(person.box, box)
    # The box is read with a margin of a quarter, at the aspect of the network's picture.
    read_height = 1.25 * max(box[3] - box[1], (box[2] - box[0]) * height / width)
    scale = read_height / height
    assert person.face is not None
    places = np.stack([columns, rows], axis=1)[23:91] / 2 * scale
    origin = np.array([32.0, 24.0]) - np.array([width, height]) * scale / 2
    expected = places + origin
    np.testing.assert_allclose(person.face[:68, :2], expected, atol=1e-3)
    inside = ((expected >= 0) & (expected < (64, 48))).all(axis=1)
    assert 0 < inside.sum() < 68
    np.testing.assert_allclose(person.face[:68, 2], np.where(inside, 0.75, 0), atol=0.06)


def test_files_that_are_not_there_or_no_networks_are_one_error(tmp_path: Path) -> None:
    pytest.importorskip("rtmlib")
    pytest.importorskip("onnxruntime")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelFileError, match=r"expected an ONNX file .* which is not there"):
        load_rtmlib(tmp_path / "absent.onnx", tmp_path / "text.onnx")
    with pytest.raises(ModelFileError, match="not an ONNX file"):
        load_rtmlib(tmp_path / "text.onnx", tmp_path / "text.onnx")
