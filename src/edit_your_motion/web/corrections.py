"""Corrections by hand, kept in the files that `eym prepare` wrote: joints in keypoints.json, pictures in masks/."""

import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from edit_your_motion.errors import InputError, PersonError
from edit_your_motion.people.formats.keypoints_file import parse_keypoints, read_json, save_keypoints
from edit_your_motion.serving.sending import tag_of
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.video.pictures import require_palette
from edit_your_motion.web.preparing import warn_anew
from edit_your_motion.web.probing import read_facts

CORRECTED = "corrected.json"
"""Which joints were put right by hand, and in which frames: what is spread over the frames between goes by them."""

SIGNATURE, GREY, HEADED = b"\x89PNG\r\n\x1a\n", 25, 33
"""How a PNG file begins, where it has the type of its colours, 0 for greys, and how long its head is."""
_CHUNK = b"tRNS\0\0"
BLACK_IS_CLEAR = struct.pack(">I", 2) + _CHUNK + struct.pack(">I", zlib.crc32(_CHUNK))
"""What makes black transparent: nothing has to be unpacked and packed again for each look at a mask."""

_TURN = Lock()


class ChangedMeanwhileError(InputError):
    """What was to be corrected is not what somebody saw who corrects it."""

    def __init__(self) -> None:
        super().__init__(
            "somebody else corrected this clip meanwhile, or another window did: look at what it has now, "
            "and make your last change again"
        )


def read_rows(prepared: Path) -> dict[str, Any]:
    """The keypoints file as it is, and what belongs to it.

    ``corrected`` are frames by joint; ``version`` says which keypoints these are, ``masks`` by frame which masks:
    another one after every change, whoever makes it.

    Raises:
        PersonError: the file is damaged.
    """
    version = _version(prepared / "keypoints.json", prepared / CORRECTED)
    content = read_json(prepared / "keypoints.json")
    count = len(parse_keypoints(content, "the keypoints").body)
    masks = [_version(_mask(prepared, frame)) for frame in range(count)]
    return {**content, "corrected": read_facts(prepared / CORRECTED) or {}, "version": version, "masks": masks}


def write_rows(
    prepared: Path, rows: Mapping[int, Any], corrected: Mapping[str, Any] | None, version: str | None = None
) -> dict[str, Any]:
    """Puts rows of the keypoints file in the place of those of the same frames; all of them or none.

    Args:
        prepared: the clip's folder.
        rows: by frame, from 0, as in the file.
        corrected: frames by joint; None to leave them.
        version: of what they were made of; None for whatever is there.

    Returns:
        What is wrong with the clip then, as `describe_concerns` has it, and its ``version``.

    Raises:
        PersonError: a row is not as the file has them.
        ChangedMeanwhileError: it has another version.
    """
    places = (prepared / "keypoints.json", prepared / CORRECTED)
    with _TURN:
        if version not in (None, _version(*places)):
            raise ChangedMeanwhileError
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
        return {**warn_anew(prepared, before, after), "version": _version(*places)}


def write_mask(prepared: Path, frame: int, picture: bytes, version: str | None = None) -> dict[str, Any]:
    """Puts a painted mask in the place of a frame's: what is lighter than the middle is the person.

    Args:
        prepared: the clip's folder.
        frame: from 0.
        picture: a PNG file.
        version: of the mask that was painted on; None for whatever is there.

    Returns:
        The ``version`` of the mask then.

    Raises:
        InputError: it is no picture of the frames' size.
        ChangedMeanwhileError: the mask has another version.
    """
    place = mask_of(prepared, frame)
    with Image.open(place) as before:
        size = before.size
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as given:
            if given.size != size:  # asked of the header, before any of its pixels are unpacked
                raise InputError(f"expected a mask of {size[0]}x{size[1]}, got {given.size[0]}x{given.size[1]}")
            given.load()
            require_palette(given)
            painted = np.asarray(given.convert("L")) > 127
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"expected a PNG picture of the mask, got something else ({error})") from None
    with _TURN:
        if version not in (None, _version(place)):
            raise ChangedMeanwhileError
        with written_whole(place) as temporary:
            Image.fromarray(painted.astype(np.uint8) * 255).save(temporary, format="PNG")
        return {"version": _version(place)}


def overlay_of(prepared: Path, frame: int) -> bytes:
    """A frame's mask to be laid over its picture: where nobody is it is transparent. A PNG file.

    Raises:
        InputError: there is no such frame.
    """
    mask = mask_of(prepared, frame).read_bytes()
    if not mask.startswith(SIGNATURE) or mask[GREY]:  # a tool has put another kind of picture there
        plain = io.BytesIO()
        with Image.open(io.BytesIO(mask)) as picture:
            picture.convert("L").point(lambda value: 255 * (value > 127)).save(plain, format="PNG")
        mask = plain.getvalue()
    return mask[:HEADED] + BLACK_IS_CLEAR + mask[HEADED:]


def mask_of(prepared: Path, frame: int) -> Path:
    """The file of a frame's mask.

    Raises:
        InputError: there is no such frame.
    """
    path = _mask(prepared, frame)
    if not path.is_file():
        raise InputError(f"there is no frame {frame}")
    return path


def _mask(prepared: Path, frame: int) -> Path:
    return prepared / "masks" / f"{frame:05d}.png"


def _version(*paths: Path) -> str:
    """Another one whenever one of the files is."""
    return ".".join(tag_of(path.stat()) if path.is_file() else "none" for path in paths)
