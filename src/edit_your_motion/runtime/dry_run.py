"""What a computation costs: counted while it runs, or in a dry run with tensors that have a shape and no contents."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.library import _scoped_library
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_ATEN = torch.ops.aten


@dataclass(frozen=True)
class Cost:
    """What a computation takes.

    Args:
        operations: floating-point operations of its matrix products, convolutions and attentions.
        memory: most bytes that its own results hold at one time; what was there before does not count.
    """

    operations: int
    memory: int


def run_dry(run: Callable[[], object], there_before: Iterable[nn.Module] = ()) -> Cost:
    """The cost of `run`, which may use tensors of the device "meta" only.

    Args:
        run: the computation.
        there_before: modules whose weights do not count.
    """
    memory = _LiveMemory(tensor for module in there_before for tensor in (*module.parameters(), *module.buffers()))
    counter = OperationCounter()
    with counter, memory, _fused_attention():
        run()
    return Cost(counter.operations, memory.peak)


class OperationCounter(TorchDispatchMode):
    """Counts the floating-point operations of everything that runs while it is entered, in `operations`.

    torch's own counter leaves out the CPU's attention, and holds on to the tensors of recomputed layers: it cannot be
    used where memory is watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = func._overloadpacket
        if formula := _FORMULAS.get(kind, flop_registry.get(kind)):
            self.operations += int(formula(*args, **(kwargs or {}), out_val=result))
        return result


def _count_attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Q K^T and its product with V: a multiplication and an addition for each."""
    return 2 * query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _count_attention_gradient(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Q K^T once more, and the gradients of both products to both of their factors."""
    return 2 * query[..., 0].numel() * key.shape[-2] * (3 * query.shape[-1] + 2 * value.shape[-1])


_FORMULAS: dict[Any, Callable[..., int]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _count_attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _count_attention_gradient,
}
"""What torch's own registry lacks; operators of ours are in it."""


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Tensors without contents would take the slow attention, which stores all scores; real ones never do."""

    def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        attended: Tensor = _ATEN._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]
        return attended

    with _scoped_library("aten", "IMPL") as library:
        library.impl("scaled_dot_product_attention", attend, "AutogradMeta")
        yield


class _LiveMemory(TorchDispatchMode):
    """Follows every storage from the operation that makes it until nothing refers to it any more."""

    def __init__(self, there_before: Iterable[Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in there_before:
            self._follow(tensor.untyped_storage(), 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor):
                storage = result.untyped_storage()
                self._follow(storage, storage.nbytes())
        return results

    def _follow(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known[key] = weakref.ref(storage, partial(self._forget, key, size))
            self.live += size
            self.peak = max(self.peak, self.live)

    def _forget(self, key: int, size: int, _: object) -> None:
        del self._known[key]
        self.live -= size
