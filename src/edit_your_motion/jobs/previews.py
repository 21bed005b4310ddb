"""A picture of the edit while it is sampled, for whoever wants to stop one that goes wrong."""

from itertools import count
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from edit_your_motion.diffusion.solvers import OnStep
from edit_your_motion.jobs.inspection import PREVIEW
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.preview import write_picture
from edit_your_motion.runtime.progress import SilentProgress


def preview_sampling(backbone: Backbone, folder: Path, every: int) -> OnStep | None:
    """What writes ``preview.png``, the middle frame with the noise it still has, after every so many steps.

    Args:
        backbone: decodes.
        folder: gets the picture, each in place of the one before.
        every: steps; 0 for no pictures.
    """
    if not every:
        return None
    steps = count(1)

    @torch.no_grad()
    def write(_: int, latents: Float[Tensor, "b f c lh lw"]) -> None:
        if next(steps) % every == 0:
            middle = latents.shape[1] // 2
            (frame,) = backbone.decode(latents[:1, middle : middle + 1], SilentProgress())
            write_picture(folder / PREVIEW, frame)

    return write
