"""Nodes of the method: load a base, tune a person, keep them, give them a motion, score what came of it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from typing import Any, get_args

import numpy as np
from comfy_api.v0_0_2 import io, ui
from jaxtyping import Bool, UInt8
from torch import Tensor

from edit_your_motion.config import AnyConfig, ApplyConfig, BaseConfig, PeopleConfig, RuntimeConfig, TuneConfig, merge
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import ConfigError, VideoError
from edit_your_motion.jobs.early_checks import check_prompt
from edit_your_motion.jobs.loss_curves import draw_losses
from edit_your_motion.jobs.scores import score_frames
from edit_your_motion.models.backbone import Precision
from edit_your_motion.people.alignment import AlignmentMethod
from edit_your_motion.people.generated_frames import open_finder
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.preparation import PreparedClip, draw_reference, foresee
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import CONFIG
from edit_your_motion.presets import Choice, PresetName, choose_settings
from edit_your_motion.sampling.latent_preview import LatentPreview
from edit_your_motion.storage.parsing import parse_yaml
from edit_your_motion.tuning.loop import TuningStep
from edit_your_motion.web.offers import check_settings

from . import folders
from .memory import ManagedBase
from .messages import in_node_words
from .values import (
    CATEGORY,
    BaseType,
    PersonType,
    Poses,
    PosesType,
    as_frames,
    as_images,
    as_mask,
    as_prepared,
    as_video,
)
from .watching import NodeProgress, downloads

AS_PRESET = -1
"""A number that says: as the preset has it."""

SEED = RuntimeConfig().seed

RECOMMENDED = "recommended"
PRESETS = [RECOMMENDED, *get_args(PresetName)]
PRESET = "Settings to start from; recommended: those that a person was tuned under, else what suits the base."
SETTINGS = "Further settings over the preset as YAML, e.g. 'sampling: {guidance_scale: 3}'."
DOWNLOAD = "Download what is not on this machine. Off: an error says what is missing."


def as_preset(name: str, most: float, told: str, **more: float) -> Any:
    """An input for a number from 0 to `most` that is left to the preset unless somebody sets it."""
    kind = io.Int if isinstance(most, int) else io.Float
    least = type(most)(AS_PRESET)
    return kind.Input(name, default=least, min=least, max=most, tooltip=f"{told}; -1: as the preset has it.", **more)


class LoadBase(io.ComfyNode):
    """Loads the frozen networks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionLoadBase",
            display_name="Load base",
            category=CATEGORY,
            description="Stable Diffusion 1.5 or a base of its architecture with an openpose ControlNet; 'small' ships "
            "with the library: 256 pixels, a demonstration.",
            inputs=[
                io.Combo.Input(
                    "base",
                    options=folders.list_bases(),
                    default="small",
                    tooltip="From models/edit_your_motion/bases or models/checkpoints, or the hub's.",
                ),
                io.Combo.Input(
                    "controlnet",
                    options=folders.list_controlnets(),
                    default=folders.DEFAULT,
                    tooltip="An openpose ControlNet from models/controlnet; default: the base's own or the hub's.",
                ),
                io.Combo.Input(
                    "precision", options=list(get_args(Precision)), default="auto", tooltip="What to compute in."
                ),
                io.Boolean.Input("download", default=False, tooltip=DOWNLOAD + " Stable Diffusion 1.5: gigabytes."),
            ],
            outputs=[BaseType.Output("loaded", display_name="base", tooltip="The loaded networks.")],
        )

    @classmethod
    @in_node_words()
    def execute(cls, base: str, controlnet: str, precision: Precision, download: bool) -> io.NodeOutput:
        """Loads them."""
        model = BaseConfig(base=folders.find_base(base), controlnet=folders.find_controlnet(controlnet))
        with downloads(download):
            return io.NodeOutput(ManagedBase.load(model, precision))


