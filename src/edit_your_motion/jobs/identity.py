"""What a person was tuned on: the contents of the files that a configuration names, and the settings that decide."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from edit_your_motion.config import ClipConfig, TuneConfig, flatten

INPUTS = {
    "source": "the source",
    "people.keypoints": "--people.keypoints",
    "people.masks": "--people.masks",
    "people.plate": "--people.plate",
    "people.detector": "--people.detector",
    "people.pose": "--people.pose",
}
"""Settings that name files which decide the tuned person, and what a user calls them."""

BLOCK = 2**22
MOST_CHANGES = 4


def digest_inputs(config: TuneConfig) -> dict[str, str]:
    """The digest of what each setting of `INPUTS` names, by setting; without those that name nothing here."""
    places = {name: _look_up(config, name) for name in INPUTS}
    return {name: digest_content(Path(place)) for name, place in places.items() if place and Path(place).exists()}


def digest_content(path: Path) -> str:
    """SHA-256 of a file, whatever its name; of a folder, of the names and contents of all files in it."""
    if path.is_file():
        return _digest_file(path)
    digest = sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(
                f"{file.relative_to(path).as_posix()}\0{_digest_file(file)}\n".encode(errors="surrogateescape")
            )
    return digest.hexdigest()


def describe_changes(
    before: TuneConfig, of_before: Mapping[str, str], now: TuneConfig, of_now: Mapping[str, str]
) -> list[str]:
    """In words, what would make another person: files of other contents, and settings that decide.

    Args:
        before: the configuration that a person was tuned with.
        of_before: its `digest_inputs`, of that time.
        now: the configuration that is asked for.
        of_now: its `digest_inputs`.
    """
    changes = []
    for name, called in INPUTS.items():
        if of_before.get(name) != of_now.get(name):
            given = {True: f"{_look_up(now, name)}, of other contents than then", False: "missing now"}[name in of_now]
            changes.append(f"{called} is {given}" if name in of_before else f"{called} was not given then")
    settings = [{name: value for name, value in flatten(config.identity())
                 if name.removesuffix(".path") not in INPUTS}
                for config in (before, now)]  # fmt: skip
    for name in settings[1]:
        was, value = settings[0].get(name), settings[1][name]
        if was != value:
            changes.append(f"--{name.replace('_', '-')} was {was!r} and is {value!r}")
    if len(changes) > MOST_CHANGES:
        changes[MOST_CHANGES:] = [f"{len(changes) - MOST_CHANGES} more"]
    return changes


def _look_up(config: TuneConfig, name: str) -> str | Path | None:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value.path if isinstance(value, ClipConfig) else value


def _digest_file(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
