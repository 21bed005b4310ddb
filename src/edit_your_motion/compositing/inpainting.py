"""Holes in a picture filled with what stands around them: smoothly, or by pieces of the same picture."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from edit_your_motion.compositing.shift_map import assign_shifts, find_brought, find_shifts, within

SHORTEST = 96
"""The picture in which pieces are chosen has this shortest side, pixels, or up to twice so much."""

MOST_PIXELS = 2**16
"""And so many pixels at most."""

EDGE = 25.0
"""From this difference of brightness on, on average over the colours, two pieces keep an edge between them, wholly from
twice so much: spread over both it would be a mist."""

RING = 3
"""How far about a piece it is looked whether it fits, pixels."""

_Pixels: TypeAlias = Int[np.ndarray, "n 2"]
_Slopes: TypeAlias = Callable[[_Pixels, _Pixels], Float[np.ndarray, "n 3"]]
"""By how much each pixel should be brighter than the one beside it."""


def fill_smoothly(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 3"]:
    """The picture with its hole as smooth as the surroundings allow: Laplace's equation.

    Args:
        picture: what lies in the hole is of no account.
        hole: the pixels to be filled; where it is everything, they become grey.
    """
    return _fill_by_slopes(picture, hole, lambda here, _: np.zeros((len(here), 3)))


def fill_with_pieces(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w 3"]:
    """The picture with its hole made of pieces of the rest, each as sharp as it is there.

    Pieces are chosen in a small picture (`compositing.shift_map`), moved until they fit in the whole one, and put
    together by their slopes (Pérez, Gangnet and Blake 2003, "Poisson Image Editing"), so that no seam and no other
    light remains. `python benchmarks/inpainting.py` measures it.

    Args:
        picture: what lies in the hole is of no account.
        hole: the pixels to be filled; where nothing can be brought, they are smooth.
    """
    if not hole.any() or hole.all():
        return fill_smoothly(picture, hole)
    step = 1
    while min(hole.shape) >= 2 * step * SHORTEST or hole.size > MOST_PIXELS * step**2:
        step *= 2
    small, empty = _shrink(picture, hole, step)
    small = fill_smoothly(small, empty)
    shifts = find_shifts(small, empty)
    if not len(shifts):
        return fill_smoothly(picture, hole)
    chosen = _enlarge(assign_shifts(small, empty, shifts), step, hole.shape)
    whole = np.where(hole[..., None], _enlarge(small, step, hole.shape), picture)
    return _put_together(whole, hole, *_fit(whole, hole, chosen, shifts * step, step // 2))


def _shrink(
    picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"], step: int
) -> tuple[Float[np.ndarray, "h2 w2 3"], Bool[np.ndarray, "h2 w2"]]:
    """The mean of each square of so many pixels, and whether some of it is not known."""
    height, width = (-(-side // step) for side in hole.shape)
    more = (0, height * step - hole.shape[0]), (0, width * step - hole.shape[1])
    squares = np.pad(picture, (*more, (0, 0)), mode="edge").reshape(height, step, width, step, 3)
    unknown = np.pad(hole, more, mode="edge").reshape(height, step, width, step)
    return squares.mean(axis=(1, 3)), np.asarray(unknown.any(axis=(1, 3)))


def _enlarge(content: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    return content.repeat(step, axis=0).repeat(step, axis=1)[: shape[0], : shape[1]]


def _fit(
    picture: Float[np.ndarray, "h w 3"],
    hole: Bool[np.ndarray, "h w"],
    chosen: Int[np.ndarray, "h w"],
    shifts: Int[np.ndarray, "n 2"],
    slack: int,
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "m 2"]]:
    """The pieces that belong together, each moved a little until it fits what is known about it and was laid before.

    From the hole's edge inwards one after another is laid.

    Args:
        picture: with something smooth in its hole.
        hole: the pixels to be filled.
        chosen: each one's shift.
        shifts: the shifts.
        slack: how far a piece is moved, at most, up and down, and to the sides.

    Returns:
        Which piece each pixel of the hole belongs to, from 1 on, elsewhere 0; and the pieces' shifts, after a first
        one that is none.
    """
    pieces, moved = np.zeros(hole.shape, int), [np.zeros(2, int)]
    for index in np.unique(chosen[hole]):
        parts, count = label(hole & (chosen == index))
        pieces[parts > 0] = parts[parts > 0] + len(moved) - 1
        moved += [shifts[index]] * count
    bodies, rings = [], []
    for number, (rows, columns) in enumerate(find_objects(pieces), 1):
        top, left = max(rows.start - RING, 0), max(columns.start - RING, 0)
        body = pieces[top : rows.stop + RING, left : columns.stop + RING] == number
        ring = binary_dilation(body, iterations=RING) & ~body
        corner = np.array([top, left])
        bodies.append(np.argwhere(body) + corner)
        rings.append(np.argwhere(ring) + corner)
    laid, done, depth = picture.copy(), ~hole, distance_transform_edt(hole)
    for index in np.argsort([depth[tuple(body.T)].mean() for body in bodies], kind="stable"):
        body, ring = bodies[index], rings[index][done[tuple(rings[index].T)]]
        shift = _fit_piece(picture, hole, laid[tuple(ring.T)], ring, body, moved[index + 1], slack)
        moved[index + 1] = shift
        laid[tuple(body.T)] = picture[within(body + shift, hole.shape)]
        done[tuple(body.T)] = True
    return pieces, np.array(moved)


def _fit_piece(
    picture: Float[np.ndarray, "h w 3"],
    hole: Bool[np.ndarray, "h w"],
    wanted: Float[np.ndarray, "m 3"],
    ring: Int[np.ndarray, "m 2"],
    body: _Pixels,
    shift: Int[np.ndarray, " 2"],
    slack: int,
) -> Int[np.ndarray, " 2"]:
    """The shift nearby by which a piece, continued, is most like what lies about its place."""

    def unknown(tried: Int[np.ndarray, " 2"]) -> int:
        return int((~find_brought(tried, body, hole)).sum())

    best, least, allowed = shift, np.inf, unknown(shift)
    steps = np.array(list(np.ndindex(2 * slack + 1, 2 * slack + 1))) - slack
    for step in steps[np.argsort(np.abs(steps).sum(axis=1), kind="stable")]:
        tried = shift + step
        if unknown(tried) > allowed:
            continue
        there = within(ring + tried, hole.shape)
        known = ~hole[there]
        off = np.abs(picture[there] - wanted)[known].mean() if known.any() else np.inf
        if off < least:
            best, least = tried, off
    return best


def _put_together(
    picture: Float[np.ndarray, "h w 3"],
    hole: Bool[np.ndarray, "h w"],
    pieces: Int[np.ndarray, "h w"],
    shifts: Int[np.ndarray, "m 2"],
) -> Float[np.ndarray, "h w 3"]:
    """The hole with its pieces' slopes; where two meet, what both say on average, or an edge if they differ much."""

    def brought(
        piece: Int[np.ndarray, " n"], pixels: _Pixels
    ) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, "n 1"]]:
        """What pieces bring to pixels, and whether it is known; what is known already comes from the first."""
        there = within(pixels + shifts[piece], hole.shape)
        return picture[there], ~hole[there][:, None]

    def slopes(here: _Pixels, beside: _Pixels) -> Float[np.ndarray, "n 3"]:
        own, other = (pieces[tuple(pixels.T)] for pixels in (here, beside))
        (start, knows_start), (end, knows_end) = brought(own, here), brought(own, beside)
        (other_start, knows_other_start), (other_end, knows_other_end) = brought(other, here), brought(other, beside)
        own_says, other_says = knows_start & knows_end, knows_other_start & knows_other_end
        said = np.where(own_says, start - end, 0) + np.where(other_says, other_start - other_end, 0)
        both_start, both_end = knows_start & knows_other_start, knows_end & knows_other_end
        off = np.where(both_start, np.abs(start - other_start), 0) + np.where(both_end, np.abs(end - other_end), 0)
        off = off.mean(axis=1, keepdims=True) / _at_least_one(both_start, both_end)
        edge = (off / EDGE - 1).clip(0, 1)
        return (1 - edge) * said / _at_least_one(own_says, other_says) + edge * (start - other_end)

    return _fill_by_slopes(picture, hole, slopes).clip(0, 255)


