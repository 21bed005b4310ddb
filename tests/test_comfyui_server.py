"""The pack in a real ComfyUI: its server is started on the CPU and runs our workflows.

Skips unless ``EYM_COMFYUI`` names a checkout of ComfyUI; ``EYM_COMFYUI_PYTHON`` its interpreter, where that is another
than this one. That one needs what ComfyUI requires and this library.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from comfyui_workflows import Server, as_prompt, change, read_workflow
from edit_your_motion.cli.editing import DEMO_CLIPS
from edit_your_motion.person import load_person
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.video import read_video
from test_comfyui import extension, nodes, stand_in  # noqa: F401  (fixtures)

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "comfyui" / "example_workflows"
FIND, TUNE, APPLY = (f"EditYourMotion{name}" for name in ("FindPeople", "TunePerson", "ApplyMotion"))
FRAMES, ITERATIONS, STEPS = 3, 3, 3

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class ComfyUI:
    """A running server and its folders."""

    server: Server
    folder: Path

    def run(self, prompt: dict[str, Any], seconds: float = 900) -> dict[str, Any]:
        """What the server keeps of a prompt that ran."""
        done = self.server.run(prompt, seconds)
        assert done["status"]["status_str"] == "success", done["status"]["messages"][-1]
        return done["outputs"]

    @property
    def persons(self) -> Path:
        return self.folder / "models" / "edit_your_motion" / "persons"


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory, people_models: None) -> Iterator[ComfyUI]:
    checkout = os.environ.get("EYM_COMFYUI")
    if not checkout:
        pytest.skip("EYM_COMFYUI names no checkout of ComfyUI")
    folder = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (folder / name).mkdir()
    (folder / "custom_nodes" / "edit-your-motion").symlink_to(ROOT / "comfyui")
    for name in ("source", "reference"):
        (folder / "input" / f"{name}.mp4").write_bytes((DEMO_CLIPS / f"{name}.mp4").read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [os.environ.get("EYM_COMFYUI_PYTHON", sys.executable), str(Path(checkout, "main.py")), "--cpu"]
    command += ["--port", str(port), "--base-directory", str(folder), "--database-url", "sqlite:///:memory:"]
    log = folder / "log.txt"
    with log.open("w") as said:
        process = subprocess.Popen(
            [*command, "--disable-api-nodes"],
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
    server = Server(f"http://127.0.0.1:{port}")
    try:
        wait_for(server, process, log)
        yield ComfyUI(server, folder)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            server.ask("/system_stats")
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"ComfyUI did not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def info(comfyui: ComfyUI) -> dict[str, Any]:
    return comfyui.server.ask("/object_info")


def read_prompt(name: str, info: dict[str, Any]) -> dict[str, Any]:
    """A workflow that comes along, made short."""
    prompt = as_prompt(read_workflow(WORKFLOWS / f"{name}.json"), info)
    change(prompt, FIND, frames=FRAMES)
    change(prompt, TUNE, motion_iterations=ITERATIONS, appearance_iterations=ITERATIONS)
    change(prompt, APPLY, steps=STEPS)
    return prompt


def test_the_server_describes_every_node_as_the_stand_in_does(info: dict[str, Any], nodes: dict[str, Any]) -> None:  # noqa: F811
    ours = {name: one for name, one in info.items() if name.startswith("EditYourMotion")}
    assert ours.keys() == nodes.keys()
    for name, node in nodes.items():
        described = node.define_schema().describe()
        kinds = {part: {id: one[0] for id, one in ours[name]["input"].get(part, {}).items()}
                 for part in ("required", "optional")}  # fmt: skip
        assert described == {**kinds, "output": ours[name]["output"], "output_name": ours[name]["output_name"]}


def test_a_whole_edit_is_the_command_lines(comfyui: ComfyUI, info: dict[str, Any], tmp_path: Path) -> None:
    prompt = read_prompt("whole_edit", info)
    outputs = comfyui.run(prompt)
    tuned = next(node["inputs"] for node in prompt.values() if node["class_type"] == TUNE)

    clips = [str(DEMO_CLIPS / f"{name}.mp4") for name in ("source", "reference")]
    flags = {
        "--prompt": tuned["prompt"],
        "--model.base": "small",
        "--video.frames": FRAMES,
        "--video.stride": 2,
        "--tuning.motion.iterations": ITERATIONS,
        "--tuning.appearance.iterations": ITERATIONS,
        "--sampling.steps": STEPS,
        "--output": tmp_path / "edit",
    }
    python = os.environ.get("EYM_COMFYUI_PYTHON", sys.executable)
    command = [python, "-c", "from edit_your_motion.cli import main; main()", "edit", *clips, "--quiet"]
    command += [str(part) for flag in flags.items() for part in flag]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})

    ours, theirs = load_person(tmp_path / "edit" / "person"), load_person(comfyui.persons / "marching man")
    assert ours.losses == theirs.losses
    assert all(torch.equal(value, theirs.parameters[name]) for name, value in ours.parameters.items())
    assert torch.equal(ours.noise, theirs.noise)
    np.testing.assert_array_equal(ours.source.keypoints.body, theirs.source.keypoints.body)
    saved = next(each for output in outputs.values() for each in output.get("images", ()) if each["type"] == "output")
    in_server = read_video(comfyui.folder / "output" / saved["subfolder"] / saved["filename"])
    by_command = read_video(tmp_path / "edit" / "edited.mp4")
    assert in_server.fps == by_command.fps
    assert in_server.frames.shape == by_command.frames.shape
    # Both went through an encoder of their own.
    assert np.abs(in_server.frames.astype(int) - by_command.frames).mean() < 3


def test_a_tuning_is_interrupted_by_the_servers_button_and_goes_on(comfyui: ComfyUI, info: dict[str, Any]) -> None:
    prompt = read_prompt("whole_edit", info)
    change(prompt, TUNE, motion_iterations=4000, random_seed=7, settings="tuning: {checkpoint_every: 7}")
    unfinished = comfyui.folder / "models" / "edit_your_motion" / "unfinished"
    id = comfyui.server.ask("/prompt", {"prompt": prompt})["prompt_id"]
    end = time.monotonic() + 300
    while not list(unfinished.glob("*.safetensors")) and time.monotonic() < end:
        time.sleep(0.2)
    comfyui.server.ask("/interrupt", {})
    done = comfyui.server.wait(id)
    assert done["status"]["messages"][-1][0] == "execution_interrupted"
    (kept,) = unfinished.glob("*.safetensors")
    stopped = json.loads(load_metadata(kept)["state"])["step"]
    assert stopped > 0
    change(prompt, TUNE, motion_iterations=4000, random_seed=7)
    id = comfyui.server.ask("/prompt", {"prompt": prompt})["prompt_id"]
    while (state := json.loads(load_metadata(kept)["state"]))["step"] == stopped and time.monotonic() < end:
        time.sleep(0.2)
    comfyui.server.ask("/interrupt", {})
    comfyui.server.wait(id)
    assert state["step"] > stopped, "it goes on from there"
    assert len(state["losses"]) == state["step"]


def test_a_motion_is_retargeted_where_other_models_are_missing(comfyui: ComfyUI, info: dict[str, Any]) -> None:
    prompt = as_prompt(read_workflow(WORKFLOWS / "retargeted_poses.json"), info)
    outputs = comfyui.run(prompt)
    kinds = {each["type"] for output in outputs.values() for each in output["images"]}
    assert kinds == {"temp", "output"}, "the sheet, and the skeletons' video"


def test_one_person_performs_five_motions(comfyui: ComfyUI, info: dict[str, Any]) -> None:
    prompt = read_prompt("one_person_five_motions", info)
    for number, name in enumerate(["reference", "source"] * 3, 1):
        (comfyui.folder / "input" / f"motion_{number}.mp4").write_bytes((DEMO_CLIPS / f"{name}.mp4").read_bytes())
    comfyui.server.ask("/free", {"unload_models": True})  # and the base is loaded again
    outputs = comfyui.run(prompt)
    assert sum("images" in output for output in outputs.values()) == 5
    assert (comfyui.persons / "five motions").is_dir()
