"""What a job of the web app has on disk, and the settings it was asked for: nothing that computes is imported."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig, load_config, merge
from edit_your_motion.person_folder import (
    CHECKPOINT,
    CONFIG,
    is_person,
    read_person_losses,
    read_preset,
    unfinished_beside,
)
from edit_your_motion.presets import Choice, choose_settings
from edit_your_motion.tuning.losses_so_far import read_losses_so_far
from edit_your_motion.web.preparing import PICTURES
from edit_your_motion.web.probing import read_facts

INPUTS = "inputs"
EDIT = "edit"
PERSON = "person"
ESTIMATE, FORMER_ESTIMATE = "estimate.json", "outlook.json"
FROM_PREPARED = {"frames.mp4", "keypoints.json", "masks", PICTURES}


def copy_clip(prepared: Path, place: Path) -> None:
    """Puts what an edit needs of a prepared clip into `place`: what is corrected later changes no job already begun."""
    place.mkdir(parents=True)
    for name in sorted(FROM_PREPARED):
        if (prepared / name).is_dir():
            (place / name).mkdir()
            for path in sorted((prepared / name).iterdir()):
                _link(path, place / name / path.name)
        else:
            _link(prepared / name, place / name)


def find_person(folder: Path) -> Path | None:
    """The tuned person that a job has made, if it has."""
    return next((place for place in (folder / PERSON, folder / EDIT / PERSON) if is_person(place)), None)


def inputs_of(folder: Path) -> dict[str, Path]:
    """Where a job's copies of its clips are, by what they are for."""
    return {role: folder / INPUTS / role for role in ("source", "reference")}


def resolve(clips: Mapping[str, Path], job: Mapping[str, Any], person: Path | None = None) -> Choice[Any]:
    """The configuration of a job, from what it asks for and its prepared clips, and where its settings come from.

    Args:
        clips: folders of source and reference, as `eym prepare` leaves them.
        job: what is asked for.
        person: folder of the tuned person who is given a motion; theirs is the preset, where none is asked for.

    Raises:
        ConfigError: a setting is unknown or has no such value.
    """
    kinds: dict[str, type[Any]] = {"tune": TuneConfig, "apply": ApplyConfig, "edit": EditConfig}
    kind = kinds[job["kind"]]
    # A prepared clip has only frames that were chosen: every one counts, at whatever rate.
    files: dict[str, Any] = {"video": {"frames": job["frames"], "fps": None, "stride": 1}}
    if job["kind"] != "apply":
        files |= {"source": str(clips["source"]), "prompt": job["prompt"]}
    if job["kind"] != "tune":
        files["reference"] = str(clips["reference"])
    if job["kind"] == "apply" and job["prompt"]:
        files["edit_prompt"] = job["prompt"]
    layers = merge(job["offer"], job["settings"])
    known = {name: value for name, value in layers.items() if name in kind.model_fields}
    machine = {"runtime": {"device": job["device"]}}
    given = (("asked for", known), ("clips", files), ("worker", machine))
    preset = job.get("preset") or (read_preset(person) if person is not None and job["kind"] == "apply" else None)
    return choose_settings(kind, *given, base=job["base"], preset=preset)


def read_losses(folder: Path) -> list[float]:
    """The losses of every step of tuning so far: of the person, or of what there is of them.

    Raises:
        CheckpointError: what there is of them is damaged.
    """
    if (person := find_person(folder)) is not None:
        return read_person_losses(person)
    for place in (folder / EDIT, unfinished_beside(folder / PERSON)):
        if (place / CHECKPOINT).is_file():
            return read_losses_so_far(place / CHECKPOINT)
    return []


def read_settings(home: Path) -> dict[str, Any]:
    """How the person was tuned that a job has made; nothing where nobody is there."""
    person = find_person(home)
    return {} if person is None else load_config(person / CONFIG)


def read_estimate(folder: Path) -> dict[str, Any] | None:
    """What a job was foreseen to take; None where nothing of it takes long, or it has not begun."""
    return read_facts(folder / ESTIMATE) or read_facts(folder / FORMER_ESTIMATE)


def _link(source: Path, place: Path) -> None:
    """A second name of a file, or a copy where the disk has no such; files here are replaced and never changed."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
