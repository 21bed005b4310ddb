"""The words of captions: colours of cloth, skin and hair, sRGB in [0, 1], and how they are put together."""

from collections.abc import Sequence

COLOURS = {
    "red": (0.78, 0.13, 0.14), "orange": (0.92, 0.48, 0.12), "yellow": (0.95, 0.80, 0.20), "green": (0.16, 0.55, 0.25),
    "dark green": (0.10, 0.30, 0.20), "teal": (0.08, 0.52, 0.54), "light blue": (0.48, 0.72, 0.92),
    "blue": (0.14, 0.32, 0.76), "navy": (0.10, 0.14, 0.34), "purple": (0.44, 0.20, 0.60), "pink": (0.94, 0.56, 0.68),
    "brown": (0.42, 0.26, 0.15), "beige": (0.84, 0.75, 0.60), "white": (0.94, 0.94, 0.93), "grey": (0.52, 0.53, 0.55),
    "black": (0.10, 0.10, 0.11),
}  # fmt: skip

SKIN_COLOURS = {
    "pale": (0.93, 0.77, 0.67), "fair": (0.90, 0.71, 0.58), "light": (0.86, 0.66, 0.51), "tanned": (0.80, 0.60, 0.45),
    "olive": (0.68, 0.48, 0.34), "brown": (0.55, 0.37, 0.26), "dark brown": (0.44, 0.29, 0.20),
    "dark": (0.34, 0.22, 0.16),
}  # fmt: skip

HAIR_COLOURS = {
    "black": (0.09, 0.08, 0.08), "dark brown": (0.20, 0.13, 0.09), "brown": (0.36, 0.22, 0.13),
    "blond": (0.82, 0.66, 0.38), "red": (0.60, 0.25, 0.11), "grey": (0.62, 0.62, 0.63),
    "light brown": (0.50, 0.35, 0.21), "auburn": (0.42, 0.16, 0.08), "white": (0.88, 0.88, 0.87),
}  # fmt: skip


def with_article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def in_prose(parts: Sequence[str]) -> str:
    """The parts as a sentence lists them: "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
