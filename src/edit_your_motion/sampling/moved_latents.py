"""A guess at the edit's clean latents, too coarse to show and good enough to be drowned in noise."""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import DRAWN, LIMBS
from edit_your_motion.sampling.kept_background import share_cells

SECTIONS = 2
"""Parts that a limb is cut into along its length: a sleeve may end above the elbow."""

_FEWEST = 0.5
"""Cells of a part, at least; the look of one that was seen less is that of the whole person."""


def move_person(
    latents: Float[Tensor, "1 f c lh lw"],
    masks: Bool[np.ndarray, "f h w"],
    keypoints: Keypoints,
    skeletons: Keypoints,
    place: Float[Tensor, "1 f c lh lw"] | None = None,
    warped: tuple[Float[Tensor, "1 f c lh lw"], Float[np.ndarray, "f lh lw"]] | None = None,
) -> Float[Tensor, "1 f c lh lw"]:
    """The source's latents with the person gone from where it was and, part by part, put where the skeletons are.

    Each half of a limb gets the mean latents of the source's person nearest to it over all frames, as broad as it is
    there; what the person uncovers gets the nearest latents of its place. So colours are where they belong, and nothing
    of the old pose is left.

    Args:
        latents: clean ones of the source, a frame for each of the edit's.
        masks: the person's pixels in the source's frames.
        keypoints: of the person in these frames.
        skeletons: of the edit.
        place: latents of the place without the person; None for the nearest ones about it.
        warped: latents of the person's own pixels in the new pose, over the place, and how much of each cell they
            cover: they stand wherever they cover what should be covered.
    """
    content = rearrange(latents[0].cpu().float(), "f c lh lw -> f lh lw c").numpy()
    cells = content.shape[1:3]
    coverage = share_cells(masks, cells).numpy()
    before, after = (_Parts.of(points, cells) for points in (keypoints, skeletons))
    if not coverage.any() or (before.nearest < 0).all():
        return latents
    looks, breadths = _looks(content, coverage, before), _breadths(coverage, before)
    if place is None:
        emptied = np.stack([_fill(frame, covered > 0) for frame, covered in zip(content, coverage, strict=True)])
    else:
        emptied = rearrange(place[0].cpu().float(), "f c lh lw -> f lh lw c").numpy()
    # Over one cell from all to nothing.
    inside = np.clip(breadths[after.nearest] - after.distances + 0.5, 0, 1) * (after.nearest >= 0)
    moved = emptied + inside[..., None] * (looks[after.nearest] - emptied)
    if warped is not None:
        own, covered = rearrange(warped[0][0].cpu().float(), "f c lh lw -> f lh lw c").numpy(), warped[1]
        moved += np.clip(1 - inside + covered, 0, 1)[..., None] * (own - moved)
    return rearrange(torch.from_numpy(moved), "f lh lw c -> 1 f c lh lw").to(latents)


@dataclass(frozen=True)
class _Parts:
    """The nearest part of the body of every cell.

    Args:
        nearest: its index; -1 where nobody is.
        distances: to it, cells.
        lengths: of all parts over all frames together, cells.
    """

    nearest: Int[np.ndarray, "f lh lw"]
    distances: Float[np.ndarray, "f lh lw"]
    lengths: Float[np.ndarray, " parts"]

    @classmethod
    def of(cls, keypoints: Keypoints, cells: tuple[int, int]) -> "_Parts":
        """The parts of a person on a grid of cells."""
        scale = np.array([cells[1] / keypoints.width, cells[0] / keypoints.height])
        centres = np.stack(np.meshgrid(np.arange(cells[1]), np.arange(cells[0])), axis=-1) + 0.5
        nearest = np.full((len(keypoints), *cells), -1)
        distances = np.full(nearest.shape, np.inf)
        lengths = np.zeros(len(LIMBS) * SECTIONS)
        for frame, body in enumerate(keypoints.body):
            for limb, (first, second) in enumerate(LIMBS):
                if min(body[first, 2], body[second, 2]) <= DRAWN:
                    continue
                ends = body[[first, second], :2] * scale
                along = ends[1] - ends[0]
                share = np.clip((centres - ends[0]) @ along / max(float(along @ along), 1e-6), 0, 1)
                away = np.linalg.norm(centres - ends[0] - share[..., None] * along, axis=-1)
                closer = away < distances[frame]
                section = np.minimum((share * SECTIONS).astype(int), SECTIONS - 1)
                nearest[frame][closer] = (limb * SECTIONS + section)[closer]
                distances[frame][closer] = away[closer]
                lengths[limb * SECTIONS : (limb + 1) * SECTIONS] += np.linalg.norm(along) / SECTIONS
        return cls(nearest, distances, lengths)


def _looks(
    content: Float[np.ndarray, "f lh lw c"], coverage: Float[np.ndarray, "f lh lw"], parts: _Parts
) -> Float[np.ndarray, "parts c"]:
    """The mean latents of each part; cells that the person only touches hardly count."""
    weights = coverage**2
    person = np.average(content, axis=(0, 1, 2), weights=weights)
    looks = np.tile(person, (len(parts.lengths), 1))
    for part in np.unique(parts.nearest[parts.nearest >= 0]):
        own = weights * (parts.nearest == part)
        if own.sum() >= _FEWEST:
            looks[part] = np.average(content, axis=(0, 1, 2), weights=own)
    return looks.astype(content.dtype)


def _breadths(coverage: Float[np.ndarray, "f lh lw"], parts: _Parts) -> Float[np.ndarray, " parts"]:
    """Half the breadth of each part, cells: what it covers over twice its length."""
    covered = np.bincount(parts.nearest[parts.nearest >= 0], coverage[parts.nearest >= 0], minlength=len(parts.lengths))
    # A part is hardly shorter than it is broad: a face's are, but for the ends of an ellipse.
    return np.minimum(covered / np.maximum(2 * parts.lengths, 1e-6), np.sqrt(covered))


def _fill(frame: Float[np.ndarray, "lh lw c"], covered: Bool[np.ndarray, "lh lw"]) -> Float[np.ndarray, "lh lw c"]:
    """The frame with the nearest free cell's content wherever somebody is; as it is where nothing is free."""
    if covered.all():
        return frame
    down, across = distance_transform_edt(covered, return_distances=False, return_indices=True)
    return frame[down, across]
