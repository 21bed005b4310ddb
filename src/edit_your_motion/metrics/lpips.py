"""Learned perceptual image patch similarity, LPIPS v0.1 (Zhang et al. 2018), on AlexNet or VGG-16."""

from typing import Literal, TypeAlias

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from edit_your_motion.errors import VideoError
from edit_your_motion.metrics.frames import Frames, measure_pairs

Backbone: TypeAlias = Literal["alexnet", "vgg16"]

SMALLEST = 32
"""Shorter side of a frame below which AlexNet's last stages have nothing left to pool, pixels."""


class Lpips(nn.Module):
    """The distance d(x, y) = sum_l mean_hw w_l . (n_l(x) - n_l(y))^2, n_l the l-th feature map of unit channel norm.

    The weights come from `load_lpips`; a fresh module has random ones.

    Args:
        backbone: "alexnet" (features after each of its 5 ReLUs) or "vgg16" (relu1_2, 2_2, 3_3, 4_3, 5_3).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone = "alexnet") -> None:
        super().__init__()
        self.backbone = backbone
        stages = _build_alexnet() if backbone == "alexnet" else _build_vgg16()
        widths = [[part for part in stage if isinstance(part, nn.Conv2d)][-1].out_channels for stage in stages]
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in widths)
        # ImageNet's mean and deviation, for pictures in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, x: Float[Tensor, "b 3 h w"], y: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b"]:
        """The distances of b pairs of pictures with values in [-1, 1]; 0 or more."""
        x, y = (x - self.shift) / self.scale, (y - self.shift) / self.scale
        distance = x.new_zeros(len(x))
        for stage, head in zip(self.stages, self.heads, strict=True):
            x, y = stage(x), stage(y)
            distance = distance + reduce(head((_normalise(x) - _normalise(y)) ** 2), "b 1 h w -> b", "mean")
        return distance


def lpips(generated: Frames, truth: Frames, network: Lpips) -> Float64[np.ndarray, "f"]:
    """The LPIPS of each frame, fed as its authors document: pixels in [-1, 1].

    Convention: name the backbone beside the number; 0 or more, lower is better.

    Args:
        generated: frames of at least 32x32 pixels.
        truth: as many frames of the same resolution.
        network: from `load_lpips`; frames go to the device it lies on.

    Raises:
        VideoError: the videos differ in length or resolution, or are too small.
    """
    return measure_pairs(lambda x, y: _measure(x, y, network, low=-1.0), generated, truth)


def lpips_unit_range(generated: Frames, truth: Frames, network: Lpips) -> Float64[np.ndarray, "f"]:
    """The LPIPS of each frame with pixels in [0, 1], a range the network was not made for.

    Convention: DisCo's (with VGG-16), hence the pose-animation tables'; only for standing beside them. Contrast is
    halved, so the values are lower than `lpips` gives.

    Args:
        generated: frames of at least 32x32 pixels.
        truth: as many frames of the same resolution.
        network: from `load_lpips`; frames go to the device it lies on.

    Raises:
        VideoError: the videos differ in length or resolution, or are too small.
    """
    return measure_pairs(lambda x, y: _measure(x, y, network, low=0.0), generated, truth)


@torch.inference_mode()
def _measure(
    x: UInt8[np.ndarray, "f h w 3"], y: UInt8[np.ndarray, "f h w 3"], network: Lpips, low: float
) -> Float64[np.ndarray, "f"]:
    if min(x.shape[1:3]) < SMALLEST:
        raise VideoError(f"LPIPS needs frames of at least {SMALLEST}x{SMALLEST} pixels, got {x.shape[2]}x{x.shape[1]}")
    pictures = [
        low + (1 - low) * rearrange(torch.from_numpy(frames).to(network.scale.device), "f h w c -> f c h w") / 255
        for frames in (x, y)
    ]
    return network(*pictures).double().cpu().numpy()


def _normalise(features: Float[Tensor, "b d lh lw"]) -> Float[Tensor, "b d lh lw"]:
    # Bounded below, or the root's slope at 0 makes the gradient of a cell without features NaN.
    return features / (features.square().sum(dim=1, keepdim=True).clamp(min=1e-20).sqrt() + 1e-10)


def _build_alexnet() -> list[nn.Sequential]:
    def convolve(inside: int, outside: int, size: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inside, outside, size, stride, padding=2 if size > 3 else 1), nn.ReLU()]

    return [
        nn.Sequential(*convolve(3, 64, 11, stride=4)),
        nn.Sequential(nn.MaxPool2d(3, 2), *convolve(64, 192, 5)),
        nn.Sequential(nn.MaxPool2d(3, 2), *convolve(192, 384, 3)),
        nn.Sequential(*convolve(384, 256, 3)),
        nn.Sequential(*convolve(256, 256, 3)),
    ]


def _build_vgg16() -> list[nn.Sequential]:
    stages: list[nn.Sequential] = []
    inside = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        parts: list[nn.Module] = [nn.MaxPool2d(2, 2)] if stages else []
        for _ in range(depth):
            parts += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU()]
            inside = width
        stages.append(nn.Sequential(*parts))
    return stages
