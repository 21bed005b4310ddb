"""Noise prediction for clips of any length: overlapping windows of frames, blended at every step."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from edit_your_motion.config import WindowsConfig
from edit_your_motion.diffusion.ddim import Predict
from edit_your_motion.diffusion.window_grid import check_windows, offset_at, window_starts

PredictFrames: TypeAlias = Callable[
    [Float[Tensor, "b f c lh lw"], Int[Tensor, " b"], slice], Float[Tensor, "b f c lh lw"]
]
"""eps_theta of some frames of a clip: their latents, the timestep, and which frames they are."""


def cover(predict: PredictFrames, windows: WindowsConfig) -> Predict:
    """eps_theta of a whole clip, with no more than `windows.frames` frames in the network at once.

    ::

        eps_i = sum over windows w of a_w(i) eps_w,i,   sum over w of a_w(i) = 1 for every frame i

    (MultiDiffusion, Bar-Tal et al. 2023, over time). The windows share all noise levels, so what they agree on grows
    from step to step, and nothing is ever joined that was not sampled together. A clip that fits one window is
    predicted at once, as if there were no windows.

    Args:
        predict: the network; is called with the frames of one window at a time.
        windows: their length, overlap, context and movement, frames.

    Raises:
        ConfigError: if windows like these cannot cover a clip.
    """
    check_windows(windows)

    def predict_clip(z: Float[Tensor, "b f c lh lw"], t: Int[Tensor, " b"]) -> Float[Tensor, "b f c lh lw"]:
        f = z.shape[1]
        if f <= windows.frames:
            return predict(z, t, slice(0, f))
        starts = window_starts(f, windows, offset_at(int(t[0]), windows))
        noise = torch.zeros_like(z, dtype=torch.float32)
        for start, weights in zip(starts, blend_weights(f, starts, windows).to(z.device), strict=True):
            frames = slice(start, start + windows.frames)
            noise[:, frames] += rearrange(weights, "f -> f 1 1 1") * predict(z[:, frames], t, frames)
        return noise

    return predict_clip


def blend_weights(frames: int, starts: list[int], windows: WindowsConfig) -> Float[Tensor, "windows f"]:
    """What each window has to say about each of its frames: trapezoids that sum to 1 at every frame of the clip.

    A window's say rises over its overlap from 0 at the outermost frames, its context, to 1; at the clip's own ends it
    is 1 at once. RCA looks one frame to either side, so with a context of 1 no frame that counts has a false neighbour.

    Args:
        frames: of the clip.
        starts: first frame of each window.
        windows: their length, overlap and context.
    """
    place = torch.arange(windows.frames, dtype=torch.float64)
    rise = ((place + 1 - windows.context) / (windows.overlap + 1 - 2 * windows.context)).clamp(0, 1)
    level = torch.ones_like(rise)
    weights = torch.stack(
        [
            (rise if start > 0 else level) * (rise.flip(0) if start + windows.frames < frames else level)
            for start in starts
        ]
    )
    total = torch.zeros(frames, dtype=torch.float64)
    for start, row in zip(starts, weights, strict=True):
        total[start : start + windows.frames] += row
    shares = [total[start : start + windows.frames] for start in starts]
    return (weights / torch.stack(shares)).float()
