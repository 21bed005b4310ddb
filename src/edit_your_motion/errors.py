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

Every message says what was expected, what came, and what to do.
"""

import errno


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
    """

    def __init__(self, message: str | None = None, *, device: object = "this machine") -> None:
        super().__init__(
            message
            or f"memory ran out on {device}; say what there is by --runtime.memory 8GB, lower --video.size or "
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
)
"""How libraries say it in plain errors; the last but one is oneDNN, which gives no reason, the last the loader of
libraries, for which nothing is left."""

_PLAIN = (RuntimeError, ImportError, OSError)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error, whichever library raised it, is that memory ran out."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM  # of the system, and of FFmpeg, whose errors are none of it
        or type(error).__name__ == "OutOfMemoryError"  # torch's; to ask torch would import it
        or (isinstance(error, _PLAIN) and any(words in str(error) for words in OUT_OF_MEMORY))
    )


def counted(count: int, noun: str) -> str:
    """The count with its noun, for messages: "1 frame", "2 frames"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
