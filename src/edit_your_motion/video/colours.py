"""Colours of every curve and set of primaries, brought to those of an ordinary screen.

Numbers are those of ITU-T H.273, which every container and codec shares. A signal becomes linear light in which 1 is
the white of a page: 203 cd/m2 in HDR (ITU-R BT.2408). Light is mixed into the primaries of BT.709, HDR's highlights
are compressed, what still lies outside is clipped, and the rest is coded for the screen: of video that of ITU-R
BT.1886, for which films are graded, of pictures that of sRGB. A picture in BT.709 and a film in sRGB stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

UNSPECIFIED = 2
BT709_PRIMARIES, BT2020_PRIMARIES, XYZ_PRIMARIES = 1, 9, 10
BT709, SRGB, PQ, HLG = 1, 13, 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}
WHITE, LARGEST_PEAK = 203.0, 10_000.0
"""The light of a white page in HDR and the most that PQ can say, cd/m2."""
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2
"""The display that HLG is shown on where nothing else is said: its peak in cd/m2, and its system gamma."""
KNEE = 0.8
"""Light up to this share of white is left as it is (level 232 of 255); what is brighter shares the rest."""
ROWS = 64

# A camera's curve is not the inverse of a screen's, on purpose: what it records is made for the screen of BT.1886.
_CAMERAS = frozenset({0, BT709, UNSPECIFIED, 3, 6, 7, 11, 12, 14, 15})
_SCREENS = _CAMERAS | {SRGB}
_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
_CHROMATICITIES = {
    BT709_PRIMARIES: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),  # BT.470 M
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),  # BT.601, 625 lines
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # BT.601, 525 lines
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE 240M
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),  # film
    BT2020_PRIMARIES: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    XYZ_PRIMARIES: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),  # DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),  # EBU 3213
}
_WIDE = {BT2020_PRIMARIES: "BT.2020", XYZ_PRIMARIES: "XYZ", 11: "DCI-P3", 12: "Display P3"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Colours:
    """How red, green and blue are coded.

    Args:
        primaries: their number in H.273; an unknown one counts as BT.709.
        transfer: the number of the curve in H.273; an unknown one counts as sRGB.
        peak: the brightest light of the content, cd/m2; of use in HDR only.
        screen: the curve of the result, `BT709` or `SRGB`.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    peak: float = HLG_PEAK
    screen: int = BT709

    @property
    def is_ordinary(self) -> bool:
        """Whether nothing has to be done."""
        return self.transfer in _SCREENS and self.primaries not in _CHROMATICITIES.keys() - {BT709_PRIMARIES}

    @property
    def warning(self) -> str | None:
        """What a user should be told, None where nothing that can be seen is lost."""
        gamut = _WIDE.get(self.primaries)
        if self.transfer in HDR:
            named = HDR[self.transfer] + (f", {gamut}" if gamut else "")
            return f"HDR ({named}) was brought to ordinary colours: lights brighter than a white page are compressed"
        return f"colours of {gamut} were brought to those of BT.709: what lies beyond is clipped" if gamut else None


