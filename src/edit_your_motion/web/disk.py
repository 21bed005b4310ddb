"""How much of the disk a folder takes, and how much of it would be free without it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """What a folder takes.

    Args:
        size: bytes of all of its files.
        frees: bytes that deleting it would free: of those that have no other name elsewhere. An edit shares the files
            of its clips with them.
    """

    size: int
    frees: int


def measure(folder: Path) -> Taken:
    """What a folder takes, whatever else is done in it meanwhile."""
    names: dict[tuple[int, int], int] = {}
    known: dict[tuple[int, int], os.stat_result] = {}
    for status in _walk(folder):
        key = (status.st_dev, status.st_ino)
        names[key], known[key] = names.get(key, 0) + 1, status
    alone = (status.st_size for key, status in known.items() if names[key] >= status.st_nlink)
    return Taken(sum(status.st_size for status in known.values()), sum(alone))


def _walk(folder: Path) -> Iterator[os.stat_result]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield from _look(entry)
    except FileNotFoundError:
        return  # gone meanwhile, or never there


def _look(entry: "os.DirEntry[str]") -> Iterator[os.stat_result]:
    if entry.is_dir(follow_symlinks=False):
        yield from _walk(Path(entry.path))
        return
    try:
        yield os.lstat(entry.path)  # an entry itself knows no links where they are not cheap
    except FileNotFoundError:
        return
