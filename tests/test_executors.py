"""Executors: every task once, whatever becomes of the others; deaths, interruptions, shares; the same for all."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

import odd_jobs
from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.executors.choice import Share, list_environments, open_executor
from edit_your_motion.executors.contract import Executor, Outcome, Task
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.executors.local import Local
from edit_your_motion.executors.ray import Ray
from edit_your_motion.executors.slurm import Slurm

TESTS = Path(__file__).parent
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
needs_submitit = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed")


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find this folder's modules."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *([before] if before else [])]))


def local(processes: int = 2, retries: int = 1) -> Local:
    return Local([{}] * processes, retries=retries)


def run(executor: Executor, tasks: list[Task]) -> dict[str, Outcome]:
    outcomes = list(executor.run(tasks))
    assert len({outcome.name for outcome in outcomes}) == len(outcomes), "one outcome for each task"
    return {outcome.name: outcome for outcome in outcomes}


def mixed_tasks() -> list[Task]:
    good = [Task(f"good {number}", odd_jobs.double, (number,)) for number in range(5)]
    return [Task("refused", odd_jobs.refuse, ("that",)), *good, Task("stumbled", odd_jobs.stumble)]


def assert_mixed(outcomes: dict[str, Outcome]) -> None:
    assert outcomes.keys() == {task.name for task in mixed_tasks()}
    for number in range(5):
        assert outcomes[f"good {number}"] == Outcome(f"good {number}", 2 * number)
    assert outcomes["refused"].error == "expected something else, got that"
    assert outcomes["stumbled"].error == "unexpected RuntimeError: a bug"


@pytest.mark.parametrize("make", [InProcess, local, lambda: local(7)])
def test_every_task_has_one_outcome_and_a_failing_one_stops_nothing(make: Callable[[], Executor]) -> None:
    assert_mixed(run(make(), mixed_tasks()))


@pytest.mark.parametrize("make", [InProcess, local])
def test_no_tasks_need_nothing(make: Callable[[], Executor]) -> None:
    assert run(make(), []) == {}


@pytest.mark.parametrize("make", [InProcess, local, Ray, lambda: Slurm(Path("nowhere"))])
def test_tasks_of_one_name_are_refused(make: Callable[[], Executor]) -> None:
    with pytest.raises(ConfigError, match="'a' twice"):
        list(make().run([Task("a", odd_jobs.nothing), Task("a", odd_jobs.nothing)]))


def test_a_killed_process_costs_no_task(tmp_path: Path) -> None:
    others = [Task(str(number), odd_jobs.double, (number,)) for number in range(3)]
    outcomes = run(local(), [Task("dies", odd_jobs.die_once, (tmp_path,)), *others])
    assert outcomes["dies"].value == "alive"
    assert [outcomes[str(number)].value for number in range(3)] == [0, 2, 4]


def test_a_task_that_always_kills_its_process_is_reported() -> None:
    outcomes = run(local(retries=2), [Task("dies", odd_jobs.die), Task("lives", odd_jobs.nothing)])
    assert outcomes["dies"].error == "its process ended (SIGKILL), 3 times"
    assert outcomes["lives"].error is None


def test_a_process_does_many_tasks_and_all_processes_end(tmp_path: Path) -> None:
    outcomes = run(local(2), [Task(str(n), odd_jobs.note, (tmp_path, str(n))) for n in range(6)])
    processes = {outcome.value for outcome in outcomes.values()}
    assert len(processes) <= 2
    assert not any(psutil.pid_exists(process) for process in processes)


def test_a_value_that_cannot_travel_is_a_failure_of_its_task() -> None:
    outcomes = run(local(1), [Task("a", odd_jobs.give_back_a_function)])
    assert "cannot be told" in (outcomes["a"].error or "")


def test_whoever_stops_listening_leaves_nothing_running(tmp_path: Path) -> None:
    tasks = [Task("short", odd_jobs.nothing), Task("long", odd_jobs.wait_and_tidy, (tmp_path, 600.0))]
    with closing(local(2).run(tasks)) as outcomes:
        assert next(outcomes).name == "short"
        until(lambda: (tmp_path / "begun").exists())
    assert (tmp_path / "tidied").exists()
    assert not psutil.pid_exists(int((tmp_path / "begun").read_text()))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "too long"
        time.sleep(0.05)


DRIVER = """
import sys
from pathlib import Path
import odd_jobs
from edit_your_motion.executors.contract import Task, interrupted_by_sigterm
from edit_your_motion.executors.local import Local
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with interrupted_by_sigterm():
        list(Local([{}]).run([Task("long", odd_jobs.wait_and_tidy, (folder, 600.0))]))
"""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A driver in a process of its own, and that of its task, which has begun."""
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: (tmp_path / "begun").exists() and bool((tmp_path / "begun").read_text()))
    yield process, int((tmp_path / "begun").read_text())
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_ends_its_tasks_in_good_order(
    driver: tuple["subprocess.Popen[str]", int], tmp_path: Path, how: signal.Signals
) -> None:
    process, task = driver
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert (tmp_path / "tidied").exists()
    assert not psutil.pid_exists(task)


def test_tasks_end_with_a_driver_that_was_killed(driver: tuple["subprocess.Popen[str]", int]) -> None:
    process, task = driver
    process.kill()
    until(lambda: not psutil.pid_exists(task))


