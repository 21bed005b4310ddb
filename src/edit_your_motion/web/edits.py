"""What an edit's process does: the same functions as the command line, on copies of what the clips were."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig
from edit_your_motion.errors import InputError
from edit_your_motion.jobs.estimate import Estimate, foresee_job, require_patience
from edit_your_motion.jobs.phases import count_steps
from edit_your_motion.jobs.session import run_apply, run_edit, run_tune
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text
from edit_your_motion.video import read_video
from edit_your_motion.web.job_files import EDIT, ESTIMATE, INPUTS, PERSON, find_person, inputs_of, resolve
from edit_your_motion.web.preparing import PICTURES, write_pictures

Report = Callable[[Mapping[str, float], Mapping[str, int]], Progress]
"""Makes what is told of progress, from the seconds that phases are foreseen to take and the steps that some have."""


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
    estimate = foresee_job(config, person, force=force)
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
