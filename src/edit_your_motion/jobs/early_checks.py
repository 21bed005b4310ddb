"""What can be known to go wrong is said before anything takes long."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from edit_your_motion.config import ApplyConfig, ClipConfig, PeopleConfig, PrepareConfig, TuneConfig
from edit_your_motion.diffusion.window_grid import check_windows
from edit_your_motion.errors import ConfigError, InputError, MissingExtraError, PersonError, VideoError, counted
from edit_your_motion.people.finders.backends import BACKENDS
from edit_your_motion.people.preparation import DETECTION_SIDE, prepare_skeletons
from edit_your_motion.video import probe, select
from edit_your_motion.video.reading import LARGEST_CLIP, MOST_FRAMES

DOUBT = 0.05
"""Share of its frames by which a file may be wrong about how many it has."""


def check_source(config: TuneConfig) -> None:
    """Passes what a person can be tuned on and with, as far as that can be told at once.

    Raises:
        ConfigError: settings do not fit each other.
        VideoError: the source is no video, or clearly too short.
        PersonError: ready keypoints or masks are not there.
        MissingExtraError: a package that was asked for is not installed.
    """
    assert config.source.path is not None
    check_windows(config.windows)
    if config.tuning.optimizer == "adamw-8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", "bitsandbytes", "the 8-bit optimiser")
    check_clip(config.source.path, config.source_clip, "source")
    check_people(config.people, config.people.keypoints, config.people.masks)


def check_reference(config: ApplyConfig, truth: Path | None) -> None:
    """Passes what an edit can be made of and scored by, as far as that can be told at once.

    Raises:
        ConfigError: settings do not fit each other.
        VideoError: the reference or the truth is no video, or clearly too short.
        PersonError: ready keypoints are not there, or are too few.
        MissingExtraError: a package that was asked for is not installed.
    """
    people, clip = config.people, config.reference_clip
    check_windows(config.windows)
    frames: int | None
    if clip.path is not None:
        frames = check_clip(clip.path, clip, "reference")
        check_people(people, people.reference_keypoints)
    else:
        assert people.reference_keypoints is not None
        frames = len(prepare_skeletons(people.reference_keypoints, clip, people.reference_person))
    if truth is not None:
        available = check_clip(truth, clip, "reference")
        if frames is not None and available is not None and available * (1 + DOUBT) + 1 < frames:
            raise VideoError(
                f"{truth} has {counted(available, 'frame')} where the reference has {frames}: expected the truth of "
                "all of the edit; take less of the reference (--reference.duration, --reference.frames)"
            )


def check_given(config: TuneConfig | ApplyConfig) -> None:
    """Passes a configuration that names all that it takes.

    Raises:
        ConfigError: something is not given.
    """
    needed: dict[str, object] = {}
    if isinstance(config, TuneConfig):
        needed["a source"] = config.source.path
    if isinstance(config, ApplyConfig):
        needed["a reference"] = config.reference.path or config.people.reference_keypoints
    for what, value in needed.items():
        if not value:
            raise ConfigError(f"expected {what}, got none; give it on the command line or in the configuration file")
    if isinstance(config, TuneConfig):
        check_prompt(config)


def check_prompt(config: TuneConfig) -> None:
    """Passes a configuration that says what the source shows, or has it said by what is seen.

    Raises:
        ConfigError: it does not.
    """
    if not config.prompt.strip() and not config.complete_prompt:
        raise ConfigError(
            "expected a prompt that says what the source shows, as 'a man in a striped shirt is dancing', got none: "
            "give one (--prompt), or have it made of what is seen (--preset fast, or --complete-prompt)"
        )


def check_clip(path: str | Path, clip: ClipConfig, which: str) -> int | None:
    """Passes a clip that can be opened, has frames where they are asked for, and is not too long to be held.

    Args:
        path: of the clip.
        clip: which of its frames.
        which: the settings that say so, 'source' or 'reference'.

    Returns:
        How many frames will be taken; None where the clip does not say.

    Raises:
        VideoError: it is no video, or clearly has nothing there, or too much.
    """
    info = probe(path)
    if info.frames == 1:
        return 1
    frames = select(clip, info).count(info)
    if frames == 0:
        stated = "" if info.duration is None else f" (it lasts {info.duration:.2f} s)"
        until = "on" if clip.until is None else f"to {clip.until:g} s"
        raise VideoError(
            f"{path} has no frames from {clip.start:g} s {until}{stated}: lower --{which}.start or take a longer part"
        )
    short, long = sorted((info.height, info.width))
    each = 3 * DETECTION_SIDE**2 * long // short
    most = min(MOST_FRAMES, LARGEST_CLIP // each)
    if frames is not None and frames > most * (1 + DOUBT) + 1:
        raise VideoError(
            f"{path} would give {frames} frames, expected at most {most} of this shape: take fewer by "
            f"--{which}.duration, --{which}.frames or a lower --{which}.fps"
        )
    return frames


def count_frames(path: str | Path, clip: ClipConfig) -> int:
    """How many frames will be taken of a clip, at most."""
    info = probe(path)
    return select(clip, info).count(info) or clip.frames or MOST_FRAMES


def check_folder(folder: Path) -> None:
    """Passes a place at which a folder can be.

    Raises:
        InputError: something else is there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder for the results at {folder}, got a file: choose another place")


def check_inputs_stay(folder: Path, written: Iterable[str], *inputs: str | Path | None) -> None:
    """Passes results that take no input's place, and do not get among the pictures or documents of one.

    Args:
        folder: of the results.
        written: names of what goes there.
        inputs: all files and folders that are read; None for what is not given.

    Raises:
        ConfigError: an input would be written over, or be read with the results among its own.
    """
    places = {(folder / name).resolve() for name in written}
    for given in (Path(each) for each in inputs if each is not None and Path(each).exists()):
        place = given.resolve()
        if places & {place, *place.parents}:
            raise ConfigError(f"{given} would be written over by the results in {folder}: choose another --output")
        if given.is_dir() and place == folder.resolve():
            raise ConfigError(f"the results would get among what {given} holds: choose another --output")


def check_people(people: PeopleConfig, *ready: Path | None) -> None:
    """Passes ready keypoints, masks and plates that are there, and a people finder that can be loaded where needed.

    Raises:
        ConfigError: there is no such finder.
        PersonError: something that is said to be ready is not there.
        MissingExtraError: the finder's package is not installed.
    """
    if missing := [path for path in (*ready, people.plate) if path is not None and not path.exists()]:
        raise PersonError(
            f"{missing[0]}: expected a file or folder with keypoints, masks or a clean plate, got nothing: check the "
            "path"
        )
    if people.backend not in BACKENDS:
        raise ConfigError(f"expected --people.backend to be one of {', '.join(BACKENDS)}, got '{people.backend}'")
    if None in ready and people.backend == "rtmlib" and importlib.util.find_spec("rtmlib") is None:
        raise MissingExtraError("rtmlib", "rtmlib", "the rtmlib pose backend")


def list_inputs(config: TuneConfig | ApplyConfig | PrepareConfig) -> tuple[str | Path | None, ...]:
    """All files and folders that a job reads of its clips, None for those that are not given."""
    people = config.people
    source = config.source.path if isinstance(config, TuneConfig | PrepareConfig) else None
    reference = config.reference.path if isinstance(config, ApplyConfig | PrepareConfig) else None
    return (source, reference, people.keypoints, people.masks, people.reference_keypoints, people.plate)
