"""Our keypoints file: JSON that a person can correct by hand, one line a frame.

::

    {
      "format": "edit-your-motion keypoints",
      "version": 1,
      "height": 512,
      "width": 512,
      "frames": [
        {"frame": 0, "body": {"nose": [256.5, 90.0, 0.98], "neck": [255.1, 140.2, 0.99], ...}},
        {"frame": 1, "body": {...}, "left_hand": [[x, y, confidence], ... 21], "right_hand": [...], "face": [... 70]}
      ]
    }

A joint is named as in `BODY_JOINTS` and is [x, y, confidence] in pixels of the canvas and in 0..1. A joint that is left
out, or null, is not there; so is a hand or a face. Frames count from 0 without gaps; one with nobody has an empty body.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS, Keypoints
from edit_your_motion.storage.files import write_text

FORMAT = "edit-your-motion keypoints"
VERSION = 1

MAX_BYTES = 512 * 1024 * 1024
MAX_FRAMES = 200_000
MAX_SIDE = 16_384
MAX_COORDINATE = 1e6


def save_keypoints(path: Path, keypoints: Keypoints) -> None:
    """Write the keypoints to `path`, whole or not at all; loading gives them back exactly.

    Raises:
        PersonError: a visible point is not finite, or a confidence is outside 0..1.
        InputError: the place cannot be written to.
        DiskFullError: no room was left.
    """
    head = describe_keypoints(keypoints)
    rows = ",\n".join(f"    {json.dumps(row)}" for row in head.pop("frames"))
    text = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
    write_text(path, f'{{\n{text}  "frames": [\n{rows}\n  ]\n}}\n')


def describe_keypoints(keypoints: Keypoints) -> dict[str, Any]:
    """What the file of these keypoints has in it.

    Raises:
        PersonError: a visible point is not finite, or a confidence is outside 0..1.
    """
    check_points(keypoints)
    rows = [_row(keypoints, frame) for frame in range(len(keypoints))]
    sides = {"height": keypoints.height, "width": keypoints.width}
    return {"format": FORMAT, "version": VERSION, **sides, "frames": rows}


def load_keypoints(path: Path) -> Keypoints:
    """The keypoints in a file of ours.

    Raises:
        PersonError: anything in the file is not as this module's docstring says; names the frame and the joint.
    """
    return parse_keypoints(read_json(path), f"{path}")


def parse_keypoints(content: Any, place: str) -> Keypoints:
    """The keypoints in the content of a file of ours.

    Args:
        content: as `read_json` has it.
        place: where it comes from, for errors.

    Raises:
        PersonError: as of `load_keypoints`.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise PersonError(f'{place}: expected a keypoints file with "format": "{FORMAT}", got none: save it anew')
    if content.get("version") != VERSION:
        raise PersonError(f"{place}: expected version {VERSION}, got {content.get('version')!r}: save it anew")
    _check_keys(place, content, {"format", "version", "height", "width", "frames"})
    height, width = (read_side(place, name, content.get(name)) for name in ("height", "width"))
    rows = content.get("frames")
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_FRAMES:
        raise PersonError(f'{place}: expected "frames" to be a list of 1 to {MAX_FRAMES} rows')

    body = np.zeros((len(rows), len(BODY_JOINTS), 3), np.float32)
    hands = np.zeros((len(rows), 2, HAND_POINTS, 3), np.float32)
    face = np.zeros((len(rows), FACE_POINTS, 3), np.float32)
    for frame, row in enumerate(rows):
        where = f"{place}, frame {frame}"
        if not isinstance(row, dict) or row.get("frame") != frame or isinstance(row.get("frame"), bool):
            raise PersonError(f'{where}: expected a row with "frame": {frame}; frames count from 0 without gaps')
        _check_keys(where, row, {"frame", "body", "left_hand", "right_hand", "face"})
        _read_body(where, row.get("body", {}), body[frame])
        for side, name in enumerate(("left_hand", "right_hand")):
            _read_list(f"{where}, {name}", row.get(name), hands[frame, side])
        _read_list(f"{where}, face", row.get("face"), face[frame])
    return Keypoints(
        body=body,
        height=height,
        width=width,
        hands=hands if any("left_hand" in row or "right_hand" in row for row in rows) else None,
        face=face if any("face" in row for row in rows) else None,
    )


