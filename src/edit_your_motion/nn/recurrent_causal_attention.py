"""Attention between neighbouring frames: recurrent causal attention (Eq. 9), and the variants it is compared with."""

from collections.abc import Callable
from typing import Literal

import torch
from diffusers.models.attention_processor import Attention
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from edit_your_motion.errors import CheckpointError

FrameAttentionKind = Literal["recurrent", "recurrent-own", "spatial", "sparse-causal", "previous"]
"""Where a frame's keys and values come from; see `NEIGHBOURS`."""


def recurrent_neighbours(frames: int) -> Int[Tensor, "f 2"]:
    """Frames i-1 and i+1; the first frame takes (1, 2), the last (F-1, F), a single one itself twice (Eq. 9)."""
    i = torch.arange(frames)
    return torch.stack([(i - 1).clamp(min=0), (i + 1).clamp(max=frames - 1)], dim=1)


def recurrent_own_neighbours(frames: int) -> Int[Tensor, "f 3"]:
    """Frames i-1, i and i+1; a frame that is not there is the frame itself once more. Not in the paper.

    A frame that asks its neighbours alone has to learn anew what the base's attention reads off the frame itself.
    """
    i = torch.arange(frames)
    return torch.stack([(i - 1).clamp(min=0), i, (i + 1).clamp(max=frames - 1)], dim=1)


def spatial_neighbours(frames: int) -> Int[Tensor, "f 1"]:
    """The frame itself: the self-attention of the 2-D network ("w/o RCA" of Table IV)."""
    return torch.arange(frames)[:, None]


def sparse_causal_neighbours(frames: int) -> Int[Tensor, "f 2"]:
    """The first frame and frame i-1 (Tune-A-Video)."""
    i = torch.arange(frames)
    return torch.stack([torch.zeros_like(i), (i - 1).clamp(min=0)], dim=1)


def previous_neighbours(frames: int) -> Int[Tensor, "f 2"]:
    """Frame i-1 and the frame itself (MotionEditor)."""
    i = torch.arange(frames)
    return torch.stack([(i - 1).clamp(min=0), i], dim=1)


NEIGHBOURS: dict[FrameAttentionKind, Callable[[int], Tensor]] = {
    "recurrent": recurrent_neighbours,
    "recurrent-own": recurrent_own_neighbours,
    "spatial": spatial_neighbours,
    "sparse-causal": sparse_causal_neighbours,
    "previous": previous_neighbours,
}


