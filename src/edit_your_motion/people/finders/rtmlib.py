"""People by rtmlib: whole-body networks (DWPose, RTMW) that see hands and faces as well.

The networks are ONNX files that the user brings; rtmlib runs them, and what they find becomes OpenPose's points here.
"""

import contextlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from edit_your_motion.errors import MissingExtraError, ModelFileError
from edit_your_motion.models.downloads import may_download
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection, PersonSegmenter, hide_outside

WHOLEBODY_POINTS = 133
OPENPOSE_SOURCES = (0, 5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which COCO point each OpenPose joint takes; the neck is put between the shoulders afterwards."""
LEFT_EYE, RIGHT_EYE, LEFT_SHOULDER, RIGHT_SHOULDER = 1, 2, 5, 6
FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)

FindPeople = Callable[[np.ndarray], np.ndarray]
"""A picture (h w 3, blue first) to boxes (n 4)."""
ReadPose = Callable[..., tuple[np.ndarray, np.ndarray]]
"""A picture (h w 3, red first) and ``bboxes`` (n 4) to points (n 133 2) and scores (n 133)."""

logger = logging.getLogger(__name__)


class Rtmlib:
    """Finds people with one network of rtmlib and reads each one's 133 points with another.

    Args:
        find_people: rtmlib's person detector.
        read_pose: rtmlib's whole-body pose network, with COCO-WholeBody's order.
        segmenter: finds the masks, which these networks do not; None leaves them out.
        min_score: a person whose body's points score less on average is nobody; [0, 1].
    """

    name = "rtmlib"

    def __init__(
        self,
        find_people: FindPeople,
        read_pose: ReadPose,
        *,
        segmenter: PersonSegmenter | None = None,
        min_score: float = 0.2,
    ) -> None:
        self.find_people = find_people
        self.read_pose = read_pose
        self.segmenter = segmenter
        self.min_score = min_score

    def detect(
        self, frames: UInt8[np.ndarray, "f h w 3"], *, on_frame: OnFrame | None = None
    ) -> list[list[PersonDetection]]:
        """The people in each frame, with hands and faces, and with masks if there is a segmenter.

        Args:
            frames: in order.
            on_frame: called after each frame with how many are done and how many there are.
        """
        people = []
        for done, frame in enumerate(frames, start=1):
            people.append(self._detect_in(frame))
            if on_frame is not None:
                on_frame(done, len(frames))
        return people

    def _detect_in(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[PersonDetection]:
        # The detector (YOLOX) learnt from pictures with blue first, the pose networks from red first; rtmlib itself
        # converts neither.
        boxes = np.asarray(self.find_people(np.ascontiguousarray(frame[..., ::-1])), np.float32).reshape(-1, 4)
        if not len(boxes):
            # Without boxes rtmlib would read the whole picture as one person.
            return []
        points, scores = self.read_pose(frame, bboxes=boxes)
        # Scores are peaks of unnormalised distributions and may leave [0, 1] slightly.
        wholes = np.concatenate([points, np.clip(scores, 0, 1)[..., None]], axis=2).astype(np.float32)
        people = []
        for box, whole in zip(boxes, wholes, strict=True):
            parts = to_openpose(whole)
            score = float(parts[0][:, 2].mean())
            if score >= self.min_score:
                body, hands, face = (hide_outside(points, *frame.shape[:2]) for points in parts)
                mask = self.segmenter.segment(frame, box) if self.segmenter else None
                people.append(PersonDetection(box, score, body, hands, face, mask))
        return people


def to_openpose(
    whole: Float[np.ndarray, "133 3"],
) -> tuple[Float32[np.ndarray, "18 3"], Float32[np.ndarray, "2 21 3"], Float32[np.ndarray, "70 3"]]:
    """COCO-WholeBody's 133 points as OpenPose's body, hands (left, right) and face.

    The face's last two points, the pupils, are the right and the left eye of the body.
    """
    body = whole[list(OPENPOSE_SOURCES)]
    shoulders = whole[[LEFT_SHOULDER, RIGHT_SHOULDER]]
    body[1] = [*shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()]
    hands = np.stack([whole[LEFT_HAND], whole[RIGHT_HAND]])
    face = np.concatenate([whole[FACE], whole[[RIGHT_EYE, LEFT_EYE]]])
    return body.astype(np.float32), hands.astype(np.float32), face.astype(np.float32)


def load_rtmlib(
    detector: str | Path | None = None,
    pose: str | Path | None = None,
    *,
    device: str = "cpu",
    masks: bool = True,
    fetch: bool = False,
    num_threads: int = 1,
    min_score: float = 0.2,
) -> Rtmlib:
    """The rtmlib backend on two ONNX files.

    Args:
        detector: a YOLOX person detector; None for the one that rtmlib's `Wholebody` names, which rtmlib downloads.
        pose: a whole-body network of 133 points (RTMW, DWPose); None for the one that `Wholebody` names.
        device: where rtmlib runs them, "cpu" or "cuda".
        masks: let BlazePose find a mask in each person's box.
        fetch: download what is absent.
        num_threads: that BlazePose may use.
        min_score: a person whose body's points score less on average is nobody; [0, 1].

    Raises:
        MissingExtraError: rtmlib or onnxruntime is not installed.
        ModelFileError: a file is absent or cannot be read.
    """
    try:
        import onnxruntime  # noqa: F401  (rtmlib imports it later, and would not name it as missing)
        from rtmlib import YOLOX, RTMPose, Wholebody
    except ImportError as problem:
        raise MissingExtraError(problem.name or "rtmlib", "rtmlib", "the rtmlib people backend") from None
    published = Wholebody.MODE["balanced"]
    find_people = _open_network(YOLOX, detector, published["det"], device, fetch)
    read_pose = _open_network(RTMPose, pose, published["pose"], device, fetch)
    height, width = _input_size(find_people.session, (640, 640))
    find_people.model_input_size = (height, width)
    height, width = _input_size(read_pose.session, (384, 288))
    read_pose.model_input_size = (width, height)
    if not masks:
        return Rtmlib(find_people, read_pose, min_score=min_score)
    from edit_your_motion.people.finders.blazepose import BlazePose

    return Rtmlib(
        find_people, read_pose, segmenter=BlazePose(fetch=fetch, num_threads=num_threads), min_score=min_score
    )


def _open_network(kind: Callable[..., Any], path: str | Path | None, address: str, device: str, fetch: bool) -> Any:
    """The network in a file, or rtmlib's own from where it is published."""
    if path is None and not (fetch and may_download()):
        raise ModelFileError(
            f"expected an ONNX file for rtmlib, got none; give a path, or allow the download of {address}"
        )
    # rtmlib takes a path that does not exist for an address to download from.
    if path is not None and not Path(path).is_file():
        raise ModelFileError(f"expected an ONNX file for rtmlib at {path}, which is not there")
    name = address if path is None else str(path)
    logger.info("rtmlib opens %s", name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return kind(name, backend="onnxruntime", device=device)
    except Exception as problem:  # neither onnxruntime's errors nor the download's have a common base of their own
        raise ModelFileError(f"{name} is not an ONNX file that rtmlib can run: {problem}") from problem


def _input_size(session: Any, default: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a network's picture; the default where the file leaves them open."""
    _, _, height, width = session.get_inputs()[0].shape
    return (height, width) if isinstance(height, int) and isinstance(width, int) else default
