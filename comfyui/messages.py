"""What goes wrong in the words of the nodes: a setting that the library names by its flag is named by its input."""

from collections.abc import Iterator
from contextlib import contextmanager

from edit_your_motion.errors import EditYourMotionError, rename_settings
from edit_your_motion.web.offers import FREE

INPUTS = {
    "base": "'Load base'",
    "controlnet": "'Load base'",
    "edit-prompt": "'prompt'",
    "fps": "'fps'",
    "model.base": "'Load base'",
    "model.controlnet": "'Load base'",
    "other-base": "'Tune person' on it",
    "people.keypoints": "'poses'",
    "people.masks": "'masks'",
    "people.person": "'Find people'",
    "people.reference-keypoints": "'motion'",
    "people.reference-person": "'Find people'",
    "preset": "'preset'",
    "prompt": "'prompt'",
    "runtime.precision": "'precision'",
    "runtime.seed": "'random_seed'",
    "video.fps": "'fps'",
    "video.frames": "the number of images",
    "video.size": "the images' size",
}
"""What stands for a setting on the nodes; 'settings' takes what a workflow may bring besides."""


@contextmanager
def in_node_words() -> Iterator[None]:
    """Has errors of the library speak of inputs, not of flags, which nobody who reads them could give."""
    try:
        yield
    except EditYourMotionError as error:
        error.args = (rename_settings(str(error), _name), *error.args[1:])
        raise


def _name(flag: str) -> str:
    if flag in INPUTS:
        return INPUTS[flag]
    setting = flag.replace("-", "_")
    return f"'settings' {setting}" if flag.partition(".")[0] in FREE else f"the library's {setting}"
