"""Where tensors lie and how many rows there are changes no digit; a setting of the user's stays."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear

from edit_your_motion.models.loading import load_base
from edit_your_motion.runtime.matmul_rounding import SETTING, STRICT
from edit_your_motion.runtime.random import Draws
from edit_your_motion.runtime.tensor_alignment import ALIGNMENT, placed
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.tuning.checkpoints import load_tensors

pytestmark = pytest.mark.law


def moved(tensor: torch.Tensor, numbers: int) -> torch.Tensor:
    """The same tensor as many numbers behind an aligned place."""
    room = torch.empty(tensor.numel() + 32, dtype=tensor.dtype)
    start = (-room.data_ptr() % ALIGNMENT) // room.itemsize + numbers
    return room[start : start + tensor.numel()].view(tensor.shape).copy_(tensor)


def made_by_intel() -> bool:
    if Path("/proc/cpuinfo").is_file():
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return "GenuineIntel" in platform.processor()


SHAPES = [(3, 320, 320), (8, 64, 64), (77, 32, 64), (256, 96, 192), (33, 17, 129)]


@pytest.mark.parametrize(("rows", "inside", "across"), SHAPES)
def test_a_product_is_rounded_alike_wherever_its_factors_lie(rows: int, inside: int, across: int) -> None:
    draws = Draws(0)
    x, weight, bias = draws.normal(rows, inside), draws.normal(across, inside), draws.normal(across)
    expected, product = linear(x, weight, bias), x @ weight.T
    for shift in range(16):
        given = [moved(each, shift * factor % 16) for each, factor in ((x, 1), (weight, 3), (bias, 5))]
        assert torch.equal(linear(*given), expected)
        assert torch.equal(given[0] @ given[1].T, product)


@pytest.mark.skipif(not made_by_intel(), reason="another processor's products depend on the rows")
@pytest.mark.skipif(os.environ.get(SETTING) != STRICT, reason=f"{SETTING} was set to something else")
def test_a_row_is_rounded_alike_however_many_there_are() -> None:
    draws = Draws(0)
    x, weight = draws.normal(512, 320), draws.normal(320, 320)
    expected = linear(x, weight)
    for rows in (1, 2, 3, 4, 7, 8, 64, 100, 256):
        assert torch.equal(linear(x[:rows], weight), expected[:rows])


def test_what_is_loaded_lies_as_if_it_were_fresh(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    tensors = {f"{size}": Draws(size).normal(size) for size in (1, 3, 5, 64, 100)}
    save_tensors(path, tensors)
    loaded = load_tensors(path)
    assert all(torch.equal(value, tensors[name]) for name, value in loaded.items())
    base = load_base(str(checkpoints / "base"), str(checkpoints / "controlnet"), str(checkpoints / "adapter"))
    for network in (base.vae, base.text_encoder, base.unet, base.controlnet, base.motion_adapter):
        loaded |= network.state_dict()
    assert [name for name, value in loaded.items() if placed(value) is not value] == []


def test_placing_changes_nothing_but_the_place() -> None:
    room = Draws(0).normal(4, 40)
    for cut in (room[1], room[:, 3:7], room.T, moved(room, 1), room[:2]):
        put = placed(cut)
        assert torch.equal(put, cut)
        assert put.is_contiguous()
        assert put.data_ptr() % ALIGNMENT == 0
        assert put.untyped_storage().nbytes() == put.nbytes
    assert placed(room) is room


@pytest.mark.parametrize(("given", "expected"), [(None, STRICT), ("COMPATIBLE", "COMPATIBLE"), ("", "")])
@pytest.mark.parametrize("module", ["edit_your_motion", "edit_your_motion.cli"])
def test_the_setting_is_made_unless_the_user_made_one(module: str, given: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != SETTING}
    environment |= {} if given is None else {SETTING: given}
    code = f"import os, {module}, sys; print(os.environ.get({SETTING!r}), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert run.stdout.split(" ")[0] == expected


@pytest.mark.law
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_half_precision_attends_without_wide_vectors(capability: str) -> None:
    """In a process of its own: both libraries look at the processor once."""
    script = (
        "import edit_your_motion, torch; q = torch.ones(1, 4, 128, 64).bfloat16(); "
        "print(float(torch.nn.functional.scaled_dot_product_attention(q, q, q).mean()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**environment, "ATEN_CPU_CAPABILITY": capability},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("1.0", "")
