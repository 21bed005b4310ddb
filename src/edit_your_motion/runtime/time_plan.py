"""How long the steps of an edit take on this machine: real ones are timed, of networks whose weights are nothing."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch

from edit_your_motion.runtime.memory_plan import Means, Rehearsal
from edit_your_motion.runtime.profiling import synchronize
from edit_your_motion.runtime.winograd import use_winograd

MOST_OPERATIONS = 4 * 10**11
"""A step of no more than so many operations is timed, unless a single frame takes more; longer ones follow from it."""


@dataclass(frozen=True)
class StepSeconds:
    """What the steps of an edit take, seconds.

    Args:
        predict: to predict the noise of one window.
        tune: a step of each stage.
        encode: a frame.
        decode: a frame.
    """

    predict: float
    tune: tuple[float, ...]
    encode: float
    decode: float


def time_steps(rehearsal: Rehearsal, means: Means) -> StepSeconds:
    """The seconds of each kind of step: of as many frames as can be timed quickly, and from there by operations.

    Args:
        rehearsal: the networks.
        means: what the edit does to take less memory.
    """
    device, window, tuned = rehearsal.device, means.window, rehearsal.tuned_frames(means)
    plain = rehearsal.predictor
    each = rehearsal.prediction(1, plain).operations
    few = max(1, min(window, MOST_OPERATIONS // each))
    real = deepcopy(plain).to_empty(device=device)
    with torch.no_grad():
        for tensor in (*real.parameters(), *real.buffers()):
            tensor.zero_()
    if means.winograd:
        use_winograd(real, means.winograd)
    predict = _clock(torch.no_grad()(lambda: rehearsal.predict_once(few, real, device)), device)
    pace = predict / rehearsal.prediction(few, plain).operations
    few = max(1, min(tuned, MOST_OPERATIONS // each // 4))
    steps = []
    for stage in rehearsal.stages():
        with rehearsal.being_tuned(stage, means.recompute, real):
            seconds = _clock(lambda: rehearsal.tune_once(few, real, device), device)
        counted = [rehearsal.tuning_step(stage, means.recompute, frames, plain).operations for frames in (few, tuned)]
        steps.append(seconds * counted[1] / counted[0])
    tiles = -(-rehearsal.decoding(False).operations // rehearsal.decoding(True).operations) if means.tiled_vae else 1
    return StepSeconds(
        predict=pace * rehearsal.prediction(window, plain).operations,
        tune=tuple(steps),
        encode=pace * rehearsal.encoding().operations,
        decode=pace * rehearsal.decoding(means.tiled_vae).operations * tiles,
    )


def _clock(run: Callable[[], object], device: torch.device) -> float:
    """The seconds of one run, after one that gets everything ready."""
    run()
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start
