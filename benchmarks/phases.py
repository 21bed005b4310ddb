"""Times and weighs one step of every phase of an edit, and says how far from the machine's limit each is.

    scripts/bench                                     # Stable Diffusion 1.5's widths, random weights, 8 frames 256x256
    scripts/bench --widths 64 128 192 192 --text-width 128 --text-heads 4 --layers 1 --heads 4 --size 128
    scripts/bench --dry                               # operations and memory, counted and not measured: any machine
    scripts/bench --recompute nothing --unprepared    # speed-ups one by one, on and off

Prints a table and writes JSON with the date, the machine and the commit. Refuses a busy machine, on which seconds mean
nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler
from torch import Tensor

from edit_your_motion.config import RuntimeConfig, StageConfig, TuningConfig, VideoConfig
from edit_your_motion.diffusion.ddim import denoising_loss, invert, sample
from edit_your_motion.models.backbone import choose_storage
from edit_your_motion.models.tiny import make_text_encoder, make_unet, make_vae
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import PARTS, VideoUNet
from edit_your_motion.runtime.allocator import keep_freed_memory
from edit_your_motion.runtime.compilation import compile_layers
from edit_your_motion.runtime.dry_run import Cost, OperationCounter, run_dry
from edit_your_motion.runtime.profiling import peak_memory, reset_peak_memory
from edit_your_motion.runtime.weight_storage import store
from edit_your_motion.runtime.winograd import transformed_bytes, use_winograd
from edit_your_motion.tuning.loop import in_full_precision, trainable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
RESULTS = Path(__file__).parent / "results"
Network = TypeVar("Network", bound=torch.nn.Module)
TOKENS, VOCABULARY, TEXT_LAYERS = 77, 49408, 12


@dataclass(frozen=True)
class Machine:
    """What the machine can do: 10^9 floating-point operations and bytes per second."""

    name: str
    threads: int
    load: float
    matrix_gflops: float
    copy_gbytes: float


@dataclass(frozen=True)
class Phase:
    """One step of one phase; seconds and what follows from them are None in a dry run.

    `results_gib` is what the step's own tensors hold at most, `peak_gib` all that the process or the GPU holds.
    """

    name: str
    gflop: float
    seconds: float | None = None
    share: float | None = None
    ratio_to_stock: float | None = None
    peak_gib: float | None = None
    results_gib: float | None = None


@dataclass(frozen=True)
class Recipe:
    """What is timed.

    Args:
        network: of `VideoUNet`, beyond its defaults.
        stages: of the tuning.
        skeletons: whether ControlNet takes part.
    """

    network: Mapping[str, Any]
    stages: tuple[StageConfig, ...]
    skeletons: bool


RECIPES = {
    "edit-your-motion": Recipe({}, TuningConfig().stages, True),
    "tune-a-video": Recipe(
        {"frame_attention": "sparse-causal", "temporal_attention": "tune-a-video", "motion_attention": "none"},
        (
            StageConfig(
                trains=("frame-queries", "text-queries", "temporal-projections"), pixels="whole", skeletons=False
            ),
        ),
        False,
    ),
}
"""Ours, and Tune-A-Video's as its program runs it: without ControlNet, every trained layer with its gradient."""


