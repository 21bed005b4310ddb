"""Noise drawn anew for the person: only there, the same in every frame, and for the seed."""

import numpy as np
import pytest
import torch

from edit_your_motion.sampling.fresh_noise import FreshPerson
from edit_your_motion.sampling.kept_background import people_cells
from test_background import SIDE, column, standing_at

pytestmark = pytest.mark.law

CELLS = SIDE // 8


def moving_person() -> torch.Tensor:
    """Where somebody is who went from x = 30 to x = 90."""
    return people_cells(column(30, 8), standing_at(30), standing_at(90), (CELLS, CELLS))


def drawn(noise: torch.Tensor, seed: int = 3) -> torch.Tensor:
    return FreshPerson.draw(noise, moving_person(), seed).put_into(noise, 0.01)


def some_noise(channels: int, spread: float) -> torch.Tensor:
    return torch.randn(1, 2, channels, CELLS, CELLS, generator=torch.Generator().manual_seed(0)) * spread


def test_only_where_the_person_was_or_will_be() -> None:
    noise = some_noise(4, 1.0)
    changed = (drawn(noise) != noise).all(dim=2)[0]
    assert changed[:, 6:12, 3:5].all(), "where the person was"
    assert changed[:, 6:12, 11].all(), "where the person will be"
    assert not changed[:, :3].any()
    assert not changed[..., 6:10].any()
    assert not changed[..., 14:].any()


def test_the_same_in_every_frame_and_as_wide_as_the_rest() -> None:
    noise = some_noise(64, 0.7)
    fresh = drawn(noise)
    redrawn = fresh != noise
    values = fresh[redrawn]
    assert torch.equal(fresh[:, 0][redrawn[:, 0]], fresh[:, 1][redrawn[:, 0]])
    assert abs(float(values.mean())) < 0.05
    assert abs(float(values.std()) / 0.7 - 1) < 0.05
    assert torch.equal(fresh, drawn(noise))
    assert not torch.equal(fresh, drawn(noise, seed=4))


def test_somebody_who_stays_where_nobody_was_found_keeps_the_noise() -> None:
    nobody = standing_at(90)
    nobody.body[..., 2] = 0
    noise = torch.randn(1, 2, 4, CELLS, CELLS)
    nothing = np.zeros((2, SIDE, SIDE), bool)
    where = people_cells(nothing, nobody, nobody, (CELLS, CELLS))
    assert torch.equal(FreshPerson.draw(noise, where, 0).put_into(noise, 0.01), noise)


def test_fresh_noise_over_latents_is_as_noisy_as_the_level_says() -> None:
    noise, latents = some_noise(4, 1.0), torch.full((1, 2, 4, CELLS, CELLS), 5.0)
    fresh = FreshPerson.draw(noise, moving_person(), 3, latents)
    where = fresh.where.expand_as(noise)
    for kept in (0.04, 0.64):
        laid = fresh.put_into(noise, kept)
        torch.testing.assert_close(laid[where], (kept**0.5 * latents + (1 - kept) ** 0.5 * fresh.noise)[where])
        assert torch.equal(laid[~where], noise[~where])
