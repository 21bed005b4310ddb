"""One evaluation's inputs, and the networks and embeddings that its metrics share."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from edit_your_motion.metrics.clip_scores import ClipModel, compare_neighbours, load_clip
from edit_your_motion.metrics.frames import Frames
from edit_your_motion.metrics.frechet import FewClipsWarning, frechet_distance
from edit_your_motion.metrics.inputs import FeatureNetworks
from edit_your_motion.metrics.lpips import Backbone, Lpips
from edit_your_motion.metrics.lpips_weights import load_lpips
from edit_your_motion.metrics.video_features import CLIP_FRAMES, ClipEncoder, encode_clips


class GapError(Exception):
    """A metric cannot be measured; caught by `evaluate`, which turns it into a `MetricGap`.

    Args:
        reason: what was missing.
        remedy: what fills the gap.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass
class Session:
    """The inputs of one evaluation, and what several of its metrics share.

    Those of type Any may be None; a metric that reads one lists it among its `needs`.

    Args:
        generated: the frames under test.
        fitted: the same at the resolution of `truth`.
        truth: frames.
        source: frames.
        prompt: text.
        masks: `PersonMasks`.
        poses: `PersonPoses`.
        networks: where the learned metrics find their weights.
        stride: frames between the starts of clips.
        notes: what the metric under way has to say besides its value.
    """

    generated: Frames
    fitted: Frames
    truth: Any
    source: Any
    prompt: Any
    masks: Any
    poses: Any
    networks: FeatureNetworks
    stride: int
    notes: list[str] = field(default_factory=list)

    @cached_property
    def alexnet(self) -> Lpips:
        """LPIPS on AlexNet."""
        return self._lpips("alexnet")

    @cached_property
    def vgg16(self) -> Lpips:
        """LPIPS on VGG-16."""
        return self._lpips("vgg16")

    @cached_property
    def clip(self) -> ClipModel:
        """The CLIP model behind TA and TC."""
        if self.networks.clip is None:
            raise GapError("no CLIP model was given", "give the folder or hub name of one (networks.clip)")
        return load_clip(self.networks.clip, self.networks.device, allow_fetch=self.networks.allow_fetch)

    @cached_property
    def frame_vectors(self) -> Float64[np.ndarray, "f d"]:
        """The CLIP vectors of the generated frames."""
        return self.clip.embed_frames(self.generated)

    def align_text(self) -> Float64[np.ndarray, "f"]:
        """TA."""
        self.notes.append(f"CLIP: {self.networks.clip}")
        return 100 * self.frame_vectors @ self.clip.embed_prompt(self.prompt)

    def compare_neighbours(self) -> Float64[np.ndarray, "pairs"]:
        """TC."""
        self.notes.append(f"CLIP: {self.networks.clip}")
        return compare_neighbours(self.frame_vectors)

    def compare_clips(self, load: Callable[..., ClipEncoder], path: str | Path | None, kind: str) -> tuple[float, int]:
        """The Fréchet distance of generated and true clips, and how many generated clips there are."""
        if path is None:
            raise GapError(f"no {kind} weights were given", f"give their file (--networks.{kind})")
        encoder = load(path, self.networks.device)
        features = [encode_clips(video, encoder, self.stride) for video in (self.generated, self.truth)]
        if min(len(clips) for clips in features) < 2:
            raise GapError(
                f"needs two clips of {CLIP_FRAMES} frames on both sides, got {len(features[0])} and {len(features[1])}",
                "give longer videos, or pool the clips of several (`fvd`, `fid_vid`)",
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FewClipsWarning)
            distance = frechet_distance(*features)
        self.notes += [f"weights: {Path(path).name}", *(str(warning.message) for warning in caught)]
        return distance, len(features[0])

    def _lpips(self, backbone: Backbone) -> Lpips:
        return load_lpips(backbone, allow_fetch=self.networks.allow_fetch).to(self.networks.device)
