"""What can be chosen from when an edit is asked for: a base, which says itself what suits it, or settings, by name."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from edit_your_motion.config import EditConfig, flatten, load_config, merge, nest, parse_config
from edit_your_motion.errors import ConfigError

OFTEN = {"tuning": {"checkpoint_every": 10}, "sampling": {"preview_every": 5}}
"""What is done every so many steps: a job that is paused or killed loses what came after its last checkpoint, and a
picture costs the decoding of one frame."""

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


@cache
def list_free() -> dict[str, Any]:
    """The settings that a request may change, by their full names, with what they are by themselves."""
    return shown_settings(merge(EditConfig().model_dump(mode="json"), OFTEN))


def shown_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration anybody may see, by full names: nothing that names a file of this machine."""
    return dict(flatten({name: part for name, part in config.items() if name in FREE}))


def spread_settings(settings: Mapping[str, Any], vary: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Settings for each combination of values, by what sets it apart.

    Args:
        settings: of all of them, nested.
        vary: values of settings by their full names, as "sampling.steps".

    Raises:
        ConfigError: one of them has no values.
    """
    if empty := [name for name, values in vary.items() if not values]:
        raise ConfigError(f"expected values of {empty[0]:.80}, got none")
    grid: dict[str, dict[str, Any]] = {}
    for values in product(*vary.values()):
        chosen = dict(zip(vary, values, strict=True))
        name = ", ".join(f"{setting} {value if isinstance(value, str) else json.dumps(value)}"
                         for setting, value in chosen.items())  # fmt: skip
        grid[name] = merge(settings, nest(chosen))
    return grid
