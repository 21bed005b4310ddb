"""What a container says is to be cut off its frames, which FFmpeg's libraries know and PyAV does not hand on.

MP4 and QuickTime have a clean aperture (ISO 14496-12, ``clap``): width, height, and how far the centre lies right of
and below the middle, eight numbers as fractions. Matroska has ``PixelCropBottom``, ``-Top``, ``-Left``, ``-Right``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

ATOMS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
"""Boxes on the way to the descriptions of samples."""
SAMPLE_HEAD = 78
"""Bytes of a picture track's description before the boxes in it."""
SEGMENT, TRACKS, TRACK, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
LARGEST_HEAD = 2**26
"""Bytes of a container's description beyond which nothing is looked for."""


@dataclass(frozen=True)
class Crop:
    """Pixels to be cut off the stored frame."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def leaves_of(self, width: int, height: int) -> bool:
        """Whether something is left of a frame of that size, and nothing is to be added to it."""
        inside = min(self.top, self.bottom, self.left, self.right) >= 0
        return inside and self.top + self.bottom < height and self.left + self.right < width


def read_crop(path: Path, container: str, width: int, height: int) -> Crop:
    """What is to be cut off the frames of the only picture track; nothing where there is none, or several.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
        width: of the stored frames, pixels.
        height: of the stored frames, pixels.
    """
    with path.open("rb") as file:
        try:
            if container.startswith("mov"):
                found = [_of_aperture(numbers, width, height) for numbers in _apertures(file, 0, path.stat().st_size)]
            elif container.startswith("matroska"):
                found = [Crop(**crop) for crop in _elements(file, 0, path.stat().st_size)]
            else:
                return Crop()
        except (
            struct.error,
            IndexError,
            ZeroDivisionError,
            RecursionError,
        ):  # damaged: FFmpeg says so where it matters
            return Crop()
    crops = [crop for crop in found if crop != Crop() and crop.leaves_of(width, height)]
    return crops[0] if len(crops) == 1 else Crop()


def _of_aperture(numbers: tuple[int, ...], width: int, height: int) -> Crop:
    wide, high, right_of, below = (Fraction(*numbers[at : at + 2]) for at in range(0, 8, 2))
    left, top = round((width - wide) / 2 + right_of), round((height - high) / 2 + below)
    return Crop(top, height - top - round(high), left, width - left - round(wide))


def _apertures(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, ...]]:
    """Every clean aperture among the boxes of a part of a file."""
    while begin + 8 <= end:
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        stop = end if size == 0 else min(begin + size, end)
        if stop < begin + head:
            return
        if name in ATOMS:
            yield from _apertures(file, begin + head, stop)
        elif name == b"stsd":
            yield from _described(file, begin + head + 8, stop)
        begin = stop


def _described(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, ...]]:
    """The clean apertures in the descriptions of samples."""
    while begin + 8 <= end:
        file.seek(begin)
        (size,) = struct.unpack(">I", file.read(4))
        if size < 8 or size > LARGEST_HEAD:
            return
        file.seek(begin)
        entry = file.read(min(size, end - begin))
        at = 8 + SAMPLE_HEAD
        while at + 8 <= len(entry):
            inner, name = struct.unpack_from(">I4s", entry, at)
            if name == b"clap":
                yield struct.unpack_from(">IIIIiIiI", entry, at + 8)
            if inner < 8:
                break
            at += inner
        begin += size


def _elements(file: BinaryIO, begin: int, end: int) -> Iterator[dict[str, int]]:
    """What each picture track of a Matroska file has cut off."""
    end = min(end, LARGEST_HEAD)
    while begin < end:
        file.seek(begin)
        head = file.read(12)
        name, used = _number(head, marked=True)
        size, more = _number(head[used:], marked=False)
        begin += used + more
        stop = end if size == 2 ** (7 * more) - 1 else min(begin + size, end)
        if name in (SEGMENT, TRACKS, TRACK):
            yield from _elements(file, begin, stop)
        elif name == VIDEO:
            file.seek(begin)
            yield _crops(file.read(stop - begin))
        begin = stop


def _crops(content: bytes) -> dict[str, int]:
    found, at = {}, 0
    while at < len(content):
        name, used = _number(content[at:], marked=True)
        size, more = _number(content[at + used :], marked=False)
        at += used + more
        if name in CROPS:
            found[CROPS[name]] = int.from_bytes(content[at : at + size], "big")
        at += size
    return found


def _number(content: bytes, *, marked: bool) -> tuple[int, int]:
    """One of EBML's numbers, of as many bytes as the zeros before its first bit say, and how many that is."""
    length = 9 - content[0].bit_length()
    if length > 8:
        raise IndexError
    value = int.from_bytes(content[:length], "big")
    return (value if marked else value & ~(1 << (7 * length))), length
