"""Frozen 3x3 convolutions by Winograd's minimal filtering: the same sums with a quarter of the multiplications.

F(4x4, 3x3) of Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks". In their symbols, a tile d of
6x6 inputs and a filter g of 3x3 give the tile Y of 4x4 results

    Y = A^T [ (G g G^T) * (B^T d B) ] A,

summed over the input channels before A is applied: for each of the 36 points of the transformed tiles, one matrix
product U V of all filters with all tiles, U = G g G^T, V = B^T d B. What is done to both sides of a tile is done to its
numbers in a row by a Kronecker product, for all tiles at once.

Differs from the paper: the polynomials are evaluated at 0, +-2/3, +-3/2 and infinity, not at 0, +-1, +-2 and infinity.
Transforms that are matrix products gain nothing from whole numbers, and these points round less than half as much.
"""

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.library import custom_op, register_autograd, register_fake
from torch.nn.functional import pad
from torch.utils.flop_counter import register_flop_formula

TILE = 4
"""Side of a tile of results."""

PATCH = TILE + 2
"""Side of the tile of inputs that they are made of."""

POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)
"""Where the polynomials are evaluated, besides infinity."""

FEWEST_CHANNELS = 192
"""Of inputs and results. Roughly measured, it takes as long as a direct convolution with 96, 0.8 to 1 of that time with
128, 0.7 with 192, and 0.4 to 0.5 with 320 and more."""

MOST_WORK = 32 * 2**20
"""Bytes that the transformed tiles take at a time; with half or twice as much it gets slower."""


class WinogradConv2d(nn.Conv2d):
    """A frozen 3x3 convolution, padded by one, that is computed by `convolve` where this pays.

    That is on a CPU in fp32, with tiles enough, of which no more than a quarter lies outside; elsewhere, and where the
    weight or the bias is trained, it is computed as ever. The transformed weight is made at the first call that needs
    it, kept while the weight stays as it was, and no part of the state.

    Args:
        in_channels: of the input.
        out_channels: of the result.
        bias: whether there is one.
        fewest_tiles: of all frames. With few of them, reading U takes the time, and it is four times as large as the
            weight.
    """

    transformed: Tensor | None

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True, *, fewest_tiles: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)
        self.fewest_tiles = fewest_tiles
        self.register_buffer("transformed", None, persistent=False)
        self._made_of: tuple[Tensor, int] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """The stock layer's result, but for rounding."""
        if not self._pays(input):
            return super().forward(input)
        return cast(Tensor, convolve(input, self._transform(), self.bias))

    def _pays(self, x: Tensor) -> bool:
        if x.ndim != 4 or x.device.type not in ("cpu", "meta") or {x.dtype, self.weight.dtype} != {torch.float32}:
            return False
        if any(parameter.requires_grad for parameter in self.parameters()) or torch.is_autocast_enabled("cpu"):
            return False
        n, _, h, w = x.shape
        tiles = n * _tiles(h) * _tiles(w)
        return tiles >= self.fewest_tiles and 3 * tiles * TILE**2 <= 4 * n * h * w

    def _transform(self) -> Tensor:
        """U; made again if other numbers were put in the weight's place, or if it was changed in place."""
        weight, version = self.weight.detach(), self.weight._version
        made_of = self._made_of
        if made_of is None or made_of[0].data_ptr() != weight.data_ptr() or made_of[1] != version:
            with torch.inference_mode(False):  # what is made in it could not take part in a tuning afterwards
                self.transformed = transform(weight)
            # A weight that was replaced is kept until here: no other one can come to lie at its address.
            self._made_of = weight, version
        assert self.transformed is not None
        return self.transformed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.transformed = self._made_of = None
        return super()._apply(fn, recurse)


def use_winograd(network: nn.Module, fewest_tiles: int) -> int:
    """Turns the 3x3 convolutions of a network that are wide enough into `WinogradConv2d`, in place.

    Stride, padding, dilation and groups must be 1, and inputs and results have `FEWEST_CHANNELS`. Layers that are
    stored in another type (`frozen.store`) stay as they are: it is for want of memory that they are. Parameters stay
    the same ones, by the same names.

    Args:
        network: whose layers; trained ones are turned too, and compute as before until they are frozen.
        fewest_tiles: of 4x4 results over all frames, from which on it is used; below, a layer computes as before.

    Returns:
        How many layers are of that kind now.
    """
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if type(layer) is nn.Conv2d and _fits(layer):
                setattr(module, name, _turned(layer, fewest_tiles))
    return sum(isinstance(module, WinogradConv2d) for module in network.modules())


