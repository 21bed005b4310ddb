"""Names that a file or a folder may have on any system."""

import re

LONGEST = 120
"""Characters of a name of ours: with what is put beside it, it still fits any file system."""
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])( *\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever follows the dot."""


def as_name(text: str) -> str:
    """The text with what some system forbids in a name left out; a name that all allow stays as it is."""
    name = re.sub(r"[^\w.-]+", "-", text).strip("-.")[:LONGEST].rstrip("-.")
    return f"_{name}" if RESERVED.fullmatch(name) else name


def is_reserved(name: str) -> bool:
    """Whether Windows takes the name for another one, or for a device."""
    return name.endswith((".", " ")) or RESERVED.fullmatch(name) is not None
