"""The clips of several methods on the same cases, found in their folders and brought together into a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.settings import find_settings, list_settings
from edit_your_motion.config import load_config
from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import written_whole
from edit_your_motion.storage.locking import held
from edit_your_motion.study.definition import CLIPS, FILE, Study, parse_study, save_study
from edit_your_motion.study.playback import add_clip

OURS = "edit-your-motion"
SUFFIXES = (".mp4", ".webm", ".mov", ".m4v", ".mkv", ".avi", ".gif", ".webp", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Origins:
    """Where the clips of a study come from.

    A folder holds each case as ``CASE.mp4`` (or another ending), as ``CASE/NAME.mp4``, where NAME is "edited",
    "source" or "reference", or as frames in ``CASE/``.

    Args:
        ours: name and folder of our method, whose cases are the study's.
        theirs: folder of every other method by its name; cases that it lacks are not compared with it.
        sources: folder.
        references: folder.
        prompts: by case; where there is none, the one in ``CASE/config.yaml`` beside our result.
    """

    ours: tuple[str, Path]
    theirs: Mapping[str, Path]
    sources: Path
    references: Path
    prompts: Mapping[str, str] = field(default_factory=dict)


def find_origins(
    benchmark: Path | None,
    ours: str | None,
    theirs: Sequence[str],
    sources: Path | None,
    references: Path | None,
    prompts: Mapping[str, str],
) -> Origins:
    """Where clips come from, as a user says it.

    Args:
        benchmark: folder with ``METHOD/CASE/edited.mp4`` and ``pairs/CASE/{source,reference}.mp4``; None: folders.
        ours: our method's folder or NAME=FOLDER; its name in a benchmark.
        theirs: NAME=FOLDER of each other method; their names in a benchmark.
        sources: folder, without a benchmark.
        references: folder, without a benchmark.
        prompts: by case.

    Raises:
        ConfigError: something is missing, or there twice.
        InputError: the benchmark has no such method.
    """
    if not theirs:
        raise ConfigError("expected a method to compare ours with: --theirs NAME=FOLDER, or with --benchmark its NAME")
    if benchmark is not None:
        if sources or references:
            raise ConfigError("expected either --benchmark or --sources and --references, got both")
        ours = ours or OURS
        there = list(dict.fromkeys(path.parent.parent.name for path in sorted(benchmark.glob("*/*/edited.mp4"))))
        if unknown := [name for name in (ours, *theirs) if name not in there]:
            raise InputError(
                f"expected METHOD/CASE/edited.mp4 in {benchmark} for {', '.join(unknown)}; "
                f"it has the methods {', '.join(there) or '(none)'}"
            )
        pairs = benchmark / "pairs"
        return Origins((ours, benchmark / ours), {name: benchmark / name for name in theirs}, pairs, pairs, prompts)
    if ours is None or sources is None or references is None:
        raise ConfigError("expected --ours, --sources and --references with folders, or --benchmark with one")
    name, equals, place = ours.partition("=")
    named = (name, Path(place)) if equals else (OURS, Path(ours))
    parted = [each.partition("=") for each in theirs]
    if wrong := [each for each, (name, _, place) in zip(theirs, parted, strict=True) if not (name and place)]:
        raise ConfigError(f"expected --theirs NAME=FOLDER, got {', '.join(wrong)}")
    others = {name: Path(place) for name, _, place in parted}
    if len(others) < len(parted) or named[0] in others:
        raise ConfigError(f"expected a different name for each method, got {', '.join([named[0], *theirs])}")
    return Origins(named, others, sources, references, prompts)


def load_prompts(path: Path | None) -> dict[str, str]:
    """The prompts by case of a YAML file; none without a file.

    Raises:
        ConfigError: the file cannot be read or holds something else.
    """
    prompts = {} if path is None else load_config(path)
    if wrong := [name for name, prompt in prompts.items() if not isinstance(prompt, str)]:
        raise ConfigError(f"expected a text for every case in {path}, not for {', '.join(wrong)}")
    return prompts


def collect_study(folder: Path, origins: Origins, cases: Sequence[str], progress: Progress, **settings: Any) -> Study:
    """Makes the folder of a study: ``study.yaml`` and ``clips/``; the folder appears whole or not at all.

    Args:
        folder: a new one.
        origins: of the clips.
        cases: which ones, in this order; without any all of ours.
        progress: is told how far it is.
        settings: other fields of `Study`; its title and consent have to be among them.

    Raises:
        ConfigError: the folder exists, there are no cases, or the settings do not make a study.
        FolderInUseError: another process makes it.
        InputError: a clip is missing or cannot be read.
        DiskFullError: no room is left.
    """
    with held(folder):
        return _collect(folder, origins, cases, progress, settings)


def _collect(
    folder: Path, origins: Origins, cases: Sequence[str], progress: Progress, settings: dict[str, Any]
) -> Study:
    """`collect_study`, once nobody else makes it."""
    if folder.exists():
        raise ConfigError(f"{folder} exists already: name a new folder, answers belong to the study they were given to")
    if missing := [each for each in _folders(origins) if not each.is_dir()]:
        raise InputError(f"expected folders with clips, these are none: {', '.join(map(str, missing))}")
    names = list(dict.fromkeys(cases)) or _list_cases(origins.ours[1])
    if unknown := sorted(origins.prompts.keys() - set(_list_cases(origins.ours[1]))):
        raise ConfigError(f"expected prompts for cases in {origins.ours[1]}, it has no {', '.join(unknown)}")
    with written_whole(folder) as temporary, progress.phase("clips", len(names)) as advance:
        (temporary / CLIPS).mkdir(parents=True)
        found = []
        for name in names:
            found.append(_collect_case(temporary / CLIPS, origins, name))
            advance()
        used = [find_settings(clip) for name in names if (clip := find_clip(origins.ours[1], name, "edited"))]
        told = {"settings": list_settings({origins.ours[0]: used})} if any(used) else {}
        study = parse_study({"ours": origins.ours[0], **told, "cases": found, **settings}, f"{folder / FILE}")
        save_study(temporary, study)
    return study


def find_clip(folder: Path, case: str, name: str) -> Path | None:
    """The clip of a case in a folder; None if there is none.

    Args:
        folder: of one kind of clips.
        case: whose.
        name: of the clip within a folder of the case's.

    Raises:
        InputError: there are several.
    """
    inner = folder / case
    found = [path for suffix in SUFFIXES if (path := folder / f"{case}{suffix}").is_file()]
    named = [path for suffix in SUFFIXES if (path := inner / f"{name}{suffix}").is_file()]
    found += named or ([inner] if inner.is_dir() and any(map(_is_clip, inner.iterdir())) else [])
    if len(found) > 1:
        raise InputError(f"expected one clip of {case} in {folder}, found {', '.join(path.name for path in found)}")
    return found[0] if found else None


def _folders(origins: Origins) -> tuple[Path, ...]:
    return (origins.ours[1], *origins.theirs.values(), origins.sources, origins.references)


def _list_cases(folder: Path) -> list[str]:
    """Every name that a folder has a clip under, but for hidden ones."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    names = [path.name if path.is_dir() else path.stem for path in paths if path.is_dir() or _is_clip(path)]
    found = [name for name in dict.fromkeys(names) if find_clip(folder, name, "edited")]
    if not found:
        raise InputError(f"expected CASE.mp4 or CASE/edited.mp4 in {folder}, found neither")
    return found


def _is_clip(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _collect_case(clips: Path, origins: Origins, case: str) -> dict[str, Any]:
    name, folder = origins.ours
    results = {name: add_clip(_require_clip(folder, case, "edited"), clips)}
    for method, place in origins.theirs.items():
        if found := find_clip(place, case, "edited"):
            results[method] = add_clip(found, clips)
    return {
        "name": case,
        "prompt": origins.prompts.get(case) or _read_prompt(folder / case / "config.yaml"),
        "source": add_clip(_require_clip(origins.sources, case, "source"), clips),
        "reference": add_clip(_require_clip(origins.references, case, "reference"), clips),
        "results": results,
    }


def _require_clip(folder: Path, case: str, name: str) -> Path:
    found = find_clip(folder, case, name)
    if found is None:
        raise InputError(f"expected {case}.mp4 or {case}/{name}.mp4 in {folder}, found neither")
    return found


def _read_prompt(path: Path) -> str | None:
    """The prompt of an edit's configuration, if it is there."""
    if not path.is_file():
        return None
    settings = load_config(path)
    prompt = settings.get("edit_prompt") or settings.get("prompt")
    return prompt if isinstance(prompt, str) else None
