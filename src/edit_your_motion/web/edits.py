"""What an edit's process does: the same functions as the command line, on copies of what the clips were."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.config import ApplyConfig, EditConfig, Section, TuneConfig, merge
from edit_your_motion.errors import InputError
from edit_your_motion.jobs.session import run_apply, run_edit, run_tune
from edit_your_motion.person import is_person
from edit_your_motion.presets import choose_settings
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.video import read_video
from edit_your_motion.web.preparing import PICTURES, PREPARED, write_pictures

INPUTS = "inputs"
EDIT = "edit"
PERSON = "person"
FROM_PREPARED = {"frames.mp4", "keypoints.json", "masks", PICTURES}


def copy_clip(clip: Path, place: Path) -> None:
    """Puts what an edit needs of a prepared clip into `place`: what is corrected later changes no job that was begun.

    Raises:
        InputError: the clip is not prepared.
    """
    prepared = clip / PREPARED
    if not prepared.is_dir():
        raise InputError("expected a prepared clip: have the person found first")
    place.mkdir(parents=True)
    for name in sorted(FROM_PREPARED):
        if (prepared / name).is_dir():
            shutil.copytree(prepared / name, place / name, copy_function=_link)
        else:
            _link(prepared / name, place / name)


def copy_inputs(tuned_on: Path, place: Path) -> None:
    """Puts what a person was tuned on beside the motion that they are given."""
    shutil.copytree(tuned_on, place, copy_function=_link)


def find_person(folder: Path) -> Path | None:
    """The tuned person that a job has made, if it has."""
    return next((place for place in (folder / PERSON, folder / EDIT / PERSON) if is_person(place)), None)


def resolve(folder: Path, job: Mapping[str, Any]) -> Section:
    """The configuration of a job, from what it asks for and the files in its folder.

    Raises:
        ConfigError: a setting is unknown or has no such value.
    """
    kinds: dict[str, type[TuneConfig | ApplyConfig]] = {"tune": TuneConfig, "apply": ApplyConfig, "edit": EditConfig}
    kind = kinds[job["kind"]]
    source, reference = folder / INPUTS / "source", folder / INPUTS / "reference"
    # A prepared clip has only frames that were chosen: every one counts, at whatever rate.
    files: dict[str, Any] = {"video": {"frames": job["frames"], "fps": None, "stride": 1}, "people": {}}
    if job["kind"] != "apply":
        files |= {"source": str(source / "frames.mp4"), "prompt": job["prompt"]}
        files["people"] |= {"keypoints": source / "keypoints.json", "masks": source / "masks", "mask_label": 255}
    if job["kind"] != "tune":
        files["reference"] = str(reference / "frames.mp4")
        files["people"]["reference_keypoints"] = reference / "keypoints.json"
    if job["kind"] == "apply" and job["prompt"]:
        files["edit_prompt"] = job["prompt"]
    layers = merge(job["offer"], job["settings"])
    known = {name: value for name, value in layers.items() if name in kind.model_fields}
    machine = {"runtime": {"device": job["device"]}}
    given = (("asked for", known), ("clips", files), ("worker", machine))
    return choose_settings(kind, *given, base=job["base"]).config


def run_job(folder: Path, job: Mapping[str, Any], report: Callable[[dict[str, int]], Progress]) -> None:
    """Does a job, or goes on with it; beside the edit there are then pictures of its frames."""
    config = resolve(folder, job)
    progress = report(plan_phases(config))
    if isinstance(config, EditConfig):
        run_edit(config, folder / EDIT, progress)
    elif isinstance(config, TuneConfig):
        run_tune(config, folder / PERSON, progress)
    elif isinstance(config, ApplyConfig):
        person = find_person(folder.parent / job["person"])
        if person is None:
            raise InputError("the tuned person is no longer there: tune them again")
        run_apply(person, config, folder / EDIT, progress)
    if job["kind"] != "tune":
        write_pictures(folder / PICTURES, read_video(folder / EDIT / "edited.mp4").frames, progress)


def plan_phases(config: Section) -> dict[str, int]:
    """Steps of the long phases of a job, in their order."""
    planned: dict[str, int] = {}
    if isinstance(config, TuneConfig):
        for index, stage in enumerate(config.tuning.stages):
            planned[f"tune, stage {index + 1}"] = stage.iterations
        planned["invert"] = config.inversion.steps
        planned["tune the decoder"] = config.tuning.decoder.iterations
    if isinstance(config, ApplyConfig):
        planned["sample"] = config.sampling.steps
    return planned


def _link(source: str | Path, place: str | Path) -> str:
    """A second name of a file, or a copy where the disk has no such; files here are replaced and never changed."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
    return str(place)
