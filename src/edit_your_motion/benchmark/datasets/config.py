"""What is the same for every cell of a benchmark on a data set."""

from typing import Literal

from pydantic import Field

from edit_your_motion.benchmark.config import BenchmarkConfig
from edit_your_motion.benchmark.evaluation.config import NetworksConfig
from edit_your_motion.config import Size
from edit_your_motion.datasets.config import CasesConfig


class DatasetConfig(BenchmarkConfig):
    """What is the same for every method and case."""

    cases: CasesConfig = CasesConfig()
    size: Size = Field(
        "auto",
        description="Of edits and truth: '256' (square), '512x768', or 'auto': the source's shape, the base's "
        "number of pixels.",
    )
    fit: Literal["crop", "pad"] = Field("crop", description="How another shape is brought to the size.")
    people: Literal["ready", "detected"] = Field(
        "ready", description="Keypoints and masks: the data set's where it has them, or the people backend's."
    )
    clip_stride: int = Field(1, ge=1, le=1000, description="Frames between the starts of FID-VID's and FVD's clips.")
    networks: NetworksConfig = NetworksConfig()
