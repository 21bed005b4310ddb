"""The user study's score, Eq. 18."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Int

from edit_your_motion.errors import InputError
from edit_your_motion.metrics.bootstrap import Interval, draw_samples


@dataclass(frozen=True)
class PreferenceScore:
    """One question of a study against one method.

    Args:
        score: ours / (ours + theirs), in [0, 1]; above 0.5 where people prefer ours.
        interval: of the score.
        answers: how many answers stand behind it.
    """

    score: float
    interval: Interval
    answers: int


def preference_score(ours: int, theirs: int, confidence: float = 0.95) -> PreferenceScore:
    """The share of answers for ours, with Wilson's interval.

    Eq. 18: score = count_ours / (count_ours + count_theirs). Wilson's interval (1927) holds its level for shares near
    0 and 1 too, where p +- z sqrt(p q / n) leaves [0, 1]. It takes the answers for independent: where each person
    answers several times, use `preference_score_of_people`.

    Args:
        ours: answers for our method, 0 or more.
        theirs: answers for the other method, 0 or more.
        confidence: in (0, 1).

    Raises:
        InputError: negative counts, or no answer at all.
    """
    if min(ours, theirs) < 0 or ours + theirs == 0:
        raise InputError(f"expected counts of answers with a sum above 0, got {ours} for ours and {theirs} for theirs")
    n = ours + theirs
    p = ours / n
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    interval = Interval(max(0.0, centre - half_width), min(1.0, centre + half_width), confidence)
    return PreferenceScore(p, interval, n)


def preference_score_of_people(
    ours: Int[np.ndarray, "people"],
    theirs: Int[np.ndarray, "people"],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PreferenceScore:
    """The share of answers for ours, with an interval from resampling whole participants (percentile bootstrap).

    One person's answers resemble each other; drawing people instead of answers keeps the interval honest.

    Args:
        ours: each participant's number of answers for our method.
        theirs: each participant's number of answers for the other method.
        confidence: in (0, 1).
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        InputError: negative counts, a participant without answers, or fewer than two participants.
    """
    if len(ours) < 2 or min(ours.min(), theirs.min()) < 0 or (ours + theirs).min() == 0:
        raise InputError(
            f"expected at least two participants with one answer or more each, got ours {ours.tolist()} "
            f"and theirs {theirs.tolist()}: leave out people who did not answer"
        )
    scores = draw_samples(
        len(ours), resamples, seed, lambda drawn: ours[drawn].sum(axis=1) / (ours + theirs)[drawn].sum(axis=1)
    )
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    total = int(ours.sum() + theirs.sum())
    return PreferenceScore(int(ours.sum()) / total, Interval(float(low), float(high), confidence), total)
