"""The folder that an edit leaves: videos to watch, a sheet to look at, and the record of how it was made."""

import json
import logging
import os
import platform
import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edit_your_motion.config import Section, TuneConfig, VideoConfig, dump_config
from edit_your_motion.edit import Edit, follow_source
from edit_your_motion.jobs.loss_curves import draw_losses
from edit_your_motion.jobs.scores import Scores
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.preview import alignment_preview, comparison_frames, contact_sheet
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.people.tracking.smoothing import jitter
from edit_your_motion.person import Person
from edit_your_motion.presets import Choice
from edit_your_motion.runtime.memory_plan import Plan
from edit_your_motion.runtime.profiling import PhaseRecord
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.tuning.early_stopping import StageEnd
from edit_your_motion.video import Video, write_video

logger = logging.getLogger(__name__)

PACKAGES = ("edit-your-motion", "torch", "diffusers", "transformers", "numpy", "av")


@dataclass(frozen=True)
class RunRecord:
    """How an edit was made, as ``run.json`` has it.

    Args:
        config: the full configuration.
        device: what computed, in words.
        phases: seconds, peak memory and steps of each.
        scores: whatever was measured.
        warnings: what a user should be told.
        losses: of every step of tuning.
        stages: how each stage of tuning ended.
        plan: what was done to fit into the memory asked for; None where nothing was asked.
        prompt: what the person was tuned on in words.
        chosen: the preset, and where each setting that is laid over the defaults comes from; None where nobody said.
    """

    config: Section
    device: str
    phases: dict[str, PhaseRecord]
    scores: Scores
    warnings: tuple[str, ...]
    losses: list[float]
    prompt: str
    stages: tuple[StageEnd, ...] = ()
    plan: Plan | None = None
    chosen: Choice[Any] | None = None


def find_sound(config: VideoConfig, person: Person, reference: PreparedClip) -> Video | None:
    """The clip whose sound goes along; None, and a warning, if it is not there any more."""
    if config.sound_of == "reference":
        return reference.video
    clip = person.config.source_clip
    place = None if clip.path is None else Path(clip.path)
    if place is None or not place.exists():
        logger.warning("the edit has no sound: the source is not at %s any more", place or "any place")
        return None
    return replace(person.source.video, source=place, start=clip.start)


def write_edit(
    folder: Path, person: Person, reference: PreparedClip, edit: Edit, *, sound: Video | None = None
) -> None:
    """Writes ``edited.mp4``, ``comparison.mp4``, ``sheet.png``, ``alignment.png`` and ``skeletons.json``.

    Args:
        folder: where; made if it is absent.
        person: who was edited.
        reference: whose motion it is.
        edit: the result.
        sound: the clip whose sound goes along.

    Raises:
        DiskFullError: if there is no room; each file is there whole or not at all.
    """
    (folder / "run.json").unlink(missing_ok=True)
    fps = reference.video.fps
    whole = person.config.draws_whole
    shown = follow_source(person.source, len(edit.frames), fps)
    source = person.source.video.frames[shown]
    rows = [
        ("source", source),
        ("reference", reference.video.frames),
        ("aligned skeleton", draw_skeleton(edit.skeletons, hands=whole, face=whole)),
        ("edited", edit.frames),
    ]
    write_video(folder / "edited.mp4", edit.frames, fps, sound=sound)
    write_video(folder / "comparison.mp4", comparison_frames(rows), fps)
    write_picture(folder / "sheet.png", contact_sheet(rows))
    preview = alignment_preview(
        person.source.video.frames,
        person.source.keypoints,
        reference.video.frames,
        reference.keypoints,
        edit.skeletons,
        shown,
    )
    write_picture(folder / "alignment.png", preview)
    save_keypoints(folder / "skeletons.json", edit.skeletons)


def write_losses(folder: Path, person: Person) -> None:
    """Writes ``losses.png``, the losses of every step of each stage, where a person was tuned."""
    counts = [stage.steps for stage in person.stages] or [len(person.losses)]
    ends = [sum(counts[: index + 1]) for index in range(len(counts))]
    stages = [
        (f"stage {number}", person.losses[end - count : end])
        for number, (count, end) in enumerate(zip(counts, ends, strict=True), 1)
    ]
    if person.losses:
        write_picture(folder / "losses.png", draw_losses(stages))


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, whole or not at all."""
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def write_config(folder: Path, config: Section) -> None:
    """Writes ``config.yaml``, which reruns the same edit: ``eym edit --config config.yaml``."""
    write_text(folder / "config.yaml", dump_config(config))


def write_record(folder: Path, record: RunRecord, clips: dict[str, PreparedClip]) -> None:
    """Writes ``run.json``; the last file of an edit, so that its presence means the edit is complete.

    Args:
        folder: where.
        record: how the edit was made.
        clips: source and reference, whose people are described.
    """
    config = record.config.model_dump(mode="json")
    if isinstance(record.config, TuneConfig):
        config["model"]["controlnet"] = record.config.model.used_controlnet
    content: dict[str, Any] = {
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {"device": record.device, "processors": os.cpu_count(), "threads": torch.get_num_threads()},
        "preset": None if record.chosen is None else record.chosen.preset,
        "origins": {} if record.chosen is None else dict(record.chosen.origins),
        "config": config,
        "prompt": record.prompt,
        "people": {name: describe_people(clip) for name, clip in clips.items()},
        "phases": {name: asdict(phase) for name, phase in record.phases.items()},
        "scores": {name: {key: _finite(value) for key, value in part.items()} for name, part in record.scores.items()},
        "warnings": record.warnings,
        "losses": record.losses,
        "stages": [stage.model_dump(mode="json") for stage in record.stages],
        "memory": None if record.plan is None else record.plan.record(),
    }
    write_text(folder / "run.json", json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def describe_people(clip: PreparedClip) -> dict[str, float | int]:
    """Share of frames with the person, mean share of the picture that the mask covers, jitter of the keypoints (px)."""
    return {
        "frames": len(clip),
        "found": clip.found,
        "mask_area": float(clip.masks.mean()),
        "jitter": jitter(clip.keypoints),
        "jitter_before_smoothing": clip.raw_jitter,
    }


def _finite(value: float) -> float | None:
    """The value as JSON can have it: the PSNR of equal frames is infinite."""
    return value if isfinite(value) else None


def _version(package: str) -> str | None:
    if package == "torch":
        return str(torch.__version__)  # says for which device it was built, which the metadata may leave out
    try:
        return version(package)
    except PackageNotFoundError:
        return None
