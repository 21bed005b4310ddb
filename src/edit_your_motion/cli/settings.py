"""Settings as flags: one for each field of the configuration, laid over the configuration file."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import create_model

from edit_your_motion.benchmark.dataset_config import DatasetConfig
from edit_your_motion.benchmark.evaluation_config import EvaluationConfig
from edit_your_motion.benchmark.paired_config import PairedConfig
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


def flags_of(kind: type[Section], *without: str) -> Any:
    """The type of a parameter that has a flag for every field of `kind`, except those named."""
    fields = {name: (field.annotation, field) for name, field in kind.model_fields.items() if name not in without}
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


def resolve(kind: type[AnyConfig], file: Path | None, flags: Section | None, **given: str | None) -> AnyConfig:
    """The configuration: defaults, under the file, under the flags.

    Raises:
        ConfigError: for an unknown key or a value of the wrong kind.
    """
    layers = [load_config(file)] if file is not None else []
    if flags is not None:
        layers.append(flags.model_dump(exclude_unset=True))
    layers.append({name: value for name, value in given.items() if value is not None})
    return parse_config(kind, *layers)
