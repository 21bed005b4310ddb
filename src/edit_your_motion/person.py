"""A tuned person: all that is needed to give them any number of motions, as a folder."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from edit_your_motion import __version__
from edit_your_motion.config import TuneConfig, dump_config, load_config, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError, counted
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.people.appearance_words import complete_prompt, name_looks
from edit_your_motion.people.preparation import PreparedClip, load_prepared, save_prepared
from edit_your_motion.person_folder import (
    CARD,
    CONFIG,
    DECODER,
    LATENTS,
    PARAMETERS,
    SOURCE,
    check_place,
    read_person_losses,
)
from edit_your_motion.storage.files import written_whole
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors
from edit_your_motion.tuning.early_stopping import StageEnd
from edit_your_motion.tuning.loop import tuned_parameters

logger = logging.getLogger(__name__)

FIRST_CONVOLUTION = "first convolution of the U-Net"
"""The one part of a base that persons of the first format are told apart by."""


@dataclass(frozen=True, eq=False)
class Person:
    """What tuning on a source leaves.

    Args:
        config: how it was tuned.
        base_digests: of the parts of the base it was tuned on.
        parameters: the tuned parameters, by their name in the `VideoUNet`.
        latents: z_0 of the source.
        noise: z*, its inversion.
        source: frames, keypoints and masks.
        losses: of every step of tuning.
        stages: how each stage of tuning ended; empty where it was not kept.
        decoder: weights of the VAE's decoder, by name; empty where the base's is used.
        inputs: digests of the files that the person was tuned on, see `digest_inputs`; empty where they are unknown.
        preset: under whose settings; empty where none is known.
        completed_prompt: the prompt with what the source shows; None where it was left as it is.
    """

    config: TuneConfig
    base_digests: Mapping[str, str]
    parameters: Mapping[str, Tensor]
    latents: Float[Tensor, "1 f c lh lw"]
    noise: Float[Tensor, "1 f c lh lw"]
    source: PreparedClip
    losses: list[float]
    stages: tuple[StageEnd, ...] = ()
    decoder: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    preset: str = ""
    completed_prompt: str | None = None

    @property
    def prompt(self) -> str:
        """What the person was tuned on in words."""
        return self.config.prompt if self.completed_prompt is None else self.completed_prompt

    def complete(self, prompt: str) -> str:
        """Another prompt, completed as the person's own was."""
        return prompt if self.completed_prompt is None else describe_source(prompt, self.source)

    def put_into(self, predictor: NoisePredictor) -> None:
        """Copies the tuned parameters into a network.

        Raises:
            CheckpointError: if other parameters are tuned in that network.
        """
        expected = tuned_parameters(predictor.unet, self.config.tuning)
        for name in expected.keys() | self.parameters.keys():
            shapes = [tuple(values[name].shape) if name in values else None for values in (expected, self.parameters)]
            if shapes[0] != shapes[1]:
                raise CheckpointError(
                    f"the tuned person does not fit the base: expected '{name}' of {shapes[0]}, got {shapes[1]}; "
                    "use the base that they were tuned on"
                )
        for name, value in self.parameters.items():
            expected[name].data.copy_(value)

    def save(self, folder: Path, add: Callable[[Path], None] | None = None) -> None:
        """Writes the person, whole or not at all; what lies at `folder` is replaced.

        Args:
            folder: where.
            add: writes what else is to be there once the person is.

        Raises:
            DiskFullError: if there is no room for it.
            InputError: if something else than a person lies at `folder`.
        """
        check_place(folder)
        with written_whole(folder) as part:
            part.mkdir()
            metadata = {
                "base": json.dumps(dict(self.base_digests)),
                "losses": json.dumps(self.losses),
                "stages": json.dumps([stage.model_dump() for stage in self.stages]),
                "inputs": json.dumps(dict(self.inputs)),
                "preset": self.preset,
            }
            if self.completed_prompt is not None:
                metadata["prompt"] = self.completed_prompt
            save_tensors(part / PARAMETERS, self.parameters, metadata)
            if self.decoder:
                save_tensors(part / DECODER, self.decoder)
            save_tensors(part / LATENTS, {"latents": self.latents, "noise": self.noise})
            save_prepared(part / SOURCE, self.source)
            (part / CONFIG).write_text(dump_config(self.config), encoding="utf-8")
            (part / CARD).write_text(self._card(), encoding="utf-8")
            if add is not None:
                add(part)

    def record(self) -> dict[str, Any]:
        """How they were tuned, as ``run.json`` says it."""
        return {
            "prompt": self.prompt,
            "losses": self.losses,
            "stages": [stage.model_dump(mode="json") for stage in self.stages],
        }

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

