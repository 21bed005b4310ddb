"""What an edit's process does: the same functions as the command line, on copies of what the clips were."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig, load_config, merge
from edit_your_motion.errors import InputError
from edit_your_motion.jobs.estimate import Estimate, foresee_job, require_patience
from edit_your_motion.jobs.phases import count_steps
from edit_your_motion.jobs.session import CHECKPOINT, run_apply, run_edit, run_tune
from edit_your_motion.person import CONFIG, PARAMETERS, is_person, read_preset, unfinished_beside
from edit_your_motion.presets import Choice, choose_settings
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text
from edit_your_motion.tuning.checkpoints import load_metadata, read_losses_so_far
from edit_your_motion.video import read_video
from edit_your_motion.web.preparing import PICTURES, write_pictures
from edit_your_motion.web.probing import read_facts

INPUTS = "inputs"
EDIT = "edit"
PERSON = "person"
ESTIMATE, FORMER_ESTIMATE = "estimate.json", "outlook.json"
FROM_PREPARED = {"frames.mp4", "keypoints.json", "masks", PICTURES}

Report = Callable[[Mapping[str, float], Mapping[str, int]], Progress]
"""Makes what is told of progress, from the seconds that phases are foreseen to take and the steps that some have."""


def copy_clip(prepared: Path, place: Path) -> None:
    """Puts what an edit needs of a prepared clip into `place`: what is corrected later changes no job already begun."""
    place.mkdir(parents=True)
    for name in sorted(FROM_PREPARED):
        if (prepared / name).is_dir():
            shutil.copytree(prepared / name, place / name, copy_function=_link)
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


def foresee(clips: Mapping[str, Path], job: Mapping[str, Any]) -> Estimate | None:
    """What a job that is only thought of would take; None where nothing takes long.

    Args:
        clips: folders of source and reference.
        job: what is asked for, and ``home``: the folder of the job that tunes the person, where another one does.

    Raises:
        InputError: the person who would be given a motion is not tuned yet.
    """
    person = find_person(Path(job["home"])) if job["home"] is not None else None
    if person is None and job["kind"] == "apply":
        raise InputError("the person is not tuned yet: what their motion takes can be told once they are")
    return foresee_job(resolve(clips, job, person).config, person)


def run_job(folder: Path, job: Mapping[str, Any], report: Report) -> None:
    """Does a job, or goes on with it; beside the edit there are then pictures of its frames.

    Raises:
        ConfigError: it would take more than a day, and nobody insists.
        InputError: the person who is to be given a motion is not there.
    """
    force = bool(job.get("force"))
    home = folder if job["kind"] != "apply" else folder.parent / job["person"]
    person = find_person(home)
    if person is None and job["kind"] == "apply":
        raise InputError("the tuned person is not there: tune them first")
    chosen = resolve(inputs_of(folder), job, person)
    config: TuneConfig | ApplyConfig = chosen.config
    estimate = foresee_job(config, person)
    if estimate is not None:
        require_patience(estimate, force=force)
        write_text(folder / ESTIMATE, json.dumps(asdict(estimate)))
    progress = report({} if estimate is None else estimate.seconds, count_steps(config))
    film = folder / INPUTS / "truth" / "frames.mp4"
    truth = film if film.is_file() else None
    if isinstance(config, EditConfig):
        run_edit(config, folder / EDIT, progress, truth=truth, force=force, chosen=chosen)
    elif isinstance(config, TuneConfig):
        run_tune(config, folder / PERSON, progress, chosen=chosen)
    else:
        assert person is not None
        run_apply(person, config, folder / EDIT, progress, truth=truth, force=force, chosen=chosen)
    if job["kind"] != "tune":
        write_pictures(folder / PICTURES, read_video(folder / EDIT / "edited.mp4").frames, progress)


def read_losses(folder: Path) -> list[float]:
    """The losses of every step of tuning so far: of the person, or of what there is of them."""
    if (person := find_person(folder)) is not None:
        return list(json.loads(load_metadata(person / PARAMETERS)["losses"]))
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


def _link(source: str | Path, place: str | Path) -> str:
    """A second name of a file, or a copy where the disk has no such; files here are replaced and never changed."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
    return str(place)
