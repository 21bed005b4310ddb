"""One at a time, across machines, where all they share is a place for files: who holds a name says so again and again.

A lock of the system's (`locking`) ends with its process, but no object storage has one, and many network disks keep
them to each machine. A lease is a file that exactly one can create. Its holder rewrites it every few seconds; where it
stays the same for long, or names a process of this machine that is gone, the holder is dead, and the next number is to
be had: ``NAME.lease-000002``. Whoever then still lives and held the last one does work that is done again, no more.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psutil

from edit_your_motion.errors import EditYourMotionError
from edit_your_motion.storage.machines import name_machine, when_begun
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.stores import Store

logger = logging.getLogger(__name__)

BEAT = 15.0
"""Seconds between two signs of life."""
PATIENCE = 120.0
"""Seconds without one after which a holder is dead; network disks tell of a change up to a minute late."""
PAUSE = (0.1, 2.0)
"""Seconds between two looks: at first, and at most."""


@contextmanager
def leased(store: Store, name: str, *, beat: float | None = None, patience: float | None = None) -> Iterator[None]:
    """Within it nobody else holds the same name of the store; waits for whoever does.

    Args:
        store: what all have in common.
        name: of what is to be held; its leases lie beside it.
        beat: seconds between two signs of life; `BEAT` by default.
        patience: seconds without one after which a holder is taken for dead; `PATIENCE` by default.

    Raises:
        InputError: the store cannot be reached or written to.
    """
    lease = _acquire(store, name, PATIENCE if patience is None else patience)
    ended = threading.Event()
    pulse = threading.Thread(target=_beat, args=(lease, BEAT if beat is None else beat, ended), daemon=True)
    pulse.start()
    try:
        yield
    finally:
        ended.set()
        pulse.join()
        lease.release()


class _Lease:
    """One number of a name, and who holds it."""

    def __init__(self, store: Store, name: str, number: int) -> None:
        self.store, self.name = store, name
        self.file = f"{name}.lease-{number:06d}"
        self.content: dict[str, Any] = {**_introduce(), "token": uuid4().hex, "beats": 0}

    def take(self) -> bool:
        return self.store.create(self.file, json.dumps(self.content).encode())

    def beat(self) -> None:
        self.content["beats"] += 1
        self.store.write(self.file, json.dumps(self.content).encode())

    def release(self) -> None:
        """Removes it, and those of the dead before it."""
        for file in _find(self.store, self.name):
            if file <= self.file:
                self.store.remove(file)


def _acquire(store: Store, name: str, patience: float) -> _Lease:
    seen: tuple[str, bytes] | None = None
    since, pause = time.monotonic(), PAUSE[0]
    while True:
        files = _find(store, name)
        last = files[-1] if files else None
        content = b"" if last is None else store.read(last)
        if last is not None and content is None:
            continue  # released in between
        now = (last or "", content or b"")
        if now != seen:
            seen, since = now, time.monotonic()
        if last is None or _is_gone(content or b"") or time.monotonic() - since > patience:
            lease = _Lease(store, name, 1 if last is None else int(last.rpartition("-")[2]) + 1)
            if lease.take():
                if last is not None:
                    logger.warning("%s: its holder is gone; taken over", name)
                return lease
            continue
        time.sleep(pause)
        pause = min(1.5 * pause, PAUSE[1])


def _find(store: Store, name: str) -> list[str]:
    """The leases of a name, in their order."""
    start = f"{name}.lease-"
    return [file for file in store.find(start) if file.removeprefix(start).isdecimal()]


def _beat(lease: _Lease, every: float, ended: threading.Event) -> None:
    while not ended.wait(every):
        try:
            lease.beat()
        except EditYourMotionError as error:  # it may be back before others lose patience
            logger.warning("no sign of life could be left for %s: %s", lease.name, error)


def _introduce() -> dict[str, Any]:
    return {"machine": name_machine(), "process": os.getpid(), "begun": when_begun(os.getpid())}


def _is_gone(content: bytes) -> bool:
    """Whether a lease is of a process of this very machine that is no more."""
    try:
        holder = parse_json(content.decode())
        machine, process, begun = str(holder["machine"]), int(holder["process"]), float(holder["begun"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return False  # somebody is just writing it
    if machine != name_machine():
        return False
    try:
        return process <= 0 or when_begun(process) != begun or psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
