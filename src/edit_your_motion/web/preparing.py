"""What a clip's process does once its frames are chosen: find the person, and write what is shown of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from edit_your_motion.config import ClipConfig, PeopleConfig, PrepareConfig, parse_config
from edit_your_motion.errors import InputError, VideoError
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.people.clip_warnings import describe_concerns, describe_person, read_concerns
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import (
    PreparedClip,
    prepare_reference,
    prepare_skeletons,
    save_prepared,
)
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.video import Fit, probe, read_video
from edit_your_motion.web.probing import FACTS, read_facts, small_size

PREPARED = "prepared"
PICTURES = "pictures"
PEOPLE = "people.jpg"
PEOPLE_SIDE = 480
LARGEST_PICTURE = 1280
"""Pixels of the longer side of a frame on the page."""
MOST_FRAMES = 600
"""Of a clip: as many as one can correct by hand."""


def prepare_clip(folder: Path, job: dict[str, Any], progress: Progress) -> None:
    """Finds the person and writes what `eym prepare` would, and a picture of each frame for the page."""
    path = folder / job["original"]
    with written_whole(folder / PREPARED) as made:
        made.mkdir()
        if job["role"] == "source":
            found = {"people": {**job["people"], "person": job["person"]}}
            config = parse_config(PrepareConfig, {"source": {"path": str(path), **job["video"]}}, found)
            clip = run_prepare(config, made, progress)
        else:
            people = parse_config(PeopleConfig, {**job["people"], "reference_person": job["person"]})
            chosen = parse_config(ClipConfig, job["video"])
            clip = _prepare_reference(path, job["role"], chosen, people, progress)
            save_prepared(made, clip)
        write_pictures(made / PICTURES, clip.video.frames, progress)
        sides = {"width": clip.keypoints.width, "height": clip.keypoints.height}
        about = {**sides, "frames": len(clip), "fps": float(clip.video.fps), **describe_concerns(clip.warnings)}
        together = clip.gathering
        if together is not None and len(together.boxes) > 1:
            moment = job["video"]["start"] + together.frame / float(clip.video.fps)
            _write_people(path, moment, made / PEOPLE)
            about["people"] = together.boxes
        write_text(made / FACTS, json.dumps(about))


def warn_anew(prepared: Path, before: Keypoints, after: Keypoints) -> dict[str, Any]:
    """What is wrong with a clip whose keypoints were put right, where it was prepared here; kept with it.

    Args:
        prepared: the clip's folder.
        before: its keypoints as they were.
        after: as they are.
    """
    facts = read_facts(prepared / FACTS)
    if facts is None:
        return {}
    gone = describe_person(before)
    try:
        left = [each for each in read_concerns(facts) if each not in gone]
    except (KeyError, TypeError) as error:
        raise InputError(f"{FACTS} of the clip is damaged: prepare it once more") from error
    about = describe_concerns([*left, *describe_person(after)])
    if about["warnings"] != facts["warnings"]:
        write_text(prepared / FACTS, json.dumps({**facts, **about}))
    return about


def _write_people(path: Path, moment: float, place: Path) -> None:
    """Writes the whole picture that is shown at a moment, seconds, small: people are chosen in it."""
    info = probe(path)
    fit = Fit(*small_size(info.height, info.width, PEOPLE_SIDE))
    Image.fromarray(read_video(path, start=moment, frames=1, fit=fit).frames[0]).save(place, quality=85)


def _prepare_reference(
    path: Path, role: str, chosen: ClipConfig, people: PeopleConfig, progress: Progress
) -> PreparedClip:
    if role == "skeletons":
        return prepare_skeletons(path, chosen, people.reference_person)
    if chosen.frames == 1:
        raise VideoError("expected a reference of at least 2 frames, got 1: a motion takes time")
    return prepare_reference(str(path), chosen, people, progress)


def write_pictures(folder: Path, frames: UInt8[np.ndarray, "f h w 3"], progress: Progress) -> None:
    """Writes a JPEG of each frame, no larger than it is shown.

    A page that scrubs wants frames by number, which no video element gives, and has to unpack each of them.
    """
    height, width = frames.shape[1:3]
    scale = min(1.0, LARGEST_PICTURE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    with written_whole(folder) as part, progress.phase("write pictures", len(frames)) as advance:
        part.mkdir()
        for index, frame in enumerate(frames):
            picture = Image.fromarray(frame)
            small = picture if scale == 1 else picture.resize(size, Image.Resampling.BILINEAR)
            small.save(part / f"{index:05d}.jpg", quality=90)
            advance()
