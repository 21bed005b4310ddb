"""What every benchmark that edits has."""

from pydantic import Field

from edit_your_motion.config import EditConfig, Section
from edit_your_motion.presets import PAPER, PresetName


class BenchmarkConfig(Section):
    """What is the same for every method, whatever the data."""

    preset: PresetName = Field(
        PAPER, description="Settings under yours of the edit; what the base recommends lies over it."
    )
    share: float = Field(
        1.0, gt=0, le=10, description="Share of every method's tuning iterations; below 1 for a quick look."
    )
    rate: float = Field(
        1.0, gt=0, le=1000, description="Factor of every method's learning rates, which are Stable Diffusion 1.5's."
    )
    edit: EditConfig = Field(EditConfig(), description="Settings that methods change; clips and prompts come from us.")
