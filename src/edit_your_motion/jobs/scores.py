"""What can be measured of one edit: against the truth where there is one, against skeletons and source always."""

import logging
from fractions import Fraction

import numpy as np
from jaxtyping import UInt8

from edit_your_motion.config import PeopleConfig
from edit_your_motion.edit import Edit, follow_source
from edit_your_motion.metrics import MetricGap, PersonMasks, PersonPoses, evaluate
from edit_your_motion.metrics.inputs import FeatureNetworks
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.generated_frames import find_person, open_finder
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.person import Person
from edit_your_motion.runtime.progress import Progress

logger = logging.getLogger(__name__)

Scores = dict[str, dict[str, float]]
"""For "edited" (and for "source", the untouched frames, where there is a truth): value by name of the metric."""

AGAINST_TRUTH = ("psnr", "ssim", "lpips_alexnet")


def score_edit(
    edit: Edit,
    person: Person,
    fps: Fraction,
    people: PeopleConfig,
    truth: UInt8[np.ndarray, "f h w 3"] | None,
    progress: Progress,
) -> Scores:
    """The metrics of an edit: ``pck`` and ``keypoint_error`` against the skeletons that guided it,
    ``background`` against the source, ``flicker``; and with a truth ``psnr``, ``ssim``, ``lpips``.

    Args:
        edit: what `apply_motion` made.
        person: who was edited.
        fps: at which the edit plays, frames/s.
        people: the backend that looks for the person in the edit.
        truth: the same person truly doing that motion, frame by frame; None if nobody knows.
        progress: is told how far it is.
    """
    chosen = follow_source(person.source, len(edit.frames), fps)
    source, masks = person.source.video.frames[chosen], person.source.masks[chosen]
    backend = open_finder(people)
    scores = {"edited": _score(edit.frames, source, masks, edit.skeletons, backend, truth, progress)}
    if truth is not None:
        scores["source"] = _score(source, source, masks, edit.skeletons, backend, truth, progress)
    return scores


def _score(
    frames: UInt8[np.ndarray, "f h w 3"],
    source: UInt8[np.ndarray, "f h w 3"],
    masks: np.ndarray,
    skeletons: Keypoints,
    backend: PeopleBackend | None,
    truth: UInt8[np.ndarray, "f h w 3"] | None,
    progress: Progress,
) -> dict[str, float]:
    names = [*(AGAINST_TRUTH if truth is not None else ()), *(["flicker"] if len(frames) > 2 else [])]
    track = None if backend is None else find_person(frames, backend, progress)
    if track is not None:
        names += ["pck", "keypoint_error", "background"]
    report = evaluate(
        frames,
        truth=truth,
        source=source,
        masks=None if track is None else PersonMasks(track.masks, masks),
        poses=None if track is None else PersonPoses(track.keypoints, skeletons),
        metrics=names,
        networks=FeatureNetworks(allow_fetch=True),
    )
    scores = {"pck": 0.0} if track is None and backend is not None else {}
    for result in report.results:
        if isinstance(result, MetricGap):
            logger.warning("%s was not measured: %s; %s", result.name, result.reason, result.remedy)
        else:
            scores[result.name.removesuffix("_alexnet")] = result.value
    return scores
