"""How different two colours look: CIE L*a*b* and CIEDE2000."""

import numpy as np
from jaxtyping import Float, Float64

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to CIE XYZ under D65 (IEC 61966-2-1)."""

_KNEE = 6 / 29
"""Where the cube root of CIE 1976 goes over into a straight line."""


def srgb_to_lab(colours: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
    """L*a*b* (CIE 1976, D65) of sRGB colours.

    Args:
        colours: sRGB in [0, 255].
    """
    encoded = np.asarray(colours, np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = linear @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(relative > _KNEE**3, np.cbrt(relative), relative / (3 * _KNEE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(
    first: Float64[np.ndarray, "*shape 3"], second: Float64[np.ndarray, "*shape 3"]
) -> Float64[np.ndarray, "*shape"]:
    """The CIEDE2000 difference, all three weights 1: about 1 is just seen side by side, 10 at a glance.

    The formula as Sharma, Wu and Dalal write it, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research and Application 30 (2005).

    Args:
        first: L*a*b*.
        second: as many.
    """
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    grey = 1.5 - 0.5 * _of_blues((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = grey * a1, grey * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    neutral = c1 * c2 == 0

    turn = np.where(neutral, 0, (h2 - h1 + 180) % 360 - 180)
    turn = np.where((turn == -180) & (h2 > h1), 180, turn)
    lightness, chroma, hue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))

    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    apart = np.abs(h1 - h2) > 180
    mean_h = np.where(neutral, h1 + h2, ((h1 + h2) / 2 + np.where(apart, 180, 0)) % 360)
    waves = ((0.17, 1, 30, -1), (0.24, 2, 0, 1), (0.32, 3, -6, 1), (0.20, 4, 63, -1))
    weight = 1 + sum(sign * size * np.cos(np.radians(times * mean_h - shift)) for size, times, shift, sign in waves)

    of_lightness = lightness / (1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2))
    of_chroma = chroma / (1 + 0.045 * mean_c)
    of_hue = hue / (1 + 0.015 * mean_c * weight)
    twist = -2 * _of_blues(mean_c) * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    return np.sqrt(of_lightness**2 + of_chroma**2 + of_hue**2 + twist * of_chroma * of_hue)


def _of_blues(chroma: np.ndarray) -> np.ndarray:
    """The formula's sqrt(C^7 / (C^7 + 25^7))."""
    return np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
