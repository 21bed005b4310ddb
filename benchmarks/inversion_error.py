"""How much of a clip is lost from its latents to the noise and back, by solver, refinement and number of steps?

    python benchmarks/inversion_error.py [--base small] [--pairs 2] [--frames 4] [--steps 5 10 20 50] [--output OUT]

The sources of the paired benchmark's first pairs are inverted and sampled with the same prompt and skeletons by the
method's network before any tuning. For each way to do both:

- calls: of the network, inversion and sampling together;
- latents: root mean square of what came back minus the latents, relative to the latents;
- psnr: of the decoded frames against what the VAE makes of the latents themselves (not of the frames), dB;
- noise: standard deviation of z*; a prior that suits edits has 1.

A plan is SOLVER or SOLVER+PASSES, the passes being those of --inversion.fixed-point.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from edit_your_motion.benchmark.paired.pairs import PAIRS, PairChoice
from edit_your_motion.config import BaseConfig, NetworkConfig, RuntimeConfig, SolverName
from edit_your_motion.diffusion.ddim import Predict, invert, sample
from edit_your_motion.metrics import psnr
from edit_your_motion.models.backbone import Backbone, as_pictures
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import render_pair
from edit_your_motion.storage.files import written_whole

PLANS = ("ddim", "ddim+1", "ddim+3", "dpm++2m", "dpm++2m+1", "dpm++2m+3")
SOLVERS: Mapping[str, SolverName] = {name: name for name in get_args(SolverName)}


@dataclass(frozen=True)
class Plan:
    """One way to invert and to sample."""

    solver: SolverName
    passes: int

    @classmethod
    def of(cls, name: str) -> "Plan":
        head, _, tail = name.rpartition("+")
        solver, passes = (head, int(tail)) if tail.isdigit() else (name, 0)
        if solver in SOLVERS:
            return cls(SOLVERS[solver], passes)
        raise argparse.ArgumentTypeError(f"expected SOLVER or SOLVER+PASSES, like {', '.join(PLANS)}; got {name}")


@dataclass(frozen=True)
class Loss:
    """What one round trip cost and lost."""

    pair: str
    plan: str
    steps: int
    calls: int
    latents: float
    psnr: float
    noise: float


@dataclass(frozen=True)
class Source:
    """A clip as the network sees it."""

    name: str
    latents: Tensor
    predict: Predict
    decoded: np.ndarray


def prepare(backbone: Backbone, network: NetworkConfig, pair: PairChoice, frames: int, size: int) -> Source:
    rendered = render_pair(pair.sample(), frames=frames, size=(size, size), fps=8).source
    predictor = backbone.inflate(network, seed=0)
    text = backbone.embed(rendered.caption)
    skeletons = as_pictures(draw_skeleton(rendered.keypoints))[None].to(backbone.device, backbone.dtype)

    def predict(z: Tensor, t: Tensor) -> Tensor:
        return predictor(z.to(backbone.dtype), t, text, skeletons)

    latents = backbone.encode(rendered.frames, SilentProgress())
    return Source(pair.name, latents, predict, backbone.decode(latents, SilentProgress()))


def round_trip(backbone: Backbone, source: Source, name: str, plan: Plan, steps: int) -> Loss:
    calls = 0

    def predict(z: Tensor, t: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return source.predict(z, t)

    walk = partial(invert, predict, source.latents, backbone.base.scheduler, steps)
    noise = walk(solver=plan.solver, fixed_point=plan.passes)
    back = sample(predict, noise, backbone.base.scheduler, steps, solver=plan.solver)
    frames = backbone.decode(back, SilentProgress())
    return Loss(
        pair=source.name,
        plan=name,
        steps=steps,
        calls=calls,
        latents=float((back - source.latents).square().mean().sqrt() / source.latents.square().mean().sqrt()),
        psnr=float(np.mean(psnr(frames, source.decoded))),
        noise=float(noise.std()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="small")
    parser.add_argument("--controlnet", default=BaseConfig().controlnet)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--frame-attention", default=NetworkConfig().frame_attention)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--steps", type=int, nargs="+", default=(5, 10, 20, 50))
    parser.add_argument("--plans", nargs="+", default=PLANS)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    plans = {name: Plan.of(name) for name in arguments.plans}

    runtime = RuntimeConfig(device=arguments.device, precision=arguments.precision)
    backbone = Backbone.load(BaseConfig(base=arguments.base, controlnet=arguments.controlnet), runtime)
    network = NetworkConfig(frame_attention=arguments.frame_attention)
    losses: list[Loss] = []
    for pair in islice(PAIRS.values(), arguments.pairs):
        source = prepare(backbone, network, pair, arguments.frames, backbone.base.native_side)
        for steps in arguments.steps:
            for name, plan in plans.items():
                losses.append(round_trip(backbone, source, name, plan, steps))
                print(losses[-1], flush=True)

    print("\n| plan | steps | calls | latents | PSNR, dB | deviation of z* |\n|---|---|---|---|---|---|")
    for name in plans:
        for steps in arguments.steps:
            alike = [loss for loss in losses if (loss.plan, loss.steps) == (name, steps)]
            latents, decibels, noise = (
                np.mean([getattr(loss, key) for loss in alike]) for key in ("latents", "psnr", "noise")
            )
            print(f"| {name} | {steps} | {alike[0].calls} | {latents:.3f} | {decibels:.1f} | {noise:.2f} |")

    if arguments.output:
        content = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "torch": torch.__version__,
            "base": backbone.digest,
            "device": backbone.device.type,
            "settings": {key: str(value) for key, value in vars(arguments).items()},
            "losses": [asdict(loss) for loss in losses],
        }
        with written_whole(arguments.output) as temporary:
            temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
