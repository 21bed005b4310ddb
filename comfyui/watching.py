"""How far a node is, on ComfyUI's own bar with a picture; and its button that stops, obeyed after every step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import comfy.model_management
import comfy.utils
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from edit_your_motion.config import Section
from edit_your_motion.jobs.phases import count_steps, weigh_phases
from edit_your_motion.models.downloads import without_downloads
from edit_your_motion.runtime.progress import Advance, JobClock

PARTS = 1000
"""Of the bar: it has whole ones only."""

LARGEST_PREVIEW = 512
"""Pixels."""

BETWEEN_PREVIEWS = 0.5
"""Seconds."""


class NodeProgress:
    """Shows how far a node is; raises ComfyUI's own exception at the step after which somebody wants it to stop.

    Args:
        config: whose long phases are ahead; None: each phase has the bar to itself.
    """

    def __init__(self, config: Section | None = None) -> None:
        steps = {} if config is None else count_steps(config)
        self.clock, self.bar, self.shown = JobClock(), comfy.utils.ProgressBar(PARTS), 0.0
        self.clock.expect(weigh_phases(steps), steps)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """A phase of `total` steps."""
        self.clock.begin(name, total)
        self._tell()

        def advance() -> None:
            self.clock.advance()
            self._tell()

        yield advance
        self.clock.end()

    @property
    def wants_picture(self) -> bool:
        """Whether the last preview is old enough for another."""
        return time.monotonic() - self.shown > BETWEEN_PREVIEWS

    def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Shows a preview."""
        self.shown = time.monotonic()
        self._tell(("JPEG", Image.fromarray(picture), LARGEST_PREVIEW))

    def _tell(self, preview: Any = None) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        share = self.clock.part if self.clock.share is None else self.clock.share
        self.bar.update_absolute(round(PARTS * share), PARTS, preview)


@contextmanager
def downloads(allowed: bool) -> Iterator[None]:
    """Nothing is downloaded within it, unless that was asked for."""
    with nullcontext() if allowed else without_downloads():
        yield
