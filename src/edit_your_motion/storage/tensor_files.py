"""Safetensors files, written whole and alike."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from edit_your_motion.storage.files import written_whole

WRITING = 8 * 2**20
"""More than safetensors takes to write a file, beside the tensors: a buffer of 1 MiB, and the header; bytes."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file, whole or not at all.

    Raises:
        DiskFullError: if there is no room for it.
        MemoryError: if there is none for what safetensors takes to write it.
    """
    with written_whole(path) as temporary:
        contents = {name: value.cpu().contiguous() for name, value in tensors.items()}
        bytearray(WRITING)  # safetensors ends the process where it gets none
        save_file(contents, temporary, dict(metadata or {}))
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """Puts the texts of a header in order: safetensors writes them in another one in every process."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if texts := header.get("__metadata__"):
            header["__metadata__"] = dict(sorted(texts.items()))
            ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
            file.seek(8)
            file.write(ordered.ljust(size))
