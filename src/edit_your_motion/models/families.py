"""Checkpoints of other families than Stable Diffusion 1.x, told apart by their configuration and named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.tensor_files import read_json

REMEDY = "take one with the architecture of Stable Diffusion 1.5"

PIPELINES = {
    "StableDiffusionXL": "Stable Diffusion XL",
    "StableDiffusion3": "Stable Diffusion 3",
    "StableDiffusionInpaint": "an inpainting model",
    "StableDiffusionInstructPix2Pix": "an InstructPix2Pix model",
    "StableDiffusionUpscale": "an upscaler",
    "StableDiffusionDepth2Img": "a depth-to-image model",
    "Flux": "Flux",
    "Kandinsky": "Kandinsky",
    "PixArt": "PixArt",
    "Wan": "Wan",
}
"""How the class of a pipeline of diffusers begins, and what it is."""


def refuse_pipeline(folder: Path) -> None:
    """Passes a folder whose model_index.json does not say that it is another family's.

    Raises:
        CheckpointError: it does; the message names the family.
    """
    if not (index := folder / "model_index.json").is_file():
        return
    name = str(read_json(index, "base").get("_class_name", ""))
    for start, family in PIPELINES.items():
        if name.startswith(start):
            raise CheckpointError(
                f"expected a base of Stable Diffusion 1.5, got {family} in {folder} ({name}); {REMEDY}"
            )
    if (folder / "transformer").is_dir() and not (folder / "unet").is_dir():
        raise CheckpointError(
            f"expected a base of Stable Diffusion 1.5, got a transformer in place of the U-Net in {folder} ({name}); "
            f"{REMEDY}"
        )


def family_of_unet(config: Mapping[str, Any]) -> str | None:
    """What the U-Net of this configuration belongs to, if not to Stable Diffusion 1.x; None if it may."""
    latents, text = config.get("out_channels", 4), config.get("cross_attention_dim")
    extra = config.get("in_channels", 4), latents
    if config.get("addition_embed_type") == "text_time" or text == 2048:
        return "Stable Diffusion XL"
    if not all(isinstance(channels, int) for channels in extra):
        return "one whose channels are no numbers"
    if extra == (2 * latents + 1, latents):
        return f"an inpainting model ({extra[0]} channels go into its U-Net)"
    if extra == (2 * latents, latents):
        return f"an InstructPix2Pix model ({extra[0]} channels go into its U-Net)"
    if extra[0] != latents:
        return f"a model for another task ({extra[0]} channels go into its U-Net, {latents} come out)"
    if text == 1024 and config.get("use_linear_projection"):
        return "Stable Diffusion 2.x"
    for name in ("addition_embed_type", "class_embed_type", "num_class_embeds", "encoder_hid_dim_type"):
        if config.get(name) is not None:
            return f"a model for another task (its U-Net needs {name} '{config[name]}')"
    if config.get("time_cond_proj_dim") is not None:
        return "a distilled model (its U-Net needs the guidance scale as an input)"
    return None


def refuse_unet(config: Mapping[str, Any], where: str) -> None:
    """Passes the configuration of a U-Net that may be of Stable Diffusion 1.x.

    Raises:
        CheckpointError: if it is another family's; the message names it.
    """
    if (family := family_of_unet(config)) is not None:
        raise CheckpointError(f"expected a base of Stable Diffusion 1.5, got {family} in {where}; {REMEDY}")
