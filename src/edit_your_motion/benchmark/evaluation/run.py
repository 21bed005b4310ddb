"""Everything that can be measured of a clip, or of a folder of clips, whoever made them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from edit_your_motion.benchmark.cells import Labelled
from edit_your_motion.benchmark.datasets.scores import OF_PEOPLE, explain_gaps
from edit_your_motion.benchmark.evaluation.config import EvaluationConfig
from edit_your_motion.benchmark.evaluation.people_in_streams import loop_stream
from edit_your_motion.benchmark.evaluation.subject_people import SubjectPeople
from edit_your_motion.benchmark.evaluation.subjects import Subject, fit_stream, stream
from edit_your_motion.benchmark.pooling import POOLED, pool_distances
from edit_your_motion.benchmark.settings import find_settings, list_settings
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.errors import ConfigError, InputError, MissingExtraError, ModelFileError, VideoError
from edit_your_motion.metrics import (
    METRICS,
    FeatureNetworks,
    Frames,
    FrameStream,
    MetricGap,
    MetricValue,
    Report,
    evaluate,
)
from edit_your_motion.metrics.frames import describe_frames
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.preparation import open_backend
from edit_your_motion.runtime.progress import Progress

logger = logging.getLogger(__name__)

LARGEST_CHANGE = 0.02
"""Share by which resizing may change a picture's aspect ratio; beyond it people would become thinner or fatter."""


@dataclass(frozen=True)
class SetReport:
    """What was measured of one clip or many.

    Args:
        reports: of each clip by its name.
        pooled: distances between all outputs and all truths; of a single clip they are in its own report.
        failures: why a clip could not be measured, by name.
        split: which clips these are, in words.
        settings: that the outputs were made with, as far as the records beside them say.
    """

    reports: Mapping[str, Report]
    pooled: tuple[MetricValue | MetricGap, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    settings: str = ""


def evaluate_subjects(
    subjects: Sequence[Subject],
    config: EvaluationConfig,
    progress: Progress,
    *,
    metrics: Sequence[str] | None = None,
    split: str = "",
) -> SetReport:
    """The metrics of each clip, and the distances between all of them and their truths.

    A clip that cannot be measured is reported and does not stop the others. Frames are read a few at a time.

    Args:
        subjects: at least one.
        config: networks, people, sizes.
        progress: is told how far it is.
        metrics: names from `METRICS`; None: all that each clip's companions allow.
        split: which clips these are, in words.

    Raises:
        ConfigError: there is no such metric.
    """
    if unknown := sorted(set(metrics or ()) - METRICS.keys()):
        raise ConfigError(f"expected metrics out of {', '.join(METRICS)}; got {', '.join(unknown)}")
    many = len(subjects) > 1
    apart = {pooled.metric for pooled in POOLED} if many else set()
    judge = _Judge(config, metrics, split, apart)
    reports: dict[str, Report] = {}
    failures: dict[str, str] = {}
    for number, subject in enumerate(subjects, 1):
        label = Labelled(progress, f"{number}/{len(subjects)} {subject.name}") if many else progress
        try:
            reports[subject.name] = judge.measure(subject, label)
        except InputError as error:
            logger.warning("%s: %s", subject.name, error)
            failures[subject.name] = str(error)
    if not reports:
        first = next(iter(failures.values()))
        raise InputError(f"expected clips that can be measured, got none; the first: {first}" if many else first)
    pooled: tuple[MetricValue | MetricGap, ...] = ()
    if many and (metrics is None or apart & set(metrics)):
        known = [subject for subject in subjects if subject.name in reports and subject.truth is not None]
        pairs = [(stream(subject.output), judge.truths[subject.name]) for subject in known]
        measured = pool_distances(pairs, judge.networks, config.clip_stride, progress)
        pooled = tuple(result for result in measured if metrics is None or result.name in metrics)
    used = {subject.name: [find_settings(subject.output.path)] for subject in subjects if subject.name in reports}
    return SetReport(reports, pooled, failures, split, list_settings(used))


class _Judge:
    """Measures one clip after the other by the same rules."""

    def __init__(self, config: EvaluationConfig, metrics: Sequence[str] | None, split: str, apart: set[str]) -> None:
        self.config, self.metrics, self.split, self.apart = config, metrics, split, apart
        self.networks = FeatureNetworks(**dict(config.networks))
        self.truths: dict[str, Frames] = {}
        self._backend: PeopleBackend | str | None = None

    def measure(self, subject: Subject, progress: Progress) -> Report:
        """The report of one clip."""
        output = stream(subject.output)
        size = describe_frames(output)
        truth, resize = None, False
        if subject.truth is not None:
            truth, resize = self._fit_truth(subject.truth, size)
            self.truths[subject.name] = truth
        source = None if subject.source is None else self._fit_source(subject.source, size)
        asked = [name for name in self.metrics or _choose_metrics(subject) if name not in self.apart]
        sought = {need for name in asked for need in METRICS[name].needs} & set(OF_PEOPLE)
        masks = poses = None
        why = ""
        if sought:
            people = SubjectPeople(subject, output, source, size, self.backend, self.config.alignment, progress)
            masks = people.find_masks() if "masks" in sought else None
            poses = people.find_poses() if "poses" in sought else None
            why = people.why
        report = evaluate(
            output,
            truth=truth,
            source=source,
            prompt=subject.prompt,
            masks=masks,
            poses=poses,
            metrics=asked,
            networks=self.networks,
            resize_to_truth=resize,
            stride=self.config.clip_stride,
            split=self.split or None,
            phase=progress.phase,
        )
        return explain_gaps(report, why) if why else report

    @property
    def backend(self) -> PeopleBackend | str:
        """What looks for people, opened when it is first needed; or why it is not there."""
        if self._backend is None:
            try:
                self._backend = open_backend(self.config.people.of_bodies())
            except (ModelFileError, MissingExtraError) as error:
                self._backend = str(error)
        return self._backend

    def _fit_truth(self, truth: Clip, size: tuple[int, int, int]) -> tuple[Frames, bool]:
        """The truth's frames, cropped to the output's size or as they are, and whether the output is to be resized."""
        info, how = truth.describe(), self.config.resize
        same_shape = abs(info.width * size[1] / (info.height * size[2]) - 1) <= LARGEST_CHANGE
        if how == "others" or (how == "auto" and not same_shape):
            return fit_stream(truth, *size[1:]), False
        if how == "output" and not same_shape:
            raise VideoError(
                f"expected an output of the shape of its truth, got {size[2]}x{size[1]} for {info.width}x{info.height} "
                f"({truth.path}): let the truth be cropped to the output (--resize others)"
            )
        return stream(truth), how != "none"

    def _fit_source(self, source: Clip, size: tuple[int, int, int]) -> Frames:
        fitted = stream(source) if self.config.resize == "none" else fit_stream(source, *size[1:])
        available = describe_frames(fitted)[0]
        return FrameStream(partial(loop_stream, fitted, available, size[0]))


def _choose_metrics(subject: Subject) -> list[str]:
    """What the clips that are given allow; people can be looked for where something is known of them."""
    given = {
        "truth": subject.truth is not None,
        "source": subject.source is not None,
        "prompt": subject.prompt is not None,
        "masks": subject.source is not None,
        "poses": any(each is not None for each in (subject.skeletons, subject.reference, subject.truth)),
    }
    return [name for name, metric in METRICS.items() if all(given[need] for need in metric.needs)]
