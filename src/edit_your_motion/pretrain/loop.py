"""One loop for every network that trains: steps, running average, log, sample sheets, checkpoints, resuming."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from edit_your_motion.errors import ConfigError
from edit_your_motion.pretrain.config import TrainingConfig
from edit_your_motion.pretrain.samples import write_sheet
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.runtime.random import Draws
from edit_your_motion.storage.files import explained, remove_file, write_text
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.tuning.checkpoints import TuningState, load_state, put_back, put_back_optimizer, save_state

logger = logging.getLogger(__name__)

BETAS = (0.9, 0.99)
"""Of AdamW: the second is short, since a small network's gradients shrink fast in its first thousand steps."""

LOG_EVERY = 20
"""Steps that a line of the log is the mean of."""


@runtime_checkable
class Training(Protocol):
    """A network that learns something."""

    name: str

    @property
    def network(self) -> nn.Module:
        """What trains."""
        ...

    @property
    def average(self) -> nn.Module:
        """The same network with the running average of the weights; what is shown, measured and exported."""
        ...

    @property
    def settings(self) -> TrainingConfig:
        """How it is optimised."""
        ...

    def losses(self, step: int, draws: Draws) -> dict[str, Tensor]:
        """The parts of what the step minimises; all chance comes from `draws`, which is on the CPU."""
        ...

    def measure(self) -> dict[str, float]:
        """How good the average is on held-out pictures."""
        ...

    def sheet(self) -> list[UInt8[np.ndarray, "b h w 3"]]:
        """Rows of pictures to look at."""
        ...


@dataclass(frozen=True)
class Workshop:
    """Where and how a network trains.

    Args:
        folder: gets the checkpoint ``<name>.safetensors``, the log ``<name>.jsonl`` and the folder ``sheets``.
        fingerprint: of what checkpoints must agree in.
        seed: of batches and noise.
        device: where to compute.
        half: the type of half precision to compute in, or None.
        checkpoint_minutes: between two checkpoints.
        progress: is told of each step.
    """

    folder: Path
    fingerprint: str
    seed: int
    device: torch.device
    half: torch.dtype | None
    checkpoint_minutes: float
    progress: Progress


def train(training: Training, workshop: Workshop) -> None:
    """Trains up to `training.settings.steps`, going on from the folder's checkpoint; leaves the last state there.

    On a CPU a run that was stopped ends bit for bit as one that was not.

    Raises:
        CheckpointError: if the checkpoint is damaged.
        ConfigError: if the checkpoint is of another configuration, or the loss stops being a number.
        DiskFullError: if there is no room for a checkpoint.
    """
    _Run(training, workshop).to_the_end()


def learning_rate_share(settings: TrainingConfig, step: int) -> float:
    """The learning rate at a step, as a share of the largest: it rises, stays, and falls towards the last step."""
    rising = (step + 1) / max(1, settings.warm_up)
    falling = (settings.steps - step) / (settings.cool_down + 1)
    return min(1.0, rising, falling)


def checkpoint_file(folder: Path, name: str) -> Path:
    """Where the state of a network's training is kept."""
    return folder / f"{name}.safetensors"


def load_average(path: Path, fingerprint: str, network: nn.Module) -> int:
    """Puts a checkpoint's averaged weights into the network, and returns the steps that they took."""
    state = load_state(path, fingerprint)
    average = {name: value for name, value in state.parameters.items() if name.startswith("average.")}
    put_back(path, average, expected := _named("average", network), expected)
    return state.step


