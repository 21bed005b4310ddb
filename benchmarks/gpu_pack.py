"""What a bare machine with torch, transformers and numba lacks to run the checks of a GPU, in one small folder.

Nothing there reads or writes videos or looks for people, so that PyAV and LiteRT, which are larger than all the rest
together, stay behind.
"""

import lzma
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / ".gpu"
CACHE = PACK / "cache"
"""Of weights."""

WANTED = ("accelerate", "diffusers", "einops", "jaxtyping", "pydantic")
"""What the package imports when it edits and trains."""

THERE = frozenset(
    ("torch", "numba", "numpy", "pillow", "scipy", "transformers", "huggingface-hub", "tokenizers", "safetensors",
     "regex", "tqdm", "pyyaml", "filelock", "packaging")
)  # fmt: skip
"""What the machine has, in versions that fit each other; what else these need is theirs."""

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def archive_for(python_version: str) -> Path:
    """The packages for a Python: "3.12"."""
    return PACK / f"site-{python_version}.tar.xz"


def site() -> Path:
    """Where the packages for the Python that runs are laid out."""
    return PACK / f"site-{sys.version_info.major}.{sys.version_info.minor}"


def pack(python_version: str, more: tuple[str, ...]) -> int:
    """Writes the packages, and the weights of LPIPS in half precision; returns their size in bytes.

    Args:
        python_version: of the other machine: "3.12".
        more: further packages to bring, each with what it needs.
    """
    PACK.mkdir(exist_ok=True)
    names = sorted(_with_needs(WANTED, THERE) | _with_needs(more, THERE - {*more}))
    archive_file = archive_for(python_version)
    with TemporaryDirectory() as folder:
        wheels, unpacked = Path(folder, "wheels"), Path(folder, "site")
        platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python_version, *platforms]
        subprocess.run([*command, "--constraint", str(ROOT / "constraints.txt"), "-d", str(wheels), *names], check=True)
        for wheel in wheels.iterdir():
            shutil.unpack_archive(wheel, unpacked, "zip")
        part = archive_file.with_suffix(".part")
        with tarfile.open(part, "w:xz", preset=6 | lzma.PRESET_EXTREME) as archive:
            archive.add(unpacked, ".")
        part.replace(archive_file)
    _pack_lpips()
    files = [archive_file, *CACHE.glob("*")]
    for file in files:
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 2**20:.1f} MiB")
    return sum(file.stat().st_size for file in files)


def unpack() -> None:
    """Lays out the packages for the Python that runs, if there are any, unless that was done."""
    archive_file = archive_for(site().name.removeprefix("site-"))
    if not archive_file.is_file() or site().is_dir():
        return
    part = PACK / "site.part"
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive_file) as archive:
        archive.extractall(part, filter="data")
    part.rename(site())


def _pack_lpips() -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from edit_your_motion.metrics import load_lpips
    from edit_your_motion.models.downloads import cache_folder

    load_lpips("alexnet", allow_fetch=True)
    source = cache_folder() / "lpips-alexnet.safetensors"
    CACHE.mkdir(exist_ok=True)
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    save_file(
        {name: value.to(torch.float16) for name, value in load_file(source).items()}, CACHE / source.name, metadata
    )


def _with_needs(names: tuple[str, ...], without: frozenset[str]) -> set[str]:
    """The packages and all that they need, as installed here, but for some with their own needs."""
    found: set[str] = set()
    left = [_plain(name) for name in names]
    while left:
        name = left.pop()
        if name in found | without:
            continue
        try:
            needs = requires(name) or []
        except PackageNotFoundError:  # of another Python or system
            continue
        found.add(name)
        left += [_plain(need) for need in needs if "extra ==" not in need]
    return found


def _plain(requirement: str) -> str:
    """The package's name as an index spells it."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()
