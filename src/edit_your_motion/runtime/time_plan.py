"""How long the steps of an edit take on this machine: real ones are timed, of networks whose weights are nothing."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch

from edit_your_motion.runtime.memory_plan import Means, Rehearsal
from edit_your_motion.runtime.profiling import synchronize
from edit_your_motion.runtime.winograd import use_winograd

MOST_OPERATIONS = 4 * 10**11
"""A step of no more than so many operations is timed, unless a single frame takes more; longer ones follow from it."""

LONG_RUN = 3.0
"""Seconds of a run that needs no other one before it."""


@dataclass(frozen=True)
class StepSeconds:
    """What the steps of an edit take, seconds.

    Args:
        predict: to predict the noise of a frame.
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
    # Operations grow with the frames: they are counted for as many as the plan of memory counts them for.
    each = rehearsal.prediction(window, plain).operations / window
    few = max(1, min(window, int(MOST_OPERATIONS / each)))
    real = deepcopy(plain).to_empty(device=device)
    with torch.no_grad():
        for tensor in (*real.parameters(), *real.buffers()):
            tensor.zero_()
    if means.winograd:
        use_winograd(real, means.winograd)
    conditions = rehearsal.make_conditions(few, real, device)
    predict = _clock(torch.no_grad()(partial(rehearsal.predict_once, conditions, real, device)), device)
    pace = predict / (few * each)
    some = max(1, min(tuned, int(MOST_OPERATIONS / each / 4)))
    steps, conditions = [], rehearsal.make_conditions(some, real, device)
    for stage in rehearsal.stages():
        with rehearsal.being_tuned(stage, means.recompute, real):
            seconds = _clock(partial(rehearsal.tune_once, conditions, real, device), device)
        steps.append(seconds * tuned / some)
    tiles = -(-rehearsal.decoding(False).operations // rehearsal.decoding(True).operations) if means.tiled_vae else 1
    return StepSeconds(
        predict=predict / few,
        tune=tuple(steps),
        encode=pace * rehearsal.encoding().operations,
        decode=pace * rehearsal.decoding(means.tiled_vae).operations * tiles,
    )


def _clock(run: Callable[[], object], device: torch.device) -> float:
    """The seconds of one run: of a second one, unless the first takes so long that getting ready is lost in it."""
    for _ in range(2):
        start = time.perf_counter()
        run()
        synchronize(device)
        seconds = time.perf_counter() - start
        if seconds > LONG_RUN:
            break
    return seconds