def _at_least_one(*which: Bool[np.ndarray, "n 1"]) -> Int[np.ndarray, "n 1"]:
    """How many of them are true, or 1."""
    return np.sum(which, axis=0).clip(1)


def _fill_by_slopes(
    picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"], slopes: _Slopes
) -> Float[np.ndarray, "h w 3"]:
    """The picture with its hole as near to given slopes as the surroundings allow: Poisson's equation."""
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 127.5)
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    pixels = np.argwhere(hole)
    right, neighbours = np.zeros((len(pixels), 3)), np.zeros(len(pixels))
    rows, columns, entries = [np.arange(len(pixels))], [np.arange(len(pixels))], []
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = pixels + step
        inside = np.flatnonzero(((beside >= 0) & (beside < hole.shape)).all(axis=1))
        beside = beside[inside]
        neighbours[inside] += 1
        right[inside] += slopes(pixels[inside], beside)
        inner = hole[tuple(beside.T)]
        right[inside[~inner]] += picture[tuple(beside[~inner].T)]
        rows.append(inside[inner])
        columns.append(number[tuple(beside[inner].T)])
        entries.append(np.full(inner.sum(), -1.0))
    places = np.concatenate(rows), np.concatenate(columns)
    laplacian = coo_matrix((np.concatenate([neighbours, *entries]), places)).tocsc()
    filled = picture.copy()
    filled[hole] = splu(laplacian).solve(right)
    return filled
