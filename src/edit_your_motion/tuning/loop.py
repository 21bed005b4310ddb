"""The two-stage learning strategy (STL, section III.D): one loop for every stage."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import TypeAlias

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from edit_your_motion.config import StageConfig, TuningConfig
from edit_your_motion.diffusion.ddim import denoising_loss
from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.progress import Progress, SilentProgress
from edit_your_motion.tuning.checkpoints import TuningState, load_state, save_state

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningClip:
    """All that tuning sees of the source, computed once.

    Args:
        person: latents of the frames with everything but the person black (Eq. 11).
        whole: latents of the whole frames.
        text: embedding of the prompt.
        skeletons: the source's skeleton pictures, in [0, 1].
    """

    person: Float[Tensor, "b f c lh lw"]
    whole: Float[Tensor, "b f c lh lw"]
    text: Float[Tensor, "b n d"]
    skeletons: Float[Tensor, "b f 3 h w"]


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
        checkpoint: where an unfinished tuning is kept; None keeps none.
        progress: is told how far each stage is.
        on_step: called after each step.
    """

    config: TuningConfig
    conditioning_scale: float = 1.0
    seed: int = 0
    half: torch.dtype | None = None
    checkpoint: Path | None = None
    progress: Progress = field(default_factory=SilentProgress)
    on_step: OnTuningStep | None = None


def tune(network: NoisePredictor, clip: TuningClip, scheduler: DDIMScheduler, tuning: Tuning) -> list[float]:
    """Tunes the network in place on one clip and returns the loss of every step.

    An unfinished tuning goes on from `tuning.checkpoint`, and on a CPU ends bit for bit as if it had not stopped.
    The checkpoint stays; it is the caller's to delete once the result is safe.

    Raises:
        ConfigError: if a stage trains a part that the network has not, the checkpoint is of another tuning, or the
            loss stops being a number.
        MissingExtraError: if the 8-bit optimiser is asked for and not installed.
    """
    run = _Run(network, clip, scheduler, tuning)
    start = run.resume()
    for index, stage in enumerate(tuning.config.stages):
        if not stage.iterations:
            continue
        if index > start.stage:
            run.stage(index, stage, None)
        elif index == start.stage:
            run.stage(index, stage, start if start.step else None)
    return run.losses


class _Run:
    """One call of `tune`: what its steps share."""

    def __init__(self, network: NoisePredictor, clip: TuningClip, scheduler: DDIMScheduler, tuning: Tuning) -> None:
        self.network, self.clip, self.scheduler, self.tuning = network, clip, scheduler, tuning
        self.generator = torch.Generator().manual_seed(tuning.seed)
        self.fingerprint = _fingerprint(network, clip, tuning)
        self.losses: list[float] = []

    def resume(self) -> TuningState:
        """The state to start from: the checkpoint's, put back in place, or the very beginning."""
        path = self.tuning.checkpoint
        if path is None or not path.is_file():
            return TuningState(self.fingerprint, 0, 0, {}, {}, {}, self.generator.get_state())
        state = load_state(path, self.fingerprint)
        self.generator.set_state(state.random)
        self.losses = list(state.losses)
        parameters = dict(self.network.unet.named_parameters())
        for name, value in state.parameters.items():
            parameters[name].data.copy_(value)
        logger.info("going on with stage %d from step %d", state.stage + 1, state.step)
        return state

    def stage(self, index: int, stage: StageConfig, start: TuningState | None) -> None:
        """Runs one stage, from its beginning or from `start`."""
        config = self.tuning.config
        with trainable(self.network, stage, config.gradient_checkpointing) as parameters:
            optimizer = _make_optimizer(config, stage, list(parameters.values()))
            scaler = torch.amp.GradScaler(self.clip.whole.device.type, enabled=self.tuning.half == torch.float16)
            if start is not None:
                optimizer.load_state_dict({**start.optimizer})
                scaler.load_state_dict({**start.scaler})
            first = start.step + 1 if start else 1
            with self.tuning.progress.phase(f"tune, stage {index + 1}", stage.iterations + 1 - first) as advance:
                for step in range(first, stage.iterations + 1):
                    self.losses.append(self._take_step(stage, optimizer, scaler))
                    if self.tuning.checkpoint is not None and step % config.checkpoint_every == 0:
                        self._save(self.tuning.checkpoint, index, step, optimizer, scaler)
                    advance()
                    if self.tuning.on_step is not None:
                        self.tuning.on_step(TuningStep(index, step, self.losses[-1]))

    def _take_step(self, stage: StageConfig, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> float:
        """One optimiser step on a random timestep; its loss."""
        clip, half = self.clip, self.tuning.half
        z = clip.person if stage.pixels == "person" else clip.whole
        # Drawn on the CPU, so that a seed means the same on every device.
        noise = torch.randn(z.shape, generator=self.generator).to(z.device)
        t = torch.randint(len(self.scheduler.alphas_cumprod), z.shape[:1], generator=self.generator).to(z.device)
        predict = partial(
            self.network,
            text=clip.text,
            skeletons=clip.skeletons,
            conditioning_scale=self.tuning.conditioning_scale,
        )
        with torch.autocast(z.device.type, half, enabled=half is not None):
            loss = denoising_loss(predict, z, noise, t, self.scheduler)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(optimizer.param_groups[0]["params"], self.tuning.config.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        if not isfinite(value := loss.item()):
            raise ConfigError(
                f"the loss became {value}; lower the learning rate ({stage.learning_rate}) or tune in fp32"
            )
        return value

    def _save(self, path: Path, index: int, step: int, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
        tuned = tuned_parameters(self.network.unet, self.tuning.config)
        random = self.generator.get_state()
        state = TuningState(
            self.fingerprint, index, step, tuned, optimizer.state_dict(), scaler.state_dict(), random, self.losses
        )
        save_state(path, state)


def tuned_parameters(unet: VideoUNet, config: TuningConfig) -> dict[str, nn.Parameter]:
    """Everything that some stage of `config` trains, by name."""
    parts = {part: None for stage in config.stages if stage.iterations > 0 for part in stage.trains}
    return {name: value for part in parts for name, value in unet.parameters_of(part).items()}


@contextmanager
def trainable(
    network: NoisePredictor, stage: StageConfig, gradient_checkpointing: bool
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
        # Steps of 3e-5 vanish in half precision.
        parameter.data = parameter.data.float()
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


def _fingerprint(network: NoisePredictor, clip: TuningClip, tuning: Tuning) -> str:
    """A digest of all that decides the result of a tuning."""
    settings = tuning.config.model_dump(exclude={"checkpoint_every", "gradient_checkpointing"})
    digest = sha256(repr((settings, tuning.seed, tuning.conditioning_scale, tuning.half)).encode())
    weights = (network.unet.unet.conv_in.weight, network.controlnet.conv_in.weight)
    for tensor in (clip.person, clip.whole, clip.text, clip.skeletons, *weights):
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
