"""What is the same for every cell of the paired benchmark."""

from typing import Literal

from pydantic import Field

from edit_your_motion.config import EditConfig, Section


class PairedConfig(Section):
    """What is the same for every method and pair."""

    frames: int = Field(8, ge=1, le=256, description="Of each clip.")
    size: int | None = Field(None, ge=64, le=1024, description="Side, pixels; default: what the base was trained on.")
    fps: int = Field(8, ge=1, le=60, description="Frames per second.")
    rendered_side: int = Field(
        512, ge=64, le=2048, description="Least side at which clips are rendered and people looked for."
    )
    people: Literal["detected", "truth"] = Field(
        "detected", description="Keypoints and masks: found by the people backend, or the true ones."
    )
    edit_prompt: Literal["truth", "source"] = Field(
        "truth", description="What the truth shows (same person, new motion), or the source's prompt."
    )
    share: float = Field(
        1.0, gt=0, le=10, description="Share of every method's tuning iterations; below 1 for a quick look."
    )
    rate: float = Field(
        1.0, gt=0, le=1000, description="Factor of every method's learning rates, which are Stable Diffusion 1.5's."
    )
    edit: EditConfig = Field(EditConfig(), description="Settings that methods change; clips and prompts come from us.")
