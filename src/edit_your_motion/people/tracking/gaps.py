"""Which frames without the person may be filled from their neighbours, and where in a clip the person is."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

LONGEST_GAP, LONGEST_END = 0.5, 0.25
"""Seconds without the person that are filled between two frames with them, and at the ends of a clip; or one frame."""

MOST_FILLED = 0.25
"""Share of a clip's frames that may be filled; of a clip with more nothing is, for it is no clip of the person."""


def find_fillable(seen: Bool[np.ndarray, " f"], fps: Fraction) -> Bool[np.ndarray, " f"]:
    """The frames without the person that are near enough to frames with them to be filled.

    Args:
        seen: the frames with the person.
        fps: frames per second.
    """
    gap, end = (max(1, int(seconds * fps)) for seconds in (LONGEST_GAP, LONGEST_END))
    fillable = np.zeros(len(seen), bool)
    there = np.flatnonzero(seen)
    for before, after in pairwise([-1, *there.tolist(), len(seen)]):
        inside = before >= 0 and after < len(seen)
        if 1 < after - before <= (gap if inside else end) + 1:
            fillable[before + 1 : after] = True
    return fillable if fillable.sum() <= max(1, MOST_FILLED * len(seen)) else np.zeros(len(seen), bool)


def longest_run(there: Bool[np.ndarray, " f"]) -> range:
    """The first of the longest stretches of frames that are all True; empty where none is."""
    edges = np.flatnonzero(np.diff([False, *there.tolist(), False]))
    runs = [range(begin, end) for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    return max(runs, key=len, default=range(0))
