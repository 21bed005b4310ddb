"""The TikTok dataset (Jafarian and Park 2021), as it is published and as DisCo lays it out.

========  ============================  ==========================================================
          as published                  DisCo
========  ============================  ==========================================================
frames    ``00335/images/0001.png``     ``335/0000.png``
masks     ``00335/masks/0001.png``      ``335/groundsam/0000.png.mask.jpg`` (or ``groundsam_vis``)
skeleton  OpenPose's JSON beside it,    ``335/openpose_json/0000.png.json``, COCO's 17 points
          ``00335/openpose/0001.json``
========  ============================  ==========================================================

``densepose/`` stays unread: nothing of ours is guided by it. A clip is found by its number, however many zeros lead it.
How cases are cut out of the clips is in `CasesConfig`.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from edit_your_motion.datasets.case import Case, CaseList
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.folder import first_of, has_pictures
from edit_your_motion.datasets.split import Split, load_split
from edit_your_motion.errors import InputError
from edit_your_motion.people.formats.openpose import sorted_by_number, write_openpose
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.storage.files import written_whole

MASKS = ("masks", "groundsam", "groundsam_vis")
KEYPOINTS = ("openpose_json", "openpose", "keypoints", "poses")


def read_tiktok(folder: Path, config: CasesConfig) -> CaseList:
    """The cases of a split of the TikTok dataset.

    Args:
        folder: with a folder for each clip, or with ``TikTok_dataset`` that has them.
        config: the split, and how cases are cut.

    Raises:
        ConfigError: there is no such split.
        InputError: a clip of the split is not there, or a file of it is damaged or too short; names it.
    """
    inner = folder / "TikTok_dataset"
    folder = inner if inner.is_dir() else folder
    clips, origin = _choose_clips(folder, config.split)
    cut = _cut_self if config.protocol == "self" else _cut_cross
    return CaseList("TikTok", f"{origin} {_describe(config)}", cut(clips, config)).check()


def write_tiktok_clip(
    folder: Path, frames: UInt8[np.ndarray, "f h w 3"], masks: Bool[np.ndarray, "f h w"], keypoints: Keypoints
) -> None:
    """Writes a clip as the dataset is published: ``images/``, ``masks/`` and, beside them, OpenPose's JSON.

    Args:
        folder: of the clip, named by its number; a folder of before is replaced as a whole.
        frames: RGB.
        masks: True where the person is.
        keypoints: of as many frames, in the frames' pixels.

    Raises:
        DiskFullError: no room was left; nothing half-written remains.
    """
    with written_whole(folder) as part:
        for name, pictures in (("images", frames), ("masks", masks.astype(np.uint8) * 255)):
            (part / name).mkdir(parents=True)
            for number, picture in enumerate(pictures, 1):
                Image.fromarray(picture).save(part / name / f"{number:04d}.png")
        (part / "openpose").mkdir()
        write_openpose(part / "openpose", keypoints)


def _choose_clips(folder: Path, split: str) -> tuple[dict[str, Clip], str]:
    """The clips of a split by the names of their folders, and who chose them."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the TikTok dataset's folder of clips, got nothing: check the path")
    there = {path.name: path for path in sorted_by_number(folder.iterdir()) if path.is_dir() and _frames(path)}
    if split == "all":
        if not there:
            raise InputError(f"{folder}: expected clips as 00001/images/0001.png or 001/0000.png, got none")
        return {name: _open(path) for name, path in there.items()}, f"All {len(there)} clips of {folder.name}."
    chosen = load_split(split)
    by_number = {_number(name): name for name in there}
    missing = [clip for clip in chosen.clips if _number(clip) not in by_number]
    if missing:
        raise InputError(
            f"{folder}: expected the clips {', '.join(chosen.clips)} of the split {chosen.name}, "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there (as 00001/images or 001/0000.png): "
            "get them, or choose another split (a YAML file, or 'all')"
        )
    names = [by_number[_number(clip)] for clip in chosen.clips]
    return {name: _open(there[name]) for name in names}, _state(chosen)


def _state(split: Split) -> str:
    return f"{split.name} ({', '.join(split.clips)}): {split.origin.rstrip('.')}."


def _number(name: str) -> str:
    """A clip's name without leading zeros: "00335" and "335" are one."""
    return name.lstrip("0") or "0"


def _frames(folder: Path) -> Path | None:
    """Where a clip's frames are."""
    return next((path for path in (folder / "images", folder) if has_pictures(path)), None)


def _open(folder: Path) -> Clip:
    frames = _frames(folder)
    assert frames is not None, "only folders with frames are opened"
    return Clip(frames, keypoints=first_of(folder, *KEYPOINTS), masks=first_of(folder, *MASKS))


def _source(clip: Clip, config: CasesConfig) -> Clip:
    return replace(clip, count=config.source_frames, stride=config.stride, fps=config.fps)


def _cut_self(clips: dict[str, Clip], config: CasesConfig) -> tuple[Case, ...]:
    later = config.source_frames * config.stride + config.gap
    cases = []
    for name, clip in clips.items():
        source = _source(clip, config)
        truth = replace(source, start=later, count=config.frames)
        cases.append(Case(name, source, truth, truth, config.prompt))
    return tuple(cases)


def _cut_cross(clips: dict[str, Clip], config: CasesConfig) -> tuple[Case, ...]:
    if len(clips) < 2:
        raise InputError(f"expected at least two clips for cross-reenactment, got {', '.join(clips)}")
    cases = []
    for (name, clip), (other, driving) in pairwise([*clips.items(), next(iter(clips.items()))]):
        reference = replace(_source(driving, config), count=config.frames)
        cases.append(Case(f"{name}-{other}", _source(clip, config), reference, None, config.prompt))
    return tuple(cases)


def _describe(config: CasesConfig) -> str:
    every = "" if config.stride == 1 else f", every {config.stride}th"
    if config.protocol == "cross":
        return (
            f"Cross-reenactment: source = first {config.source_frames} frames{every}, reference = first "
            f"{config.frames} frames of the next clip, no truth."
        )
    gap = f" after a gap of {config.gap}" if config.gap else ""
    return (
        f"Self-reenactment: source = first {config.source_frames} frames{every}, reference = truth = the next "
        f"{config.frames}{gap}."
    )
