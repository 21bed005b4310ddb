"""A seed means the same on every processor: whatever draws, draws numbers that no vector width changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edit_your_motion
from edit_your_motion.errors import CheckpointError
from edit_your_motion.runtime.random import Draws, initialised

pytestmark = pytest.mark.law

PACKAGE = Path(edit_your_motion.__file__).parent

DIGEST = """
import sys
from hashlib import sha256
from pathlib import Path
from edit_your_motion.runtime.random import Draws, initialised
from edit_your_motion.nn.motion_attention import MotionAttention
from edit_your_motion.pretrain.config import PretrainConfig
from edit_your_motion.pretrain.vae import build_vae
from edit_your_motion.models.tiny import make_base, make_controlnet, make_motion_adapter
folder, draws, found = Path(sys.argv[1]), Draws(3), sha256()
make_base(folder / "base")
make_controlnet(folder / "controlnet", folder / "base")
make_motion_adapter(folder / "adapter", folder / "base")
for path in sorted(folder.rglob("*.safetensors")):
    found.update(path.read_bytes())
with initialised(5):
    networks = [MotionAttention([64, 64], [4, 4])]
for network in [*networks, build_vae(PretrainConfig())]:
    for tensor in network.state_dict().values():
        found.update(tensor.numpy().tobytes())
for tensor in (draws.normal(100, 7), draws.uniform(99), draws.integers(10, 99)):
    found.update(tensor.numpy().tobytes())
print(found.hexdigest())
"""


def vector_widths() -> list[str]:
    """Those that this processor has; another one's kernels end a process with an illegal instruction."""
    widest = [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"]
    environment = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    found = subprocess.run(widest, capture_output=True, text=True, env=environment, timeout=300, check=True)
    widths = ["default", "avx2", "avx512"]
    return widths[: widths.index(found.stdout.strip()) + 1] if found.stdout.strip() in widths else ["default"]


def test_networks_and_noise_are_the_same_at_every_vector_width(tmp_path: Path) -> None:
    digests = set()
    for capability in vector_widths():
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", DIGEST, str(tmp_path / capability)]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout.strip())
    assert len(digests) == 1


def test_the_numbers_are_what_they_are_called() -> None:
    draws = Draws(0)
    normal, uniform, whole = draws.normal(200, 1000), draws.uniform(1000, 100), draws.integers(7, 70_000)
    count = normal.numel()
    assert abs(normal.mean()) < 5 / count**0.5
    assert abs(normal.var() - 1) < 5 * (2 / count) ** 0.5
    assert abs((normal.abs() > 3.7).double().mean() - 2.156e-4) < 5 * (2.156e-4 / count) ** 0.5
    assert 0 <= uniform.min() < 1e-3
    assert 0.999 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 5 / (12 * uniform.numel()) ** 0.5
    counts = whole.bincount().double()
    assert len(counts) == 7
    assert ((counts - 1e4) ** 2 / 1e4).sum() < 30, "chi square of 6 degrees of freedom"


def test_it_goes_on_where_it_stood() -> None:
    draws = Draws(1)
    draws.normal(3), draws.uniform(5), draws.integers(5)
    other = Draws(2)
    other.set_state(draws.get_state())
    for _ in range(3):
        assert torch.equal(draws.uniform(3), other.uniform(3))
        assert torch.equal(draws.normal(9), other.normal(9))
        assert torch.equal(draws.integers(1000, 5), other.integers(1000, 5))
    assert not torch.equal(Draws(1).normal(9), Draws(2).normal(9))


def test_the_state_of_another_kind_is_refused() -> None:
    with pytest.raises(CheckpointError, match="start it over"):
        Draws(0).set_state(torch.get_rng_state())
    with pytest.raises(CheckpointError, match="delete"):
        Draws(0).set_state(torch.full_like(Draws(0).get_state(), -1))


@torch.no_grad()
def test_layers_start_as_their_library_has_it() -> None:
    """The same distributions as torch's own, from our numbers; nothing is taken from torch's."""
    before = torch.get_rng_state()
    with initialised(0):
        linear, table = nn.Linear(400, 300), nn.Embedding(500, 64)
        convolution = nn.Conv2d(8, 16, 3, dtype=torch.float16)
        nn.init.normal_(wide := torch.empty(100, 100), mean=3.0, std=0.5)
        given = nn.init.uniform_(torch.empty(1000), -2.0, 6.0)
    assert torch.equal(before, torch.get_rng_state())
    assert linear.weight.abs().max() <= 400**-0.5
    np.testing.assert_allclose(linear.weight.std(), (400 * 3) ** -0.5, rtol=0.02)
    np.testing.assert_allclose(table.weight.std(), 1, rtol=0.05)
    assert convolution.weight.dtype == torch.float16
    assert 0 < convolution.weight.abs().max() <= 72**-0.5 + 1e-4
    np.testing.assert_allclose((wide.mean(), wide.std()), (3, 0.5), rtol=0.03)
    assert given.min() >= -2
    assert given.max() <= 6
    assert given.std() > 2
    with initialised(0), pytest.raises(NotImplementedError, match="bernoulli"):
        torch.empty(3).bernoulli_(0.5)


def test_nothing_draws_from_torch() -> None:
    """Nor from NumPy's global numbers: everything in the package goes through `Draws` or a seeded generator."""
    forbidden = ("torch.rand", "torch.normal", "manual_seed", "fork_rng", "torch.bernoulli", "np.random.seed", "randn_")
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not [each for each in forbidden if each in source], path.name
