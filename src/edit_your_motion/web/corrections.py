"""Corrections by hand, kept in the files that `eym prepare` wrote: joints in keypoints.json, pictures in masks/."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from edit_your_motion.errors import InputError, PersonError
from edit_your_motion.people.formats.keypoints_file import parse_keypoints, read_json, save_keypoints
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.web.preparing import warn_anew

CORRECTED = "corrected.json"
"""Which joints were put right by hand, and in which frames: what is spread over the frames between goes by them."""

_TURN = Lock()


def read_rows(prepared: Path) -> dict[str, Any]:
    """The keypoints file as it is, and ``corrected``: frames by joint.

    Raises:
        PersonError: the file is damaged.
    """
    content = read_json(prepared / "keypoints.json")
    marks = prepared / CORRECTED
    return {**content, "corrected": json.loads(marks.read_text(encoding="utf-8")) if marks.is_file() else {}}


def write_rows(prepared: Path, rows: Mapping[int, Any], corrected: Mapping[str, Any] | None) -> dict[str, Any]:
    """Puts rows of the keypoints file in the place of those of the same frames; all of them or none.

    Args:
        prepared: the clip's folder.
        rows: by frame, from 0, as in the file.
        corrected: frames by joint; None to leave them.

    Returns:
        What is wrong with the clip then, as `describe_concerns` has it.

    Raises:
        PersonError: a row is not as the file has them.
    """
    with _TURN:
        content = read_json(prepared / "keypoints.json")
        before = parse_keypoints(content, "the keypoints")
        count = len(content["frames"])
        if outside := [frame for frame in rows if not 0 <= frame < count]:
            raise PersonError(f"expected frames 0 to {count - 1}, got {outside[0]}")
        for frame, row in rows.items():
            content["frames"][frame] = {**row, "frame": frame}
        after = parse_keypoints(content, "the keypoints")
        save_keypoints(prepared / "keypoints.json", after)
        if corrected is not None:
            write_text(prepared / CORRECTED, json.dumps(corrected))
        return warn_anew(prepared, before, after)


def write_mask(prepared: Path, frame: int, picture: bytes) -> None:
    """Puts a painted mask in the place of a frame's: what is lighter than the middle is the person.

    Raises:
        InputError: it is no picture of the frames' size.
    """
    place = mask_of(prepared, frame)
    with Image.open(place) as before:
        size = before.size
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as given:
            if given.size != size:  # asked of the header, before any of its pixels are unpacked
                raise InputError(f"expected a mask of {size[0]}x{size[1]}, got {given.size[0]}x{given.size[1]}")
            painted = np.asarray(given.convert("L")) > 127
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"expected a PNG picture of the mask, got something else ({error})") from None
    with _TURN, written_whole(place) as temporary:
        Image.fromarray(painted.astype(np.uint8) * 255).save(temporary, format="PNG")


def mask_of(prepared: Path, frame: int) -> Path:
    """The file of a frame's mask.

    Raises:
        InputError: there is no such frame.
    """
    path = prepared / "masks" / f"{frame:05d}.png"
    if not path.is_file():
        raise InputError(f"there is no frame {frame}")
    return path
