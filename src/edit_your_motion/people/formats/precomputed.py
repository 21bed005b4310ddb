"""Keypoints and masks that were made elsewhere, in the layouts that people have them in.

==============  ========================================================================================
``keypoints``   our keypoints file (``keypoints_file.py``)
``poses``       what pose tools write, a folder with one JSON a frame or a single file (``pose_files.py``)
``npz``         NumPy arrays: ``body`` (f, 18, 3) with ``height`` and ``width``, ``hands``, ``face``, ``masks``
``skeletons``   a video or a folder of skeleton pictures in OpenPose's colours
``masks``       a video or a folder of masks, in whatever way tools write them (``mask_files.py``)
==============  ========================================================================================
"""

import logging
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.formats.keypoints_file import FORMAT, check_points, load_keypoints, read_json, read_side
from edit_your_motion.people.formats.pose_files import SUFFIXES, load_array, read_poses
from edit_your_motion.people.formats.skeleton_pictures import read_skeletons
from edit_your_motion.people.keypoints import Keypoints

_log = logging.getLogger(__name__)

PrecomputedKind = Literal["auto", "keypoints", "poses", "npz", "skeletons", "masks"]

_MAX_UNPACKED = 8 * 1024**3
_COLOURFUL = 64
"""Spread of a pixel's channels beyond what compression gives a grey one."""
_FEW_COLOURS = 8
"""Masks of more colours are taken for skeletons where nobody says which they are."""


@dataclass(frozen=True)
class Precomputed:
    """What a file or folder held.

    Args:
        keypoints: of one person; None where there were only masks.
        masks: the person's pixels; None where there were only keypoints.
    """

    keypoints: Keypoints | None = None
    masks: Bool[np.ndarray, "f h w"] | None = None


def load_precomputed(
    path: Path | str,
    kind: PrecomputedKind = "auto",
    *,
    height: int | None = None,
    width: int | None = None,
    person: int | None = None,
    label: int | None = None,
    on_warning: Callable[[str], None] = _log.warning,
) -> Precomputed:
    """The keypoints or masks in a file or folder, at their own size: `Placement` brings them to that of the frames.

    Args:
        path: file or folder.
        kind: what it is, see the module; "auto" to tell by the content.
        height: of the whole picture, pixels, for keypoints that do not state the size of theirs.
        width: of the whole picture, pixels, likewise.
        person: which of the people in pose tools' files, from 1 from the left; None for the largest.
        label: which label of masks is the person; see `read_masks`.
        on_warning: is told what a user should know.

    Raises:
        ConfigError: no such kind, or only one of height and width.
        PersonError: the content is not of that kind, or damaged, or shows nobody.
        VideoError: a video or folder of pictures cannot be read.
    """
    path = Path(path)
    if kind not in get_args(PrecomputedKind):
        raise ConfigError(f"expected a kind of {', '.join(get_args(PrecomputedKind))}, got {kind!r}")
    if (height is None) != (width is None):
        raise ConfigError(f"expected both height and width or neither, got {height} and {width}")
    if not path.exists():
        raise PersonError(f"{path}: expected a file or folder with keypoints or masks, got nothing: check the path")
    if kind == "auto":
        kind = _recognise(path)

    if kind == "keypoints":
        return Precomputed(keypoints=load_keypoints(path))
    if kind == "poses":
        return Precomputed(keypoints=read_poses(path, person=person, height=height, width=width))
    return _load_arrays(path, label) if kind == "npz" else _load_pictures(path, kind, label, on_warning)


def load_ready_keypoints(
    path: Path,
    *,
    height: int | None = None,
    width: int | None = None,
    person: int | None = None,
    on_warning: Callable[[str], None] = _log.warning,
) -> Keypoints:
    """Ready keypoints; arguments and errors are those of `load_precomputed`.

    Raises:
        PersonError: there are masks only.
    """
    keypoints = load_precomputed(path, height=height, width=width, person=person, on_warning=on_warning).keypoints
    if keypoints is None:
        raise PersonError(f"{path}: expected keypoints, found masks only")
    return keypoints


def load_ready_masks(path: Path, label: int | None = None) -> Bool[np.ndarray, "f h w"]:
    """Ready masks; arguments and errors are those of `load_precomputed`.

    Raises:
        PersonError: there are keypoints only.
    """
    if path.suffix.lower() == ".npy" and path.is_file():
        from edit_your_motion.people.formats.mask_files import read_mask_array

        return read_mask_array(path, load_array(path), label)
    pictures = path.exists() and _recognise(path) == "auto"
    masks = load_precomputed(path, "masks" if pictures else "auto", label=label).masks
    if masks is None:
        raise PersonError(f"{path}: expected masks, found keypoints only")
    return masks