def transformed_bytes(network: nn.Module) -> int:
    """What the transformed weights of a network take that were made so far."""
    layers = (module for module in network.modules() if isinstance(module, WinogradConv2d))
    return sum(layer.transformed.nbytes for layer in layers if layer.transformed is not None)


def _fits(layer: nn.Conv2d) -> bool:
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode)
    wide = min(layer.in_channels, layer.out_channels) >= FEWEST_CHANNELS
    return wide and shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")


def _turned(layer: nn.Conv2d, fewest_tiles: int) -> WinogradConv2d:
    """The same layer, with the same parameters."""
    with torch.device("meta"):
        turned = WinogradConv2d(
            layer.in_channels, layer.out_channels, layer.bias is not None, fewest_tiles=fewest_tiles
        )
    turned.weight, turned.bias = layer.weight, layer.bias
    return turned.train(layer.training)


def _make_transforms() -> tuple[Tensor, Tensor, Tensor]:
    """A^T, G and B^T for tiles as rows of numbers: Toom and Cook's, from the polynomials' values at `POINTS`."""
    powers = np.vander(POINTS, TILE, increasing=True)
    others = [[other for other in POINTS if other != point] for point in POINTS]
    scales = [prod(point - other for other in rest) for point, rest in zip(POINTS, others, strict=True)]
    A = np.vstack([powers, np.eye(TILE)[-1]])
    G = np.vstack([powers[:, :3] / np.array(scales)[:, None], np.eye(3)[-1]])
    BT = np.vstack([[*np.poly(rest)[::-1], 0] for rest in others] + [np.poly(POINTS)[::-1]])

    def of_tiles(matrix: np.ndarray) -> Tensor:
        return torch.from_numpy(np.kron(matrix, matrix))

    return of_tiles(A.T), of_tiles(G), of_tiles(BT)


_AT, _G, _BT = _make_transforms()


@custom_op("edit_your_motion::winograd_weight", mutates_args=(), schema="(Tensor weight) -> Tensor")
def transform(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "36 o c"]:
    """U = G g G^T of every filter g, computed in fp64 and rounded once."""
    o, c = weight.shape[:2]
    U, some = weight.new_empty(PATCH**2, o, c), 32
    for g, here in zip(weight.split(some), U.split(some, dim=1), strict=True):
        here.copy_((_G @ rearrange(g.double(), "o c i j -> (i j) (o c)")).view(PATCH**2, -1, c))
    return U


@custom_op("edit_your_motion::winograd", mutates_args=(), schema="(Tensor x, Tensor U, Tensor? bias) -> Tensor")
def convolve(
    x: Float[Tensor, "n c h w"], U: Float[Tensor, "36 o c"], bias: Float[Tensor, " o"] | None
) -> Float[Tensor, "n o h w"]:
    """The 3x3 convolution of `x`, padded by a zero on each side, with the filters that U was made of.

    It has a gradient to `x`, for which nothing is kept that was not there before, and none to U and the bias. It is an
    operator of its own so that whoever watches operations sees one, whose result is worth keeping, and not its parts.
    """
    (n, c, h, w), o = x.shape, U.shape[1]
    rows, columns = _tiles(h), _tiles(w)
    padded = pad(x, (1, 1 + TILE * columns - w, 1, 1 + TILE * rows - h))
    patches = rearrange(padded.unfold(2, PATCH, TILE).unfold(3, PATCH, TILE), "n c th tw i j -> i j c n th tw")
    result, AT, BT = x.new_empty(n, o, h, w), _AT.to(x), _BT.to(x)
    pieces, (one, other) = _share_out(x, max(c, o), n, rows, columns)
    for frames, high in pieces:
        patch = patches[:, :, :, frames, high]
        grid = patch.shape[3:]
        t = grid.numel()
        d = _cut(one, PATCH, PATCH, c, *grid).copy_(patch)
        V = torch.mm(BT, d.view(PATCH**2, -1), out=_cut(other, PATCH**2, c * t))
        M = torch.bmm(U, V.view(PATCH**2, c, t), out=_cut(one, PATCH**2, o, t))
        Y = torch.mm(AT, M.view(PATCH**2, -1), out=_cut(other, TILE**2, o * t))
        here = result[frames, :, TILE * high.start : TILE * high.stop]
        tiles = rearrange(Y.view(TILE, TILE, o, *grid), "i j o n th tw -> n o (th i) (tw j)")
        here.copy_(tiles[:, :, : here.shape[2], :w])
        if bias is not None:
            here += rearrange(bias, "o -> o 1 1")
    return result


