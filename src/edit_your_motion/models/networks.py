"""A network out of its configuration and its tensors, each of which has to be there, fit and be a number."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn

from edit_your_motion.errors import CheckpointError, refuse_for_memory
from edit_your_motion.models.tensor_files import first_line, read_folder, read_json, shortened
from edit_your_motion.runtime.tensor_alignment import placed

Network = TypeVar("Network", bound=nn.Module)

LARGEST_NUMBER, MOST_NUMBERS = 2**20, 64
"""Of a configuration: no width, vocabulary or count of layers comes near them."""


@dataclass(frozen=True)
class Kind(Generic[Network]):
    """A kind of network that we load.

    Args:
        title: in messages, "VAE".
        build: the network that a configuration describes, its weights still random.
        classes: names that a configuration may give it.
        stem: how its weights are called.
        decisive: those entries of a built network's configuration that decide what it computes.
        rename: brings tensors to the names and shapes of today.
        refuse: raises CheckpointError for a configuration, at a place, that is another family's.
    """

    title: str
    build: Callable[[Mapping[str, Any]], Network]
    classes: tuple[str, ...]
    stem: str
    decisive: Callable[[Network], Mapping[str, Any]]
    rename: Callable[[Mapping[str, Tensor], Network], dict[str, Tensor]] = lambda tensors, network: dict(tensors)
    refuse: Callable[[Mapping[str, Any], str], None] = lambda config, where: None


@dataclass(frozen=True)
class Checkpoint(Generic[Network]):
    """One network as it was found: built, but not loaded.

    Args:
        kind: of the network.
        where: it lies, in words.
        network: as its configuration describes it; its parameters have no contents.
        read: maps its tensors, by name.
    """

    kind: Kind[Network]
    where: str
    network: Network
    read: Callable[[], Mapping[str, Tensor]]

    @property
    def config(self) -> Any:
        """The network's configuration, every default filled in."""
        return self.network.config


def open_folder(folder: Path, kind: Kind[Network]) -> Checkpoint[Network]:
    """The network in a folder of the ``diffusers`` or ``transformers`` layout.

    Raises:
        CheckpointError: if its configuration is missing, damaged, or that of another class or family.
    """
    what = f"{kind.title} in {folder}"
    config = read_json(folder / "config.json", what)
    check_class(config, kind, str(folder))
    return describe(kind, config, what, lambda: read_folder(folder, kind.stem, what))


def check_class(config: Mapping[str, Any], kind: Kind[Any], where: str) -> None:
    """Passes the configuration of a network of that kind.

    Raises:
        CheckpointError: if it names another class.
    """
    named = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    if named is not None and named not in kind.classes:
        raise CheckpointError(f"expected a {kind.classes[0]} in {where}, got a {named} (its config.json says so)")


def describe(
    kind: Kind[Network], config: Mapping[str, Any], where: str, read: Callable[[], Mapping[str, Tensor]]
) -> Checkpoint[Network]:
    """The checkpoint of a configuration, its network built without weights.

    Raises:
        CheckpointError: if the configuration describes no such network, or one of another family.
    """
    _refuse_giants(config, where)
    kind.refuse(config, where)
    try:
        with init_empty_weights():
            return Checkpoint(kind, where, kind.build(config), read)
    except Exception as error:  # whatever the constructors of two libraries do with values that nobody checked
        refuse_for_memory(error, where)
        raise CheckpointError(
            f"could not load {where}: its config.json describes no {kind.classes[0]}: {first_line(error)}"
        ) from error


