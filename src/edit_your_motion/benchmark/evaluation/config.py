"""Settings of measuring: where feature networks are, how people are found, what is resized to what."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from edit_your_motion.config import AlignmentConfig, PeopleConfig, Section
from edit_your_motion.datasets.config import CasesConfig


class NetworksConfig(Section):
    """Networks of the learned metrics; what is absent is a named gap."""

    clip: str | None = Field(None, description="Folder or hub name of a CLIP model, for TA and TC.")
    resnet3d: Path | None = Field(None, description="3-D ResNet-50 Kinetics weights, for FID-VID.")
    i3d: Path | None = Field(None, description="I3D Kinetics-400 weights, for FVD.")
    device: str = Field("cpu", description="Where they compute.")
    allow_fetch: bool = Field(True, description="Download absent LPIPS and CLIP weights.")


class EvaluationConfig(Section):
    """How clips are measured."""

    cases: CasesConfig = CasesConfig()
    networks: NetworksConfig = NetworksConfig()
    people: PeopleConfig = PeopleConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    resize: Literal["auto", "output", "others", "none"] = Field(
        "auto",
        description="Where sizes differ: output resized to truth; truth and source cropped to output; an error; "
        "or (auto) the first for one shape, else the second.",
    )
    clip_stride: int = Field(1, ge=1, le=1000, description="Frames between the starts of FID-VID's and FVD's clips.")
