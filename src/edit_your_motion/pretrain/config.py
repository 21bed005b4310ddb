"""What a small base is made of, what it sees, and how long it trains."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edit_your_motion.config import Prediction, Section

UNET_LEVELS = 4
"""Of Stable Diffusion 1.5."""


class PicturesConfig(Section):
    """The rendered pictures."""

    size: int = Field(256, ge=32, le=1024, description="Side, pixels.")
    count: int = Field(6144, ge=1, le=10_000_000, description="How many to train on.")
    held_out: int = Field(64, ge=8, le=4096, description="How many others to measure on.")
    shard: int = Field(256, ge=8, le=4096, multiple_of=8, description="Pictures a file.")
    takes: int = Field(4, ge=1, le=64, description="Pictures in a row of one person in one place.")
    edition: Literal[1, 2] = Field(2, description="Of the looks: 2 has more variety, and captions that name all of it.")
    filmed: float = Field(0.25, ge=0, le=1, description="Share with a camera's exposure, blur, noise and compression.")
    masked: float = Field(0.15, ge=0, le=1, description="Share with everything but the person black.")


class ArchitectureConfig(Section):
    """Sizes of the networks; the layout is that of Stable Diffusion 1.5."""

    vae_widths: tuple[int, ...] = Field(
        (24, 24, 48, 96, 96),
        min_length=2,
        max_length=6,
        description="Channels of the VAE's levels; each but the last halves the sides, so five make latent cells "
        "of 16 pixels.",
    )
    vae_groups: int = Field(8, ge=1, description="Groups that the VAE's channels are normalised in.")
    latent_channels: int = Field(32, ge=1, le=64, description="Channels of the latents.")
    unet_widths: tuple[int, int, int, int] = Field(
        (96, 128, 192, 192), description="Channels of the U-Net's levels, multiples of 32."
    )
    layers_per_block: int = Field(1, ge=1, le=4, description="Residual blocks a level of the U-Net.")
    heads: int = Field(4, ge=1, le=32, description="Attention heads of the U-Net.")
    condition_widths: tuple[int, ...] = Field(
        (8, 16, 32, 48, 64),
        description="Channels of the ControlNet's way from skeleton pictures to latents, as many levels as the VAE's.",
    )
    text_width: int = Field(128, ge=8, le=1024, description="Of the text encoder's embeddings.")
    text_layers: int = Field(2, ge=1, le=24, description="Of the text encoder.")
    text_heads: int = Field(4, ge=1, le=32, description="Attention heads of the text encoder.")
    tokens: int = Field(64, ge=8, le=77, description="Longest prompt, in tokens.")
    prediction: Prediction = Field(
        "v_prediction",
        description="The noise, as in Stable Diffusion 1.5, or the velocity, which learns faster.",
    )
    merges: int = Field(1000, ge=0, le=10_000, description="Byte pairs that the tokenizer merges at most.")

    @model_validator(mode="after")
    def _levels_agree(self) -> "ArchitectureConfig":
        if len(self.condition_widths) != len(self.vae_widths):
            raise ValueError(
                f"condition_widths has {len(self.condition_widths)} levels and vae_widths {len(self.vae_widths)}; "
                "expected as many"
            )
        return self

    @property
    def factor(self) -> int:
        """Pixels that one latent cell covers, along one side."""
        return int(2 ** (len(self.vae_widths) - 1))


class TrainingConfig(Section):
    """How one network is optimised; all but the steps is the same at any length."""

    steps: int = Field(ge=0, description="Optimiser steps.")
    batch: int = Field(ge=1, le=4096, description="Pictures a step.")
    learning_rate: float = Field(gt=0, le=1, description="Of AdamW.")
    warm_up: int = Field(200, ge=0, description="Steps over which the learning rate rises.")
    cool_down: int = Field(0, ge=0, description="Last steps, over which the learning rate falls to nothing.")
    weight_decay: float = Field(0.01, ge=0, le=100, description="Of AdamW.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    average: float = Field(0.999, ge=0, lt=1, description="Decay of the running average of the weights.")
    sheet_every: int = Field(500, ge=1, description="Steps between two measured sample sheets.")


class VaeConfig(TrainingConfig):
    """The VAE's training."""

    steps: int = Field(9000, ge=0, description="Optimiser steps.")
    encoder_steps: int = Field(
        6500, ge=0, description="Steps with the encoder; later ones refine the decoder alone, and latents stay valid."
    )
    batch: int = Field(8, ge=1, le=4096, description="Crops a step.")
    crop: int = Field(64, ge=16, description="Side of a crop, pixels.")
    whole_steps: int = Field(
        2000, ge=0, description="Last steps, on whole pictures: layers normalise over them as they will in edits."
    )
    whole_batch: int = Field(2, ge=1, le=4096, description="Pictures each of these steps.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Of AdamW.")
    warm_up: int = Field(20, ge=0, description="Steps over which the learning rate rises.")
    cool_down: int = Field(1200, ge=0, description="Last steps, over which the learning rate falls to nothing.")
    weight_decay: float = Field(0.0, ge=0, le=100, description="Of AdamW.")
    average: float = Field(0.995, ge=0, lt=1, description="Decay of the running average of the weights.")
    gradient: float = Field(
        0.1, ge=0, description="Weight of differences between neighbouring pixels; much delays the start."
    )
    perceptual: float = Field(
        0.2,
        ge=0,
        description="Weight of LPIPS on AlexNet (10 MB, see 'eym models'): sharp edges.",
    )
    perceptual_scale: int = Field(2, ge=1, le=8, description="Enlargement of crops for LPIPS: small faces weigh more.")
    person: float = Field(3.0, ge=0, description="Extra weight of the person's pixels.")
    head: float = Field(12.0, ge=0, description="Further weight of the pixels about its eyes, ears and nose.")
    divergence: float = Field(3e-5, ge=0, description="Weight of the latents' divergence from a standard normal.")
    anchor: float = Field(
        1.0,
        ge=0,
        description="Weight of the first channels' distance from from_base's latents, so that its U-Net keeps "
        "what it knows.",
    )


