"""The person in frames that were generated."""

import logging

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.config import PeopleConfig
from edit_your_motion.errors import MissingExtraError, ModelFileError, PersonError
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import DETECTION_SIDE, open_backend
from edit_your_motion.people.tracking.appearance import add_looks
from edit_your_motion.people.tracking.tracker import Track, follow_person
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.video import Fit, fit_frames

logger = logging.getLogger(__name__)


def find_masks(
    frames: UInt8[np.ndarray, "f h w 3"], people: PeopleConfig, progress: Progress, expected: Keypoints
) -> Bool[np.ndarray, "f h w"] | None:
    """The person's pixels in generated frames; None, with a warning, if nobody or no backend can be found.

    Args:
        frames: on a canvas of any size.
        people: which backend.
        progress: is told of each frame.
        expected: where the person is to be.
    """
    backend, phase = open_finder(people), "find the edited person"
    track = None if backend is None else find_person(frames, backend, progress, expected, phase=phase)
    return None if track is None else track.masks


def open_finder(people: PeopleConfig) -> PeopleBackend | None:
    """The people backend for looking at what was made; None, with a warning, if it cannot be had."""
    try:
        return open_backend(people.of_bodies())
    except (ModelFileError, MissingExtraError) as error:
        logger.warning("nobody was looked for in the edited frames: %s", error)
        return None


def find_person(
    frames: UInt8[np.ndarray, "f h w 3"],
    backend: PeopleBackend,
    progress: Progress,
    expected: Keypoints | None = None,
    *,
    phase: str = "score",
) -> Track | None:
    """The person in generated frames, on their canvas; None, with a warning, if nobody can be made out.

    What was generated may hold a second thing that looks like a person, a tree or an arm of theirs: of several,
    whoever stands where the person is `expected` is taken.
    """
    height, width = frames.shape[1:3]
    zoom = max(1, -(-DETECTION_SIDE // min(height, width)))
    large = fit_frames(frames, Fit(height * zoom, width * zoom))
    with progress.phase(phase, len(frames)) as advance:
        detections = backend.detect(large, on_frame=lambda done, total: advance())
    try:
        near = None if expected is None else expected.mapped(np.full(2, float(zoom)), np.zeros(2), *large.shape[1:3])
        track = follow_person(add_looks(large, detections), *large.shape[1:3], near=near)
    except PersonError:
        logger.warning("nobody was found in the edited frames")
        return None
    keypoints = track.keypoints.mapped(np.full(2, 1 / zoom), np.zeros(2), height, width)
    return Track(keypoints, track.masks[:, zoom // 2 :: zoom, zoom // 2 :: zoom], track.found, track.people)
