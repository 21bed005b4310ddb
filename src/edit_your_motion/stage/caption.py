"""A scene in natural words."""

from edit_your_motion.stage.identity import Identity
from edit_your_motion.stage.scene import Scene


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def describe_person(identity: Identity) -> str:
    """Who it is, by sex, age and clothes: "a woman in a red dotted dress"."""
    person = ("an old " if identity.old else "a ") + ("man" if identity.male else "woman")
    bottom = f"{identity.bottom.cloth.words} {identity.bottom.name}"
    if identity.dressed:
        return f"{person} in {_article(bottom)}"
    top = f"{identity.top.cloth.words} {identity.top.name}"
    plural = identity.bottom.name in ("trousers", "shorts")
    return f"{person} in {_article(top)} and {bottom if plural else _article(bottom)}"


def caption(scene: Scene) -> str:
    """The scene's prompt: "a woman in a red dress is dancing in a park"."""
    return f"{describe_person(scene.identity)} is {scene.performance.motion().action} {scene.place.words}"
