"""A job before it begins: how many frames it has, its networks without weights, and how long steps take here.

What steps take is measured, and kept in the cache for a while, for whoever does the same again.
"""

import hashlib
import json
import logging
import platform
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from edit_your_motion import __version__
from edit_your_motion.compositing.warped_person import MOST_FRAMES
from edit_your_motion.config import ApplyConfig, BaseConfig, TuneConfig
from edit_your_motion.errors import OutOfMemoryError
from edit_your_motion.jobs.early_checks import count_frames
from edit_your_motion.models.backbone import choose_device
from edit_your_motion.models.downloads import cache_folder
from edit_your_motion.models.loading import Architecture, load_architecture
from edit_your_motion.people.preparation import STILL, choose_canvas, prepare_skeletons
from edit_your_motion.person import Person
from edit_your_motion.runtime.machine_load import BUSY, OtherPrograms
from edit_your_motion.runtime.machine_memory import available_memory
from edit_your_motion.runtime.memory_plan import Rehearsal, in_gigabytes, make_plan, means_of
from edit_your_motion.runtime.time_plan import StepSeconds, time_steps
from edit_your_motion.storage.files import write_text
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.video import probe

logger = logging.getLogger(__name__)

KEPT = 7 * 24 * 3600.0
"""Seconds after which what was measured is measured anew."""


@dataclass(frozen=True)
class Job:
    """A job and its networks, as far as they are known before anything is loaded.

    Args:
        config: of the job.
        person: who is given a motion, where nobody is tuned.
        settings: by which the person is tuned, or was.
        architecture: of the base.
        source: frames of the source.
        edited: frames of the edit; 0 where a person is only tuned.
        height: of a frame, pixels.
        width: of a frame, pixels.
    """

    config: TuneConfig | ApplyConfig
    person: Person | None
    settings: TuneConfig
    architecture: Architecture
    source: int
    edited: int
    height: int
    width: int

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """The networks without weights, and what the phases take, each of which is gone through once."""
        shape = (max(self.source, self.edited), self.height, self.width)
        return Rehearsal(
            self.architecture,
            self.settings.network,
            self._tuning,
            self.config.runtime,
            shape,
            source=self.source,
            person=self._kept,
        )

    @property
    def _tuning(self) -> Any:
        return self.config.tuning if self.person is None and isinstance(self.config, TuneConfig) else None

    @property
    def _kept(self) -> int:
        """Bytes of the tuned person."""
        parts = () if self.person is None else (self.person.parameters, self.person.decoder)
        return sum(tensor.nbytes for part in parts for tensor in part.values())

    @property
    def clips(self) -> int:
        """Bytes of both clips' frames, which no phase of the networks counts, and of the person cut out of them."""
        warps = isinstance(self.config, ApplyConfig) and self.config.sampling.warps
        cut_out = 8 * min(self.source, MOST_FRAMES) + 3 * self.edited if warps else 0
        return (7 * self.source + 12 * self.edited + cut_out) * self.height * self.width

    @property
    def key(self) -> str:
        """What everything that is measured depends on, as a name; how often a step is done is none of that."""
        tuning, config = self._tuning, self.config
        stages = [] if tuning is None else [[*stage.trains, stage.iterations > 0] for stage in tuning.stages]
        how = None if tuning is None else [tuning.window, str(tuning.recomputation), tuning.optimizer]
        frames = [min(each, config.windows.frames) for each in (self.source, self.edited)]
        networks = [self.architecture.vae, self.architecture.unet, self.architecture.controlnet]
        text = self.architecture.text_encoder.to_dict()
        machine = [__version__, torch.__version__, torch.get_num_threads(), platform.node(), platform.processor()]
        about = [
            [dict(each) for each in networks], text, self.settings.network.model_dump(), stages, how,
            config.windows.model_dump(), config.runtime.model_dump(), frames, self.height, self.width, self._kept,
            machine,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Measured:
    """What a job's steps take on this machine.

    Args:
        steps: seconds.
        window: frames in the network at once.
        memory: the most that any phase takes, bytes.
        trained: how many numbers are tuned.
    """

    steps: StepSeconds
    window: int
    memory: int
    trained: int


def describe_job(
    config: TuneConfig | ApplyConfig, person: Person | None = None, model: BaseConfig | None = None
) -> Job:
    """The job of a configuration.

    Args:
        config: of the job.
        person: who is given a motion, where nobody is tuned.
        model: where the base lies now, if not where the person was tuned on it.

    Raises:
        CheckpointError: there is no such base.
    """
    settings = config if person is None else person.config
    assert isinstance(settings, TuneConfig), "who is not tuned before is tuned now"
    model = model or settings.model
    architecture = load_architecture(model.base, model.controlnet, vae=model.vae)
    edited = count_edited(config) if isinstance(config, ApplyConfig) else 0
    if person is not None:
        height, width = person.source.video.frames.shape[1:3]
        return Job(config, person, settings, architecture, len(person.source), edited, height, width)
    assert settings.source.path is not None, "check_given passed"
    multiple, side = architecture.side_multiple, architecture.native_side
    canvas = choose_canvas(settings.source.path, settings.video, multiple, side)
    return Job(config, None, settings, architecture, count_source(settings), edited, canvas.height, canvas.width)


def count_source(config: TuneConfig) -> int:
    """Frames of the source, at most."""
    assert config.source.path is not None, "check_given passed"
    if probe(config.source.path).frames == 1:
        return config.source_clip.frames or STILL
    return count_frames(config.source.path, config.source_clip)


def count_edited(config: ApplyConfig) -> int:
    """Frames of the edit, at most; 0 without a motion."""
    if config.reference.path is not None:
        return count_frames(config.reference.path, config.reference_clip)
    ready = config.people.reference_keypoints
    return 0 if ready is None else len(prepare_skeletons(ready, config.reference_clip, config.people.reference_person))


def measure(job: Job, *, afresh: bool = False, force: bool = False) -> Measured:
    """What the job's steps take on this machine: as measured in the last days, or now.

    What is measured while other programs keep the machine busy is not kept.

    Args:
        job: of which steps are timed, on networks whose weights are nothing.
        afresh: measure now, whatever was measured before.
        force: somebody insists on a job that takes more memory than there is.

    Raises:
        OutOfMemoryError: the job does not fit into the memory that the configuration names, or that there is.
    """
    place = cache_folder() / "measured" / f"{job.key}.json"
    if not afresh and (known := _recall(place)) is not None:
        require_memory(job, known.memory, force=force)
        return known
    rehearsal, config = job.rehearsal, job.config
    plan = None if config.runtime.memory is None else make_plan(rehearsal, config.windows, config.runtime)
    means = means_of(rehearsal, config.windows, config.runtime) if plan is None else plan.means
    needed = rehearsal.needed(means)
    require_memory(job, needed, force=force)  # before whole networks are there to be timed
    others = OtherPrograms()
    found = Measured(
        time_steps(rehearsal, means),
        means.window,
        needed,
        rehearsal.count_trained(rehearsal.stages()),
    )
    if (share := others.share) > BUSY:
        logger.warning("other programs take %.0f%% of the processors: without them it takes less long", 100 * share)
        return found
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(asdict(found)))
    except OSError as error:
        logger.debug("what was measured is not kept: %s", error)
    return found


