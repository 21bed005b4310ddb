"""What an edit will take, said before it begins: time, memory, disk, and what would make it shorter."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.config import ApplyConfig, BaseConfig, EditConfig, NetworkConfig, TuneConfig
from edit_your_motion.diffusion.windows import window_starts
from edit_your_motion.errors import ConfigError
from edit_your_motion.jobs.early_checks import check_given, check_reference, check_source, count_frames
from edit_your_motion.jobs.seen_before import take_prepared
from edit_your_motion.models.loading import Architecture, load_architecture
from edit_your_motion.people.preparation import STILL, choose_canvas, prepare_skeletons
from edit_your_motion.person import Person, is_person, load_person
from edit_your_motion.runtime.memory_plan import Rehearsal, in_gigabytes, make_plan, means_of
from edit_your_motion.runtime.progress import in_words
from edit_your_motion.runtime.time_plan import time_steps
from edit_your_motion.video import probe

logger = logging.getLogger(__name__)

LONG = 3600.0
"""From so many seconds on it is said what would make an edit shorter."""

TOO_LONG = 24 * 3600.0
"""An edit of more seconds is begun only by who insists."""

FIND = 0.06
"""Seconds that finding the person in a frame takes, about, on one core."""


@dataclass(frozen=True)
class Outlook:
    """What an edit takes, as foreseen.

    Args:
        source: frames of the source.
        frames: frames of the edit; 0 where a person is only tuned.
        size: width and height, pixels.
        seconds: of each phase.
        memory: the most that any phase takes, bytes.
        disk: what it writes, bytes.
        shorter: what would make it shorter.
    """

    source: int
    frames: int
    size: tuple[int, int]
    seconds: dict[str, float]
    memory: int
    disk: int
    shorter: tuple[str, ...]

    @property
    def total(self) -> float:
        """All of the time, seconds."""
        return sum(self.seconds.values())

    def describe(self) -> str:
        """The outlook in a sentence or two."""
        edit = f", {self.frames} of the edit" if self.frames else ""
        phases = ", ".join(f"{name} {in_words(seconds)}" for name, seconds in self.seconds.items() if seconds >= 1)
        text = (
            f"{self.source} frames of the source{edit}, {self.size[0]}x{self.size[1]}: about {in_words(self.total)} "
            f"on this machine ({phases}), {in_gigabytes(self.memory)} of memory, {in_gigabytes(self.disk)} of disk"
        )
        return text if self.total < LONG else f"{text}; shorter with {', '.join(self.shorter)}"


def plan_edit(config: EditConfig) -> Outlook:
    """What a whole edit will take, of which nothing is there yet; a prompt is not needed.

    Raises:
        ConfigError: there is no source or no reference.
        InputError: one of them cannot be used.
    """
    config = take_prepared(config)
    check_given(config.model_copy(update={"prompt": config.prompt or "a person"}))
    check_source(config)
    check_reference(config, None)
    return foresee_time(config)


def foresee_job(config: TuneConfig | ApplyConfig, place: Path | None) -> Outlook | None:
    """What a job will take; None where nothing takes long any more.

    Args:
        config: of the job.
        place: where a person lies who need not be tuned, if there is one.
    """
    config = take_prepared(config)
    person = load_person(place) if place is not None and is_person(place) else None
    if person is not None and not isinstance(config, ApplyConfig):
        return None
    if person is None and not isinstance(config, TuneConfig):
        return None  # and that there is nobody is said by whoever needs them
    check_given(config)
    if isinstance(config, TuneConfig):
        check_source(config)
    if isinstance(config, ApplyConfig):
        check_reference(config, None)
    return foresee_time(config, person)


def foresee_time(config: TuneConfig | ApplyConfig, person: Person | None = None) -> Outlook:
    """What a job will take on this machine; some steps are timed for that, and nothing is kept.

    Args:
        config: of the job.
        person: who is given a motion, where nobody is tuned.

    Raises:
        CheckpointError: there is no such base.
        OutOfMemoryError: the job does not fit into the memory that the configuration names.
    """
    tuned = config if isinstance(config, TuneConfig) else None
    settings = tuned if person is None else person.config
    assert settings is not None, "who is not tuned before is tuned now"
    model = settings.model
    architecture = load_architecture(model.base, model.controlnet, vae=model.vae)
    if person is None:
        source, (height, width) = _count_source(settings), _size(settings, architecture)
    else:
        source, (height, width) = len(person.source), person.source.video.frames.shape[1:3]
    edited = _count_edited(config) if isinstance(config, ApplyConfig) else 0
    rehearsal = _rehearse(config, person, architecture, settings.network, (max(source, edited), height, width))
    plan = None if config.runtime.memory is None else make_plan(rehearsal, config.windows, config.runtime)
    means = means_of(rehearsal, config.windows, config.runtime) if plan is None else plan.means
    steps = time_steps(rehearsal, means)
    windows = config.windows.model_copy(update={"frames": means.window})

    def passes(frames: int) -> int:
        return 1 if frames <= means.window else len(window_starts(frames, windows))

    seconds: dict[str, float] = {}
    if person is None and tuned is not None:
        inversion = tuned.inversion
        guided = 2 if inversion.guidance_scale != 1 else 1
        layers = 3 if inversion.of == "plate" else 2
        seconds["find the person"] = FIND * source
        seconds["encode"] = layers * source * steps.encode
        for number, (stage, each) in enumerate(zip(rehearsal.stages(), steps.tune, strict=True), 1):
            seconds[f"tune, stage {number}"] = stage.iterations * each
        rounds = inversion.steps * (1 + inversion.fixed_point) * guided
        seconds["invert"] = rounds * passes(source) * steps.predict
        decoder = tuned.tuning.decoder
        seconds["tune the decoder"] = 3 * decoder.iterations * min(decoder.batch, source) * steps.decode
    if isinstance(config, ApplyConfig):
        guided = 2 if config.sampling.guidance_scale != 1 else 1
        seconds["find the motion"] = 2 * FIND * edited
        seconds["sample"] = config.sampling.steps * guided * passes(edited) * steps.predict
        seconds["decode"] = edited * steps.decode
    numbers = rehearsal.count_trained(rehearsal.stages())
    pixels = height * width
    memory = rehearsal.needed(means) + 7 * pixels * source + 12 * pixels * edited
    disk = 16 * numbers + 2 * pixels * source + 2 * pixels * edited
    return Outlook(source, edited, (width, height), seconds, memory, disk, _shorten(model, edited or source))


def require_patience(outlook: Outlook, *, force: bool) -> None:
    """Says what a job will take, and passes one that ends within a day, or that somebody insists on.

    Raises:
        ConfigError: it would take longer.
    """
    if outlook.total > TOO_LONG and not force:
        raise ConfigError(f"not begun: {outlook.describe()}; or --force, to begin all the same")
    logger.log(logging.INFO if outlook.total < LONG else logging.WARNING, "%s", outlook.describe())


def _rehearse(
    config: TuneConfig | ApplyConfig,
    person: Person | None,
    architecture: Architecture,
    network: NetworkConfig,
    shape: tuple[int, int, int],
) -> Rehearsal:
    tuning = config.tuning if person is None and isinstance(config, TuneConfig) else None
    parts = () if person is None else (person.parameters, person.decoder)
    kept = sum(tensor.nbytes for part in parts for tensor in part.values())
    return Rehearsal(architecture, network, tuning, config.runtime, shape, person=kept)


def _size(config: TuneConfig, architecture: Architecture) -> tuple[int, int]:
    assert config.source.path is not None, "check_given passed"
    canvas = choose_canvas(config.source.path, config.video, architecture.side_multiple, architecture.native_side)
    return canvas.height, canvas.width


def _count_source(config: TuneConfig) -> int:
    assert config.source.path is not None, "check_given passed"
    if probe(config.source.path).frames == 1:
        return config.source_clip.frames or STILL
    return count_frames(config.source.path, config.source_clip)


def _count_edited(config: ApplyConfig) -> int:
    if config.reference.path is not None:
        return count_frames(config.reference.path, config.reference_clip)
    ready = config.people.reference_keypoints
    assert ready is not None, "check_given passed"
    return len(prepare_skeletons(ready, config.reference_clip, config.people.reference_person))


def _shorten(model: BaseConfig, frames: int) -> tuple[str, ...]:
    """What makes a job shorter, in words."""
    small = () if model.base == "small" else ("--base small (coarser, some hundred times as fast)",)
    fewer = ("a lower rate (--fps 12)", "a part of the motion (--reference.duration 2)") if frames > 16 else ()
    return (*fewer, *small, "fewer steps (--sampling.steps, --inversion.steps, --tuning.motion.iterations)")
