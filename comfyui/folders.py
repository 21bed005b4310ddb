"""Where models lie in ComfyUI: bases, persons and unfinished tunings in ``models/edit_your_motion``."""

import os
import re
from pathlib import Path

import folder_paths

from edit_your_motion.config import OPENPOSE_CONTROLNET, STABLE_DIFFUSION
from edit_your_motion.errors import CheckpointError, InputError
from edit_your_motion.models.shipped import SMALL
from edit_your_motion.person_folder import is_person
from edit_your_motion.storage.names import is_reserved

FOLDER = "edit_your_motion"
DEFAULT = "default"
NOBODY = "(nobody is saved yet)"


def register_folder() -> None:
    """Makes ComfyUI know the folder, so that ``extra_model_paths.yaml`` can add others to it."""
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))


def list_bases() -> list[str]:
    """What can be loaded as a base: the one that ships, folders and files here, checkpoints, the hub's."""
    ours = [f"{FOLDER}/{path.name}" for place in _places("bases") for path in sorted(place.glob("*"))
            if path.suffix == ".safetensors" or (path / "unet").is_dir()]  # fmt: skip
    return [SMALL, *ours, *_list_files("checkpoints"), STABLE_DIFFUSION]


def find_base(choice: str) -> str:
    """The base of that choice, as the library names it."""
    return _find(choice, "bases") if choice.startswith(f"{FOLDER}/") else _find_file(choice)


def list_controlnets() -> list[str]:
    """What can be loaded as a ControlNet; by default the small base's own, or the hub's for openpose."""
    return [DEFAULT, *_list_files("controlnet")]


def find_controlnet(choice: str) -> str:
    """The ControlNet of that choice, as the library names it."""
    return OPENPOSE_CONTROLNET if choice == DEFAULT else _find_file(choice)


def list_persons() -> list[str]:
    """The tuned persons, by name; one entry that says so where there are none."""
    names = {path.name for place in _places("persons") for path in place.glob("*") if is_person(path)}
    return sorted(names) or [NOBODY]


def find_person(name: str) -> Path:
    """The folder of a tuned person.

    Raises:
        InputError: it is no plain name.
        CheckpointError: there is nobody of that name.
    """
    if name == NOBODY:
        raise CheckpointError(
            f"expected a person in {_places('persons')[0]}, got none: save one with 'Save person', then press R"
        )
    return Path(_find(check_name(name), "persons"))


def choose_place(name: str, overwrite: bool) -> Path:
    """Where to save a person: under that name, or where it is taken under it with a number.

    Raises:
        InputError: it is no plain name.
    """
    folder, number = _places("persons")[0], 2
    place = folder / check_name(name)
    while place.exists() and not overwrite:
        place, number = folder / f"{name}_{number}", number + 1
    return place


def place_checkpoint(digest: str) -> Path:
    """Where an unfinished tuning is kept."""
    return _places("unfinished")[0] / f"{digest}.safetensors"


def check_name(name: str) -> str:
    """Passes a name that a folder may have on any system: workflows come from others.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"[\w][\w .-]{0,79}", name) or is_reserved(name):
        raise InputError(f"expected a name of letters, digits, spaces, dots, - and _, got {name!r:.60}")
    return name


def _places(part: str) -> list[Path]:
    return [Path(place, part) for place in folder_paths.get_folder_paths(FOLDER)]


def _find(choice: str, part: str) -> str:
    name = check_name(choice.removeprefix(f"{FOLDER}/"))
    found = next((place / name for place in _places(part) if (place / name).exists()), None)
    if found is None:
        raise CheckpointError(f"expected '{name}' in {_places(part)[0]}, which is not there")
    return str(found)


def _list_files(kind: str) -> list[str]:
    names = folder_paths.get_filename_list(kind)
    return [f"{kind}/{name}" for name in names if name.endswith(".safetensors")]


def _find_file(choice: str) -> str:
    """A file of another of ComfyUI's folders; any other choice names itself."""
    kind, _, name = choice.partition("/")
    if kind not in ("checkpoints", "controlnet"):
        return choice
    return str(folder_paths.get_full_path_or_raise(kind, name))
