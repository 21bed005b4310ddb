"""What is the same for every cell of the paired benchmark."""

from typing import Literal

from pydantic import Field

from edit_your_motion.benchmark.config import BenchmarkConfig


class PairedConfig(BenchmarkConfig):
    """What is the same for every method and pair."""

    frames: int = Field(8, ge=1, le=256, description="Frames of each clip.")
    size: int | None = Field(None, ge=64, le=1024, description="Side of the frames, pixels; default: the base's own.")
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
