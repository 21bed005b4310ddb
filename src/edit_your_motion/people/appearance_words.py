"""What somebody looks like, in words: the colours of hair, skin and clothes, measured at the skeleton's places."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from edit_your_motion.metrics.colour_difference import ciede2000, srgb_to_lab
from edit_your_motion.people.body_parts import measure_colours
from edit_your_motion.people.colour_words import COLOURS, HAIR_COLOURS, SKIN_COLOURS, in_prose, with_article
from edit_your_motion.people.keypoints import Keypoints

_TABLES: Mapping[str, Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {"skin": SKIN_COLOURS, "hair": HAIR_COLOURS, "top": COLOURS, "bottom": COLOURS, "shoes": COLOURS}
)
"""What is looked at, and the colours that it can have."""

LIT = 0.53
"""Share of the light on a fully lit surface that usual surfaces of a picture reflect. With it rendered people are named
best: of the 120 it was chosen on 86 % by hair, 84 by trousers and skirts, 88 by shoes, 58 by tops (patterned ones),
and 69 within one tone of skin."""

_LIGHTNESS = 0.6
"""Weight of lightness beside hue and chroma: shade changes it most."""

_MENTIONED: Mapping[str, str] = MappingProxyType(
    {
        "skin": r"skin|skinned|complexion",
        "hair": r"hair|haired|blond|blonde|brunette|redhead|bald|afro|hat|cap|beanie|headscarf|hood|helmet|wig",
        "top": r"shirt|top|sweater|jacket|coat|hoodie|blouse|vest|dress|suit|robe|kimono|jersey|uniform|pullover",
        "bottom": r"trousers|pants|jeans|shorts|skirt|leggings|dress|suit|robe|kimono|uniform",
        "shoes": r"shoes?|sneakers?|boots?|sandals?|barefoot|heels|slippers|trainers",
    }
)
"""Words by which a prompt has said something of it already."""

_OF_BODY = ("skin", "hair")

BARE = 8.0
"""CIEDE2000 from the face below which shins and feet count as bare."""


def name_looks(
    frames: UInt8[np.ndarray, "f h w 3"], keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"]
) -> dict[str, str]:
    """What is seen of somebody, as captions say it: {"hair": "brown hair", "bottom": "navy shorts"}.

    Of skin, hair, top, bottom and shoes those that enough pixels show. Legs are bare where they have the face's colour,
    and then the trousers are shorts; bare feet wear nothing.

    Args:
        frames: sRGB.
        keypoints: of the person.
        masks: where the person is.
    """
    seen = measure_colours(frames, keypoints, masks)
    bare = {name for name in ("shins", "shoes") if name in seen and "skin" in seen and _alike(seen[name], seen["skin"])}
    nouns = {"skin": "skin", "hair": "hair", "top": "shirt", "shoes": "shoes"}
    nouns["bottom"] = "shorts" if "shins" in bare else "trousers"
    shown = [name for name in _TABLES if name in seen and name not in bare]
    return {name: f"{_nearest(seen[name], _TABLES[name])} {nouns[name]}" for name in shown}


def _alike(first: Float64[np.ndarray, "3"], second: Float64[np.ndarray, "3"]) -> bool:
    return float(ciede2000(srgb_to_lab(first[None]), srgb_to_lab(second[None]))[0]) < BARE


def _nearest(colour: Float64[np.ndarray, "3"], table: Mapping[str, tuple[float, float, float]]) -> str:
    """The colour of the table that a colour of the picture would have in full light."""
    lit = np.clip((colour / 255) ** 2.2 / LIT, 0, 1) ** (1 / 2.2)
    away = (srgb_to_lab(255 * np.array(list(table.values()))) - srgb_to_lab(255 * lit)) * (_LIGHTNESS, 1, 1)
    return list(table)[int(np.square(away).sum(axis=1).argmin())]


def complete_prompt(prompt: str, looks: Mapping[str, str]) -> str:
    """The prompt with what it does not say of hair, skin and clothes.

    "a man in a red shirt is dancing" becomes "a man with fair skin and brown hair in a red shirt, navy trousers
    and white shoes is dancing".

    Args:
        prompt: as it was given.
        looks: of `name_looks`.
    """
    missing = [name for name in looks if not re.search(rf"\b({_MENTIONED[name]})\b", prompt, re.IGNORECASE)]
    of_body = [looks[name] for name in missing if name in _OF_BODY]
    of_clothes = [
        with_article(looks[name]) if name == "top" else looks[name] for name in missing if name not in ("skin", "hair")
    ]
    who, verb, does = _split(prompt)
    person, worn, clothes = who.partition(" in ")
    if of_body:
        person += (" and " if " with " in person else " with ") + in_prose(of_body)
    if of_clothes:
        clothes = in_prose([clothes, *of_clothes]) if worn else in_prose(of_clothes)
        worn = " in "
    return f"{person}{worn}{clothes}{verb}{does}"


def _split(prompt: str) -> tuple[str, str, str]:
    """Who, and does what: before and from the first verb; all of it is "who" where there is none that is known."""
    found = re.search(r" (?:is|are|was|does|do) ", prompt)
    return (prompt[: found.start()], found.group(), prompt[found.end() :]) if found else (prompt, "", "")
