"""The two-stage learning strategy (STL, section III.D): one loop for every stage."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from edit_your_motion.config import Recomputation, StageConfig, TuningConfig
from edit_your_motion.diffusion.ddim import denoising_loss
from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.runtime.random import Draws
from edit_your_motion.tuning.checkpoints import TuningState, load_state, put_back, put_back_optimizer, save_state
from edit_your_motion.tuning.clip import TuningClip
from edit_your_motion.tuning.early_stopping import Evaluation, StageEnd, has_stalled, held_out_draws, split_frames

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningStep:
    """One finished optimiser step: its stage (from 0), its place in the stage (from 1), and its loss."""

    stage: int
    step: int
    loss: float


OnTuningStep: TypeAlias = Callable[[TuningStep], None]


@dataclass(frozen=True)
class Tuning:
    """How to tune, apart from the clip and the network.

    Args:
        config: stages and optimiser.
        conditioning_scale: strength of ControlNet.
        seed: of noise and timesteps.
        half: the type of half precision to compute in; None computes in the weights' own.
        most_frames: that the network may see at once, unless `config.window` says otherwise; None: all of the clip.
        base: digests of the frozen networks, by part; an unfinished tuning goes on with these alone.
        checkpoint: where an unfinished tuning is kept; None keeps none.
        progress: is told how far each stage is.
        on_step: called after each step.
    """

    config: TuningConfig
    conditioning_scale: float = 1.0
    seed: int = 0
    half: torch.dtype | None = None
    most_frames: int | None = None
    base: Mapping[str, str] = field(default_factory=dict)
    checkpoint: Path | None = None
    progress: Progress = field(default_factory=SilentProgress)
    on_step: OnTuningStep | None = None

    def window(self, frames: int) -> int:
        """How many frames a step sees of a clip of so many."""
        return min(self.config.window or self.most_frames or frames, frames)


@dataclass(frozen=True)
class Tuned:
    """What a tuning tells of itself: the loss of every step, and how each stage ended."""

    losses: list[float]
    stages: tuple[StageEnd, ...]


def tune(network: NoisePredictor, clip: TuningClip, scheduler: DDIMScheduler, tuning: Tuning) -> Tuned:
    """Tunes the network in place on one clip.

    A step sees the whole clip, or a window of its frames drawn at random where the clip is longer than a window.

    An unfinished tuning goes on from `tuning.checkpoint`, and on a CPU ends bit for bit as if it had not stopped.
    The end of each stage is kept there too, so that the same tuning with more iterations in its last stage goes on
    from the one with fewer. The checkpoint stays; it is the caller's to delete once the result is safe.
    A `progress` or `on_step` that raises stops the tuning after the step that it was told of, which is kept first.

    What is tuned is in fp32 meanwhile, and afterwards in the type that it came in.

    Raises:
        ConfigError: if a stage trains a part that the network has not, the checkpoint is of another tuning or went
            further, or the loss stops being a number.
        MissingExtraError: if the 8-bit optimiser is asked for and not installed.
    """
    run = _Run(network, clip, scheduler, tuning)
    with in_full_precision(tuned_parameters(network.unet, tuning.config)):
        start = run.resume()
        for index, stage in enumerate(tuning.config.stages):
            if not stage.iterations:
                continue
            if index > start.stage:
                run.stage(index, stage, None)
            elif index == start.stage:
                run.stage(index, stage, start if start.step else None)
    return Tuned(run.losses, tuple(run.end(index, stage) for index, stage in enumerate(tuning.config.stages)))


class _Run:
    """One call of `tune`: what its steps share."""

    def __init__(self, network: NoisePredictor, clip: TuningClip, scheduler: DDIMScheduler, tuning: Tuning) -> None:
        self.network, self.clip, self.scheduler, self.tuning = network, clip, scheduler, tuning
        self.draws = Draws(tuning.seed)
        self.fingerprints = _fingerprint_stages(network, clip, tuning)
        self.frames, self.held_out = split_frames(clip.frames, tuning.config.early_stopping)
        self.window = tuning.window(clip.frames)
        with self._in_half():
            self.conditions = network.prepare(clip.text, clip.skeletons)
        self.losses: list[float] = []
        self.evaluations: list[Evaluation] = []

    def resume(self) -> TuningState:
        """The state to start from: the checkpoint's, put back in place, or the very beginning."""
        path = self.tuning.checkpoint
        if path is None or not path.is_file():
            return TuningState(self.fingerprints[0], 0, 0, {}, {}, {}, self.draws.get_state())
        state = load_state(path, *self.fingerprints)
        if state.step > (wanted := self.tuning.config.stages[state.stage].iterations):
            raise ConfigError(
                f"the tuning at {path} has {state.step} iterations in stage {state.stage + 1}, more than the {wanted} "
                "asked for; choose another output folder, or start over with --restart"
            )
        self.draws.set_state(state.random)
        self.losses, self.evaluations = list(state.losses), list(state.evaluations)
        unet = self.network.unet
        begun = tuned_parameters(unet, self.tuning.config, through=state.stage)
        put_back(path, state.parameters, dict(unet.named_parameters()), begun)
        logger.info("going on with stage %d from step %d", state.stage + 1, state.step)
        return state

    def stage(self, index: int, stage: StageConfig, start: TuningState | None) -> None:
        """Runs one stage, from its beginning or from `start`."""
        config = self.tuning.config
        with trainable(self.network, stage, config.recomputation) as parameters:
            optimizer = _make_optimizer(config, stage, list(parameters.values()))
            scaler = torch.amp.GradScaler(self.clip.whole.device.type, enabled=self.tuning.half == torch.float16)
            if start is None:
                self._evaluate(index, stage, 0)
            elif self.tuning.checkpoint is not None:
                put_back_optimizer(self.tuning.checkpoint, start, optimizer, scaler)
            first = start.step + 1 if start else 1
            with self.tuning.progress.phase(f"tune, stage {index + 1}", stage.iterations + 1 - first) as advance:
                for step in range(first, stage.iterations + 1):
                    if self._stalled(index):
                        break
                    self.losses.append(self._take_step(stage, optimizer, scaler))
                    if step % config.early_stopping.every == 0:
                        self._evaluate(index, stage, step)
                    due = step % config.checkpoint_every == 0 or step == stage.iterations or self._stalled(index)
                    if self.tuning.checkpoint is not None and due:
                        self._save(self.tuning.checkpoint, index, step, optimizer, scaler)
                    try:
                        advance()
                        if self.tuning.on_step is not None:
                            self.tuning.on_step(TuningStep(index, step, self.losses[-1]))
                    except BaseException:  # whoever watches stops the tuning: it goes on from this very step
                        if self.tuning.checkpoint is not None and not due:
                            self._save(self.tuning.checkpoint, index, step, optimizer, scaler)
                        raise

    def end(self, index: int, stage: StageConfig) -> StageEnd:
        """How a stage that is over came to its end."""
        held_out = tuple((each.step, each.loss) for each in self.evaluations if each.stage == index)
        steps = held_out[-1][0] if self._stalled(index) else stage.iterations
        reason = "iterations" if steps == stage.iterations else "held-out loss"
        return StageEnd(steps=steps, reason=reason, held_out=held_out)

    def _take_step(self, stage: StageConfig, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> float:
        """One optimiser step on a random timestep; its loss."""
        frames = self._draw_window()
        z = self.clip.pixels(stage)[:, frames]
        noise = self.draws.normal(*z.shape).to(z.device)
        t = self.draws.integers(len(self.scheduler.alphas_cumprod), len(z)).to(z.device)
        loss = self._loss(stage, z, frames, noise, t)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(optimizer.param_groups[0]["params"], self.tuning.config.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return _as_number(loss, stage)

    def _draw_window(self) -> slice:
        """The frames of the next step: those around a random one, so that the first and the last have their share."""
        f, size = len(self.frames), min(self.window, len(self.frames))
        if size == f:
            return slice(0, f)
        middle = int(self.draws.integers(f))
        start = min(max(middle - size // 2, 0), f - size)
        return slice(start, start + size)

    def _loss(self, stage: StageConfig, z: Tensor, frames: slice, noise: Tensor, t: Tensor) -> Tensor:
        conditions = self.conditions.of_frames(frames) if stage.skeletons else replace(self.conditions, skeletons=None)
        predict = partial(
            self.network.predict, conditions=conditions, conditioning_scale=self.tuning.conditioning_scale
        )
        with self._in_half():
            return denoising_loss(predict, z, noise, t, self.scheduler, self.clip.weights(stage, frames))

    def _in_half(self) -> torch.autocast:
        """Computes in half precision where that was asked for."""
        half = self.tuning.half
        return torch.autocast(self.clip.whole.device.type, half, enabled=half is not None)

    @torch.no_grad()
    def _evaluate(self, index: int, stage: StageConfig, step: int) -> None:
        """Records the held-out loss, if it is watched; leaves everything else as it is."""
        config = self.tuning.config.early_stopping
        if not config.enabled:
            return
        losses, timesteps = [], len(self.scheduler.alphas_cumprod)
        for draw in held_out_draws(config, self.tuning.seed, timesteps, self.held_out, self.window):
            z = self.clip.pixels(stage)[:, draw.frames]
            t = torch.full(z.shape[:1], draw.t, device=z.device)
            losses.append(_as_number(self._loss(stage, z, draw.frames, draw.noise_like(z), t), stage))
        self.evaluations.append(Evaluation(index, step, fmean(losses)))

    def _stalled(self, index: int) -> bool:
        """Whether a stage's held-out loss improves no more."""
        losses = [each.loss for each in self.evaluations if each.stage == index]
        return has_stalled(losses, self.tuning.config.early_stopping)

    def _save(self, path: Path, index: int, step: int, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
        tuned = tuned_parameters(self.network.unet, self.tuning.config)
        random = self.draws.get_state()
        state = TuningState(
            self.fingerprints[index],
            index,
            step,
            tuned,
            optimizer.state_dict(),
            scaler.state_dict(),
            random,
            self.losses,
            self.evaluations,
        )
        save_state(path, state)


def _as_number(loss: Tensor, stage: StageConfig) -> float:
    if not isfinite(value := loss.item()):
        raise ConfigError(f"the loss became {value}; lower the learning rate ({stage.learning_rate}) or tune in fp32")
    return value


def tuned_parameters(unet: VideoUNet, config: TuningConfig, through: int = 1) -> dict[str, nn.Parameter]:
    """Everything that some stage of `config` trains, by name; `through` is the index of the last one that counts."""
    parts = {part: None for stage in config.stages[: through + 1] if stage.iterations > 0 for part in stage.trains}
    return {name: value for part in parts for name, value in unet.parameters_of(part).items()}


@contextmanager
def in_full_precision(parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Within it, the parameters are in fp32, as steps of 3e-5 vanish in half precision; afterwards as they came.

    A network of half precision computes with them under `torch.autocast` only.
    """
    before = {name: parameter.dtype for name, parameter in parameters.items()}
    try:
        for parameter in parameters.values():
            parameter.data = parameter.data.float()
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = parameter.data.to(before[name])


@contextmanager
def trainable(
    network: NoisePredictor, stage: StageConfig, gradient_checkpointing: Recomputation
) -> Iterator[dict[str, nn.Parameter]]:
    """Within it, exactly the parameters that `stage` trains take gradients; its value is those parameters by name.

    Raises:
        ConfigError: if the network has none of a part that the stage trains.
    """
    unet = network.unet
    network.requires_grad_(False)
    parameters: dict[str, nn.Parameter] = {}
    for part in stage.trains:
        if not (found := unet.parameters_of(part)):
            raise ConfigError(f"a stage is to train '{part}', which this network has not; leave it out of 'trains'")
        parameters.update(found)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    unet.gradient_checkpointing = gradient_checkpointing
    try:
        yield parameters
    finally:
        unet.gradient_checkpointing = False
        network.requires_grad_(False)


def _make_optimizer(config: TuningConfig, stage: StageConfig, parameters: list[nn.Parameter]) -> Optimizer:
    if config.optimizer == "adamw":
        # The fused form computes the same step in one pass over the parameters.
        return torch.optim.AdamW(parameters, lr=stage.learning_rate, weight_decay=config.weight_decay, fused=True)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingExtraError("bitsandbytes", "bitsandbytes", "the 8-bit optimiser") from error
    return AdamW8bit(parameters, lr=stage.learning_rate, weight_decay=config.weight_decay)


def _fingerprint_stages(network: NoisePredictor, clip: TuningClip, tuning: Tuning) -> list[str]:
    """For each stage a digest of all that decides a state in it: neither how long it goes on, nor what comes after."""
    config = tuning.config
    settings = config.model_dump(
        exclude={"checkpoint_every", "gradient_checkpointing", "recompute", "window", "motion", "appearance", "decoder"}
    )
    window, base = tuning.window(clip.frames), sorted(tuning.base.items())
    decisive = (settings, tuning.seed, tuning.conditioning_scale, tuning.half, window, base)
    digest = sha256(repr(decisive).encode())
    weights = (network.unet.unet.conv_in.weight, network.controlnet.conv_in.weight)
    for tensor in (clip.person, clip.whole, clip.people, clip.text, clip.skeletons, *weights):
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    fingerprints = []
    for stage in config.stages:
        within = digest.copy()
        within.update(repr(stage.model_dump(exclude={"iterations"})).encode())
        fingerprints.append(within.hexdigest())
        digest.update(repr(stage.model_dump()).encode())
    return fingerprints
