"""Sheets of sample pictures, to look at while a network trains."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from edit_your_motion.storage.files import written_whole


def to_pixels(frames: UInt8[np.ndarray, "b h w 3"] | UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Pictures as the VAE takes them, in [-1, 1]."""
    return rearrange(torch.as_tensor(frames), "b h w c -> b c h w").float() / 127.5 - 1


def to_pictures(pixels: Float[Tensor, "b 3 h w"]) -> UInt8[np.ndarray, "b h w 3"]:
    """What the VAE makes, from [-1, 1], as pictures."""
    levels = ((pixels.float() + 1) * 127.5).clamp(0, 255).round().byte().cpu()
    return rearrange(levels, "b c h w -> b h w c").numpy()


def write_sheet(path: Path, rows: Sequence[UInt8[np.ndarray, "b h w 3"]]) -> None:
    """Writes rows of pictures below one another as one PNG, whole or not at all."""
    sheet = np.concatenate([rearrange(row, "b h w c -> h (b w) c") for row in rows])
    with written_whole(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")
