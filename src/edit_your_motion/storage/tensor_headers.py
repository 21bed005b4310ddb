"""What the header of a safetensors file says; no tensor is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from edit_your_motion.errors import CheckpointError, refuse_for_memory


def load_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file.

    Raises:
        CheckpointError: if the file is absent or damaged.
    """
    with opened_tensors(path, "np") as file:
        return file.metadata() or {}


@contextmanager
def opened_tensors(path: Path, framework: str) -> Iterator[Any]:
    """A safetensors file while it is open.

    Args:
        path: of the file.
        framework: whose tensors it gives, which is imported, as safetensors calls it: ``pt`` or ``np``.

    Raises:
        CheckpointError: if the file is absent or damaged.
    """
    try:
        with safe_open(path, framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        refuse_for_memory(error, path)
        raise CheckpointError(f"expected a safetensors file at {path}, got {error}") from error
