"""A tuned person: all that is needed to give them any number of motions, as a folder."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from edit_your_motion import __version__
from edit_your_motion.config import TuneConfig, dump_config, load_config, parse_config
from edit_your_motion.errors import CheckpointError
from edit_your_motion.files import written_whole
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.preparation import PreparedClip, load_prepared, save_prepared
from edit_your_motion.tuning.checkpoints import load_metadata, load_tensors, save_tensors

CONFIG, PARAMETERS, LATENTS, SOURCE, CARD = (
    "config.yaml",
    "tuned.safetensors",
    "latents.safetensors",
    "source",
    "README.md",
)


@dataclass(frozen=True, eq=False)
class Person:
    """What tuning on a source leaves.

    Args:
        config: how it was tuned.
        base_digest: of the base it was tuned on.
        parameters: the tuned parameters, by their name in the `VideoUNet`.
        latents: z_0 of the source.
        noise: z*, its inversion.
        source: frames, keypoints and masks.
        losses: of every step of tuning.
    """

    config: TuneConfig
    base_digest: str
    parameters: Mapping[str, Tensor]
    latents: Float[Tensor, "1 f c lh lw"]
    noise: Float[Tensor, "1 f c lh lw"]
    source: PreparedClip
    losses: list[float]

    def put_into(self, predictor: NoisePredictor) -> None:
        """Copies the tuned parameters into a network.

        Raises:
            CheckpointError: if the network has other parameters.
        """
        present = dict(predictor.unet.named_parameters())
        for name, value in self.parameters.items():
            if name not in present or present[name].shape != value.shape:
                raise CheckpointError(
                    f"the tuned person does not fit the base: it has no '{name}' of {tuple(value.shape)}"
                )
            present[name].data.copy_(value)

    def save(self, folder: Path) -> None:
        """Writes the person, whole or not at all; what lies at `folder` is replaced.

        Raises:
            DiskFullError: if there is no room for it.
        """
        with written_whole(folder) as part:
            part.mkdir()
            metadata = {"base": self.base_digest, "losses": json.dumps(self.losses)}
            save_tensors(part / PARAMETERS, self.parameters, metadata)
            save_tensors(part / LATENTS, {"latents": self.latents, "noise": self.noise})
            save_prepared(part / SOURCE, self.source)
            (part / CONFIG).write_text(dump_config(self.config), encoding="utf-8")
            (part / CARD).write_text(self._card(), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a folder in use cannot be replaced in one go

    def _card(self) -> str:
        """A model card."""
        stages = "\n".join(
            f"| {number} | {stage.iterations} | {stage.learning_rate:g} | {stage.pixels} | {', '.join(stage.trains)} |"
            for number, stage in enumerate(self.config.tuning.stages, 1)
        )
        f, h, w = self.source.video.frames.shape[:3]
        size = sum(value.numel() for value in self.parameters.values())
        return f"""---
library_name: edit-your-motion
base_model: {self.config.model.base}
tags: [video-motion-editing, stable-diffusion]
---

# A person tuned with Edit-Your-Motion

Prompt: "{self.config.prompt}". Source: {f} frames of {w}x{h}. {size:,} tuned parameters; everything else is the base
`{self.config.model.base}` with the ControlNet `{self.config.model.controlnet}`.

| stage | iterations | learning rate | pixels | parts |
|---|---|---|---|---|
{stages}

Use: `eym apply THIS_FOLDER REFERENCE_VIDEO`.

- `{PARAMETERS}`: the tuned parameters
- `{LATENTS}`: the source's latents and their DDIM inversion
- `{SOURCE}/`: the source's frames, keypoints and masks; they show the person, so share them only with consent
- `{CONFIG}`: the settings

Made with edit-your-motion {__version__}, torch {torch.__version__}. The base's licence binds this folder too.
"""


def is_person(folder: Path) -> bool:
    """Whether the folder looks like one that `Person.save` wrote."""
    return (folder / PARAMETERS).is_file()


def load_person(folder: Path) -> Person:
    """The person that `Person.save` wrote.

    Raises:
        CheckpointError: if the folder is no tuned person, or a file in it is missing or damaged.
    """
    missing = [name for name in (CONFIG, PARAMETERS, LATENTS, SOURCE) if not (folder / name).exists()]
    if missing:
        raise CheckpointError(
            f"expected a tuned person in {folder}, found no {', '.join(missing)}; make one with 'eym tune SOURCE'"
        )
    metadata = load_metadata(folder / PARAMETERS)
    latents = load_tensors(folder / LATENTS)
    return Person(
        config=parse_config(TuneConfig, load_config(folder / CONFIG)),
        base_digest=metadata.get("base", ""),
        parameters=load_tensors(folder / PARAMETERS),
        latents=latents["latents"],
        noise=latents["noise"],
        source=load_prepared(folder / SOURCE),
        losses=json.loads(metadata.get("losses", "[]")),
    )
