"""Noise that does not remember the old pose: drawn anew where the source's person was or the edit's will be."""

from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

from edit_your_motion.runtime.random import Draws


@dataclass(frozen=True, eq=False)
class FreshPerson:
    """What stands in the noisy latents where the source's person was or the edit's will be, in the place of z*.

    Inversion writes the source's pose into z*, since what the network predicts along the way is never quite noise; what
    is left of it draws the edit back to the old pose. Place and camera stand in the rest of z*, which stays. Not in the
    paper: an option.

    Args:
        where: the cells.
        noise: the same in all frames, as that of a still place nearly is.
        latents: clean ones that the noise lies over; None for noise alone.
        known: the cells whose latents are good enough to be held; None for all.
    """

    where: Bool[Tensor, "1 f 1 lh lw"]
    noise: Float[Tensor, "1 f c lh lw"]
    latents: Float[Tensor, "1 f c lh lw"] | None = None
    known: Bool[Tensor, "1 f 1 lh lw"] | None = None

    @classmethod
    def draw(
        cls,
        noise: Float[Tensor, "1 f c lh lw"],
        where: Bool[Tensor, "1 f 1 lh lw"],
        seed: int,
        latents: Float[Tensor, "1 f c lh lw"] | None = None,
        known: Bool[Tensor, "1 f 1 lh lw"] | None = None,
    ) -> "FreshPerson":
        """Fresh noise that spreads as much as the rest of z*, which inversion may leave below 1: sampling from wider
        noise gives glaring colours.

        Args:
            noise: z*, one frame for each of the edit's.
            where: the cells, from `people_cells`.
            seed: of the fresh noise.
            latents: clean ones to lay it over.
            known: the cells of them that are good enough to be held.
        """
        kept = noise[~where.expand_as(noise)]
        spread = kept.std() if len(kept) > 1 else 1.0
        fresh = Draws(seed).normal(*noise.shape[2:]).to(noise) * spread
        fresh = repeat(fresh, "c lh lw -> 1 f c lh lw", f=noise.shape[1])
        return cls(
            where, fresh, None if latents is None else latents.to(noise), None if known is None else known.to(where)
        )

    def hold(self, z: Float[Tensor, "1 f c lh lw"], kept: float) -> Float[Tensor, "1 f c lh lw"]:
        """The noisy latents with the person put back where it is known.

        Args:
            z: noisy latents z_t.
            kept: abar_t.
        """
        put = self.put_into(z, kept)
        return put if self.known is None else torch.where(self.known, put, z)

    def put_into(self, z: Float[Tensor, "1 f c lh lw"], kept: float) -> Float[Tensor, "1 f c lh lw"]:
        """The noisy latents with the fresh person's in their place.

        A schedule that ends with abar above 0, as Stable Diffusion's, leaves enough of z_0 in z* for a picture's
        colours, and a network that has learnt with it paints grey where it is missing (Lin et al. 2023, "Common
        Diffusion Noise Schedules and Sample Steps are Flawed"): hence `latents`.

        Args:
            z: noisy latents z_t.
            kept: abar_t.
        """
        person = self.noise if self.latents is None else kept**0.5 * self.latents + (1 - kept) ** 0.5 * self.noise
        return torch.where(self.where, person, z)
