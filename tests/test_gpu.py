"""The script for a machine with a GPU: it keeps its time, survives what fails, and ends with a base that loads."""

import importlib
import json
import subprocess
import sys
import tarfile
import time
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

from edit_your_motion.models.loading import load_base

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytest.importorskip("numba")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, working in a folder of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("gpu")
    monkeypatch.setattr(module, "WORK", tmp_path / "work")
    (tmp_path / "work").mkdir()
    return module


def python(gpu: ModuleType, name: str, code: str) -> object:
    """A part that runs some Python; the file for its result is its first argument."""
    return gpu.Part(name, f"row of {name}", (sys.executable, "-c", code), 60.0, lambda facts: f"value {facts['value']}")


WRITES = "import json, sys; json.dump({'value': 7, 'machine': {'name': 'a GPU'}}, open(sys.argv[1], 'w'))"


def test_a_part_that_fails_or_hangs_stops_no_other_and_nothing_is_lost(gpu: ModuleType, tmp_path: Path) -> None:
    record = gpu.Record(tmp_path / "results", "first")
    start = time.monotonic()
    gpu.run(python(gpu, "good", WRITES), 30, record)
    gpu.run(python(gpu, "failing", "raise ValueError('on purpose')"), 30, record)
    # What it started itself goes with it.
    hanging = f"{WRITES}; import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    gpu.run(python(gpu, "hanging", hanging), 3, record)
    assert time.monotonic() - start < 45
    (facts,) = (json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json"))
    parts = facts["parts"]
    assert parts["good"]["outcome"] == "done"
    assert parts["failing"]["outcome"].startswith("failed (exit code 1")
    assert parts["failing"]["result"] is None
    assert parts["hanging"]["outcome"] == "not done within 3 s"
    assert parts["hanging"]["result"]["value"] == 7  # what it had written counts
    assert facts["machine"] == {"name": "a GPU"}
    (rows,) = ((path.read_text()).splitlines() for path in (tmp_path / "results").glob("*.md"))
    assert rows[2].endswith("| row of good | value 7 |")
    assert "| a GPU |" in rows[3]
    assert len(rows) == 5
    assert "on purpose" in (tmp_path / "results" / "log.txt").read_text()


def test_only_what_was_packed_for_this_python_is_used(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = gpu.gpu_pack
    monkeypatch.setattr(pack, "PACK", tmp_path)
    (tmp_path / "here.py").write_text("")
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in ("2.7", this):
        with tarfile.open(pack.archive_for(version), "w:xz") as archive:
            archive.add(tmp_path / "here.py", f"made_for_{version.replace('.', '_')}.py")
    assert str(pack.site()) not in gpu._environment()["PYTHONPATH"]
    pack.unpack()
    assert [path.name for path in pack.site().iterdir()] == [f"made_for_{this.replace('.', '_')}.py"]
    assert str(pack.site()) in gpu._environment()["PYTHONPATH"].split(":")


def test_a_whole_edit_s_seconds_follow_from_its_steps(gpu: ModuleType) -> None:
    def phase(name: str, seconds: float) -> dict[str, object]:
        return {"name": name, "seconds": seconds, "gflop": 10 * seconds, "peak_gib": seconds}

    names = {"tuning step, stage 1": 0.02, "tuning step, stage 2": 0.04, "inversion step": 0.1, "sampling step": 0.2,
             "encode one frame": 0.01, "decode one frame": 0.03, "embed the prompt": 9.0}  # fmt: skip
    facts = {
        "settings": {"frames": "8"},
        "machine": {"matrix_gflops": 20},
        "phases": [phase(*it) for it in names.items()],
    }
    # 300 x 0.06 + 50 x 0.3 + 8 frames encoded with and without their place, and decoded
    assert gpu.say_phases(facts) == "whole edit 33.4 s, 50% of the limit, peak 9.00 GiB"


def test_pretraining_ends_in_time_goes_on_and_its_pieces_make_a_base(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = importlib.import_module("gpu_parts")
    monkeypatch.setattr(parts, "WORK", tmp_path / "work")
    monkeypatch.setattr(parts, "PIECE", 300_000)
    results = tmp_path / "results"
    results.mkdir()
    options = Namespace(device="cpu", tiny=True, seconds=120.0, output=results)
    first = parts.pretrain_the_base(options)
    assert first["seconds"] < 120
    assert first["vae_steps"] == 8
    assert first["pieces"] == len(list(results.glob("base.tar.*"))) > 1
    assert gpu.say_pretraining(first).startswith("8 pictures, VAE 8 steps (")
    # Again: the VAE is there, the diffusion goes on.
    second = parts.pretrain_the_base(options)
    assert second["vae_steps"] == first["vae_steps"]
    assert second["diffusion_steps"] > first["diffusion_steps"]
    gpu.join(results, tmp_path / "base")
    base = load_base(str(tmp_path / "base" / "base"), str(tmp_path / "base" / "controlnet"))
    assert base.native_side == 128
    assert (tmp_path / "base" / "training" / "diffusion.jsonl").is_file()
    with pytest.raises(SystemExit, match="nothing at"):
        gpu.join(results, tmp_path / "base")


@pytest.mark.slow
def test_both_runs_work_with_tiny_networks_on_a_cpu(gpu: ModuleType, tmp_path: Path) -> None:
    for run, rows in (("first", 7), ("second", 1)):
        command = [sys.executable, str(BENCHMARKS / "gpu.py"), run, "--device", "cpu", "--tiny", "--seconds", "500"]
        done = subprocess.run([*command, "--output", str(tmp_path / run)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (record,) = (tmp_path / run).glob("*.json")
        parts = json.loads(record.read_text())["parts"]
        assert len(parts) == rows
        assert {part["outcome"] for part in parts.values()} == {"done"}
        assert len(list((tmp_path / run).iterdir())) <= 8
        if run == "first":
            assert all(law["holds"] for law in parts["laws"]["result"]["laws"].values())
