"""Rough pictures of what is under way: latents by a linear map."""

import numpy as np
import torch

from edit_your_motion.sampling.latent_preview import LatentPreview


def test_latents_that_are_linear_in_the_colours_are_shown_exactly() -> None:
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    frames = small.repeat(8, axis=1).repeat(8, axis=2)
    mixing, shift = generator.normal(size=(3, 4)), generator.normal(size=4)
    latents = torch.from_numpy(np.moveaxis(small / 255 @ mixing + shift, -1, 1)[None]).float()
    shown = LatentPreview.fit(latents, frames).show(latents)
    assert np.abs(shown.astype(int) - small).max() <= 1


def test_noise_stays_a_picture() -> None:
    frames = np.full((2, 16, 16, 3), 128, np.uint8)
    preview = LatentPreview.fit(torch.zeros(1, 2, 4, 2, 2), frames)
    assert preview.show(1e3 * torch.ones(1, 3, 4, 2, 2)).shape == (3, 2, 2, 3)
