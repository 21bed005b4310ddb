"""A rough look at latents that costs nothing: the linear map to colours that fits the source's own frames best."""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from edit_your_motion.video.selection import spread_evenly

MOST_FRAMES = 16
"""Frames that the map is fitted on, at most, evenly spaced."""


@dataclass(frozen=True, eq=False)
class LatentPreview:
    """A linear map from a cell's channels to the mean colour of its pixels; `weights` has the constant last."""

    weights: Float32[np.ndarray, "channels 3"]

    @classmethod
    def fit(cls, latents: Float[Tensor, "1 f c lh lw"], frames: UInt8[np.ndarray, "f h w 3"]) -> "LatentPreview":
        """The map that comes closest, in least squares, for latents of which the frames are known.

        Args:
            latents: z_0 of the frames.
            frames: with sides that are whole multiples of the latents'.
        """
        chosen = spread_evenly(len(frames), MOST_FRAMES)
        factor = frames.shape[1] // latents.shape[-2]
        colours = reduce(
            frames[chosen].astype(np.float32), "f (lh p) (lw q) c -> (f lh lw) c", "mean", p=factor, q=factor
        )
        cells = rearrange(latents[0, chosen].float().cpu().numpy(), "f c lh lw -> (f lh lw) c")
        weights = np.linalg.lstsq(_with_constant(cells), colours / 255, rcond=None)[0]
        return cls(weights.astype(np.float32))

    def show(self, latents: Float[Tensor, "1 f c lh lw"]) -> UInt8[np.ndarray, "f lh lw 3"]:
        """The frames at the latents' size; of noisy latents what can be made out in the noise."""
        cells = rearrange(latents[0].detach().to("cpu", torch.float32).numpy(), "f c lh lw -> f lh lw c")
        return np.rint(255 * (_with_constant(cells) @ self.weights).clip(0, 1)).astype(np.uint8)


def _with_constant(cells: np.ndarray) -> np.ndarray:
    return np.concatenate([cells, np.ones_like(cells[..., :1])], axis=-1)
