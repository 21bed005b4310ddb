"""All metrics of one generated video in one call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from edit_your_motion.errors import (
    CheckpointError,
    ConfigError,
    EditYourMotionError,
    InputError,
    MissingExtraError,
    ModelFileError,
    VideoError,
)
from edit_your_motion.metrics.catalogue import METRICS, Metric
from edit_your_motion.metrics.frames import Frames, check_readable_again, describe_frames, iterate_frames, resize_frames
from edit_your_motion.metrics.inputs import FeatureNetworks, PersonMasks, PersonPoses
from edit_your_motion.metrics.report import MetricGap, MetricValue, Report
from edit_your_motion.metrics.session import GapError, Session
from edit_your_motion.runtime.progress import Advance, SilentProgress

Phase: TypeAlias = Callable[[str, int], AbstractContextManager[Advance]]
"""Announces a phase by its name and number of steps; see `Progress.phase`."""

REMEDY = "give a video that allows this metric, or leave it out"


def evaluate(
    generated: Frames,
    truth: Frames | None = None,
    source: Frames | None = None,
    prompt: str | None = None,
    masks: PersonMasks | None = None,
    poses: PersonPoses | None = None,
    metrics: Sequence[str] | None = None,
    networks: FeatureNetworks | None = None,
    *,
    resize_to_truth: bool = False,
    stride: int = 1,
    split: str | None = None,
    phase: Phase | None = None,
) -> Report:
    """The metrics of one generated video, each with its convention, and a named gap for each that cannot be measured.

    Every metric reads the frames anew, a few at a time, so that the length of a video costs time and not memory.

    Args:
        generated: an array, a list of batches, or a `FrameStream`; not a bare iterator.
        truth: the same motion of the same person, frame by frame.
        source: the video that was edited, as long as `generated`, or one frame.
        prompt: what the generated video should show.
        masks: for the background metrics.
        poses: for the pose metrics.
        metrics: names from `METRICS`; None: all that the other arguments allow.
        networks: where the learned metrics find their weights.
        resize_to_truth: resize generated frames (PIL bicubic) for the metrics that compare with `truth`, where they
            differ; otherwise that is an error.
        stride: frames between the starts of FID-VID's and FVD's clips.
        split: which clips of which dataset, in words; stands in the report.
        phase: `Progress.phase` of whatever shows how far each metric is; a step is a frame.

    Raises:
        ConfigError: a metric that does not exist, or a stride below 1.
        InputError: generated frames that do not fit the truth, or that cannot be read twice. What only one metric
            stumbles over becomes a gap instead.
    """
    if unknown := sorted(set(metrics or ()) - METRICS.keys()):
        raise ConfigError(f"expected metrics out of {', '.join(METRICS)}; got {', '.join(unknown)}")
    if stride < 1:
        raise ConfigError(f"expected a stride of 1 frame or more between clips, got {stride}")
    given = {"truth": truth, "source": source, "prompt": prompt, "masks": masks, "poses": poses}
    absent = {name for name, value in given.items() if value is None}
    chosen = _possible(absent) if metrics is None else [METRICS[name] for name in metrics]
    for stream in (generated, truth, source, *((masks.generated, masks.source) if masks else ())):
        if stream is not None:
            check_readable_again(stream)
    frames, height, width = describe_frames(generated)
    measured_height, measured_width = height, width
    if truth is not None and any("truth" in metric.needs and metric.of == "frames" for metric in chosen):
        measured_height, measured_width = _agree_on_size((frames, height, width), truth, resize_to_truth)
    watched = _WatchedFrames(generated)
    session = Session(
        generated=watched,
        fitted=resize_frames(watched, measured_height, measured_width),
        truth=truth,
        source=source,
        prompt=prompt,
        masks=masks,
        poses=poses,
        networks=networks or FeatureNetworks(),
        stride=stride,
    )
    announce = phase or SilentProgress().phase
    results = []
    for metric in chosen:
        with announce(metric.name, frames) as advance:
            watched.watch(advance)
            results.append(_measure(metric, session, absent))
    return Report(
        tuple(results), frames, height, width, measured_height, measured_width, stride, prompt=prompt, split=split
    )


def _agree_on_size(generated: tuple[int, int, int], truth: Frames, resize: bool) -> tuple[int, int]:
    """Height and width at which generated frames stand beside true ones."""
    count, height, width = describe_frames(truth)
    if count != generated[0] or (not resize and (height, width) != generated[1:]):
        raise VideoError(
            f"expected a truth of {generated[0]} frames of {generated[2]}x{generated[1]} as generated, got {count} of "
            f"{width}x{height}: cut both to the same frames, or resize (resize_to_truth)"
        )
    return height, width


@dataclass
class _WatchedFrames:
    """Frames that advance a bar when one of them is read for the first time since `watch`."""

    frames: Frames
    advance: Advance | None = None
    furthest: int = 0

    def watch(self, advance: Advance) -> None:
        """Begins to count from the first frame."""
        self.advance, self.furthest = advance, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, frame in enumerate(iterate_frames(self.frames), start=1):
            if self.advance is not None and number > self.furthest:
                self.furthest = number
                self.advance()
            yield frame[None]


def _possible(absent: set[str]) -> list[Metric]:
    return [metric for metric in METRICS.values() if absent.isdisjoint(metric.needs)]


def _measure(metric: Metric, session: Session, absent: set[str]) -> MetricValue | MetricGap:
    if missing := [name for name in metric.needs if name in absent]:
        return MetricGap(metric.name, f"needs {' and '.join(missing)}", f"give {' and '.join(missing)}")
    session.notes.clear()
    try:
        measured = metric.measure(session)
    except GapError as gap:
        return MetricGap(metric.name, gap.reason, gap.remedy)
    except (ModelFileError, MissingExtraError, InputError) as why:
        return MetricGap(metric.name, str(why), _find_remedy(why))
    if isinstance(measured, tuple):
        value, count = measured
    else:
        there = measured[~np.isnan(measured)]
        if not len(there):
            return MetricGap(metric.name, f"none of {len(measured)} {metric.of} had anything to measure", REMEDY)
        value, count = float(there.mean()), len(there)
        if count < len(measured):
            session.notes.append(f"{len(measured) - count} of {len(measured)} {metric.of} had nothing to measure")
    return MetricValue(metric.name, value, metric.better, metric.convention, count, metric.of, tuple(session.notes))


def _find_remedy(why: EditYourMotionError) -> str:
    if isinstance(why, ModelFileError):
        return "fetch the weights, or allow their download (networks.allow_fetch)"
    if isinstance(why, MissingExtraError):
        return "install the package"
    if isinstance(why, CheckpointError):
        return "give weights that fit"
    return REMEDY
