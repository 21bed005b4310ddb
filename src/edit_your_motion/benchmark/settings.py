"""Which preset and base edits were made with, as every table says it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.config import BenchmarkConfig
from edit_your_motion.benchmark.documents import read_document
from edit_your_motion.config import EditConfig, flatten
from edit_your_motion.errors import InputError
from edit_your_motion.jobs.run_record import RECORD
from edit_your_motion.presets import make_config

DECIDING = frozenset({"network", "tuning", "windows", "inversion", "sampling", "alignment"})
"""Sections of an edit's settings that tell one way to edit from another."""

UNKNOWN = "preset and base not recorded"

Settings = Mapping[str, Any]
"""``preset`` and ``base`` by name, and in ``changed`` what differs from the preset, by full name."""


def describe_settings(config: BenchmarkConfig) -> dict[str, Any]:
    """What the edits of a benchmark are made with."""
    base = config.edit.model.base
    usual = _deciding(make_config(EditConfig, {"model": {"base": base}}, preset=config.preset).identity())
    changed = {name: value for name, value in _deciding(config.edit.identity()).items() if usual.get(name) != value}
    changed |= {name: value for name in ("share", "rate") if (value := getattr(config, name)) != 1}
    return {"preset": config.preset, "base": _name(base), "changed": changed}


def name_settings(settings: Settings | None) -> str:
    """The settings in a line: "preset `best`, base `small`, sampling.steps 50"."""
    if settings is None:
        return UNKNOWN
    changed = [f"{name} {value}" for name, value in settings["changed"].items()]
    return ", ".join((f"preset `{settings['preset']}`", f"base `{settings['base']}`", *changed))


def list_settings(of_methods: Mapping[str, Iterable[Settings | None]]) -> str:
    """The settings of all methods in a line, each with its methods where there are several; methods without any edit
    nothing themselves.
    """
    methods: dict[str, list[str]] = {}
    for method, found in of_methods.items():
        for line in dict.fromkeys(name_settings(each) for each in found if each is not None):
            methods.setdefault(line, []).append(method)
    lines = [line if len(methods) == 1 else f"{line} ({', '.join(names)})" for line, names in methods.items()]
    told = "; ".join(lines) or UNKNOWN
    return f"{told[0].upper()}{told[1:]}."


def find_settings(clip: Path) -> Settings | None:
    """The settings that a clip was made with, as the record beside it says; None where there is none that does.

    Args:
        clip: an edit's video in the folder of a benchmark's cell, of a row of a batch, or of an edit.
    """
    try:
        if (clip.parent / "scores.json").is_file():
            settings = read_document(clip.parent / "scores.json", "the scores of a cell").get("settings")
            return settings if settings is None else {**settings, "changed": dict(settings["changed"])}
        if not (clip.parent / RECORD).is_file():
            return None
        record = read_document(clip.parent / RECORD, "the record of an edit")
        values, origins = _deciding(record["config"]), record["origins"]
        own = {name: value for name, value in values.items()
               if not origins.get(name, "preset").startswith(("preset", "recommended"))}  # fmt: skip
        base = record["config"].get("model", {}).get("base")
        return {"preset": record["preset"], "base": "the person's" if base is None else _name(base), "changed": own}
    except (InputError, KeyError, TypeError, AttributeError):
        return None  # of another program, or of another version


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flatten({name: part for name, part in settings.items() if name in DECIDING}))


def _name(base: str) -> str:
    """A base as tables name it: a folder or file by its own name."""
    return Path(base).name if Path(base).exists() else base
