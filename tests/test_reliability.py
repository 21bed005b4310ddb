"""A small part of every campaign in benchmarks/reliability: kills, failing disks, bounds of memory, damaged inputs, two
at once, very many, the same again, no network, clocks that are set, slow folders."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "reliability"
LEAST = {
    "kills": 6, "disks": 12, "memory": 4, "inputs": 24, "pairs": 3, "long": 4, "again": 1, "network": 4, "clocks": 4,
    "slow": 3,
}  # fmt: skip
"""How much of each campaign is tried at least: one that finds nothing to try has not passed."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What came out of all campaigns, in one process that has everything imported."""
    if sys.platform != "linux" or shutil.which("cc") is None or not FOLDER.is_dir():
        pytest.skip("a C compiler on Linux and a checkout are needed")
    pytest.importorskip("starlette")
    folder = tmp_path_factory.mktemp("reliability")
    command = [sys.executable, str(FOLDER / "all.py"), "--small", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert {path.stem for path in folder.glob("*.json")} == LEAST.keys(), ended.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", LEAST)
def test_promises_hold(name: str, results: Path) -> None:
    account = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    assert not {case: found for case, found in account["cases"].items() if not found.startswith("ok")}
    assert account["tried"] >= LEAST[name]
