"""What of the activations is kept for the backward pass, and what is computed again."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from edit_your_motion.config import Recompute
from edit_your_motion.runtime.winograd import CONVOLUTION

_ATEN = torch.ops.aten

PRODUCTS = [
    _ATEN.mm.default,
    _ATEN.addmm.default,
    _ATEN.bmm.default,
    _ATEN.convolution.default,
    CONVOLUTION,
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
    _ATEN._scaled_dot_product_flash_attention.default,
    _ATEN._scaled_dot_product_efficient_attention.default,
    _ATEN._scaled_dot_product_cudnn_attention.default,
]
"""The operations that cost: matrix products, convolutions, attention. All others only move memory."""


def recompute(function: Callable[[Tensor], Tensor], hidden: Tensor, what: Recompute) -> Tensor:
    """`function(hidden)`, of whose intermediate results as little is kept for the backward pass as `what` says.

    Args:
        function: a layer.
        hidden: its input.
        what: "everything" keeps the input alone and runs the layer again; "cheap" keeps the results of `PRODUCTS` too
            and computes the rest again, norms and activations; "nothing" keeps whatever autograd asks for.
    """
    if what == "nothing" or not torch.is_grad_enabled():
        return function(hidden)
    if what == "everything":
        # The re-entrant form drops every gradient where `hidden` itself needs none, as in the first layers here.
        return checkpoint(function, hidden, use_reentrant=False)
    contexts = partial(create_selective_checkpoint_contexts, PRODUCTS)
    return checkpoint(function, hidden, use_reentrant=False, context_fn=contexts)
