"""The 3-D ResNet whose Kinetics features FID-VID is defined on (Hara et al. 2018, projection shortcuts)."""

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn


class ResNet3D(nn.Module):
    """A 3-D bottleneck ResNet that returns its pooled features; state-dict names of the published checkpoints.

    Args:
        depths: bottlenecks in each stage; (3, 4, 6, 3) is ResNet-50.
        widths: inner width of each stage; its output is four times as wide.
    """

    def __init__(self, depths: tuple[int, ...] = (3, 4, 6, 3), widths: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, widths[0], 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(widths[0])
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        inside = widths[0]
        self.stages = len(widths)
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            blocks = []
            for index in range(depth):
                blocks.append(Bottleneck(inside, width, stride=2 if number > 1 and index == 0 else 1))
                inside = width * Bottleneck.expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.requires_grad_(False).eval()

    def forward(self, video: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b d"]:
        """The mean over space and time of the last feature map."""
        features = self.maxpool(torch.relu(self.bn1(self.conv1(video))))
        for number in range(1, self.stages + 1):
            features = self.get_submodule(f"layer{number}")(features)
        return reduce(features, "b d f h w -> b d", "mean")


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3, 1x1x1, added to the (projected) input."""

    expansion = 4

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = width * self.expansion
        self.conv1 = nn.Conv3d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outside)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv3d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm3d(outside)
            )

    def forward(self, x: Float[Tensor, "b inside f h w"]) -> Float[Tensor, "b outside f2 h2 w2"]:
        """The block's output, after the last ReLU."""
        inner = torch.relu(self.bn1(self.conv1(x)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(x))
