"""One edit of a data set's case: every metric of the catalogue that a single clip allows, a gap for each other."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.benchmark.cells import CellScores
from edit_your_motion.benchmark.paired.scores import LARGEST_PSNR
from edit_your_motion.metrics import (
    METRICS,
    FeatureNetworks,
    MetricGap,
    MetricValue,
    PersonMasks,
    PersonPoses,
    Report,
    evaluate,
)
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.generated_frames import find_person
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.runtime.progress import Progress

POOLED = ("fid_vid", "fvd")
"""Distances between sets of clips: measured over all cases of a method, not in its cells."""

OF_PEOPLE = ("masks", "poses")
"""What metrics need that takes a person found in the edit."""


@dataclass(frozen=True, eq=False)
class Known:
    """What an edit is measured against.

    Args:
        source: the untouched frames, as many as the edit's.
        masks: the person in them.
        truth: what the edit should become; None if nobody knows.
        prompt: what the edit should show.
        split: which cases of which data set, in words.
    """

    source: UInt8[np.ndarray, "f h w 3"]
    masks: Bool[np.ndarray, "f h w"]
    truth: UInt8[np.ndarray, "f h w 3"] | None
    prompt: str
    split: str


def score_frames(
    frames: UInt8[np.ndarray, "f h w 3"],
    given: Keypoints,
    known: Known,
    networks: FeatureNetworks,
    backend: PeopleBackend | str,
    progress: Progress,
) -> CellScores:
    """The scores of an edit by the names of `METRICS`, but for the pooled ones.

    Args:
        frames: the edit, as many and as large as the source's.
        given: the skeletons that guided it.
        known: what it is measured against.
        networks: where the learned metrics find their weights.
        backend: looks for the person in the edit; a text says why it is not there.
        progress: is told how far it is.
    """
    track = None if isinstance(backend, str) else find_person(frames, backend, progress, given)
    poses = None
    if not isinstance(backend, str):
        poses = PersonPoses(nobody(len(frames), *frames.shape[1:3]) if track is None else track.keypoints, given)
    report = evaluate(
        frames,
        truth=known.truth,
        source=known.source,
        prompt=known.prompt or None,
        masks=None if track is None else PersonMasks(track.masks, known.masks),
        poses=poses,
        metrics=[name for name in METRICS if name not in POOLED],
        networks=networks,
        split=known.split,
        phase=progress.phase,
    )
    return as_scores(explain_gaps(report, backend if isinstance(backend, str) else "nobody was found in the edit"))


def as_scores(report: Report) -> CellScores:
    """A report's values, finite so that means stay so: equal frames get `LARGEST_PSNR`."""
    values = {name: min(value, LARGEST_PSNR) if math.isinf(value) else value for name, value in report.values.items()}
    measured = (result for result in report.results if isinstance(result, MetricValue))
    notes = tuple(f"{result.name}: {note}" for result in measured for note in result.notes)
    return CellScores(values, {gap.name: gap.reason for gap in report.gaps}, notes)


def explain_gaps(report: Report, why: str) -> Report:
    """The report with the reason why people's masks or poses were not to be had in the place of their mere absence."""
    results = tuple(
        replace(result, reason=why)
        if isinstance(result, MetricGap) and not set(OF_PEOPLE).isdisjoint(result.reason.split())
        else result
        for result in report.results
    )
    return replace(report, results=results)


def nobody(frames: int, height: int, width: int) -> Keypoints:
    """A clip in which no joint was found."""
    return Keypoints(np.zeros((frames, len(BODY_JOINTS), 3), np.float32), height, width)
