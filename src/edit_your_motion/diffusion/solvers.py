"""Deterministic paths between z_0 and its noise z*: DDIM, and a second-order solver that needs fewer steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import expm1, log
from types import MappingProxyType
from typing import Protocol, TypeAlias

import numpy as np
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from edit_your_motion.config import SolverName
from edit_your_motion.errors import CheckpointError, ConfigError

Predict: TypeAlias = Callable[[Float[Tensor, "b f c lh lw"], Int[Tensor, " b"]], Float[Tensor, "b f c lh lw"]]
"""eps_theta: the predicted noise in z at timestep t, everything else bound."""

OnStep: TypeAlias = Callable[[int, Float[Tensor, "b f c lh lw"]], Float[Tensor, "b f c lh lw"] | None]
"""Called after each step with its timestep and the latents it reached; may return others to go on with."""


CLEAN_SHARE = 2 / 3
"""Of a change of z, when `Multistep` is inverted: with 1, the usual choice, convergence is slower; with 1/2 it is lost
for broad distributions and fewer than 8 steps."""


class Solver(Protocol):
    """A way to walk the probability-flow path of a schedule, up to the noise and down again."""

    def timesteps(self, scheduler: DDIMScheduler, steps: int) -> tuple[int, ...]:
        """Of the latents that each step of sampling begins with, z* first."""
        ...

    def sample(
        self, predict: Predict, z: Tensor, scheduler: DDIMScheduler, steps: int, on_step: OnStep | None
    ) -> Float[Tensor, "b f c lh lw"]:
        """z_0, reached from the noise `z`."""
        ...

    def invert(
        self,
        predict: Predict,
        z: Tensor,
        scheduler: DDIMScheduler,
        steps: int,
        on_step: OnStep | None,
        fixed_point: int,
    ) -> Float[Tensor, "b f c lh lw"]:
        """z*, the noise from which `sample` leads back to `z`: the better, the more passes of `fixed_point`."""
        ...


class Ddim:
    """DDIM (Song et al. 2020, Eq. 12 with eta = 0) on the timesteps of diffusers: first order, the paper's solver.

    A step down is ``z_{t-1} = step(z_t, eps(z_t, t))``. Inversion knows only z_{t-1} when it needs eps(z_t, t), and
    takes eps(z_{t-1}, t) for it (Eq. 6). Each pass of `fixed_point` asks the network again at the z_t just found (AIDI,
    Pan et al. 2023; ReNoise, Garibi et al. 2024); the limit is the exact inverse of the step.

    With h the step in log(alpha / sigma), a pass goes 2 / (1 + exp(-h)) of the way to where eps(z_t, t) leads, which is
    as if half of what z_t changes were noise and half clean latents. Where the network denoises as a log-concave
    density would have it, a pass leaves at most tanh(h / 2) of the error, while plain iteration leaves up to
    1 - exp(-h). Strong guidance can break this.
    """

    def timesteps(self, scheduler: DDIMScheduler, steps: int) -> tuple[int, ...]:
        """Of the latents that each step of sampling begins with, z* first."""
        schedule = DDIMScheduler.from_config(scheduler.config, prediction_type="epsilon")
        schedule.set_timesteps(_checked(steps, scheduler))
        return tuple(_inside(schedule, steps))

    def sample(
        self, predict: Predict, z: Tensor, scheduler: DDIMScheduler, steps: int, on_step: OnStep | None
    ) -> Float[Tensor, "b f c lh lw"]:
        """z_0, reached from the noise `z`."""
        schedule = DDIMScheduler.from_config(scheduler.config, prediction_type="epsilon")
        schedule.set_timesteps(_checked(steps, scheduler))
        z = z.float()  # half precision loses the small differences between neighbouring noise levels
        for t in _inside(schedule, steps):
            z = schedule.step(_ask(predict, z, t), t, z, return_dict=False)[0]
            z = _tell(on_step, t, z)
        return z

    def invert(
        self,
        predict: Predict,
        z: Tensor,
        scheduler: DDIMScheduler,
        steps: int,
        on_step: OnStep | None,
        fixed_point: int,
    ) -> Float[Tensor, "b f c lh lw"]:
        """z*; every step is refined before the next one, ``1 + fixed_point`` times the network."""
        schedule = DDIMInverseScheduler.from_config(scheduler.config, prediction_type="epsilon")
        schedule.set_timesteps(_checked(steps, scheduler))
        z = z.float()
        for t in _inside(schedule, steps):
            reached = schedule.step(_ask(predict, z, t), t, z, return_dict=False)[0]
            for _ in range(fixed_point):
                aim = schedule.step(_ask(predict, reached, t), t, z, return_dict=False)[0]
                reached = reached + self._stride(schedule, t, steps) * (aim - reached)
            z = _tell(on_step, t, reached)
        return z

    @staticmethod
    def _stride(schedule: DDIMInverseScheduler, t: int, steps: int) -> float:
        """2 / (1 + exp(-h)) for the step that ends at t."""
        before = t - len(schedule.alphas_cumprod) // steps
        start = float(schedule.alphas_cumprod[before] if before >= 0 else schedule.initial_alpha_cumprod)
        end = float(schedule.alphas_cumprod[t])
        return 2 / (1 + ((1 - start) / start * end / (1 - end)) ** 0.5)


class Multistep:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): second order for one call of the network a step.

    The grid runs from timestep 0, the level of clean latents, to the last one, evenly in lambda = log(alpha / sigma).
    With x the clean latents that the network sees in z, and h_i = lambda_{i-1} - lambda_i, a step down is::

        z_{i-1} = sigma_{i-1} / sigma_i z_i + alpha_{i-1} (1 - exp(-h_i)) D
        D = x_i + h_i / (2 h_{i+1}) (x_i - x_{i+1}),  and D = x_n in the first step
    """

    def timesteps(self, scheduler: DDIMScheduler, steps: int) -> tuple[int, ...]:
        """Of the latents that each step of sampling begins with, z* first."""
        return _Grid.of(scheduler, steps).timesteps[:0:-1]

    def sample(
        self, predict: Predict, z: Tensor, scheduler: DDIMScheduler, steps: int, on_step: OnStep | None
    ) -> Float[Tensor, "b f c lh lw"]:
        """z_0, reached from the noise `z`."""
        grid = _Grid.of(scheduler, steps)
        z = z.float()
        clean_before = torch.zeros_like(z)  # has no weight in the first step
        for i in range(steps, 0, -1):
            clean = grid.clean(i, z, _ask(predict, z, grid.timesteps[i]))
            z = _tell(on_step, grid.timesteps[i], grid.step_down(i, z, clean, clean_before))
            clean_before = clean
        return z

    def invert(
        self,
        predict: Predict,
        z: Tensor,
        scheduler: DDIMScheduler,
        steps: int,
        on_step: OnStep | None,
        fixed_point: int,
    ) -> Float[Tensor, "b f c lh lw"]:
        """z*; a second-order walk up, which the passes of `fixed_point` bend into the exact inverse of `sample`.

        A step down at i has seen the noisier x_{i+1}, which a walk up does not know yet. So every pass goes over the
        whole path, with what the pass before left: each step down is solved for z_i as if CLEAN_SHARE of what z_i
        changes were clean latents and the rest noise, and the network asked again there (after Hong et al. 2024, "On
        exact inversion of DPM-solvers"). The path is kept in memory: two tensors of the latents' size for each step.
        """
        grid = _Grid.of(scheduler, steps)
        start = z.float()
        hooks = [None] * fixed_point + [on_step]
        z, path = self._walk_up(predict, start, grid, hooks[0], keep=fixed_point > 0)
        for hook in hooks[1:]:
            z = self._refine(predict, start, grid, hook, path)
        return z

    @staticmethod
    def _walk_up(
        predict: Predict, z: Tensor, grid: "_Grid", on_step: OnStep | None, keep: bool
    ) -> tuple[Tensor, list["_Seen"]]:
        """z* by explicit steps that lean on the last change of the noise, and the path to it if it is to be kept."""
        newest = last = _ask(predict, z, 0)
        path = [_Seen(z, grid.clean(0, z, newest))]
        for i in range(1, grid.steps + 1):
            noise = newest + grid.lean_up(i) * (newest - last)
            z = _tell(on_step, grid.timesteps[i], grid.step_up(i, z, noise))
            if i < grid.steps:
                newest, last = _ask(predict, z, grid.timesteps[i]), newest
                noise = newest
            if keep:
                path.append(_Seen(z, grid.clean(i, z, noise)))
        return z, path

    @staticmethod
    def _refine(predict: Predict, z: Tensor, grid: "_Grid", on_step: OnStep | None, path: list["_Seen"]) -> Tensor:
        """z*, closer to the exact one than `path` leads, which is brought up to date."""
        for i in range(1, grid.steps + 1):
            clean_before = path[min(i + 1, grid.steps)].clean
            guess = grid.undo_step_down(i, z, path[i], clean_before)
            path[i] = _Seen(guess, grid.clean(i, guess, _ask(predict, guess, grid.timesteps[i])))
            z = _tell(on_step, grid.timesteps[i], grid.undo_step_down(i, z, path[i], clean_before))
        return z


