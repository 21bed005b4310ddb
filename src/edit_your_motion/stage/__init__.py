"""Synthetic people who move, and the truth about every frame of them.

Scenes are choices drawn from seeds (`Scene`, `Pair`); rendering them (`render_clip`, `render_pair`, `training_stream`)
needs numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edit_your_motion.stage.bvh import read_bvh
from edit_your_motion.stage.caption import caption
from edit_your_motion.stage.scene import Scene

if TYPE_CHECKING:
    from edit_your_motion.stage.pairs import Pair, RenderedPair, render_pair
    from edit_your_motion.stage.render import RenderedClip, render_clip
    from edit_your_motion.stage.stream import RenderedBatch, training_stream

__all__ = [
    "Pair",
    "RenderedBatch",
    "RenderedClip",
    "RenderedPair",
    "Scene",
    "caption",
    "read_bvh",
    "render_clip",
    "render_pair",
    "training_stream",
]

_RENDERING = {
    "Pair": "pairs",
    "RenderedPair": "pairs",
    "render_pair": "pairs",
    "RenderedClip": "render",
    "render_clip": "render",
    "RenderedBatch": "stream",
    "training_stream": "stream",
}


def __getattr__(name: str) -> Any:
    """Import what needs numba when it is asked for."""
    if name in _RENDERING:
        return getattr(import_module(f"edit_your_motion.stage.{_RENDERING[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
