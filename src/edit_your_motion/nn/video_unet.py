"""The Stable Diffusion U-Net, inflated to video and joined to ControlNet by motion attention."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias, cast, get_args

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from edit_your_motion.config import Part, Recomputation, Recompute
from edit_your_motion.errors import CheckpointError
from edit_your_motion.nn.baselines.motion_editor import (
    CausalTemporalAttention,
    MotionEditorAdapter,
    SiteMotionEditorAdapter,
)
from edit_your_motion.nn.conditions import Text, TextAttentionProcessor
from edit_your_motion.nn.motion_attention import MotionAttention, SiteMotionAttention
from edit_your_motion.nn.recurrent_causal_attention import FrameAttention, FrameAttentionKind, copied
from edit_your_motion.nn.temporal_attention import TemporalAttention
from edit_your_motion.runtime.gradient_checkpointing import recompute

PARTS: tuple[Part, ...] = get_args(Part)

TemporalAttentionKind = Literal["from-zero", "tune-a-video", "motion-editor"]
"""The paper's, which comes before the feed-forward and adds nothing at first; or Tune-A-Video's, which comes after it
and adds the random bias of its output projection at first; or MotionEditor's, which is that and causal."""

SiteAdapter: TypeAlias = SiteMotionAttention | SiteMotionEditorAdapter
"""What brings one of ControlNet's residuals to the U-Net."""

PLAIN_BLOCKS = {"CrossAttnDownBlock2D", "DownBlock2D", "UNetMidBlock2DCrossAttn", "CrossAttnUpBlock2D", "UpBlock2D"}


class InflatedTransformerBlock(nn.Module):
    """A stock transformer block that looks at other frames (section III.C).

    Frame attention (takes the place and the weights of ``attn1``) -> text cross-attention -> temporal attention
    (new) -> feed-forward; Tune-A-Video's temporal attention comes last. Everything else is the stock block's own, but
    for what may be tuned of it: the queries of the cross-attention are a copy.

    Args:
        block: the stock block.
        kind: of frame attention; recurrent causal attention by default.
        temporal: kind of temporal attention; None adds none.
    """

    def __init__(
        self, block: BasicTransformerBlock, kind: FrameAttentionKind, temporal: TemporalAttentionKind | None
    ) -> None:
        super().__init__()
        if block.norm_type != "layer_norm" or block.attn2 is None or block.only_cross_attention:
            raise CheckpointError("expected the transformer blocks of Stable Diffusion 1.5, got another kind")
        self.norm1, self.norm2, self.norm3 = block.norm1, block.norm2, block.norm3
        self.attn1 = FrameAttention(block.attn1, kind)
        self.attn2 = _with_own_queries(block.attn2)
        self.temporal_last = temporal in ("tune-a-video", "motion-editor")
        self.attn_temp = None if temporal is None else _make_temporal_attention(block, temporal)
        self.ff = block.ff

    def forward(
        self,
        hidden_states: Float[Tensor, "bf n d"],
        attention_mask: None = None,
        encoder_hidden_states: Float[Tensor, "bf m e"] | Text | None = None,
        encoder_attention_mask: None = None,
        timestep: None = None,
        cross_attention_kwargs: dict[str, int] | None = None,
        class_labels: None = None,
    ) -> Float[Tensor, "bf n d"]:
        """The stock block's signature; ``cross_attention_kwargs`` carries the number of frames of a clip."""
        if cross_attention_kwargs is None:
            raise TypeError(
                "an inflated block needs cross_attention_kwargs={'frames': …}; call VideoUNet, not its unet"
            )
        frames = cross_attention_kwargs["frames"]
        hidden = hidden_states
        hidden = self.attn1(self.norm1(hidden), frames) + hidden
        hidden = self.attn2(self.norm2(hidden), encoder_hidden_states=encoder_hidden_states) + hidden
        if self.attn_temp is not None and not self.temporal_last:
            hidden = self.attn_temp(hidden, frames) + hidden
        hidden = self.ff(self.norm3(hidden)) + hidden
        if self.attn_temp is not None and self.temporal_last:
            hidden = self.attn_temp(hidden, frames) + hidden
        return hidden


