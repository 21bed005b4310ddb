"""Settings of measuring: where feature networks are, how people are found, what is resized to what."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from edit_your_motion.config import AlignmentConfig, PeopleConfig, Section
from edit_your_motion.datasets.config import CasesConfig


class NetworksConfig(Section):
    """Where the learned metrics find their networks; what is absent is a named gap."""

    clip: str | None = Field(None, description="Folder or hub name of a CLIP model, for TA and TC.")
    resnet3d: Path | None = Field(None, description="File of 3-D ResNet-50 Kinetics weights, for FID-VID.")
    i3d: Path | None = Field(None, description="File of I3D Kinetics-400 weights, for FVD.")
    device: str = Field("cpu", description="Where feature networks compute.")
    allow_fetch: bool = Field(True, description="Download LPIPS and CLIP weights that are absent.")


class EvaluationConfig(Section):
    """How clips are measured."""

    cases: CasesConfig = CasesConfig()
    networks: NetworksConfig = NetworksConfig()
    people: PeopleConfig = PeopleConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    resize: Literal["auto", "output", "others", "none"] = Field(
        "auto",
        description="Where sizes differ: the output is resized to the truth's size; the truth and the source are "
        "cropped to the output's; it is an error; or (auto) the first where both have one shape, else the second.",
    )
    clip_stride: int = Field(1, ge=1, le=1000, description="Frames between the starts of FID-VID's and FVD's clips.")
