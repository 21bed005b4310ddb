"""Keypoints out of pose tools' files: a folder with one document a frame, one JSON, JSON lines or .npy for a clip."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edit_your_motion.errors import PersonError
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.formats.joint_layouts import Person
from edit_your_motion.people.formats.keypoints_file import (
    MAX_BYTES,
    MAX_FRAMES,
    check_points,
    read_json,
    read_json_lines,
)
from edit_your_motion.people.formats.openpose import sorted_by_number
from edit_your_motion.people.formats.pose_documents import Frame, read_array, read_document
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.tracker import follow_person

LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = frozenset({".json", ".npy", *LINES})

_LARGEST_SHARE = 2.0
"""Coordinates that all lie below are shares of the canvas: nobody is two pixels tall, few stand two canvases out."""


def read_poses(
    path: Path, *, person: int | None = None, height: int | None = None, width: int | None = None
) -> Keypoints:
    """The keypoints of one person in a pose tool's file, or in a folder of them with one frame each.

    Args:
        path: a folder whose ``*.json`` are the frames, in the order of the numbers in their names; or one file.
        person: which one, counted from 1 from the left in the first frame that shows anybody; None for the largest.
        height: of the canvas, pixels, for files that state none.
        width: of the canvas, pixels, for files that state none.

    Returns:
        The keypoints, with hands and face where any frame has them.

    Raises:
        PersonError: a file is none that is understood (named), no frame has such a person, or the canvas is not known.
    """
    return take_person(str(path), _read_frames(path), person=person, height=height, width=width)


def take_person(
    path: str,
    frames: Sequence[Frame],
    *,
    person: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Keypoints:
    """The keypoints of one person in frames that were read, as `read_poses` takes them.

    Args:
        path: names where they come from, for messages.
        frames: the people in each.
        person: which one, counted from 1 from the left in the first frame that shows anybody; None for the largest.
        height: of the canvas, pixels, for frames that state none.
        width: of the canvas, pixels, for frames that state none.

    Raises:
        PersonError: no frame has such a person, or the canvas is not known.
    """
    seen = [replace(frame, people=[one for one in frame.people if one.body[:, 2].any()]) for frame in frames]
    if not any(frame.people for frame in seen):
        raise PersonError(f"{path}: expected body points of a person, got none in any of {len(frames)} frames")
    canvas_height, canvas_width = _canvas(path, frames, height, width)
    people = [frame.people for frame in _in_pixels(path, seen, canvas_height, canvas_width)]
    keypoints = replace(_choose(path, people, person), height=canvas_height, width=canvas_width)
    try:
        check_points(keypoints)
    except PersonError as error:
        raise PersonError(f"{path}, {error}") from error
    return keypoints


def _read_frames(path: Path) -> list[Frame]:
    if not path.is_dir():
        return _read_file(path)
    files = sorted_by_number(path.glob("*.json"))
    if not 0 < len(files) <= MAX_FRAMES:
        raise PersonError(f"{path}: expected 1 to {MAX_FRAMES} JSON files, one a frame, got {len(files)}")
    if len(files) == 1:
        return _read_file(files[0])
    frames = []
    for file in files:
        found = _read_file(file)
        if len(found) != 1:
            raise PersonError(f"{file}: expected one frame as each of {len(files)} files has, got {len(found)}")
        frames += found
    return frames


def _read_file(path: Path) -> list[Frame]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return read_array(str(path), load_array(path))
    if suffix in LINES:
        documents = enumerate(read_json_lines(path), 1)
        frames = [frame for line, content in documents for frame in read_document(f"{path}, line {line}", content)]
        if not 0 < len(frames) <= MAX_FRAMES:
            raise PersonError(f"{path}: expected 1 to {MAX_FRAMES} frames, one a line, got {len(frames)}")
        return frames
    return read_document(str(path), read_json(path))


def load_array(path: Path) -> np.ndarray:
    """The array in a .npy file of bounded size, never a pickle.

    Raises:
        PersonError: the file is none.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise PersonError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}: split the clip")
    try:
        # Mapped, a header that claims more than the file holds is an error and not an allocation.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # whatever the parsers of a header do with a damaged one
        raise PersonError(f"{path}: expected a plain array of numbers, got something else ({error})") from error


