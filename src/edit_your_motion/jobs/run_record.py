"""How something was made, as ``run.json`` beside it says: settings, versions, machine, seconds, memory, warnings."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edit_your_motion.config import Section, TuneConfig
from edit_your_motion.people.clip_warnings import Concern, describe_concerns, frames_of
from edit_your_motion.people.looping import follow_source
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.tracking.smoothing import jitter
from edit_your_motion.presets import Choice
from edit_your_motion.runtime.profiling import Recorder
from edit_your_motion.storage.files import write_json

RECORD = "run.json"
PACKAGES = ("edit-your-motion", "torch", "diffusers", "transformers", "numpy", "av")
Scores = dict[str, dict[str, float]]
"""For "edited" (and for "source", the untouched frames, where there is a truth): value by name of the metric."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


def write_record(
    folder: Path,
    config: Section,
    recorder: Recorder,
    *,
    clips: Mapping[str, PreparedClip] = NOTHING,
    tuned: Mapping[str, Any] = NOTHING,
    scores: Scores | None = None,
    warnings: tuple[str, ...] = (),
    memory: Mapping[str, Any] | None = None,
    chosen: Choice[Any] | None = None,
) -> None:
    """Writes ``run.json``; the last file of a result, so that its presence means that the result is complete.

    Args:
        folder: where.
        config: the full configuration.
        recorder: has what computed, and seconds, peak memory and steps of each phase.
        clips: source and reference, whose people are described and whose warnings told.
        tuned: how somebody was; nothing where nobody was.
        scores: whatever was measured.
        warnings: what else a user should be told, of frames of the edit.
        memory: what was done to fit into the memory asked for; None where nothing was asked.
        chosen: the preset, and where each setting that is laid over the defaults comes from; None where nobody said.
    """
    settings = config.model_dump(mode="json")
    if isinstance(config, TuneConfig):
        settings["model"]["controlnet"] = config.model.used_controlnet
    content: dict[str, Any] = {
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}},
        "machine": _describe_machine(recorder),
        "preset": None if chosen is None else chosen.preset,
        "origins": {} if chosen is None else dict(chosen.origins),
        "config": settings,
        "people": {name: describe_people(clip) for name, clip in clips.items()},
        "phases": {name: asdict(phase) for name, phase in recorder.phases.items()},
        **describe_concerns(
            [*warnings, *(_place(each, name, clips) for name in clips for each in clips[name].warnings)]
        ),
        "memory": memory,
        **tuned,
    }
    if scores is not None:
        content["scores"] = {
            name: {key: _finite(value) for key, value in part.items()} for name, part in scores.items()
        }
    write_json(folder / RECORD, content)


def describe_people(clip: PreparedClip) -> dict[str, float | int]:
    """Share of frames with the person, mean share of the picture that the mask covers, jitter of the keypoints (px)."""
    return {
        "frames": len(clip),
        "found": clip.found,
        "mask_area": float(clip.masks.mean()),
        "jitter": jitter(clip.keypoints),
        "jitter_before_smoothing": clip.raw_jitter,
    }


def _place(warning: str, name: str, clips: Mapping[str, PreparedClip]) -> Concern:
    """A clip's warning, at the frames of the reference that is edited after: the source's go to and fro under it."""
    frames = frames_of(warning)
    if name == "source" and "reference" in clips:
        reference = clips["reference"]
        shown = follow_source(clips[name], len(reference), reference.video.fps)
        frames = tuple(np.flatnonzero(np.isin(shown, frames)).tolist())
    return Concern(f"{name}: {warning}", frames)


def _describe_machine(recorder: Recorder) -> dict[str, str | int | None]:
    """What computed; nothing is said of torch's threads where it was not needed, which takes a second to import."""
    torch, device = sys.modules.get("torch"), recorder.device
    name = "cpu" if device is None else device.type
    if torch is not None and name == "cuda":
        name = torch.cuda.get_device_name(device)
    threads = None if torch is None else torch.get_num_threads()
    return {"device": name, "processors": os.cpu_count(), "threads": threads}


def _finite(value: float) -> float | None:
    """The value as JSON can have it: the PSNR of equal frames is infinite."""
    return value if isfinite(value) else None


def _version(package: str) -> str | None:
    if package == "torch" and (torch := sys.modules.get("torch")) is not None:
        return str(torch.__version__)  # says for which device it was built, which the metadata may leave out
    try:
        return version(package)
    except PackageNotFoundError:
        return None
