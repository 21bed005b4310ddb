"""Rough pictures of what is under way: latents by a linear map, losses as a curve."""

import numpy as np
import torch

from edit_your_motion.sampling.latent_preview import LatentPreview
from edit_your_motion.tuning.loss_curve import HEIGHT, WIDTH, draw_losses


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


def test_a_curve_falls_as_the_losses_do() -> None:
    falling = draw_losses({step: 1 - step / 100 for step in range(1, 101)}, [100])
    orange = (falling == (255, 170, 60)).all(axis=-1)
    heights = [np.flatnonzero(orange[:, column]).mean() for column in range(WIDTH) if orange[:, column].any()]
    assert falling.shape == (HEIGHT, WIDTH, 3)
    assert heights == sorted(heights), "rows are counted from above"
    assert len(heights) > 0.9 * WIDTH


def test_stages_have_colours_of_their_own_and_the_past_may_be_missing() -> None:
    picture = draw_losses({7: 0.5, 8: 0.4, 12: 0.3, 13: 0.2}, [10, 10])
    for colour in ((255, 170, 60), (90, 180, 255)):
        assert (picture == colour).all(axis=-1).any()
    assert draw_losses({}, [0, 0]).shape == (HEIGHT, WIDTH, 3)
