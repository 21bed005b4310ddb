"""What tests of foreign files share: a chart in every coding of colours, a picture in every orientation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float64, UInt8

CASES = Path(__file__).parents[2] / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the collection of cases is not here")
PATCHES = (
    (180, 40, 40),
    (40, 180, 40),
    (40, 40, 180),
    (200, 200, 40),
    (200, 40, 200),
    (40, 200, 200),
    (128, 128, 128),
    (220, 220, 220),
)
CELL = 32

# Chromaticities of red, green and blue and, where it is not D65's, of white; coefficients of red and blue in luma.
PRIMARIES = {
    "bt709": (1, (0.640, 0.330, 0.300, 0.600, 0.150, 0.060)),
    "bt470bg": (5, (0.640, 0.330, 0.290, 0.600, 0.150, 0.060)),
    "smpte170m": (6, (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    "smpte240m": (7, (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    "bt2020": (9, (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    "display-p3": (12, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    "ebu3213": (22, (0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}


def pq(light: Float64[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "h w 3"]:
    """SMPTE ST 2084 of light whose 1 is 203 cd/m2."""
    power = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: Float64[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "h w 3"]:
    """BT.2100's HLG of what a display of 1000 cd/m2 shows, in BT.2020."""
    shown = light * 0.203
    luminance = shown @ (0.2627, 0.6780, 0.0593)
    scene = shown * (luminance ** (1 / 1.2 - 1))[..., None]
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


def screen(light: Float64[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "h w 3"]:
    return light ** (1 / 2.4)


TRANSFERS: dict[str, tuple[int, Callable[[Float64[np.ndarray, "h w 3"]], Float64[np.ndarray, "h w 3"]]]] = {
    "bt709": (1, screen),
    "unspecified": (2, screen),
    "gamma22": (4, lambda light: light ** (1 / 2.2)),
    "gamma28": (5, lambda light: light ** (1 / 2.8)),
    "smpte170m": (6, screen),
    "smpte240m": (7, screen),
    "linear": (8, lambda light: light),
    "bt2020-10": (14, screen),
    "pq": (16, pq),
    "hlg": (18, hlg),
}


def chart(height: int = 2 * CELL, width: int = CELL * len(PATCHES)) -> UInt8[np.ndarray, "h w 3"]:
    cells = np.asarray(PATCHES, np.uint8)[np.arange(width) * len(PATCHES) // width]
    return np.broadcast_to(cells, (height, width, 3)).copy()


def xyz(numbers: tuple[float, ...]) -> Float64[np.ndarray, "3 3"]:
    """From linear light in these primaries to CIE XYZ, for white D65."""
    places = np.array(numbers).reshape(3, 2)
    columns = np.vstack([places.T, 1 - places.sum(axis=1)])
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def inside(picture: UInt8[np.ndarray, "h w 3"], primaries: str) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with what these primaries cannot show clipped."""
    into = np.linalg.inv(xyz(PRIMARIES[primaries][1])) @ xyz(PRIMARIES["bt709"][1])
    light = np.clip((picture / 255) ** 2.4 @ into.T, 0, 1) @ np.linalg.inv(into).T
    return np.rint(np.clip(light, 0, 1) ** (1 / 2.4) * 255).astype(np.uint8)


def coded(picture: UInt8[np.ndarray, "h w 3"], primaries: str, transfer: str) -> Float64[np.ndarray, "h w 3"]:
    """The signal, 0 to 1, that shows what the picture shows on the screen of BT.1886."""
    into = np.linalg.inv(xyz(PRIMARIES[primaries][1])) @ xyz(PRIMARIES["bt709"][1])
    return TRANSFERS[transfer][1](np.maximum((picture / 255) ** 2.4 @ into.T, 0))


def patches(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "n 3"]:
    height, width = picture.shape[:2]
    return picture[height // 2, (np.arange(len(PATCHES)) * 2 + 1) * width // (2 * len(PATCHES))]


def farthest(picture: UInt8[np.ndarray, "h w 3"], expected: UInt8[np.ndarray, "n 3"] | None = None) -> int:
    """By how many levels the worst patch is off."""
    wanted = np.asarray(PATCHES) if expected is None else expected.astype(int)
    return int(np.abs(patches(picture) - wanted).max())


QUARTERS = np.zeros((64, 96, 3), np.uint8)
QUARTERS[:32, :48], QUARTERS[:32, 48:], QUARTERS[32:, :48] = (220, 30, 30), (30, 200, 30), (30, 30, 220)
QUARTERS[32:, 48:] = (230, 230, 230)
# a, b, c, d of display matrices, and what EXIF's orientation of the same number makes of a picture.
ORIENTATIONS = {
    1: ((1, 0, 0, 1), lambda picture: picture),
    2: ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    3: ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
    4: ((1, 0, 0, -1), lambda picture: picture[::-1]),
    5: ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    6: ((0, 1, -1, 0), lambda picture: np.rot90(picture, 3)),
    7: ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1)),
    8: ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
}
