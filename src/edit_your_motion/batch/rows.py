"""The rows of a batch: what a manifest asks for, checked whole before anything starts."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from edit_your_motion.batch.contents import FILES, Tags
from edit_your_motion.batch.manifest import MOST_ROWS, Entry
from edit_your_motion.config import EditConfig, flatten, merge, nest
from edit_your_motion.errors import ConfigError, EditYourMotionError, InputError
from edit_your_motion.presets import PRESETS, Choice, choose_settings
from edit_your_motion.storage.names import as_name
from edit_your_motion.storage.stores import MARK, is_url, open_filesystem, reached

NETWORKS = ("model.base", "model.controlnet", "model.motion_adapter", "model.vae", "model.tokenizer")
"""Settings that name a folder or file of networks, or something on the hub."""
LONGEST_STEM = 40
"""Characters of a file's name that stand in a row's."""


@dataclass(frozen=True)
class Row:
    """One edit of a batch, as it travels to whoever makes it.

    Args:
        name: of its folder.
        where: it stands in the manifest.
        settings: nested, over preset and recommendation; files by absolute path or URL.
        preset: asked for; None for what the base recommends.
        truth: a video of the true edit, to score it against.
        tags: of the contents of each file, by path or URL.
        person: names who is tuned: the same for all rows that tune alike on the same contents.
        request: all that decides the edit; a result that was made for it need not be made again.
        error: why it cannot be done; None where it can.
        tuner: the first row of the manifest with the same person, which says how they are tuned, whichever row comes
            to it; None for itself.
    """

    name: str
    where: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    truth: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    person: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    tuner: "Row | None" = None

    @property
    def files(self) -> dict[str, str]:
        """What its settings name, by their full names."""
        return {name: str(value) for name, value in flatten(self.settings) if name in FILES and value is not None}

    @property
    def prompt(self) -> str:
        """What the source shows."""
        return str(self.settings.get("prompt", ""))

    def choose(self, settings: Mapping[str, Any]) -> Choice[EditConfig]:
        """The configuration, with these settings in the place of the row's own."""
        return choose_settings(EditConfig, ("the manifest", settings), preset=self.preset)


def plan_rows(
    entries: Iterable[Entry],
    folder: Path,
    shared: Sequence[Mapping[str, Any]] = (),
    preset: str | None = None,
    results: str | None = None,
) -> list[Row]:
    """The rows of a manifest, with patterns unfolded: every source that matches with every reference that does.

    A row of which a file is missing carries its error, for it stops no other one.

    Args:
        entries: as they were read.
        folder: that relative paths of the manifest start from.
        shared: nested settings under those of every row; relative paths start here.
        preset: of the rows that name none.
        results: where they go, by absolute path or URL: no pattern matches anything in there.

    Raises:
        ConfigError: a setting has no such value, two rows have one name, or patterns make too many; says which row and
            column.
    """
    tags, rows, seen, tuners = Tags(), list[Row](), dict[str, Row](), dict[str, Row]()
    below = _absolute(merge(*shared), Path.cwd())
    for entry in entries:
        for row in _unfold(entry, folder, below, preset, tags, results):
            other = seen.setdefault(row.name.casefold(), row)
            if other is not row:
                raise ConfigError(_describe_clash(row, other))
            if len(rows) >= MOST_ROWS:
                raise ConfigError(
                    f"{row.where}: expected patterns to make at most {MOST_ROWS} rows, got more: split it"
                )
            first = row if row.error else tuners.setdefault(row.person, row)
            rows.append(row if first is row else replace(row, tuner=first))
    return rows


def _describe_clash(row: Row, other: Row) -> str:
    """What is wrong with two rows of one name."""
    if row.request == other.request and row.error == other.error:
        return f"{row.where}, column name: it asks for the same as {other.where}; expected each once"
    if row.where == other.where:
        both = " and ".join(" with ".join(list(each.files.values())[:2]) for each in (other, row))
        return f"{row.where}, column name: its patterns give the name '{row.name}' to {both}: leave the name empty"
    return f"{row.where}, column name: it has the name '{row.name}', as has {other.where}; expected each once"


