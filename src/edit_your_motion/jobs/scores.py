"""What can be measured of one edit: against the truth where there is one, against skeletons and source always."""

import logging
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.config import PeopleConfig
from edit_your_motion.edit import Edit
from edit_your_motion.jobs.run_record import Scores
from edit_your_motion.metrics import MetricGap, PersonMasks, PersonPoses, evaluate
from edit_your_motion.metrics.inputs import FeatureNetworks
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.generated_frames import find_person, open_finder
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import follow_source
from edit_your_motion.person import Person
from edit_your_motion.runtime.progress import Progress

logger = logging.getLogger(__name__)

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
    known = {"source": source, "masks": masks, "skeletons": edit.skeletons, "truth": truth}
    scores = {"edited": score_frames(edit.frames, backend, progress, **known)}
    if truth is not None:
        scores["source"] = score_frames(source, backend, progress, **known)
    return scores


def score_frames(
    frames: UInt8[np.ndarray, "f h w 3"],
    backend: PeopleBackend | None,
    progress: Progress,
    *,
    source: UInt8[np.ndarray, "f h w 3"] | None = None,
    masks: Bool[np.ndarray, "f h w"] | None = None,
    skeletons: Keypoints | None = None,
    truth: UInt8[np.ndarray, "f h w 3"] | None = None,
) -> dict[str, float]:
    """Whatever of the metrics of `score_edit` can be measured with what is known, by name.

    Args:
        frames: what was made.
        backend: looks for the person in them; None: nobody does.
        progress: is told how far it is.
        source: frames that go with them, from which the background is.
        masks: the person's pixels in those.
        skeletons: where the person is to be.
        truth: how the frames should look.
    """
    names = [*(AGAINST_TRUTH if truth is not None else ()), *(["flicker"] if len(frames) > 2 else [])]
    track = None if backend is None else find_person(frames, backend, progress, skeletons)
    if track is not None:
        names += ["pck", "keypoint_error"] if skeletons is not None else []
        names += ["background"] if source is not None and masks is not None else []
    report = evaluate(
        frames,
        truth=truth,
        source=source,
        masks=None if track is None or masks is None else PersonMasks(track.masks, masks),
        poses=None if track is None or skeletons is None else PersonPoses(track.keypoints, skeletons),
        metrics=names,
        networks=FeatureNetworks(allow_fetch=True),
    )
    nobody = track is None and backend is not None and skeletons is not None
    scores = {"pck": 0.0} if nobody else {}
    for result in report.results:
        if isinstance(result, MetricGap):
            logger.warning("%s was not measured: %s; %s", result.name, result.reason, result.remedy)
        else:
            scores[result.name.removesuffix("_alexnet")] = result.value
    return scores
