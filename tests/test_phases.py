"""What waits for a GPU runs on a CPU, at tiny widths: the benchmark of the phases in every precision and form."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "phases.py"

TINY = (
    "--widths 32 64 64 64 --layers 1 --heads 4 --text-width 64 --text-heads 2 --vae-widths 16 16 32 32 --size 64 "
    "--frames 2 --repeats 1 --matrix-side 64 --most-load inf --give-back --device cpu"
)

FORMS = {
    "bf16": "--precision bf16 --recompute nothing",
    "fp16": "--precision fp16 --recompute everything --frames 3",
    "fp32, winograd": "--winograd --winograd-tiles 1 --recompute cheap",
    "channels last, averaged keys": "--precision bf16 --channels-last --motion-attention-tokens 4",
    "stored": "--recompute everything cheap --frozen-storage bf16",
    "another recipe": "--precision bf16 --recipe tune-a-video --unprepared",
    "dry": "--precision bf16 --dry --recompute cheap",
    "dry, fp16": "--precision fp16 --dry --recompute nothing --winograd",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_runs(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "phases.json"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *f"{TINY} {FORMS[form]}".split(), "--output", str(output)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    found = json.loads(output.read_text())
    names = [phase["name"] for phase in found["phases"]]
    stages = 1 if "recipe" in form else 2
    tuning = [f"tuning step, stage {number}" for number in range(1, stages + 1)]
    assert names[-3 - stages :] == [*tuning, "inversion step", "sampling step", "decode one frame"]
    assert all(phase["gflop"] > 0 for phase in found["phases"])
    measured = [phase[key] is not None for phase in found["phases"] for key in ("seconds", "share")]
    assert not any(measured) if "dry" in form else all(measured)