class VideoUNet(nn.Module):
    """The inflated U-Net: noise prediction for all frames of a clip at once.

    Frames are folded into the batch, so the 1x3x3 convolutions of the inflated network are the stock 2-D ones.
    With fresh parts of the default kinds it equals the stock network on every single-frame clip. Attaching swaps the
    transformer blocks of `unet`; `detach` puts the stock ones back and leaves the network bit for bit as it came.

    Args:
        unet: a 2-D U-Net with the architecture of Stable Diffusion 1.5, of any width.
        frame_attention: what takes the place of its self-attention.
        temporal_attention: where the new attention over time sits, and how it starts.
        motion_attention: what adapts the ControlNet residuals: MA, MotionEditor's adapter, or nothing.
        motion_attention_tokens: keys of MA's attention in space, at most; None for all of them.
        motion_adapter: an AnimateDiff motion adapter that takes the place of the temporal attention.

    Raises:
        CheckpointError: if `unet` has another architecture, or `motion_adapter` another shape than `unet`.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        *,
        frame_attention: FrameAttentionKind = "recurrent",
        temporal_attention: TemporalAttentionKind = "from-zero",
        motion_attention: Literal["paper", "motion-editor", "none"] = "paper",
        motion_attention_tokens: int | None = None,
        motion_adapter: MotionAdapter | None = None,
    ) -> None:
        super().__init__()
        check_architecture(unet)
        self.unet = unet
        self.gradient_checkpointing: Recomputation = False
        self._stock_blocks: list[tuple[nn.ModuleList, int, tuple[BasicTransformerBlock]]] = []
        blocks = [
            (module.transformer_blocks, index)
            for module in unet.modules()
            if isinstance(module, Transformer2DModel)
            for index in range(len(module.transformer_blocks))
        ]
        for siblings, index in blocks:
            stock = siblings[index]
            # In a tuple, so that the stock block does not count among this network's modules.
            self._stock_blocks.append((siblings, index, (stock,)))
            siblings[index] = InflatedTransformerBlock(
                stock, frame_attention, temporal_attention if motion_adapter is None else None
            )
            if not unet.conv_in.bias.is_meta:
                stock.attn1.to("cpu")  # has been copied, and is not needed again before `detach`
        widths = _residual_widths(unet)
        heads = [_heads_by_width(unet)[width] for width in widths]
        self.motion_attention: MotionAttention | MotionEditorAdapter | None = None
        if motion_attention == "motion-editor":
            self.motion_attention = MotionEditorAdapter(widths, heads).to(unet.conv_in.bias)
        elif motion_attention == "paper":
            self.motion_attention = MotionAttention(widths, heads, motion_attention_tokens).to(unet.conv_in.bias)
        self.motion_adapter = motion_adapter
        if motion_adapter is not None:
            check_motion_adapter(motion_adapter, unet)

    def detach(self) -> UNet2DConditionModel:
        """Puts the stock transformer blocks back and returns the 2-D U-Net, bit for bit as it was attached."""
        for siblings, index, (stock,) in self._stock_blocks:
            siblings[index] = stock.to(self.unet.conv_in.bias)
        self._stock_blocks.clear()
        return self.unet

    def parameters_of(self, part: Part) -> dict[str, nn.Parameter]:
        """Everything that belongs to `part`, by name."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if any(fnmatchcase(name, place) for place in _PLACES[part])
        }

    def forward(
        self,
        z: Float[Tensor, "b f c lh lw"],
        t: Int[Tensor, " b"],
        text: Float[Tensor, "b n d"] | Text,
        residuals: Sequence[Float[Tensor, "_ _ _ _"]] | None = None,
    ) -> Float[Tensor, "b f c lh lw"]:
        """The predicted noise of every frame.

        Args:
            z: noisy latents.
            t: timestep of each clip.
            text: embedding of each clip's prompt, alone or with its keys and values.
            residuals: ControlNet's residuals, frames folded into the batch, the mid one last.
        """
        unet, f = self.unet, z.shape[1]
        hidden = rearrange(z, "b f c lh lw -> (b f) c lh lw")
        time = unet.time_embedding(unet.get_time_embed(hidden, repeat(t, "b -> (b f)", f=f)))
        layers = _Layers(time, text if isinstance(text, Text) else Text(text, {}), f, self.gradient_checkpointing)

        hidden = unet.conv_in(hidden)
        skips, levels = [hidden], [0]
        for level, block in enumerate(unet.down_blocks):
            motion = self._motion_modules("down_blocks")[level]
            for resnet, attention, over_time in zip(block.resnets, _attentions(block), motion, strict=True):
                hidden = layers.run(level, hidden, resnet, attention, over_time)
                skips.append(hidden)
                levels.append(level)
            for downsample in block.downsamplers or ():
                hidden = downsample(hidden)
                skips.append(hidden)
                levels.append(level + 1)

        # MA sees each skip as the encoder left it; the mid block runs on the encoder's plain output.
        *side_sites, mid_site = self._sites(residuals, len(skips) + 1)
        skips = [layers.join(level, skip, *site) for level, skip, site in zip(levels, skips, side_sites, strict=True)]

        mid, deepest = unet.mid_block, len(unet.down_blocks) - 1
        hidden = layers.run(deepest, hidden, mid.resnets[0])
        (motion,) = self._motion_modules("mid_block")
        for resnet, attention, over_time in zip(mid.resnets[1:], mid.attentions, motion, strict=True):
            hidden = layers.run(deepest, hidden, None, attention, over_time)
            hidden = layers.run(deepest, hidden, resnet)
        hidden = layers.join(deepest, hidden, *mid_site)

        for above, block in enumerate(unet.up_blocks):
            level, motion = deepest - above, self._motion_modules("up_blocks")[above]
            for resnet, attention, over_time in zip(block.resnets, _attentions(block), motion, strict=True):
                hidden = layers.run(level, torch.cat([hidden, skips.pop()], dim=1), resnet, attention, over_time)
            for upsample in block.upsamplers or ():
                hidden = upsample(hidden, skips[-1].shape[-2:])

        noise = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        return rearrange(noise, "(b f) c lh lw -> b f c lh lw", f=f)

    def _sites(self, residuals: Sequence[Tensor] | None, count: int) -> list[tuple[Tensor | None, SiteAdapter | None]]:
        """ControlNet's residual and the MA module of each site, the mid one last; None where there is none."""
        nothing = [None] * count
        present = nothing if residuals is None else residuals
        sites = () if self.motion_attention is None else self.motion_attention.sites
        modules: tuple[nn.Module | None, ...] = tuple(sites)
        # MotionEditor's adapter has none for the mid site.
        modules += (None,) * (count - len(modules))
        return list(zip(present, cast("Sequence[SiteAdapter | None]", modules), strict=True))

    def _motion_modules(self, place: Literal["down_blocks", "mid_block", "up_blocks"]) -> list[list[nn.Module | None]]:
        """The motion adapter's module after each layer of each block, or None where it has none."""
        blocks = getattr(self.unet, place) if place != "mid_block" else [self.unet.mid_block]
        layer_counts = [len(block.attentions if place == "mid_block" else block.resnets) for block in blocks]
        adapters = getattr(self.motion_adapter, place, None)
        if adapters is None:
            return [[None] * count for count in layer_counts]
        return [list(block.motion_modules) for block in ([adapters] if place == "mid_block" else adapters)]


