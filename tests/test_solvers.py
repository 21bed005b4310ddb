"""Solvers against closed forms, against diffusers, and against each other."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from edit_your_motion.config import SolverName
from edit_your_motion.diffusion.ddim import Predict, guide, invert, sample
from edit_your_motion.diffusion.solvers import SOLVERS
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.models.tiny import make_scheduler
from tiny_network import load_network, random_clip

pytestmark = pytest.mark.law

SCHEDULE = make_scheduler()
CENTRE, SPREAD = 0.7, 0.6


def smooth_schedule(least: float = -2.0, most: float = 2.0) -> DDIMScheduler:
    """A schedule that is even in log(alpha / sigma), so that the order of a solver shows at few steps."""
    abar = torch.sigmoid(2 * torch.linspace(most, least, 1000, dtype=torch.float64))
    betas = 1 - abar / torch.cat([torch.ones(1), abar[:-1]])
    return DDIMScheduler(trained_betas=betas.tolist(), clip_sample=False, set_alpha_to_one=False, steps_offset=1)


def gaussian(schedule: DDIMScheduler) -> Predict:
    """eps for data that is normal around CENTRE with the deviation SPREAD."""
    abar = schedule.alphas_cumprod.double()

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a = abar[t].view(-1, 1, 1, 1, 1)
        return (1 - a).sqrt() * (z - a.sqrt() * CENTRE) / (a * SPREAD**2 + 1 - a)

    return predict


def exact(schedule: DDIMScheduler, z: torch.Tensor, start: int, end: int) -> torch.Tensor:
    """Where the probability flow of `gaussian` carries z from one timestep to another."""
    (mean, deviation), (mean_there, deviation_there) = (
        (a.sqrt() * CENTRE, (a * SPREAD**2 + 1 - a).sqrt()) for a in schedule.alphas_cumprod[[start, end]].double()
    )
    return mean_there + deviation_there * (z - mean) / deviation


def visited(call: Callable[..., torch.Tensor], solver: SolverName, steps: int, **settings: object) -> list[int]:
    seen: list[int] = []

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append(int(t))
        return z

    call(predict, torch.ones(1, 1, 1, 1, 1), SCHEDULE, steps, solver=solver, **settings)
    return seen


def sampling_error(schedule: DDIMScheduler, solver: SolverName, steps: int) -> float:
    noise = torch.linspace(-2, 2, 9).view(1, 1, 1, 3, 3)
    timesteps: list[int] = []
    reached = sample(
        gaussian(schedule), noise, schedule, steps, on_step=lambda t, z: timesteps.append(t), solver=solver
    )
    return float((reached - exact(schedule, noise.double(), timesteps[0], 0)).square().mean().sqrt())


def inversion_error(schedule: DDIMScheduler, solver: SolverName, steps: int) -> float:
    clean = torch.linspace(-1, 2, 9).view(1, 1, 1, 3, 3)
    timesteps: list[int] = []
    reached = invert(
        gaussian(schedule), clean, schedule, steps, on_step=lambda t, z: timesteps.append(t), solver=solver
    )
    return float((reached - exact(schedule, clean.double(), 0, timesteps[-1])).square().mean().sqrt())


def round_trip(predict: Predict, z: torch.Tensor, steps: int, solver: SolverName, fixed_point: int) -> float:
    noise = invert(predict, z, SCHEDULE, steps, solver=solver, fixed_point=fixed_point)
    return float((sample(predict, noise, SCHEDULE, steps, solver=solver) - z).abs().max())


@pytest.mark.parametrize("error", [sampling_error, inversion_error])
@pytest.mark.parametrize(("solver", "order"), [("ddim", 1), ("dpm++2m", 2)])
def test_the_order_of_a_solver(error: Callable[..., float], solver: SolverName, order: int) -> None:
    schedule = smooth_schedule()
    errors = [error(schedule, solver, steps) for steps in (20, 40, 80)]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert orders == pytest.approx([order, order], abs=0.2)


@pytest.mark.parametrize("error", [sampling_error, inversion_error])
def test_few_steps_of_second_order_are_worth_many_of_ddim(error: Callable[..., float]) -> None:
    assert error(SCHEDULE, "dpm++2m", 10) < error(SCHEDULE, "ddim", 50)


@pytest.mark.filterwarnings("ignore:__array__")  # of diffusers, between torch and numpy
def test_the_second_order_solver_is_that_of_diffusers() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4)).requires_grad_(False)

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return z + network(z + t.view(-1, 1, 1, 1, 1) / 1000)

    noise = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    theirs = DPMSolverMultistepScheduler.from_config(
        SCHEDULE.config, final_sigmas_type="sigma_min", lower_order_final=False
    )
    theirs.set_timesteps(timesteps=visited(sample, "dpm++2m", 12))
    z = noise
    for t in theirs.timesteps:
        z = theirs.step(predict(z, t.expand(2)), t, z).prev_sample
    torch.testing.assert_close(sample(predict, noise, SCHEDULE, 12, solver="dpm++2m"), z, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 333, 999])
def test_the_second_order_solver_visits_every_level_once_and_stays_in_the_schedule(steps: int) -> None:
    down = visited(sample, "dpm++2m", steps)
    assert down[0] == 999
    assert len(down) == steps
    assert all(0 < after < before for before, after in pairwise(down))
    up = visited(invert, "dpm++2m", steps)
    assert up == [0, *reversed(down[1:])]
    assert visited(invert, "dpm++2m", steps, fixed_point=2) == up + 2 * down[::-1]


def test_ddim_refines_each_step_where_it_stands() -> None:
    assert visited(sample, "ddim", 5) == [801, 601, 401, 201, 1]
    assert visited(invert, "ddim", 5) == [1, 201, 401, 601, 801]
    assert visited(invert, "ddim", 2, fixed_point=2) == [1, 1, 1, 501, 501, 501]


@pytest.mark.parametrize("solver", get_args(SolverName))
@pytest.mark.parametrize("call", [sample, invert])
def test_more_steps_than_the_schedule_has_are_an_error(call: Callable[..., torch.Tensor], solver: SolverName) -> None:
    for steps in (0, 1000, 1001):
        with pytest.raises(ConfigError, match=r"expected (1 to \d+|fewer than 1000) steps"):
            visited(call, solver, steps)


def test_a_schedule_that_ends_in_pure_noise_is_named() -> None:
    schedule = DDIMScheduler(beta_schedule="scaled_linear", rescale_betas_zero_snr=True)
    with pytest.raises(CheckpointError, match="to 0; this base works with the solver 'ddim' only"):
        sample(lambda z, t: z, torch.ones(1, 1, 1, 1, 1), schedule, 5, solver="dpm++2m")


@pytest.mark.parametrize("solver", get_args(SolverName))
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_noise_that_does_not_depend_on_z_is_undone(solver: SolverName, steps: int) -> None:
    noise = torch.randn(1000, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    z = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    assert round_trip(lambda z, t: noise[t], z, steps, solver, fixed_point=0 if solver == "ddim" else 30) < 1e-3


@pytest.mark.parametrize(("solver", "steps", "passes"), [("ddim", 4, 1), ("dpm++2m", 8, 3)])
def test_refined_inversion_of_a_network_comes_closer_than_the_plain_one(
    checkpoints: Path, solver: SolverName, steps: int, passes: int
) -> None:
    tiny, clip = load_network(checkpoints), random_clip(2, lh=4, lw=4)

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The best prediction for standard normal data, off by an untrained network's idea of it."""
        return (1 - SCHEDULE.alphas_cumprod[t]).sqrt() * z + 0.02 * tiny(z, t, clip.text, clip.skeletons)

    plain, refined = (round_trip(predict, clip.whole, steps, solver, count) for count in (0, passes))
    assert plain > 0.03
    assert refined < plain / 3


