"""The Inception I3D whose 400 Kinetics logits FVD is defined on (Carreira and Zisserman 2017)."""

import torch
import torch.nn.functional as F
from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn

MIXED_WIDTHS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Of each Inception block: 1x1x1; 1x1x1 and 3x3x3; 1x1x1 and 3x3x3; 1x1x1 after the pool."""


class InceptionI3D(nn.Module):
    """Inception I3D that returns its logits; state-dict names of the PyTorch port of the published weights.

    Args:
        classes: 400 for Kinetics-400.
        shrink: divides every width: 1 is the published network.
    """

    def __init__(self, classes: int = 400, shrink: int = 1) -> None:
        super().__init__()
        stem = 64 // shrink
        self.Conv3d_1a_7x7 = ConvolutionUnit(3, stem, 7, stride=2)
        self.Conv3d_2b_1x1 = ConvolutionUnit(stem, stem, 1)
        self.Conv3d_2c_3x3 = ConvolutionUnit(stem, 3 * stem, 3)
        inside = 3 * stem
        for name, widths in MIXED_WIDTHS.items():
            block = InceptionBlock(inside, tuple(width // shrink for width in widths))
            self.add_module(name, block)
            inside = block.outside
        self.logits = ConvolutionUnit(inside, classes, 1, plain=True)
        self.requires_grad_(False).eval()

    def forward(self, video: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b classes"]:
        """The logits, averaged over time; values of `video` in [-1, 1], 224x224, at least 16 frames."""
        x = pool_same(self.Conv3d_1a_7x7(video), (1, 3, 3), (1, 2, 2))
        x = pool_same(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in MIXED_WIDTHS:
            if name == "Mixed_4b":
                x = pool_same(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = pool_same(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(name)(x)
        return reduce(self.logits(F.avg_pool3d(x, (2, 7, 7), stride=1)), "b classes f h w -> b classes", "mean")


class ConvolutionUnit(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch norm and ReLU; `plain`: convolution with bias only."""

    def __init__(self, inside: int, outside: int, size: int, stride: int = 1, plain: bool = False) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inside, outside, size, stride=stride, bias=plain)
        self.bn: nn.Module | None = None if plain else nn.BatchNorm3d(outside, eps=1e-3)

    def forward(self, x: Float[Tensor, "b inside f h w"]) -> Float[Tensor, "b outside f2 h2 w2"]:
        """The unit's output."""
        x = self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else torch.relu(self.bn(x))


class InceptionBlock(nn.Module):
    """Four branches side by side, concatenated."""

    def __init__(self, inside: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.outside = widths[0] + widths[2] + widths[4] + widths[5]
        self.b0 = ConvolutionUnit(inside, widths[0], 1)
        self.b1a, self.b1b = ConvolutionUnit(inside, widths[1], 1), ConvolutionUnit(widths[1], widths[2], 3)
        self.b2a, self.b2b = ConvolutionUnit(inside, widths[3], 1), ConvolutionUnit(widths[3], widths[4], 3)
        self.b3b = ConvolutionUnit(inside, widths[5], 1)

    def forward(self, x: Float[Tensor, "b inside f h w"]) -> Float[Tensor, "b outside f h w"]:
        """The branches' outputs along the channels."""
        pooled = pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


def pad_same(
    x: Float[Tensor, "b d f h w"], size: tuple[int, ...], stride: tuple[int, ...]
) -> Float[Tensor, "b d f2 h2 w2"]:
    """Zeros around x as TensorFlow's SAME: ceil(length / stride) outputs, the odd zero at the end."""
    padding: list[int] = []
    for length, kernel, step in zip(reversed(x.shape[2:]), reversed(size), reversed(stride), strict=True):
        total = max((-(-length // step) - 1) * step + kernel - length, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


def pool_same(
    x: Float[Tensor, "b d f h w"], size: tuple[int, ...], stride: tuple[int, ...]
) -> Float[Tensor, "b d f2 h2 w2"]:
    """Maximum pooling with SAME padding; x is 0 or more (after ReLU), so that the zeros never win."""
    return F.max_pool3d(pad_same(x, size, stride), size, stride)