def to_ordinary(
    pixels: UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"], colours: Colours
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in the primaries of BT.709.

    The highlights of HDR follow ``KNEE + s x (1 + x / X^2) / (1 + x)`` for ``x = (m - KNEE) / s``, ``s = 1 - KNEE``:
    of slope 1 at the knee, and 1 where the largest of the three lights, ``m``, is the content's peak (``x = X``). All
    three are scaled alike, so that hues stay.

    Args:
        pixels: the signal, black 0 and nominal peak the largest value of its type.
        colours: how it is coded.
    """
    screen = colours.transfer if colours.transfer in _SCREENS else colours.screen
    light_of, level_of = _light_table(colours.transfer, pixels.dtype.name), _level_table(screen)
    mix, luminance = _to_bt709(colours.primaries), _luminance(colours.primaries)
    result = np.empty(pixels.shape, np.uint8)
    for first in range(0, len(pixels), ROWS):  # a strip at a time stays in the processor's cache
        light = light_of[pixels[first : first + ROWS]].reshape(-1, 3)
        if colours.transfer == HLG:
            light *= _system_gamma()[_steps(light @ luminance)][:, None]
        light = light @ mix
        if colours.transfer in HDR:
            _compress_highlights(light, colours.peak / WHITE)
        result[first : first + ROWS] = level_of[_steps(light)].reshape(-1, *pixels.shape[1:])
    return result


def _steps(light: Float32[np.ndarray, "..."]) -> UInt16[np.ndarray, "..."]:
    """Light of 0 to 1 in steps of 1/65535, to look up in a table."""
    return (np.clip(light, 0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def _compress_highlights(light: Float32[np.ndarray, "n 3"], peak: float) -> None:
    brightest = np.maximum(np.maximum(light[:, 0], light[:, 1]), light[:, 2])
    if peak <= 1 or brightest.max() <= KNEE:
        return
    room = np.float32(1 - KNEE)
    largest, value = np.float32((peak - KNEE) / room), np.maximum(brightest - np.float32(KNEE), 0) / room
    compressed = np.minimum(np.float32(KNEE) + room * value * (1 + value / largest**2) / (1 + value), 1)
    light *= np.where(value > 0, compressed / np.maximum(brightest, np.float32(KNEE)), np.float32(1))[:, None]


@lru_cache(maxsize=16)
def _light_table(transfer: int, dtype: str) -> Float32[np.ndarray, " levels"]:
    """Light of every value of a signal: 1 is white, but in HLG the scene's light, up to 1."""
    levels = int(np.iinfo(dtype).max)
    curve = _screen_light if transfer in _CAMERAS else _CURVES.get(transfer, _screen_light)
    return curve(np.arange(levels + 1) / levels).astype(np.float32)


@lru_cache(maxsize=2)
def _level_table(screen: int) -> UInt8[np.ndarray, "65536"]:
    """The level that makes a screen show a light, of steps of 1/65535: the inverse of its curve."""
    curve = _CURVES.get(screen, _screen_light)
    thresholds = curve((np.arange(255) + 0.5) / 255)
    return np.searchsorted(thresholds, np.arange(65536) / 65535).astype(np.uint8)


def encode_srgb(light: Float64[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
    """The levels of sRGB that show these lights, 0 to 1."""
    return _level_table(SRGB)[_steps(light.astype(np.float32))]


@lru_cache(maxsize=1)
def _system_gamma() -> Float32[np.ndarray, "65536"]:
    """What HLG's display multiplies the scene's light by, for luminances in steps of 1/65535."""
    return (HLG_PEAK / WHITE * (np.arange(65536) / 65535) ** (HLG_GAMMA - 1)).astype(np.float32)


def _screen_light(signal: Float64[np.ndarray, " levels"]) -> Float64[np.ndarray, " levels"]:
    """ITU-R BT.1886 of a screen whose black is black."""
    return signal**2.4


def _srgb_light(signal: Float64[np.ndarray, " levels"]) -> Float64[np.ndarray, " levels"]:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def _pq_light(signal: Float64[np.ndarray, " levels"]) -> Float64[np.ndarray, " levels"]:
    """ITU-R BT.2100, the inverse of PQ's curve; 1 is `WHITE`."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return LARGEST_PEAK / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_light(signal: Float64[np.ndarray, " levels"]) -> Float64[np.ndarray, " levels"]:
    """ITU-R BT.2100, the inverse of HLG's curve: the light of the scene."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


_CURVES: dict[int, Callable[[Float64[np.ndarray, " levels"]], Float64[np.ndarray, " levels"]]] = {
    4: lambda signal: signal**2.2,
    5: lambda signal: signal**2.8,
    8: lambda signal: signal,
    9: lambda signal: np.where(signal > 0, 10 ** (2 * (signal - 1)), 0),
    10: lambda signal: np.where(signal > 0, 10 ** (2.5 * (signal - 1)), 0),
    SRGB: _srgb_light,
    PQ: _pq_light,
    17: lambda signal: 52.37 / 48 * signal**2.6,
    HLG: _hlg_light,
}


def _to_xyz(primaries: int) -> Float64[np.ndarray, "3 3"]:
    """The matrix from linear red, green and blue to CIE XYZ under the primaries' own white."""
    *corners, white = _CHROMATICITIES.get(primaries, _CHROMATICITIES[BT709_PRIMARIES])
    columns = np.array([(x, y, 1 - x - y) for x, y in corners]).T
    return columns * np.linalg.solve(columns, _white_point(white))


def _white_point(chromaticity: tuple[float, float]) -> Float64[np.ndarray, "3"]:
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


@lru_cache(maxsize=16)
def _luminance(primaries: int) -> Float32[np.ndarray, "3"]:
    return _to_xyz(primaries)[1].astype(np.float32)


@lru_cache(maxsize=16)
def _to_bt709(primaries: int) -> Float32[np.ndarray, "3 3"]:
    """The matrix that mixes a row of linear light into BT.709's, white staying white (Bradford)."""
    white = _CHROMATICITIES.get(primaries, _CHROMATICITIES[BT709_PRIMARIES])[3]
    cones = _BRADFORD @ np.stack([_white_point(_D65), _white_point(white)], axis=1)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones[:, 0] / cones[:, 1]) @ _BRADFORD
    return (np.linalg.inv(_to_xyz(BT709_PRIMARIES)) @ adapt @ _to_xyz(primaries)).T.astype(np.float32)
