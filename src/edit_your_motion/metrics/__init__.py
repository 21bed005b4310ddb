"""Every number of the paper's tables and some more, each with its convention; `evaluate` measures them together."""

from edit_your_motion.metrics.background import background_error
from edit_your_motion.metrics.bootstrap import Interval, PairedDifference, bootstrap_mean, compare_paired
from edit_your_motion.metrics.catalogue import METRICS, Metric
from edit_your_motion.metrics.clip_scores import ClipModel, load_clip, temporal_consistency, text_alignment
from edit_your_motion.metrics.evaluation import evaluate
from edit_your_motion.metrics.flicker import flicker
from edit_your_motion.metrics.frames import Frames, FrameStream, Masks, resize_frames
from edit_your_motion.metrics.frechet import FewClipsWarning, frechet_distance, frechet_distance_of_moments
from edit_your_motion.metrics.inputs import FeatureNetworks, PersonMasks, PersonPoses
from edit_your_motion.metrics.lpips import Lpips, lpips, lpips_unit_range
from edit_your_motion.metrics.lpips_weights import load_lpips
from edit_your_motion.metrics.perceptual_video import lpips_neighbours, lpips_source
from edit_your_motion.metrics.pixel import l1, mean_absolute_error, psnr, psnr_wrapped_uint8
from edit_your_motion.metrics.pose import keypoint_error, pck, pck_unsided
from edit_your_motion.metrics.report import MetricGap, MetricValue, Report
from edit_your_motion.metrics.structural import ssim, ssim_colour
from edit_your_motion.metrics.study import PreferenceScore, preference_score, preference_score_of_people
from edit_your_motion.metrics.video_features import ClipEncoder, encode_clips, fid_vid, fvd, load_i3d, load_resnet3d

__all__ = [
    "METRICS",
    "ClipEncoder",
    "ClipModel",
    "FeatureNetworks",
    "FewClipsWarning",
    "FrameStream",
    "Frames",
    "Interval",
    "Lpips",
    "Masks",
    "Metric",
    "MetricGap",
    "MetricValue",
    "PairedDifference",
    "PersonMasks",
    "PersonPoses",
    "PreferenceScore",
    "Report",
    "background_error",
    "bootstrap_mean",
    "compare_paired",
    "encode_clips",
    "evaluate",
    "fid_vid",
    "flicker",
    "frechet_distance",
    "frechet_distance_of_moments",
    "fvd",
    "keypoint_error",
    "l1",
    "load_clip",
    "load_i3d",
    "load_lpips",
    "load_resnet3d",
    "lpips",
    "lpips_neighbours",
    "lpips_source",
    "lpips_unit_range",
    "mean_absolute_error",
    "pck",
    "pck_unsided",
    "preference_score",
    "preference_score_of_people",
    "psnr",
    "psnr_wrapped_uint8",
    "resize_frames",
    "ssim",
    "ssim_colour",
    "temporal_consistency",
    "text_alignment",
]
