"""What a user corrected, or had there before, is never written over."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edit_your_motion.errors import EditYourMotionError, InputError
from edit_your_motion.jobs.identity import digest_content
from edit_your_motion.storage.files import remove_whole, write_text
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.parsing import parse_json

RECORD = ".written.json"
"""In a folder of results: the digests of what it holds as it was left, by name; null while that is being written."""


@contextmanager
def rewritten(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Within it files and folders of these names may be written to `folder`: nobody changed them since we wrote them.

    Raises:
        InputError: one has other contents than it was left with, or nothing says that we wrote it.
    """
    left = _read_record(folder)
    for place in (folder / name for name in names):
        if place.exists() and left.get(place.name, "") not in (None, digest_content(place)):
            raise InputError(
                f"{place} would be written over, and was changed since it was made or is not of our making: choose "
                "another place, or remove it"
            )
    was_there = folder.exists()
    _note(folder, dict.fromkeys(names))
    try:
        yield
    except EditYourMotionError:
        if not was_there and os.listdir(folder) == [RECORD]:  # nothing was begun
            remove_whole(folder)
        raise
    _note(folder, {name: digest_content(folder / name) for name in names if (folder / name).exists()})


def _note(folder: Path, digests: dict[str, str] | dict[str, None]) -> None:
    with held(folder / RECORD, wait=True):
        write_text(folder / RECORD, json.dumps({**_read_record(folder), **digests}))


def _read_record(folder: Path) -> dict[str, str | None]:
    """What was left in the folder."""
    try:
        content = parse_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: digest for name, digest in content.items() if digest is None or isinstance(digest, str)}
