"""Where nobody stands, neither before nor after the edit, and the source's own pixels there."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import draw_skeleton

FEATHER = 0.02
"""Width of the passage from the generated to the source's pixels, as a share of the picture's short side."""

_MARGIN = 1.15
"""How much farther from the skeleton than in the source a moving body may reach: hair and cloth swing."""

_REACH_QUANTILE = 0.99

_SOFT = 0.01
"""How far about the edited person's mask, and about its skeleton where the mask lacks a limb, the frames stay as they
were generated, as a share of the picture's short side."""


def keep_background(
    edited: UInt8[np.ndarray, "f h w 3"],
    source: UInt8[np.ndarray, "f h w 3"],
    source_masks: Bool[np.ndarray, "f h w"],
    source_keypoints: Keypoints,
    skeletons: Keypoints,
    edited_masks: Bool[np.ndarray, "f h w"] | None = None,
) -> UInt8[np.ndarray, "f h w 3"]:
    """The edited frames, with the source's pixels where neither the source's nor the edit's person is.

    A VAE and 50 steps of sampling redraw the whole frame, the part that no edit touches too. Where the source showed
    its person, and where the edited one is found, the frames stay as they were generated; from there they pass over
    into the source's within `FEATHER`. In frames in which no edited person is found it may be anywhere as far from its
    skeleton as the source's body reached from its own. Not in the paper: an option.

    Args:
        edited: the generated frames.
        source: the source's frames, one for each of the edited ones.
        source_masks: the person's pixels in them.
        source_keypoints: of the person in them.
        skeletons: what guided the edit.
        edited_masks: the person's pixels in the edited frames, where they were found.
    """
    short_side = min(edited.shape[1:3])
    feather = max(1.0, FEATHER * short_side)
    left, limbs = distances_to_regions(source_masks), distances_to_skeletons(skeletons)
    entered = np.maximum(limbs - _MARGIN * find_reach(source_masks, source_keypoints), 0)
    if edited_masks is not None:
        found = edited_masks.any(axis=(1, 2))
        person = np.minimum(distances_to_regions(edited_masks[found]), limbs[found])
        entered[found] = np.maximum(entered[found], person - _SOFT * short_side)
    share = np.clip(1 - np.minimum(left, entered) / feather, 0, 1)[..., None]
    return (source + share * (edited.astype(np.float32) - source)).round().astype(np.uint8)


def people_cells(
    source_masks: Bool[np.ndarray, "f h w"],
    source_keypoints: Keypoints,
    skeletons: Keypoints,
    cells: tuple[int, int],
    *,
    before: bool = True,
) -> Bool[Tensor, "1 f 1 lh lw"]:
    """The latent cells where the source's person is or the edit's will be.

    Args:
        source_masks: the person's pixels in the source, a frame for each of the edit's.
        source_keypoints: of the person in these frames.
        skeletons: what guides the edit.
        cells: how many, down and across.
        before: whether those of the source's person count.
    """
    region = distances_to_skeletons(skeletons) <= find_reach(source_masks, source_keypoints)
    if before:
        region |= source_masks
    pooled = adaptive_max_pool2d(torch.from_numpy(region).float()[:, None], cells)
    return rearrange(pooled > 0, "f 1 lh lw -> 1 f 1 lh lw")


def share_cells(masks: Bool[np.ndarray, "f h w"], cells: tuple[int, int]) -> Float[Tensor, "f lh lw"]:
    """The share of each latent cell that the masks cover, [0, 1].

    Args:
        masks: the person's pixels.
        cells: how many, down and across.
    """
    return adaptive_avg_pool2d(torch.from_numpy(masks).float()[:, None], cells)[:, 0]


def find_reach(masks: Bool[np.ndarray, "f h w"], keypoints: Keypoints) -> float:
    """How far from the drawn skeleton the person's pixels reach, in pixels; nothing where either is absent."""
    distances = distances_to_skeletons(keypoints)[masks]
    distances = distances[np.isfinite(distances)]
    return float(np.quantile(distances, _REACH_QUANTILE)) if distances.size else 0.0


def distances_to_skeletons(keypoints: Keypoints) -> Float[np.ndarray, "f h w"]:
    """Pixels from each pixel to the nearest of its frame's drawn body; infinite where nobody is."""
    return distances_to_regions(np.asarray(draw_skeleton(keypoints, hands=False, face=False).any(axis=-1)))


def distances_to_regions(regions: Bool[np.ndarray, "f h w"]) -> Float[np.ndarray, "f h w"]:
    """Pixels from each pixel to the nearest of its frame's region; infinite where the frame has none."""
    distances = np.full(regions.shape, np.inf)
    for index in np.flatnonzero(regions.any(axis=(1, 2))):
        distances[index] = distance_transform_edt(~regions[index])
    return distances
