"""Settings as flags: one for each field of the configuration, laid over the configuration file."""

from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Group, Parameter
from pydantic import create_model

from edit_your_motion.benchmark.config import BenchmarkConfig
from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.evaluation.config import EvaluationConfig
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.cli.printing import console
from edit_your_motion.config import (
    AnyConfig,
    ApplyConfig,
    EditConfig,
    PrepareConfig,
    Section,
    TuneConfig,
    load_config,
    parse_config,
)
from edit_your_motion.presets import Choice, PresetName, choose_settings
from edit_your_motion.pretrain.config import PretrainConfig

if TYPE_CHECKING:
    from edit_your_motion.runtime.progress import Progress

SHORT_FORMS = {
    "--base": "--model.base",
    "--controlnet": "--model.controlnet",
    "--frames": "--video.frames",
    "--size": "--video.size",
    "--stride": "--video.stride",
    "--fps": "--video.fps",
    "--start": "--source.start",
    "--sound": "--video.sound",
    "--person": "--people.person",
    "--align": "--alignment.method",
    "--device": "--runtime.device",
    "--precision": "--runtime.precision",
    "--memory": "--runtime.memory",
    "--seed": "--runtime.seed",
}
"""Short names of the settings that are given most often."""

EARLIER_NAMES = {
    "--video.start": "--source.start",
    "--video.reference-start": "--reference.start",
    "--network.no-motion-attention": "--network.motion-attention=none",
}
"""Settings that are understood by the names that they had."""

SHORTENED = frozenset({"batch", "demo", "edit", "tune", "apply", "prepare", "plan", "evaluate"})
"""Commands that take short names; others have settings of their own by some of them (``--frames``, ``--seed``)."""

OUTPUT = Group("Output", sort_key=90)
"""The group of what goes to the terminal and to disk."""


SETTINGS = Group("Settings", sort_key=99)
"""The group of the settings that are in no section."""

FLAGS = "the command line"
"""Where flags come from."""

PARTS = (TuneConfig, ApplyConfig, PrepareConfig)
"""Configurations of what is a part of an edit."""


def flags_of(kind: type[Section], *without: str) -> Any:
    """The type of a parameter that has a flag for every field of `kind`, except those named."""
    chosen = {name: field for name, field in kind.model_fields.items() if name not in without}
    fields = {name: (Annotated[field.annotation, _parameter(name, field.annotation, order)], field)
              for order, (name, field) in enumerate(chosen.items())}  # fmt: skip
    flags = create_model(f"{kind.__name__}Flags", __base__=Section, **fields)  # type: ignore[call-overload]
    return Annotated[flags | None, Parameter(name="*", group=SETTINGS)]


def _parameter(name: str, kind: Any, order: int) -> Parameter:
    """How one field is told: a section in a group of its own, and what has to be given without a default."""
    if isinstance(kind, type) and issubclass(kind, Section):
        said = (getdoc(kind) or "").splitlines()[0]
        return Parameter(group=Group(f"Settings: {name}", help=said, sort_key=100 + order))
    return Parameter(show_default=False if name == "prompt" else None)


@dataclass(frozen=True)
class Common:
    """What every command with settings takes."""

    config: Annotated[Path | None, Parameter(help="YAML file with settings; flags win over it.")] = None
    quiet: Annotated[bool, Parameter(help="Say nothing but errors.")] = False
    verbose: Annotated[bool, Parameter(help="Say more.")] = False

    def open_progress(self) -> "Progress":
        """Sends log messages where they belong, and returns what shows how far a command is."""
        from edit_your_motion.cli.progress import set_up_output

        return set_up_output(quiet=self.quiet, verbose=self.verbose)

    def resolve(self, kind: type[AnyConfig], flags: Section | None, **given: str | None) -> AnyConfig:
        """The configuration: defaults, under the preset of a benchmark, under the file, under the flags.

        Raises:
            ConfigError: for an unknown key or a value of the wrong kind.
        """
        layers = self.list_layers(kind, flags, **given)
        if issubclass(kind, BenchmarkConfig):
            return choose_settings(kind, *layers).config
        return parse_config(kind, *(values for _, values in layers))

    def list_layers(
        self, kind: type[Section], flags: Section | None, **given: str | None
    ) -> list[tuple[str, dict[str, Any]]]:
        """What lies over the defaults, each with the name of where it comes from.

        The file may be that of a whole edit where only a part of one is done; what has nothing to do with it is left
        out.

        Args:
            kind: of configuration.
            flags: as they were given.
            given: where the clips are, None where they were not given.

        Raises:
            ConfigError: for an unknown key in the file.
        """
        layers: list[tuple[str, dict[str, Any]]] = []
        if self.config is not None:
            values = load_config(self.config)
            left_out = _foreign(kind, values)
            if left_out and not self.quiet:
                console(errors=True).print(
                    f"{self.config}: left out {', '.join(left_out)}, which has no part in this command"
                )
            layers.append((str(self.config), {key: value for key, value in values.items() if key not in left_out}))
        if flags is not None:
            layers.append((FLAGS, flags.model_dump(exclude_unset=True)))
        layers.append((FLAGS, {name: {"path": path} for name, path in given.items() if path is not None}))
        return layers


@dataclass(frozen=True)
class Editing(Common):
    """What the commands that edit take."""

    preset: Annotated[
        PresetName | None,
        Parameter(
            help="Settings under yours: the letter, what is measured best, or without tuning; default: what the base "
            "recommends, else paper."
        ),
    ] = None

    def choose(
        self,
        kind: type[AnyConfig],
        flags: Section | None,
        *,
        base: str | None = None,
        preset: str | None = None,
        **given: str | None,
    ) -> Choice[AnyConfig]:
        """The configuration: defaults, under the preset and what the base recommends, under the file, under the flags.

        Args:
            kind: of configuration.
            flags: as they were given.
            base: whose recommendation counts, where `kind` has no base.
            preset: the one that counts where none was given.
            given: where the clips are, None where they were not given.

        Raises:
            ConfigError: for an unknown key or a value of the wrong kind.
        """
        return choose_settings(kind, *self.list_layers(kind, flags, **given), preset=self.preset or preset, base=base)


EditingFlags: TypeAlias = Annotated[Editing, Parameter(name="*", group=OUTPUT)]
EDITING = Editing()
CommonFlags: TypeAlias = Annotated[Common, Parameter(name="*", group=OUTPUT)]
COMMON = Common()
Quiet: TypeAlias = Annotated[bool, Parameter(group=OUTPUT, help="Say nothing but errors.")]

EditFlags = flags_of(EditConfig)
DemoFlags = flags_of(EditConfig, "source", "reference")
TuneFlags = flags_of(TuneConfig)
ApplyFlags = flags_of(ApplyConfig)
PrepareFlags = flags_of(PrepareConfig)
PretrainFlags = flags_of(PretrainConfig)
PairedFlags = flags_of(PairedConfig)
DatasetFlags = flags_of(DatasetConfig)
EvaluationFlags = flags_of(EvaluationConfig)
SweepFlags = flags_of(PairedConfig, "share")


def _foreign(kind: type[Section], values: dict[str, Any]) -> list[str]:
    """The settings of a whole edit that a part of one does not have; they are checked all the same."""
    if kind not in PARTS:
        return []
    foreign = [name for name in values if name not in kind.model_fields and name in EditConfig.model_fields]
    parse_config(EditConfig, {name: values[name] for name in foreign})
    return foreign