SOLVERS: Mapping[SolverName, Solver] = MappingProxyType({"ddim": Ddim(), "dpm++2m": Multistep()})
"""All solvers by name."""


@dataclass(frozen=True)
class _Seen:
    """Where on a path the network was asked, and the clean latents that it saw there."""

    z: Tensor
    clean: Tensor


@dataclass(frozen=True)
class _Grid:
    """Levels of noise 0 (clean) to n (z*), and the steps between neighbours.

    Args:
        timesteps: of the levels, ascending.
        alpha: share of the clean latents in z.
        sigma: share of the noise in z.
    """

    timesteps: tuple[int, ...]
    alpha: tuple[float, ...]
    sigma: tuple[float, ...]

    @classmethod
    def of(cls, scheduler: DDIMScheduler, steps: int) -> "_Grid":
        """The grid of `steps` steps on the schedule of a base.

        Raises:
            ConfigError: if the schedule has too few timesteps.
            CheckpointError: if its noise levels do not rise from above nothing to below all.
        """
        abar = scheduler.alphas_cumprod.double().numpy()
        if not (np.all(np.diff(abar) < 0) and abar[-1] > 0 and abar[0] < 1):
            raise CheckpointError(
                "expected a noise schedule whose alphas_cumprod fall, all between 0 and 1, got "
                f"{abar[0]:g} to {abar[-1]:g}; this base works with the solver 'ddim' only"
            )
        last = len(abar) - 1
        if not 1 <= steps <= last:
            raise ConfigError(f"expected 1 to {last} steps on a schedule of {len(abar)} timesteps, got {steps}")
        falling = 0.5 * np.log(abar / (1 - abar))
        wanted = np.interp(-np.linspace(falling[0], falling[-1], steps + 1), -falling, np.arange(len(abar)))
        order = np.arange(steps + 1)
        # Rounded to whole timesteps, neighbours near the ends would coincide: push them apart, within the schedule.
        distinct = np.maximum.accumulate(np.rint(wanted).astype(np.int64) - order) + order
        timesteps = np.minimum(distinct, last - order[::-1])
        levels = abar[timesteps]
        return cls(*(tuple(values.tolist()) for values in (timesteps, np.sqrt(levels), np.sqrt(1 - levels))))

    @property
    def steps(self) -> int:
        """How many steps lie between clean latents and z*."""
        return len(self.timesteps) - 1

    def clean(self, i: int, z: Tensor, noise: Tensor) -> Tensor:
        """x_i: what is left of z without its noise."""
        return (z - self.sigma[i] * noise) / self.alpha[i]

    def step_down(self, i: int, z: Tensor, clean: Tensor, clean_before: Tensor) -> Tensor:
        """z_{i-1} from z_i."""
        direction = clean + self._lean_down(i) * (clean - clean_before)
        return self.sigma[i - 1] / self.sigma[i] * z + self._gain_down(i) * direction

    def undo_step_down(self, i: int, z: Tensor, seen: _Seen, clean_before: Tensor) -> Tensor:
        """The z_i that `step_down` leads to `z` from, if CLEAN_SHARE of z_i - seen.z is clean latents."""
        lean, gain, slope = self._lean_down(i), self._gain_down(i), CLEAN_SHARE / self.alpha[i]
        share = gain * (1 + lean)
        known = z - share * (seen.clean - slope * seen.z) + gain * lean * clean_before
        return known / (self.sigma[i - 1] / self.sigma[i] + share * slope)

    def step_up(self, i: int, z: Tensor, noise: Tensor) -> Tensor:
        """z_i from z_{i-1}, with `noise` for all of the step."""
        gain = -self.sigma[i] * expm1(-self._width(i))
        return self.alpha[i] / self.alpha[i - 1] * z + gain * noise

    def lean_up(self, i: int) -> float:
        """How far the noise at the middle of step i lies beyond its last change."""
        return self._width(i) / (2 * self._width(i - 1)) if i > 1 else 0.0

    def _lean_down(self, i: int) -> float:
        return self._width(i) / (2 * self._width(i + 1)) if i < self.steps else 0.0

    def _gain_down(self, i: int) -> float:
        return -self.alpha[i - 1] * expm1(-self._width(i))

    def _width(self, i: int) -> float:
        """h_i, the step in log(alpha / sigma) between the levels i and i - 1."""
        below, level = (log(self.alpha[k] / self.sigma[k]) for k in (i - 1, i))
        return below - level


def _ask(predict: Predict, z: Tensor, t: int) -> Tensor:
    return predict(z, torch.full((len(z),), t, device=z.device)).float()


def _tell(on_step: OnStep | None, t: int, z: Tensor) -> Tensor:
    """The latents to go on with."""
    replaced = None if on_step is None else on_step(t, z)
    return z if replaced is None else replaced


def _checked(steps: int, scheduler: DDIMScheduler) -> int:
    most = len(scheduler.alphas_cumprod)
    if not 1 <= steps <= most:
        raise ConfigError(f"expected 1 to {most} steps on a schedule of {most} timesteps, got {steps}")
    return steps


def _inside(schedule: DDIMScheduler | DDIMInverseScheduler, steps: int) -> list[int]:
    """The timesteps of a schedule.

    Raises:
        ConfigError: if one lies beyond its noisiest, where an offset pushed it.
    """
    timesteps: list[int] = schedule.timesteps.tolist()
    if max(timesteps) >= (count := len(schedule.alphas_cumprod)):
        raise ConfigError(f"expected fewer than {steps} steps on a schedule of {count} timesteps with an offset")
    return timesteps