def load_network(
    checkpoint: Checkpoint[Network],
    dtype: torch.dtype,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
) -> tuple[Network, str]:
    """A checkpoint's network with its weights, frozen, and a digest of all that decides what it computes.

    The digest is taken in passing, of each tensor as fp16 has it, under the names that the network has now: so that it
    is the same wherever the checkpoint lies and in whatever layout, for full precision and its fp16 variant, and
    whatever it is loaded for. Everything is covered, not a sample: hashing 2 bytes a weight costs less than reading 4.

    Args:
        checkpoint: where the tensors are.
        dtype: to hold the weights in.
        change: what is merged into the weights, after the digest of their own is taken.

    Raises:
        CheckpointError: if tensors are missing, too many, of other shapes, or no numbers.
    """
    network, where = checkpoint.network, checkpoint.where
    tensors = checkpoint.kind.rename(checkpoint.read(), network)
    check_tensors(network, tensors, where)
    digest = digest_of(checkpoint.kind.decisive(network), tensors, where)
    own = {name: placed(value.to(dtype)) for name, value in change(tensors).items()}
    network.load_state_dict(own, assign=True)
    nn.Module.to(network, dtype)  # that of diffusers' networks warns of casting, which is what is wanted
    return network.eval().requires_grad_(False), digest


def check_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Passes tensors that are exactly those of a network.

    Raises:
        CheckpointError: if some are missing, too many, or of other shapes; the message names the first ones.
    """
    expected = network.state_dict()
    if missing := expected.keys() - tensors.keys():
        raise CheckpointError(
            f"could not load {where}: {len(missing)} of its {len(expected)} tensors are missing: {shortened(missing)}; "
            "the file is incomplete, or belongs to another architecture than its config.json says"
        )
    if unexpected := tensors.keys() - expected.keys():
        raise CheckpointError(
            f"could not load {where}: it holds {len(unexpected)} tensors that its architecture has no place for: "
            f"{shortened(unexpected)}; its config.json belongs to another file"
        )
    for name, value in expected.items():
        if not tensors[name].is_floating_point() and value.is_floating_point():
            raise CheckpointError(
                f"could not load {where}: expected '{name}' as floating point, got {tensors[name].dtype}: quantised "
                "weights are not read; take them in full or half precision"
            )
        if tensors[name].shape != value.shape:
            raise CheckpointError(
                f"could not load {where}: expected '{name}' of {tuple(value.shape)}, as its config.json says, got "
                f"{tuple(tensors[name].shape)}"
            )


def digest_of(facts: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None, where: str = "") -> str:
    """A digest of facts and tensors, the latter as fp16 has them.

    Raises:
        CheckpointError: if a tensor has values that are no numbers.
    """
    tensors = tensors or {}
    names = sorted(tensors)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(lambda name: _digest_tensor(tensors[name], name, where), names))
    whole = blake2b(digest_size=8)
    whole.update(repr(sorted((name, _plain(value)) for name, value in facts.items())).encode())
    for name, part in zip(names, parts, strict=True):
        whole.update(name.encode() + part)
    return whole.hexdigest()


def _digest_tensor(tensor: Tensor, name: str, where: str) -> bytes:
    full = tensor.float() if tensor.is_floating_point() else tensor
    if not full.sum().isfinite() and not full.isfinite().all():
        raise CheckpointError(
            f"could not load {where}: '{name}' holds values that are no finite numbers; the file is damaged, or of a "
            "training that diverged"
        )
    content = full.to(torch.float16 if full.is_floating_point() else torch.int64).contiguous()
    return blake2b(content.numpy().data, digest_size=16).digest() + repr(tuple(tensor.shape)).encode()


def _plain(value: Any) -> Any:
    """The same for what was a tuple and became a list in a file, and for whole numbers with a point."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _refuse_giants(config: Mapping[str, Any], where: str) -> None:
    """Passes configurations of networks that can be built at all."""
    for name, value in config.items():
        values = value if isinstance(value, list | tuple) else [value]
        numbers = [item for item in values if isinstance(item, int | float) and not isinstance(item, bool)]
        most = MOST_NUMBERS if "layers" in name else LARGEST_NUMBER
        if any(abs(number) > most for number in numbers) or len(values) > MOST_NUMBERS:
            raise CheckpointError(f"could not load {where}: its config.json has an impossible {name}: {value!s:.60}")
