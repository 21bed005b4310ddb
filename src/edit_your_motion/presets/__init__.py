"""Presets: named settings that lie under the user's own, as files beside this one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, get_args

from edit_your_motion.config import AnyConfig, BaseConfig, flatten, load_config, merge, parse_config
from edit_your_motion.errors import ConfigError
from edit_your_motion.models.shipped import read_recommendation

PresetName = Literal["paper", "best", "fast"]
PAPER: PresetName = "paper"
PRESETS: frozenset[str] = frozenset(get_args(PresetName))


@dataclass(frozen=True)
class Choice(Generic[AnyConfig]):
    """A configuration, and where it comes from.

    Args:
        config: the configuration.
        preset: the name of the preset under it.
        origins: where each setting that was laid over the defaults comes from, by its full name.
    """

    config: AnyConfig
    preset: str
    origins: Mapping[str, str]


def choose_settings(
    kind: type[AnyConfig], *layers: tuple[str, Mapping[str, Any]], preset: str | None = None, base: str | None = None
) -> Choice[AnyConfig]:
    """The configuration of defaults, under the preset, under what the base recommends, under `layers`.

    A base's recommendation lies over the preset, for learning rates and the strength of guidance are properties of a
    base; under ``paper`` it plays no part, so that the letter stays the letter.

    Args:
        kind: of configuration; what of preset and recommendation it does not have is left out. A benchmark's has an
            edit in its section ``edit``, which they lie under, and ``preset`` as a setting of its own.
        layers: nested settings, each with the name of where it comes from; later ones win.
        preset: its name; by default what the base recommends, else ``paper``; of a benchmark its own setting.
        base: whose recommendation counts; by default the one that the layers name.

    Raises:
        ConfigError: for an unknown preset, an unknown key or a value of the wrong kind.
        CheckpointError: what the base recommends cannot be read.
    """
    given = merge(*(values for _, values in layers))
    benchmark = "preset" in kind.model_fields
    edit = given.get("edit") if benchmark else given
    model = edit.get("model") if isinstance(edit, Mapping) else None
    named = model.get("base") if isinstance(model, Mapping) else None
    base = base or (named if isinstance(named, str) else BaseConfig().base)
    recommendation = read_recommendation(base, PRESETS)
    if benchmark:
        preset = str(given.get("preset", preset or kind.model_fields["preset"].default))
    preset = preset or recommendation.preset or PAPER
    below = [(f"preset {preset}", load_preset(preset))]
    if preset != PAPER:
        below.append((f"recommended by the base {base}", recommendation.over(preset)))
    below = [(origin, {"edit": values, "preset": preset} if benchmark else values) for origin, values in below]
    known = [(origin, {name: part for name, part in values.items() if name in kind.model_fields})
             for origin, values in below]  # fmt: skip
    stack = (*known, *layers)
    origins = {name: origin for origin, values in stack for name, _ in flatten(values)}
    return Choice(parse_config(kind, *(values for _, values in stack)), preset, origins)


def make_config(
    kind: type[AnyConfig], settings: Mapping[str, Any] | None = None, *, preset: str | None = None
) -> AnyConfig:
    """The configuration of a preset, what the base recommends over it, and `settings` over both.

    Example: ``make_config(EditConfig, {"model": {"base": "small"}, "prompt": "a man is dancing"}, preset="best")``.

    Args:
        kind: `EditConfig`, `TuneConfig`, `ApplyConfig`, or the configuration of a benchmark.
        settings: nested settings by name.
        preset: its name; by default what the base recommends, else ``paper``.

    Raises:
        ConfigError: for an unknown preset, an unknown key or a value of the wrong kind.
    """
    return choose_settings(kind, ("given", settings or {}), preset=preset).config


def load_preset(name: str) -> dict[str, Any]:
    """The nested settings of a preset.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"expected a preset of {', '.join(sorted(PRESETS))}, got '{name}'")
    return load_config(Path(__file__).with_name(f"{name}.yaml"))
