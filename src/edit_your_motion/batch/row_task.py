"""What is done for one row, on whichever machine: its files brought, its person tuned once for all rows, the edit."""

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from edit_your_motion.batch.contents import FILES, FILES_OF_PERSON, default_cache, find_local, localise, named_by_url
from edit_your_motion.batch.rows import Row
from edit_your_motion.config import EditConfig, merge, nest
from edit_your_motion.errors import EditYourMotionError
from edit_your_motion.jobs.inspection import take_prepared
from edit_your_motion.jobs.output_folder import OF_EDIT
from edit_your_motion.jobs.session import run_apply, run_tune
from edit_your_motion.person_folder import is_person, unfinished_beside
from edit_your_motion.presets import Choice
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.storage.leases import leased
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.stores import LocalStore, RemoteStore, Store, is_url, open_store

EDITS, PERSONS = "edits", "persons"
DONE, FAILED, LOG = "row.json", "failure.json", "log.txt"
"""Beside an edit's own files: written last, what it was made for; why it could not be made; what happened meanwhile."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workshop:
    """Where rows are made.

    Args:
        output: folder or URL of the results.
        cache: folder of each machine for what lies elsewhere; None for `default_cache`.
        force: make edits of which the skeletons say that nothing good can come.
        manifest: that asks for the rows, kept with each so that no other one replaces them; empty where there is none.
    """

    output: str
    cache: Path | None = None
    force: bool = False
    manifest: str = ""

    def find_cache(self) -> Path:
        """The folder on this machine.

        Raises:
            InputError: the usual one is somebody else's.
        """
        return default_cache() if self.cache is None else self.cache


def read_mark(store: Store, name: str) -> dict[str, Any]:
    """What the row's results that are there, whole, were made for; nothing where there are none."""
    content = store.read(f"{EDITS}/{name}/{DONE}")
    try:
        mark = {} if content is None else parse_json(content.decode())
    except ValueError:
        return {}
    return mark if isinstance(mark, dict) else {}


def is_done(store: Store, row: Row, mark: Mapping[str, Any] | None = None) -> bool:
    """Whether the row's results are there, each file of them, and made for what it asks for.

    Args:
        store: which keeps them.
        row: whose they are.
        mark: of the results, where it was read already.
    """
    mark = read_mark(store, row.name) if mark is None else mark
    if mark.get("request") != row.request:
        return False
    folder, files = f"{EDITS}/{row.name}/", mark.get("files", [])
    return isinstance(files, list) and {f"{folder}{file}" for file in files} <= set(store.find(folder))


def make_row(row: Row, workshop: Workshop) -> None:
    """Makes the edit of a row, unless it is there.

    Raises:
        EditYourMotionError: it could not be made; the reason is kept beside where it would be.
    """
    store = open_store(workshop.output)
    if is_done(store, row):
        return
    store.remove(f"{EDITS}/{row.name}/{DONE}")
    try:
        _make(row, workshop, store)
    except EditYourMotionError as error:
        note_failure(store, row, str(error))
        raise
    store.remove(f"{EDITS}/{row.name}/{FAILED}")


def note_failure(store: Store, row: Row, error: str) -> None:
    """Keeps why a row could not be made; where there is no room even for that, it is only told."""
    try:
        store.write(f"{EDITS}/{row.name}/{FAILED}", json.dumps({"error": error}, ensure_ascii=False).encode())
    except EditYourMotionError as problem:
        logger.warning("%s: why it failed could not be kept: %s", row.name, problem)


def _make(row: Row, workshop: Workshop, store: Store) -> None:
    cache = workshop.find_cache()
    truth = None if row.truth is None else Path(localise(row.truth, row.tags[row.truth], cache))
    chosen = _choose(row, FILES, cache)
    progress = SilentProgress()
    brought = _list_brought(row, cache)
    with _workplace(store, workshop, row) as folder, _logged(folder / LOG), named_by_url(brought):
        person = tune_once(store, workshop, row, progress)
        run_apply(
            person,
            chosen.config.for_applying(),
            folder,
            progress,
            truth=truth,
            source=take_prepared(chosen.config).source.path,
            force=workshop.force,
            chosen=chosen,
        )
        made = [name for name in OF_EDIT if (folder / name).exists()]
        mark = {"manifest": workshop.manifest, "request": row.request, "files": made}
        LocalStore(folder).write(DONE, json.dumps(mark, indent=1, ensure_ascii=False).encode())


