"""OpenPose's JSON, as OpenPose, controlnet_aux, DWPose and DisCo write it: one file a frame.

Read are ``people[].pose_keypoints_2d`` with 18 points or 25 (BODY_25), the hands and the face, in pixels or as shares
of the canvas; ``canvas_width`` and ``canvas_height`` where they stand; a list of one such object; and the annotators'
raw ``bodies`` (``candidate`` and ``subset``), ``hands`` and ``faces``. Coordinates are taken as they are written.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from edit_your_motion.errors import PersonError
from edit_your_motion.files import write_text
from edit_your_motion.people.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS, Keypoints
from edit_your_motion.people.keypoints_file import (
    MAX_FRAMES,
    check_points,
    read_json,
    read_number,
    read_side,
)

_BODY_18_OF_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
_FIELDS = {
    "pose_keypoints_2d": (len(BODY_JOINTS), 25),
    "hand_left_keypoints_2d": (HAND_POINTS,),
    "hand_right_keypoints_2d": (HAND_POINTS,),
    "face_keypoints_2d": (FACE_POINTS, 68),
}
_LARGEST_SHARE = 2.0
"""Coordinates that all lie below are shares of the canvas: nobody is two pixels tall, few stand two canvases out."""


@dataclass(frozen=True)
class _Person:
    """One person in one frame, still in the file's own units."""

    body: Float32[np.ndarray, "18 3"]
    hands: Float32[np.ndarray, "2 21 3"]
    face: Float32[np.ndarray, "70 3"]


@dataclass(frozen=True)
class _Frame:
    people: Sequence[_Person]
    height: int | None
    width: int | None


def read_openpose(path: Path, *, person: int = 0, height: int | None = None, width: int | None = None) -> Keypoints:
    """The keypoints of one person in a folder of OpenPose JSON files, or in a single one.

    Args:
        path: a folder whose ``*.json`` are the frames, in the order of the numbers in their names; or one file.
        person: which of the people in each file; a frame with fewer has nobody.
        height: of the canvas, pixels, for files without a ``canvas_height``.
        width: of the canvas, pixels, for files without a ``canvas_width``.

    Returns:
        The keypoints, with hands and face where any frame has them.

    Raises:
        PersonError: a file is not as above (named), no frame has such a person, or the canvas is not known.
    """
    files = sorted_by_number(path.glob("*.json")) if path.is_dir() else [path]
    if not 0 < len(files) <= MAX_FRAMES:
        raise PersonError(f"{path}: expected 1 to {MAX_FRAMES} JSON files, one a frame, got {len(files)}")
    frames = [_read_frame(file) for file in files]
    most = max(len(frame.people) for frame in frames)
    if not 0 <= person < most:
        raise PersonError(f"{path}: expected a person of index {person}, got at most {most} people in a frame")
    canvas_height, canvas_width = _canvas(path, files, frames, height, width)

    nobody = _Person(*(np.zeros((*shape, 3), np.float32) for shape in ((18,), (2, HAND_POINTS), (FACE_POINTS,))))
    chosen = [frame.people[person] if person < len(frame.people) else nobody for frame in frames]
    body, hands, face = (np.stack([getattr(one, part) for one in chosen]) for part in ("body", "hands", "face"))
    every = np.concatenate([part[part[..., 2] > 0][:, :2].ravel() for part in (body, hands, face)])
    if every.size and np.abs(every).max() <= _LARGEST_SHARE:
        for part in (body, hands, face):
            part[..., :2] *= (canvas_width, canvas_height)
    keypoints = Keypoints(
        body=body,
        height=canvas_height,
        width=canvas_width,
        hands=hands if hands[..., 2].any() else None,
        face=face if face[..., 2].any() else None,
    )
    if not keypoints.visible().any():
        raise PersonError(f"{path}: expected body points of person {person}, got none in any frame")
    return keypoints


def write_openpose(folder: Path, keypoints: Keypoints) -> list[Path]:
    """Write one OpenPose JSON file a frame, in pixels with the canvas size beside, and return their paths.

    Raises:
        PersonError: a visible point is not finite, or a confidence is outside 0..1.
    """
    check_points(keypoints)
    files = []
    for frame in range(len(keypoints)):
        person: dict[str, object] = {"person_id": [-1], "pose_keypoints_2d": _flat(keypoints.body[frame])}
        if keypoints.face is not None:
            person["face_keypoints_2d"] = _flat(keypoints.face[frame])
        if keypoints.hands is not None:
            person["hand_left_keypoints_2d"], person["hand_right_keypoints_2d"] = map(_flat, keypoints.hands[frame])
        present = keypoints.visible()[frame].any()
        content = {
            "version": 1.3,
            "people": [person] if present else [],
            "canvas_height": keypoints.height,
            "canvas_width": keypoints.width,
        }
        files.append(folder / f"{frame:06d}_keypoints.json")
        write_text(files[-1], json.dumps(content))
    return files


