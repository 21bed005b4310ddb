"""The base that ships with the package, and what bases recommend in a file beside their weights."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from edit_your_motion.config import EditConfig, merge, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.storage.parsing import read_yaml

SMALL = "small"
"""Name of the base that ships with the package."""

SMALL_FOLDER = Path(__file__).parent / "small"

FILE = "recommended.yaml"

SECTIONS = frozenset({"network", "tuning", "inversion", "sampling"})
"""What a base may recommend: nothing of files, people or the machine."""


@dataclass(frozen=True)
class Recommendation:
    """The settings that a base wants.

    Args:
        preset: the one that is taken where none is asked for; None: the base has no opinion.
        settings: nested settings, laid over any preset but the paper's letter.
        by_preset: further ones, laid over the preset of that name.
    """

    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    by_preset: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def over(self, preset: str) -> dict[str, Any]:
        """What is laid over a preset."""
        return merge(self.settings, self.by_preset.get(preset, {}))


def read_recommendation(base: str, presets: frozenset[str]) -> Recommendation:
    """What a base recommends: of a folder here, or of the small base; others recommend nothing.

    Args:
        base: folder, file or hub name.
        presets: the names of presets.

    Raises:
        CheckpointError: the file beside its weights holds something else than settings that a base may recommend.
    """
    file = Path(SMALL_FOLDER / "base" if base == SMALL else os.path.expanduser(base), FILE)
    if not os.path.isfile(file):  # which a name that no file can have is not, without a word
        return Recommendation()
    return _read(file, file.stat().st_mtime_ns, presets)


@lru_cache(maxsize=8)
def _read(file: Path, changed: int, presets: frozenset[str]) -> Recommendation:
    """The recommendation in a file of that time; who has many edits to make asks for the same one again and again."""
    try:
        content = read_yaml(file)
        if not isinstance(content, dict) or not content.keys() <= {"preset", "settings"} | presets:
            raise ValueError(f"expected 'preset', 'settings' and names of presets, got {content!r:.80}")
        layers = {name: _check(part) for name, part in content.items() if name != "preset"}
        preset = content.get("preset")
        if preset is not None and not (isinstance(preset, str) and preset in presets):
            raise ValueError(f"expected one of the presets {', '.join(sorted(presets))}, got {preset!r:.40}")
    except (ValueError, ConfigError) as error:
        raise CheckpointError(f"expected the recommended settings of a base in {file}: {error}") from error
    return Recommendation(preset, layers.pop("settings", {}), layers)


def _check(part: Any) -> Mapping[str, Any]:
    """The settings, if a base may recommend them."""
    if not isinstance(part, Mapping) or not part.keys() <= SECTIONS:
        raise ValueError(f"expected settings of {', '.join(sorted(SECTIONS))}, got {part!r:.80}")
    parse_config(EditConfig, part)
    return part
