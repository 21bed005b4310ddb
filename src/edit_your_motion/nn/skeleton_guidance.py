"""ControlNet on clips: the skeletons become latents once, and the residuals are made at every step."""

from math import prod

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from edit_your_motion.nn.conditions import Text

PICTURES_AT_ONCE = 8
"""The embedding's first layers are as large as the pictures; a long clip goes through them in parts."""

MOST_KEPT = 1 << 28
"""Bytes of embedded skeletons that are kept; those of a clip that would take more are embedded at every step."""


def embedded_bytes(controlnet: ControlNetModel, frames: int, height: int, width: int) -> int:
    """Bytes that the embedded skeletons of a clip take.

    Args:
        controlnet: whose embedding.
        frames: of the clip.
        height: of a skeleton picture, pixels.
        width: of a skeleton picture, pixels.
    """
    embedding = controlnet.controlnet_cond_embedding
    scale = prod(block.stride[0] for block in embedding.blocks)
    last = embedding.conv_out
    return frames * last.out_channels * (height // scale) * (width // scale) * last.bias.dtype.itemsize


@torch.no_grad()
def embed_skeletons(
    controlnet: ControlNetModel, skeletons: Float[Tensor, "b f 3 h w"] | UInt8[Tensor, "b f 3 h w"]
) -> Float[Tensor, "b f c lh lw"]:
    """ControlNet's condition embedding of skeleton pictures, which does not depend on noise or timestep.

    Args:
        controlnet: whose embedding.
        skeletons: pictures in [0, 1], or as bytes.
    """
    like = controlnet.controlnet_cond_embedding.conv_in.bias  # weights may be stored in another type
    parts = []
    for part in rearrange(skeletons, "b f c h w -> (b f) c h w").split(PICTURES_AT_ONCE):
        pictures = part.to(like.device)
        pictures = (pictures if part.is_floating_point() else pictures.float() / 255).to(like.dtype)
        if controlnet.config.controlnet_conditioning_channel_order == "bgr":
            pictures = pictures.flip(1)
        parts.append(controlnet.controlnet_cond_embedding(pictures))
    return rearrange(torch.cat(parts), "(b f) c lh lw -> b f c lh lw", f=skeletons.shape[1])


@torch.no_grad()
def predict_residuals(
    controlnet: ControlNetModel,
    z: Float[Tensor, "bf c lh lw"],
    t: Int[Tensor, " bf"],
    text: Text,
    skeletons: Float[Tensor, "bf d lh lw"],
    conditioning_scale: float | int = 1.0,
) -> list[Float[Tensor, "bf _ _ _"]]:
    """ControlNet's residuals for each skip of the U-Net, the mid one last; what its own forward returns.

    Args:
        controlnet: frozen; never builds a graph.
        z: noisy latents of all frames.
        t: timestep of each frame.
        text: the clips' prompts.
        skeletons: from `embed_skeletons`.
        conditioning_scale: what the residuals are multiplied by.
    """
    time = controlnet.time_embedding(controlnet.time_proj(t).to(z.dtype))
    hidden = controlnet.conv_in(z) + skeletons
    features = [hidden]
    for block in controlnet.down_blocks:
        context = {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}
        hidden, outputs = block(hidden, time, **context)
        features += outputs
    features.append(controlnet.mid_block(hidden, time, encoder_hidden_states=text))
    outputs = (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block)
    residuals = [output(feature) for output, feature in zip(outputs, features, strict=True)]
    return residuals if conditioning_scale == 1 else [residual * conditioning_scale for residual in residuals]