class Networks:
    """All networks of an edit with random weights, and one step of each of its phases."""

    def __init__(self, arguments: argparse.Namespace, device: torch.device) -> None:
        self.arguments, self.device, self.dtype = arguments, device, DTYPES[arguments.precision]
        torch.manual_seed(0)
        with torch.device(device):
            self.stock = make_unet(arguments.widths, arguments.layers, arguments.heads, arguments.text_width)
            self.stock = self._cast(self.stock)
            self.controlnet = ControlNetModel.from_unet(self.stock, load_weights_from_unet=device.type != "meta")
            self.controlnet = self._cast(self.controlnet)
            self.vae: AutoencoderKL = make_vae(arguments.vae_widths, groups=min(32, arguments.vae_widths[0])).eval()
            self.text_encoder = self._cast(
                make_text_encoder(
                    arguments.text_width, VOCABULARY, layers=TEXT_LAYERS, heads=arguments.text_heads, tokens=TOKENS
                )
            )
        self.scheduler = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)
        f, side, size = arguments.frames, arguments.size // 8, arguments.size
        self.z = torch.randn(1, f, 4, side, side, device=device)
        self.text = torch.randn(1, TOKENS, arguments.text_width, device=device, dtype=self.dtype)
        self.tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=device)
        self.recipe = RECIPES[arguments.recipe]
        pictures = torch.rand(1, f, 3, size, size, device=device, dtype=self.dtype)
        self.skeletons = pictures if self.recipe.skeletons else None
        self.pixels = torch.rand(1, 3, size, size, device=device)
        self.t = torch.full((1,), 500, device=device)
        self.counts = {"base U-Net": parameters_of(self.stock), "ControlNet": parameters_of(self.controlnet)}

    def _cast(self, network: Network) -> Network:
        torch.nn.Module.to(network, self.device, self.dtype)  # that of diffusers' networks warns of casting
        return network.eval().requires_grad_(False)

    @torch.no_grad()
    def stock_step(self) -> None:
        """The U-Net and ControlNet of diffusers, frame by frame."""
        for frame in range(self.arguments.frames):
            latent, down, mid = self.z[:, frame].to(self.dtype), None, None
            if self.skeletons is not None:
                pictures = self.skeletons[:, frame]
                down, mid = self.controlnet(latent, self.t, self.text, pictures, return_dict=False)
            self.stock(
                latent, self.t, self.text, down_block_additional_residuals=down, mid_block_additional_residual=mid
            )

    def inflate(self) -> None:
        """Turns the stock networks into the method's, with the speed-ups that were asked for."""
        arguments = self.arguments
        if storage := choose_storage(arguments.frozen_storage, self.dtype):
            for network in (self.stock, self.controlnet, self.text_encoder):
                store(network, storage, self.dtype)
            store(self.vae, storage, torch.float32)
        winograd = arguments.winograd and self.dtype == torch.float32 and self.device.type in ("cpu", "meta")
        if winograd:
            for network in (self.stock, self.controlnet):
                use_winograd(network, arguments.winograd_tiles)
        with torch.device(self.device):
            tokens = {"motion_attention_tokens": arguments.motion_attention_tokens}
            unet = VideoUNet(self.stock, **{**tokens, **self.recipe.network})
        self.network = NoisePredictor(unet.to(self.device), self.controlnet).eval().requires_grad_(False)
        if arguments.channels_last:
            for network in (self.network, self.vae):
                network.to(memory_format=torch.channels_last)
        if arguments.compile:
            compile_layers(self.network)
        self.counts |= {part: sum(each.numel() for each in unet.parameters_of(part).values()) for part in PARTS}
        for number, stage in enumerate(self.recipe.stages, 1):
            self.counts[f"trained in stage {number}"] = sum(self.counts[part] for part in stage.trains)
        if winograd:
            with torch.no_grad():  # transforms the weights, which are there from then on
                self.network(self.z, self.t, self.text, self.skeletons)
            self.counts["transformed weights"] = transformed_bytes(self.network) // 4

    def predict(self, z: Tensor, t: Tensor) -> Tensor:
        """The noise, with what can be computed once per clip computed before, or not."""
        if self.arguments.unprepared:
            return self.network(z.to(self.dtype), t, self.text, self.skeletons)
        return self.network.predict(z.to(self.dtype), t, self.conditions)

    def phases(self) -> Iterator[tuple[str, Callable[[], object], bool]]:
        """Name and one step of each phase, and whether the stock networks' step is comparable."""
        yield "embed the prompt", torch.no_grad()(lambda: self.text_encoder(self.tokens)), False
        yield "encode one frame", torch.no_grad()(lambda: self.vae.encode(self.pixels)), False
        yield "prepare conditions", lambda: self.network.prepare(self.text, self.skeletons), False
        self.conditions = self.network.prepare(self.text, self.skeletons)
        for number, stage in enumerate(self.recipe.stages, 1):
            with self._tuning(stage) as step:
                yield f"tuning step, stage {number}", step, True
        yield "inversion step", partial(self._walk, invert), True
        yield "sampling step", partial(self._walk, sample), True
        yield "decode one frame", torch.no_grad()(lambda: self.vae.decode(self.z[:, 0])), False

    def _walk(self, walk: Callable[..., Tensor]) -> None:
        if self.device.type == "meta":  # a scheduler needs numbers
            with torch.no_grad():
                self.predict(self.z, self.t)
        else:
            walk(self.predict, self.z, self.scheduler, 1)

    @contextmanager
    def _tuning(self, stage: StageConfig) -> Iterator[Callable[[], object]]:
        """One optimiser step; a dry one, which knows of no autocast, keeps what is trained in the type of all else."""
        dry, half = self.device.type == "meta", self.dtype != torch.float32
        with trainable(self.network, stage, tuple(self.arguments.recompute)) as parameters:

            def dry_step() -> None:
                self.predict(self.z, self.t).square().mean().backward()
                forget_gradients()

            def step() -> None:
                with torch.autocast(self.device.type, self.dtype, enabled=half):
                    noise = torch.randn_like(self.z)
                    loss = denoising_loss(self.predict, self.z, noise, self.t, self.scheduler)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                forget_gradients()

            def forget_gradients() -> None:
                for parameter in parameters.values():
                    parameter.grad = None

            if dry:
                yield dry_step
                return
            with in_full_precision(parameters):
                optimizer = torch.optim.AdamW(parameters.values(), lr=stage.learning_rate, fused=True)
                scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
                yield step


