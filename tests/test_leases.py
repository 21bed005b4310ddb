"""Leases: one holder at a time, over processes and places; the dead are followed, the living are waited for."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import odd_jobs
from edit_your_motion.executors.contract import Task
from edit_your_motion.executors.local import Local
from edit_your_motion.storage.leases import leased
from edit_your_motion.storage.machines import name_machine
from edit_your_motion.storage.stores import Store, open_store

TESTS = Path(__file__).parent


@pytest.fixture(params=["a folder", "a bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "a folder":
        yield open_store(str(tmp_path))
        return
    files = fsspec.filesystem("memory")
    yield open_store("memory://leases")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))


def test_one_at_a_time_and_nothing_is_left(store: Store) -> None:
    inside, most = [0], [0]

    def hold() -> None:
        for _ in range(3):
            with leased(store, "persons/anna"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.01)
                inside[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert most == [1]
    assert store.find("persons/") == []


def test_names_do_not_stand_in_each_others_way(store: Store) -> None:
    with leased(store, "persons/anna"), leased(store, "persons/anna-2"), leased(store, "persons/ann"):
        assert len(store.find("persons/anna.lease")) == 1


def test_a_holder_that_fails_lets_go(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), leased(store, "a"):
        raise ZeroDivisionError
    with leased(store, "a"):
        pass


def write_lease(store: Store, number: int = 1, **changes: object) -> str:
    content = {"machine": "elsewhere", "process": 1, "begun": 0.0, "token": "x", "beats": 0, **changes}
    name = f"a.lease-{number:06d}"
    store.write(name, json.dumps(content).encode())
    return name


def test_who_shows_no_sign_of_life_is_followed_after_a_while(store: Store) -> None:
    write_lease(store)
    start = time.monotonic()
    with leased(store, "a", patience=0.5):
        assert time.monotonic() - start > 0.5
        assert store.find("a.lease")[-1] == "a.lease-000002"
    assert store.find("a.lease") == []


def test_who_shows_signs_of_life_is_waited_for(store: Store) -> None:
    name, ended = write_lease(store), threading.Event()

    def live() -> None:
        for beat in range(10):
            time.sleep(0.2)
            write_lease(store, beats=beat)
        ended.set()
        store.remove(name)

    living = threading.Thread(target=live)
    living.start()
    with leased(store, "a", patience=1.5):
        assert ended.is_set()
    living.join()


def test_a_holder_shows_signs_of_life(store: Store) -> None:
    with leased(store, "a", beat=0.05):
        first = store.read("a.lease-000001")
        time.sleep(0.5)
        assert store.read("a.lease-000001") != first


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"machine": 3}', b"\xff"])
def test_a_lease_that_says_nothing_is_of_somebody_who_is_just_writing_it(store: Store, content: bytes) -> None:
    store.write("a.lease-000001", content)
    start = time.monotonic()
    with leased(store, "a", patience=0.3):
        assert time.monotonic() - start > 0.3


def test_a_process_that_was_killed_is_followed_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"import odd_jobs; odd_jobs.hold_until_killed({str(tmp_path)!r}, 'a')"]
    process = subprocess.Popen(command)
    while not (tmp_path / "held").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    start = time.monotonic()
    with leased(open_store(str(tmp_path)), "a", patience=600.0):
        assert time.monotonic() - start < 30


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"[]", b"{}", b'{"process": 1e999}', b""])
def test_a_damaged_lease_is_followed_after_a_while(store: Store, content: bytes) -> None:
    store.write("a.lease-000001", content)
    with leased(store, "a", patience=0.2):
        pass


def test_a_process_of_another_one_with_its_number_is_not_it(store: Store) -> None:
    write_lease(store, machine=name_machine(), process=os.getpid(), begun=1.0)
    with leased(store, "a", patience=600.0):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps when a process began")
@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_who_lives_is_waited_for_after_the_clock_was_set(
    store: Store, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    from psutil import _pslinux

    began, order = _pslinux.boot_time(), []

    def come_second() -> None:
        with leased(store, "a", patience=600.0):
            order.append("second")

    with leased(store, "a"):
        # As the kernel answers when somebody has set the clock: it counts back from now to when it was started.
        monkeypatch.setattr(_pslinux, "boot_time", lambda: began + jump)
        second = threading.Thread(target=come_second)
        second.start()
        second.join(0.5)
        order.append("first")
    second.join(60)
    assert order == ["first", "second"]


def test_of_processes_that_start_at_once_one_tunes(tmp_path: Path) -> None:
    tasks = [Task(str(number), odd_jobs.tune_slowly, (str(tmp_path), "person")) for number in range(3)]
    outcomes = list(Local([{}] * 3).run(tasks))
    assert sorted(outcome.value for outcome in outcomes) == [False, False, True]
    assert (tmp_path / "count").read_text() == "1"
