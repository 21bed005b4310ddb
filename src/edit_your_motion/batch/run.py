"""A batch: what is missing of a manifest's rows is made, by whichever executor; what is on disk is the truth."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from edit_your_motion.batch.row_task import Workshop, is_done, make_row, note_failure, read_mark
from edit_your_motion.batch.rows import Row
from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.contract import Executor, Task, interrupted_by_sigterm
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.stores import Store, open_store

logger = logging.getLogger(__name__)


def run_batch(rows: Sequence[Row], workshop: Workshop, executor: Executor, progress: Progress) -> dict[str, str]:
    """Makes the rows that are not there yet and returns why those failed that did, by name; one stops no other.

    Args:
        rows: from `plan_rows`.
        workshop: where results go.
        executor: does the rows.
        progress: is told how many are done.

    Raises:
        ConfigError: results of another manifest have the name of a row that asks for something else.
        FolderInUseError: another batch works in the folder.
        InputError: the place of the results cannot be reached.
    """
    store = open_store(workshop.output)
    failures: dict[str, str] = {}
    with _alone(store), interrupted_by_sigterm(), progress.phase("rows", len(rows)) as advance:
        missing: dict[str, Row] = {}
        marks = {row.name: read_mark(store, row.name) for row in rows if row.error is None}
        for row in rows:
            _check_manifest(row, marks.get(row.name, {}), workshop)
        for row in rows:
            if row.error is not None:
                failures[row.name] = row.error
                note_failure(store, row, row.error)
                logger.warning("%s (%s): %s", row.name, row.where, row.error)
            elif not is_done(store, row, marks[row.name]):
                missing[row.name] = row
                continue
            advance()
        tasks = [Task(row.name, make_row, (row, workshop)) for row in _spread(list(missing.values()))]
        with closing(executor.run(tasks)) as outcomes:
            for outcome in outcomes:
                if outcome.error is not None:
                    row, failures[outcome.name] = missing[outcome.name], outcome.error
                    logger.warning("%s (%s): %s", row.name, row.where, outcome.error)
                    note_failure(store, row, outcome.error)  # its process may have had no chance to
                advance()
    return failures


def _check_manifest(row: Row, mark: Mapping[str, Any], workshop: Workshop) -> None:
    """Passes a row under whose name there are no results that another manifest asked for."""
    other = mark.get("manifest") or workshop.manifest
    if workshop.manifest and other != workshop.manifest and mark.get("request") != row.request:
        raise ConfigError(
            f"{row.where}, column name: '{row.name}' is in {workshop.output} already, as {other} asked for it: choose "
            "another name or another --output, or remove that edit"
        )


def _spread(rows: Sequence[Row]) -> list[Row]:
    """The first row of each person before the second of any: whoever waits for a tuning does nothing meanwhile."""
    turns: dict[str, int] = {}
    order = []
    for index, row in enumerate(rows):
        turns[row.person] = turn = turns.get(row.person, -1) + 1
        order.append((turn, index))
    return [rows[index] for _, index in sorted(order)]


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Within it no other batch works in a folder of this machine; those that share a bucket may make a row twice."""
    place = store.path("batch")
    if place is None:
        yield
        return
    with held(place):
        yield
