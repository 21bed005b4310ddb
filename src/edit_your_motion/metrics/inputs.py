"""What an evaluation takes besides frames."""

from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.metrics.frames import Masks
from edit_your_motion.people.keypoints import Keypoints


@dataclass(frozen=True)
class PersonMasks:
    """Where the person is, true on the person.

    Args:
        generated: in the generated frames.
        source: in the source frames.
    """

    generated: Masks
    source: Masks


@dataclass(frozen=True)
class PersonPoses:
    """The keypoints that the person was to follow, and those found.

    Args:
        detected: in the generated frames.
        given: the control, on the same canvas.
    """

    detected: Keypoints
    given: Keypoints


@dataclass(frozen=True)
class FeatureNetworks:
    """Where the learned metrics find their networks; what is None or absent becomes a gap in the report.

    Args:
        clip: folder or hub name of a CLIP model, for TA and TC.
        resnet3d: file of 3-D ResNet-50 Kinetics weights, for FID-VID.
        i3d: file of I3D Kinetics-400 weights, for FVD.
        device: where to compute.
        allow_fetch: whether absent LPIPS and CLIP weights may be downloaded.
    """

    clip: str | Path | None = None
    resnet3d: str | Path | None = None
    i3d: str | Path | None = None
    device: str = "cpu"
    allow_fetch: bool = False