def sorted_by_number(paths: Iterable[Path]) -> list[Path]:
    """Files in the order of the numbers in their names: 2 before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]

    return sorted((path for path in paths if not path.name.startswith(".")), key=key)


def _read_frame(file: Path) -> _Frame:
    content = read_json(file)
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict) or not ("people" in content or "bodies" in content):
        raise PersonError(f'{file}: expected OpenPose\'s JSON with "people" in it, got something else')
    people = _read_people(file, content) if "people" in content else _read_bodies(file, content)
    sides = [
        read_side(file, name, content[name]) if content.get(name) is not None else None
        for name in ("canvas_height", "canvas_width")
    ]
    return _Frame(people, *sides)


def _read_people(file: Path, content: dict[str, object]) -> list[_Person]:
    people = content["people"]
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise PersonError(f'{file}: expected "people" to be a list of objects')
    found = []
    for index, person in enumerate(people):
        body, left, right, face = (
            _read_flat(f"{file}, person {index}, {field}", person.get(field), counts)
            for field, counts in _FIELDS.items()
        )
        if len(body) == 25:
            body = body[list(_BODY_18_OF_25)]
        found.append(_person(body, left, right, face))
    return found


def _read_flat(where: str, numbers: object, counts: tuple[int, ...]) -> Float32[np.ndarray, "points 3"]:
    """Points out of OpenPose's flat list of x, y, confidence; absent ones where there is no list."""
    if numbers is None or numbers == []:
        return np.zeros((counts[0], 3), np.float32)
    if not isinstance(numbers, list) or len(numbers) not in [3 * count for count in counts]:
        got = f"{len(numbers)}" if isinstance(numbers, list) else repr(numbers)[:80]
        raise PersonError(f"{where}: expected {' or '.join(str(3 * count) for count in counts)} numbers, got {got}")
    # Some writers put null where a point was not found.
    values = [0.0 if number is None else read_number(where, number) for number in numbers]
    points = np.array(values, np.float32).reshape(-1, 3)
    if (points[:, 2] < 0).any():
        raise PersonError(f"{where}: expected confidences of 0 or more, got {points[:, 2].min()}")
    # OpenPose's part scores can pass 1 by a little.
    points[:, 2] = np.minimum(points[:, 2], 1)
    return points


def _read_bodies(file: Path, content: dict[str, object]) -> list[_Person]:
    """People out of the annotators' own tables: `candidate` points, and in `subset` each person's indices to them."""
    bodies = content["bodies"]
    tables = [bodies.get(name) if isinstance(bodies, dict) else None for name in ("candidate", "subset")]
    if not all(isinstance(table, list) and all(isinstance(row, list) for row in table) for table in tables):
        raise PersonError(f'{file}: expected "bodies" with the lists "candidate" and "subset" in it')
    candidate, subset = tables
    assert isinstance(candidate, list)
    assert isinstance(subset, list)
    people = []
    for index, row in enumerate(subset):
        where = f"{file}, person {index}"
        if len(row) < len(BODY_JOINTS):
            raise PersonError(f"{where}: expected {len(BODY_JOINTS)} indices, got {len(row)}")
        body = np.zeros((len(BODY_JOINTS), 3), np.float32)
        for joint, value in enumerate(row[: len(BODY_JOINTS)]):
            at = int(read_number(where, value))
            if at < 0:
                continue
            if at >= len(candidate):
                raise PersonError(f"{where}, {BODY_JOINTS[joint]}: expected one of {len(candidate)} points, got {at}")
            body[joint] = _candidate_point(f"{where}, {BODY_JOINTS[joint]}", candidate[at])
        left, right = (
            _listed(f"{file}, hands", content.get("hands"), 2 * index + side, HAND_POINTS) for side in (0, 1)
        )
        face = _listed(f"{file}, faces", content.get("faces"), index, FACE_POINTS)
        people.append(_person(body, left, right, face))
    return people


def _candidate_point(where: str, row: list[object]) -> list[float]:
    if len(row) < 2:
        raise PersonError(f"{where}: expected x and y, got {row!r:.80}")
    numbers = [read_number(where, value) for value in row[:3]]
    # The third number, where there is one, is a score; the coordinates alone mean that the point was found.
    confidence = min(max(numbers[2], 0.0), 1.0) if len(numbers) > 2 else 1.0
    return [numbers[0], numbers[1], confidence]


def _listed(where: str, table: object, index: int, count: int) -> Float32[np.ndarray, "points 3"]:
    """Hand or face points out of the annotators' lists of [x, y]; -1 or 0 stands for a point that was not found."""
    points = np.zeros((count, 3), np.float32)
    if not isinstance(table, list) or index >= len(table) or not isinstance(table[index], list):
        return points
    rows = table[index]
    if len(rows) > count or not all(isinstance(row, list) for row in rows):
        raise PersonError(f"{where}: expected at most {count} points [x, y], got {len(rows)}")
    for at, row in enumerate(rows):
        point = _candidate_point(f"{where}, point {at}", row)
        if min(point[:2]) > 0:
            points[at] = point
    return points


def _person(body: np.ndarray, left: np.ndarray, right: np.ndarray, face: np.ndarray) -> _Person:
    if len(face) < FACE_POINTS:
        # 68-point faces lack OpenPose's two pupils.
        face = np.concatenate([face, np.zeros((FACE_POINTS - len(face), 3), np.float32)])
    return _Person(body=body, hands=np.stack([left, right]), face=face)


def _canvas(
    path: Path, files: Sequence[Path], frames: Sequence[_Frame], height: int | None, width: int | None
) -> tuple[int, int]:
    """The canvas's height and width: what the files agree on, or the caller's."""
    sizes = {(frame.height, frame.width): file for file, frame in zip(files, frames, strict=True)}
    if len(sizes) > 1:
        names = " and ".join(f"{size[1]}x{size[0]} in {file.name}" for size, file in list(sizes.items())[:2])
        raise PersonError(f"{path}: expected one canvas size, got {names}: make them equal")
    stated = next(iter(sizes))
    if stated[0] is None or stated[1] is None:
        if height is not None and width is not None:
            return height, width
        raise PersonError(
            f"{path}: expected canvas_width and canvas_height, got none: give the video's height and width"
        )
    return stated[0], stated[1]


def _flat(points: Float32[np.ndarray, "points 3"]) -> list[float]:
    return [float(str(value)) for point in points for value in (point if point[2] > 0 else np.zeros(3, np.float32))]