class DiffusionConfig(TrainingConfig):
    """The training of U-Net, ControlNet and text encoder together."""

    steps: int = Field(200_000, ge=0, description="Optimiser steps.")
    batch: int = Field(16, ge=1, le=4096, description="Pictures a step.")
    learning_rate: float = Field(4e-4, gt=0, le=1, description="Of AdamW.")
    snr_limit: float = Field(
        5.0,
        gt=0,
        description="Signal-to-noise ratio above which timesteps weigh less (min-SNR, Hang et al. 2023); 'inf': none.",
    )
    person: float = Field(4.0, ge=0, description="Extra weight of the latent cells near the skeleton.")
    head: float = Field(
        8.0,
        ge=0,
        description="Further weight of those near its eyes and ears.",
    )
    no_caption: float = Field(0.1, ge=0, le=1, description="Share of empty captions.")
    no_skeleton: float = Field(0.1, ge=0, le=1, description="Share of black skeleton pictures.")
    sheet_steps: int = Field(20, ge=1, le=1000, description="DDIM steps of a sample sheet.")


class MachineConfig(Section):
    """The machine; a run may go on with other values."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="auto: bf16 on a GPU that has it, else fp16; fp32 on a CPU."
    )
    threads: int = Field(0, ge=0, le=1024, description="Threads on the CPU; 0 leaves them as they are.")
    workers: int = Field(1, ge=1, le=256, description="Processes that render.")
    checkpoint_minutes: float = Field(3.0, ge=0, le=1440, description="Time between two checkpoints; 0: every step.")


class PretrainConfig(Section):
    """A base from nothing."""

    seed: int = Field(0, ge=0, lt=2**31, description="Of pictures, weights, batches and noise.")
    from_base: Path | None = Field(
        None, description="Folder of an exported base to begin with; its weights go wherever they fit."
    )
    pictures: PicturesConfig = PicturesConfig()
    architecture: ArchitectureConfig = ArchitectureConfig()
    vae: VaeConfig = VaeConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    machine: MachineConfig = MachineConfig()

    @model_validator(mode="after")
    def _sides_fit(self) -> "PretrainConfig":
        size, crop, factor = self.pictures.size, self.vae.crop, self.architecture.factor
        if size % (multiple := factor * 2 ** (UNET_LEVELS - 1)):
            raise ValueError(
                f"pictures.size is {size}; expected a multiple of {multiple}: no level of VAE or U-Net has half a cell"
            )
        if crop > size or crop % factor:
            raise ValueError(
                f"vae.crop is {crop}; expected a multiple of {factor}, a latent cell, of at most {size}, pictures.size"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """A digest of what a run cannot change on its way: what its checkpoints and pictures are made of."""
        kept = self.pictures.model_dump(exclude={"count", "masked"}), self.architecture.model_dump(), self.seed
        return sha256(repr(kept).encode()).hexdigest()