@custom_op("edit_your_motion::winograd_gradient", mutates_args=(), schema="(Tensor gradient, Tensor U) -> Tensor")
def convolve_back(gradient: Float[Tensor, "n o h w"], U: Float[Tensor, "36 o c"]) -> Float[Tensor, "n c h w"]:
    """The gradient to the input of `convolve`: its steps transposed, last to first, with the same U.

    Patches overlap by two: the last two rows and columns of each are added to the first ones of the next.
    """
    (n, o, h, w), c = gradient.shape, U.shape[2]
    rows, columns = _tiles(h), _tiles(w)
    padded = pad(gradient, (0, TILE * columns - w, 0, TILE * rows - h))
    tiles = rearrange(padded, "n o (th i) (tw j) -> i j o n th tw", i=TILE, j=TILE)
    whole = gradient.new_zeros(n, c, TILE * (rows + 1), TILE * (columns + 1))
    places = rearrange(whole, "n c (th i) (tw j) -> i j c n th tw", i=TILE, j=TILE)
    UT, A, B = U.transpose(1, 2), _AT.T.to(gradient), _BT.T.to(gradient)
    pieces, (one, other) = _share_out(gradient, max(c, o), n, rows, columns)
    for frames, high in pieces:
        tile = tiles[:, :, :, frames, high]
        grid = tile.shape[3:]
        t = grid.numel()
        dY = _cut(one, TILE, TILE, o, *grid).copy_(tile)
        dM = torch.mm(A, dY.view(TILE**2, -1), out=_cut(other, PATCH**2, o * t))
        dV = torch.bmm(UT, dM.view(PATCH**2, o, t), out=_cut(one, PATCH**2, c, t))
        dd = torch.mm(B, dV.view(PATCH**2, -1), out=_cut(other, PATCH**2, c * t)).view(PATCH, PATCH, c, *grid)
        for down, right in product((0, 1), repeat=2):
            part = dd[TILE * down : TILE + 2 * down, TILE * right : TILE + 2 * right]
            place = places[: part.shape[0], : part.shape[1], :, frames]
            place[..., high.start + down : high.stop + down, right : right + columns] += part
    return whole[:, :, 1 : h + 1, 1 : w + 1].contiguous()


CONVOLUTION = torch.ops.edit_your_motion.winograd.default
"""`convolve`, as whoever watches operations sees it."""


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    # Saved for the backward pass, U would count as a result of the layer: to have it again, one would compute again.
    ctx.U = inputs[1]


def _go_back(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    return cast(Tensor, convolve_back(gradient, ctx.U)), None, None


register_autograd(convolve, _go_back, setup_context=_remember)


@register_fake(transform)
def _shape_of_weight(weight: Tensor) -> Tensor:
    return weight.new_empty(PATCH**2, *weight.shape[:2])


@register_fake(convolve)
def _shape_of_result(x: Tensor, U: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], U.shape[1], *x.shape[2:])


@register_fake(convolve_back)
def _shape_of_gradient(gradient: Tensor, U: Tensor) -> Tensor:
    return gradient.new_empty(gradient.shape[0], U.shape[2], *gradient.shape[2:])


@register_flop_formula(torch.ops.edit_your_motion.winograd_weight, get_raw=True)
def _count_transform(weight: Tensor, *_: Any, **__: Any) -> int:
    return 2 * PATCH**2 * weight.numel()


@register_flop_formula(
    [torch.ops.edit_your_motion.winograd, torch.ops.edit_your_motion.winograd_gradient], get_raw=True
)
def _count_products(x: Tensor, U: Tensor, *_: Any, **__: Any) -> int:
    """Those with U, and both transforms; their transposes are as large."""
    tiles, (o, c) = x.shape[0] * _tiles(x.shape[2]) * _tiles(x.shape[3]), U.shape[1:]
    return 2 * PATCH**2 * tiles * (c * o + PATCH**2 * c + TILE**2 * o)


def _tiles(side: int) -> int:
    """How many tiles cover a side."""
    return -(-side // TILE)


def _share_out(
    like: Tensor, channels: int, frames: int, rows: int, columns: int
) -> tuple[list[tuple[slice, slice]], Tensor]:
    """Frames and rows of tiles in pieces, and room for the transformed tiles of a piece, twice.

    Each step reads from one room and writes to the other. Together they take `MOST_WORK`, or what one row takes.
    """
    most = max(MOST_WORK // (2 * like.itemsize * channels * PATCH**2 * columns), 1)
    deep, high = min(max(most // rows, 1), frames), min(most, rows)
    pieces = [
        (slice(frame, min(frame + deep, frames)), slice(row, min(row + high, rows)))
        for frame, row in product(range(0, frames, deep), range(0, rows, high))
    ]
    return pieces, like.new_empty(2, PATCH**2 * channels * deep * high * columns)


def _cut(room: Tensor, *shape: int) -> Tensor:
    return room[: prod(shape)].view(shape)
