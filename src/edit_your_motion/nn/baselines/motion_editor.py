"""MotionEditor's adapter, and the keys and values of its second branch: what it has in the place of MA."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from edit_your_motion.errors import CheckpointError
from edit_your_motion.nn.recurrent_causal_attention import NEIGHBOURS, FrameAttention
from edit_your_motion.nn.temporal_attention import TemporalAttention

Role: TypeAlias = Literal["alone", "reconstruction", "editing"]
"""What a forward pass is: of no second branch, of the one that is watched, or of the one that watches it."""


class CausalTemporalAttention(TemporalAttention):
    """Attention of each position over its own frame and those before it.

    The weight of the output projection starts at zero and its bias at random, as in MotionEditor: a fresh one adds the
    same vector everywhere.

    Args:
        width: of the tokens.
        heads: number of attention heads; divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, zero_bias=False)

    def forward(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n d"]:
        """What time adds to the tokens (the residual branch alone)."""
        attention, n = self.attention, hidden.shape[1]
        over_time = rearrange(self.norm(hidden), "(b f) n d -> (b n) f d", f=frames)
        q, k, v = (
            rearrange(project(over_time), "bn f (heads d) -> bn heads f d", heads=attention.heads)
            for project in (attention.to_q, attention.to_k, attention.to_v)
        )
        attended = rearrange(scaled_dot_product_attention(q, k, v, is_causal=True), "bn heads f d -> bn f (heads d)")
        return rearrange(attention.to_out[0](attended), "(b n) f d -> (b f) n d", n=n)


class SiteMotionEditorAdapter(nn.Module):
    """The adapter of MotionEditor (Tu et al., CVPR 2024) at one site, where one ControlNet residual joins the U-Net.

    Global path: attention to the first and the previous frame, cross-attention with K and V from the U-Net's feature,
    a gated feed-forward, causal attention over time. The shortcut of the cross-attention carries the normed stream, so
    the path leaves with a deviation of about 1 whatever comes in. Local path: the residual itself and two convolutions
    over time. The sum of both is no identity at the start, and the convolutions, both zero, hand no gradients to each
    other: only the last bias ever moves. This is how MotionEditor has it.

    Args:
        width: channels of the site.
        heads: number of attention heads; divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(width)
        self.self_attention = FrameAttention(
            Attention(query_dim=width, heads=heads, dim_head=width // heads), "sparse-causal"
        )
        self.norm_cross = nn.LayerNorm(width)
        self.cross_attention = Attention(
            query_dim=width, cross_attention_dim=width, heads=heads, dim_head=width // heads
        )
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)
        self.temporal_attention = CausalTemporalAttention(width, heads)
        self.convolutions = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, width, 1))
        for parameter in self.convolutions.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, control: Float[Tensor, "bf c lh lw"], feature: Float[Tensor, "bf c lh lw"], frames: int
    ) -> Float[Tensor, "bf c lh lw"]:
        """What is added to the U-Net's feature in the place of ControlNet's residual.

        Args:
            control: ControlNet's residual.
            feature: the U-Net's feature that the residual is about to be added to.
            frames: how many of the batch belong to one clip.
        """
        lh, lw = control.shape[2:]
        tokens = rearrange(control, "bf c lh lw -> bf (lh lw) c")
        tokens = tokens + self.self_attention(self.norm_self(tokens), frames)
        tokens = self.norm_cross(tokens)
        context = rearrange(feature, "bf c lh lw -> bf (lh lw) c")
        tokens = tokens + self.cross_attention(tokens, encoder_hidden_states=context)
        tokens = tokens + self.feed_forward(self.norm_feed_forward(tokens))
        tokens = tokens + self.temporal_attention(tokens, frames)
        in_time = rearrange(control, "(b f) c lh lw -> (b lh lw) c f", f=frames)
        local = rearrange(self.convolutions(in_time), "(b lh lw) c f -> (b f) c lh lw", lh=lh, lw=lw)
        return rearrange(tokens, "bf (lh lw) c -> bf c lh lw", lh=lh) + control + local


class MotionEditorAdapter(nn.Module):
    """One `SiteMotionEditorAdapter` for every ControlNet residual but the mid one, which passes by.

    Args:
        widths: channels of all sites, in the order of ControlNet's residuals, the mid one last.
        heads: number of attention heads at each site.
    """

    def __init__(self, widths: Sequence[int], heads: Sequence[int]) -> None:
        super().__init__()
        self.sites = nn.ModuleList(
            SiteMotionEditorAdapter(width, count) for width, count in zip(widths[:-1], heads[:-1], strict=True)
        )


class KeyValueInjection:
    """Lets an editing branch see the keys and values of a reconstruction branch, in the decoder's last layers.

    With r the reconstruction, e the editing branch, M the person's mask, and neighbours as the frame attention has
    them (MotionEditor, Eqs. 7 and 8)::

        K = [K_r * M, K_r * (1 - M), K_e of the current frame],  and V likewise

    Differs from MotionEditor: its program masks the keys alone, and injects in the temporal attention too.

    Making one swaps the frame attentions; `detach` puts the own ones back. Outside of `branch` nothing is different.

    Args:
        unet: an inflated U-Net (``VideoUNet.unet``).
        masks: the person's latent cells in each frame of the source.
        layers: how many frame attentions, counted from the U-Net's end.

    Raises:
        CheckpointError: if the decoder has no frame attention.
    """

    def __init__(self, unet: UNet2DConditionModel, masks: Bool[Tensor, "f lh lw"], layers: int = 6) -> None:
        blocks = [
            block for block in unet.up_blocks.modules() if isinstance(getattr(block, "attn1", None), FrameAttention)
        ]
        if not blocks:
            raise CheckpointError("expected an inflated U-Net with frame attention in its decoder, got none there")
        self._blocks = blocks[-layers:]
        self._own = [block.attn1 for block in self._blocks]
        self._layers = [_InjectedAttention(attention, masks) for attention in self._own]
        for block, layer in zip(self._blocks, self._layers, strict=True):
            block.attn1 = layer

    @contextmanager
    def branch(self, role: Role) -> Iterator[None]:
        """Within it, forward passes are of this branch; the editing branch sees the last reconstruction."""
        for layer in self._layers:
            layer.role = role
        try:
            yield
        finally:
            for layer in self._layers:
                layer.role = "alone"

    def detach(self) -> None:
        """Puts the own attentions back."""
        for block, attention in zip(self._blocks, self._own, strict=True):
            block.attn1 = attention


class _InjectedAttention(nn.Module):
    """A frame attention that remembers its keys and values as one branch, and offers them to its queries as another."""

    def __init__(self, attention: FrameAttention, masks: Bool[Tensor, "f lh lw"]) -> None:
        super().__init__()
        self.attention = attention
        self.masks = masks
        self.role: Role = "alone"
        self.remembered: tuple[Tensor, Tensor] | None = None

    def forward(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n d"]:
        """The attended tokens of every frame (without the residual)."""
        own = self.attention
        if self.role == "reconstruction":
            self.remembered = own.to_k(hidden), own.to_v(hidden)
        if self.role != "editing":
            return own(hidden, frames)
        assert self.remembered is not None, "the reconstruction branch comes first"
        person = self._person(hidden, frames)
        q = self._by_heads(own.to_q(hidden))
        k, v = (
            torch.cat(
                [
                    self._of_neighbours(theirs * person, frames),
                    self._of_neighbours(theirs * (1 - person), frames),
                    self._by_heads(project(hidden)),
                ],
                dim=2,
            )
            for theirs, project in zip(self.remembered, (own.to_k, own.to_v), strict=True)
        )
        out: Tensor = rearrange(scaled_dot_product_attention(q, k, v), "bf heads n d -> bf n (heads d)")
        for layer in own.to_out:
            out = layer(out)
        return out

    def _by_heads(self, tokens: Float[Tensor, "bf n d"]) -> Float[Tensor, "bf heads n dh"]:
        return rearrange(tokens, "bf n (heads d) -> bf heads n d", heads=self.attention.heads)

    def _of_neighbours(self, tokens: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf heads kn dh"]:
        neighbours = NEIGHBOURS[self.attention.kind](frames).to(tokens.device)
        clips = rearrange(tokens, "(b f) n d -> b f n d", f=frames)
        return self._by_heads(rearrange(clips[:, neighbours], "b f k n d -> (b f) (k n) d"))

    def _person(self, hidden: Float[Tensor, "bf n d"], frames: int) -> Float[Tensor, "bf n 1"]:
        """The mask at the level of the U-Net that `hidden` is of."""
        lh, lw = self.masks.shape[1:]
        while lh * lw > hidden.shape[1]:
            lh, lw = (lh + 1) // 2, (lw + 1) // 2
        shrunk = interpolate(self.masks[:, None].to(hidden), (lh, lw), mode="nearest-exact")
        return repeat(shrunk, "f 1 lh lw -> (b f) (lh lw) 1", b=len(hidden) // frames)
