"""Which way up a frame is shown: the eight orientations of display matrices and of EXIF."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer, Type
from jaxtyping import UInt8


@dataclass(frozen=True)
class Orientation:
    """A frame's rows and columns exchanged, and after that mirrored.

    Args:
        turned: rows become columns.
        mirrored: left becomes right, afterwards.
        flipped: top becomes bottom, afterwards.
    """

    turned: bool = False
    mirrored: bool = False
    flipped: bool = False

    def apply(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The frame as it is to be seen."""
        if self.turned:
            pixels = pixels.swapaxes(0, 1)
        return np.ascontiguousarray(pixels[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])


EXIF = {
    2: Orientation(mirrored=True),
    3: Orientation(mirrored=True, flipped=True),
    4: Orientation(flipped=True),
    5: Orientation(turned=True),
    6: Orientation(turned=True, mirrored=True),
    7: Orientation(turned=True, mirrored=True, flipped=True),
    8: Orientation(turned=True, flipped=True),
}
"""EXIF's numbers of orientations; any other is upright."""


def read_side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """What a frame carries beside its pixels, as FFmpeg's structure has it in memory; None where it carries none."""
    # `frame.side_data` is a cycle of the two, in which whole frames pile up until the garbage is collected.
    carried: Mapping[Type, SideData] = cast(Any, SideDataContainer)(frame)
    return bytes(carried[kind]) if kind in carried else None


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """What the frame's display matrix asks for, to the nearest quarter turn; upright without one.

    The matrix ``((a, b, u), (c, d, v), (x, y, w))`` takes a place (p, q) to (a p + c q + x, b p + d q + y).
    """
    data = read_side_data(frame, Type.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    numbers = np.frombuffer(data, np.int32).astype(np.int64)
    a, b, _, c, d = numbers[:5]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(turned=True, mirrored=bool(c < 0), flipped=bool(b < 0))
    return Orientation(mirrored=bool(a < 0), flipped=bool(d < 0))
