"""One edit against the truth: the whole frame, the person, what the person left, and where nobody stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from edit_your_motion.benchmark.cells import CellScores
from edit_your_motion.benchmark.paired.likeness import compare_colours, compare_heads
from edit_your_motion.errors import ModelFileError, PersonError, VideoError
from edit_your_motion.metrics import (
    Lpips,
    flicker,
    keypoint_error,
    load_lpips,
    lpips,
    mean_absolute_error,
    pck,
    pck_unsided,
    psnr,
    ssim,
)
from edit_your_motion.metrics.background import grow_mask
from edit_your_motion.metrics.report import Better
from edit_your_motion.metrics.structural import WINDOW, sum_windows
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.generated_frames import find_person
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.runtime.progress import Progress

LARGEST_PSNR = 100.0
"""What equal frames get, in dB, so that means and intervals stay finite."""

_OF_PIXELS: tuple[tuple[str, Better, str], ...] = (
    ("mae", "lower", "mean |x - y| of 0..255"),
    ("psnr", "higher", f"dB of each frame, at most {LARGEST_PSNR:g}, averaged"),
    ("ssim", "higher", "greyscale, 7x7 windows that touch the region"),
    ("lpips", "lower", "AlexNet v0.1, not divided by the region's area"),
)
_REGIONS = {
    "": "the whole frame",
    "person_": "where the truth shows the person",
    "uncovered_": "where the source shows the person and the truth does not",
    "background_": "where neither source nor truth shows the person",
}


@dataclass(frozen=True)
class PairedMetric:
    """What a score means: which direction is better, and its convention in one line."""

    better: Better
    convention: str


_PARTS = ("hair", "skin", "top", "bottom", "shoes")
"""What of a person has a colour of its own."""

_OF_POSE: Mapping[str, Callable[[Keypoints, Keypoints], Float64[np.ndarray, "f"]]] = MappingProxyType(
    {"pck": pck, "pck_unsided": pck_unsided, "keypoint_error": keypoint_error}
)

PAIRED_METRICS: Mapping[str, PairedMetric] = MappingProxyType(
    {
        **{
            prefix + name: PairedMetric(better, f"{region}: {convention}")
            for prefix, region in _REGIONS.items()
            for name, better, convention in _OF_PIXELS
        },
        "pck": PairedMetric("higher", "PCK at 0.1 of the person found in the edit, against the skeletons it was given"),
        "pck_unsided": PairedMetric("higher", "the same, left and right exchanged in the frames where that is better"),
        "keypoint_error": PairedMetric("lower", "pixels, against the skeletons it was given"),
        "pck_truth": PairedMetric("higher", "PCK at 0.1 of the person found in the edit, against the true keypoints"),
        "pck_unsided_truth": PairedMetric(
            "higher", "the same, left and right exchanged in the frames where that is better"
        ),
        "keypoint_error_truth": PairedMetric("lower", "pixels, against the true keypoints"),
        "silhouette": PairedMetric(
            "lower",
            "how much of the source's person still shows where nobody is any more: the least-squares share of "
            "source - truth in edit - truth; 0 for the truth, 1 for the untouched source",
        ),
        "colours": PairedMetric("lower", f"CIEDE2000 of the median colours of {', '.join(_PARTS)}, averaged"),
        **{
            f"colour_{part}": PairedMetric("lower", f"CIEDE2000 of the median colour where the truth shows {part}")
            for part in _PARTS
        },
        "head_lpips": PairedMetric("lower", "LPIPS (AlexNet v0.1) of a square about the truth's head, at 64x64"),
        "flicker": PairedMetric("lower", "mean |x_t - (x_{t-1} + x_{t+1}) / 2|; compare with the truth's own"),
    }
)
"""Every score of the paired benchmark."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What an edit should have become.

    Args:
        frames: the source person truly doing the motion.
        masks: the person in them.
        source_frames: the source's, one for each of the truth's.
        source_masks: the person in them.
        keypoints: of the person, true.
        parts: where hair, skin, top, bottom and shoes are seen in them; those that are known.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    masks: Bool[np.ndarray, "f h w"]
    source_frames: UInt8[np.ndarray, "f h w 3"]
    source_masks: Bool[np.ndarray, "f h w"]
    keypoints: Keypoints
    parts: Mapping[str, Bool[np.ndarray, "f h w"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judges:
    """The networks that scores need; a text in the place of one says why it is not there."""

    lpips: Lpips | str
    people: PeopleBackend | str


def find_lpips() -> Lpips | str:
    """LPIPS on AlexNet, downloaded where it is absent; or why it cannot be had."""
    try:
        return load_lpips("alexnet", allow_fetch=True)
    except ModelFileError as error:
        return str(error)


def score_edit(
    frames: UInt8[np.ndarray, "f h w 3"], given: Keypoints, truth: Truth, judges: Judges, progress: Progress
) -> CellScores:
    """All scores of `PAIRED_METRICS`.

    The regions come from the true masks alone, so that they are the same for every method. A frame without a pixel of
    a region does not enter that region's mean.

    Args:
        frames: the edit, as many and as large as the truth's.
        given: the skeletons that guided it.
        truth: what it should have become.
        judges: LPIPS and the people backend.
        progress: is told how far it is.

    Raises:
        VideoError: the edit has another length or size than the truth.
    """
    if frames.shape != truth.frames.shape:
        raise VideoError(f"expected an edit of {truth.frames.shape} as the truth is, got {frames.shape}")
    values: dict[str, float] = {}
    gaps: dict[str, str] = {}
    regions = {
        "": np.ones_like(truth.masks),
        "person_": truth.masks,
        "uncovered_": truth.source_masks & ~truth.masks,
        "background_": ~(truth.source_masks | truth.masks),
    }
    for prefix, region in regions.items():
        if not region.any():
            gaps.update((prefix + name, "no frame has such a pixel") for name, *_ in _OF_PIXELS)
            continue
        for name, measured in _score_region(frames, truth.frames, region, judges.lpips).items():
            if np.isnan(measured).all():
                gaps[prefix + name] = "no window touches such a pixel"
            else:
                values[prefix + name] = float(np.nanmean(measured))
        if isinstance(judges.lpips, str):
            gaps[f"{prefix}lpips"] = judges.lpips
    if len(frames) < 3:
        gaps["flicker"] = "needs at least 3 frames"
    else:
        values["flicker"] = float(flicker(frames).mean())
    left = measure_silhouette(frames, truth)
    if left is None:
        gaps["silhouette"] = "the truth's person uncovers nothing"
    else:
        values["silhouette"] = left
    likeness = _score_likeness(frames, truth, judges.lpips)
    posture = _score_pose(frames, {"": given, "_truth": truth.keypoints}, judges.people, progress)
    return CellScores({**values, **likeness.values, **posture.values}, {**gaps, **likeness.gaps, **posture.gaps})


def _score_likeness(frames: UInt8[np.ndarray, "f h w 3"], truth: Truth, network: Lpips | str) -> CellScores:
    """How far the edit's person is from the truth's in the colours of five parts, and in the head."""
    found = compare_colours(frames, truth.frames, truth.parts)
    values = {f"colour_{part}": value for part, value in found.items()}
    gaps = {f"colour_{part}": "the truth hardly shows it" for part in _PARTS if part not in found}
    if found:
        values["colours"] = float(np.mean(list(found.values())))
    else:
        gaps["colours"] = "the truth hardly shows any of the parts"
    head = network if isinstance(network, str) else compare_heads(frames, truth.frames, truth.keypoints, network)
    if isinstance(head, float):
        values["head_lpips"] = head
    else:
        gaps["head_lpips"] = head or "no frame shows the head"
    return CellScores(values, gaps)


_CLEAR = 0.04
"""How far from the truth's person a pixel counts as left by the source's, as a share of the picture's short side: an
edited person that stands a little off is no ghost."""


def measure_silhouette(frames: UInt8[np.ndarray, "f h w 3"], truth: Truth) -> float | None:
    """How much of the source's person is left where it stood and, in the truth, nobody does any more.

    Over these pixels of all frames, <edit - truth, source - truth> / |source - truth|^2: 0 for the truth, 1 for the
    untouched source, and the opacity of a source that was blended over the truth. None without any such pixel.

    Args:
        frames: the edit.
        truth: with the source's frames.
    """
    clear = max(1, round(_CLEAR * min(truth.masks.shape[1:])))
    left = truth.source_masks & ~np.stack([grow_mask(mask, clear) for mask in truth.masks])
    whole = (truth.source_frames.astype(np.float64) - truth.frames)[left]
    if not whole.any():
        return None
    return float(((frames.astype(np.float64) - truth.frames)[left] * whole).sum() / (whole**2).sum())


_Values: TypeAlias = Float64[np.ndarray, " f"]


def _score_region(
    frames: UInt8[np.ndarray, "f h w 3"],
    truth: UInt8[np.ndarray, "f h w 3"],
    region: Bool[np.ndarray, "f h w"],
    network: Lpips | str,
) -> dict[str, _Values]:
    """Per-frame scores of the pixels of a region, NaN for a frame without any.

    Outside the region the edit is given the truth's pixels, which add nothing to a sum of errors; the means are then
    taken over the region alone (MAE, MSE), or over the windows that touch it (SSIM).
    """
    there = region.any(axis=(1, 2))
    composite = np.where(region[..., None], frames, truth)
    share = np.where(there, region.mean(axis=(1, 2)), np.nan)
    windows = np.where(there, (sum_windows(region, WINDOW) > 0).mean(axis=(1, 2)), np.nan)
    windows[windows == 0] = np.nan  # a region at the very edge, where no window has its pixels
    scores = {
        "mae": mean_absolute_error(composite, truth) / share,
        "psnr": np.minimum(psnr(composite, truth) + 10 * np.log10(share), LARGEST_PSNR),
        "ssim": 1 - (1 - ssim(composite, truth)) / windows,
    }
    if not isinstance(network, str):
        scores["lpips"] = np.where(there, lpips(composite, truth, network), np.nan)
    return scores


def _score_pose(
    frames: UInt8[np.ndarray, "f h w 3"],
    expected: Mapping[str, Keypoints],
    backend: PeopleBackend | str,
    progress: Progress,
) -> CellScores:
    """PCK and keypoint error of the person found in the frames; 0 and a gap if nobody is found."""
    names = [measure + suffix for suffix in expected for measure in _OF_POSE]
    if isinstance(backend, str):
        return CellScores({}, dict.fromkeys(names, backend))
    track = find_person(frames, backend, progress, next(iter(expected.values())))
    values: dict[str, float] = {}
    gaps: dict[str, str] = {}
    for suffix, keypoints in expected.items():
        if track is None:
            values |= dict.fromkeys((f"pck{suffix}", f"pck_unsided{suffix}"), 0.0)
            gaps[f"keypoint_error{suffix}"] = "nobody was found in the edit"
            continue
        for name, measure in _OF_POSE.items():
            try:
                values[name + suffix] = float(np.nanmean(measure(track.keypoints, keypoints)))
            except PersonError as problem:
                gaps[name + suffix] = str(problem)
    return CellScores(values, gaps)
