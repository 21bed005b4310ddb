"""What an edit will take, said before it begins: time, memory, disk, and what would make it shorter."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.compositing.warped_person import MOST_FRAMES
from edit_your_motion.config import ApplyConfig, BaseConfig, ClipConfig, EditConfig, PeopleConfig, TuneConfig
from edit_your_motion.diffusion.window_grid import window_starts
from edit_your_motion.errors import ConfigError
from edit_your_motion.jobs.costs import Job, describe_job, measure
from edit_your_motion.jobs.early_checks import check_given, check_reference, check_source
from edit_your_motion.jobs.inspection import take_prepared
from edit_your_motion.models.loading import load_architecture
from edit_your_motion.people.between_frames import MOST
from edit_your_motion.person import SOMEBODY, load_person
from edit_your_motion.person_folder import is_person
from edit_your_motion.runtime.memory_plan import in_gigabytes
from edit_your_motion.runtime.progress import in_words
from edit_your_motion.video import probe, select

logger = logging.getLogger(__name__)

LONG = 3600.0
"""From so many seconds on it is said what would make an edit shorter."""

TOO_LONG = 24 * 3600.0
"""An edit of more seconds is begun only by who insists."""

FIND_BODY, FIND_HANDS, FIND_FACE = 0.04, 0.03, 0.007
"""Seconds that finding a person takes in a frame, and their hands and face beside that, about, on one core."""

FIND_EDITED = 0.1
"""Seconds that it takes in a generated frame, about: whoever is hardly a person is looked for in its parts too."""

DECODE, SHOW = 0.003, 0.003
"""Seconds that a frame of a million pixels takes to be decoded, and to be brought to its size, about."""

FOLLOW_CAMERA, LAY_PLATE = 0.012, 0.11
"""Seconds that a frame takes for the clean plate where the camera moves, about: to follow the camera, at any size, and
to lay the place, by millions of pixels of the edit. A camera that stands still takes less."""

CUT_OUT, WARP = 1.0, 0.5
"""Seconds that a frame of the source takes to be cut out at the joints and completed, and one of the edit to be made of
the person's own pixels, about, by millions of pixels."""

MATTE, COLOURS = 1.5, 1.0
"""Seconds that it takes to tell the edited person from the place in a frame, and to give them the source's colours,
about, by millions of pixels, on one core."""

SHORT = 2 * 10**7
"""Steps x frames x squared widths of the network under which nothing is foreseen."""


@dataclass(frozen=True)
class Estimate:
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
        """The estimate in a sentence or two."""
        edit = f", {self.frames} of the edit" if self.frames else ""
        phases = ", ".join(f"{name} {in_words(seconds)}" for name, seconds in self.seconds.items() if seconds >= 1)
        text = (
            f"{self.source} frames of the source{edit}, {self.size[0]}x{self.size[1]}: about {in_words(self.total)} "
            f"on this machine ({phases}), {in_gigabytes(self.memory)} of memory, {in_gigabytes(self.disk)} of disk"
        )
        return text if self.total < LONG else f"{text}; shorter with {', '.join(self.shorter)}"


def plan_edit(config: EditConfig) -> Estimate:
    """What a whole edit will take, of which nothing is there yet, as measured now; a prompt is not needed.

    Raises:
        ConfigError: there is no source or no reference.
        InputError: one of them cannot be used.
        OutOfMemoryError: the edit does not fit into the memory that the configuration names, or that there is.
    """
    config = take_prepared(config)
    check_given(config.model_copy(update={"prompt": config.prompt or SOMEBODY}))
    check_source(config)
    check_reference(config, None)
    return foresee_time(describe_job(config), afresh=True)


