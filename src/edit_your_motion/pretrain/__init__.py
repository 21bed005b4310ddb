"""Training of a small base with its ControlNet on synthetic people, from nothing to a folder that an edit can use.

The settings load at once; what needs torch when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edit_your_motion.pretrain.config import PretrainConfig

if TYPE_CHECKING:
    from edit_your_motion.pretrain.exporting import export
    from edit_your_motion.pretrain.pipeline import pretrain

__all__ = ["PretrainConfig", "export", "pretrain"]

_HOMES = {"export": "exporting", "pretrain": "pipeline"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"edit_your_motion.pretrain.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
