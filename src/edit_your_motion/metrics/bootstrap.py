"""Confidence intervals of means by resampling (Efron)."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from edit_your_motion.errors import InputError

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A confidence interval, `low` to `high`, at the level `confidence` in (0, 1)."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class PairedDifference:
    """How two methods differ on the same clips.

    Args:
        difference: mean of ours minus theirs.
        interval: of the difference; where it excludes 0, the methods differ at that level.
        clips: pairs behind it.
    """

    difference: float
    interval: Interval
    clips: int


def bootstrap_mean(
    values: Float[np.ndarray, "n"],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    method: Literal["bca", "percentile"] = "bca",
) -> Interval:
    """The bootstrap interval of the mean of `values`.

    Draw clips, not frames: successive frames of a video are nearly the same, and an interval from them is too narrow.

    Args:
        values: one score for each independent unit (clip, participant), at least two, all finite.
        confidence: in (0, 1).
        resamples: bootstrap samples.
        seed: the same seed gives the same interval.
        method: "bca" (bias-corrected and accelerated, Efron 1987) or "percentile".

    Raises:
        InputError: fewer than two values, or values that are not finite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        raise InputError(f"a bootstrap needs at least two values, all finite; got {np.array2string(values)}")
    if not 0 < confidence < 1:
        raise InputError(f"expected a confidence between 0 and 1, got {confidence}")
    values = values.astype(np.float64)
    means = draw_samples(len(values), resamples, seed, lambda drawn: values[drawn].mean(axis=1))
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        tails = _correct_tails(tails, means, values)
    low, high = np.quantile(means, tails)
    return Interval(float(low), float(high), confidence)


def compare_paired(
    ours: Float[np.ndarray, "n"],
    theirs: Float[np.ndarray, "n"],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    method: Literal["bca", "percentile"] = "bca",
) -> PairedDifference:
    """The mean difference of two methods on the same clips and its bootstrap interval, clips drawn in pairs.

    Args:
        ours: one score for each clip.
        theirs: the other method's score on the same clips.
        confidence: in (0, 1).
        resamples: bootstrap samples.
        seed: the same seed gives the same interval.
        method: as in `bootstrap_mean`.

    Raises:
        InputError: fewer than two clips, or scores that are not finite.
    """
    difference = ours.astype(np.float64) - theirs
    interval = bootstrap_mean(difference, confidence, resamples, seed, method)
    return PairedDifference(float(difference.mean()), interval, len(difference))


def draw_samples(
    count: int, resamples: int, seed: int, statistic: Callable[[np.ndarray], np.ndarray]
) -> Float64[np.ndarray, "{resamples}"]:
    """`statistic` of `resamples` rows of `count` indices below `count`, drawn with replacement."""
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // count)
    return np.concatenate(
        [
            statistic(generator.integers(count, size=(min(rows, resamples - start), count)))
            for start in range(0, resamples, rows)
        ]
    )


def _correct_tails(
    tails: Float64[np.ndarray, "2"], means: Float64[np.ndarray, "resamples"], values: Float64[np.ndarray, "n"]
) -> Float64[np.ndarray, "2"]:
    """Efron 1987: shift the two quantiles by the bias z0 and the acceleration a (from the jackknife)."""
    normal = NormalDist()
    # Ties count half: without it the few distinct means of a small sample would pass for bias.
    below = ((means < values.mean()).mean() + (means <= values.mean()).mean()) / 2
    if not 0 < below < 1:
        return tails
    z0 = normal.inv_cdf(float(below))
    influence = values - values.mean()
    spread = float((influence**2).sum())
    if spread == 0:
        return tails
    a = float((influence**3).sum()) / (6 * spread**1.5)
    z = [z0 + normal.inv_cdf(float(tail)) for tail in tails]
    return np.array([normal.cdf(z0 + shifted / (1 - a * shifted)) for shifted in z])
