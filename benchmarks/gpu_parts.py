"""What the checks of a GPU do, each a process that gpu.py starts: laws, edits, pretraining."""

import argparse
import importlib.util
import io
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from einops import rearrange
from gpu import PIECE, WORK, Facts
from torch import Tensor

PAIR, FRAMES, FPS = 243, 8, 4
"""The demo's clips, every other frame of them."""

TINY_BASE = WORK / "tiny"

VAE_SHARE, COOL_DOWN = 0.4, 0.25
"""Of the time for training, what goes to a VAE that is not there yet; of each training, the steps that cool down."""

ENDING = 30.0
"""What exporting and packing take at most, seconds."""


class _Absent(ModuleType):
    """In the place of PyAV: the package can be imported; nothing here reads or writes a video."""

    def __getattr__(self, name: str) -> "_Absent":
        return _Absent(f"{self.__name__}.{name}")


def do_without_videos() -> None:
    if importlib.util.find_spec("av") is None:
        for name in ("av", "av.video", "av.video.reformatter"):
            sys.modules[name] = _Absent(name)


class DeadlineError(Exception):
    """The time is up."""


class Deadline:
    """A progress that ends a phase when the time is up."""

    def __init__(self, end: float) -> None:
        self.end = end

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        print(f"{name}, {total} steps", flush=True)

        def advance() -> None:
            if time.monotonic() > self.end:
                raise DeadlineError(name)

        yield advance


def describe_machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"name": name, "cpus": os.cpu_count(), "torch": torch.__version__, "python": sys.version.split()[0]}


def model(tiny: bool) -> Any:
    """The base to check with: the one that ships, or one made on the spot."""
    from edit_your_motion.config import BaseConfig
    from edit_your_motion.models.tiny import make_base, make_controlnet

    if not tiny:
        return BaseConfig(base="small")
    if not TINY_BASE.is_dir():
        make_controlnet(TINY_BASE / "controlnet", make_base(TINY_BASE / "base"))
    return BaseConfig(base=str(TINY_BASE / "base"), controlnet=str(TINY_BASE / "controlnet"))


