"""Clips of a video as feature vectors, and the distances FID-VID and FVD between sets of them."""

import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn

from edit_your_motion.errors import CheckpointError, InputError, ModelFileError, refuse_for_memory
from edit_your_motion.metrics.frames import Frames, iterate_windows, resize_frame
from edit_your_motion.metrics.frechet import frechet_distance
from edit_your_motion.metrics.i3d import InceptionI3D
from edit_your_motion.metrics.resnet3d import ResNet3D
from edit_your_motion.models.tensor_files import first_line

CLIP_FRAMES = 16
"""Frames in a clip, for FID-VID and FVD alike."""

RESNET_SIZE, I3D_SIZE = 112, 224
RESNET_MEAN = np.array([114.7748, 107.7354, 99.4750], np.float32)
"""Mean colour that the Kinetics 3-D ResNets subtract, RGB in 0..255; nothing is divided."""

_LARGEST_FILE = 2 << 30


@dataclass(frozen=True)
class ClipEncoder:
    """How a clip becomes a feature vector.

    Args:
        network: maps prepared clips (b, 3, f, h, w) to features (b, d).
        prepare: maps the frames of one clip to what `network` takes, (3, f, h, w).
        device: where the network lies.
    """

    network: Callable[[Tensor], Tensor]
    prepare: Callable[[np.ndarray], Tensor]
    device: torch.device


def load_resnet3d(
    path: str | Path, device: str | torch.device = "cpu", network: nn.Module | None = None
) -> ClipEncoder:
    """The encoder of FID-VID: 3-D ResNet-50 trained on Kinetics, pooled features of 2048 dimensions.

    Args:
        path: state dict (.safetensors, or .pth read without running code) or a TorchScript archive, whose
            code runs, if only inside TorchScript: take it from somebody you trust.
        device: where to compute.
        network: what the state dict belongs to; None: `ResNet3D()`.

    Raises:
        ModelFileError: no such file.
        CheckpointError: the file cannot be read or does not fit the network.
    """
    module = _load_network(Path(path), network or ResNet3D(), torch.device(device))
    return ClipEncoder(module, prepare_for_resnet3d, torch.device(device))


def load_i3d(path: str | Path, device: str | torch.device = "cpu", network: nn.Module | None = None) -> ClipEncoder:
    """The encoder of FVD: Inception I3D trained on Kinetics-400, its 400 logits.

    Args:
        path: state dict (.safetensors, or .pth/.pt read without running code) or a TorchScript archive, whose
            code runs, if only inside TorchScript: take it from somebody you trust. The widely used archive that
            rescales and resizes on request is told to do neither and to return its features.
        device: where to compute.
        network: what the state dict belongs to; None: `InceptionI3D()`.

    Raises:
        ModelFileError: no such file.
        CheckpointError: the file cannot be read or does not fit the network.
    """
    module = _load_network(Path(path), network or InceptionI3D(), torch.device(device))
    return ClipEncoder(module, prepare_for_i3d, torch.device(device))


def prepare_for_resnet3d(clip: UInt8[np.ndarray, "f h w 3"]) -> Float32[Tensor, "3 f 112 112"]:
    """A clip as FID-VID's network takes it: 112x112 by PIL bicubic, 0..255 minus the Kinetics mean."""
    frames = np.stack([resize_frame(frame, RESNET_SIZE, RESNET_SIZE) for frame in clip])
    return torch.from_numpy(rearrange(frames - RESNET_MEAN, "f h w c -> c f h w").copy())


def prepare_for_i3d(clip: UInt8[np.ndarray, "f h w 3"]) -> Float32[Tensor, "3 f 224 224"]:
    """A clip as FVD's network takes it: 224x224 by bilinear interpolation without antialiasing, x / 127.5 - 1."""
    frames = rearrange(torch.from_numpy(clip).float(), "f h w c -> f c h w")
    frames = F.interpolate(frames, (I3D_SIZE, I3D_SIZE), mode="bilinear", align_corners=False)
    return rearrange(frames / 127.5 - 1, "f c h w -> c f h w")


def encode_clips(
    frames: Frames, encoder: ClipEncoder, stride: int = 1, batch: int = 2
) -> Float32[np.ndarray, "clips d"]:
    """The features of every 16-frame clip that starts at a multiple of `stride`.

    Args:
        frames: one video.
        encoder: from `load_resnet3d` or `load_i3d`.
        stride: frames between the starts of clips; 1, the convention, takes every start.
        batch: clips through the network at a time.

    Raises:
        InputError: fewer than 16 frames.
    """
    clips = iterate_windows(frames, CLIP_FRAMES, stride)
    features = list(_encode_batches(clips, encoder, batch))
    if not features:
        raise InputError(f"FID-VID and FVD look at clips of {CLIP_FRAMES} frames; the video has fewer")
    return np.concatenate(features)


