"""Tunings of one source that have something in common: each goes on from where another one ended."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from edit_your_motion.benchmark.cells import Tune
from edit_your_motion.config import TuneConfig
from edit_your_motion.edit import tune_person
from edit_your_motion.errors import InputError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.person import Person
from edit_your_motion.runtime.profiling import PhaseRecord, Recorder
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.tuning.loop import TuningStep

STAGES = "tune, stage"
"""How the phases of the two stages begin."""


@dataclass(frozen=True)
class PrefixTuning:
    """Tunes as `edit.tune_person` does, and on a CPU to the same bit, but goes on from the longest known beginning.

    A beginning is a checkpoint of the loop, with parameters, optimiser and random state: ``STAGE1.safetensors`` where
    the first stage ended, ``STAGE1-STAGE2.safetensors`` where the second did, each named by its iterations. One that
    has been gone on from is gone, so that few lie there at a time: ask for few iterations first.

    Args:
        folder: keeps the beginnings of one source; those of another, or of other settings, are thrown away.
    """

    folder: Path

    def __call__(self, backbone: Backbone, source: PreparedClip, config: TuneConfig, progress: Progress) -> Person:
        """The tuned person; see `edit.tune_person`."""
        place = self.folder / _name(source, config)
        self._forget_others(place)
        first, second = (stage.iterations for stage in config.tuning.stages)
        unfinished = place / f"{first}-{second}.safetensors"
        if not unfinished.is_file() and (start := _longest_beginning(place, first, second)) is not None:
            start.rename(unfinished)

        def keep_first_stage(step: TuningStep) -> None:
            if (step.stage, step.step) == (0, first):
                with written_whole(place / f"{first}.safetensors") as temporary:
                    shutil.copyfile(unfinished, temporary)

        return tune_person(backbone, source, config, progress, checkpoint=unfinished, on_step=keep_first_stage)

    def _forget_others(self, place: Path) -> None:
        for other in self.folder.iterdir() if self.folder.is_dir() else ():
            if other != place:
                shutil.rmtree(other)


@dataclass(frozen=True)
class KeptTuning:
    """Tunes as `edit.tune_person` does, and on a CPU to the same bit, but goes through the two stages once for all
    inversions and decoders.

    Args:
        folder: keeps one checkpoint for each kind of tuning; whoever is done with a source empties it.
    """

    folder: Path

    def __call__(self, backbone: Backbone, source: PreparedClip, config: TuneConfig, progress: Progress) -> Person:
        """The tuned person; see `edit.tune_person`."""
        identity = config.identity()
        del identity["inversion"], identity["tuning"]["decoder"]
        place = self.folder / f"{_digest(source, identity)}.safetensors"
        person = tune_person(backbone, source, config, progress, checkpoint=place)
        if isinstance(progress, Recorder):
            _account(place.with_suffix(".json"), progress.phases)
        return person

    def forget(self) -> None:
        """Throws away what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def keep_apart(tune: Tune, case: str) -> Tune:
    """The same way of tuning with what it keeps in a place of the case's own, where several are tuned at a time."""
    return replace(tune, folder=tune.folder / case) if isinstance(tune, PrefixTuning | KeptTuning) else tune


def _account(kept: Path, phases: dict[str, PhaseRecord]) -> None:
    """Counts for a person the steps of its stages that somebody took before, and keeps the whole account."""
    for name, taken in _read_account(kept).items():
        now = phases.get(name, PhaseRecord(0.0, 0, 0))
        if now.steps < taken.steps:
            memory = max(now.peak_memory, taken.peak_memory)
            phases[name] = PhaseRecord(now.seconds + taken.seconds, memory, now.steps + taken.steps)
    account = {name: asdict(phase) for name, phase in phases.items() if name.startswith(STAGES)}
    write_text(kept, json.dumps(account))


def _read_account(kept: Path) -> dict[str, PhaseRecord]:
    try:
        before = parse_json(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        return {
            name: PhaseRecord(float(content["seconds"]), int(content["peak_memory"]), int(content["steps"]))
            for name, content in before.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"expected the phases of a tuning at {kept}, got {error!r}: delete it") from error


def _longest_beginning(place: Path, first: int, second: int) -> Path | None:
    """The checkpoint that goes furthest of those that such a tuning passes through."""

    def leads_there(counts: tuple[int, ...]) -> bool:
        return counts[0] == first and counts[1] <= second if len(counts) == 2 else counts[0] <= first

    reached = {tuple(map(int, path.stem.split("-"))): path for path in place.glob("[0-9]*.safetensors")}
    return reached[max(fitting)] if (fitting := [counts for counts in reached if leads_there(counts)]) else None


def _name(source: PreparedClip, config: TuneConfig) -> str:
    """Tells sources and settings apart, whatever the iterations."""
    identity = config.identity()
    for stage in ("motion", "appearance"):
        del identity["tuning"][stage]["iterations"]
    return _digest(source, identity)


def _digest(source: PreparedClip, identity: dict[str, Any]) -> str:
    digest = sha256(repr(identity).encode())
    for array in (source.video.frames, source.masks, source.keypoints.body):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
