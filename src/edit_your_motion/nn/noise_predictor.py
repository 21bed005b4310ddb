"""The network that tuning, inversion and sampling see: eps_theta(z_t, t, p, f_sk)."""

from collections.abc import Mapping
from typing import Any

from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import rearrange, repeat
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.prediction_type import noise_of_velocity
from edit_your_motion.nn.conditions import Conditions, Text, project_text, take_text, text_attentions
from edit_your_motion.nn.skeleton_guidance import MOST_KEPT, embed_skeletons, embedded_bytes, predict_residuals
from edit_your_motion.nn.video_unet import VideoUNet


class NoisePredictor(nn.Module):
    """The inflated U-Net guided by skeletons through ControlNet and motion attention (Eqs. 14-16).

    Args:
        unet: the inflated U-Net.
        controlnet: an openpose ControlNet for it; never trained.
        velocity_schedule: abar_t of every timestep, if the U-Net predicts the velocity; None if it predicts the noise.

    Raises:
        CheckpointError: if `controlnet` was made for a U-Net of other widths or another text encoder.
    """

    velocity_schedule: Tensor | None

    def __init__(
        self, unet: VideoUNet, controlnet: ControlNetModel, velocity_schedule: Float[Tensor, " steps"] | None = None
    ) -> None:
        super().__init__()
        check_controlnet(controlnet.config, unet.unet.config)
        take_text(controlnet)
        self.unet = unet
        self.controlnet = controlnet
        self.register_buffer("velocity_schedule", velocity_schedule, persistent=False)

    def prepare(
        self,
        text: Float[Tensor, "b n d"],
        skeletons: Float[Tensor, "b f 3 h w"] | UInt8[Tensor, "b f 3 h w"] | None,
        *,
        embed: bool | None = None,
    ) -> Conditions:
        """Whatever of the conditions does not change from step to step, computed once for `predict`.

        Args:
            text: embedding of each clip's prompt.
            skeletons: skeleton pictures in [0, 1], or as bytes; None leaves ControlNet and MA out.
            embed: whether to embed the skeletons now, for all steps, and not those of a window at each; default: if
                they take no more memory than is kept for them.
        """
        if skeletons is None:
            return Conditions(self.prepare_text(text), None)
        if embed is None:
            embed = self.keeps_embedded(*(skeletons.shape[axis] for axis in (1, 3, 4)))
        if embed:
            skeletons = embed_skeletons(self.controlnet, skeletons)
        return Conditions(self.prepare_text(text), skeletons, embed)

    def keeps_embedded(self, frames: int, height: int, width: int) -> bool:
        """Whether `prepare` embeds the skeletons of a clip of that shape, in pixels, for all steps."""
        return embedded_bytes(self.controlnet, frames, height, width) <= MOST_KEPT

    def prepare_text(self, text: Float[Tensor, "b n d"]) -> Text:
        """The prompt with its keys and values in every cross-attention."""
        return project_text(text, [*text_attentions(self.unet), *text_attentions(self.controlnet)])

    def forward(
        self,
        z: Float[Tensor, "b f c lh lw"],
        t: Int[Tensor, " b"],
        text: Float[Tensor, "b n d"],
        skeletons: Float[Tensor, "b f 3 h w"] | None,
        conditioning_scale: float | int = 1.0,
    ) -> Float[Tensor, "b f c lh lw"]:
        """The noise in `z` for conditions that are used once; see `predict`.

        Args:
            z: noisy latents z_t.
            t: timestep of each clip.
            text: embedding of each clip's prompt.
            skeletons: skeleton pictures in [0, 1]; None leaves ControlNet and MA out.
            conditioning_scale: what ControlNet's residuals are multiplied by.
        """
        return self.predict(z, t, self.prepare(text, skeletons), conditioning_scale)

    def predict(
        self,
        z: Float[Tensor, "b f c lh lw"],
        t: Int[Tensor, " b"],
        conditions: Conditions,
        conditioning_scale: float | int = 1.0,
    ) -> Float[Tensor, "b f c lh lw"]:
        """The noise in `z`, as predicted for all frames of each clip.

        Args:
            z: noisy latents z_t.
            t: timestep of each clip.
            conditions: from `prepare`, of these frames.
            conditioning_scale: what ControlNet's residuals are multiplied by.
        """
        residuals = None
        if conditions.skeletons is not None:
            skeletons = (
                conditions.skeletons if conditions.embedded else embed_skeletons(self.controlnet, conditions.skeletons)
            )
            residuals = predict_residuals(
                self.controlnet,
                rearrange(z, "b f c lh lw -> (b f) c lh lw"),
                repeat(t, "b -> (b f)", f=z.shape[1]),
                conditions.text,
                rearrange(skeletons, "b f c lh lw -> (b f) c lh lw"),
                conditioning_scale,
            )
        predicted = self.unet(z, t, conditions.text, residuals)
        if self.velocity_schedule is None:
            return predicted
        return noise_of_velocity(predicted, z, self.velocity_schedule[t])


def check_controlnet(controlnet: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    """Passes the configuration of a ControlNet that fits a U-Net's.

    Raises:
        CheckpointError: if it was made for a U-Net of other widths or another text encoder.
    """
    for name in ("block_out_channels", "layers_per_block", "cross_attention_dim", "in_channels"):
        expected, got = unet[name], controlnet[name]
        if expected != got:
            raise CheckpointError(
                f"the ControlNet does not fit the base: {name} is {expected} in the base's U-Net and {got} in the "
                "ControlNet; choose a ControlNet that was trained for this base (for Stable Diffusion 1.5: "
                "lllyasviel/sd-controlnet-openpose)"
            )
    if controlnet["global_pool_conditions"]:
        raise CheckpointError("expected an openpose ControlNet, got one that pools its conditions over the picture")
