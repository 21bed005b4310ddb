"""Settings as flags: one for each field of the configuration, laid over the configuration file."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import create_model

from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.evaluation.config import EvaluationConfig
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.cli.printing import console
from edit_your_motion.config import (
    AnyConfig,
    ApplyConfig,
    EditConfig,
    PeopleConfig,
    Section,
    TuneConfig,
    VideoConfig,
    load_config,
    parse_config,
)
from edit_your_motion.pretrain.config import PretrainConfig


class PrepareConfig(Section):
    """What finding the person in a video takes."""

    video: VideoConfig = VideoConfig()
    people: PeopleConfig = PeopleConfig()


PARTS = (TuneConfig, ApplyConfig, PrepareConfig)
"""Configurations of what is a part of an edit."""


def flags_of(kind: type[Section], *without: str) -> Any:
    """The type of a parameter that has a flag for every field of `kind`, except those named."""
    fields = {
        # What has to be given has no default to show.
        name: (
            Annotated[field.annotation, Parameter(show_default=False)] if name == "prompt" else field.annotation,
            field,
        )
        for name, field in kind.model_fields.items()
        if name not in without
    }
    flags = create_model(f"{kind.__name__}Flags", __base__=Section, **fields)  # type: ignore[call-overload]
    return Annotated[flags | None, Parameter(name="*")]


EditFlags = flags_of(EditConfig, "source", "reference")
TuneFlags = flags_of(TuneConfig, "source")
ApplyFlags = flags_of(ApplyConfig, "reference")
PrepareFlags = flags_of(PrepareConfig)
PretrainFlags = flags_of(PretrainConfig)
PairedFlags = flags_of(PairedConfig)
DatasetFlags = flags_of(DatasetConfig)
EvaluationFlags = flags_of(EvaluationConfig)
SweepFlags = flags_of(PairedConfig, "share")


def resolve(
    kind: type[AnyConfig], file: Path | None, flags: Section | None, *, quiet: bool = True, **given: str | None
) -> AnyConfig:
    """The configuration: defaults, under the file, under the flags.

    The file may be that of a whole edit where only a part of one is done; what has nothing to do with it is left out.

    Args:
        kind: of configuration.
        file: YAML.
        flags: as they were given.
        quiet: whether nothing is said of what was left out.
        given: further settings, None where they were not given.

    Raises:
        ConfigError: for an unknown key or a value of the wrong kind.
    """
    layers = []
    if file is not None:
        values = load_config(file)
        left_out = _foreign(kind, values)
        if left_out and not quiet:
            console(errors=True).print(f"{file}: left out {', '.join(left_out)}, which has no part in this command")
        layers.append({name: value for name, value in values.items() if name not in left_out})
    if flags is not None:
        layers.append(flags.model_dump(exclude_unset=True))
    layers.append({name: value for name, value in given.items() if value is not None})
    return parse_config(kind, *layers)


def _foreign(kind: type[Section], values: dict[str, Any]) -> list[str]:
    """The settings of a whole edit that a part of one does not have; they are checked all the same."""
    if kind not in PARTS:
        return []
    foreign = [name for name in values if name not in kind.model_fields and name in EditConfig.model_fields]
    parse_config(EditConfig, {name: values[name] for name in foreign})
    return foreign
