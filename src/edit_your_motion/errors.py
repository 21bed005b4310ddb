"""What can go wrong, as one tree.

::

    EditYourMotionError
    ├── ConfigError            a configuration key or value that we do not understand (also a ValueError)
    ├── InputError             a file that a user gave cannot be used
    │   ├── VideoError         not a video, truncated, no frames, too few frames
    │   ├── PersonError        nobody found, an empty mask, keypoints that do not fit the frames
    │   └── CheckpointError    missing files, pickles, parts that do not fit each other
    ├── ModelFileError         a downloadable model file is absent, cannot be fetched, or has the wrong checksum
    ├── MissingExtraError      an optional dependency is not installed (also an ImportError)
    └── ResourceError          the machine ran out of something
        ├── DiskFullError
        ├── FolderInUseError   another job writes there
        └── OutOfMemoryError

Every message says what was expected, what came, and what to do. Settings stand in it as the command line names them;
whoever tells it to somebody who has no command line renames them by `rename_settings`.
"""

import errno
import re
from collections.abc import Callable

FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*)")
"""How messages name a setting; the group is its name."""

_TWICE = re.compile(r"('[^']{1,40}')((?: or|, or|,| and) \1)+")


class EditYourMotionError(Exception):
    """Any failure that a user can do something about; the command line prints its message and exits with 1."""


class ConfigError(EditYourMotionError, ValueError):
    """A configuration key or value that we do not understand."""


class InputError(EditYourMotionError):
    """A file that a user gave cannot be used."""


class VideoError(InputError):
    """Not a video, truncated, without frames, or with fewer frames than were asked for."""


class PersonError(InputError):
    """Nobody was found, a mask is empty, or keypoints do not fit the frames."""


class CheckpointError(InputError):
    """A checkpoint folder lacks files, holds pickles, or does not fit its companions."""


class ModelFileError(EditYourMotionError):
    """A downloadable model file is absent, cannot be fetched, or has the wrong checksum."""


class MissingExtraError(EditYourMotionError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: the package that could not be imported.
        extra: the extra of ours that installs it.
        purpose: what needs it, as the subject of a sentence ("the rtmlib pose backend").
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package '{package}': pip install 'edit-your-motion[{extra}]'")


class ResourceError(EditYourMotionError):
    """The machine ran out of something."""


class DiskFullError(ResourceError):
    """No room was left for a result; nothing half-written remains."""


class FolderInUseError(ResourceError):
    """Another job writes to the same folder; the message says which."""


class OutOfMemoryError(ResourceError):
    """Memory ran out; the message names the settings to lower.

    Args:
        device: of which.
        at: what was being read; empty where that is of no account.
    """

    def __init__(self, message: str | None = None, *, device: object = "this machine", at: object = "") -> None:
        where = f"{device} at {at}" if at else device
        super().__init__(
            message
            or f"memory ran out on {where}; say what there is by --runtime.memory 8GB, lower --video.size or "
            "--windows.frames, keep --tuning.gradient-checkpointing on and --runtime.winograd off, or set "
            "--runtime.frozen-storage fp16 or --runtime.precision bf16; a tuning goes on where it was"
        )


OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "Cannot allocate memory",
    "create a primitive",
    "failed to map segment",
    "can't start new thread",
)
"""How libraries say it in errors of other kinds; the last three are oneDNN, which gives no reason, the loader of
libraries, for which nothing is left, and Python, which has no room for a thread's stack."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error, whichever library raised it, is that memory ran out."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM  # of the system, and of FFmpeg, whose errors are none of it
        or type(error).__name__ == "OutOfMemoryError"  # torch's; to ask torch would import it
        or any(words in str(error) for words in OUT_OF_MEMORY)
    )


def refuse_for_memory(error: BaseException, at: object) -> None:
    """Passes what is wrong with a file that was being read.

    Raises:
        OutOfMemoryError: not the file is at fault, memory ran out over it.
    """
    if ran_out_of_memory(error):
        raise OutOfMemoryError(at=at) from error


def counted(count: int, noun: str) -> str:
    """The count with its noun, for messages: "1 frame", "2 frames"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def rename_settings(message: str, name: Callable[[str], str]) -> str:
    """A message in the words of somebody who has no flags.

    Args:
        message: as the command line says it.
        name: what they call a setting, "sampling.guidance-scale"; quoted names that then follow one another are said
            once.
    """
    return _TWICE.sub(r"\1", FLAG.sub(lambda found: name(found[1]), message))
