"""The Fréchet distance between two sets of features, taken as two normal distributions."""

import warnings

import numpy as np
from jaxtyping import Float, Float64

from edit_your_motion.errors import InputError


class FewClipsWarning(UserWarning):
    """Fewer feature vectors than their dimension: the distance is biased upwards."""


def frechet_distance(generated: Float[np.ndarray, "n d"], truth: Float[np.ndarray, "m d"]) -> float:
    """|mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)), with means mu and sample covariances S (Heusel et al. 2017).

    Convention: float64, covariances over n - 1, no regularisation; 0 or more, lower is better. The trace of the root
    is exact: with S = A^T A, A the centred features / sqrt(n - 1), it is the sum of the singular values of A_1 A_2^T,
    and a QR decomposition shrinks each A to at most d rows first. So n x m or d x d decides the cost, never d^3 for few
    clips, and no root of a singular matrix is taken.

    Args:
        generated: one row of features for each generated clip, at least two.
        truth: the same of the true clips.

    Raises:
        InputError: fewer than two rows, or features that are not finite.

    Warns:
        FewClipsWarning: a set with no more rows than dimensions, whose covariance is singular.
    """
    for name, features in (("generated", generated), ("true", truth)):
        if len(features) < 2 or not np.isfinite(features).all():
            raise InputError(f"expected finite features of at least 2 {name} clips, got {len(features)} clips")
    fewest, dimension = min(len(generated), len(truth)), generated.shape[1]
    if fewest <= dimension:
        warnings.warn(
            f"{fewest} clips for {dimension} feature dimensions: the Fréchet distance is biased upwards; "
            f"compare it only with distances over the same number of clips",
            FewClipsWarning,
            stacklevel=2,
        )
    return _distance(*_mean_and_factor(generated), *_mean_and_factor(truth))


def frechet_distance_of_moments(
    mean_a: Float[np.ndarray, "d"],
    covariance_a: Float[np.ndarray, "d d"],
    mean_b: Float[np.ndarray, "d"],
    covariance_b: Float[np.ndarray, "d d"],
) -> float:
    """The Fréchet distance of two normal distributions that are given by their moments (published statistics files).

    Raises:
        InputError: a covariance that is not symmetric or clearly not positive semi-definite.
    """
    factors = [_factor_of(np.asarray(covariance, np.float64)) for covariance in (covariance_a, covariance_b)]
    return _distance(mean_a.astype(np.float64), factors[0], mean_b.astype(np.float64), factors[1])


def _mean_and_factor(
    features: Float[np.ndarray, "n d"],
) -> tuple[Float64[np.ndarray, "d"], Float64[np.ndarray, "rows d"]]:
    features = features.astype(np.float64)
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    # Q of A = Q R does not change the singular values of A_1 A_2^T; R has no more rows than dimensions.
    return mean, centred if len(centred) <= centred.shape[1] else np.asarray(np.linalg.qr(centred, mode="r"))


def _factor_of(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(covariance)
    scale = np.abs(values).max(initial=0.0)
    if not np.allclose(covariance, covariance.T, atol=1e-8 * scale) or values.min() < -1e-6 * scale:
        raise InputError(
            f"expected a symmetric positive semi-definite covariance, got one with an eigenvalue of {values.min():.3g}"
        )
    return np.sqrt(values.clip(min=0))[:, None] * vectors.T


def _distance(
    mean_a: Float64[np.ndarray, "d"],
    factor_a: Float64[np.ndarray, "rows_a d"],
    mean_b: Float64[np.ndarray, "d"],
    factor_b: Float64[np.ndarray, "rows_b d"],
) -> float:
    root_trace = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + (factor_a**2).sum() + (factor_b**2).sum() - 2 * root_trace
    # Equal sets give a rounding error of either sign.
    return max(0.0, float(distance))