class TunePerson(io.ComfyNode):
    """Tunes a person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionTunePerson",
            display_name="Tune person",
            category=CATEGORY,
            description="Tunes the base on a clip of a person in two stages and inverts the clip. Can be stopped after "
            "every step; run again with the same inputs, it goes on from there.",
            inputs=[
                BaseType.Input("base", tooltip="From 'Load base'."),
                io.Image.Input("images", tooltip="The source's frames, from 'Find people'."),
                io.Mask.Input("masks", tooltip="The person's pixels."),
                PosesType.Input("poses", tooltip="The person's keypoints."),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="What the clip shows: 'a man in a striped shirt is dancing'; the preset fast needs none.",
                ),
                io.Combo.Input("preset", options=PRESETS, default=RECOMMENDED, tooltip=PRESET),
                as_preset("motion_iterations", 100_000, "Steps of the first stage"),
                as_preset("appearance_iterations", 100_000, "Steps of the second stage"),
                io.Int.Input(
                    "random_seed", default=SEED, min=0, max=2**31 - 1, tooltip="Of all that is drawn at random."
                ),
                io.String.Input("settings", default="", multiline=True, tooltip=SETTINGS),
            ],
            outputs=[PersonType.Output("person", display_name="person", tooltip="The tuned person.")],
        )

    @classmethod
    @in_node_words()
    def execute(
        cls,
        base: ManagedBase,
        images: Tensor,
        masks: Tensor,
        poses: Poses,
        prompt: str,
        preset: str,
        motion_iterations: int,
        appearance_iterations: int,
        random_seed: int,
        settings: str,
    ) -> io.NodeOutput:
        """Tunes the person."""
        clip, multiple = as_prepared(images, masks, poses), base.backbone.base.side_multiple
        if any(side % multiple for side in clip.video.frames.shape[1:3]):
            raise VideoError(
                f"expected images with sides that are multiples of {multiple}, got {clip.video.frames.shape[2]}x"
                f"{clip.video.frames.shape[1]}: connect the base to 'Find people', and tune on its images"
            )
        stages = {"motion": motion_iterations, "appearance": appearance_iterations}
        given = {name: {"iterations": steps} for name, steps in stages.items() if steps != AS_PRESET}
        model = base.model.model_dump()
        node = {"prompt": prompt, "model": model, "tuning": given, "runtime": {"seed": random_seed}}
        chosen = choose(TuneConfig, base.model, None if preset == RECOMMENDED else preset, node, settings)
        config = chosen.config
        check_prompt(config)
        progress, losses = NodeProgress(config), {}
        lengths = [stage.iterations for stage in config.tuning.stages]

        def on_step(step: TuningStep) -> None:
            losses[sum(lengths[: step.stage]) + step.step] = step.loss
            if progress.wants_picture:
                progress.show(draw_losses(losses, lengths))

        checkpoint = folders.place_checkpoint(digest_tuning(clip, config, base.backbone.digest))
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with base.loaded() as backbone:
            person = tune_person(backbone, clip, config, progress, checkpoint=checkpoint, on_step=on_step)
        checkpoint.unlink(missing_ok=True)
        return io.NodeOutput(replace(person, preset=chosen.preset))


class SavePerson(io.ComfyNode):
    """Saves a person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionSavePerson",
            display_name="Save person",
            category=CATEGORY,
            description="Writes a tuned person into models/edit_your_motion/persons, which 'eym apply' takes too.",
            inputs=[
                PersonType.Input("person", tooltip="From 'Tune person'."),
                io.String.Input(
                    "name", default="person", tooltip="Of the folder; a number is added where it is taken."
                ),
                io.Boolean.Input("overwrite", default=False, tooltip="Replace the person of that name instead."),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    @in_node_words()
    def execute(cls, person: Person, name: str, overwrite: bool) -> io.NodeOutput:
        """Saves them."""
        place = folders.choose_place(name, overwrite)
        person.save(place)
        return io.NodeOutput(ui=ui.PreviewText(f"saved as {place.name}"))


class LoadPerson(io.ComfyNode):
    """Loads a person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionLoadPerson",
            display_name="Load person",
            category=CATEGORY,
            description="A tuned person from models/edit_your_motion/persons, with the clip that they were tuned on.",
            inputs=[io.Combo.Input("name", options=folders.list_persons(), tooltip="Who.")],
            outputs=[
                PersonType.Output("person", display_name="person", tooltip="The tuned person."),
                PosesType.Output("poses", display_name="poses", tooltip="Their keypoints in their own clip."),
                io.Image.Output("images", display_name="images", tooltip="Their own clip."),
                io.Mask.Output("masks", display_name="masks", tooltip="Their pixels in it."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(cls, name: str) -> io.NodeOutput:
        """Loads them."""
        person = load_person(folders.find_person(name))
        clip = person.source
        poses = Poses(clip.keypoints, clip.video.fps)
        return io.NodeOutput(person, poses, as_images(clip.video.frames), as_mask(clip.masks))

    @classmethod
    def fingerprint_inputs(cls, name: str) -> float:
        """Changes when another person was saved under that name."""
        return (folders.find_person(name) / CONFIG).stat().st_mtime


class ApplyMotion(io.ComfyNode):
    """Gives a person a motion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionApplyMotion",
            display_name="Apply motion",
            category=CATEGORY,
            description="The tuned person performing a motion; nothing is tuned.",
            inputs=[
                BaseType.Input("base", tooltip="The one that the person was tuned on."),
                PersonType.Input("person", tooltip="From 'Tune person' or 'Load person'."),
                PosesType.Input("motion", tooltip="Of a reference; or retargeted already, with alignment 'none'."),
                io.Combo.Input(
                    "alignment",
                    options=["as the preset", *get_args(AlignmentMethod)],
                    tooltip="How the motion is brought to the person's proportions, see 'Retarget motion'.",
                ),
                io.String.Input("prompt", default="", multiline=True, tooltip="Of the edit; empty: the person's own."),
                io.Combo.Input("preset", options=PRESETS, default=RECOMMENDED, tooltip=PRESET),
                as_preset("steps", 1000, "Of sampling"),
                as_preset("guidance_scale", 30.0, "1: none", step=0.1),
                io.String.Input("settings", default="", multiline=True, tooltip=SETTINGS),
                io.Boolean.Input("download", default=False, tooltip=DOWNLOAD),
            ],
            outputs=[
                io.Image.Output("images", display_name="images", tooltip="The edited frames."),
                io.Video.Output("video", display_name="video", tooltip="The same at the motion's rate."),
                PosesType.Output("poses", display_name="poses", tooltip="The skeletons that guided the edit."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(
        cls,
        base: ManagedBase,
        person: Person,
        motion: Poses,
        alignment: str,
        prompt: str,
        preset: str,
        steps: int,
        guidance_scale: float,
        settings: str,
        download: bool,
    ) -> io.NodeOutput:
        """Samples the edit."""
        sampling = {"steps": steps, "guidance_scale": guidance_scale}
        node: dict[str, Any] = {
            "edit_prompt": prompt.strip() or None,
            "sampling": {name: value for name, value in sampling.items() if value != AS_PRESET},
            "runtime": {"seed": person.config.runtime.seed},
        }
        if alignment in get_args(AlignmentMethod):
            node["alignment"] = {"method": alignment}
        under = (person.preset or None) if preset == RECOMMENDED else preset
        config = choose(ApplyConfig, base.model, under, node, settings).config
        reference = draw_reference(motion.keypoints, motion.fps)
        foresee(config.alignment, reference, person.source)
        progress = NodeProgress(config)
        preview = LatentPreview.fit(person.latents, person.source.video.frames)

        def on_step(t: int, z: Tensor) -> None:
            if progress.wants_picture:
                progress.show(preview.show(z)[z.shape[1] // 2])

        with downloads(download), base.loaded() as backbone:
            edit = apply_motion(backbone, person, reference, config, progress, on_step=on_step)
        video = as_video(edit.frames, motion.fps)
        return io.NodeOutput(as_images(edit.frames), video, Poses(edit.skeletons, motion.fps))


class Scores(io.ComfyNode):
    """Measures an edit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionScores",
            display_name="Scores",
            category=CATEGORY,
            description="Whatever can be measured of an edit: its pose against the skeletons, its background against "
            "the source, its flicker; with the truth PSNR, SSIM and LPIPS.",
            inputs=[
                io.Image.Input("images", tooltip="The edit."),
                io.Boolean.Input("download", default=False, tooltip=DOWNLOAD),
                PosesType.Input("poses", optional=True, tooltip="The skeletons that guided it."),
                PersonType.Input("person", optional=True, tooltip="Who was edited; their clip has the background."),
                io.Image.Input("truth", optional=True, tooltip="The same person truly doing it, frame by frame."),
            ],
            outputs=[io.String.Output("scores", display_name="scores", tooltip="JSON: value by name.")],
            is_output_node=True,
        )

    @classmethod
    @in_node_words()
    def execute(
        cls,
        images: Tensor,
        download: bool,
        poses: Poses | None = None,
        person: Person | None = None,
        truth: Tensor | None = None,
    ) -> io.NodeOutput:
        """Measures it."""
        frames, source, masks = as_frames(images), None, None
        if person is not None:
            source, masks = _behind(person, len(frames), None if poses is None else poses.fps)
        with downloads(download):
            scores = score_frames(
                frames,
                open_finder(PeopleConfig()),
                NodeProgress(),
                source=source,
                masks=masks,
                skeletons=None if poses is None else poses.keypoints,
                truth=None if truth is None else as_frames(truth),
            )
        text = json.dumps({name: round(value, 4) for name, value in scores.items()}, indent=2)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def _behind(
    person: Person, frames: int, fps: Fraction | None
) -> tuple[UInt8[np.ndarray, "f h w 3"], Bool[np.ndarray, "f h w"]]:
    """The person's own frames and masks that go with those of an edit."""
    clip = person.source
    shown = loop_frames(len(clip), frames, clip.video.fps / (fps or clip.video.fps))
    return clip.video.frames[shown], clip.masks[shown]


def choose(
    kind: type[AnyConfig], model: BaseConfig, preset: str | None, node: Mapping[str, Any], settings: str
) -> Choice[AnyConfig]:
    """The configuration of a node: the preset, then what the node says, then further settings.

    Raises:
        ConfigError: the further settings are no YAML, or none of those that a workflow may bring.
    """
    try:
        further = parse_yaml(settings) or {}
        if not isinstance(further, dict):
            raise ValueError(f"got {further!r:.40}")
    except ValueError as error:
        raise ConfigError(f"expected settings as YAML, 'sampling: {{guidance_scale: 3}}': {error}") from error
    check_settings(further)
    layers = merge(node, {name: part for name, part in further.items() if name in kind.model_fields})
    return choose_settings(kind, ("node", layers), preset=preset, base=model.base)


def digest_tuning(clip: PreparedClip, config: TuneConfig, base: str) -> str:
    """Names an unfinished tuning by all that decides it."""
    digest = sha256(repr((config.identity(), clip.video.fps, base)).encode())
    points = clip.keypoints
    for part in (clip.video.frames, clip.masks, points.body, points.hands, points.face):
        digest.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:32]
