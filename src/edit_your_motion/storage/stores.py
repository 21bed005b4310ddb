"""Where results lie: a folder here, or whatever fsspec reaches by a URL, such as an S3 bucket."""

import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from edit_your_motion.errors import EditYourMotionError, InputError, MissingExtraError
from edit_your_motion.storage.files import NO_ROOM, explained, written_whole

MARK = "://"


@runtime_checkable
class Store(Protocol):
    """Files by name, with ``/`` between folders; each appears whole or not at all."""

    def path(self, name: str) -> Path | None:
        """Where a file or folder lies on this machine's disks; None where it is elsewhere."""
        ...

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Writes a file over one that is there."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file that is not there yet; False where somebody was faster."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        ...

    def find(self, start: str) -> list[str]:
        """The names of the files of a folder that begin so, in order."""
        ...


def is_url(place: str) -> bool:
    """Whether a place is named by a URL, and reached by fsspec."""
    return MARK in place


def open_store(place: str) -> "LocalStore | RemoteStore":
    """The store at a path or URL.

    Raises:
        InputError: nothing is reached by such a URL.
        MissingExtraError: the package that reaches it is not installed.
    """
    return RemoteStore(place) if is_url(place) else LocalStore(Path(place))


class LocalStore:
    """A folder that all who use it see under the same path."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def path(self, name: str) -> Path | None:
        """See `Store.path`."""
        return self.root / name

    def read(self, name: str) -> bytes | None:
        """See `Store.read`."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """See `Store.write`."""
        with written_whole(self.root / name) as temporary:
            temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Store.create`."""
        path = self.root / name
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("xb") as file:  # one alone, also on NFS
                    file.write(content)
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """See `Store.remove`."""
        (self.root / name).unlink(missing_ok=True)

    def find(self, start: str) -> list[str]:
        """See `Store.find`."""
        folder, _, beginning = start.rpartition("/")
        try:
            names = os.listdir(self.root / folder)
        except FileNotFoundError:
            return []
        return sorted(posixpath.join(folder, name) for name in names if name.startswith(beginning))


class RemoteStore:
    """A place of fsspec's."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.files, self.root = open_filesystem(self.url)

    def path(self, name: str) -> Path | None:
        """See `Store.path`."""
        return None

    def read(self, name: str) -> bytes | None:
        """See `Store.read`."""
        with reached(self._url(name)):
            try:
                return bytes(self.files.cat_file(self._at(name)))
            except (FileNotFoundError, IsADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """See `Store.write`."""
        with reached(self._url(name)):
            self.files.makedirs(posixpath.dirname(self._at(name)), exist_ok=True)
            self.files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Store.create`."""
        with reached(self._url(name)):
            self.files.makedirs(posixpath.dirname(self._at(name)), exist_ok=True)
            try:
                self.files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if "PreconditionFailed" in str(error) or "At least one of the pre-conditions" in str(error):  # of S3
                    return False
                raise
        return True

    def remove(self, name: str) -> None:
        """See `Store.remove`."""
        with reached(self._url(name)):
            try:
                self.files.rm_file(self._at(name))
            except FileNotFoundError:
                return

    def find(self, start: str) -> list[str]:
        """See `Store.find`."""
        folder = posixpath.dirname(start)
        with reached(self._url(start)):
            try:
                found = self.files.ls(self._at(folder), detail=False)
            except FileNotFoundError:
                return []
        names = [posixpath.join(folder, posixpath.basename(path.rstrip("/"))) for path in found]
        return sorted(name for name in names if name.startswith(start))

    def upload(self, folder: Path, name: str, last: str) -> None:
        """Puts a folder's files there, `last` after all others: whoever sees it sees the folder whole.

        What lay there is removed first, `last` before all others.
        """
        self.remove(f"{name}/{last}")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        with reached(self._url(name)):
            if self.files.exists(self._at(name)):
                self.files.rm(self._at(name), recursive=True)
            for path in sorted(files, key=lambda path: path == folder / last):
                place = self._at(f"{name}/{path.relative_to(folder).as_posix()}")
                self.files.makedirs(posixpath.dirname(place), exist_ok=True)
                self.files.put_file(str(path), place)

    def download(self, name: str, folder: Path) -> None:
        """Brings a folder here, whole or not at all."""
        bring(self.files, self._at(name), folder, self._url(name))

    def _at(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}" if name else self.root

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"


def open_filesystem(url: str) -> tuple[Any, str]:
    """The file system of fsspec's for a URL, and the path in it; it remembers no lists, for others write there.

    Raises:
        InputError: nothing is reached by such a URL.
        MissingExtraError: the package that reaches it is not installed.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        if url.startswith(("s3://", "s3a://")):
            raise MissingExtraError("s3fs", "storage", "a place on S3") from error
        raise InputError(f"{url} is out of reach: {error}") from error
    except ValueError as error:
        raise InputError(f"{url} is out of reach: {error}; expected a URL that fsspec knows, such as s3://") from error
    return files, str(path)


def bring(files: Any, path: str, place: Path, url: str) -> None:
    """Copies a file or folder of fsspec's to `place`, whole or not at all.

    Raises:
        InputError: it is not there, cannot be reached, or came incomplete.
        DiskFullError: no room was left.
    """
    with written_whole(place) as temporary, reached(url):
        sizes = {found: int(info["size"] or 0) for found, info in files.find(path, detail=True).items()}
        if not sizes:
            raise FileNotFoundError(path)
        whole = path.rstrip("/")
        for found, size in sizes.items():
            inside = found.rstrip("/").removeprefix(whole).lstrip("/")
            if ".." in Path(inside).parts:
                raise InputError(f"{url} has a file of the name '{inside}', which leads out of its folder")
            local = temporary / inside if inside else temporary
            local.parent.mkdir(parents=True, exist_ok=True)
            with files.open(found, "rb") as theirs, local.open("wb") as ours:
                shutil.copyfileobj(theirs, ours, 2**22)
            if (got := local.stat().st_size) != size:
                raise InputError(f"{url} came incomplete: expected {size} bytes of '{inside or whole}', got {got}")


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Says in our words why a place of others could not be reached, whichever library tried.

    Raises:
        InputError: it could not.
    """
    try:
        yield
    except EditYourMotionError:
        raise
    except OSError as error:
        if error.errno in NO_ROOM:  # here, where it is brought to
            raise
        raise _explain(url, error) from error
    except Exception as error:  # each kind of storage has errors of its own
        raise _explain(url, error) from error


def _explain(url: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{url}: expected a file or folder, got nothing there: check the URL")
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{url} is out of reach ({reason:.200}): check the URL, the rights and the network")
