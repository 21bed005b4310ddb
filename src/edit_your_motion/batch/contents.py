"""The files that rows name: told apart by what they hold, and brought to whoever works with them."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.jobs.identity import digest_content
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.names import as_name
from edit_your_motion.storage.stores import bring, is_url, open_filesystem, reached

FILES_OF_PERSON = ("source.path", "people.keypoints", "people.masks", "people.plate")
FILES = ("source.path", "reference.path", *FILES_OF_PERSON[1:], "people.reference_keypoints")
"""Settings that name what an edit is made of, by full name: paths, or URLs of what fsspec reaches."""

_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "sha256")
"""What file systems call that which changes with a file's contents."""


class Tags:
    """What tells the contents of files apart; each file is looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, place: str) -> str:
        """The tag of a file or folder at a path or URL: of the contents here, of their version elsewhere.

        Raises:
            InputError: it is not there, or cannot be read.
        """
        if place not in self._known:
            self._known[place] = _tag_url(place) if is_url(place) else _tag_path(Path(place))
        return self._known[place]


def _tag_path(path: Path) -> str:
    if not os.path.exists(path):
        raise InputError(f"{path}: expected a file or folder, got nothing there: check the path")
    try:
        return digest_content(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _tag_url(url: str) -> str:
    files, path = open_filesystem(url)
    with reached(url):
        found = files.find(path, detail=True)
        if not found:
            raise FileNotFoundError(url)
        versions = {name.removeprefix(path): _version(info) for name, info in found.items()}
    return hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()


def _version(info: dict[str, Any]) -> list[str]:
    """What is known of a file without reading it: its size, and its version or else when it was written."""
    known = [str(info[name]) for name in _VERSIONS if info.get(name)]
    times = [str(info[name]) for name in ("LastModified", "mtime", "created") if info.get(name)]
    return [str(info.get("size")), *(known or times)]


def localise(place: str, tag: str, cache: Path) -> str:
    """The path of a file or folder on this machine: what lies elsewhere is brought into the cache once, whole.

    Raises:
        InputError: it cannot be reached.
        DiskFullError: there is no room for it.
    """
    if not is_url(place):
        return place
    local = find_local(place, tag, cache)
    with held(local, wait=True):
        if not local.exists():
            files, path = open_filesystem(place)
            bring(files, path, local, place)
    return str(local)


def find_local(url: str, tag: str, cache: Path) -> Path:
    """Where in the cache that lies which is brought from a URL."""
    name = PurePosixPath(re.split("[?#]", url, maxsplit=1)[0])
    suffix = f".{as_name(name.suffix)}" if name.suffix else ""
    return cache / "inputs" / tag[:32] / f"{as_name(name.stem) or 'input'}{suffix}"


@contextmanager
def named_by_url(urls: Mapping[str, str]) -> Iterator[None]:
    """Within it what is wrong with a file is told of its URL, not of the path it was brought to.

    Args:
        urls: by path on this machine.
    """
    try:
        yield
    except (ConfigError, InputError) as error:  # of a full disk it is this machine's path that counts
        message = str(error)
        for local, url in urls.items():
            message = message.replace(local, url)
        error.args = (message,)
        raise


def default_cache() -> Path:
    """Where this machine keeps what it was brought: ``$EYM_BATCH_CACHE``, or a temporary folder of the user's own.

    Raises:
        InputError: the temporary folder is somebody else's.
    """
    if chosen := os.environ.get("EYM_BATCH_CACHE"):
        return Path(chosen).expanduser().absolute()
    if not hasattr(os, "getuid"):  # Windows, whose temporary folders are each user's own
        return Path(tempfile.gettempdir()) / "edit-your-motion"
    folder = Path(tempfile.gettempdir()) / f"edit-your-motion-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise InputError(f"expected {folder} to be yours, got somebody else's: give --cache, or set EYM_BATCH_CACHE")
    return folder