def _choose(row: Row, files: Collection[str], cache: Path) -> Choice[EditConfig]:
    """The row's configuration, with these of its files on this machine."""
    local = {name: localise(place, row.tags[place], cache) for name, place in row.files.items() if name in files}
    return row.choose(merge(row.settings, nest(local)))


def _list_brought(row: Row, cache: Path) -> dict[str, str]:
    """The URL of each file that the row and its person are made of, by where it is brought."""
    return {str(find_local(place, tag, cache)): place for each in (row, row.tuner or row)
            for place, tag in each.tags.items() if is_url(place)}  # fmt: skip


def tune_once(store: Store, workshop: Workshop, row: Row, progress: Progress) -> Path:
    """The folder of the row's person on this machine, tuned by whoever needs them first, wherever that is.

    Args:
        store: which keeps them.
        workshop: where.
        row: that needs them.
        progress: is told how far that is.
    """
    name = f"{PERSONS}/{row.person}"
    # What is left beside a person lies in a folder: where there is none, nobody need ask who held their lease.
    left = store.path(name) is not None and bool(store.find(f"{name}.lease-"))
    if not left and (found := _find_person(store, workshop, name)) is not None:
        return found
    with leased(store, name):
        if (found := _find_person(store, workshop, name)) is not None:
            _clear_up(found)
            return found
        chosen = _choose(row.tuner or row, FILES_OF_PERSON, workshop.find_cache())
        config = chosen.config.for_tuning()
        if isinstance(store, RemoteStore):
            folder = _kept(workshop, name)
            run_tune(config, folder, progress, chosen=chosen)
            logger.info("%s: tuned", name)
            (folder / DONE).write_text("{}", encoding="utf-8")
            store.upload(folder, name, DONE)
            return folder
        place = store.path(name)
        assert place is not None
        run_tune(config, place, progress, chosen=chosen)
        logger.info("%s: tuned", name)
        return place


def _find_person(store: Store, workshop: Workshop, name: str) -> Path | None:
    """Where the person lies on this machine, brought here from elsewhere; None where nobody has tuned them."""
    if (place := store.path(name)) is not None:
        return place if is_person(place) else None
    assert isinstance(store, RemoteStore)
    folder = _kept(workshop, name)
    if store.read(f"{name}/{DONE}") is None:
        return None
    with held(folder, wait=True):
        if not (folder / DONE).is_file():
            store.download(name, folder)
    return folder


def _clear_up(person: Path) -> None:
    """Removes what somebody left beside a person who was killed just before they were done with it."""
    with held(person, wait=True):
        shutil.rmtree(unfinished_beside(person), ignore_errors=True)


def _kept(workshop: Workshop, name: str) -> Path:
    """The place in this machine's cache of what lies in the store."""
    return workshop.find_cache() / sha256(workshop.output.encode()).hexdigest()[:16] / name


@contextmanager
def _workplace(store: Store, workshop: Workshop, row: Row) -> Iterator[Path]:
    """The folder to make a row in; what lies elsewhere is uploaded once the block ends well."""
    name = f"{EDITS}/{row.name}"
    if (place := store.path(name)) is not None:
        place.mkdir(parents=True, exist_ok=True)
        yield place
        return
    assert isinstance(store, RemoteStore)
    folder = _kept(workshop, name)
    with held(folder.with_name(f"{folder.name}.making")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
        store.upload(folder, name, DONE)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Within it what our modules have to say goes into a file."""
    ours = logging.getLogger("edit_your_motion")
    handler = logging.FileHandler(path, encoding="utf-8")  # after what former tries had to say
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    except EditYourMotionError as error:
        logger.info("failed: %s", error)
        raise
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before)
        handler.close()
