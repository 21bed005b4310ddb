"""Variants under test: settings that a YAML file lays over the benchmark's, each under a name of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.methods.catalogue import METHODS, Method
from edit_your_motion.benchmark.methods.external import check_name
from edit_your_motion.config import EditConfig, load_config, parse_config
from edit_your_motion.errors import ConfigError


def load_variants(path: Path) -> tuple[Method, ...]:
    """The variants in a file, in its order: for each name a ``description`` and the ``edit`` settings that it changes.

    Raises:
        ConfigError: the file cannot be read or has a name that is taken or unknown settings.
        InputError: a name that cannot name a folder.
    """
    return tuple(_parse(path, name, content) for name, content in load_config(path).items())


def _parse(path: Path, name: str, content: Any) -> Method:
    if name in METHODS:
        raise ConfigError(f"expected another name for the variant '{name}' in {path}: there is a method of that name")
    if not isinstance(content, Mapping) or not content.keys() <= {"description", "edit"}:
        raise ConfigError(f"expected the variant '{name}' in {path} as 'description' and 'edit', got {content!r:.80}")
    changes = content.get("edit") or {}
    if not isinstance(changes, Mapping):
        raise ConfigError(f"expected the settings of the variant '{name}' in {path} by name, got {changes!r:.80}")
    parse_config(EditConfig, changes)  # says now what is wrong with them, not on the first pair
    return Method(check_name(name), str(content.get("description", f"settings of {path.name}")), changes)
