"""Messages in the words of the page: a setting that the jobs name by its flag is named by its label, or its owner."""

from collections.abc import Mapping
from typing import Any

from edit_your_motion.errors import FLAG, rename_settings
from edit_your_motion.web.offers import FREE

_OF_CLIPS = {"start": "from second", "frames": "frames", "fps": "at frames/s"}
FIELDS = {
    "alignment.down": "Down",
    "alignment.method": "Method",
    "alignment.place": "Place",
    "alignment.right": "To the right",
    "alignment.size": "Size",
    "base": "Base and settings",
    "controlnet": "Base and settings",
    "force": "Begin all the same",
    "fps": "at frames/s",
    "frames": "frames",
    "people.keypoints": "See and correct",
    "people.masks": "See and correct",
    "people.person": "person from left",
    "people.reference-keypoints": "See and correct",
    "people.reference-person": "person from left",
    "preset": "Preset",
    "prompt": "Prompt",
    **{f"{clip}.{name}": label for clip in ("source", "reference", "video") for name, label in _OF_CLIPS.items()},
}
"""The labels of what the page has a field or a button of its own for."""

PHRASES = {
    **{f"{clip}.duration": "seconds on the timeline" for clip in ("source", "reference", "video")},
    **{f"{clip}.end": "the end on the timeline" for clip in ("source", "reference", "video")},
    "other-base": "a new job",
    "output": "job",
    "restart": "a new job",
}
"""What stands on the page for what it has no field for."""

TOLD = frozenset({"error", "warnings", "concerns", "log"})
"""Under these names answers have messages."""


def say(message: str) -> str:
    """A message without flags, which nobody who reads it could give."""
    return rename_settings(message, _name)


def say_all(content: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with all of its messages in the page's words, wherever in it they are."""
    return {name: _say_within(part) if name in TOLD else _look_within(part) for name, part in content.items()}


def settings_in(message: str | None) -> list[str]:
    """The settings that a message names, as the command line calls them."""
    return sorted(set(FLAG.findall(message or "")))


def _name(flag: str) -> str:
    if flag in FIELDS:
        return f"'{FIELDS[flag]}'"
    if flag in PHRASES:
        return PHRASES[flag]
    setting = flag.replace("-", "_")
    owner = "the setting" if flag.partition(".")[0] in FREE else "the server's"
    return f"{owner} {setting}"


def _say_within(part: Any) -> Any:
    if isinstance(part, str):
        return say(part)
    return [_say_within(each) for each in part] if isinstance(part, list | tuple) else part


def _look_within(part: Any) -> Any:
    if isinstance(part, Mapping):
        return say_all(part)
    if isinstance(part, list | tuple) and part and isinstance(part[0], Mapping):  # of numbers there may be many
        return [_look_within(each) for each in part]
    return part
