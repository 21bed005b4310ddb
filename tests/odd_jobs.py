"""Work for executors to do, in a module that other processes find."""

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

from edit_your_motion.errors import InputError
from edit_your_motion.storage.leases import leased
from edit_your_motion.storage.stores import open_store


def double(number: int) -> int:
    return 2 * number


def nothing() -> None:
    pass


def give_back_a_function() -> object:
    return lambda: None


def refuse(what: str) -> NoReturn:
    raise InputError(f"expected something else,\ngot {what}")


def stumble() -> NoReturn:
    raise RuntimeError("a bug")


def note(folder: Path, name: str) -> int:
    """Leaves a file, and who wrote it."""
    (folder / name).write_text(str(os.getpid()))
    return os.getpid()


def die_once(folder: Path) -> str:
    """Kills its own process the first time."""
    if not (folder / "died").exists():
        (folder / "died").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wait_and_tidy(folder: Path, seconds: float) -> None:
    """Waits, and puts its things in order whatever ends it."""
    (folder / "begun").write_text(str(os.getpid()))
    try:
        time.sleep(seconds)
    finally:
        (folder / "tidied").write_text("")


def tell_environment(name: str) -> str | None:
    return os.environ.get(name)


def tune_slowly(place: str, name: str) -> bool:
    """Makes what is to be made once, if nobody has: whether it was us."""
    store = open_store(place)
    with leased(store, name):
        if store.read(f"{name}/done") is not None:
            return False
        time.sleep(0.3)
        count = int((store.read("count") or b"0").decode())
        store.write("count", str(count + 1).encode())
        store.write(f"{name}/done", b"")
        return True


def hold_until_killed(place: str, name: str) -> NoReturn:
    store = open_store(place)
    with leased(store, name):
        store.write("held", str(os.getpid()).encode())
        time.sleep(600)
    raise AssertionError
