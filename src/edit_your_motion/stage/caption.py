"""A scene in natural words."""

import numpy as np

from edit_your_motion.people.colour_words import SKIN_COLOURS, in_prose, with_article
from edit_your_motion.stage.garments import Bottom, Top
from edit_your_motion.stage.identity import Identity
from edit_your_motion.stage.scene import Scene

_HAIR_WORDS = {
    "short": "short {} hair", "crop": "cropped {} hair", "curls": "curly {} hair", "afro": "a {} afro",
    "bob": "chin-length {} hair", "long": "long {} hair", "waist": "very long {} hair", "bun": "{} hair in a bun",
    "ponytail": "{} hair in a ponytail", "pigtails": "{} hair in pigtails",
}  # fmt: skip

_KEPT, _MOSTLY_KEPT = 0.65, 0.92
"""Odds of details, and of garments and what somebody does, in captions that leave parts out."""

KNEE_LENGTH = (0.44, 0.58)
"""Heights of the hem, metres on the template, between which a skirt is neither long nor short."""


class _Memory:
    """Decides which parts of a caption stay; all of them without a generator."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng

    def keeps(self, odds: float = _KEPT) -> bool:
        return self.rng is None or bool(self.rng.random() < odds)


def describe_person(identity: Identity, rng: np.random.Generator | None = None) -> str:
    """Who it is: of edition 1 by sex, age and clothes ("a woman in a red dotted dress"), of edition 2 by all that is
    seen ("a woman with fair skin, long brown hair and glasses in a red dotted dress and white shoes").

    Args:
        identity: who.
        rng: leaves parts out, as people do who write prompts; None names them all.
    """
    memory = _Memory(rng)
    if identity.portrait is None:
        person = ("an old " if identity.old else "a ") + ("man" if identity.male else "woman")
        return f"{person} in {in_prose(_name_clothes(identity))}"
    age = "old" if identity.old else "middle-aged" if identity.portrait.wrinkles else ""
    noun = "man" if identity.male else "woman"
    person = with_article(f"{age} {noun}" if age and memory.keeps() else noun)
    if looks := _name_looks(identity, memory):
        person += f" with {in_prose(looks)}"
    if worn := _name_varied_clothes(identity, memory):
        person += f" in {in_prose(worn)}"
    return person


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """The scene's prompt: "a woman in a red dress is dancing in a park".

    Args:
        scene: what is seen.
        rng: leaves parts of what edition 2 names out; None names them all.
    """
    words = f"{describe_person(scene.identity, rng)} is {scene.performance.motion().action}"
    told = scene.identity.portrait is None or _Memory(rng).keeps(_MOSTLY_KEPT)
    return f"{words} {scene.place.words}" if told else words


def _name_clothes(identity: Identity) -> list[str]:
    bottom = f"{identity.bottom.cloth.words} {identity.bottom.name}"
    if identity.dressed:
        return [with_article(bottom)]
    top = f"{identity.top.cloth.words} {identity.top.name}"
    return [with_article(top), bottom if bottom.endswith("s") else with_article(bottom)]


def skin_words(skin: tuple[float, float, float]) -> str:
    """The word for a skin: that of the nearest of `SKIN_COLOURS`."""
    distances = np.square(np.array(list(SKIN_COLOURS.values())) - np.array(skin)).sum(axis=1)
    return list(SKIN_COLOURS)[int(distances.argmin())]


def _name_looks(identity: Identity, memory: _Memory) -> list[str]:
    """Skin, hair, beard and glasses."""
    assert identity.portrait is not None
    parts = []
    if memory.keeps():
        parts.append(f"{skin_words(identity.skin)} skin")
    if identity.hat != "headscarf" and memory.keeps():
        if identity.hair != "bald":
            parts.append(_HAIR_WORDS[identity.hair].format(identity.hair_colour))
        elif identity.hat == "none":
            parts.append("a bald head")
    if identity.beard and memory.keeps():
        parts.append("stubble" if identity.beard < 0.5 else f"a {identity.hair_colour} beard")
    if identity.portrait.glasses and memory.keeps():
        parts.append("sunglasses" if identity.portrait.glasses == 2 else "glasses")
    return parts


def _name_varied_clothes(identity: Identity, memory: _Memory) -> list[str]:
    parts = []
    if identity.dressed:
        if memory.keeps(_MOSTLY_KEPT):
            parts.append(
                with_article(_name_bottom(identity.bottom, memory, sleeves=_name_sleeves(identity.top, memory)))
            )
    else:
        if memory.keeps(_MOSTLY_KEPT):
            parts.append(_name_top(identity.top, memory))
        if memory.keeps(_MOSTLY_KEPT):
            bottom = _name_bottom(identity.bottom, memory)
            parts.append(bottom if bottom.endswith("s") else with_article(bottom))
    if memory.keeps():
        bare = not identity.footwear.height
        name = identity.footwear.name
        parts.append(name if bare else f"{identity.footwear.cloth.words} {name}")
    if identity.hat != "none" and memory.keeps():
        parts.append(with_article(f"{identity.hat_cloth.words} {identity.hat}"))
    return parts


def _name_top(top: Top, memory: _Memory) -> str:
    words = with_article(f"{_name_sleeves(top, memory)}{top.cloth.words} {top.name}")
    if top.inner is not None and memory.keeps():
        words += f" over {with_article(f'{top.inner.words} shirt')}"
    return words


def _name_sleeves(top: Top, memory: _Memory) -> str:
    """Where the garment's name does not say them."""
    said = {"tank top": "sleeveless", "T-shirt": "short"}.get(top.name) == top.sleeves or top.open_front
    if said or not memory.keeps():
        return ""
    return "sleeveless " if top.sleeves == "sleeveless" else f"{top.sleeves.removesuffix('-length')}-sleeved "


def _name_bottom(bottom: Bottom, memory: _Memory, sleeves: str = "") -> str:
    length = ""
    if bottom.flare is not None and memory.keeps():
        low, high = KNEE_LENGTH
        length = "long " if bottom.hem < low else "short " if bottom.hem > high else "knee-length "
    return f"{length}{sleeves}{bottom.cloth.words} {bottom.name}"
