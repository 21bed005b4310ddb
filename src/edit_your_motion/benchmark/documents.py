"""JSON files of ours, read back."""

from pathlib import Path
from typing import Any

from edit_your_motion.errors import InputError
from edit_your_motion.people.formats.keypoints_file import read_json


def read_document(path: Path, what: str) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: of the file.
        what: it should be, for the error: "a report of 'eym evaluate'".

    Raises:
        InputError: it is absent, too large, no JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"expected {what} at {path}, got {type(content).__name__} in the place of an object")
    return content
