"""What can be known to go wrong is said before anything takes long."""

import importlib.util
import math
from fractions import Fraction
from pathlib import Path

from edit_your_motion.config import ApplyConfig, PeopleConfig, TuneConfig, VideoConfig
from edit_your_motion.diffusion.windows import check_windows
from edit_your_motion.errors import ConfigError, InputError, MissingExtraError, PersonError, VideoError, counted
from edit_your_motion.people.finders.backends import BACKENDS
from edit_your_motion.people.preparation import prepare_skeletons
from edit_your_motion.video import VideoInfo, probe

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
    assert config.source is not None
    check_windows(config.windows)
    if config.tuning.optimizer == "adamw-8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", "bitsandbytes", "the 8-bit optimiser")
    check_clip(config.source, config.video, config.video.start, still=True)
    check_people(config.people, config.people.keypoints, config.people.masks)


def check_reference(config: ApplyConfig, truth: Path | None) -> None:
    """Passes what an edit can be made of and scored by, as far as that can be told at once.

    Raises:
        ConfigError: settings do not fit each other.
        VideoError: the reference or the truth is no video, or clearly too short.
        PersonError: ready keypoints are not there, or are too few.
        MissingExtraError: a package that was asked for is not installed.
    """
    people, video = config.people, config.video
    check_windows(config.windows)
    if config.reference is not None:
        check_clip(config.reference, video, video.reference_start)
        check_people(people, people.reference_keypoints)
    else:
        assert people.reference_keypoints is not None
        prepare_skeletons(people.reference_keypoints, video.frames, video, people.reference_person)
    if truth is not None:
        check_clip(truth, video, video.reference_start)


def check_given(config: TuneConfig | ApplyConfig) -> None:
    """Passes a configuration that names all that it takes.

    Raises:
        ConfigError: something is not given.
    """
    needed: dict[str, object] = {}
    if isinstance(config, TuneConfig):
        needed["a source"] = config.source
    if isinstance(config, ApplyConfig):
        needed["a reference"] = config.reference or config.people.reference_keypoints
    if isinstance(config, TuneConfig):
        needed["a prompt (--prompt)"] = config.prompt
    for what, value in needed.items():
        if not value:
            raise ConfigError(f"expected {what}, got none; give it on the command line or in the configuration file")


def check_clip(path: str | Path, video: VideoConfig, start: float, *, still: bool = False) -> None:
    """Passes a clip that can be opened and has the frames that are asked for, as far as it says.

    Args:
        path: of the clip.
        video: says which frames are taken.
        start: where they begin, seconds.
        still: whether a single picture will do for all frames.

    Raises:
        VideoError: it is no video, or clearly too short.
    """
    info = probe(path)
    if still and info.frames == 1:
        return
    available = _count_frames(info, video, start)
    if available is not None and available * (1 + DOUBT) + 1 < video.frames:
        raise VideoError(
            f"{path} has {counted(available, 'frame')} from {start:g} s on with stride {video.stride}, "
            f"expected {video.frames}: lower --video.frames, --video.stride or the start, or give a longer clip"
        )


def check_folder(folder: Path) -> None:
    """Passes a place at which a folder can be.

    Raises:
        InputError: something else is there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder for the results at {folder}, got a file: choose another place")


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


def _count_frames(info: VideoInfo, video: VideoConfig, start: float) -> int | None:
    """How many frames can be taken of a clip; None if it does not say."""
    if video.fps is None and info.frames is not None:
        left = info.frames - math.floor(Fraction(start) * info.fps)
    elif info.duration is not None:
        left = math.ceil((info.duration - start) * (video.fps or info.fps))
    else:
        return None
    return max(0, -(-left // video.stride))