def check_points(keypoints: Keypoints) -> None:
    """Raise `PersonError`, naming frame and joint, where a visible point is not finite or a confidence not in 0..1."""
    for name, points in (("body", keypoints.body), ("hands", keypoints.hands), ("face", keypoints.face)):
        if points is None:
            continue
        confidence = points[..., 2]
        good = (confidence >= 0) & (confidence <= 1)
        good &= (np.isfinite(points).all(-1) & (np.abs(points) <= MAX_COORDINATE).all(-1)) | (confidence == 0)
        if not good.all():
            frame, *index = np.argwhere(~good)[0]
            joint = BODY_JOINTS[index[0]] if name == "body" else f"{name} point {index[-1]}"
            raise PersonError(
                f"frame {frame}, {joint}: expected a finite x and y and a confidence in 0..1, "
                f"got {points[(frame, *index)].tolist()}"
            )


def read_json(path: Path) -> Any:
    """The content of a JSON file of bounded size, free of NaN, infinities and doubled keys.

    Raises:
        PersonError: the file cannot be read or is not such JSON.
    """
    return _parse_json(f"{path}", _read_text(path))


def read_json_lines(path: Path) -> Iterator[Any]:
    """The content of each line of a file of bounded size that is not empty; errors are those of `read_json`."""
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if line.strip():
            yield _parse_json(f"{path}, line {number}", line)


def _read_text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise PersonError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}: split the clip")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PersonError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except ValueError as error:
        raise PersonError(f"{path}: expected JSON, got something else ({error}): write it anew") from error


def _parse_json(where: str, text: str) -> Any:
    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a number that a file may hold")

    def refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
        return content

    try:
        return json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_doubles)
    except (ValueError, RecursionError) as error:
        raise PersonError(f"{where}: expected JSON, got something else ({error}): write it anew") from error


def read_side(path: Path | str, name: str, value: object) -> int:
    """A canvas side, checked; some writers make every number one with a point."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_SIDE:
        raise PersonError(f"{path}: expected {name} to be a whole number in 1..{MAX_SIDE}, got {value!r}")
    return value


def read_number(where: str, value: object) -> float:
    """A coordinate or confidence out of a JSON file, checked to be finite and of a sane size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_COORDINATE:
        raise PersonError(f"{where}: expected a number within +-{MAX_COORDINATE:.0f}, got {value!r}")
    return float(value)


def _row(keypoints: Keypoints, frame: int) -> dict[str, object]:
    body = keypoints.body[frame]
    row: dict[str, object] = {
        "frame": frame,
        "body": {name: _triple(point) for name, point in zip(BODY_JOINTS, body, strict=True) if point[2] > 0},
    }
    if keypoints.hands is not None:
        for name, hand in zip(("left_hand", "right_hand"), keypoints.hands[frame], strict=True):
            row[name] = [_triple(point) for point in hand]
    if keypoints.face is not None:
        row["face"] = [_triple(point) for point in keypoints.face[frame]]
    return row


def _triple(point: Float32[np.ndarray, "3"]) -> list[float] | None:
    # The shortest decimal that gives the same 32-bit number: exact, and still readable.
    return [float(str(value)) for value in point] if point[2] > 0 else None


def _read_body(where: str, named: object, into: np.ndarray) -> None:
    if not isinstance(named, dict):
        raise PersonError(f'{where}: expected "body" to map joint names to [x, y, confidence], got {named!r:.80}')
    _check_keys(where, named, set(BODY_JOINTS))
    for name, point in named.items():
        _read_point(f"{where}, {name}", point, into[BODY_JOINTS.index(name)])


def _read_list(where: str, points: object, into: np.ndarray) -> None:
    if points is None:
        return
    if not isinstance(points, list) or len(points) != len(into):
        got = f"{len(points)}" if isinstance(points, list) else repr(points)[:80]
        raise PersonError(f"{where}: expected a list of {len(into)} points or null, got {got}")
    for index, point in enumerate(points):
        _read_point(f"{where}, point {index}", point, into[index])


def _read_point(where: str, point: object, into: np.ndarray) -> None:
    if point is None:
        return
    if not isinstance(point, list) or len(point) != 3:
        raise PersonError(f"{where}: expected [x, y, confidence] or null, got {point!r:.80}")
    numbers = [read_number(where, value) for value in point]
    if not 0 <= numbers[2] <= 1:
        raise PersonError(f"{where}: expected a confidence in 0..1, got {numbers[2]}")
    into[:] = numbers


def _check_keys(where: str, content: dict[str, object], known: set[str]) -> None:
    if unknown := sorted(set(content) - known):
        raise PersonError(f"{where}: expected only {', '.join(sorted(known))}, got {unknown[0]!r}: correct the name")
