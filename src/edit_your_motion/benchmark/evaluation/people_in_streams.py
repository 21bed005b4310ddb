"""The person in frames that are never held together."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edit_your_motion.errors import PersonError
from edit_your_motion.metrics import Frames
from edit_your_motion.metrics.frames import iterate_batches
from edit_your_motion.people.finders.contract import PeopleBackend, PersonDetection
from edit_your_motion.people.preparation import DETECTION_SIDE
from edit_your_motion.people.tracking.appearance import add_looks
from edit_your_motion.people.tracking.tracker import Track, follow_person
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.video import Fit, fit_frames

logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Frames that the backend is given at a time; it looks for everybody anew in the first of them."""


def follow_in_stream(frames: Frames, count: int, backend: PeopleBackend, progress: Progress, name: str) -> Track | None:
    """The person in the frames, on their canvas; None, and a warning, if nobody can be made out.

    Masks are held, a byte a pixel; frames are not.

    Args:
        frames: can be read again.
        count: how many there are.
        backend: looks for people.
        progress: is told how far it is.
        name: of the clip, for the warning.
    """
    detections: list[list[PersonDetection]] = []
    height = width = 0
    with progress.phase(f"find the person of {name}", count) as advance:
        for batch in iterate_batches(frames, AT_ONCE):
            height, width = batch.shape[1:3]
            zoom = max(1, -(-DETECTION_SIDE // min(height, width)))
            large = fit_frames(batch, Fit(height * zoom, width * zoom))
            found = add_looks(large, backend.detect(large, on_frame=lambda done, total: advance()))
            detections += [[_shrink(person, zoom) for person in people] for people in found]
    try:
        return follow_person(detections, height, width)
    except PersonError:
        logger.warning("nobody was found in %s", name)
        return None


def loop_stream(frames: Frames, available: int, wanted: int) -> Iterator[np.ndarray]:
    """`wanted` frames out of `available`, to and fro as `loop_frames`; only a clip that is too short is held."""
    held: list[np.ndarray] = []
    given = 0
    for batch in iterate_batches(frames):
        for frame in batch[: wanted - given]:
            given += 1
            if available < wanted:
                held.append(frame)
            yield frame[None]
    there_and_back = [*range(available), *range(available - 2, 0, -1)]
    for index in range(given, wanted):
        yield held[there_and_back[index % len(there_and_back)]][None]


def _shrink(person: PersonDetection, zoom: int) -> PersonDetection:
    """The person on a canvas `zoom` times smaller."""
    if zoom == 1:
        return person

    def shrink(points: np.ndarray | None) -> np.ndarray | None:
        return None if points is None else points / np.array([zoom, zoom, 1], np.float32)

    body = shrink(person.body)
    assert body is not None
    mask = None if person.mask is None else person.mask[zoom // 2 :: zoom, zoom // 2 :: zoom]
    box, hands, face = person.box / np.float32(zoom), shrink(person.hands), shrink(person.face)
    return replace(person, box=box, body=body, hands=hands, face=face, mask=mask)