def _canvas(path: str, frames: Sequence[Frame], height: int | None, width: int | None) -> tuple[int, int]:
    """The canvas's height and width: what the frames agree on, or the caller's."""
    sizes = {(frame.height, frame.width): index for index, frame in enumerate(frames)}
    stated = [size for size in sizes if None not in size]
    if len(stated) > 1:
        names = " and ".join(f"{size[1]}x{size[0]} in frame {sizes[size]}" for size in stated[:2])
        raise PersonError(f"{path}: expected one canvas size, got {names}: make them equal")
    (canvas_height, canvas_width) = stated[0] if stated else (height, width)
    if canvas_height is None or canvas_width is None:
        raise PersonError(
            f"{path}: expected canvas_width and canvas_height, got none: give the video that the keypoints are of"
        )
    return canvas_height, canvas_width


def _in_pixels(path: str, frames: Sequence[Frame], height: int, width: int) -> Sequence[Frame]:
    """The frames in pixels of the canvas, whatever the units of the file."""
    points = [_flatten(one) for frame in frames for one in frame.people]
    every = np.concatenate([part[part[:, 2] > 0, :2] for part in points])
    shares = np.abs(every).max() <= _LARGEST_SHARE
    outside = ((every < 0) | (every > (1 if shares else (width, height)))).any(axis=-1).mean()
    if outside > 0.5 or (shares and (every < 0).any(axis=-1).mean() > 0.25):
        form = "shares of the picture, 0 to 1" if shares else f"pixels of {width}x{height}"
        low, high = (", ".join(f"{value:.4g}" for value in corner) for corner in (every.min(axis=0), every.max(axis=0)))
        raise PersonError(
            f"{path}: understood as {form}, most points lie outside, from ({low}) to ({high}): state canvas_width and "
            "canvas_height, and write pixels or shares from 0 to 1"
        )
    if not shares:
        return frames
    scale = np.array([width, height, 1], np.float32)
    return [
        replace(frame, people=[Person(one.body * scale, one.hands * scale, one.face * scale) for one in frame.people])
        for frame in frames
    ]


def _choose(path: str, frames: Sequence[Sequence[Person]], person: int | None) -> Keypoints:
    """One person's keypoints: who is alone, else who is followed from frame to frame."""
    most = max(map(len, frames))
    if person is not None and person > most:
        raise PersonError(f"{path}: expected a person {person}, got at most {most} people in a frame")
    if most == 1:
        nobody = np.zeros((18 + 2 * 21 + 70, 3), np.float32)
        points = np.stack([_flatten(frame[0]) if frame else nobody for frame in frames])
        body, hands, face = points[:, :18], points[:, 18:60].reshape(-1, 2, 21, 3), points[:, 60:]
        return _keypoints(body, hands, face)
    detections = [[_as_detection(one) for one in frame] for frame in frames]
    # The size is that of masks only, of which there are none.
    try:
        found = follow_person(detections, 1, 1, person=person, max_gap=len(frames)).keypoints
    except PersonError as error:
        raise PersonError(f"{path}: {error}") from error
    assert found.hands is not None
    assert found.face is not None
    return _keypoints(found.body, found.hands, found.face)


def _keypoints(body: np.ndarray, hands: np.ndarray, face: np.ndarray) -> Keypoints:
    """Keypoints of a canvas yet to be named, without hands and faces that nobody has."""
    return Keypoints(body, 1, 1, hands if hands[..., 2].any() else None, face if face[..., 2].any() else None)


def _flatten(one: Person) -> np.ndarray:
    return np.concatenate([one.body, one.hands.reshape(-1, 3), one.face])


def _as_detection(one: Person) -> PersonDetection:
    seen = one.body[one.body[:, 2] > 0]
    box = np.concatenate([seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)])
    return PersonDetection(box, float(seen[:, 2].mean()), one.body, one.hands, one.face)
