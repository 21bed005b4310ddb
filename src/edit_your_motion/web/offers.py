"""What can be chosen from when an edit is asked for: a base, which says itself what suits it, or settings, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edit_your_motion.config import EditConfig, load_config, parse_config
from edit_your_motion.errors import ConfigError

OFTEN = {"tuning": {"checkpoint_every": 10}}
"""A job that is paused or killed loses what came after its last checkpoint."""

OFFERS: dict[str, dict[str, Any]] = {
    "small base": {"model": {"base": "small"}},
    "Stable Diffusion 1.5, as in the paper": {},
}

FREE = frozenset({"network", "tuning", "windows", "inversion", "sampling", "alignment"})
"""Settings that a request may change: those that name no file, and do not decide what the machine is used for."""


def gather_offers(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """What ships, after what YAML files of settings add under their own names.

    Raises:
        ConfigError: a file has no settings of an edit.
    """
    added = {path.stem: load_config(path) for path in files}
    for settings in added.values():
        parse_config(EditConfig, settings)
    return {**added, **OFFERS}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Passes settings that a request may bring.

    Raises:
        ConfigError: one of them is the machine's owner's.
    """
    if others := sorted(set(settings) - FREE):
        raise ConfigError(f"expected settings of {', '.join(sorted(FREE))}, got {', '.join(map(repr, others))[:200]}")
