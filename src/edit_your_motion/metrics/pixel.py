"""Differences of pixels: L1, MAE and PSNR. Each value belongs to one frame; a video's score is their mean."""

import numpy as np
from jaxtyping import Float64, UInt8

from edit_your_motion.metrics.frames import Frames, measure_pairs


def mean_absolute_error(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """The mean of |x - y| over the pixels and channels of each frame.

    Convention: values 0..255, so the result lies in [0, 255]; lower is better; independent of the resolution.

    Raises:
        VideoError: the videos differ in length or resolution.
    """
    return measure_pairs(_absolute_errors, generated, truth)


def l1(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """The L1 of the pose-animation tables: the mean of |x - y|, divided by h * w once more.

    Convention: DisCo's, which MagicAnimate, Champ and Table II inherited; values 0..255, result in [0, 255 / (h w)];
    lower is better. Depends on the resolution: the same pictures at half the size have four times the L1.

    Raises:
        VideoError: the videos differ in length or resolution.
    """

    def batch_l1(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _absolute_errors(x, y) / (x.shape[1] * x.shape[2])

    return measure_pairs(batch_l1, generated, truth)


def psnr(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """The peak signal-to-noise ratio of each frame, 10 log10(255^2 / MSE).

    Convention: the MSE over all pixels and channels in float64; decibels, higher is better, infinite for equal frames.

    Raises:
        VideoError: the videos differ in length or resolution.
    """

    def batch_psnr(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _decibels(((x.astype(np.float64) - y) ** 2).mean(axis=(1, 2, 3)))

    return measure_pairs(batch_psnr, generated, truth)


def psnr_wrapped_uint8(generated: Frames, truth: Frames) -> Float64[np.ndarray, "f"]:
    """PSNR as older tables have it: (x - y)^2 computed in uint8, so that both steps wrap modulo 256.

    Convention: DisCo's script before April 2024. It is wrong: two unrelated pictures get about 28 dB.
    Only for standing beside published tables of that time; decibels.

    Raises:
        VideoError: the videos differ in length or resolution.
    """

    def batch_psnr(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        difference = x - y
        return _decibels((difference * difference).mean(axis=(1, 2, 3), dtype=np.float64))

    return measure_pairs(batch_psnr, generated, truth)


def _absolute_errors(x: UInt8[np.ndarray, "f h w 3"], y: UInt8[np.ndarray, "f h w 3"]) -> Float64[np.ndarray, "f"]:
    return np.abs(x.astype(np.int16) - y).mean(axis=(1, 2, 3), dtype=np.float64)


def _decibels(squared_error: Float64[np.ndarray, "f"]) -> Float64[np.ndarray, "f"]:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / squared_error)
