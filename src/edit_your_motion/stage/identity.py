"""Who somebody is: build, skin, hair and clothes; and edition 1 of the choice of them."""

from dataclasses import dataclass, replace

import numpy as np

from edit_your_motion.people.colour_words import COLOURS
from edit_your_motion.stage.body import load_cast
from edit_your_motion.stage.colours import SKIN_TONES, Cloth, Colour
from edit_your_motion.stage.garments import Bottom, Footwear, Top

RESERVED = 5
"""Every so-manieth body of the cast is held out, and every so-manieth pair of colours of top and bottom."""

TUCKED = 1.04
"""Lower edge of a top that ends inside a skirt, metres on the template."""

_HAIR_COLOURS = ("black", "dark brown", "brown", "blond", "red")
_PATTERNS = ("striped", "pinstriped", "checked", "dotted")

_HAIR = {
    True: (("short", 6), ("crop", 4), ("bald", 2), ("curls", 2), ("cap", 2), ("beanie", 1)),
    False: (("long", 5), ("bob", 4), ("ponytail", 3), ("bun", 3), ("curls", 1), ("short", 1), ("cap", 1)),
}


@dataclass(frozen=True)
class Portrait:
    """A face in detail.

    Args:
        eyes: which of `EYE_COLOURS`.
        wrinkles: how many, in [0, 1].
        glasses: 0 none, 1 clear, 2 dark.
    """

    eyes: int
    wrinkles: float
    glasses: int


@dataclass(frozen=True)
class Identity:
    """One person, the same in every clip.

    Args:
        male: a man, else a woman.
        old: elderly.
        shape: coefficients along the cast's shape directions.
        skin: sRGB in [0, 1].
        hair: one of `hair.STYLES`.
        hair_colour: a key of `HAIR_COLOURS`.
        hat_cloth: used by hats only.
        beard: how much of one, in [0, 1].
        top: what covers the chest.
        bottom: what covers the hips and legs.
        footwear: what covers the feet.
        hat: one of `hair.HATS`, beside those that are styles of hair.
        portrait: the face in detail; None for a plain one.
    """

    male: bool
    old: bool
    shape: tuple[float, ...]
    skin: Colour
    hair: str
    hair_colour: str
    hat_cloth: Cloth
    beard: float
    top: Top
    bottom: Bottom
    footwear: Footwear
    hat: str = "none"
    portrait: Portrait | None = None

    @property
    def dressed(self) -> bool:
        """Top and bottom are one dress."""
        return self.bottom.name == "dress"


def is_reserved(first: str, second: str) -> bool:
    """Whether this pair of colours is worn by held-out people only."""
    names = list(COLOURS)
    return (3 * names.index(first) + names.index(second)) % RESERVED == 0


def sample_identity(rng: np.random.Generator, split: str) -> Identity:
    """Somebody whose body and colours belong to one split.

    Args:
        rng: where the choices come from.
        split: "train" or "held_out".
    """
    held_out = split == "held_out"
    build = sample_build(rng, held_out)
    male, old = build.male, build.old
    styles, odds = zip(*_HAIR[male], strict=True)
    hair_colour = "grey" if old and rng.random() < 0.8 else str(rng.choice(_HAIR_COLOURS))
    tone = rng.integers(len(SKIN_TONES))
    top, bottom = _sample_outfit(rng, male, held_out)
    return Identity(
        male=male,
        old=old,
        shape=build.shape,
        skin=SKIN_TONES[tone],
        hair=str(rng.choice(styles, p=np.array(odds) / sum(odds))),
        hair_colour="black" if tone >= 5 and not old else hair_colour,
        hat_cloth=Cloth(pick_colour(rng)),
        beard=float(rng.choice([0.0, 0.35, 0.9], p=[0.65, 0.15, 0.2])) if male else 0.0,
        top=top,
        bottom=bottom,
        footwear=Footwear(
            "shoes", Cloth(str(rng.choice(["white", "black", "brown", "red", "grey", "navy"])), accent="white")
        ),
    )


@dataclass(frozen=True)
class Build:
    """Somebody's body: sex, age, and coefficients along the cast's shape directions."""

    male: bool
    old: bool
    shape: tuple[float, ...]


def sample_build(rng: np.random.Generator, held_out: bool) -> Build:
    """A body of one split, between two people of one sex."""
    cast = load_cast()
    male = bool(rng.random() < 0.5)
    numbers = np.arange(len(cast.bodies))
    pool = numbers[(cast.male == male) & ((numbers % RESERVED == 0) == held_out)]
    first, second = rng.choice(pool, 2)
    # More of the first, so that extremes stay.
    share = rng.uniform(0, 0.4)
    shape = (1 - share) * cast.bodies[first] + share * cast.bodies[second]
    return Build(male, bool(cast.old[first]), tuple(float(value) for value in shape))


def pick_colour(rng: np.random.Generator) -> str:
    """One of `COLOURS`."""
    return str(rng.choice(list(COLOURS)))


def pick_two_colours(rng: np.random.Generator, held_out: bool) -> tuple[str, str]:
    """Different colours for two garments, out of the split's pairs."""
    while True:
        first, second = pick_colour(rng), pick_colour(rng)
        if first != second and is_reserved(first, second) == held_out:
            return first, second


def _sample_cloth(rng: np.random.Generator, colour: str, plain: float, patterns: tuple[str, ...] = _PATTERNS) -> Cloth:
    if rng.random() < plain:
        return Cloth(colour)
    pattern = str(rng.choice(patterns))
    light = sum(COLOURS[colour]) > 1.5
    accent = str(rng.choice(["navy", "red", "brown", "black"] if light else ["white", "beige", "yellow", "light blue"]))
    return Cloth(colour, pattern, accent)


def _sample_outfit(rng: np.random.Generator, male: bool, held_out: bool) -> tuple[Top, Bottom]:
    first, second = pick_two_colours(rng, held_out)
    if not male and rng.random() < 0.35:
        cloth = _sample_cloth(rng, first, plain=0.55)
        sleeves = str(rng.choice(["sleeveless", "short", "long"], p=[0.45, 0.35, 0.2]))
        hem = float(rng.uniform(0.30, 0.68))
        return Top("dress", cloth, sleeves, TUCKED), Bottom("dress", cloth, hem, float(rng.uniform(0.1, 0.35)))
    top = _sample_top(rng, first, second)
    # Pinstripes follow the trunk, not a leg.
    cloth = _sample_cloth(rng, second, 0.85, ("striped", "checked", "dotted"))
    if not male and rng.random() < 0.35:
        top = replace(top, hem=TUCKED)
        return top, Bottom("skirt", cloth, float(rng.uniform(0.30, 0.70)), float(rng.uniform(0.08, 0.35)))
    if rng.random() < 0.3:
        return top, Bottom("shorts", cloth, float(rng.uniform(0.55, 0.72)))
    return top, Bottom("trousers", cloth, float(rng.uniform(0.07, 0.11)))


def _sample_top(rng: np.random.Generator, first: str, second: str) -> Top:
    hem = float(rng.uniform(0.90, 0.99))
    if rng.random() < 0.2:
        inner = Cloth(str(rng.choice([name for name in ("white", "grey", "beige", "black") if name != first])))
        return Top("jacket", Cloth(first), "long", hem, open_front=True, inner=inner)
    sleeves = str(rng.choice(["sleeveless", "short", "long"], p=[0.15, 0.5, 0.35]))
    name = {"sleeveless": "tank top", "short": "T-shirt", "long": str(rng.choice(["shirt", "sweater"]))}[sleeves]
    return Top(name, _sample_cloth(rng, first, plain=0.55), sleeves, hem)
