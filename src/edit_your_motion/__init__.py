"""Video motion editing of people: one person, another one's motion.

The public names below are loaded when they are first used, so that importing the package costs nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read by huggingface_hub and diffusers when they are imported

if TYPE_CHECKING:
    from edit_your_motion.config import ApplyConfig, EditConfig, TuneConfig
    from edit_your_motion.edit import Edit, apply_motion, tune_person
    from edit_your_motion.errors import (
        CheckpointError,
        ConfigError,
        DiskFullError,
        EditYourMotionError,
        FolderInUseError,
        InputError,
        MissingExtraError,
        ModelFileError,
        OutOfMemoryError,
        PersonError,
        ResourceError,
        VideoError,
    )
    from edit_your_motion.models.tiny import make_base, make_controlnet, make_motion_adapter
    from edit_your_motion.people.alignment import align
    from edit_your_motion.people.keypoints import Keypoints
    from edit_your_motion.people.preparation import PreparedClip
    from edit_your_motion.people.skeleton import draw_skeleton
    from edit_your_motion.person import Person
    from edit_your_motion.pipeline import EditOutput, EditYourMotionPipeline
    from edit_your_motion.presets import make_config
    from edit_your_motion.runtime.progress import Progress
    from edit_your_motion.video import Video, read_video, write_video

# Before torch multiplies for the first time.
_matmul = import_module("edit_your_motion.runtime.matmul_rounding")
_matmul.ask_for_same_digits()
_matmul.keep_to_narrow_vectors()

__version__ = "0.1.0"

_HOMES = {
    "config": ("ApplyConfig", "EditConfig", "TuneConfig"),
    "edit": ("Edit", "apply_motion", "tune_person"),
    "errors": (
        "CheckpointError",
        "ConfigError",
        "DiskFullError",
        "EditYourMotionError",
        "FolderInUseError",
        "InputError",
        "MissingExtraError",
        "ModelFileError",
        "OutOfMemoryError",
        "PersonError",
        "ResourceError",
        "VideoError",
    ),
    "people.alignment": ("align",),
    "people.keypoints": ("Keypoints",),
    "people.skeleton": ("draw_skeleton",),
    "person": ("Person",),
    "pipeline": ("EditOutput", "EditYourMotionPipeline"),
    "people.preparation": ("PreparedClip",),
    "presets": ("make_config",),
    "runtime.progress": ("Progress",),
    "models.tiny": ("make_base", "make_controlnet", "make_motion_adapter"),
    "video": ("Video", "read_video", "write_video"),
}
"""The module that each public name lives in."""

__all__ = [
    "ApplyConfig",
    "CheckpointError",
    "ConfigError",
    "DiskFullError",
    "Edit",
    "EditConfig",
    "EditOutput",
    "EditYourMotionError",
    "EditYourMotionPipeline",
    "FolderInUseError",
    "InputError",
    "Keypoints",
    "MissingExtraError",
    "ModelFileError",
    "OutOfMemoryError",
    "Person",
    "PersonError",
    "PreparedClip",
    "Progress",
    "ResourceError",
    "TuneConfig",
    "Video",
    "VideoError",
    "__version__",
    "align",
    "apply_motion",
    "draw_skeleton",
    "make_base",
    "make_config",
    "make_controlnet",
    "make_motion_adapter",
    "read_video",
    "tune_person",
    "write_video",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"edit_your_motion.{module}"), name)
    raise AttributeError(f"module 'edit_your_motion' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
