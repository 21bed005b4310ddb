"""The source as tuning sees it."""

from dataclasses import dataclass

from jaxtyping import Float, UInt8
from torch import Tensor

from edit_your_motion.config import StageConfig


@dataclass(frozen=True)
class TuningClip:
    """All that tuning sees of the source, computed once.

    Args:
        person: latents of the frames with everything but the person black (Eq. 11).
        whole: latents of the whole frames.
        text: embedding of the prompt.
        people: the share of each cell that the person takes, in [0, 1].
        skeletons: the source's skeleton pictures, in [0, 1], or as bytes; those of a clip that is longer than a window
            stay where they are, and go to the network a window at a time.
    """

    person: Float[Tensor, "b f c lh lw"]
    whole: Float[Tensor, "b f c lh lw"]
    people: Float[Tensor, "b f 1 lh lw"]
    text: Float[Tensor, "b n d"]
    skeletons: Float[Tensor, "b f 3 h w"] | UInt8[Tensor, "b f 3 h w"]

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.whole.shape[1]

    def pixels(self, stage: StageConfig) -> Float[Tensor, "b f c lh lw"]:
        """The latents that a stage learns."""
        return self.person if stage.pixels == "person" else self.whole

    def weights(self, stage: StageConfig, frames: slice) -> Float[Tensor, "b f 1 lh lw"] | None:
        """How much each cell of some frames counts in a stage's loss; None where all count the same."""
        return None if stage.person_weight == 1 else 1 + (stage.person_weight - 1) * self.people[:, frames]
