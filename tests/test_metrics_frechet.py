import numpy as np
import pytest
from scipy.linalg import sqrtm

from edit_your_motion.errors import InputError
from edit_your_motion.metrics import FewClipsWarning, frechet_distance, frechet_distance_of_moments


def compute_with_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(s @ t)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * np.real(root)))


def make_features(seed: int, count: int, dimension: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(count, dimension)) @ generator.normal(size=(dimension, dimension)) + generator.normal()
    )


def test_equals_the_matrix_square_root_of_scipy() -> None:
    a, b = make_features(0, 300, 24), make_features(1, 250, 24)
    assert frechet_distance(a, b) == pytest.approx(compute_with_matrix_root(a, b), rel=1e-9)


def test_equals_the_closed_form_in_one_dimension() -> None:
    a, b = make_features(2, 50, 1), make_features(3, 70, 1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_few_clips_warn_and_stay_exact() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(9, 40)), generator.normal(size=(12, 40)) + 0.3
    with pytest.warns(FewClipsWarning, match="9 clips for 40 feature dimensions"):
        distance = frechet_distance(a, b)
    # tr (S T)^(1/2) is the sum of the roots of the eigenvalues of S T, which for singular S and T scipy's root misses.
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(s @ t).real.clip(min=0)).sum()
    assert distance == pytest.approx(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t) - 2 * roots, rel=1e-5)


def test_a_shift_alone_costs_its_squared_length_and_equal_sets_nothing() -> None:
    a = make_features(4, 200, 16)
    shift = np.arange(16) / 10
    assert frechet_distance(a, a + shift) == pytest.approx((shift**2).sum(), rel=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)


def test_moments_give_the_same_distance_as_features() -> None:
    a, b = make_features(5, 200, 16), make_features(6, 200, 16)
    moments = (a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert frechet_distance_of_moments(*moments) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_single_precision_features_are_computed_in_double() -> None:
    a, b = (make_features(seed, 100, 8).astype(np.float32) + 1000 for seed in (7, 8))
    expected = compute_with_matrix_root(a.astype(np.float64), b.astype(np.float64))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.full((4, 3), np.nan)])
def test_unusable_features_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="finite features of at least 2 true clips"):
        frechet_distance(make_features(0, 10, 3), bad)


def test_a_covariance_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="positive semi-definite"):
        frechet_distance_of_moments(np.zeros(2), np.diag([1.0, -1.0]), np.zeros(2), np.eye(2))