def parameters_of(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The least of the seconds that `run` took; it should have run once before."""
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_machine(device: torch.device, dtype: torch.dtype, side: int | None) -> Machine:
    side = side or (8192 if device.type == "cuda" else 2048)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    block = torch.empty(2**28, dtype=torch.uint8, device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return Machine(
        name=name,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0],
        matrix_gflops=2 * side**3 / clock(lambda: a @ b, device, 6) / 1e9,
        copy_gbytes=2 * block.numel() / clock(block.clone, device, 5) / 1e9,
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def measure(
    name: str, run: Callable[[], object], device: torch.device, machine: Machine, repeats: int, stock: float | None
) -> Phase:
    counter = OperationCounter()
    with counter:  # also the run that warms up
        run()
    reset_peak_memory(device)
    seconds = clock(run, device, repeats)
    return Phase(
        name=name,
        gflop=counter.operations / 1e9,
        seconds=seconds,
        share=counter.operations / 1e9 / seconds / machine.matrix_gflops,
        ratio_to_stock=None if stock is None else seconds / stock,
        peak_gib=peak_memory(device) / 2**30,
    )


def count(name: str, run: Callable[[], object], networks: Networks) -> Phase:
    cost: Cost = run_dry(run, [networks.network, networks.vae, networks.text_encoder])
    return Phase(name, cost.operations / 1e9, results_gib=cost.memory / 2**30)


def refuse_a_busy_machine(arguments: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    if load > arguments.most_load and not arguments.dry:
        sys.exit(
            f"expected a quiet machine (load of at most {arguments.most_load}), found a load of {load:.1f}: seconds "
            "would mean nothing; wait, count with --dry, or raise --most-load"
        )


def time_preparation(clip: Path, size: int, frames: int, device: torch.device, machine: Machine) -> Phase:
    """What finding the person in a clip takes, for all its frames."""
    from edit_your_motion.config import ClipConfig, PeopleConfig
    from edit_your_motion.people.preparation import choose_canvas, prepare_source
    from edit_your_motion.runtime.progress import SilentProgress

    canvas = choose_canvas(str(clip), VideoConfig(size=str(size)), 64, 512)
    every = ClipConfig(frames=frames, stride=1)
    run = partial(prepare_source, str(clip), canvas, every, PeopleConfig(), SilentProgress())
    return measure("prepare the clip", run, device, machine, 1, None)


def describe(phase: Phase) -> str:
    parts = [f"{phase.gflop:.1f} GFLOP"]
    if phase.results_gib is not None:
        parts.append(f"{phase.results_gib:.2f} GiB of results")
    if phase.seconds is not None:
        parts = [f"{phase.seconds:.2f} s", *parts, f"{phase.share:.0%} of the limit", f"peak {phase.peak_gib:.2f} GiB"]
    if phase.ratio_to_stock is not None:
        parts.append(f"{phase.ratio_to_stock:.2f} x stock")
    return f"{phase.name}: {', '.join(parts)}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs=4, default=(320, 640, 1280, 1280))
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--text-width", type=int, default=768)
    parser.add_argument("--text-heads", type=int, default=12)
    parser.add_argument("--vae-widths", type=int, nargs="+", default=(128, 256, 512, 512))
    parser.add_argument("--recipe", choices=RECIPES, default="edit-your-motion")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precision", choices=DTYPES, default="fp32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clip", type=Path, help="a video of a person, to time the finding of people too")
    parser.add_argument("--dry", action="store_true", help="count operations and memory; measure nothing")
    parser.add_argument("--matrix-side", type=int, help="of the product that tells the machine's limit")
    parser.add_argument("--most-load", type=float, default=0.5, help="refuse a machine that is busier")
    parser.add_argument("--output", type=Path)
    ups = parser.add_argument_group("speed-ups")
    kinds = ("everything", "cheap", "nothing")
    ups.add_argument("--recompute", nargs="+", choices=kinds, default=["everything"], help="by level, finest first")
    ups.add_argument("--unprepared", action="store_true", help="embed skeletons and project the prompt at every step")
    ups.add_argument("--frozen-storage", choices=("compute", "fp16", "bf16"), default="compute")
    ups.add_argument("--motion-attention-tokens", type=int)
    ups.add_argument("--channels-last", action="store_true")
    ups.add_argument("--give-back", action="store_true", help="freed memory goes back at once, as in a bare library")
    either = ups.add_mutually_exclusive_group()
    either.add_argument("--compile", action="store_true")
    either.add_argument("--winograd", action="store_true", help="convolve by Winograd's algorithm, on a CPU in fp32")
    tiles = RuntimeConfig().winograd_tiles
    ups.add_argument("--winograd-tiles", type=int, default=tiles, help="fewest tiles of such a convolution")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    refuse_a_busy_machine(arguments)
    if not arguments.give_back:
        keep_freed_memory()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device("meta" if arguments.dry else arguments.device)
    machine, stock_seconds = None, None
    networks = Networks(arguments, device)
    phases: list[Phase] = []
    if not arguments.dry:
        machine = measure_machine(device, networks.dtype, arguments.matrix_side)
        print(
            f"{machine.name}, {machine.threads} threads: {machine.matrix_gflops:.0f} GFLOP/s in "
            f"{arguments.precision}, {machine.copy_gbytes:.0f} GB/s"
        )
        networks.stock_step()
        stock_seconds = clock(networks.stock_step, device, arguments.repeats)
        print(f"stock U-Net + ControlNet, {arguments.frames} frames one by one: {stock_seconds:.2f} s")
        if arguments.clip:
            phases.append(time_preparation(arguments.clip, arguments.size, arguments.frames, device, machine))
            print(describe(phases[-1]))
    networks.inflate()
    for name, number in networks.counts.items():
        print(f"{name}: {number / 1e6:.1f} M parameters")
    for name, run, comparable in networks.phases():
        if machine is None:
            phases.append(count(name, run, networks))
        else:
            phases.append(measure(name, run, device, machine, arguments.repeats, stock_seconds if comparable else None))
        print(describe(phases[-1]), flush=True)

    now = datetime.now(timezone.utc)
    kind = "dry" if arguments.dry else arguments.device
    name = f"{now:%Y-%m-%d-%H%M}-phases-{kind}-{arguments.size}-{arguments.precision}-{arguments.frames}.json"
    content = {
        "date": now.isoformat(timespec="seconds"),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "torch": torch.__version__,
        "machine": None if machine is None else asdict(machine),
        "settings": {key: str(value) for key, value in vars(arguments).items()},
        "parameters": networks.counts,
        "stock_seconds": stock_seconds,
        "phases": [asdict(phase) for phase in phases],
    }
    output = arguments.output or RESULTS / name
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
