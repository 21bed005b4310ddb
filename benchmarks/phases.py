"""Times and weighs one step of every phase of an edit, and says how far from the machine's limit each is.

    python benchmarks/phases.py --frames 8 --size 256            # Stable Diffusion 1.5's widths, random weights
    python benchmarks/phases.py --widths 64 128 192 192 --text-width 128 --layers 1 --heads 4 --size 128

Prints a table and, with --output, writes JSON with the date, the machine and the commit. Run it on a quiet machine.
"""

import argparse
import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import torch
from diffusers import ControlNetModel, DDIMScheduler
from torch.utils.flop_counter import FlopCounterMode

from edit_your_motion.config import TuningConfig
from edit_your_motion.diffusion.ddim import denoising_loss, invert, sample
from edit_your_motion.measurement import peak_memory, reset_peak_memory
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.video_unet import PARTS, VideoUNet
from edit_your_motion.tiny import make_unet, make_vae
from edit_your_motion.tuning.loop import trainable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """What the machine can do: 10^9 floating-point operations and bytes per second."""

    name: str
    threads: int
    matrix_gflops: float
    copy_gbytes: float


@dataclass(frozen=True)
class Phase:
    """One step of one phase; `gflop` and `share` (of the matrix-product rate) are None where they were not counted."""

    name: str
    seconds: float
    peak_gib: float
    gflop: float
    share: float
    ratio_to_stock: float | None = None


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


def measure_machine(device: torch.device, dtype: torch.dtype) -> Machine:
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    block = torch.empty(2**28, dtype=torch.uint8, device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return Machine(
        name=name,
        threads=torch.get_num_threads(),
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
    name: str,
    run: Callable[[], object],
    device: torch.device,
    machine: Machine,
    repeats: int,
    stock: float | None = None,
) -> Phase:
    counter = FlopCounterMode(display=False)
    with counter:  # also the run that warms up
        run()
    gflop = counter.get_total_flops() / 1e9
    reset_peak_memory(device)
    seconds = clock(run, device, repeats)
    return Phase(
        name=name,
        seconds=seconds,
        peak_gib=peak_memory(device) / 2**30,
        gflop=gflop,
        share=gflop / seconds / machine.matrix_gflops,
        ratio_to_stock=None if stock is None else seconds / stock,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs=4, default=(320, 640, 1280, 1280))
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--text-width", type=int, default=768)
    parser.add_argument("--vae-widths", type=int, nargs="+", default=(128, 256, 512, 512))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precision", choices=DTYPES, default="fp32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--no-gradient-checkpointing", action="store_true")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()

    device, dtype = torch.device(arguments.device), DTYPES[arguments.precision]
    half = None if dtype == torch.float32 else dtype
    machine = measure_machine(device, dtype)
    print(
        f"{machine.name}: {machine.matrix_gflops:.0f} GFLOP/s in {arguments.precision}, {machine.copy_gbytes:.0f} GB/s"
    )

    torch.manual_seed(0)
    with torch.device(device):
        stock = make_unet(arguments.widths, arguments.layers, arguments.heads, arguments.text_width)
        controlnet = ControlNetModel.from_unet(stock)
    stock, controlnet = stock.to(dtype).eval(), controlnet.to(device, dtype).eval()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)
    f, side = arguments.frames, arguments.size // 8
    z = torch.randn(1, f, 4, side, side, device=device)
    text = torch.randn(1, 77, arguments.text_width, device=device, dtype=dtype)
    skeletons = torch.rand(1, f, 3, arguments.size, arguments.size, device=device, dtype=dtype)
    t = torch.tensor([500], device=device)

    @torch.no_grad()
    def stock_step() -> None:
        for frame in range(f):
            latent = z[:, frame].to(dtype)
            down, mid = controlnet(latent, t, text, skeletons[:, frame], return_dict=False)
            stock(latent, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid)

    stock_step()
    stock_seconds = clock(stock_step, device, arguments.repeats)
    print(f"stock U-Net + ControlNet, {f} frames one by one: {stock_seconds:.2f} s")

    base_size = sum(parameter.numel() for parameter in stock.parameters())
    network = NoisePredictor(VideoUNet(stock).to(device, dtype), controlnet).eval()
    counts = {part: sum(value.numel() for value in network.unet.parameters_of(part).values()) for part in PARTS}
    counts |= {"base U-Net": base_size, "ControlNet": sum(value.numel() for value in controlnet.parameters())}
    tuning = TuningConfig()
    for number, stage in enumerate(tuning.stages, 1):
        counts[f"trained in stage {number}"] = sum(counts[part] for part in stage.trains)
    for name, count in counts.items():
        print(f"{name}: {count / 1e6:.1f} M parameters")

    phases: list[Phase] = []

    def add(name: str, run: Callable[[], object], stock: float | None = None) -> None:
        phases.append(measure(name, run, device, machine, arguments.repeats, stock))
        phase = phases[-1]
        ratio = "" if phase.ratio_to_stock is None else f", {phase.ratio_to_stock:.2f} x stock"
        print(
            f"{name}: {phase.seconds:.2f} s, peak {phase.peak_gib:.2f} GiB, {phase.gflop:.0f} GFLOP, "
            f"{phase.share:.0%} of the limit{ratio}"
        )

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return network(z.to(dtype), t, text, skeletons)

    add("inversion step", partial(invert, predict, z, scheduler, 1), stock_seconds)
    add("sampling step", partial(sample, predict, z, scheduler, 1), stock_seconds)
    for number, stage in enumerate(tuning.stages, 1):
        with trainable(network, stage, not arguments.no_gradient_checkpointing) as parameters:
            optimizer = torch.optim.AdamW(parameters.values(), lr=stage.learning_rate, fused=True)

            def train(optimizer: torch.optim.Optimizer = optimizer) -> None:
                with torch.autocast(device.type, half, enabled=half is not None):
                    loss = denoising_loss(
                        partial(network, text=text, skeletons=skeletons), z, torch.randn_like(z), t, scheduler
                    )
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()

            add(f"tuning step, stage {number}", train, stock_seconds)
            del optimizer
    del network, stock, controlnet
    with torch.device(device):
        vae = make_vae(arguments.vae_widths).eval()
    pixels = torch.rand(1, 3, arguments.size, arguments.size, device=device)
    with torch.no_grad():
        add("encode one frame", lambda: vae.encode(pixels))
        add("decode one frame", lambda: vae.decode(z[:, 0]))

    if arguments.output:
        content = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
            "torch": torch.__version__,
            "machine": asdict(machine),
            "settings": {key: str(value) for key, value in vars(arguments).items()},
            "parameters": counts,
            "stock_seconds": stock_seconds,
            "phases": [asdict(phase) for phase in phases],
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