@dataclass(frozen=True)
class _Layers:
    """What is the same for every layer of one forward pass, and the passage through a layer."""

    time: Float[Tensor, "bf e"]
    text: Text
    frames: int
    recomputation: Recomputation

    def run(
        self,
        level: int,
        hidden: Tensor,
        resnet: nn.Module | None,
        attention: nn.Module | None = None,
        motion: nn.Module | None = None,
    ) -> Tensor:
        """`hidden` after a residual block, a spatial transformer, and a motion module, where there are such."""
        if resnet is not None and not hidden.requires_grad:
            # Above the first layer that trains there is no gradient, so nothing that would have to be computed again.
            hidden, resnet = resnet(hidden, self.time), None

        def layer(hidden: Tensor) -> Tensor:
            if resnet is not None:
                hidden = resnet(hidden, self.time)
            if attention is not None:
                frames = {"frames": self.frames}
                hidden = attention(
                    hidden, encoder_hidden_states=self.text, cross_attention_kwargs=frames, return_dict=False
                )[0]
            if motion is not None:
                hidden = motion(hidden, num_frames=self.frames)
            return hidden

        return recompute(layer, hidden, self._recomputed(level))

    def join(self, level: int, feature: Tensor, residual: Tensor | None, attention: SiteAdapter | None) -> Tensor:
        """The U-Net's `feature` with ControlNet's `residual` added, as MA adapts it (Eq. 15)."""
        if residual is None:
            return feature
        if attention is None:
            return feature + residual

        def adapt(feature: Tensor) -> Tensor:
            return feature + attention(residual, feature, self.frames)

        return recompute(adapt, feature, self._recomputed(level))

    def _recomputed(self, level: int) -> Recompute:
        """What of a layer at this level of the U-Net, 0 the finest, is computed again for its gradient."""
        if isinstance(self.recomputation, bool):
            return "everything" if self.recomputation else "nothing"
        return self.recomputation[min(level, len(self.recomputation) - 1)]


