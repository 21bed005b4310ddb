import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from edit_your_motion.errors import InputError
from edit_your_motion.metrics import bootstrap_mean, compare_paired, preference_score, preference_score_of_people


@pytest.mark.parametrize(("method", "theirs"), [("bca", "BCa"), ("percentile", "percentile")])
def test_bootstrap_of_the_mean_agrees_with_scipy(method, theirs: str) -> None:
    values = np.random.default_rng(0).gamma(1.5, 4, 25)
    interval = bootstrap_mean(values, 0.9, 20_000, 1, method)
    expected = bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=20_000, method=theirs, rng=np.random.default_rng(2)
    ).confidence_interval
    # Two independent draws of 20,000: the quantiles' own spread is about 1 % of the interval's width.
    tolerance = 0.04 * (expected.high - expected.low)
    assert interval.low == pytest.approx(expected.low, abs=tolerance)
    assert interval.high == pytest.approx(expected.high, abs=tolerance)


def test_bca_lies_to_the_right_of_percentile_for_values_skewed_to_the_right() -> None:
    values = np.random.default_rng(0).gamma(0.5, 4, 20)
    bca, percentile = (bootstrap_mean(values, method=method) for method in ("bca", "percentile"))
    assert bca.low > percentile.low
    assert bca.high > percentile.high


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    intervals = [bootstrap_mean(generator.normal(3, 1, 30), 0.9, 600, seed) for seed in range(300)]
    covered = np.mean([interval.low <= 3 <= interval.high for interval in intervals])
    assert 0.83 < covered < 0.94


def test_the_seed_decides_everything() -> None:
    values = np.random.default_rng(0).normal(size=12)
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    assert bootstrap_mean(values, seed=5) != bootstrap_mean(values, seed=6)


def test_pairs_remove_what_the_clips_have_in_common() -> None:
    generator = np.random.default_rng(0)
    hardness = generator.normal(0, 10, 40)
    ours, theirs = hardness + 0.5 + generator.normal(0, 0.3, 40), hardness + generator.normal(0, 0.3, 40)
    compared = compare_paired(ours, theirs)
    assert compared.difference == pytest.approx(ours.mean() - theirs.mean())
    assert 0 < compared.interval.low < compared.difference < compared.interval.high < 1
    assert bootstrap_mean(ours).high - bootstrap_mean(ours).low > 10 * (compared.interval.high - compared.interval.low)


def test_equal_values_give_an_interval_of_no_width() -> None:
    interval = bootstrap_mean(np.full(5, 2.5))
    assert (interval.low, interval.high) == (2.5, 2.5)


@pytest.mark.parametrize("values", [np.array([1.0]), np.array([1.0, np.inf]), np.array([1.0, np.nan, 2.0])])
def test_values_that_cannot_be_resampled_are_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="at least two values, all finite"):
        bootstrap_mean(values)


@pytest.mark.parametrize(
    ("ours", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, "score" without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_has_newcombes_published_values(ours: int, total: int, low: float, high: float) -> None:
    score = preference_score(ours, total - ours)
    assert score.score == ours / total
    assert score.answers == total
    assert score.interval.low == pytest.approx(low, abs=5e-5)
    assert score.interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_interval_equals_scipy_at_another_level() -> None:
    expected = binomtest(61, 70).proportion_ci(0.8, "wilson")
    interval = preference_score(61, 9, 0.8).interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_people_who_always_answer_alike_count_as_people_and_not_as_answers() -> None:
    answers = 12
    ours = np.array([answers] * 14 + [0] * 6)
    score = preference_score_of_people(ours, answers - ours)
    as_people = preference_score(14, 6)
    assert score.score == as_people.score == 0.7
    width = score.interval.high - score.interval.low
    assert width == pytest.approx(as_people.interval.high - as_people.interval.low, rel=0.15)
    assert width > 2 * (preference_score(14 * answers, 6 * answers).interval.high - 0.7) * 1.5


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (-1, 5)])
def test_a_study_without_answers_has_no_score(ours: int, theirs: int) -> None:
    with pytest.raises(InputError, match="sum above 0"):
        preference_score(ours, theirs)


def test_a_participant_without_answers_is_refused() -> None:
    with pytest.raises(InputError, match="leave out people who did not answer"):
        preference_score_of_people(np.array([1, 0]), np.array([2, 0]))