def _recognise(path: Path) -> PrecomputedKind:
    """The kind as far as names and text tell it; "auto" for what has to be looked at."""
    if path.is_dir():
        return "poses" if any(path.glob("*.json")) else "auto"
    suffix = path.suffix.lower()
    if suffix == ".json":
        content = read_json(path)
        return "keypoints" if isinstance(content, dict) and content.get("format") == FORMAT else "poses"
    if suffix in SUFFIXES:
        return "poses"
    return "npz" if suffix == ".npz" else "auto"


def _load_pictures(
    path: Path, kind: PrecomputedKind, label: int | None, on_warning: Callable[[str], None]
) -> Precomputed:
    # Keypoints that come as text need no decoder.
    from edit_your_motion.people.formats.mask_files import read_masks
    from edit_your_motion.video import read_video

    if kind == "auto" and path.is_dir() and any(path.glob("*.mask.*")):
        kind = "masks"
    if kind == "masks":
        return Precomputed(masks=read_masks(path, label))
    frames = read_video(path).frames
    if kind == "auto" and not _are_skeletons(frames):
        return Precomputed(masks=read_masks(path, label))
    try:
        return Precomputed(keypoints=read_skeletons(frames, on_warning=on_warning))
    except PersonError as error:
        raise PersonError(f"{path}: {error}") from error


def _are_skeletons(frames: UInt8[np.ndarray, "f h w 3"]) -> bool:
    """Whether pictures have colours, and more of them than people could have labels."""
    spread = frames.max(axis=-1) - frames.min(axis=-1)
    if (spread > _COLOURFUL).sum() <= 1e-4 * spread.size:
        return False
    fullest = frames[(spread > _COLOURFUL).sum(axis=(1, 2)).argmax()].astype(np.uint32)
    colours = np.unique((fullest[..., 0] << 16) | (fullest[..., 1] << 8) | fullest[..., 2])
    return len(colours) > _FEW_COLOURS


def _load_arrays(path: Path, label: int | None) -> Precomputed:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MAX_UNPACKED:
            raise ValueError(f"{unpacked} bytes, more than the {_MAX_UNPACKED} that are read: split the clip")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("body", "height", "width", "hands", "face", "masks")
                      if name in archive.files}  # fmt: skip
        if others := [name for name, each in arrays.items() if not isinstance(each, np.ndarray)]:
            raise ValueError(f"{others[0]} is no array")
    except Exception as error:  # whatever the readers of archives and headers do with damaged ones
        raise PersonError(f"{path}: expected an npz of plain arrays, got something else ({error})") from error
    if "body" not in arrays and "masks" not in arrays:
        raise PersonError(f"{path}: expected arrays named body or masks, got neither: rename them")
    masks = arrays.get("masks")
    if masks is not None:
        from edit_your_motion.people.formats.mask_files import read_mask_array

        masks = read_mask_array(f"{path}, masks", masks, label)
    return Precomputed(keypoints=_arrays_to_keypoints(path, arrays) if "body" in arrays else None, masks=masks)


def _arrays_to_keypoints(path: Path, arrays: dict[str, np.ndarray]) -> Keypoints:
    count = len(arrays["body"]) if arrays["body"].ndim else 0
    shapes = {"body": (count, 18, 3), "hands": (count, 2, 21, 3), "face": (count, 70, 3)}
    parts: dict[str, np.ndarray | None] = dict.fromkeys(shapes)
    for name, shape in shapes.items():
        values = arrays.get(name)
        if values is None:
            continue
        if values.shape != shape or values.dtype.kind not in "fiu" or not count:
            raise PersonError(
                f"{path}, {name}: expected numbers of shape (f, {', '.join(map(str, shape[1:]))}), "
                f"got {values.dtype} {values.shape}"
            )
        parts[name] = values.astype(np.float32)
    sides = [arrays[name].item() if name in arrays and arrays[name].size == 1 else None for name in ("height", "width")]
    body = parts["body"]
    assert body is not None
    keypoints = Keypoints(
        body=body,
        height=read_side(path, "height", sides[0]),
        width=read_side(path, "width", sides[1]),
        hands=parts["hands"],
        face=parts["face"],
    )
    try:
        check_points(keypoints)
    except PersonError as error:
        raise PersonError(f"{path}, {error}") from error
    return keypoints
