"""The motion attention module (MA, Eqs. 7, 8, 15; Fig. 4): ControlNet's skeleton features meet the U-Net's own."""

from collections.abc import Sequence
from math import ceil

from diffusers.models.attention_processor import Attention
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from edit_your_motion.nn.temporal_attention import TemporalAttention, zero_output


class SiteMotionAttention(nn.Module):
    """MA at one site, where one ControlNet residual joins the U-Net: f_sk = MA(f_cn, z_u).

    Three pre-norm residual steps: self-attention over the ControlNet tokens of a frame (Eq. 7), cross-attention
    with Q from its result and K, V from the U-Net's feature of the same site (Eq. 8), attention over time.
    All output projections start at zero: a fresh module returns f_cn bit for bit.

    The two attentions in space cost the square of the tokens, which at the finest sites of large frames is more than
    the U-Net's own attention there. With `most_keys` their keys and values are averages over square cells, as few that
    the cost is linear; Q keeps every token.

    Args:
        width: channels of the site.
        heads: number of attention heads; divides `width`.
        most_keys: keys and values of the attentions in space, at most; None for all tokens, as in the paper.
    """

    def __init__(self, width: int, heads: int, most_keys: int | None = None) -> None:
        super().__init__()
        self.most_keys = most_keys
        self.norm_self = nn.LayerNorm(width)
        self.self_attention = zero_output(Attention(query_dim=width, heads=heads, dim_head=width // heads))
        self.norm_cross = nn.LayerNorm(width)
        self.norm_unet = nn.LayerNorm(width)
        self.cross_attention = zero_output(
            Attention(query_dim=width, cross_attention_dim=width, heads=heads, dim_head=width // heads)
        )
        self.temporal_attention = TemporalAttention(width, heads)

    def forward(
        self, control: Float[Tensor, "bf c lh lw"], feature: Float[Tensor, "bf c lh lw"], frames: int
    ) -> Float[Tensor, "bf c lh lw"]:
        """f_sk, to be added to the U-Net's feature in the place of ControlNet's residual.

        Args:
            control: f_cn, ControlNet's residual.
            feature: z_u, the U-Net's feature that the residual is about to be added to.
            frames: how many of the batch belong to one clip.
        """
        lh = control.shape[2]
        tokens = rearrange(control, "bf c lh lw -> bf (lh lw) c")
        asking = self.norm_self(tokens)
        tokens = tokens + self.self_attention(asking, encoder_hidden_states=self._fewer(asking, lh))
        context = self.norm_unet(rearrange(feature, "bf c lh lw -> bf (lh lw) c"))
        tokens = tokens + self.cross_attention(self.norm_cross(tokens), encoder_hidden_states=self._fewer(context, lh))
        tokens = tokens + self.temporal_attention(tokens, frames)
        return rearrange(tokens, "bf (lh lw) c -> bf c lh lw", lh=lh)

    def _fewer(self, tokens: Float[Tensor, "bf n c"], lh: int) -> Float[Tensor, "bf m c"]:
        """The tokens, or their averages over the smallest square cells of which there are not too many."""
        n, lw = tokens.shape[1], tokens.shape[1] // lh
        if self.most_keys is None or n <= self.most_keys:
            return tokens
        side = next(side for side in range(2, max(lh, lw) + 1) if ceil(lh / side) * ceil(lw / side) <= self.most_keys)
        grid = rearrange(tokens, "bf (lh lw) c -> bf c lh lw", lh=lh)
        return rearrange(avg_pool2d(grid, side, ceil_mode=True), "bf c ch cw -> bf (ch cw) c")


class MotionAttention(nn.Module):
    """One `SiteMotionAttention` for every ControlNet residual, the mid one last.

    Args:
        widths: channels of the sites, in the order of ControlNet's residuals.
        heads: number of attention heads at each site.
        most_keys: keys and values of their attentions in space, at most; None for all tokens.
    """

    def __init__(self, widths: Sequence[int], heads: Sequence[int], most_keys: int | None = None) -> None:
        super().__init__()
        self.sites = nn.ModuleList(
            SiteMotionAttention(width, count, most_keys) for width, count in zip(widths, heads, strict=True)
        )
