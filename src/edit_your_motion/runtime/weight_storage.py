"""Frozen layers that wait in half precision and compute in full: half the memory, and nothing else kept for a gradient.

A stock layer keeps the weights that it computed with, and a convolution its input too, until the gradient has passed.
These keep neither: the gradient of a frozen layer needs its weights only, and they are there anyway.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import conv2d, linear
from torch.nn.grad import conv2d_input


class _LinearGradient(Function):
    """x W^T + b, of which nothing but W is kept, as it is stored."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = x.dtype
        return linear(x, weight.to(x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (weight,), (gradient,) = ctx.saved_tensors, gradients
        return (gradient @ weight.to(gradient.dtype)).to(ctx.dtype), None, None


class _ConvolutionGradient(Function):
    """A convolution of which nothing but the weight is kept, as it is stored."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layout: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype, ctx.shape, ctx.layout = x.dtype, x.shape, layout
        return conv2d(x, weight.to(x.dtype), bias, *layout)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (weight,), (gradient,) = ctx.saved_tensors, gradients
        gradient = conv2d_input(ctx.shape, weight.to(gradient.dtype), gradient, *ctx.layout)
        return gradient.to(ctx.dtype), None, None, None


class _Stored(nn.Module):
    """A layer whose weight keeps the type that it waits in, whatever type its network is brought to."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        weight = self._parameters.pop("weight")
        super()._apply(fn, recurse)
        assert weight is not None
        weight.data = weight.data.to(fn(weight.data.new_empty(0)).device)
        self._parameters = {"weight": weight, **self._parameters}
        return self

    def _keeps_nothing(self, x: Tensor) -> bool:
        """Whether a gradient is to pass through this layer and not to its weight."""
        return torch.is_grad_enabled() and x.requires_grad and not cast(Tensor, self.weight).requires_grad


class FrozenLinear(_Stored, nn.Linear):
    """A linear layer whose weight waits in a type of its own and is computed with in that of the input."""

    def forward(self, input: Tensor) -> Tensor:
        """The stock layer's result."""
        if self._keeps_nothing(input):
            return _LinearGradient.apply(input, self.weight, self.bias)
        return linear(input, self.weight.to(input.dtype), self.bias)


class FrozenConv2d(_Stored, nn.Conv2d):
    """A convolution whose weight waits in a type of its own and is computed with in that of the input."""

    def forward(self, input: Tensor) -> Tensor:
        """The stock layer's result."""
        layout: Any = (self.stride, self.padding, self.dilation, self.groups)
        if self._keeps_nothing(input):
            return _ConvolutionGradient.apply(input, self.weight, self.bias, layout)
        return conv2d(input, self.weight.to(input.dtype), self.bias, *layout)


def store(network: nn.Module, storage: torch.dtype, compute: torch.dtype) -> None:
    """Turns the linear layers and convolutions of a network into frozen ones, in place.

    Their weights wait in `storage`; everything else, which is little, is held in `compute`. The names of the
    parameters stay.

    Args:
        network: whatever its type is now; if it comes in `storage`, it never takes more.
        storage: type of the weights that wait.
        compute: type of what is computed with them.
    """
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.Linear | nn.Conv2d) and type(layer) in (nn.Linear, nn.Conv2d):
                setattr(module, name, _stored(layer, storage))
    nn.Module.to(network, compute)  # that of diffusers' networks warns of casting, which is what is wanted


_SHAPE_OF_CONVOLUTION = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode",
)  # fmt: skip


def _stored(layer: nn.Linear | nn.Conv2d, storage: torch.dtype) -> FrozenLinear | FrozenConv2d:
    """The same layer, with the same parameters, as a frozen one."""
    frozen: FrozenLinear | FrozenConv2d
    bias = layer.bias is not None
    with torch.device("meta"):
        if isinstance(layer, nn.Linear):
            frozen = FrozenLinear(layer.in_features, layer.out_features, bias)
        else:
            shape: Any = {name: getattr(layer, name) for name in _SHAPE_OF_CONVOLUTION}
            frozen = FrozenConv2d(**shape)
            frozen.bias = None
    frozen.weight = cast(nn.Parameter, layer.weight)
    frozen.bias = layer.bias
    frozen.weight.data = frozen.weight.data.to(storage)
    return frozen.train(layer.training)
