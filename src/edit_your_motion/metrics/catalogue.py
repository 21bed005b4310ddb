"""The metrics by name: what each needs, how it is computed, which direction is better."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edit_your_motion.metrics.background import background_error
from edit_your_motion.metrics.flicker import flicker
from edit_your_motion.metrics.lpips import lpips, lpips_unit_range
from edit_your_motion.metrics.perceptual_video import lpips_neighbours, lpips_source
from edit_your_motion.metrics.pixel import l1, mean_absolute_error, psnr, psnr_wrapped_uint8
from edit_your_motion.metrics.pose import keypoint_error, pck
from edit_your_motion.metrics.report import Better
from edit_your_motion.metrics.session import Session
from edit_your_motion.metrics.structural import ssim, ssim_colour
from edit_your_motion.metrics.video_features import load_i3d, load_resnet3d


@dataclass(frozen=True)
class Metric:
    """One metric as `evaluate` knows it.

    Args:
        name: what `evaluate` and the command line call it.
        better: which direction is better.
        of: what its values belong to.
        needs: the arguments of `evaluate` without which it cannot be measured.
        convention: how it is computed, in one line.
        measure: its per-frame values, or (distance, clips).
    """

    name: str
    better: Better
    of: str
    needs: tuple[str, ...]
    convention: str
    measure: Callable[[Session], np.ndarray | tuple[float, int]]


_PAIRWISE = ("truth",)
_LPIPS_PAPER = "AlexNet v0.1, pixels in [-1, 1]"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("l1", "lower", "frames", _PAIRWISE, "mean |x - y| of 0..255, divided by h w; depends on the resolution",
               lambda e: l1(e.fitted, e.truth)),
        Metric("mae", "lower", "frames", _PAIRWISE, "mean |x - y| of 0..255",
               lambda e: mean_absolute_error(e.fitted, e.truth)),
        Metric("psnr", "higher", "frames", _PAIRWISE, "10 log10(255^2 / MSE) of each frame, averaged; dB",
               lambda e: psnr(e.fitted, e.truth)),
        Metric("psnr_wrapped_uint8", "higher", "frames", _PAIRWISE,
               "wrong on purpose: squares wrap in uint8 as in tables before April 2024; dB",
               lambda e: psnr_wrapped_uint8(e.fitted, e.truth)),
        Metric("ssim", "higher", "frames", _PAIRWISE, "greyscale, uniform 7x7 window, data range 255",
               lambda e: ssim(e.fitted, e.truth)),
        Metric("ssim_colour", "higher", "frames", _PAIRWISE, "mean over R, G, B, uniform 7x7 window, data range 255",
               lambda e: ssim_colour(e.fitted, e.truth)),
        Metric("lpips_alexnet", "lower", "frames", _PAIRWISE, _LPIPS_PAPER,
               lambda e: lpips(e.fitted, e.truth, e.alexnet)),
        Metric("lpips_vgg16", "lower", "frames", _PAIRWISE, "VGG-16 v0.1, pixels in [-1, 1]",
               lambda e: lpips(e.fitted, e.truth, e.vgg16)),
        Metric("lpips_vgg16_unit_range", "lower", "frames", _PAIRWISE,
               "VGG-16 v0.1 fed with [0, 1] as DisCo does; for published tables only",
               lambda e: lpips_unit_range(e.fitted, e.truth, e.vgg16)),
        Metric("fid_vid", "lower", "clips", _PAIRWISE, "3-D ResNet-50 Kinetics, 16-frame clips of 112x112",
               lambda e: e.compare_clips(load_resnet3d, e.networks.resnet3d, "resnet3d")),
        Metric("fvd", "lower", "clips", _PAIRWISE, "I3D-400 logits, 16-frame clips of 224x224",
               lambda e: e.compare_clips(load_i3d, e.networks.i3d, "i3d")),
        Metric("ta", "higher", "frames", ("prompt",), "100 x CLIP cosine of prompt and frame",
               lambda e: e.align_text()),
        Metric("tc", "higher", "pairs of frames", (), "CLIP cosine of adjacent frames",
               lambda e: e.compare_neighbours()),
        Metric("lpips_n", "lower", "pairs of frames", (), f"adjacent generated frames, {_LPIPS_PAPER}",
               lambda e: lpips_neighbours(e.generated, e.alexnet)),
        Metric("lpips_s", "lower", "frames", ("source",), f"generated against source frames, {_LPIPS_PAPER}",
               lambda e: lpips_source(e.generated, e.source, e.alexnet)),
        Metric("background", "lower", "frames", ("source", "masks"), "mean |x - y| of 0..255 outside both people",
               lambda e: background_error(e.generated, e.source, e.masks.generated, e.masks.source)),
        Metric("flicker", "lower", "triples of frames", (), "mean |x_t - (x_(t-1) + x_(t+1)) / 2| of 0..255",
               lambda e: flicker(e.generated)),
        Metric("flicker_background", "lower", "triples of frames", ("masks",), "flicker outside the person",
               lambda e: flicker(e.generated, e.masks.generated)),
        Metric("pck", "higher", "frames", ("poses",), "given joints detected within 0.1 of their box's longer side",
               lambda e: pck(e.poses.detected, e.poses.given)),
        Metric("keypoint_error", "lower", "frames", ("poses",), "mean distance of joints both given and detected; px",
               lambda e: keypoint_error(e.poses.detected, e.poses.given)),
    )
}  # fmt: skip
"""Every metric by name, in the order of a report."""
