"""MotionEditor's case folders, as its repository publishes them.

::

    data/case-1/images/0000.png                              the source
    data/case-1/man.mask/0000.png                            its person
    data/case-1/source_condition/openposefull/0000.png       its skeletons, as pictures
    data/case-1/target_images/0000.png                       the reference (some cases: .jpg)
    data/case-1/target_condition/openposefull/0000.png       its skeletons
    configs/case-1/train-motion.yaml                         input_data.prompt, validation_data.prompts

Read from the repository's folder, from ``data``, or from one case. Masks are any ``*.mask`` or ``masks``; source and
reference may be ``source.mp4`` and ``reference.mp4`` or ``target.mp4``; without ``target_images`` the skeletons alone
are the reference. Configurations may lie in the case's own folder too. There is no truth.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edit_your_motion.config import load_config
from edit_your_motion.datasets.case import Case, CaseList
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.folder import find_clip, first_of, has_pictures, require_clip
from edit_your_motion.errors import InputError, VideoError
from edit_your_motion.people.formats.openpose import sorted_by_number

SOURCES = ("images", "source", "source_images")
REFERENCES = ("target_images", "reference", "target", "reference_images")
SKELETONS = ("openposefull", "openpose")


def read_motion_editor(folder: Path, config: CasesConfig) -> CaseList:
    """The cases of MotionEditor's repository, of its ``data`` folder, or a single case.

    Args:
        folder: see the module.
        config: at most how many frames; a case that has fewer is taken whole.

    Raises:
        InputError: there are no cases, or one lacks something; names it.
    """
    folders = _find_cases(folder)
    cases = tuple(_read_case(case, config) for case in folders)
    split = f"All {len(cases)} case folders of {folder.name}, chosen by MotionEditor's authors or whoever added them."
    return CaseList("MotionEditor", split, cases).check()


def _find_cases(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected MotionEditor's repository, its data folder or a case, got nothing")
    if _is_case(folder):
        return [folder]
    inner = folder / "data" if (folder / "data").is_dir() else folder
    cases = sorted_by_number(path for path in inner.iterdir() if path.is_dir() and _is_case(path))
    if not cases:
        raise InputError(f"{inner}: expected case folders as case-1/images and case-1/target_images, got none")
    return cases


def _is_case(folder: Path) -> bool:
    return any(find_clip(folder, name) is not None for name in SOURCES)


def _read_case(folder: Path, config: CasesConfig) -> Case:
    masks = first_of(folder, "masks", *sorted(path.name for path in folder.glob("*.mask")))
    source = replace(require_clip(folder, *SOURCES), keypoints=_find_skeletons(folder, "source"), masks=masks)
    prompt, edit_prompt = _find_prompts(folder)
    return Case(
        folder.name,
        _shorten(source, config, config.source_frames),
        _shorten(_find_reference(folder), config, config.frames),
        None,
        prompt or config.prompt,
        edit_prompt,
    )


def _find_reference(folder: Path) -> Clip:
    skeletons = _find_skeletons(folder, "target")
    for name in REFERENCES:
        if (clip := find_clip(folder, name)) is not None:
            return replace(clip, keypoints=skeletons)
    if skeletons is None:
        raise VideoError(f"{folder}: expected target_images or target_condition/openposefull, got neither: add one")
    return Clip(skeletons, keypoints=skeletons)


def _find_skeletons(folder: Path, whose: str) -> Path | None:
    conditions = folder / f"{whose}_condition"
    return next((path for name in SKELETONS if has_pictures(path := conditions / name)), None)


def _shorten(clip: Clip, config: CasesConfig, most: int) -> Clip:
    """The first frames, at most so many."""
    clip = replace(clip, stride=config.stride, fps=config.fps)
    available = clip.describe().frames
    return replace(clip, count=most if available is None else min(most, len(clip.indices(available))))


def _find_prompts(folder: Path) -> tuple[str | None, str | None]:
    """The prompts of the source and of the edit, from the case's configurations, training's first."""
    places = (folder, folder.parent.parent / "configs" / folder.name)
    files = [file for place in places if place.is_dir() for file in sorted(place.glob("*.y*ml"))]
    prompt = edit_prompt = None
    for file in sorted(files, key=lambda file: not file.name.startswith("train-motion")):
        content = load_config(file)
        data = _section(file, content, "input_data") or _section(file, content, "train_data")
        prompt = prompt or _text(file, data.get("prompt"))
        prompts = _section(file, content, "validation_data").get("prompts")
        edit_prompt = edit_prompt or _text(file, prompts[0] if isinstance(prompts, list) and prompts else prompts)
    return prompt, edit_prompt


def _section(file: Path, content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = content.get(name) or {}
    if not isinstance(section, dict):
        raise InputError(f"{file}: expected {name} to be a mapping, got {section!r:.80}")
    return section


def _text(file: Path, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"{file}: expected prompts to be text, got {value!r:.80}")
    return value or None
