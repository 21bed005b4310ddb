"""What memory there is: of the machine, a container, a limit; and jobs that do not fit are not begun."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edit_your_motion.errors import OutOfMemoryError
from edit_your_motion.jobs import costs
from edit_your_motion.jobs.costs import Job, describe_job, measure, require_memory
from edit_your_motion.runtime import machine_memory
from edit_your_motion.runtime.machine_memory import Memory, available_memory
from synthetic_clip import film, short_edit, write_clip

GB = 10**9


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a machine that has none."""
    monkeypatch.setattr(machine_memory, "CGROUPS", tmp_path)
    return tmp_path


def pretend(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Lets this process be in other groups."""
    read = Path.read_text

    def read_text(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        return lines if str(path) == "/proc/self/cgroup" else read(path, encoding=encoding, errors=errors)

    monkeypatch.setattr(Path, "read_text", read_text)


def write_group(place: Path, bound: str, used: int, files: int, *, second: bool) -> None:
    place.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, text in zip(names, (bound, str(used)), strict=True):
        (place / name).write_text(f"{text}\n")
    name = "inactive_file" if second else "total_inactive_file"
    (place / "memory.stat").write_text(f"anon 5\n{name} {files}\nother 7\n")


@pytest.mark.parametrize("second", [True, False], ids=["v2", "v1"])
@pytest.mark.parametrize("at", ["job/step", "job", "."])
def test_the_least_of_a_containers_groups_is_what_there_is(
    groups: Path, monkeypatch: pytest.MonkeyPatch, second: bool, at: str
) -> None:
    pretend(monkeypatch, "0::/job/step\n" if second else "5:devices:/\n4:memory:/job/step\n0::/\n")
    root = groups if second else groups / "memory"
    without = available_memory()
    for name in ("job/step", "job", "."):
        write_group(root / name, "max" if second else str(2**63 - 4096), 0, 0, second=second)
    assert available_memory().most == without.most
    write_group(root / at, str(400 << 20), 300 << 20, 100 << 20, second=second)
    there, own = available_memory(), psutil.Process().memory_info().rss
    assert there.most == 400 << 20
    assert "container" in there.whose
    assert there.now == pytest.approx((200 << 20) + own, rel=0.1)


def test_a_name_of_outside_a_container_counts_as_its_root(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0::/../../docker/1234\n")
    write_group(groups, str(300 << 20), 0, 0, second=True)
    assert available_memory().most == 300 << 20


def test_files_of_the_system_that_cannot_be_read_bound_nothing(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0::/job\n")
    write_group(groups / "job", "many", 0, 0, second=True)
    assert available_memory().whose == "this machine"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bind no addresses")
def test_a_limit_of_addresses_is_one() -> None:
    program = (
        "import resource, psutil\n"
        "from edit_your_motion.runtime.machine_memory import available_memory\n"
        "size = psutil.Process().memory_info().vms + (64 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "there = available_memory()\n"
        "print(there.whose, there.most - psutil.Process().memory_info().rss)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "ulimit -v" in said
    assert int(said.split()[-1]) == pytest.approx(64 << 20, rel=0.1)


@pytest.fixture
def job(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Two clips of 1 GB together, on a machine of 8 GB, of which 6 are free."""
    monkeypatch.setattr(costs, "available_memory", lambda: Memory(6 * GB, 8 * GB, "this machine"))
    source, reference = tmp_path / "source", tmp_path / "reference"
    for folder in (source, reference):
        folder.mkdir()
    clips = write_clip(source, film(2)), write_clip(reference, film(2))
    job = describe_job(short_edit(checkpoints, *clips))
    return replace(job, source=968, edited=0, height=384, width=384)


def test_what_no_machine_of_this_size_can_do_is_not_begun(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    wanted = (
        r"not begun: 9.00 GB of memory are needed, this machine has 8.00 GB: --runtime.memory 5.0GB plans .* --force"
    )
    with pytest.raises(OutOfMemoryError, match=wanted):
        require_memory(job, 8 * GB, force=False)
    require_memory(job, 8 * GB, force=True)
    assert "6.00 GB are free: it may be killed" in caplog.text


def test_what_fits_without_other_programs_is_begun_with_a_word(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    require_memory(job, 6 * GB, force=False)
    assert re.search(r"7.00 GB of memory are needed, 6.00 GB are free", caplog.text)
    caplog.clear()
    require_memory(job, 5 * GB - 10**7, force=False)
    assert not caplog.text


def test_nothing_is_timed_that_does_not_fit(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("timed")

    monkeypatch.setattr(costs, "time_steps", refuse)
    monkeypatch.setattr(costs, "available_memory", lambda: Memory(10**8, 10**8, "this machine"))
    with pytest.raises(OutOfMemoryError, match=r"end other programs, lower --video\.size"):
        measure(job, afresh=True)
    with pytest.raises(AssertionError, match="timed"):
        measure(job, afresh=True, force=True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bind no addresses")
def test_safetensors_that_would_end_the_process_is_not_asked_to_write(tmp_path: Path) -> None:
    program = (
        "import resource, sys, psutil, torch\n"
        "from pathlib import Path\n"
        "from edit_your_motion.storage.tensor_files import save_tensors\n"
        "tensors = {'a': torch.ones(3)}\n"
        "save_tensors(Path(sys.argv[1]) / 'before.safetensors', tensors)\n"
        "size = psutil.Process().memory_info().vms + (1 << 19)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "try:\n"
        "    save_tensors(Path(sys.argv[1]) / 'after.safetensors', tensors)\n"
        "except MemoryError:\n"
        "    print('said')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout == "said\n"
    assert [path.name for path in tmp_path.iterdir()] == ["before.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes in another way")
def test_a_library_that_crashes_says_where_it_was_called() -> None:
    program = (
        "import ctypes, sys\n"
        "from edit_your_motion.cli import main\n"
        "sys.modules[main.__module__].print_help = lambda *_, **__: ctypes.string_at(0)\n"
        "main(['--help'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode < 0
    assert "Fatal Python error: Segmentation fault" in ended.stderr
    assert "string_at" in ended.stderr