def require_memory(job: Job, needed: int, *, force: bool) -> None:
    """Passes a job that fits into the memory that there is; says so if it does only without what other programs have.

    On a GPU nothing is asked: it says itself when its memory runs out, where a system kills without a word.

    Args:
        job: what is to be done.
        needed: what its networks take at most, bytes.
        force: somebody insists.

    Raises:
        OutOfMemoryError: it would not fit even if nobody else had any.
    """
    if choose_device(job.config.runtime.device).type != "cpu":
        return
    there, needed = available_memory(), needed + job.clips
    fitting = max(there.now - job.clips, 0) // 10**8 / 10
    advice = (
        f"--runtime.memory {fitting}GB plans an edit that fits, if one does; or lower --video.size, or bring fewer "
        "frames"
        if fitting
        else "end other programs, lower --video.size, or bring fewer frames"
    )
    text = f"{in_gigabytes(needed)} of memory are needed"
    if needed > there.most and not force:
        raise OutOfMemoryError(
            f"not begun: {text}, {there.whose} has {in_gigabytes(there.most)}: {advice}; or go on with --force"
        )
    if needed > there.now:
        logger.warning("%s, %s are free: it may be killed for that; %s", text, in_gigabytes(there.now), advice)


def _recall(place: Path) -> Measured | None:
    """What was measured, if that is not too long ago."""
    try:
        if not 0 <= time.time() - place.stat().st_mtime <= KEPT:
            return None
        kept = parse_json(place.read_text(encoding="utf-8"))
        steps = kept["steps"]
        seconds = [float(steps[name]) for name in ("predict", "encode", "decode")]
        tune = tuple(map(float, steps["tune"]))
        counts = [int(kept[name]) for name in ("window", "memory", "trained")]
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    predict, encode, decode = seconds
    return Measured(StepSeconds(predict, tune, encode, decode), *counts)