def test_processes_share_the_processors_and_each_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert list_environments(Share(jobs=2)) == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": device} for device in ("0", "0", "1", "1")
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [each["CUDA_VISIBLE_DEVICES"] for each in list_environments(Share())] == ["5", "7"]
    assert list_environments(Share(gpus=0.0, jobs=3, cpus=1)) == [
        {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    ] * 3  # fmt: skip


def test_tasks_run_in_the_environment_of_their_process() -> None:
    outcomes = run(Local([{"OMP_NUM_THREADS": "3"}]), [Task("a", odd_jobs.tell_environment, ("OMP_NUM_THREADS",))])
    assert outcomes["a"].value == "3"


@pytest.mark.parametrize(
    ("name", "share", "problem"),
    [
        ("local", Share(jobs=0), "--jobs of 1 or more, got 0"),
        ("here", Share(cpus=-1), "--cpus of 1 or more"),
        ("ray", Share(gpus=-0.5), "of 0 or more, got -0.5"),
        ("slurm", Share(gpus=0.5), "whole --gpus"),
    ],
)
def test_shares_that_cannot_be_given_are_refused(tmp_path: Path, name: str, share: Share, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        open_executor(name, share, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    executor = open_executor(name, Share(), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=rf"edit-your-motion\[{name}\]"):
        list(executor.run([Task("a", odd_jobs.nothing)]))


@needs_submitit
def test_jobs_of_submitit_do_the_same(tmp_path: Path) -> None:
    assert_mixed(run(Slurm(tmp_path / "slurm", cluster="local", at_once=3), mixed_tasks()))


@needs_submitit
@pytest.mark.slow
def test_a_job_that_is_lost_is_done_again_and_then_reported(tmp_path: Path) -> None:
    executor = Slurm(tmp_path / "slurm", cluster="local", retries=1)
    outcomes = run(executor, [Task("once", odd_jobs.die_once, (tmp_path,)), Task("dies", odd_jobs.die)])
    assert outcomes["once"].value == "alive"
    assert "without an outcome 2 times" in (outcomes["dies"].error or "")


SBATCH = """#!/bin/sh
cp "$1" {folder}/script-$(ls {folder} | grep -c script).sh
echo "Submitted batch job 4711"
"""


@needs_submitit
def test_what_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    (place / "sbatch").write_text(SBATCH.format(folder=place))
    for name in ("srun", "scancel", "sacct", "scontrol"):
        (place / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {place}/called\n')
    for path in place.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    share = Share(jobs=3, cpus=4, gpus=1.0, slurm={"partition": "gpu", "time": "90", "account": "lab"})
    executor = open_executor("slurm", share, tmp_path / "slurm")
    assert isinstance(executor, Slurm)
    running: dict = {}
    executor._submit([Task(str(number), odd_jobs.double, (number,)) for number in range(5)], running)
    script = (place / "script-0.sh").read_text()
    for line in (
        "--job-name=eym", "--array=0-4%3", "--cpus-per-task=4", "--gpus-per-node=1", "--partition=gpu", "--time=90",
        "--account=lab",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in script
    assert f"{sys.executable} -u -m submitit.core._submit {tmp_path / 'slurm'}" in script
    assert running.keys() == {str(number) for number in range(5)}
    for _, job in running.values():
        job.cancel(check=False)
    until(lambda: (place / "called").exists())


@needs_submitit
def test_without_slurm_nothing_runs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="sbatch"):
        list(Slurm(tmp_path / "slurm").run([Task("a", odd_jobs.nothing)]))


@needs_submitit
@pytest.mark.parametrize(
    ("options", "problem"), [({"partitoin": "gpu"}, "partitoin"), ({"time": "1-00:00"}, "time=MINUTES")]
)
def test_wrong_options_of_slurm_are_named(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        list(Slurm(tmp_path, cluster="local", options=options).run([Task("a", odd_jobs.nothing)]))


NODES = """
import sys, tempfile
sys.path.insert(0, sys.argv[1])
import ray
from ray.cluster_utils import Cluster
import odd_jobs
from test_executors import assert_mixed, mixed_tasks, run
from edit_your_motion.errors import ConfigError
from edit_your_motion.executors.contract import Task
from edit_your_motion.executors.ray import Ray
from pathlib import Path

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
executor = Ray(address=cluster.address, cpus=1, retries=1)
assert_mixed(run(executor, mixed_tasks()))
folder = Path(sys.argv[2])
outcomes = run(executor, [Task("once", odd_jobs.die_once, (folder,)), Task("dies", odd_jobs.die)])
assert outcomes["once"].value == "alive", outcomes
assert outcomes["dies"].error.startswith("Ray lost it 2 times"), outcomes
try:
    run(Ray(address=cluster.address, cpus=64), [Task("a", odd_jobs.nothing)])
except ConfigError as error:
    assert "64 processors" in str(error), error
else:
    raise AssertionError("no machine has 64 processors")
ours = str(folder / "store")
tasks = [Task(str(number), odd_jobs.tune_slowly, (ours, "person")) for number in range(4)]
assert sorted(outcome.value for outcome in run(executor, tasks).values()) == [False, False, False, True]
assert (folder / "store" / "count").read_text() == "1"
cluster.shutdown()
print("all of it")
"""


@needs_ray
@pytest.mark.slow
def test_a_cluster_of_two_machines_does_the_same_and_survives_deaths(tmp_path: Path) -> None:
    """In a process of its own, as Ray leaves threads, warnings and signal handlers behind."""
    command = [sys.executable, "-c", NODES, str(TESTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "all of it" in done.stdout, done.stderr[-3000:]