_PLACES: dict[Part, tuple[str, ...]] = {
    "temporal-attention": ("unet.*.attn_temp.*", "motion_adapter.*"),
    "motion-attention": ("motion_attention.*",),
    "frame-attention": ("unet.*.attn1.*",),
    "temporal-projections": ("unet.*.attn_temp.attention.*",),
    "frame-queries": ("unet.*.attn1.to_q.*",),
    "text-queries": ("unet.*.attn2.to_q.*",),
}
"""Names of each part's parameters."""


def _make_temporal_attention(block: BasicTransformerBlock, kind: TemporalAttentionKind) -> TemporalAttention:
    width, heads = block.dim, block.num_attention_heads
    if kind == "motion-editor":
        return CausalTemporalAttention(width, heads).to(block.norm1.weight)
    return TemporalAttention(width, heads, zero_bias=kind == "from-zero").to(block.norm1.weight)


def _with_own_queries(attention: Attention) -> Attention:
    """The same attention, sharing everything but the projection of its queries, of which it has a copy."""
    shared = {id(layer): layer for layer in attention.children()}
    copy = deepcopy(attention, shared)
    copy.to_q = copied(attention.to_q, attention.to_out[0].bias.dtype)
    copy.set_processor(TextAttentionProcessor())
    return copy


def _attentions(block: Any) -> list[nn.Module | None]:
    """The spatial transformer after each residual block, or None in a block without."""
    return list(getattr(block, "attentions", ())) or [None] * len(block.resnets)


def check_architecture(unet: UNet2DConditionModel) -> None:
    """Passes a U-Net that can be inflated.

    Raises:
        CheckpointError: if it has blocks or inputs that Stable Diffusion 1.5 lacks.
    """
    config = unet.config
    kinds = {*config.down_block_types, config.mid_block_type, *config.up_block_types}
    additions = [
        name
        for name in ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")
        if config.get(name) is not None
    ]
    if unknown := sorted(str(kind) for kind in kinds - PLAIN_BLOCKS) + additions:
        raise CheckpointError(
            f"expected a U-Net with the architecture of Stable Diffusion 1.5, got one with {', '.join(unknown)}"
        )


def _residual_widths(unet: UNet2DConditionModel) -> list[int]:
    """Channels at each of ControlNet's residuals: conv_in, every layer and downsampler, the mid block."""
    widths = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        widths += [resnet.out_channels for resnet in block.resnets]
        widths += [downsampler.out_channels for downsampler in block.downsamplers or ()]
    return [*widths, unet.mid_block.resnets[-1].out_channels]


def _heads_by_width(unet: UNet2DConditionModel) -> dict[int, int]:
    """Attention heads of the U-Net's transformer blocks, by their width."""
    blocks = (module for module in unet.modules() if isinstance(module, InflatedTransformerBlock))
    return {block.attn1.to_q.in_features: block.attn1.heads for block in blocks}


def check_motion_adapter(adapter: MotionAdapter, unet: UNet2DConditionModel) -> None:
    """Passes a motion adapter that fits a U-Net.

    Raises:
        CheckpointError: if it has other widths.
    """
    expected = tuple(unet.config.block_out_channels)
    if (widths := tuple(adapter.config.block_out_channels)) != expected:
        raise CheckpointError(f"expected a motion adapter of the U-Net's widths {expected}, got one of widths {widths}")
