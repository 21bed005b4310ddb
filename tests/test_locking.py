"""Locks: who comes second is told who is there, and nobody waits for the dead."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edit_your_motion.errors import FolderInUseError, InputError
from edit_your_motion.storage.locking import held

HOLDER = """
import sys, time
from pathlib import Path
from edit_your_motion.storage.locking import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `tmp_path / "edit"`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "edit")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_named(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    who = rf"edit is in use by process {holder.pid} on .* since 20.*: wait"
    with pytest.raises(FolderInUseError, match=who), held(tmp_path / "edit"):
        pass


def test_other_places_are_free(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with held(tmp_path / "other"), held(tmp_path / "edit2"):
        pass


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_dead_hold_nothing(holder: subprocess.Popen[str], tmp_path: Path, end: signal.Signals) -> None:
    holder.send_signal(end)
    holder.wait()
    with held(tmp_path / "edit"):
        pass
    assert not list(tmp_path.iterdir())


def test_who_can_wait_comes_next(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with held(tmp_path / "edit", wait=True):
            order.append("second")

    with held(tmp_path / "edit"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert not list(tmp_path.iterdir())


def test_a_disk_without_locks_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path / "edit"):
        pass
    assert "without locks" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_place_in_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place"), held(tmp_path / "file" / "edit"):
        pass
    with pytest.raises(InputError, match="shorter"), held(tmp_path / ("x" * 300) / "edit"):
        pass