def check_laws(options: argparse.Namespace) -> Facts:
    """On the device, in fp32: what the networks must do whatever their weights are."""
    from edit_your_motion.config import NetworkConfig, RuntimeConfig, TuningConfig
    from edit_your_motion.diffusion.ddim import invert, sample
    from edit_your_motion.models.backbone import Backbone
    from edit_your_motion.people.skeleton import draw_skeleton
    from edit_your_motion.runtime.progress import SilentProgress
    from edit_your_motion.stage import Scene, render_clip
    from edit_your_motion.tuning.loop import trainable

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    backbone = Backbone.load(model(options.tiny), RuntimeConfig(device=options.device, precision="fp32"))
    unet, controlnet, scheduler = backbone.base.unet, backbone.base.controlnet, backbone.base.scheduler
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    side, device = backbone.base.native_side, backbone.device
    clip = render_clip(Scene.sample(7, "held_out"), frames=3, size=(side, side), fps=FPS)
    z = backbone.encode(clip.frames, SilentProgress())
    skeletons = rearrange(torch.from_numpy(draw_skeleton(clip.keypoints)).to(device), "f h w c -> 1 f c h w") / 255
    text, t = backbone.embed(clip.caption), torch.tensor([500], device=device)
    with torch.no_grad():
        down, mid = controlnet(z[:, 0], t, text, skeletons[:, 0], return_dict=False)
        stock = unet(z[:, 0], t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample

    predictor = backbone.inflate(NetworkConfig(), seed=0)
    predictor.velocity_schedule = None  # what the network itself says, noise or velocity
    laws: dict[str, tuple[float, float]] = {}
    with torch.no_grad():
        single = predictor(z[:, :1], t, text, skeletons[:, :1])[:, 0]
        laws["one frame is as in the stock network"] = distance(single, stock), 1e-3

    predictor = backbone.inflate(NetworkConfig(), seed=0)
    conditions = predictor.prepare(text, skeletons)

    def predict(noisy: Tensor, step: Tensor) -> Tensor:
        """What is best for standard normal data, off by the network's idea of it: smooth, as inverting supposes."""
        best = (1 - scheduler.alphas_cumprod.to(device)[step]).sqrt() * noisy
        return best + 0.05 * predictor.predict(noisy, step, conditions)

    with torch.no_grad():
        back = sample(predict, invert(predict, z, scheduler, 50), scheduler, 50)
    laws["inverting and sampling return the clip"] = distance(back, z), 0.15
    for number, stage in enumerate(TuningConfig().stages, 1):
        with trainable(predictor, stage, False) as parameters:
            predict(z, t).square().mean().backward()
        graded = {id(value) for value in predictor.parameters() if value.grad is not None}
        wrong = len(graded ^ {id(value) for value in parameters.values()})
        laws[f"stage {number} gives gradients to exactly its parameters"] = float(wrong), 0.0
        predictor.zero_grad(set_to_none=True)
    after = predictor.unet.detach().state_dict()
    changed = sum(not torch.equal(value, after[name]) for name, value in before.items()) + len(after) - len(before)
    laws["detaching restores the stock network bit for bit"] = float(changed), 0.0
    checked = {name: {"value": value, "most": most, "holds": value <= most} for name, (value, most) in laws.items()}
    return {"machine": describe_machine(device), "laws": checked}


def distance(a: Tensor, b: Tensor) -> float:
    """How far apart two tensors are, as a share of the second's size."""
    return ((a - b).norm() / b.norm()).item()


def edit_the_demo(options: argparse.Namespace) -> Facts:
    """Whole edits of the demo's clips, rendered anew with their truth, in each half precision that a GPU has."""
    from edit_your_motion.config import EditConfig
    from edit_your_motion.edit import apply_motion, tune_person
    from edit_your_motion.models.backbone import Backbone
    from edit_your_motion.models.loading import load_architecture
    from edit_your_motion.models.shipped import SMALL
    from edit_your_motion.people.preparation import PreparedClip
    from edit_your_motion.presets import choose_settings
    from edit_your_motion.pretrain.samples import write_sheet
    from edit_your_motion.runtime.memory_plan import Rehearsal, follow, make_plan
    from edit_your_motion.runtime.profiling import Recorder, peak_memory
    from edit_your_motion.runtime.progress import SilentProgress
    from edit_your_motion.stage import Pair, RenderedClip, render_pair
    from edit_your_motion.video import Video

    torch.set_float32_matmul_precision("high")
    base = model(options.tiny)
    architecture = load_architecture(base.base, base.controlnet)
    side, frames = architecture.native_side, 3 if options.tiny else FRAMES
    pair = render_pair(Pair.sample(PAIR), frames=frames, size=(side, side), fps=FPS)

    def prepared(clip: RenderedClip) -> PreparedClip:
        return PreparedClip(Video(clip.frames, Fraction(FPS)), clip.keypoints, clip.masks)

    changes: dict[str, Any] = {
        "model": base.model_dump(),
        "prompt": pair.source.caption,
        "edit_prompt": pair.truth.caption,
    }
    # Keeping the source's pixels needs a finder of people.
    changes["sampling"] = {"background": "generated"}
    if options.tiny:
        few = {"iterations": 2}
        changes |= {"tuning": {"motion": few, "appearance": few}, "inversion": {"steps": 2}}
        changes["sampling"]["steps"] = 2
    facts: Facts = {"machine": describe_machine(torch.device(options.device)), "edits": {}}
    rows = [clip.frames for clip in (pair.source, pair.reference, pair.truth)]
    for precision in ("bf16", "fp16") if torch.device(options.device).type == "cuda" else ("fp32",):
        runtime = {"device": options.device, "precision": precision, "memory": "8GB"}
        given = ("the benchmark", {**changes, "runtime": runtime})
        config = choose_settings(EditConfig, given, preset="best", base=SMALL).config
        shape = (frames, side, side)
        rehearsal = Rehearsal(architecture, config.network, config.tuning, config.runtime, shape)
        plan = make_plan(rehearsal, config.windows, config.runtime)
        config = follow(plan, config)
        start = time.monotonic()
        recorder = Recorder(SilentProgress(), torch.device(options.device))
        backbone = Backbone.load(config.model, config.runtime)
        person = tune_person(backbone, prepared(pair.source), config.for_tuning(), recorder)
        edit = apply_motion(backbone, person, prepared(pair.reference), config.for_applying(), recorder)
        losses = torch.tensor(person.losses)
        peak = max([peak_memory(recorder.device), *(phase.peak_memory for phase in recorder.phases.values())])
        facts["edits"][precision] = {
            "seconds": time.monotonic() - start,
            "phases": {name: asdict(phase) for name, phase in recorder.phases.items()},
            "finite": bool(losses.isfinite().all()),
            "psnr": psnr(edit.frames, pair.truth.frames),
            "psnr_source": psnr(pair.source.frames, pair.truth.frames),
            "peak_gib": peak / 2**30,
            "planned_gib": plan.needed / 2**30,
        }
        rows.append(edit.frames)
        write_sheet(options.output / "sheet.png", rows)
        write(options.result, facts)
    return facts


def psnr(made: Any, true: Any) -> float:
    """Of whole clips, dB."""
    error = (torch.as_tensor(made).double() - torch.as_tensor(true).double()).square().mean()
    return float(10 * torch.log10(255**2 / error.clamp(min=1e-6)))


def pretrain_the_base(options: argparse.Namespace) -> Facts:
    """The base at 256 pixels, from what lies in the working folder on, or from the base that ships; ends in time."""
    from edit_your_motion.pretrain import export

    start = time.monotonic()
    training = Training(options, start + options.seconds - ENDING)
    training.train_vae()
    training.train_diffusion()
    steps = [training.last("vae"), training.last("diffusion")]
    part = WORK / "export"
    shutil.rmtree(part, ignore_errors=True)
    export(training.folder, part)
    pieces = write_pieces(options.output, part, training.folder)
    facts: Facts = {
        "machine": describe_machine(torch.device(options.device)),
        "pictures": training.config.pictures.count,
    }
    facts |= {"vae_steps": int(steps[0]["step"]), "diffusion_steps": int(steps[1]["step"]), "pieces": pieces}
    facts |= {"vae_psnr": steps[0].get("held_out_psnr"), "error": steps[1].get(f"held_out_{training.target}")}
    return {**facts, "seconds": time.monotonic() - start}


class Training:
    """A pretraining whose lengths follow from the time that there is.

    Args:
        options: of the command line.
        end: when it has to be over, on the monotonic clock.
    """

    def __init__(self, options: argparse.Namespace, end: float) -> None:
        from edit_your_motion.pretrain.config import PretrainConfig
        from edit_your_motion.pretrain.pipeline import CONFIG, read_config

        self.end, self.tiny = end, options.tiny
        self.folder = WORK / ("pretrain-tiny" if options.tiny else "pretrain")
        machine = {"device": options.device, "workers": 1 if options.tiny else os.cpu_count() or 1}
        machine["checkpoint_minutes"] = 0.5
        self.config = PretrainConfig.model_validate({**(TINY if options.tiny else _full()), "machine": machine})
        self.target = "velocity" if self.config.architecture.prediction == "v_prediction" else "noise"
        self.probe = 4 if options.tiny else 60
        self.begun = (self.folder / CONFIG).is_file()
        if self.begun:
            self._set("vae", read_config(self.folder).vae.model_dump())

    def train_vae(self) -> None:
        """Renders, and trains the VAE for its share of the time, unless that was done before."""
        if not self.begun and self.config.vae.steps > 1:
            # Rendering and the first steps say how fast this machine is.
            self._set("vae", {"steps": self.probe, "encoder_steps": self.probe, "cool_down": 0})
            self._set("diffusion", {"steps": 0})
            self._run()
            steps = self.probe + self._steps("vae", VAE_SHARE)
            cool_down = int(COOL_DOWN * steps)
            self._set("vae", {"steps": steps, "encoder_steps": steps - cool_down // 2, "cool_down": cool_down})

    def train_diffusion(self) -> None:
        """Trains the diffusion for all of the time that is left."""
        done = self.last("diffusion").get("step", 0)
        self._set("diffusion", {"steps": done + self.probe, "cool_down": 0})
        self._run()
        steps = self._steps("diffusion", 0.9)
        if steps > 0:
            cool_down = int(COOL_DOWN * steps)
            self._set("diffusion", {"steps": done + self.probe + steps, "cool_down": cool_down})
            self._run()

    def last(self, name: str) -> dict[str, float]:
        """The newest value of everything in a training's log."""
        log = self.folder / f"{name}.jsonl"
        lines = log.read_text().splitlines() if log.is_file() else []
        return {key: value for line in lines for key, value in json.loads(line).items()}

    def _set(self, section: str, changes: dict[str, Any]) -> None:
        changed = getattr(self.config, section).model_copy(update=changes)
        self.config = self.config.model_copy(update={section: changed})

    def _run(self) -> None:
        from edit_your_motion.pretrain import pretrain

        try:
            pretrain(self.config, self.folder, Deadline(self.end))
        except DeadlineError as phase:
            print(f"the time was up in: {phase}; the last checkpoint counts", flush=True)

    def _steps(self, name: str, share: float) -> int:
        """How many steps a share of the time that is left is enough for, at the speed of the last ones."""
        rate = self.last(name)["pictures_per_second"] / getattr(self.config, name).batch
        steps = int(share * max(0.0, self.end - time.monotonic()) * rate)
        return min(steps, self.probe) if self.tiny else steps


def _full() -> dict[str, Any]:
    """The real training: from the base that ships, whose VAE is kept where it has the size that is wanted."""
    from edit_your_motion.errors import ModelFileError
    from edit_your_motion.metrics import load_lpips
    from edit_your_motion.models.loading import SMALL, SMALL_FOLDER, load_architecture
    from edit_your_motion.pretrain.config import ArchitectureConfig

    base = load_architecture(SMALL, SMALL)
    vae: dict[str, Any] = {"batch": 32}
    if base.pixels_per_latent == ArchitectureConfig().factor:
        # A checkpoint wants one step; this one changes nothing that anybody could see.
        vae = {"steps": 1, "encoder_steps": 0, "learning_rate": 1e-9, "batch": 1}
    try:
        load_lpips("alexnet")
    except ModelFileError as error:
        print(f"the VAE trains without LPIPS: {error}", flush=True)
        vae["perceptual"] = 0.0
    return {
        "from_base": SMALL_FOLDER,
        "pictures": {"count": 12_288},
        "vae": vae,
        "diffusion": {"batch": 64, "learning_rate": 8e-4, "average": 0.998},
    }


TINY: dict[str, Any] = {
    "pictures": {"size": 128, "count": 8, "held_out": 8, "shard": 8},
    "architecture": {
        "vae_widths": (8, 8, 8, 16, 16), "vae_groups": 4, "latent_channels": 4, "unet_widths": (32, 32, 32, 32),
        "heads": 2, "condition_widths": (4, 8, 8, 8, 8), "text_width": 32,
    },
    "vae": {"batch": 2, "crop": 32, "perceptual": 0.0, "sheet_every": 100},
    "diffusion": {"batch": 2, "sheet_every": 100, "sheet_steps": 2},
}  # fmt: skip


def write_pieces(output: Path, base: Path, training: Path) -> int:
    """The base, the logs and the last sheets of its training as one archive in pieces; returns how many."""
    for piece in output.glob("base.tar.*"):
        piece.unlink()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(base, ".")
        for name in ("vae", "diffusion"):
            sheets = sorted((training / "sheets").glob(f"{name}-*.png"))
            for file in [*training.glob(f"{name}.jsonl"), *sheets[-1:]]:
                archive.add(file, f"training/{file.name}")
    content = whole.getbuffer()
    starts = range(0, len(content), PIECE)
    for number, first in enumerate(starts):
        (output / f"base.tar.{number:02d}").write_bytes(content[first : first + PIECE])
    return len(starts)


def write(path: Path, facts: Facts) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(facts, indent=2))
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"laws": check_laws, "edits": edit_the_demo, "pretrain": pretrain_the_base}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    options = parser.parse_args()
    do_without_videos()
    write(options.result, parts[options.part](options))


if __name__ == "__main__":
    main()