@pytest.mark.parametrize("solver", get_args(SolverName))
@pytest.mark.parametrize("steps", [3, 10])
def test_refinement_ends_in_the_exact_inverse(solver: SolverName, steps: int) -> None:
    z = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    errors = [round_trip(gaussian(SCHEDULE), z, steps, solver, passes) for passes in (0, 5, 60)]
    assert errors[0] > 0.05
    assert errors[1] < errors[0] / 1.5
    assert errors[2] < 1e-4


@pytest.mark.parametrize("solver", get_args(SolverName))
def test_refinement_converges_for_the_sharpest_and_the_broadest_data(solver: SolverName) -> None:
    abar = SCHEDULE.alphas_cumprod

    def one_point(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (z - abar[t].sqrt() * 0.5) / (1 - abar[t]).sqrt()

    def anything(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(z)

    points = torch.full((1, 1, 1, 1, 1), 0.5)
    assert round_trip(one_point, points, 10, solver, fixed_point=50) < 1e-3
    assert round_trip(anything, 3 * points, 10, solver, fixed_point=50) < 1e-3


@pytest.mark.parametrize("solver", get_args(SolverName))
def test_guidance_composes_with_every_solver(solver: SolverName) -> None:
    conditional = gaussian(SCHEDULE)
    guided = guide(conditional, lambda z, t: 0.9 * conditional(z, t), 1.5)
    z = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    assert round_trip(guided, z, 8, solver, fixed_point=0) > 0.05
    assert round_trip(guided, z, 8, solver, fixed_point=40) < 1e-3


@pytest.mark.parametrize("solver", get_args(SolverName))
@pytest.mark.parametrize("fixed_point", [0, 2])
def test_hooks_hear_of_every_step_once_and_may_change_it(solver: SolverName, fixed_point: int) -> None:
    heard: list[int] = []

    def freeze(t: int, z: torch.Tensor) -> torch.Tensor:
        heard.append(t)
        return torch.full_like(z, 7)

    z = torch.ones(1, 2, 4, 2, 2)
    up = invert(lambda z, t: z, z, SCHEDULE, 4, freeze, solver=solver, fixed_point=fixed_point)
    assert heard == sorted(set(heard))
    assert len(heard) == 4
    down = sample(lambda z, t: z, z, SCHEDULE, 4, freeze, solver=solver)
    assert heard[4:] == heard[:4][::-1]
    assert bool((up == 7).all())
    assert bool((down == 7).all())


@pytest.mark.parametrize("solver", get_args(SolverName))
def test_half_precision_goes_in_and_single_comes_out(solver: SolverName) -> None:
    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return z.bfloat16() / 2

    z = torch.ones(1, 1, 4, 2, 2, dtype=torch.bfloat16)
    assert invert(predict, z, SCHEDULE, 3, solver=solver, fixed_point=1).dtype == torch.float32
    assert sample(predict, z, SCHEDULE, 3, solver=solver).dtype == torch.float32


def test_no_solver_keeps_a_graph() -> None:
    weight = torch.ones(1, requires_grad=True)
    for solver in SOLVERS:
        z = torch.ones(1, 1, 4, 2, 2)
        assert not invert(lambda z, t: weight * z, z, SCHEDULE, 2, solver=solver).requires_grad
        assert not sample(lambda z, t: weight * z, z, SCHEDULE, 2, solver=solver).requires_grad
