"""Edition 2 of the choice of people: all that is seen of people in real clips and the generator can make."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edit_your_motion.people.colour_words import COLOURS
from edit_your_motion.stage.colours import EYE_COLOURS, SKIN_TONES, Cloth, Colour
from edit_your_motion.stage.garments import SLEEVES, Bottom, Footwear, Top
from edit_your_motion.stage.identity import TUCKED, Identity, Portrait, pick_colour, pick_two_colours, sample_build

_HAIR = {
    True: {"short": 6, "crop": 4, "bald": 2, "curls": 2, "afro": 1, "bob": 1.5, "long": 1, "bun": 0.5, "ponytail": 0.5},
    False: {"long": 5, "waist": 2.5, "bob": 4, "ponytail": 3, "bun": 2.5, "pigtails": 1, "curls": 1, "afro": 1,
            "short": 1.5, "crop": 0.4},
}  # fmt: skip

_UNDER_HATS = ("short", "crop", "bald", "bob", "long", "waist")
"""Hair that does not come through a hat."""

_HATS = {True: ("cap", "beanie", "straw hat"), False: ("cap", "beanie", "straw hat", "headscarf")}

_HAIR_COLOURS = {"black": 4, "dark brown": 4, "brown": 4, "light brown": 2, "blond": 3, "auburn": 1.5, "red": 1.5}

_SLEEVES = {"sleeveless": 0.14, "short": 0.38, "elbow-length": 0.09, "three-quarter": 0.09, "long": 0.30}

_FOLDS = 0.16


def sample_varied_identity(rng: np.random.Generator, split: str) -> Identity:
    """Somebody of edition 2 whose body and colours belong to one split.

    Args:
        rng: where the choices come from.
        split: "train" or "held_out".
    """
    held_out = split == "held_out"
    build = sample_build(rng, held_out)
    male = build.male
    middle_aged = not build.old and rng.random() < 0.25
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    hair = _draw(rng, _HAIR[male])
    if build.old and male and rng.random() < 0.25:
        hair = "bald"
    wears_hat = hair in _UNDER_HATS and rng.random() < 0.18
    top, bottom = _sample_outfit(rng, male, held_out)
    return Identity(
        male=male,
        old=build.old,
        shape=build.shape,
        skin=_between(rng, tone),
        hair=hair,
        hair_colour=_hair_colour(rng, build.old, middle_aged, dark=tone > 4.5),
        hat_cloth=_dyed(rng, Cloth("beige" if rng.random() < 0.2 else pick_colour(rng))),
        beard=float(rng.choice([0.0, 0.4, 0.95], p=[0.6, 0.18, 0.22])) if male else 0.0,
        top=top,
        bottom=bottom,
        footwear=_sample_footwear(rng, bottom),
        hat=str(rng.choice(_HATS[male])) if wears_hat else "none",
        portrait=Portrait(
            eyes=int(rng.integers(2 if tone > 3.5 else len(EYE_COLOURS))),
            wrinkles=1.0 if build.old else 0.5 if middle_aged else 0.0,
            glasses=int(rng.choice([0, 1, 2], p=[0.78, 0.15, 0.07])),
        ),
    )


def _draw(rng: np.random.Generator, odds: Mapping[str, float | int]) -> str:
    names = list(odds)
    weights = np.array([odds[name] for name in names], dtype=float)
    return names[rng.choice(len(names), p=weights / weights.sum())]


def _between(rng: np.random.Generator, tone: float) -> Colour:
    """A skin between two of the tones, a little off."""
    first = min(int(tone), len(SKIN_TONES) - 2)
    share = tone - first
    mixed = (1 - share) * np.array(SKIN_TONES[first]) + share * np.array(SKIN_TONES[first + 1])
    r, g, b = np.clip(mixed + rng.normal(0, 0.02) + rng.normal(0, 0.008, 3), 0.05, 1).tolist()
    return (r, g, b)


def _hair_colour(rng: np.random.Generator, old: bool, middle_aged: bool, dark: bool) -> str:
    if (old and rng.random() < 0.85) or (middle_aged and rng.random() < 0.4):
        return "white" if old and rng.random() < 0.4 else "grey"
    return "black" if dark and rng.random() < 0.85 else _draw(rng, _HAIR_COLOURS)


def _dyed(rng: np.random.Generator, cloth: Cloth) -> Cloth:
    """The cloth in a shade of its own, with folds."""
    r, g, b = (rng.uniform(-0.05, 0.05) + rng.uniform(-0.03, 0.03, 3)).tolist()
    return replace(cloth, shade=(r, g, b), folds=float(rng.uniform(0.5, 1.5) * _FOLDS))


def _sample_cloth(rng: np.random.Generator, colour: str, plain: float, patterns: tuple[str, ...]) -> Cloth:
    if rng.random() < plain:
        return _dyed(rng, Cloth(colour))
    light = sum(COLOURS[colour]) > 1.5
    accents = (
        ("navy", "red", "brown", "black", "green", "blue") if light else ("white", "beige", "yellow", "light blue")
    )
    return _dyed(rng, Cloth(colour, str(rng.choice(patterns)), str(rng.choice(accents))))


def _sample_outfit(rng: np.random.Generator, male: bool, held_out: bool) -> tuple[Top, Bottom]:
    first, second = pick_two_colours(rng, held_out)
    if not male and rng.random() < 0.3:
        cloth = _sample_cloth(rng, first, 0.5, ("striped", "checked", "dotted", "patterned"))
        hem, flare = float(rng.uniform(0.12, 0.68)), float(rng.uniform(0.08, 0.35))
        return Top("dress", cloth, _draw(rng, _SLEEVES), TUCKED), Bottom("dress", cloth, hem, flare)
    top = _sample_top(rng, first, second)
    cloth = _sample_cloth(rng, second, 0.8, ("striped", "checked", "dotted", "patterned"))
    if not male and rng.random() < 0.35:
        hem, flare = float(rng.uniform(0.12, 0.70)), float(rng.uniform(0.06, 0.35))
        return replace(top, hem=TUCKED), Bottom("skirt", cloth, hem, flare)
    kind = rng.random()
    if kind < 0.25:
        return top, Bottom("shorts", cloth, float(rng.uniform(0.52, 0.74)))
    if kind < 0.37:
        return top, Bottom("cropped trousers", cloth, float(rng.uniform(0.18, 0.40)))
    return top, Bottom("trousers", cloth, float(rng.uniform(0.07, 0.11)))


def _sample_top(rng: np.random.Generator, first: str, second: str) -> Top:
    hem = float(rng.uniform(0.86, 1.0))
    if rng.random() < 0.2:
        inner = _dyed(rng, Cloth(str(rng.choice([name for name in COLOURS if name not in (first, second)]))))
        name = str(rng.choice(["jacket", "cardigan"]))
        return Top(name, _dyed(rng, Cloth(first)), "long", hem, open_front=True, inner=inner)
    sleeves = _draw(rng, _SLEEVES)
    names = {"sleeveless": ("tank top",), "long": ("shirt", "sweater", "hoodie")}.get(sleeves, ("T-shirt", "shirt"))
    patterns = ("striped", "pinstriped", "checked", "dotted", "patterned")
    return Top(str(rng.choice(names)), _sample_cloth(rng, first, 0.5, patterns), sleeves, hem)


def _sample_footwear(rng: np.random.Generator, bottom: Bottom) -> Footwear:
    kind = rng.random()
    if kind < 0.06:
        return Footwear("bare feet", Cloth("white"), 0.0)
    colours = {"white": 5, "black": 5, "brown": 3, "red": 2, "grey": 2, "navy": 2, "beige": 1, "blue": 1, "yellow": 1,
               "green": 1, "pink": 1}  # fmt: skip
    cloth = _dyed(rng, Cloth(_draw(rng, colours), accent="white" if rng.random() < 0.75 else "black"))
    # Under long trousers nobody sees whether boots go on.
    if kind < 0.25 and bottom.hem > 0.35:
        return Footwear("boots", cloth, float(rng.uniform(0.12, 0.30)))
    return Footwear("shoes", cloth)


assert set(_SLEEVES) == set(SLEEVES)