def _unfold(
    entry: Entry, folder: Path, below: Mapping[str, Any], preset: str | None, tags: Tags, results: str | None
) -> Iterator[Row]:
    """The rows that one of the manifest stands for."""
    nested = merge(below, _absolute(nest(entry.settings), folder))
    preset = entry.own.get("preset", preset)
    config = _check(entry, nested, preset)
    truth = entry.own.get("truth")
    truth = None if truth is None else _anchor(truth, folder)
    name = entry.own.get("name")
    if name is not None and name != as_name(name):
        raise ConfigError(
            f"{entry.where}, column name: expected letters, digits, '.', '-' and '_' as a folder's name, got '{name}'"
        )
    given = dict(flatten(nested))
    try:
        choices = [_match(given.get(f"{clip}.path"), results) for clip in ("source", "reference")]
    except EditYourMotionError as error:
        yield Row(name or f"row-{entry.number}", entry.where, nested, preset, error=str(error))
        return
    many = len(choices[0]) * len(choices[1]) > 1
    for source, reference in product(*choices):
        paths = {"source": {"path": source}, "reference": {"path": reference}}
        settings = merge(nested, {clip: path for clip, path in paths.items() if path["path"] is not None})
        own = "-".join([name, *(stem_of(place) for place in (source, reference) if place)]) if name and many else name
        moved = {clip: getattr(config, clip).model_copy(update=path) for clip, path in paths.items()}
        yield _complete(
            Row(own or "", entry.where, settings, preset, truth), config.model_copy(update=moved), entry, tags
        )


def _complete(row: Row, config: EditConfig, entry: Entry, tags: Tags) -> Row:
    """The row, with what its files hold; one without a name gets one that says and tells apart."""
    readable = "-".join(stem_of(place) for place in (row.files.get(clip, "") for clip in FILES[:2]) if place)
    try:
        known = {place: tags.of(place) for place in (*row.files.values(), *([row.truth] if row.truth else []))}
    except EditYourMotionError as error:
        return replace(row, name=row.name or f"{readable}-row-{entry.number}", error=str(error))
    person, request = _identify(config, row, known)
    name = row.name or f"{readable}-{_digest(request)[:8]}"
    return replace(row, name=name, tags=known, person=person, request=request)


def _check(entry: Entry, settings: Mapping[str, Any], preset: str | None) -> EditConfig:
    """The configuration of settings that have such values.

    Raises:
        ConfigError: one has not; names the row and the column.
    """
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"{entry.where}, column preset: expected {', '.join(sorted(PRESETS))}, got '{preset}'")
    try:
        config = choose_settings(EditConfig, ("the manifest", settings), preset=preset).config
    except ConfigError as error:
        raise ConfigError(f"{entry.where}, column {error}") from None
    needed = {
        "source": config.source.path,
        "prompt": config.prompt,
        "reference": config.reference.path or config.people.reference_keypoints,
    }
    if missing := [column for column, value in needed.items() if not value]:
        raise ConfigError(f"{entry.where}, column {missing[0]}: expected a value, got none")
    return config


def _identify(config: EditConfig, row: Row, tags: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Names who is tuned, and says all that decides the edit, wherever its files lie."""
    by_name = {name: tags[place] for name, place in row.files.items()}

    def describe(identity: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: by_name.get(name, value) for name, value in flatten(identity)}
        return {**told, "runtime.memory": config.runtime.memory}  # a plan for it may store weights otherwise

    person = _digest(describe(config.for_tuning().identity()))[:16]
    truth = None if row.truth is None else tags[row.truth]
    request = {
        "edit": describe(config.identity()),
        "motion": by_name.get("people.reference_keypoints"),
        "mover": config.people.reference_person,
        "sound": config.video.sound and config.video.sound_of,
        "truth": truth,
    }
    return person, json.loads(json.dumps(request))


def _match(place: Any, results: str | None) -> Sequence[str | None]:
    """The files that a path or URL stands for, in order, without results; itself where it is no pattern."""
    if place is None or not has_magic(str(place)) or (not is_url(str(place)) and os.path.exists(place)):
        return [None if place is None else str(place)]
    if is_url(str(place)):
        files, path = open_filesystem(str(place))
        scheme = str(place).partition(MARK)[0]
        with reached(str(place)):
            found = [f"{scheme}{MARK}{match.lstrip('/')}" for match in files.glob(path)]
    else:
        found = glob(str(place), recursive=True)
    if results is not None:
        found = [path for path in found if not f"{path}/".startswith(f"{results.rstrip('/')}/")]
    if not found:
        raise InputError(f"{place} matches nothing: check the pattern")
    return sorted(found)


def _absolute(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with paths that mean the same from everywhere."""
    changed: dict[str, Any] = {}
    for name, value in flatten(settings):
        if value is None:
            continue
        if name in FILES or (name in NETWORKS and os.path.exists(folder / str(value))):
            changed[name] = _anchor(str(value), folder)
        elif name == "model.lora" and isinstance(value, list | tuple):
            changed[name] = [_anchor(str(lora), folder) for lora in value]
    return merge(settings, nest(changed))


def _anchor(place: str, folder: Path) -> str:
    return place if is_url(place) else str((folder / Path(place).expanduser()).absolute())


def stem_of(place: str) -> str:
    """The name of a file or folder at a path or URL without its suffix, as a part of a name of ours."""
    return as_name(PurePosixPath(place.replace("\\", "/").rstrip("/")).stem)[:LONGEST_STEM] or "clip"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