class FrameAttention(nn.Module):
    """Self-attention whose keys and values come from other frames of the clip.

    With the default kind, "recurrent", this is Eq. 9 of the paper, for frame i of F::

        Q = W^Q z_i,  K = W^K [z_{i-1}, z_{i+1}],  V = W^V [z_{i-1}, z_{i+1}],  softmax(Q K^T / sqrt(d)) V

    Every frame's K and V are projected once. For RCA they are then laid out so that the two neighbours of a frame lie
    one after the other and no frame is copied for each of its neighbours: the neighbours of even frames are odd, those
    of odd ones even, and both rows need one end frame more. The other kinds gather their neighbours.

    Differs from the paper: the printed V index [i-1, i] does not match K's; keys and values are the same tokens here.

    Args:
        attention: the stock self-attention whose weights are taken (copied: the stock module stays as it is).
        kind: where keys and values come from.

    Raises:
        CheckpointError: if the attention has a norm or a residual of its own, which Stable Diffusion 1.5 has not.
    """

    def __init__(self, attention: Attention, kind: FrameAttentionKind = "recurrent") -> None:
        super().__init__()
        for extra in ("group_norm", "spatial_norm", "norm_q", "norm_k", "norm_cross"):
            if getattr(attention, extra, None) is not None:
                raise CheckpointError(f"expected the self-attention of Stable Diffusion 1.5, got one with '{extra}'")
        self.kind: FrameAttentionKind = kind
        self.heads = attention.heads
        dtype = attention.to_out[0].bias.dtype  # weights may be stored in another
        self.to_q, self.to_k, self.to_v = (
            copied(each, dtype) for each in (attention.to_q, attention.to_k, attention.to_v)
        )
        self.to_out = nn.ModuleList([copied(attention.to_out[0], dtype), nn.Dropout(attention.to_out[1].p)])

    def forward(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n d"]:
        """The attended tokens of every frame (without the residual).

        Args:
            hidden: tokens of all frames, frames folded into the batch.
            frames: how many of the batch belong to one clip.
        """
        q = rearrange(self.to_q(hidden), "(b f) n (heads dh) -> b f heads n dh", f=frames, heads=self.heads)
        k, v = (rearrange(project(hidden), "(b f) n d -> b f n d", f=frames) for project in (self.to_k, self.to_v))
        attended = self._attend_recurrently(q, k, v) if self.kind == "recurrent" else self._attend_gathered(q, k, v)
        out: Tensor = rearrange(attended, "b f n d -> (b f) n d")
        for layer in self.to_out:
            out = layer(out)
        return out

    def _attend_recurrently(
        self, q: Float[Tensor, "b f heads n dh"], k: Float[Tensor, "b f n d"], v: Float[Tensor, "b f n d"]
    ) -> Float[Tensor, "b f n d"]:
        """Every frame asks the one before and the one after it: the even frames, then the odd ones."""
        frames = q.shape[1]

        def of_odd(each: Tensor) -> Tensor:
            """Keys or values for the even frames; the first has none before it, the last perhaps none after it."""
            return torch.cat([each[:, :1], each[:, 1::2], each[:, frames - frames % 2 :]], dim=1)

        def of_even(each: Tensor) -> Tensor:
            return torch.cat([each[:, 0::2], each[:, frames - 1 + frames % 2 :]], dim=1)

        even = _attend(q[:, 0::2], self._pairs(of_odd(k)), self._pairs(of_odd(v)))
        if frames == 1:
            return even
        odd = _attend(q[:, 1::2], self._pairs(of_even(k)), self._pairs(of_even(v)))
        by_turns = rearrange([even[:, : frames // 2], odd], "two b f n d -> b (f two) n d")
        return torch.cat([by_turns, even[:, frames // 2 :]], dim=1) if frames % 2 else by_turns

    def _pairs(self, row: Float[Tensor, "b r n d"]) -> Float[Tensor, "b pairs heads nn dh"]:
        """Keys or values of each two frames that follow one another in `row`: views that overlap, not copies."""
        n = row.shape[2]
        windows = rearrange(row, "b r n d -> b (r n) d").unfold(1, 2 * n, n)
        return rearrange(windows, "b pairs (heads dh) nn -> b pairs heads nn dh", heads=self.heads)

    def _attend_gathered(
        self, q: Float[Tensor, "b f heads n dh"], k: Float[Tensor, "b f n d"], v: Float[Tensor, "b f n d"]
    ) -> Float[Tensor, "b f n d"]:
        """Every frame asks its neighbours, of each of which it gets a copy."""
        neighbours = NEIGHBOURS[self.kind](q.shape[1]).to(q.device)
        return _attend(q, *(self._gathered(each, neighbours) for each in (k, v)))

    def _gathered(
        self, projected: Float[Tensor, "b f n d"], neighbours: Int[Tensor, "f k"]
    ) -> Float[Tensor, "b f heads kn dh"]:
        """Keys or values of each frame's neighbours, one after the other along the tokens."""
        # Its gradient is added frame by frame; that of indexing with a matrix, number by number.
        gathered = projected.index_select(1, neighbours.flatten())
        k = neighbours.shape[1]
        return rearrange(gathered, "b (f k) n (heads dh) -> b f heads (k n) dh", k=k, heads=self.heads)


def _attend(
    q: Float[Tensor, "b f heads n dh"], k: Float[Tensor, "b f heads m dh"], v: Float[Tensor, "b f heads m dh"]
) -> Float[Tensor, "b f n d"]:
    """softmax(Q K^T / sqrt(d)) V of every frame."""
    b = len(q)
    q, k, v = (rearrange(each, "b f heads n dh -> (b f) heads n dh") for each in (q, k, v))
    return rearrange(scaled_dot_product_attention(q, k, v), "(b f) heads n dh -> b f n (heads dh)", b=b)


def copied(linear: nn.Linear, dtype: torch.dtype) -> nn.Linear:
    """A linear layer of the same weights that can be trained, in the type that it computes in."""
    copy = nn.Linear(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        device=linear.weight.device,
        dtype=dtype,
    )
    copy.load_state_dict(linear.state_dict())
    return copy
