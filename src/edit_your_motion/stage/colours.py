"""Colours with names, and the patterns and materials made of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from edit_your_motion.people.colour_words import COLOURS, SKIN_COLOURS

SKIN_TONES = tuple(SKIN_COLOURS.values())
"""From the palest; sRGB in [0, 1]."""

EYE_COLOURS = ((0.15, 0.10, 0.07), (0.30, 0.19, 0.10), (0.25, 0.42, 0.62), (0.30, 0.45, 0.30), (0.42, 0.46, 0.50))
"""Brown ones first; sRGB in [0, 1]."""

(PLAIN, BANDS, PINSTRIPES, CHECKS, DOTS, FACE, TWO_TONE, WINDOWS, BRICKS, PLANKS, TILES, PORTRAIT,
 BLOTCHES) = range(13)  # fmt: skip
"""What a material paints: the codes that the rasteriser knows."""

PATTERNS = {"plain": PLAIN, "striped": BANDS, "pinstriped": PINSTRIPES, "checked": CHECKS, "dotted": DOTS,
            "patterned": BLOTCHES}  # fmt: skip
"""Patterns of cloth, by the words that captions use."""

MATERIAL = 16
"""Numbers in a row of the rasteriser's table of materials."""

Colour = tuple[float, float, float]
"""sRGB in [0, 1]."""


@dataclass(frozen=True)
class Cloth:
    """What a garment is made of.

    Args:
        colour: a key of `COLOURS`.
        pattern: a key of `PATTERNS`.
        accent: the pattern's second colour, a key of `COLOURS`.
        shade: what this cloth's colour differs by from its name's.
        folds: how much light and shade they make, in [0, 1].
    """

    colour: str
    pattern: str = "plain"
    accent: str = "white"
    shade: Colour = (0.0, 0.0, 0.0)
    folds: float = 0.0

    @property
    def words(self) -> str:
        """As a caption says it: "red", or "red striped"."""
        return self.colour if self.pattern == "plain" else f"{self.colour} {self.pattern}"

    @property
    def dye(self) -> Colour:
        """Its colour, sRGB in [0, 1]."""
        r, g, b = (min(1.0, max(0.0, value + by)) for value, by in zip(COLOURS[self.colour], self.shade, strict=True))
        return (r, g, b)

    def material(self) -> Float32[np.ndarray, "16"]:
        """Its row for the rasteriser."""
        return material(
            PATTERNS[self.pattern],
            self.dye,
            COLOURS[self.accent],
            size=0.13 if self.pattern in ("checked", "dotted") else 0.11,
            grain=(self.folds, 0.09, 2.0),
        )


def material(
    kind: int,
    first: Colour,
    second: Colour = (0.0, 0.0, 0.0),
    third: Colour = (0.0, 0.0, 0.0),
    size: float = 1.0,
    gloss: float = 0.0,
    grain: tuple[float, float, float] = (0.0, 1.0, 1.0),
    glasses: float = 0.0,
) -> Float32[np.ndarray, "16"]:
    """A row of the rasteriser's table of materials.

    Args:
        kind: a code from above.
        first: colour, as the others; sRGB in [0, 1].
        second: of patterns; of brows and beard.
        third: of few patterns; of lips.
        size: of the pattern, metres; of a portrait, which of `EYE_COLOURS`.
        gloss: in [0, 1]; of a face, how much of a beard.
        grain: cloudy light and shade over it: how much, in [0, 1]; size of the largest clouds, metres; how many times
            as high as wide they are. Of a portrait the first says how many wrinkles there are.
        glasses: of a portrait: 0 none, 1 clear, 2 dark.
    """
    return np.array([kind, *first, *second, *third, size, gloss, *grain, glasses], dtype=np.float32)
