"""The published networks on LiteRT: opened by the names of their files, run on one picture."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from edit_your_motion.models.downloads import Progress, obtain


def open_network(name: str, *, fetch: bool, num_threads: int = 1, progress: Progress | None = None) -> Any:
    """The network in a model file, ready to run.

    Args:
        name: one of `MODEL_FILES`.
        fetch: download the file if it is absent.
        num_threads: that the network may use.
        progress: told of downloads.

    Raises:
        ModelFileError: the file is absent and may not be, or cannot be, fetched.
    """
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(obtain(name, allow_fetch=fetch, progress=progress)), num_threads=num_threads)
    with _without_notices():
        network.allocate_tensors()
    return network


def run_network(network: Any, picture: Float32[np.ndarray, "s s 3"]) -> list[np.ndarray]:
    """The network's outputs, in its own order."""
    network.set_tensor(network.get_input_details()[0]["index"], picture[None])
    network.invoke()
    return [network.get_tensor(output["index"]) for output in network.get_output_details()]


def as_input(crop: UInt8[np.ndarray, "s s 3"]) -> Float32[np.ndarray, "s s 3"]:
    """A picture as landmark networks take it, in [0, 1]."""
    return crop.astype(np.float32) / 255


@contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps off standard error what LiteRT writes there past Python; its errors come as exceptions all the same."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
