"""The files of a tuned person, and what can be told of them at once: nothing that computes is imported."""

from pathlib import Path

from edit_your_motion.config import TuneConfig, load_config, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError, InputError
from edit_your_motion.storage.files import name_beside
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.tensor_headers import load_metadata

CONFIG, PARAMETERS, DECODER, LATENTS, SOURCE, CARD = (
    "config.yaml",
    "tuned.safetensors",
    "decoder.safetensors",
    "latents.safetensors",
    "source",
    "README.md",
)
CHECKPOINT = "tuning.safetensors"
"""The state of a tuning that is under way."""


def unfinished_beside(folder: Path) -> Path:
    """Where the state of a person's tuning is kept until the person is in its folder."""
    return name_beside(folder, f"{folder.name}.unfinished")


def is_person(folder: Path) -> bool:
    """Whether the folder looks like one that `Person.save` wrote."""
    return (folder / PARAMETERS).is_file()


def read_base(folder: Path) -> str | None:
    """The base that a person was tuned on, by its name; None where that cannot be read, and `load_person` fails."""
    try:
        return parse_config(TuneConfig, load_config(folder / CONFIG)).model.base
    except ConfigError:
        return None


def read_preset(folder: Path) -> str | None:
    """The preset that a person was tuned under; None where none is known, or the person cannot be read."""
    try:
        return load_metadata(folder / PARAMETERS).get("preset") or None
    except CheckpointError:
        return None


def read_person_losses(folder: Path) -> list[float]:
    """The losses of every step of a person's tuning; no tensor is read.

    Raises:
        CheckpointError: the folder is absent or damaged.
    """
    try:
        return [float(loss) for loss in parse_json(load_metadata(folder / PARAMETERS)["losses"])]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"expected the losses of a tuning in {folder / PARAMETERS}, got {error!r}") from error


def check_place(folder: Path) -> None:
    """Passes a place that a person may be saved at.

    Raises:
        InputError: if something else lies there, which must not be lost.
    """
    if folder.exists() and not (folder.is_dir() and (is_person(folder) or not any(folder.iterdir()))):
        raise InputError(f"expected an empty folder or a tuned person at {folder}, got something else; choose another")
