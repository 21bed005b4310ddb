"""Windows over long clips: all frames are covered, blending alone changes nothing, memory stays flat."""

import itertools
import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from edit_your_motion.config import WindowsConfig
from edit_your_motion.diffusion.ddim import Predict, guide, invert, sample
from edit_your_motion.diffusion.window_grid import check_windows, offset_at, window_starts
from edit_your_motion.diffusion.windows import blend_weights, cover
from edit_your_motion.errors import ConfigError
from edit_your_motion.nn import noise_predictor
from edit_your_motion.tuning.clip import TuningClip
from edit_your_motion.tuning.loop import Tuning, tune
from tiny_network import load_network, random_clip, scheduler, short_tuning, wake

pytestmark = pytest.mark.law

T = torch.tensor([500])
KINDS = [
    WindowsConfig(frames=frames, overlap=overlap, context=context)
    for frames in (1, 2, 5, 6)
    for overlap in range(frames)
    for context in range(overlap // 2 + 1)
]
USUAL = [WindowsConfig(frames=5, overlap=2, context=0), WindowsConfig(frames=6, overlap=3, shift=True)]


def grids(windows: WindowsConfig, longest: int = 18) -> Iterator[tuple[int, list[int]]]:
    """Every clip that is longer than a window, at every offset."""
    for frames in range(windows.frames + 1, longest):
        for offset in range(windows.frames - windows.overlap):
            yield frames, window_starts(frames, windows, offset)


@pytest.mark.parametrize("windows", KINDS, ids=lambda w: f"{w.frames}-{w.overlap}-{w.context}")
def test_every_frame_is_covered_and_the_weights_sum_to_1(windows: WindowsConfig) -> None:
    check_windows(windows)
    for frames, starts in grids(windows):
        assert starts[0] == 0
        assert starts[-1] + windows.frames == frames
        assert all(
            0 < after - before <= windows.frames - windows.overlap for before, after in itertools.pairwise(starts)
        )
        weights = blend_weights(frames, starts, windows)
        assert (weights >= 0).all()
        total = torch.zeros(frames)
        for start, row in zip(starts, weights, strict=True):
            total[start : start + windows.frames] += row
        torch.testing.assert_close(total, torch.ones(frames))


def test_a_window_fades_in_and_out_over_its_overlap() -> None:
    weights = blend_weights(14, [0, 6], WindowsConfig(frames=8, overlap=2, context=0))
    torch.testing.assert_close(weights[0], torch.tensor([1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3]))
    weights = blend_weights(14, [0, 4, 6], WindowsConfig(frames=8, overlap=4, context=1))
    assert weights[0].tolist()[:5] == [1, 1, 1, 1, 1]
    assert [weights[0, -1], weights[1, 0], weights[1, -1], weights[2, 0]] == [0, 0, 0, 0]


@pytest.mark.parametrize("frames", [1, 3, 6])
def test_a_clip_that_fits_one_window_is_predicted_at_once_bit_for_bit(frames: int) -> None:
    z, asked = torch.randn(1, frames, 4, 3, 5), []

    def predict(z: torch.Tensor, t: torch.Tensor, frames: slice) -> torch.Tensor:
        asked.append(frames)
        return torch.sin(z * t)

    assert torch.equal(cover(predict, WindowsConfig(frames=6, shift=True))(z, T), torch.sin(z * T))
    assert asked == [slice(0, frames)]


@pytest.mark.parametrize("windows", USUAL)
@pytest.mark.parametrize("t", [1, 500, 981])
def test_windows_change_nothing_for_a_network_that_sees_no_other_frame(windows: WindowsConfig, t: int) -> None:
    z, condition = torch.randn(1, 17, 4, 3, 5), torch.randn(1, 17, 4, 3, 5)

    def predict(z: torch.Tensor, t: torch.Tensor, frames: slice) -> torch.Tensor:
        assert z.shape[1] <= windows.frames
        return torch.sin(z) + condition[:, frames] * t / 1000

    at = torch.tensor([t])
    torch.testing.assert_close(cover(predict, windows)(z, at), torch.sin(z) + condition * t / 1000)
    constant = cover(lambda z, t, frames: torch.full_like(z, 0.7), windows)(z, at)
    torch.testing.assert_close(constant, torch.full_like(z, 0.7))


def look_around(z: torch.Tensor) -> torch.Tensor:
    """Each frame's prediction hangs on both neighbours, as RCA's: at the ends, on the frame itself."""
    before, after = torch.cat([z[:, :1], z[:, :-1]], dim=1), torch.cat([z[:, 1:], z[:, -1:]], dim=1)
    return torch.sin(z) * before + torch.cos(after)


@pytest.mark.parametrize("shift", [False, True])
def test_one_frame_of_context_gives_every_frame_its_true_neighbours(shift: bool) -> None:
    z = torch.randn(1, 23, 4, 3, 5)

    def covered(**settings: int) -> torch.Tensor:
        windows = WindowsConfig(frames=6, overlap=3, shift=shift, **settings)
        return cover(lambda z, t, frames: look_around(z), windows)(z, T)

    torch.testing.assert_close(covered(context=1), look_around(z))
    assert (covered(context=0) - look_around(z)).abs().max() > 0.1


def test_the_order_of_the_windows_does_not_matter() -> None:
    z, windows = torch.randn(1, 20, 2, 3, 3), WindowsConfig(frames=8, overlap=6, context=1)
    starts = window_starts(20, windows)
    together = list(zip(starts, blend_weights(20, starts, windows), strict=True))
    random.Random(0).shuffle(together)
    expected = torch.zeros_like(z)
    for start, weights in together:
        for place, weight in enumerate(weights):
            expected[:, start + place] += weight * z[:, start : start + 8].cumsum(dim=1)[:, place]
    blended = cover(lambda z, t, frames: z.cumsum(dim=1), windows)(z, T)
    torch.testing.assert_close(blended, expected)


def test_shifting_moves_the_joints_everywhere_and_hangs_on_the_timestep_alone() -> None:
    windows = WindowsConfig(frames=16, overlap=4, shift=True)
    offsets = [offset_at(t, windows) for t in range(1, 1000, 20)]
    assert set(offsets) == set(range(12))
    assert max(offsets.count(offset) for offset in range(12)) <= 2 * 50 / 12
    assert offsets == [offset_at(t, windows) for t in range(1, 1000, 20)]
    assert {offset_at(t, WindowsConfig()) for t in range(1000)} == {0}


@pytest.mark.parametrize(
    "windows",
    [
        WindowsConfig(frames=4, overlap=4),
        WindowsConfig(frames=4, overlap=9),
        WindowsConfig(frames=8, overlap=3, context=2),
        WindowsConfig(frames=1, overlap=0, context=1),
    ],
)
def test_windows_that_cannot_cover_are_refused(windows: WindowsConfig) -> None:
    with pytest.raises(ConfigError, match=r"windows\.overlap"):
        cover(lambda z, t, frames: z, windows)


@pytest.mark.parametrize("windows", USUAL)
def test_sampling_undoes_inversion_with_windows_and_guidance(checkpoints: Path, windows: WindowsConfig) -> None:
    noise, z = torch.randn(1000, 13, 4, 4, 4), torch.randn(1, 13, 4, 4, 4)

    def predict(z: torch.Tensor, t: torch.Tensor, frames: slice) -> torch.Tensor:
        return noise[t][:, frames]

    guided = guide(cover(predict, windows), cover(lambda z, t, frames: 0 * z, windows), 2.0)
    schedule = scheduler(checkpoints)
    there = invert(guided, z, schedule, 7)
    torch.testing.assert_close(sample(guided, there, schedule, 7), z, atol=1e-4, rtol=1e-4)


def bind(checkpoints: Path, clip: TuningClip, windows: WindowsConfig) -> Predict:
    """The tiny network with all its paths awake, over the windows of a clip."""
    network = load_network(checkpoints).eval()
    wake(network.unet)
    conditions = network.prepare(clip.text, clip.skeletons, embed=False)

    def predict(z: torch.Tensor, t: torch.Tensor, frames: slice) -> torch.Tensor:
        return network.predict(z, t, conditions.of_frames(frames))

    return cover(predict, windows)


@torch.no_grad()
def test_longer_windows_come_closer_to_the_whole_clip(checkpoints: Path) -> None:
    clip = random_clip(frames=12, lh=4, lw=4)
    whole = bind(checkpoints, clip, WindowsConfig(frames=12))(clip.whole, T)

    def distance(frames: int, overlap: int) -> float:
        windows = WindowsConfig(frames=frames, overlap=overlap, context=overlap // 2)
        return float((bind(checkpoints, clip, windows)(clip.whole, T) - whole).square().mean())

    distances = [distance(2, 1), distance(6, 4), distance(10, 8)]
    assert distances == sorted(distances, reverse=True)
    assert 0 < distances[-1] < 0.5 * distances[0]


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of all tensors that operations make, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                self.follow(tensor.untyped_storage())
        return made

    def follow(self, storage: torch.UntypedStorage) -> None:
        if (key := id(storage)) in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self.forget, key, size)

    def forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


@pytest.mark.parametrize("phase", ["invert", "tune"])
def test_memory_is_flat_to_300_frames(checkpoints: Path, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_predictor, "MOST_KEPT", 0)  # embedded skeletons grow with the clip, up to that
    windows, schedule = WindowsConfig(frames=60, overlap=4), scheduler(checkpoints)

    def peak(frames: int) -> int:
        drawn = random_clip(frames, lh=4, lw=4)
        pictures = drawn.skeletons.mul(255).byte()
        clip = TuningClip(drawn.person, drawn.whole, drawn.people, drawn.text, pictures)
        predict, network = bind(checkpoints, clip, windows), load_network(checkpoints)
        with LiveBytes() as memory:
            if phase == "invert":
                invert(predict, clip.whole, schedule, 1)
            else:
                tune(network, clip, schedule, Tuning(short_tuning(1), most_frames=windows.frames))
        return memory.peak

    short, long = peak(64), peak(300)
    latents = 4 * (300 - 64) * 4 * 4 * 4
    assert long - short < 20 * latents  # what a step of the solver holds; the skeletons alone, in fp32, would be 48
    assert long < 1.25 * short