Prompt: "{self.prompt}". Source: {counted(f, "frame")} of {w}x{h}. {size:,} tuned parameters; everything else
is the base `{self.config.model.base}` with the ControlNet `{self.config.model.used_controlnet}`.

| stage | iterations | learning rate | pixels | parts |
|---|---|---|---|---|
{stages}

Use: `eym apply THIS_FOLDER REFERENCE_VIDEO`.

- `{PARAMETERS}`: the tuned parameters; `{DECODER}`, where it is there: the VAE's decoder, tuned too
- `{LATENTS}`: the source's latents and their DDIM inversion
- `{SOURCE}/`: the source's frames, keypoints and masks; they show the person, so share them only with consent
- `{CONFIG}`: the settings

Made with edit-your-motion {__version__}, torch {torch.__version__}. The base's licence binds this folder too.
"""


SOMEBODY = "a person"
"""Whom an empty prompt that is to be completed speaks of."""


def describe_source(prompt: str, source: PreparedClip) -> str:
    """The prompt with what the source shows of hair, skin and clothes and it does not say."""
    prompt = complete_prompt(
        prompt if prompt.strip() else SOMEBODY, name_looks(source.video.frames, source.keypoints, source.masks)
    )
    logger.info("the prompt: %s", prompt)
    return prompt


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
    try:
        config = parse_config(TuneConfig, load_config(folder / CONFIG))
    except ConfigError as error:
        raise CheckpointError(f"the settings in {folder / CONFIG} are damaged: {error}") from error
    decoder = load_tensors(folder / DECODER) if config.tuning.decoder.iterations else {}
    metadata, losses = load_metadata(folder / PARAMETERS), read_person_losses(folder)
    try:
        stages = tuple(StageEnd.model_validate(stage) for stage in parse_json(metadata.get("stages", "[]")))
        inputs = {str(name): str(digest) for name, digest in dict(parse_json(metadata.get("inputs", "{}"))).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"expected the stages of a tuning in {folder / PARAMETERS}, got {error!r}") from error
    source = load_prepared(folder / SOURCE)
    latents = load_tensors(folder / LATENTS)
    shapes = {name: tuple(latents[name].shape) for name in ("latents", "noise") if name in latents}
    shape = shapes.get("latents", ())
    if len(shapes) < 2 or len(set(shapes.values())) > 1 or len(shape) != 5 or shape[:2] != (1, len(source)):
        raise CheckpointError(
            f"expected latents and noise of (1, {len(source)}, c, lh, lw) in {folder / LATENTS}, got {shapes}"
        )
    return Person(
        config=config,
        base_digests=_read_digests(metadata.get("base", "{}"), folder),
        parameters=load_tensors(folder / PARAMETERS),
        latents=latents["latents"],
        noise=latents["noise"],
        source=source,
        losses=losses,
        stages=stages,
        decoder=decoder,
        inputs=inputs,
        preset=metadata.get("preset", ""),
        completed_prompt=metadata.get("prompt"),
    )


def _read_digests(text: str, folder: Path) -> dict[str, str]:
    """The digests of a base, by part; persons of the first format have one, of a convolution."""
    if re.fullmatch("[0-9a-f]{16}", text):
        return {FIRST_CONVOLUTION: text}
    try:
        return {str(part): str(digest) for part, digest in parse_json(text).items()}
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"expected the base of a tuning in {folder / PARAMETERS}, got {text!r:.60}") from error
