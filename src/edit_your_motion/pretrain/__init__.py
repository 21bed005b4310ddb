"""Training of a small base with its ControlNet on synthetic people, from nothing to a folder that an edit can use."""

from edit_your_motion.pretrain.config import PretrainConfig
from edit_your_motion.pretrain.exporting import export
from edit_your_motion.pretrain.pipeline import pretrain

__all__ = ["PretrainConfig", "export", "pretrain"]
