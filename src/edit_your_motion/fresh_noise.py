"""Noise that does not remember the old pose: drawn anew where the source's person was or the edit's will be."""

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn.functional import adaptive_max_pool2d

from edit_your_motion.background import distances_to_skeletons, find_reach
from edit_your_motion.people.keypoints import Keypoints


def draw_person_anew(
    noise: Float[Tensor, "1 f c lh lw"],
    source_masks: Bool[np.ndarray, "f h w"],
    source_keypoints: Keypoints,
    skeletons: Keypoints,
    seed: int,
) -> Float[Tensor, "1 f c lh lw"]:
    """z*, with fresh noise where the source's person was or the edit's will be.

    Inversion writes the source's pose into z*, since what the network predicts along the way is never quite noise; what
    is left of it draws the edit back to the old pose. Place and camera stand in the rest of z*, which stays. The fresh
    noise is the same in all frames, as that of a still place nearly is, and spreads as much as the rest of z*, which
    inversion leaves below 1: sampling from wider noise gives glaring colours. Not in the paper: an option.

    Args:
        noise: z*, one frame for each of the edit's.
        source_masks: the person's pixels in the source, a frame for each of the edit's.
        source_keypoints: of the person in these frames.
        skeletons: what guides the edit.
        seed: of the fresh noise.
    """
    reach = find_reach(source_masks, source_keypoints)
    region = source_masks | (distances_to_skeletons(skeletons) <= reach)
    cells = adaptive_max_pool2d(torch.from_numpy(region).float()[:, None], tuple(noise.shape[-2:]))
    redrawn = rearrange(cells > 0, "f 1 lh lw -> 1 f 1 lh lw").to(noise.device).expand_as(noise)
    spread = noise[~redrawn].std() if (~redrawn).sum() > 1 else 1.0
    fresh = torch.randn(noise.shape[2:], generator=Generator().manual_seed(seed)).to(noise) * spread
    return torch.where(redrawn, repeat(fresh, "c lh lw -> 1 f c lh lw", f=noise.shape[1]), noise)
