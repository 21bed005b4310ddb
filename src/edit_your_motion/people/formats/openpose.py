"""OpenPose's JSON as we write it: one file a frame; reading is that of `pose_files`."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from edit_your_motion.people.formats.keypoints_file import check_points
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.storage.files import write_text


def write_openpose(folder: Path, keypoints: Keypoints) -> list[Path]:
    """Write one OpenPose JSON file a frame, in pixels with the canvas size beside, and return their paths.

    Raises:
        PersonError: a visible point is not finite, or a confidence is outside 0..1.
    """
    files = []
    for frame, content in enumerate(list_openpose(keypoints)):
        files.append(folder / f"{frame:06d}_keypoints.json")
        write_text(files[-1], json.dumps(content))
    return files


def list_openpose(keypoints: Keypoints) -> list[dict[str, Any]]:
    """The content of OpenPose's JSON of each frame, in pixels with the canvas size beside.

    Raises:
        PersonError: a visible point is not finite, or a confidence is outside 0..1.
    """
    check_points(keypoints)
    frames = []
    for frame in range(len(keypoints)):
        person: dict[str, object] = {"person_id": [-1], "pose_keypoints_2d": _flat(keypoints.body[frame])}
        if keypoints.face is not None:
            person["face_keypoints_2d"] = _flat(keypoints.face[frame])
        if keypoints.hands is not None:
            person["hand_left_keypoints_2d"], person["hand_right_keypoints_2d"] = map(_flat, keypoints.hands[frame])
        present = keypoints.visible()[frame].any()
        content: dict[str, Any] = {
            "version": 1.3,
            "people": [person] if present else [],
            "canvas_height": keypoints.height,
            "canvas_width": keypoints.width,
        }
        frames.append(content)
    return frames


def sorted_by_number(paths: Iterable[Path]) -> list[Path]:
    """Files in the order of the numbers in their names: 2 before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]

    return sorted((path for path in paths if not path.name.startswith(".")), key=key)


def _flat(points: Float32[np.ndarray, "points 3"]) -> list[float]:
    return [float(str(value)) for point in points for value in (point if point[2] > 0 else np.zeros(3, np.float32))]
