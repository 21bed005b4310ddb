"""Holes in a picture filled with what stands around them: smoothly, or by patches of the same picture."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, zoom
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

PATCH = 7
"""Side of a patch, pixels."""

COARSEST = 24
"""Shortest side of the coarsest level, pixels."""

SLACK = 1.0
"""A patch at most so much further away than the nearest, as a share, does too. In a picture of 512x512 with a hole of
128x256, holding out for the nearest takes five times as long and ends as far from what was there."""

_SWEEPS = 3
_DIRECTIONS = 24
_MOST_PATCHES = 40_000
_PLACE = 0.4
"""How much a patch's place counts beside its looks: a floor goes on as floor, a horizon at its height."""
_INWARDS = 1.1
"""By what factor a patch is trusted less a pixel farther from the hole's edge, so that it is filled from there."""


def fill_smoothly(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 3"]:
    """The picture with its hole as smooth as the surroundings allow: Laplace's equation.

    Args:
        picture: what lies in the hole is of no account.
        hole: the pixels to be filled; where it is everything, they become grey.
    """
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 127.5)
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    y, x = np.nonzero(hole)
    right, neighbours = np.zeros((len(y), 3)), np.zeros(len(y))
    rows, columns, entries = [np.arange(len(y))], [np.arange(len(y))], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        ny, nx = y + dy, x + dx
        within = (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
        ny, nx = ny.clip(0, height - 1), nx.clip(0, width - 1)
        inner = within & hole[ny, nx]
        known = within & ~inner
        neighbours += within
        right[known] += picture[ny[known], nx[known]]
        rows.append(np.flatnonzero(inner))
        columns.append(number[ny[inner], nx[inner]])
        entries.append(np.full(inner.sum(), -1.0))
    places = np.concatenate(rows), np.concatenate(columns)
    laplacian = coo_matrix((np.concatenate([neighbours, *entries]), places)).tocsc()
    filled = picture.copy()
    filled[hole] = splu(laplacian).solve(right)
    return filled


def fill_with_patches(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 3"]:
    """The picture with its hole made of patches of the rest, each like its surroundings and its neighbours.

    Wexler, Shechtman and Irani 2007, "Space-Time Completion of Video", for one picture: from coarse to fine, every
    patch that touches the hole looks for the most similar whole one, and every pixel becomes the mean of what the
    patches over it say. The smooth filling is where it begins. A finer level begins with what the coarser one found,
    taken from the finer picture, as Barnes and others 2009 do: from an enlarged picture, which is blurred, one would
    find what is blurred. `python benchmarks/inpainting.py` measures it.

    Args:
        picture: what lies in the hole is of no account.
        hole: the pixels to be filled.
    """
    filled = fill_smoothly(picture, hole)
    scales = [1.0]
    while min(hole.shape) * scales[-1] / 2 >= COARSEST:
        scales.append(scales[-1] / 2)
    sources: Int[np.ndarray, "h w 2"] | None = None
    for scale in reversed(scales):
        small = (
            filled
            if scale == 1
            else zoom(_blur(filled, scale), (scale, scale, 1), order=1, grid_mode=True, mode="nearest")
        )
        empty = hole if scale == 1 else zoom(hole.astype(float), scale, order=1, grid_mode=True, mode="nearest") > 0.01
        empty = empty[: small.shape[0], : small.shape[1]]
        found, sources = _sweep(small, empty, None if sources is None else _doubled(sources, empty.shape))
    return np.where(hole[..., None], found, picture).astype(picture.dtype)


def _blur(picture: Float[np.ndarray, "h w 3"], scale: float) -> Float[np.ndarray, "h w 3"]:
    return gaussian_filter(picture, (0.4 / scale, 0.4 / scale, 0))


def _doubled(sources: Int[np.ndarray, "h w 2"], shape: tuple[int, int]) -> Int[np.ndarray, "h2 w2 2"]:
    """The centres found on a level, on one of twice its size: what lies about a pixel there goes along with it."""
    height, width = sources.shape[:2]
    found = distance_transform_edt(sources[..., 0] < 0, return_distances=False, return_indices=True)
    y, x = np.mgrid[: shape[0], : shape[1]]
    # The nearest place of the coarser level that was looked for.
    above, beside = found[:, np.minimum(y // 2, height - 1), np.minimum(x // 2, width - 1)]
    there = sources[above, beside]
    return np.stack([y + 2 * (there[..., 0] - above), x + 2 * (there[..., 1] - beside)], axis=-1)


def _sweep(
    picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"], sources: Int[np.ndarray, "h w 2"] | None
) -> tuple[Float[np.ndarray, "h w 3"], Int[np.ndarray, "h w 2"] | None]:
    """One level: search and vote in turn.

    Args:
        picture: with something in its hole.
        hole: the pixels to be filled.
        sources: about where the whole patch is that each pixel's is like; None for the coarsest level.

    Returns:
        The picture, and of each pixel whose patch touches the hole the centre of that which it is like, -1 elsewhere.
    """
    half = PATCH // 2
    touched = binary_dilation(hole, np.ones((PATCH, PATCH), bool))
    inner = np.zeros_like(hole)
    inner[half:-half, half:-half] = True
    whole, wanted = np.argwhere(inner & ~touched), np.argwhere(inner & touched)
    if len(whole) < _DIRECTIONS or not len(wanted):
        return picture, None
    if len(whole) > _MOST_PATCHES:
        whole = whole[np.linspace(0, len(whole) - 1, _MOST_PATCHES).astype(int)]
    content = _patches(picture, whole)
    mean = content.mean(axis=0)
    _, _, directions = np.linalg.svd((content - mean)[:: max(1, len(content) // 2000)], full_matrices=False)
    directions = directions[:_DIRECTIONS].T
    spread = float((content - mean).std()) * PATCH + 1e-6
    weight = _PLACE * spread / np.array([hole.shape[0] / 4, hole.shape[1]])
    tree = cKDTree(np.concatenate([(content - mean) @ directions, whole * weight], axis=1))
    if sources is not None:
        _, nearest = cKDTree(whole).query(sources[tuple(wanted.T)])
        picture = _vote(picture, hole, wanted, content[nearest], np.ones(len(wanted)))
    inwards = _INWARDS ** -distance_transform_edt(hole)[tuple(wanted.T)]
    for _ in range(_SWEEPS):
        asked = np.concatenate([(_patches(picture, wanted) - mean) @ directions, wanted * weight], axis=1)
        distances, nearest = tree.query(asked, eps=SLACK, workers=-1)
        trust = np.exp(-0.5 * (distances / max(float(np.quantile(distances, 0.75)), 1e-6)) ** 2) + 1e-3
        picture = _vote(picture, hole, wanted, content[nearest], trust * inwards)
    found = np.full((*hole.shape, 2), -1)
    found[tuple(wanted.T)] = whole[nearest]
    return picture, found


def _patches(picture: Float[np.ndarray, "h w 3"], centres: Int[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
    half = PATCH // 2
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH), axis=(0, 1))
    return windows[centres[:, 0] - half, centres[:, 1] - half].reshape(len(centres), -1)


def _vote(
    picture: Float[np.ndarray, "h w 3"],
    hole: Bool[np.ndarray, "h w"],
    centres: Int[np.ndarray, "n 2"],
    content: Float[np.ndarray, "n d"],
    trust: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "h w 3"]:
    """The mean of what the patches over each pixel of the hole say of it."""
    half = PATCH // 2
    total, weights = np.zeros(picture.shape), np.zeros(hole.shape)
    values = content.reshape(-1, 3, PATCH, PATCH)
    for dy in range(PATCH):
        for dx in range(PATCH):
            y, x = centres[:, 0] + dy - half, centres[:, 1] + dx - half
            total[y, x] += trust[:, None] * values[:, :, dy, dx]
            weights[y, x] += trust
    said = hole & (weights > 0)
    voted = picture.copy()
    voted[said] = total[said] / weights[said][:, None]
    return voted
