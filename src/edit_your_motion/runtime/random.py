"""Random numbers that a seed decides, the same on every processor and device.

torch's normal numbers, and its uniform ones between bounds, come out differently for each width of a processor's
vectors, so that one seed would give one result here and another one there. NumPy's come from Philox4x64 (Salmon et al.
2011, "Parallel Random Numbers: As Easy as 1, 2, 3"), which is arithmetic of whole numbers, and normal ones from a
ziggurat in double precision, whose result is one multiplication. Its tail, beyond 3.65 or one number in 3,800, takes a
logarithm of the C library's, the last digits of which are gone once it is rounded to fp32.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from edit_your_motion.errors import CheckpointError

_ATEN = torch.ops.aten


class Draws:
    """A row of random numbers, on the CPU.

    Args:
        seed: a whole number, 0 or more.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(seed)
        self._numbers = np.random.Generator(self._bits)

    def normal(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Standard normal numbers in fp32."""
        return torch.tensor(self._numbers.standard_normal(shape), dtype=torch.float32)

    def uniform(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Numbers in [0, 1), in fp32 and multiples of 2^-24."""
        return torch.tensor(self._numbers.random(shape, np.float32))

    def integers(self, below: int, *shape: int) -> Int[Tensor, "*shape"]:
        """Whole numbers from 0 on."""
        return torch.tensor(self._numbers.integers(below, size=shape))

    def get_state(self) -> Int[Tensor, " n"]:
        """Where in the row it stands, for a checkpoint."""
        state: Any = self._bits.state
        counter, key = state["state"]["counter"], state["state"]["key"]
        rest = [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
        numbers = np.concatenate([counter, key, state["buffer"], np.array(rest, np.uint64)])
        return torch.tensor(numbers.view(np.int64))

    def set_state(self, state: Tensor) -> None:
        """Goes on from where another one stood.

        Raises:
            CheckpointError: if that is no state of such numbers.
        """
        if state.dtype != torch.int64 or state.shape != self.get_state().shape:
            raise CheckpointError(
                f"expected the random state as {self.get_state().numel()} whole numbers, got {state.numel()} of "
                f"{state.dtype}: the unfinished work was begun by another version; start it over"
            )
        numbers = state.cpu().numpy().view(np.uint64)
        counter, key, buffer, rest = np.split(numbers, [4, 6, 10])
        position, waits, waiting = map(int, rest)
        if position > len(buffer) or waits > 1 or waiting >= 1 << 32:
            raise CheckpointError("expected a random state, got numbers that are none: delete the unfinished work")
        self._bits.state = {
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": key},
            "buffer": buffer,
            "buffer_pos": position,
            "has_uint32": waits,
            "uinteger": waiting,
        }


@contextmanager
def initialised(seed: int) -> Iterator[None]:
    """Within it, the networks that are built on the CPU get their random weights from `seed`.

    Whatever a library starts its layers with goes through two operations of torch, in the place of which numbers of
    ours are drawn. What is built on another device than the CPU is left to torch.
    """
    with _Drawn(Draws(seed)):
        yield


class _Drawn(TorchDispatchMode):
    """Draws what torch's random operations would, from our own numbers."""

    def __init__(self, draws: Draws) -> None:
        super().__init__()
        self._kinds: dict[Any, Callable[..., Tensor]] = {
            _ATEN.normal_.default: lambda shape, mean=0.0, std=1.0: draws.normal(*shape).double() * std + mean,
            _ATEN.uniform_.default: lambda shape, low=0.0, high=1.0: (
                draws.uniform(*shape).double() * (high - low) + low
            ),
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        tensor, kind = args[0], self._kinds.get(func)
        if tensor.device.type != "cpu":
            return func(*args, **kwargs)
        if kind is None:
            raise NotImplementedError(f"expected layers that start with normal or uniform numbers, got {func}")
        drawn = kind(tensor.shape, *args[1:], **{name: value for name, value in kwargs.items() if name != "generator"})
        return tensor.copy_(drawn)
