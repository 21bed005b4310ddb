"""Structural similarity (Wang et al. 2004)."""

import numpy as np
from einops import rearrange
from jaxtyping import Float64, Int64, Shaped, UInt8

from edit_your_motion.errors import VideoError
from edit_your_motion.metrics.frames import Frames, measure_pairs

WINDOW = 7
"""Side of the square window, pixels: scikit-image's default."""


def ssim(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """The mean structural similarity of each frame in greyscale.

    Convention: grey as OpenCV computes it (8 bit), then scikit-image's defaults with data range 255: uniform 7x7
    window, sample covariance, K1 = 0.01, K2 = 0.03, windows that lie wholly inside. In [-1, 1], higher is better.

    Raises:
        VideoError: the videos differ in length or resolution, or are smaller than the window.
    """
    return measure_pairs(lambda x, y: _similarities(to_grey(x), to_grey(y)), generated, truth)


def ssim_colour(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """The structural similarity of each frame, computed for R, G and B and averaged.

    Convention: `ssim` in all else. Part of the literature reports this one; it is not comparable with grey.

    Raises:
        VideoError: the videos differ in length or resolution, or are smaller than the window.
    """

    def batch_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        channels = [rearrange(frames, "f h w c -> (f c) h w") for frames in (x, y)]
        return rearrange(_similarities(*channels), "(f c) -> f c", c=3).mean(axis=1)

    return measure_pairs(batch_ssim, generated, truth)


def to_grey(frames: UInt8[np.ndarray, "f h w 3"]) -> UInt8[np.ndarray, "f h w"]:
    """Luma of ITU-R BT.601 in OpenCV's 15-bit fixed point, so that the last bit agrees with it."""
    weights = np.array([9798, 19235, 3735], np.int32)
    return ((frames.astype(np.int32) @ weights + (1 << 14)) >> 15).astype(np.uint8)


def sum_windows(values: Shaped[np.ndarray, "f h w"], side: int) -> Int64[np.ndarray, "f rows columns"]:
    """The sums over all `side` x `side` windows that lie wholly inside; integers, so exact."""
    integral = np.pad(values.astype(np.int64).cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    rows = integral[:, side:] - integral[:, :-side]
    return rows[:, :, side:] - rows[:, :, :-side]


def _similarities(x: UInt8[np.ndarray, "f h w"], y: UInt8[np.ndarray, "f h w"]) -> Float64[np.ndarray, "f"]:
    if min(x.shape[1:]) < WINDOW:
        raise VideoError(f"SSIM needs frames of at least {WINDOW}x{WINDOW} pixels, got {x.shape[2]}x{x.shape[1]}")
    c1, c2, count = (0.01 * 255) ** 2, (0.03 * 255) ** 2, WINDOW**2
    x, y = x.astype(np.int64), y.astype(np.int64)
    mean_x, mean_y = sum_windows(x, WINDOW) / count, sum_windows(y, WINDOW) / count

    def covariance(a: np.ndarray, b: np.ndarray, mean_a: np.ndarray, mean_b: np.ndarray) -> np.ndarray:
        return (sum_windows(a * b, WINDOW) - count * mean_a * mean_b) / (count - 1)

    cross = covariance(x, y, mean_x, mean_y)
    variances = covariance(x, x, mean_x, mean_x) + covariance(y, y, mean_y, mean_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * (2 * cross + c2) / (variances + c2)).mean(axis=(1, 2))
