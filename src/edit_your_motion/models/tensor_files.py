"""Files of tensors: which of a folder's to read, and what is in them; safetensors only, and never a pickle."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from edit_your_motion.errors import CheckpointError, refuse_for_memory
from edit_your_motion.storage.parsing import parse_json

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

VARIANTS = ("", "fp32", "non_ema", "fp16", "bf16")
"""Variants of weights, the one to prefer first: full precision, and averaged before not averaged."""

LARGEST_JSON = 64 * 2**20
"""Bytes; an index of the largest checkpoints has a few megabytes."""


def choose_files(names: Collection[str], stem: str) -> list[str]:
    """Which of a folder's files hold the weights, as `VARIANTS` prefers them: one file, or an index of several.

    Args:
        names: of all files in the folder.
        stem: how the weights are called, "diffusion_pytorch_model" or "model".

    Returns:
        One name; of an index where only shards are there; empty where there are no weights.
    """
    for variant in VARIANTS:
        whole = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
        if whole in names:
            return [whole]
        # Both orders of the words are in use.
        indices = [f"{stem}.safetensors.index.{variant}.json", f"{stem}.{variant}.safetensors.index.json"]
        indices.append(f"{stem}.safetensors.{variant}.index.json")
        for index in indices if variant else [f"{stem}.safetensors.index.json"]:
            if index in names:
                return [index]
    return []


def read_folder(folder: Path, stem: str, what: str) -> dict[str, Tensor]:
    """The tensors of a folder by name, in the file's own types; they are mapped, not read, until they are used.

    Args:
        folder: with safetensors, whole or in shards, of any variant.
        stem: how the weights are called.
        what: they are of, for messages.

    Raises:
        CheckpointError: if there are none, a shard is missing, or a file is damaged.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    chosen = choose_files(names, stem)
    if not chosen:
        if pickles_only(names):
            raise CheckpointError(
                f"expected safetensors in {folder} ({what}), found only pickled weights, which can run anything on "
                "loading; convert them with a tool that you trust, or take a checkpoint that has safetensors"
            )
        there = ", ".join(name for name in names if name.endswith((".safetensors", ".gguf"))) or "no weights"
        raise CheckpointError(f"could not load {what}: expected {stem}.safetensors in {folder}, found {there}")
    if chosen[0].endswith(".json"):
        return _read_shards(folder / chosen[0], what)
    return read_file(folder / chosen[0], what)


def read_file(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, mapped.

    Raises:
        CheckpointError: if it is another kind of file, or damaged.
    """
    refuse_other_kinds(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        refuse_for_memory(error, path)
        raise CheckpointError(f"could not load {what}: {path} is damaged or cut off ({first_line(error)})") from error


def read_metadata(path: Path, what: str) -> dict[str, str]:
    """What a safetensors file says about itself beside its tensors.

    Raises:
        CheckpointError: if it is another kind of file, or damaged.
    """
    refuse_other_kinds(path)
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        refuse_for_memory(error, path)
        raise CheckpointError(f"could not load {what}: {path} is damaged or cut off ({first_line(error)})") from error


def refuse_other_kinds(path: Path) -> None:
    """Passes what may be safetensors.

    Raises:
        CheckpointError: for pickles and GGUF, by their first bytes too, and for what is no file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from error
    if start == b"GGUF" or path.suffix == ".gguf":
        raise CheckpointError(f"expected safetensors, got {path}, a GGUF file; take the checkpoint's safetensors")
    if start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or path.suffix in PICKLES:
        raise CheckpointError(
            f"expected safetensors, got {path}, a pickle, which can run anything on loading; convert it with a tool "
            "that you trust, or take a checkpoint that has safetensors"
        )


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a JSON file.

    Raises:
        CheckpointError: if it is absent, or holds anything else.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError(f"more than {LARGEST_JSON} bytes")
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else first_line(error)
        raise CheckpointError(f"could not load {what}: expected JSON at {path}: {reason}") from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"could not load {what}: expected settings by name in {path}, got {type(content).__name__}"
        )
    return content


def _read_shards(index: Path, what: str) -> dict[str, Tensor]:
    """The tensors that an index says lie in which files beside it."""
    files = shards_of(index, what)
    names = sorted(set(files.values()))
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise CheckpointError(f"could not load {what}: {index} names {', '.join(missing)}, which is not beside it")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors.update(read_file(index.parent / name, what))
    if absent := sorted(files.keys() - tensors.keys()):
        raise CheckpointError(f"could not load {what}: {index} names tensors that its files lack: {shortened(absent)}")
    return tensors


def shards_of(index: Path, what: str) -> dict[str, str]:
    """The file of each tensor, as an index names them.

    Raises:
        CheckpointError: if it is no such index.
    """
    files = read_json(index, what).get("weight_map")
    if not isinstance(files, Mapping) or not all(_is_shard(name) for name in files.values()):
        raise CheckpointError(f"could not load {what}: expected a weight_map of files beside it in {index}")
    return dict(files)


def _is_shard(name: object) -> bool:
    """Whether it is the plain name of a safetensors file: an index may not lead out of its folder."""
    return isinstance(name, str) and re.fullmatch(r"[\w.-]+\.safetensors", name) is not None


def shortened(names: Collection[str], most: int = 3) -> str:
    """The first few of the names, and how many more there are."""
    shown = [f"'{name}'" for name in sorted(names)[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def pickles_only(names: Collection[str]) -> bool:
    """Whether a folder with these files has pickled weights; asked where it has no others."""
    return any(name.endswith(PICKLES) for name in names)
