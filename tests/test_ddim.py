"""Inversion and sampling against Eq. 6 written out, and against each other."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler

from edit_your_motion.diffusion.ddim import denoising_loss, guide, invert, rescaling, sample, signal_levels
from edit_your_motion.models.prediction_type import noise_of_velocity
from edit_your_motion.models.tiny import make_scheduler
from tiny_network import load_network, random_clip, scheduler

pytestmark = pytest.mark.law


@pytest.fixture
def schedule(checkpoints: Path) -> DDIMScheduler:
    return scheduler(checkpoints)


def test_inversion_is_the_mended_equation_6(schedule: DDIMScheduler) -> None:
    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * z) + t.view(-1, 1, 1, 1, 1) / 1000

    z = start = torch.randn(1, 2, 4, 4, 4)
    abar = schedule.alphas_cumprod
    before = abar[0]  # "set_alpha_to_one" is off in Stable Diffusion: z_0 counts as the least noisy level
    for t in range(1, 1000, 100):
        noise = predict(z, torch.tensor([t]))
        z = (abar[t].sqrt() / before.sqrt()) * (z - (1 - before).sqrt() * noise) + (1 - abar[t]).sqrt() * noise
        before = abar[t]
    torch.testing.assert_close(invert(predict, start, schedule, steps=10), z, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_sampling_undoes_inversion_exactly_where_the_noise_does_not_depend_on_z(
    schedule: DDIMScheduler, steps: int
) -> None:
    noise = torch.randn(1000, 3, 4, 8, 8)

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return noise[t]

    z = torch.randn(1, 3, 4, 8, 8)
    torch.testing.assert_close(
        sample(predict, invert(predict, z, schedule, steps), schedule, steps), z, atol=1e-4, rtol=1e-4
    )


def test_inversion_and_sampling_meet_with_a_network(checkpoints: Path, schedule: DDIMScheduler) -> None:
    network, clip = load_network(checkpoints), random_clip(lh=4, lw=4)

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The best prediction for standard normal data, off by an untrained network's idea of it."""
        return (1 - schedule.alphas_cumprod[t]).sqrt() * z + 0.05 * network(z, t, clip.text, clip.skeletons)

    def error(steps: int) -> float:
        back = sample(predict, invert(predict, clip.whole, schedule, steps), schedule, steps)
        return float((back - clip.whole).square().mean().sqrt())

    errors = [error(steps) for steps in (5, 10, 50)]
    assert errors[2] < 0.05
    assert errors == sorted(errors, reverse=True)


def test_sampling_equals_the_schedule_of_diffusers(schedule: DDIMScheduler) -> None:
    reached: list[int] = []
    sample(lambda z, t: z, torch.randn(1, 1, 4, 4, 4), schedule, 5, on_step=lambda t, z: reached.append(t))
    assert reached == [801, 601, 401, 201, 1]