def fid_vid(generated: Iterable[Frames], truth: Iterable[Frames], encoder: ClipEncoder, stride: int = 1) -> float:
    """The Fréchet distance between 3-D ResNet features of generated and true videos.

    Convention: 3-D ResNet-50 on Kinetics, pooled features, 16-frame clips of 112x112, every start frame unless `stride`
    says otherwise, all videos' clips in one set; 0 or more, lower is better. Biased upwards for few clips, so name
    their number beside it.

    Args:
        generated: videos.
        truth: videos; their number and lengths may differ.
        encoder: from `load_resnet3d`.
        stride: frames between the starts of clips.

    Raises:
        InputError: a video of fewer than 16 frames, or fewer than two clips in all.
    """
    return frechet_distance(*(pool_clips(videos, encoder, stride) for videos in (generated, truth)))


def fvd(generated: Iterable[Frames], truth: Iterable[Frames], encoder: ClipEncoder, stride: int = 1) -> float:
    """The Fréchet video distance (Unterthiner et al. 2018).

    Convention: I3D's 400 Kinetics logits, 16-frame clips of 224x224, every start frame unless `stride` says otherwise,
    all videos' clips in one set; 0 or more, lower is better. Biased upwards for few clips, so name their number
    beside it.

    Args:
        generated: videos.
        truth: videos; their number and lengths may differ.
        encoder: from `load_i3d`.
        stride: frames between the starts of clips.

    Raises:
        InputError: a video of fewer than 16 frames, or fewer than two clips in all.
    """
    return frechet_distance(*(pool_clips(videos, encoder, stride) for videos in (generated, truth)))


def pool_clips(videos: Iterable[Frames], encoder: ClipEncoder, stride: int = 1) -> Float32[np.ndarray, "clips d"]:
    """The features of the clips of all videos, one under the other."""
    features = [encode_clips(video, encoder, stride) for video in videos]
    if not features:
        raise InputError("expected at least one video, got none")
    return np.concatenate(features)


@torch.inference_mode()
def _encode_batches(clips: Iterator[np.ndarray], encoder: ClipEncoder, batch: int) -> Iterator[np.ndarray]:
    while group := list(islice(clips, batch)):
        prepared = torch.stack([encoder.prepare(clip) for clip in group]).to(encoder.device)
        yield encoder.network(prepared).float().cpu().numpy()


def _load_network(path: Path, network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    if not path.is_file():
        raise ModelFileError(f"expected the weights of {type(network).__name__} at {path}: there is no such file")
    if path.stat().st_size > _LARGEST_FILE:
        raise CheckpointError(f"expected weights of at most {_LARGEST_FILE >> 30} GiB, {path} is larger")
    if _is_torchscript(path):
        return _load_torchscript(path, device)
    weights = _read_state_dict(path)
    expected = network.state_dict()
    # Heads that we do not use (a classifier behind the pooled features) may be there; nothing may be missing.
    missing = sorted(expected.keys() - weights.keys())
    wrong = sorted(
        name
        for name in expected.keys() & weights.keys()
        if getattr(weights[name], "shape", None) != expected[name].shape
    )
    if missing or wrong:
        raise CheckpointError(
            f"{path} does not fit {type(network).__name__}: {len(missing)} of {len(expected)} tensors are missing "
            f"and {len(wrong)} have another shape, for example '{(missing + wrong)[0]}'"
        )
    network.load_state_dict({name: weights[name] for name in expected})
    return network.to(device).eval()


def _read_state_dict(path: Path) -> dict[str, Any]:
    """The tensors by name, out of a wrapping "state_dict" and without the "module." of data-parallel training."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:  # whatever the two readers do with a damaged file
        refuse_for_memory(why, path)
        raise CheckpointError(f"{path} cannot be read as a state dict: {first_line(why)}") from why
    content = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise CheckpointError(f"expected a dictionary of tensors in {path}, got something else")
    weights = {str(name).removeprefix("module."): value for name, value in content.items()}
    for name in [name for name in weights if name.endswith("running_mean")]:
        # Checkpoints from before PyTorch 0.4.1 lack the counter, which evaluation never reads.
        weights.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return weights


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False  # torch's own reader says what is wrong


def _load_torchscript(path: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    try:
        with warnings.catch_warnings():
            # PyTorch deprecates TorchScript, but the published feature networks come in it.
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            module = torch.jit.load(str(path), map_location=device).eval()
    except Exception as why:  # whatever the reader of archives does with a damaged one
        refuse_for_memory(why, path)
        raise CheckpointError(f"{path} cannot be read as a TorchScript archive: {first_line(why)}") from why
    accepted = {argument.name for argument in module.forward.schema.arguments}
    wished = {"rescale": False, "resize": False, "return_features": True}
    options = {name: value for name, value in wished.items() if name in accepted}

    def encode(clips: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b d"]:
        return module(clips, **options)

    return encode
