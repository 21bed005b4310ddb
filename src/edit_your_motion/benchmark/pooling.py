"""Distances between whole sets of clips: all of a method's against all true ones."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edit_your_motion.errors import InputError, MissingExtraError, ModelFileError
from edit_your_motion.metrics import METRICS, FeatureNetworks, Frames, MetricGap, MetricValue, frechet_distance
from edit_your_motion.metrics.frechet import FewClipsWarning
from edit_your_motion.metrics.video_features import CLIP_FRAMES, ClipEncoder, encode_clips, load_i3d, load_resnet3d
from edit_your_motion.runtime.progress import Progress


@dataclass(frozen=True)
class Pooled:
    """A distance's network.

    Args:
        metric: name in `METRICS`.
        network: name in `FeatureNetworks`.
        load: opens it.
    """

    metric: str
    network: str
    load: Callable[..., ClipEncoder]


POOLED = (Pooled("fid_vid", "resnet3d", load_resnet3d), Pooled("fvd", "i3d", load_i3d))


def pool_distances(
    pairs: Iterable[tuple[Frames, Frames]], networks: FeatureNetworks, stride: int, progress: Progress
) -> tuple[MetricValue | MetricGap, ...]:
    """FID-VID and FVD between all outputs and all truths; a gap for one whose network or clips are missing.

    Args:
        pairs: output and truth of each case; opened again for each distance.
        networks: where the feature networks are.
        stride: frames between the starts of clips.
        progress: is told how far it is.
    """
    pairs = list(pairs)
    return tuple(_measure(pooled, pairs, networks, stride, progress) for pooled in POOLED)


def _measure(
    pooled: Pooled, pairs: list[tuple[Frames, Frames]], networks: FeatureNetworks, stride: int, progress: Progress
) -> MetricValue | MetricGap:
    path = getattr(networks, pooled.network)
    if not pairs:
        return MetricGap(pooled.metric, "needs truth", "give truth")
    if path is None:
        return MetricGap(pooled.metric, f"no {pooled.network} weights were given", f"give --networks.{pooled.network}")
    try:
        encoder = pooled.load(path, networks.device)
        sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        with progress.phase(pooled.metric, len(pairs)) as advance:
            for pair in pairs:
                for features, frames in zip(sides, pair, strict=True):
                    features.append(encode_clips(frames, encoder, stride))
                advance()
        generated, truth = (np.concatenate(features) for features in sides)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FewClipsWarning)
            distance = frechet_distance(generated, truth)
    except (InputError, ModelFileError, MissingExtraError) as why:
        return MetricGap(
            pooled.metric, str(why), f"clips have {CLIP_FRAMES} frames: give longer videos, or right weights"
        )
    metric = METRICS[pooled.metric]
    notes = (
        f"all clips of {len(pairs)} videos in one set",
        f"weights: {Path(path).name}",
        *(str(warning.message) for warning in caught),
    )
    return MetricValue(metric.name, distance, metric.better, metric.convention, len(generated), metric.of, notes)
