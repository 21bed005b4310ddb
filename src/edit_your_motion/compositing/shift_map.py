"""Which part of a picture continues into a hole of it: a shift for every pixel of the hole, few and in large pieces.

He and Sun 2012, "Statistics of Patch Offsets for Image Completion": the shifts at which a picture most often looks like
itself are few, and of them a graph cut takes for every pixel one so that the seams are seen least.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.spatial import cKDTree

from edit_your_motion.video.selection import spread_evenly

PATCH = 7
"""Side of the patches that are compared, pixels."""

SHIFTS = 40
"""Shifts that are tried, besides those without which some pixel would have none."""

MOST = 100
"""Shifts in all, at most."""

APART = 1 / 15
"""What counts as a shift, at least, as a share of the picture's longer side: all looks like what lies next to it."""

FAR = 30.0
"""What a shift by the whole picture's width costs, in differences of brightness at a seam."""

UPRIGHT = 3.0
"""How much more one up or down costs: a floor goes on as floor, a horizon at its height."""

_DIRECTIONS = 24
_NEIGHBOURS = 24
_MOST_PATCHES = 20_000
_FEWEST = 4
"""Shifts that each pixel has the choice of, at least, where there are so many."""
_LINES = 16
"""Into so many parts, down and across, a picture is divided by the shifts of which those are taken."""
_NOWHERE = 20_000
"""What a shift costs a pixel that it brings nothing; n pixels' costs together stay within 32 bits."""
_SWEEPS = 2
_SETTLED = 0.005


def find_shifts(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "n 2"]:
    """The shifts, rows and columns, at which the picture most often looks like itself; a negative one is up or left.

    Args:
        picture: what lies in the hole is of no account.
        hole: every pixel of it that anything can be brought to has a choice of some.
    """
    height, width = hole.shape
    common = _rank(picture, hole)[: 6 * SHIFTS]
    down, across = (np.arange(-_LINES, _LINES + 1) * math.ceil(side / _LINES) for side in hole.shape)
    grid = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)
    shifts = np.concatenate([common, grid[np.abs(grid).max(axis=1) > APART * max(hole.shape)]])
    pixels = np.argwhere(hole)
    brought = np.stack([find_brought(shift, pixels, hole) for shift in shifts])
    chosen = np.flatnonzero(brought[: min(SHIFTS, len(common))].any(axis=1)).tolist()
    choices = brought[chosen].sum(axis=0)
    brought[chosen] = False
    nearness = np.exp(-np.abs(shifts) @ (UPRIGHT / height, 1 / width))
    while len(chosen) < MOST and (gained := brought[:, choices < _FEWEST].sum(axis=1) * nearness).any():
        best = int(gained.argmax())
        chosen.append(best)
        choices += brought[best]
        brought[best] = False
    return shifts[chosen]


def assign_shifts(
    picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"], shifts: Int[np.ndarray, "n 2"]
) -> Int[np.ndarray, "h w"]:
    """The shift that fills each pixel of the hole, so that pieces fit what is around and each other; -1 elsewhere.

    Boykov, Veksler and Zabih 2001, "Fast Approximate Energy Minimization via Graph Cuts": shift after shift takes over
    all pixels for which that is best together.

    Args:
        picture: with something smooth in its hole.
        hole: the pixels to be filled.
        shifts: from `find_shifts`, one at least.
    """
    seams = _Seams(picture, hole, shifts)
    chosen = seams.costs.argmin(axis=0)
    price = seams.price(chosen)
    for _ in range(_SWEEPS):
        before = price
        for shift in range(len(shifts)):
            taken = np.where(seams.expand(chosen, shift), shift, chosen)
            if (lower := seams.price(taken)) < price:
                chosen, price = taken, lower
        if price >= (1 - _SETTLED) * before:
            break
    found = np.full(hole.shape, -1)
    found[hole] = chosen
    return found


