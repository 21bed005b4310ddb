"""Clips by name in a folder: ``NAME.mp4``, or ``NAME/`` with numbered pictures."""

from pathlib import Path

from edit_your_motion.datasets.clip import Clip
from edit_your_motion.errors import InputError, VideoError
from edit_your_motion.people.formats.openpose import sorted_by_number
from edit_your_motion.video.pictures import SUFFIXES

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif")


def find_clip(folder: Path, name: str) -> Clip | None:
    """The clip of that name; None where there is none.

    Raises:
        InputError: there are two, of which nobody knows which is meant.
    """
    found = [path for suffix in VIDEOS if (path := folder / f"{name}{suffix}").is_file()]
    if has_pictures(folder / name):
        found.append(folder / name)
    if len(found) > 1:
        raise InputError(f"expected one clip named {name} in {folder}, got {' and '.join(path.name for path in found)}")
    return Clip(found[0]) if found else None


def find_clips(folder: Path) -> dict[str, Clip]:
    """All clips of a folder by name, in the order of the numbers in their names.

    Raises:
        VideoError: there are none.
        InputError: two have one name.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in VIDEOS or has_pictures(path)]
    if not paths:
        raise VideoError(f"{folder} holds no clips: expected videos, or folders of pictures, named as their cases")
    names = [path.name if path.is_dir() else path.stem for path in sorted_by_number(paths)]
    return {name: clip for name in names if (clip := find_clip(folder, name)) is not None}


def has_pictures(path: Path) -> bool:
    """Whether this is a folder with pictures in it."""
    return path.is_dir() and any(each.suffix.lower() in SUFFIXES for each in path.iterdir())


def require_clip(folder: Path, *names: str) -> Clip:
    """The clip of the first of these names that is there.

    Raises:
        VideoError: none is there.
    """
    for name in names:
        if (clip := find_clip(folder, name)) is not None:
            return clip
    wanted = " or ".join(f"{name}.mp4 or {name}/ with pictures" for name in names)
    raise VideoError(f"{folder}: expected {wanted}, got neither: add it")


def first_of(folder: Path, *names: str) -> Path | None:
    """The first of these files or folders that is there."""
    return next((path for name in names if (path := folder / name).exists()), None)