def test_no_guidance_never_asks_the_unconditional_network() -> None:
    def fail(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        raise AssertionError("asked")

    def conditional(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 2 * z

    assert guide(conditional, fail, 1.0) is conditional
    guided = guide(conditional, lambda z, t: z, 7.5)
    assert guided(torch.ones(1), torch.ones(1)).item() == 8.5


def implied(z: torch.Tensor, noise: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    return (z - (1 - signal).sqrt() * noise) / signal.sqrt()


def test_rescaled_guidance_has_the_colours_of_what_is_wanted(schedule: DDIMScheduler) -> None:
    z, wanted, other, t = *torch.randn(3, 1, 2, 4, 6, 6, dtype=torch.float64), torch.tensor(600)
    signal = schedule.alphas_cumprod.double()[t]
    where = torch.zeros(1, 2, 1, 6, 6, dtype=torch.bool)
    where[..., 1:5, 2:] = True

    def clean(share: float, cells: torch.Tensor | None) -> torch.Tensor:
        guided = guide(lambda z, t: wanted, lambda z, t: other, 5.0, rescaling(share, schedule, cells))
        return implied(z, guided(z, t), signal)

    goal, plain, whole = implied(z, wanted, signal), clean(0, None), clean(1, None)
    assert rescaling(0, schedule) is None
    for moment in (torch.mean, torch.std):
        torch.testing.assert_close(moment(whole, dim=(-2, -1)), moment(goal, dim=(-2, -1)), atol=1e-4, rtol=1e-4)
        assert (moment(plain, dim=(-2, -1)) - moment(goal, dim=(-2, -1))).abs().max() > 0.1
    torch.testing.assert_close(clean(0.3, None), 0.7 * plain + 0.3 * whole, atol=1e-4, rtol=1e-4)

    # Only some cells: their own moments, and the others as guidance made them.
    inside = where.expand_as(goal)
    part = clean(1, where)
    torch.testing.assert_close(part[~inside], plain[~inside], atol=1e-4, rtol=1e-4)
    cells, cells_goal = (latents[inside].reshape(2, 4, -1) for latents in (part, goal))
    torch.testing.assert_close(cells.mean(dim=-1), cells_goal.mean(dim=-1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cells.std(dim=-1), cells_goal.std(dim=-1), atol=1e-4, rtol=1e-4)


def test_rescaling_of_no_cell_and_of_a_flat_frame_is_finite(schedule: DDIMScheduler) -> None:
    z, t = torch.zeros(1, 1, 4, 6, 6), torch.tensor(600)
    nowhere = torch.zeros(1, 1, 1, 6, 6, dtype=torch.bool)
    for where in (nowhere, None):
        guided = guide(lambda z, t: z + 1, lambda z, t: z, 3.0, rescaling(1, schedule, where))(z, t)
        assert guided.isfinite().all()
    assert torch.allclose(guide(lambda z, t: z + 1, lambda z, t: z, 3.0, rescaling(1, schedule, nowhere))(z, t), z + 3)


def test_the_loss_of_the_true_noise_is_zero(schedule: DDIMScheduler) -> None:
    z, noise, t = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 3, 4, 4, 4), torch.tensor([10, 900])
    assert denoising_loss(lambda z_t, t: noise, z, noise, t, schedule) == 0
    abar = schedule.alphas_cumprod[t].view(-1, 1, 1, 1, 1)
    loss = denoising_loss(lambda z_t, t: z_t, z, noise, t, schedule)
    torch.testing.assert_close(loss, (abar.sqrt() * z + (1 - abar).sqrt() * noise - noise).square().mean())


def test_cells_count_as_much_as_they_weigh(schedule: DDIMScheduler) -> None:
    z, noise, t = torch.randn(1, 3, 4, 4, 6), torch.randn(1, 3, 4, 4, 6), torch.tensor([300])
    weights = torch.ones(1, 3, 1, 4, 6)

    def loss(weights: torch.Tensor | None) -> torch.Tensor:
        return denoising_loss(lambda z_t, t: z_t, z, noise, t, schedule, weights)

    torch.testing.assert_close(loss(weights), loss(None))
    weights[..., :2] = 0
    abar = schedule.alphas_cumprod[t]
    errors = (abar.sqrt() * z + (1 - abar).sqrt() * noise - noise).square()
    torch.testing.assert_close(loss(weights), errors[..., 2:].mean())
    weights[..., :2] = 3
    expected = (3 * errors[..., :2].sum() + errors[..., 2:].sum()) / (3 * 2 + 4) / (errors[..., 0].numel())
    torch.testing.assert_close(loss(weights), expected)


def test_a_base_that_predicts_the_velocity_is_tuned_to_the_velocity() -> None:
    schedule = make_scheduler("v_prediction")
    z, noise, t = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 3, 4, 4, 4), torch.tensor([10, 900])
    velocity = schedule.get_velocity(z, noise, t)
    kept = schedule.alphas_cumprod[t]

    def off_by(error: float) -> float:
        return denoising_loss(
            lambda z_t, t: noise_of_velocity(velocity + error, z_t, kept), z, noise, t, schedule
        ).item()

    assert off_by(0.0) < 1e-9
    assert off_by(0.5) == pytest.approx(0.25, rel=1e-4)


def test_the_signal_of_each_step_is_that_of_its_timestep(schedule: DDIMScheduler) -> None:
    reached: list[int] = []
    for solver in ("ddim", "dpm++2m"):
        reached.clear()
        z = torch.randn(1, 1, 4, 4, 4)
        sample(lambda z, t: z, z, schedule, 10, on_step=lambda t, z: reached.append(t), solver=solver)
        assert signal_levels(schedule, 10, solver) == tuple(schedule.alphas_cumprod[reached].tolist())


@pytest.mark.parametrize("solver", ["ddim", "dpm++2m"])
def test_networks_say_the_noise_whatever_the_base_predicts(solver: str) -> None:
    z = torch.randn(1, 1, 4, 4, 4)
    paths = []
    for schedule in (make_scheduler("epsilon"), make_scheduler("v_prediction")):
        noise = invert(lambda z, t: torch.sin(z), z, schedule, 6, solver=solver)
        paths.append((noise, sample(lambda z, t: torch.sin(z), noise, schedule, 6, solver=solver)))
    assert torch.equal(paths[0][0], paths[1][0])
    assert torch.equal(paths[0][1], paths[1][1])
