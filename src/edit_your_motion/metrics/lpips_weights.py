"""The published LPIPS weights: fetched once, taken out of their pickle without running it, kept as safetensors."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from edit_your_motion.errors import CheckpointError, refuse_for_memory
from edit_your_motion.metrics.lpips import Backbone, Lpips
from edit_your_motion.models import downloads
from edit_your_motion.storage.tensor_files import save_tensors

# The private function that pickled arrays name; its module moved between NumPy 1 and 2, so an array is asked for it.
_RECONSTRUCT = np.zeros(0).__reduce__()[0]

_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads nested dictionaries of arrays and refuses a pickle that asks for anything else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def load_lpips(
    backbone: Backbone = "alexnet", *, allow_fetch: bool = False, progress: downloads.Progress | None = None
) -> Lpips:
    """LPIPS v0.1 with its published weights, on the CPU.

    Args:
        backbone: "alexnet" (10 MB) or "vgg16" (59 MB).
        allow_fetch: whether absent weights may be downloaded.
        progress: told what happens.

    Raises:
        ModelFileError: the weights are absent or cannot be fetched; the message names the command that fetches them.
        CheckpointError: the weights do not fit the network.
    """
    file = downloads.describe(f"lpips-{backbone}")
    converted = file.path.with_name(f"lpips-{backbone}.safetensors")
    if not _is_conversion_of(converted, file.sha256):
        original = downloads.obtain(file.name, allow_fetch=allow_fetch, progress=progress)
        weights = read_flax_weights(original, backbone)
        save_tensors(converted, weights, {"sha256": file.sha256})
    network = Lpips(backbone)
    network.load_state_dict(load_file(converted))
    return network


_DAMAGE = (
    pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError, ValueError, RuntimeError, ArithmeticError,
)  # fmt: skip
"""What unpickling something else, or taking it for a tree of parameters, ends in."""


def read_flax_weights(path: Path, backbone: Backbone) -> dict[str, Tensor]:
    """The state dict of `Lpips(backbone)` out of a pickled Flax parameter tree, kernels in Flax's h w c_in c_out.

    Raises:
        CheckpointError: not such a tree, or a pickle that asks for more than arrays.
    """
    try:
        with path.open("rb") as file:
            tree = _ArrayUnpickler(file).load()
        trunk = tree["AlexNet_0" if backbone == "alexnet" else "VGG16_0"]
        network = Lpips(backbone)
        weights: dict[str, Tensor] = {}
        convolutions = [name for name, part in network.stages.named_modules() if isinstance(part, nn.Conv2d)]
        for number, name in enumerate(convolutions):
            weights[f"stages.{name}.weight"] = _to_convolution(trunk[f"Conv_{number}"]["kernel"])
            weights[f"stages.{name}.bias"] = torch.from_numpy(trunk[f"Conv_{number}"]["bias"].astype(np.float32))
        for number in range(len(network.heads)):
            weights[f"heads.{number}.weight"] = _to_convolution(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"])
        network.load_state_dict(weights)
    except _DAMAGE as why:
        refuse_for_memory(why, path)
        raise CheckpointError(
            f"expected the pickled LPIPS parameters of {backbone} in {path}, but {why}: remove the file and fetch it "
            f"again (`eym models fetch lpips-{backbone}`)"
        ) from why
    return weights


def _to_convolution(kernel: np.ndarray) -> Tensor:
    return torch.from_numpy(rearrange(kernel.astype(np.float32), "h w i o -> o i h w").copy())


def _is_conversion_of(converted: Path, sha256: str) -> bool:
    if not converted.is_file():
        return False
    try:
        with safe_open(converted, "pt") as file:
            return (file.metadata() or {}).get("sha256") == sha256
    except SafetensorError:
        return False
