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

FrameAttentionKind = Literal["recurrent", "spatial", "sparse-causal", "previous"]
"""Where a frame's keys and values come from; see `NEIGHBOURS`."""


def recurrent_neighbours(frames: int) -> Int[Tensor, "f 2"]:
    """Frames i-1 and i+1; the first frame takes (1, 2), the last (F-1, F), a single one itself twice (Eq. 9)."""
    i = torch.arange(frames)
    return torch.stack([(i - 1).clamp(min=0), (i + 1).clamp(max=frames - 1)], dim=1)


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
    "spatial": spatial_neighbours,
    "sparse-causal": sparse_causal_neighbours,
    "previous": previous_neighbours,
}


class FrameAttention(nn.Module):
    """Self-attention whose keys and values come from other frames of the clip.

    With the default kind, "recurrent", this is Eq. 9 of the paper, for frame i of F::

        Q = W^Q z_i,  K = W^K [z_{i-1}, z_{i+1}],  V = W^V [z_{i-1}, z_{i+1}],  softmax(Q K^T / sqrt(d)) V

    Every frame's K and V are projected once; the neighbours are gathered afterwards.

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
        self.to_q = _copied(attention.to_q)
        self.to_k = _copied(attention.to_k)
        self.to_v = _copied(attention.to_v)
        self.to_out = nn.ModuleList([_copied(attention.to_out[0]), nn.Dropout(attention.to_out[1].p)])

    def forward(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n d"]:
        """The attended tokens of every frame (without the residual).

        Args:
            hidden: tokens of all frames, frames folded into the batch.
            frames: how many of the batch belong to one clip.
        """
        neighbours = NEIGHBOURS[self.kind](frames).to(hidden.device)
        q = rearrange(self.to_q(hidden), "bf n (heads d) -> bf heads n d", heads=self.heads)
        k, v = (self._of_neighbours(project(hidden), neighbours) for project in (self.to_k, self.to_v))
        attended = scaled_dot_product_attention(q, k, v)
        out: Tensor = rearrange(attended, "bf heads n d -> bf n (heads d)")
        for layer in self.to_out:
            out = layer(out)
        return out

    def _of_neighbours(
        self, projected: Float[Tensor, "bf n d"], neighbours: Int[Tensor, "f k"]
    ) -> Float[Tensor, "bf heads kn dh"]:
        """Keys or values of each frame's neighbours, one after the other along the tokens."""
        clips = rearrange(projected, "(b f) n d -> b f n d", f=len(neighbours))
        return rearrange(clips[:, neighbours], "b f k n (heads d) -> (b f) heads (k n) d", heads=self.heads)


def _copied(linear: nn.Linear) -> nn.Linear:
    copy = nn.Linear(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        device=linear.weight.device,
        dtype=linear.weight.dtype,
    )
    copy.load_state_dict(linear.state_dict())
    return copy
