"""The network that tuning, inversion and sampling see: eps_theta(z_t, t, p, f_sk)."""

from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn, no_grad

from edit_your_motion.errors import CheckpointError
from edit_your_motion.nn.video_unet import VideoUNet


class NoisePredictor(nn.Module):
    """The inflated U-Net guided by skeletons through ControlNet and motion attention (Eqs. 14-16).

    Args:
        unet: the inflated U-Net.
        controlnet: an openpose ControlNet for it; never trained.

    Raises:
        CheckpointError: if `controlnet` was made for a U-Net of other widths or another text encoder.
    """

    def __init__(self, unet: VideoUNet, controlnet: ControlNetModel) -> None:
        super().__init__()
        for name in ("block_out_channels", "layers_per_block", "cross_attention_dim", "in_channels"):
            expected, got = unet.unet.config[name], controlnet.config[name]
            if expected != got:
                raise CheckpointError(
                    f"the ControlNet does not fit the base: {name} is {expected} in the base's U-Net and {got} in the "
                    "ControlNet; choose a ControlNet that was trained for this base (for Stable Diffusion 1.5: "
                    "lllyasviel/sd-controlnet-openpose)"
                )
        self.unet = unet
        self.controlnet = controlnet

    def forward(
        self,
        z: Float[Tensor, "b f c lh lw"],
        t: Int[Tensor, " b"],
        text: Float[Tensor, "b n d"],
        skeletons: Float[Tensor, "b f 3 h w"] | None,
        conditioning_scale: float = 1.0,
    ) -> Float[Tensor, "b f c lh lw"]:
        """The noise in `z`, as predicted for all frames of each clip.

        Args:
            z: noisy latents z_t.
            t: timestep of each clip.
            text: embedding of each clip's prompt.
            skeletons: skeleton pictures in [0, 1]; None leaves ControlNet and MA out.
            conditioning_scale: what ControlNet's residuals are multiplied by.
        """
        residuals = None if skeletons is None else self._residuals(z, t, text, skeletons, conditioning_scale)
        return self.unet(z, t, text, residuals)

    @no_grad()
    def _residuals(
        self, z: Tensor, t: Tensor, text: Tensor, skeletons: Tensor, conditioning_scale: float
    ) -> list[Float[Tensor, "_ _ _ _"]]:
        f = z.shape[1]
        down, mid = self.controlnet(
            rearrange(z, "b f c lh lw -> (b f) c lh lw"),
            repeat(t, "b -> (b f)", f=f),
            encoder_hidden_states=repeat(text, "b n d -> (b f) n d", f=f),
            controlnet_cond=rearrange(skeletons, "b f c h w -> (b f) c h w"),
            conditioning_scale=conditioning_scale,
            return_dict=False,
        )
        return [*down, mid]