class _Run:
    """One call of `train`: what its steps share."""

    def __init__(self, training: Training, workshop: Workshop) -> None:
        self.training, self.workshop = training, workshop
        self.path = checkpoint_file(workshop.folder, training.name)
        self.log = workshop.folder / f"{training.name}.jsonl"
        self.parameters: list[Tensor] = list(training.network.parameters())
        settings = training.settings
        self.optimizer = torch.optim.AdamW(self.parameters, lr=settings.learning_rate, betas=BETAS, fused=True)
        self.scaler = torch.amp.GradScaler(workshop.device.type, enabled=workshop.half == torch.float16)
        self.draws = Draws(workshop.seed)
        self.unlogged: list[dict[str, float]] = []
        self.saved = time.monotonic()

    def to_the_end(self) -> None:
        training, settings = self.training, self.training.settings
        first = self._resume()
        lines, since, began = self.unlogged, first, time.monotonic()
        with self.workshop.progress.phase(f"train the {training.name}", settings.steps - first) as advance:
            for step in range(first, settings.steps):
                lines.append(self._take_step(step))
                done, last = step + 1, step + 1 == settings.steps
                if done % LOG_EVERY == 0 or last:
                    rate = (done - since) * settings.batch / (time.monotonic() - began)
                    self._write_line({"step": done, **_mean_of(lines), "pictures_per_second": rate})
                    lines.clear()
                    since, began = done, time.monotonic()
                if done % settings.sheet_every == 0 or last:
                    self._show(done)
                if last or time.monotonic() - self.saved >= 60 * self.workshop.checkpoint_minutes:
                    self._save(done)
                advance()

    def _take_step(self, step: int) -> dict[str, float]:
        """One optimiser step; the parts of its loss."""
        settings, workshop = self.training.settings, self.workshop
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_share(settings, step)
            group["weight_decay"] = settings.weight_decay
        with torch.autocast(workshop.device.type, workshop.half, enabled=workshop.half is not None):
            losses = self.training.losses(step, self.draws)
        loss = torch.stack(list(losses.values())).sum()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        clip_grad_norm_(self.parameters, settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self._follow(step)
        values = {"loss": loss.item(), **{name: part.item() for name, part in losses.items()}}
        if not isfinite(values["loss"]):
            raise ConfigError(
                f"the {self.training.name}'s loss became {values['loss']} at step {step + 1}; lower its learning rate "
                f"({settings.learning_rate}) or train in fp32, and run again: it goes on from the last checkpoint"
            )
        return values

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Moves the running average; it forgets the random start within the first steps."""
        decay = min(self.training.settings.average, (1 + step) / (10 + step))
        torch._foreach_lerp_([*self.training.average.parameters()], self.parameters, 1 - decay)

    def _show(self, done: int) -> None:
        training = self.training
        self._write_line({"step": done, **{f"held_out_{name}": value for name, value in training.measure().items()}})
        write_sheet(self.workshop.folder / "sheets" / f"{training.name}-{done:07d}.png", training.sheet())

    def _write_line(self, values: Mapping[str, float | int]) -> None:
        with explained(self.log), self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({name: round(value, 6) for name, value in values.items()}) + "\n")

    def _save(self, done: int) -> None:
        state = TuningState(
            self.workshop.fingerprint,
            0,
            done,
            self._all_parameters(),
            self.optimizer.state_dict(),
            self.scaler.state_dict(),
            self.draws.get_state(),
            unlogged=self.unlogged,
        )
        save_state(self.path, state)
        self.saved = time.monotonic()

    def _all_parameters(self) -> dict[str, Tensor]:
        return _named("network", self.training.network) | _named("average", self.training.average)

    def _resume(self) -> int:
        """Puts the checkpoint's state in place; the steps that are done."""
        if not self.path.is_file():
            remove_file(self.log)
            return 0
        state = load_state(self.path, self.workshop.fingerprint)
        put_back(self.path, state.parameters, parameters := self._all_parameters(), parameters)
        put_back_optimizer(self.path, state, self.optimizer, self.scaler)
        self.draws.set_state(state.random)
        self.unlogged.extend(state.unlogged)
        self._forget_after(state.step)
        logger.info("going on with the %s from step %d", self.training.name, state.step)
        return state.step

    def _forget_after(self, step: int) -> None:
        """Takes what will be written again out of the log."""
        lines = self.log.read_bytes().splitlines() if self.log.is_file() else []
        kept = [line.decode() for line in lines if 0 <= _step_of(line) <= step]
        write_text(self.log, "".join(f"{line}\n" for line in kept))


def _mean_of(lines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each part that the last step has; steps before a change of settings may lack some."""
    parts = {name: [line[name] for line in lines if name in line] for name in lines[-1]}
    return {name: sum(values) / len(values) for name, values in parts.items()}


def _step_of(line: bytes) -> int:
    """The step that a line of a log is of; -1 where it is damaged, as the last one is of a run that was killed."""
    try:
        return int(parse_json(line.decode())["step"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return -1


def _named(kind: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{kind}.{name}": parameter for name, parameter in network.named_parameters()}
