"""Commands import what they use: whoever only finds people, looks on or asks for help does not wait for networks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.preparation import save_masks
from edit_your_motion.video import write_video
from synthetic_clip import film

OF_NETWORKS = {"torch", "diffusers", "transformers", "accelerate", "huggingface_hub", "requests", "sympy"}
OF_PICTURES = {"scipy", "av", "PIL"}


ALONE = (
    "jobs.preparing", "study.server", "web.job_runner", "web.preparing", "web.probing", "web.server", "web.worker",
)  # fmt: skip


def run(code: str) -> str:
    """The last line that a new process prints."""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()[-1]


def imported_by(call: str) -> set[str]:
    """What a command has imported of both once it is done."""
    code = f"import sys\nfrom edit_your_motion.cli import main\ntry:\n    main({call})\nexcept SystemExit as ended:\n"
    code += "    assert not ended.code\nprint(*sys.modules)"
    return (OF_NETWORKS | OF_PICTURES) & set(run(code).split(" "))


def test_finding_people_and_serving_pages_import_no_networks() -> None:
    code = "import sys, importlib, json\nfound = {}\n"
    code += f"for module in {ALONE}:\n    importlib.import_module(f'edit_your_motion.{{module}}')\n"
    code += f"    found[module] = sorted({OF_NETWORKS!r} & sys.modules.keys())\nprint(json.dumps(found))"
    assert json.loads(run(code)) == {module: [] for module in ALONE}


def test_what_copies_are_made_of_has_one_thread_and_asked_for_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # whose threads end before a copy and begin again after it
    code = """
import importlib, sys, psutil, torch
from edit_your_motion.web.worker_process import IMPORTED
asked = []
for name in ("is_available", "device_count", "init", "_lazy_init", "current_device"):
    setattr(torch.cuda, name, lambda *_, name=name: asked.append(name))
for module in IMPORTED:
    importlib.import_module(module)
print(psutil.Process().num_threads(), asked, "diffusers" in sys.modules)
"""
    assert run(code) == "1 [] True"


def test_help_imports_neither_networks_nor_pictures() -> None:
    assert imported_by("['--help']") == set()


def test_preparing_from_first_to_last_imports_no_networks(tmp_path: Path) -> None:
    clip = film(4, 128, 128)
    write_video(tmp_path / "clip.mp4", clip.video.frames, clip.video.fps)
    save_keypoints(tmp_path / "keypoints.json", clip.keypoints)
    save_masks(tmp_path / "masks", clip.masks)
    ready = ["--people.keypoints", str(tmp_path / "keypoints.json"), "--people.masks", str(tmp_path / "masks")]
    call = ["prepare", str(tmp_path / "clip.mp4"), "--output", str(tmp_path / "prepared"), "--size", "128", *ready]
    assert imported_by(repr(call)) & OF_NETWORKS == set()
    record = json.loads((tmp_path / "prepared" / "run.json").read_text())
    assert record["people"]["source"]["frames"] == 4
    assert record["versions"]["torch"]


def test_libraries_that_are_imported_later_are_silent_too() -> None:
    code = "from edit_your_motion.cli.progress import set_up_output\nset_up_output(quiet=False, verbose=False)\n"
    code += "from diffusers.utils import logging as one\nfrom transformers.utils import logging as other\n"
    code += "print(one.get_verbosity(), other.get_verbosity(), one.tqdm([]).disable, other.is_progress_bar_enabled())"
    assert run(code) == "40 40 True False"
