"""Ready keypoints and masks as data sets have them, brought to the size of their frames."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.keypoints_file import MAX_FRAMES, read_json, read_number
from edit_your_motion.people.openpose_format import sorted_by_number
from edit_your_motion.people.placing import Placement
from edit_your_motion.people.precomputed import load_precomputed
from edit_your_motion.video import Fit, read_video
from edit_your_motion.video.pictures import SUFFIXES, iterate_picture

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's 17 joints in its order, which DisCo's annotation keeps; it has no neck."""

LABELS = 32
"""A picture with no value above this numbers people from 1, as segmenters save them; 0 is the background."""

COLOURFUL = 64
"""A picture whose channels differ by more is a plot in false colours (DisCo's ``.mask.jpg``): dark blue is empty."""

_COLUMNS = np.array([BODY_JOINTS.index(name) for name in COCO_JOINTS])


def read_keypoints(path: Path, height: int, width: int, person: int = 0) -> Keypoints:
    """The keypoints of one person, on a canvas of `height` x `width`.

    Args:
        path: whatever `load_precomputed` reads, or a folder of DisCo's ``*.json``.
        height: of the frames, pixels.
        width: of the frames, pixels.
        person: which of the people in a file, from 0.

    Raises:
        PersonError: the content is something else, damaged, or shows nobody; names the file.
    """
    if path.is_dir() and (files := sorted_by_number(path.glob("*.json"))) and _is_coco(files[0]):
        if len(files) > MAX_FRAMES:
            raise PersonError(f"{path}: expected at most {MAX_FRAMES} JSON files, got {len(files)}")
        body = np.stack([_read_coco(file, person) for file in files])
        if not body[..., 2].any():
            raise PersonError(f"{path}: expected body points of person {person}, got none in any frame")
        return Keypoints(body, height, width)
    keypoints = load_precomputed(path, height=height, width=width, person=person).keypoints
    if keypoints is None:
        raise PersonError(f"{path}: expected keypoints, found masks only")
    return Placement(height, width, Fit(height, width)).place_keypoints(keypoints, str(path))


def count_keypoints(path: Path) -> int | None:
    """How many frames a folder of keypoints has; None where only reading tells.

    Raises:
        PersonError: there is nothing there.
    """
    if not path.exists():
        raise PersonError(f"{path}: expected keypoints, got nothing: check the path")
    if not path.is_dir():
        return None
    files = [file for file in path.iterdir() if file.suffix.lower() == ".json"]
    return len(files or [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES])


def count_masks(path: Path) -> int | None:
    """How many masks a folder holds; None for a video, which only reading tells.

    Raises:
        PersonError: there is nothing there.
    """
    return None if path.is_file() else len(list_masks(path))


def list_masks(folder: Path) -> list[Path]:
    """The masks of a folder in the order of their numbers: label pictures (``*.mask.png``) before plots of them.

    Raises:
        PersonError: there are none.
    """
    if not folder.is_dir():
        raise PersonError(f"{folder}: expected a folder of masks, got nothing: check the path")
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    for ending in (".mask.png", ".mask.jpg", ""):
        if chosen := [path for path in pictures if path.name.endswith(ending)]:
            return sorted_by_number(chosen)
    raise PersonError(f"{folder}: expected pictures of masks, got none")


def read_masks(path: Path, height: int, width: int) -> Bool[np.ndarray, "f {height} {width}"]:
    """The person's pixels in every frame: a folder of pictures, or a video, white people on black.

    Raises:
        PersonError: there are none, or nobody is in any of them.
    """
    pictures = map(_read_picture, list_masks(path)) if path.is_dir() else iter(read_video(path).frames)
    place = Placement(height, width, Fit(height, width))
    masks = np.concatenate([place.place_masks(_as_mask(picture)[None], str(path)) for picture in pictures])
    if not masks.any():
        raise PersonError(f"{path}: expected people in the masks, got {len(masks)} empty ones")
    return masks


def _is_coco(file: Path) -> bool:
    content = read_json(file)
    return isinstance(content, list) and all(isinstance(person, dict) and "keypoints" in person for person in content)


def _read_coco(file: Path, person: int) -> Float32[np.ndarray, "18 3"]:
    """One person of DisCo's annotation: a list of {"keypoints": 17 times [x, y, confidence]}, -1 where not found."""
    body = np.zeros((len(BODY_JOINTS), 3), np.float32)
    content = read_json(file)
    if not isinstance(content, list):
        raise PersonError(f'{file}: expected a list of people with "keypoints", got {type(content).__name__}')
    if person >= len(content):
        return body
    points = content[person].get("keypoints") if isinstance(content[person], dict) else None
    if not isinstance(points, list) or len(points) != len(COCO_JOINTS):
        raise PersonError(f"{file}: expected {len(COCO_JOINTS)} keypoints [x, y, confidence], got {points!r:.80}")
    for joint, point in zip(_COLUMNS, points, strict=True):
        if not isinstance(point, list) or len(point) != 3:
            raise PersonError(f"{file}, {BODY_JOINTS[joint]}: expected [x, y, confidence], got {point!r:.80}")
        x, y, confidence = (read_number(f"{file}, {BODY_JOINTS[joint]}", value) for value in point)
        body[joint] = (x, y, min(confidence, 1.0)) if confidence > 0 else 0
    shoulders = body[[BODY_JOINTS.index("right_shoulder"), BODY_JOINTS.index("left_shoulder")]]
    if shoulders[:, 2].all():
        body[BODY_JOINTS.index("neck")] = (*shoulders[:, :2].mean(axis=0), shoulders[:, 2].min())
    return body


def _read_picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    return next(iterate_picture(path, None)).pixels()


def _as_mask(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    if picture.max() <= LABELS:
        return np.asarray(picture.any(axis=-1))
    colourful = int((picture.max(axis=-1) - picture.min(axis=-1)).max()) > COLOURFUL
    # Empty is (68, 1, 84) in the plots' colours, the second of two people (33, 145, 140), a single one yellow.
    return picture.mean(axis=-1) >= (80 if colourful else 127.5)