def _rank(picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "n 2"]:
    """The peaks of how often a patch's most similar one lies at a shift, most often first."""
    height, width = hole.shape
    half = PATCH // 2
    inner = np.zeros_like(hole)
    inner[half : height - half, half : width - half] = True
    centres = np.argwhere(inner & ~binary_dilation(hole, np.ones((PATCH, PATCH), bool)))
    if len(centres) <= _NEIGHBOURS:
        return np.empty((0, 2), int)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH), axis=(0, 1))
    content = windows[centres[:, 0] - half, centres[:, 1] - half].reshape(len(centres), -1)
    content = content - content.mean(axis=0)
    _, _, directions = np.linalg.svd(content[:: max(1, len(content) // 2000)], full_matrices=False)
    looks = content @ directions[:_DIRECTIONS].T
    asked = spread_evenly(len(centres), _MOST_PATCHES)
    _, similar = cKDTree(looks).query(looks[asked], k=_NEIGHBOURS, eps=1.0)
    shifts = centres[similar] - centres[asked][:, None]
    apart = np.abs(shifts).max(axis=-1) > APART * max(hole.shape)
    nearest = shifts[np.arange(len(shifts)), apart.argmax(axis=1)][apart.any(axis=1)]
    votes = np.zeros((2 * height + 1, 2 * width + 1))
    for direction in (nearest, -nearest):  # what looks alike does so both ways
        np.add.at(votes, tuple((direction + hole.shape).T), 1)
    votes = gaussian_filter(votes, 2**0.5)
    peaks = np.argwhere((votes == maximum_filter(votes, 9)) & (votes > 0))
    return peaks[np.argsort(-votes[tuple(peaks.T)], kind="stable")] - np.array(hole.shape)


def within(pixels: Int[np.ndarray, "n 2"], shape: tuple[int, int]) -> tuple[Int[np.ndarray, " n"], ...]:
    """Rows and columns of pixels of a picture, of what lies outside those of the nearest one."""
    return tuple(pixels.clip(0, np.subtract(shape, 1)).T)


def find_brought(
    shift: Int[np.ndarray, " 2"], pixels: Int[np.ndarray, "n 2"], hole: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, " n"]:
    """To which of the hole's pixels a shift brings one that is known."""
    there = pixels + shift
    inside = ((there >= 0) & (there < hole.shape)).all(axis=1)
    return inside & ~hole[within(there, hole.shape)]


class _Seams:
    """What it costs to fill each pixel of a hole by each shift, alone and beside its neighbours.

    A seam costs, at both of its pixels, how much what one shift brings there differs from what the other does.
    """

    def __init__(
        self, picture: Float[np.ndarray, "h w 3"], hole: Bool[np.ndarray, "h w"], shifts: Int[np.ndarray, "n 2"]
    ) -> None:
        pixels = np.argwhere(hole)
        number = np.full(hole.shape, -1)
        number[hole] = np.arange(len(pixels))
        self.brought = np.stack([picture[within(pixels + shift, hole.shape)] for shift in shifts])
        self.costs = np.stack([np.where(find_brought(shift, pixels, hole), 0, _NOWHERE) for shift in shifts]).astype(
            float
        )
        self.costs += FAR * (np.abs(shifts) @ (UPRIGHT / hole.shape[0], 1 / hole.shape[1]))[:, None]
        self.pairs = []
        """Indices of pixels of the hole that lie side by side, or one above the other."""
        for step in np.array([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            beside = pixels + step
            inside = ((beside >= 0) & (beside < hole.shape)).all(axis=1)
            others = np.where(inside, number[within(beside, hole.shape)], -1)
            if step.sum() > 0:
                self.pairs.append((np.flatnonzero(others >= 0), others[others >= 0]))
            edge = np.flatnonzero(inside & (others < 0))
            known = picture[tuple(beside[edge].T)]
            for index, shift in enumerate(shifts):
                continued = picture[within(beside[edge] + shift, hole.shape)]
                self.costs[index, edge] += 2 * np.abs(continued - known).sum(axis=-1)

    def price(self, chosen: Int[np.ndarray, " n"]) -> float:
        """What all pixels cost together, each filled by its shift."""
        alone = self.costs[chosen, np.arange(len(chosen))].sum()
        return float(alone + sum(self._between(*pair, chosen[pair[0]], chosen[pair[1]]).sum() for pair in self.pairs))

    def expand(self, chosen: Int[np.ndarray, " n"], shift: int) -> Bool[np.ndarray, " n"]:
        """Which pixels change to a shift where that is best for all together: a minimum cut.

        Kolmogorov and Zabih 2004, "What Energy Functions Can Be Minimized via Graph Cuts?", say how costs become edges:
        from the pixels that stay, with the source, to those that change, with the sink.
        """
        count = len(chosen)
        source, sink, everyone = count, count + 1, np.arange(count)
        change = self.costs[shift] - self.costs[chosen, everyone]
        starts, ends, capacities = [], [], []
        for first, second in self.pairs:
            new = np.full(len(first), shift)
            neither = self._between(first, second, chosen[first], chosen[second])
            only_second = self._between(first, second, chosen[first], new)
            only_first = self._between(first, second, new, chosen[second])
            change += np.bincount(first, only_first - neither, count) - np.bincount(second, only_first, count)
            starts.append(first)
            ends.append(second)
            capacities.append((only_second + only_first - neither).clip(0))
        dearer = change > 0
        starts += [np.full(dearer.sum(), source), everyone[~dearer]]
        ends += [everyone[dearer], np.full((~dearer).sum(), sink)]
        capacities += [change[dearer], -change[~dearer]]
        places = np.concatenate(starts), np.concatenate(ends)
        graph = csr_matrix((np.concatenate(capacities).round().astype(np.int32), places), (count + 2, count + 2))
        left = graph - maximum_flow(graph, source, sink).flow
        left.data = left.data.clip(0)
        left.eliminate_zeros()
        stays = breadth_first_order(left, source, return_predecessors=False)
        changes = np.ones(count + 2, bool)
        changes[stays] = False
        return changes[:count]

    def _between(
        self,
        first: Int[np.ndarray, " n"],
        second: Int[np.ndarray, " n"],
        shift: Int[np.ndarray, " n"],
        other: Int[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """What the seams between pixels cost, the first filled by one shift and the second by another."""
        return sum(
            (np.abs(self.brought[shift, at] - self.brought[other, at]).sum(axis=-1) for at in (first, second)),
            np.zeros(len(first)),
        )