def foresee_job(
    config: TuneConfig | ApplyConfig, place: Path | None, *, skip_short: bool = False, force: bool = False
) -> Estimate | None:
    """What a job will take; None where nothing takes long any more.

    Args:
        config: of the job.
        place: where a person lies who need not be tuned, if there is one.
        skip_short: foresee nothing that is over before it would be foreseen.
        force: also of one that takes more memory than there is.

    Raises:
        OutOfMemoryError: the job does not fit into the memory that the configuration names, or that there is.
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
    return None if skip_short and is_short(config) else foresee_time(describe_job(config, person), force=force)


def foresee_time(job: Job, *, afresh: bool = False, force: bool = False) -> Estimate:
    """What a job will take on this machine.

    Args:
        job: what is to be done.
        afresh: time steps now, whatever was measured in the last days.
        force: also of one that takes more memory than there is.

    Raises:
        CheckpointError: there is no such base.
        OutOfMemoryError: the job does not fit into the memory that the configuration names, or that there is.
    """
    config, source, edited = job.config, job.source, job.edited
    measured = measure(job, afresh=afresh, force=force)
    steps = measured.steps
    windows = config.windows.model_copy(update={"frames": measured.window})

    def predict(frames: int) -> float:
        passes = 1 if frames <= measured.window else len(window_starts(frames, windows))
        return passes * min(frames, measured.window) * steps.predict

    # In the order in which they are done: a bar takes what stands before a phase that begins to be over.
    seconds: dict[str, float] = {}
    tuned = job.settings
    plate = foresee_plate(source, job.height * job.width)
    on_plate = isinstance(config, ApplyConfig) and config.sampling.needs_plate
    if job.person is None:
        people, ready = tuned.people, tuned.people.keypoints is not None and tuned.people.masks is not None
        seconds["find the person"] = foresee_finding(tuned.source.path, tuned.source_clip, people, source, ready)
        if on_plate:
            seconds.update(plate)
    if isinstance(config, ApplyConfig):
        people, clip, ready = config.people, config.reference_clip, config.people.reference_keypoints is not None
        seconds["find the motion"] = foresee_finding(config.reference.path, clip, people, edited, ready)
    if job.person is None:
        inversion, decoder = tuned.inversion, tuned.tuning.decoder
        guided = 2 if inversion.guidance_scale != 1 else 1
        if inversion.of == "plate" and not on_plate:
            seconds.update(plate)
        layers = 3 if inversion.of == "plate" else 2
        seconds["encode"] = layers * source * steps.encode
        stages = [stage for stage in tuned.tuning.stages if stage.iterations]
        for number, (stage, each) in enumerate(zip(stages, steps.tune, strict=True), 1):
            seconds[f"tune, stage {number}"] = stage.iterations * each
        rounds = inversion.steps * (1 + inversion.fixed_point) * guided
        seconds["invert"] = rounds * predict(source)
        seconds["tune the decoder"] = 3 * decoder.iterations * min(decoder.batch, source) * steps.decode
    if isinstance(config, ApplyConfig):
        guided = 2 if config.sampling.guidance_scale != 1 else 1
        cut_out = CUT_OUT * min(source, MOST_FRAMES) * job.height * job.width / 10**6
        warp = WARP * edited * job.height * job.width / 10**6
        if config.sampling.person_noise == "warped":
            seconds["warp the person"] = cut_out + warp
        if on_plate and config.sampling.person_noise in {"moved", "warped"}:
            layers = 2 if config.sampling.person_noise == "warped" else 1
            seconds["encode"] = seconds.get("encode", 0.0) + layers * edited * steps.encode
        seconds["sample"] = config.sampling.steps * guided * predict(edited)
        seconds["decode"] = edited * steps.decode
        if config.sampling.background != "generated" or config.sampling.colours != "generated":
            seconds["find the edited person"] = edited * FIND_EDITED
        if config.sampling.background == "plate" or config.sampling.colours == "source":
            each = MATTE + COLOURS * (config.sampling.colours == "source")
            seconds["cut out the edited person"] = each * edited * job.height * job.width / 10**6
        if config.sampling.detail == "source":
            seconds["lay the person over"] = warp
        seconds["score"] = edited * FIND_EDITED
    pixels = job.height * job.width
    memory = measured.memory + job.clips
    disk = 16 * measured.trained + 2 * pixels * source + 2 * pixels * edited
    shorter = _shorten(job.settings.model, edited or source)
    return Estimate(source, edited, (job.width, job.height), seconds, memory, disk, shorter)


def foresee_finding(
    path: str | None, clip: ClipConfig, people: PeopleConfig, frames: int, ready: bool = False
) -> float:
    """Seconds, about, to read a clip and to find the person, hands and face in it.

    Args:
        path: the clip; None where there are skeletons alone.
        clip: which of its frames.
        people: how they are looked for.
        frames: of the clip.
        ready: whether all that is known of them is there already, so that nobody is looked for.
    """
    if path is None:
        return 0.0
    info = probe(path)
    through = float(info.fps / select(clip, info).rate(info.fps))  # frames of the file for each of the clip
    pixels = info.width * info.height / 10**6
    if ready:
        return frames * (SHOW + through * DECODE) * pixels
    looked = min(max(1.0, through * min(1.0, people.rate / float(info.fps))), max(1.0, MOST / max(frames, 1)))
    each = FIND_BODY + people.hands * FIND_HANDS + people.face * FIND_FACE + SHOW * pixels
    return frames * (looked * each + through * DECODE * pixels)


def foresee_plate(frames: int, pixels: int) -> dict[str, float]:
    """Seconds, about, that the phases of a clean plate take if the camera moves.

    Args:
        frames: of the source.
        pixels: of a frame of the edit.
    """
    return {"follow the camera": frames * FOLLOW_CAMERA, "lay the clean plate": frames * LAY_PLATE * pixels / 10**6}


def is_short(config: TuneConfig | ApplyConfig) -> bool:
    """Whether a job takes less time than to foresee it, on any machine: a few steps of small networks."""
    if not isinstance(config, TuneConfig) or config.model.base is None:
        return False
    unet = load_architecture(config.model.base, config.model.controlnet, vae=config.model.vae).unet
    steps = sum(3 * stage.iterations for stage in config.tuning.stages)
    steps += config.inversion.steps + (config.sampling.steps if isinstance(config, EditConfig) else 0)
    return steps * config.windows.frames * sum(width**2 for width in unet["block_out_channels"]) < SHORT


def require_patience(estimate: Estimate, *, force: bool) -> None:
    """Says what a job will take, and passes one that ends within a day, or that somebody insists on.

    Raises:
        ConfigError: it would take longer.
    """
    if estimate.total > TOO_LONG and not force:
        raise ConfigError(f"not begun: {estimate.describe()}; or go on with --force")
    logger.log(logging.INFO if estimate.total < LONG else logging.WARNING, "%s", estimate.describe())


def _shorten(model: BaseConfig, frames: int) -> tuple[str, ...]:
    """What makes a job shorter, in words."""
    small = () if model.base == "small" else ("--base small (coarser, some hundred times as fast)",)
    fewer = ("a lower rate (--fps 12)", "a part of the motion (--reference.duration 2)") if frames > 16 else ()
    return (*fewer, *small, "fewer steps (--sampling.steps, --inversion.steps, --tuning.motion.iterations)")
