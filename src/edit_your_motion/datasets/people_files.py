"""Ready keypoints and masks as data sets have them, brought to the size of their frames."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.mask_files import list_masks
from edit_your_motion.people.formats.mask_files import read_masks as read_mask_files
from edit_your_motion.people.formats.precomputed import load_ready_keypoints
from edit_your_motion.people.frame_mapping import Placement
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.video import Fit
from edit_your_motion.video.pictures import SUFFIXES


def read_keypoints(path: Path, height: int, width: int, person: int | None = None) -> Keypoints:
    """The keypoints of one person, on a canvas of `height` x `width`.

    Args:
        path: whatever `load_precomputed` reads.
        height: of the frames, pixels.
        width: of the frames, pixels.
        person: which of the people in a file, from 1 from the left; None for the largest.

    Raises:
        PersonError: the content is something else, damaged, or shows nobody; names the file.
    """
    keypoints = load_ready_keypoints(path, height=height, width=width, person=person)
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


def read_masks(path: Path, height: int, width: int) -> Bool[np.ndarray, "f {height} {width}"]:
    """The people's pixels in every frame: a folder of pictures, or a video, of white people on black or of labels.

    Raises:
        PersonError: there are none, or nobody is in any of them.
    """
    if not path.exists():
        raise PersonError(f"{path}: expected masks, got nothing: check the path")
    return Placement(height, width, Fit(height, width)).place_masks(read_mask_files(path, everybody=True), str(path))
