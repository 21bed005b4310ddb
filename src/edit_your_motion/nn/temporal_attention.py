"""Attention of each position over the frames of its clip."""

from diffusers.models.attention_processor import Attention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class TemporalAttention(nn.Module):
    """Pre-norm attention of each spatial position over time; its output projection starts at zero.

    A fresh one therefore adds nothing, and a network that carries it equals the one that does not.
    It has no position encoding, so it takes any number of frames.

    Args:
        width: of the tokens.
        heads: number of attention heads; divides `width`.
        zero_bias: whether the projection's bias starts at zero too; Tune-A-Video's starts at random.
    """

    def __init__(self, width: int, heads: int, *, zero_bias: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = zero_output(Attention(query_dim=width, heads=heads, dim_head=width // heads), bias=zero_bias)

    def forward(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n d"]:
        """What time adds to the tokens (the residual branch alone)."""
        over_time = rearrange(self.norm(hidden), "(b f) n d -> (b n) f d", f=frames)
        n = hidden.shape[1]
        return rearrange(self.attention(over_time), "(b n) f d -> (b f) n d", n=n)


def zero_output(attention: Attention, *, bias: bool = True) -> Attention:
    """The same attention with the weight of its output projection, and its bias if wanted, set to zero."""
    nn.init.zeros_(attention.to_out[0].weight)
    if bias:
        nn.init.zeros_(attention.to_out[0].bias)
    return attention
