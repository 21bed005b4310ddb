"""The method as a pipeline, with the conventions of diffusers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from edit_your_motion.config import AnyConfig, ApplyConfig, BaseConfig, RuntimeConfig, Section, TuneConfig, parse_config
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import ConfigError, VideoError
from edit_your_motion.models.backbone import Backbone, as_pictures
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import PreparedClip, choose_canvas, foresee, prepare_reference, prepare_source
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import is_person
from edit_your_motion.presets import PresetName, choose_settings
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.tuning.loop import OnTuningStep
from edit_your_motion.video import Video
from edit_your_motion.video.clip import STILL_RATE

Clip = str | Path | Video | PreparedClip | UInt8[np.ndarray, "f h w 3"] | Sequence[Image.Image]
"""A file or folder, or frames: as an array, as pictures, or with the person already found."""

OutputType = Literal["np", "pt", "pil", "latent"]

OnStepEnd = Callable[["EditYourMotionPipeline", int, int, dict[str, Tensor]], dict[str, Tensor] | None]
"""``callback_on_step_end`` of diffusers: pipeline, step, timestep, {"latents"}; may return other latents."""

PRECISIONS: dict[torch.dtype, Literal["fp32", "fp16", "bf16"]] = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
}


@dataclass(frozen=True, eq=False)
class EditOutput:
    """An edit.

    Args:
        frames: by ``output_type``: "np" float (f, h, w, 3) in [0, 1]; "pt" float (f, 3, h, w) in [0, 1]; "pil" a list
            of pictures; "latent" the latents (1, f, c, lh, lw).
        skeletons: the reference's keypoints on the source's canvas, which guided the edit.
    """

    frames: Any
    skeletons: Keypoints


class EditYourMotionPipeline:
    """Tunes Stable Diffusion on a video of a person, and gives that person other people's motions.

    For example:

        pipeline = EditYourMotionPipeline.from_pretrained(
            "stable-diffusion-v1-5/stable-diffusion-v1-5", controlnet="lllyasviel/sd-controlnet-openpose"
        )
        pipeline.tune("source.mp4", prompt="a man in a striped shirt is doing tai chi")
        pipeline.save_pretrained("person")
        frames = pipeline.apply("reference.mp4", output_type="pil").frames

    Args:
        backbone: the frozen networks.
        model: their names, kept with every person that is tuned on them.
        person: a tuned person, if there is one already.
    """

    def __init__(self, backbone: Backbone, model: BaseConfig, person: Person | None = None) -> None:
        self.backbone, self.model, self.person = backbone, model, person

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        base: str | Path | None = None,
        controlnet: str | Path | None = None,
        motion_adapter: str | Path | None = None,
        torch_dtype: torch.dtype | None = None,
        device: str = "auto",
        other_base: bool = False,
    ) -> "EditYourMotionPipeline":
        """Loads a base, or a person that `save_pretrained` wrote together with the base they were tuned on.

        Args:
            name: folder or hub name of a base in the layout of Stable Diffusion 1.5, or the folder of a person.
            base: of a person, where the base that they were tuned on lies now, if it was moved.
            controlnet: folder or hub name of an openpose ControlNet; Stable Diffusion 1.5's by default.
            motion_adapter: folder or hub name of an AnimateDiff adapter to tune in place of new temporal attention.
            torch_dtype: what to compute in; by default what suits the device.
            device: "auto", "cpu", "cuda", "mps".
            other_base: go on with a person though this is not the base that they were tuned on.

        Raises:
            CheckpointError: if something is missing or does not fit.
            ConfigError: if there is no such device or precision.
        """
        person = load_person(Path(name)) if is_person(Path(name)) else None
        model = person.config.model if person else BaseConfig(base=str(name))
        given = {"base": base, "controlnet": controlnet, "motion_adapter": motion_adapter}
        model = model.model_copy(update={key: str(value) for key, value in given.items() if value is not None})
        if torch_dtype is not None and torch_dtype not in PRECISIONS:
            raise ConfigError(f"expected torch_dtype to be one of {', '.join(map(str, PRECISIONS))}, got {torch_dtype}")
        runtime = RuntimeConfig(device=device, precision="auto" if torch_dtype is None else PRECISIONS[torch_dtype])
        backbone = Backbone.load(model, runtime)
        if person and other_base:
            person = replace(person, base_digests=backbone.base.digests)
        return cls(backbone, model, person)

    def tune(
        self,
        source: Clip,
        prompt: str | None = None,
        *,
        preset: PresetName | None = None,
        config: TuneConfig | Mapping[str, Any] | None = None,
        generator: torch.Generator | None = None,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        callback: OnTuningStep | None = None,
    ) -> Person:
        """Tunes on a source and keeps the person for `apply` and `save_pretrained`; also returns them.

        Args:
            source: the person to be edited; all of the clip, unless the configuration says which frames.
            prompt: what the source shows; by default the configuration's.
            preset: settings under yours; by default what the base recommends, else "paper".
            config: nested settings over the preset, or all of them as a `TuneConfig`, which takes no preset.
            generator: its seed takes the place of the configuration's.
            checkpoint: file in which an unfinished tuning is kept, to go on with after an interruption.
            progress: is told how far each phase is.
            callback: called after each step of tuning.

        Raises:
            ConfigError: if a setting or preset is unknown, or a preset and a `TuneConfig` are given.
            InputError: if the source cannot be used.
        """
        progress = progress or SilentProgress()
        config, taken = self._choose(TuneConfig, config, preset)
        runtime = config.runtime
        if generator is not None:
            runtime = runtime.model_copy(update={"seed": generator.initial_seed()})
        prompt = config.prompt if prompt is None else prompt
        config = config.model_copy(update={"model": self.model, "prompt": prompt, "runtime": runtime})
        if not isinstance(source, PreparedClip):
            clip, base = as_source(source), self.backbone.base
            canvas = choose_canvas(clip, config.video, base.side_multiple, base.native_side)
            source = prepare_source(clip, canvas, config.source_clip, config.people, progress)
        person = tune_person(self.backbone, source, config, progress, checkpoint=checkpoint, on_step=callback)
        self.person = replace(person, preset=taken)
        return self.person

    def apply(
        self,
        reference: Clip,
        *,
        preset: PresetName | None = None,
        config: ApplyConfig | Mapping[str, Any] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | int | None = None,
        negative_prompt: str | None = None,
        output_type: OutputType = "np",
        progress: Progress | None = None,
        callback_on_step_end: OnStepEnd | None = None,
    ) -> EditOutput:
        """The tuned person performing the reference's motion.

        Args:
            reference: whose motion; all of the clip, unless the configuration says which frames.
            preset: settings under yours; by default the one that the person was tuned under, else what the base
                recommends, else "paper".
            config: nested settings over the preset, or all of them as an `ApplyConfig`, which takes no preset; the
                arguments below win over it.
            num_inference_steps: DDIM steps.
            guidance_scale: classifier-free guidance; 1 is none.
            negative_prompt: what guidance leads away from.
            output_type: form of the frames, see `EditOutput`.
            progress: is told how far each phase is.
            callback_on_step_end: called after each step of sampling.

        Raises:
            ConfigError: if nobody has been tuned yet, a setting or preset is unknown, or a preset and an `ApplyConfig`
                are given.
            InputError: if the reference cannot be used.
        """
        if self.person is None:
            raise ConfigError(
                "expected a tuned person, there is none yet: call tune(), or load one by from_pretrained()"
            )
        if output_type not in get_args(OutputType):
            raise ConfigError(
                f"expected output_type to be one of {', '.join(get_args(OutputType))}, got {output_type!r}"
            )
        progress = progress or SilentProgress()
        config, _ = self._choose(ApplyConfig, config, preset, self.person.preset)
        given = {"steps": num_inference_steps, "guidance_scale": guidance_scale, "negative_prompt": negative_prompt}
        sampling = {key: value for key, value in given.items() if value is not None}
        config = parse_config(ApplyConfig, config.model_dump(), {"sampling": sampling})
        if not isinstance(reference, PreparedClip):
            reference = prepare_reference(as_source(reference), config.reference_clip, config.people, progress)
        foresee(config.alignment, reference, self.person.source)
        steps = iter(range(config.sampling.steps))

        def on_step(t: int, z: Tensor) -> Tensor | None:
            step = next(steps)
            if callback_on_step_end is None:
                return None
            return (callback_on_step_end(self, step, t, {"latents": z}) or {}).get("latents")

        edit = apply_motion(self.backbone, self.person, reference, config, progress, on_step=on_step)
        return EditOutput(_as_type(edit.frames, edit.latents, output_type), edit.skeletons)

    def _choose(
        self,
        kind: type[AnyConfig],
        given: AnyConfig | Mapping[str, Any] | None,
        preset: str | None,
        usual: str = "",
    ) -> tuple[AnyConfig, str]:
        """The configuration, and the preset under it; "" where all was given."""
        if isinstance(given, Section):
            if preset is not None or not isinstance(given, kind):
                raise ConfigError(
                    f"expected settings by name, or a whole {kind.__name__} and no preset; got a {type(given).__name__}"
                    + ("" if preset is None else f" and the preset '{preset}'")
                )
            return given, ""
        chosen = choose_settings(kind, ("given", given or {}), preset=preset or usual or None, base=self.model.base)
        return chosen.config, chosen.preset

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the tuned person: only what was tuned, the source's inversion, and the settings.

        Raises:
            ConfigError: if nobody has been tuned yet.
        """
        if self.person is None:
            raise ConfigError("expected a tuned person to save, there is none yet: call tune()")
        self.person.save(Path(folder))


def as_source(clip: str | Path | Video | np.ndarray | Sequence[Image.Image]) -> str | Path | Video:
    """Frames in whatever form as a `Video`, at 30 a second as those of a folder are; a path as it is.

    Raises:
        VideoError: if the frames are no pictures of one size with values 0 to 255.
    """
    if isinstance(clip, str | Path | Video):
        return clip
    frames = clip
    if not isinstance(frames, np.ndarray):
        pictures = [np.asarray(picture.convert("RGB")) for picture in frames]
        if len({picture.shape for picture in pictures}) != 1:
            raise VideoError(
                f"expected pictures of one size, got {sorted({picture.shape[:2] for picture in pictures})}"
            )
        frames = np.stack(pictures)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise VideoError(f"expected frames as uint8 of shape (f, h, w, 3), got {frames.dtype} of {frames.shape}")
    return Video(frames, STILL_RATE)


def _as_type(
    frames: UInt8[np.ndarray, "f h w 3"], latents: Float[Tensor, "1 f c lh lw"], output_type: OutputType
) -> Any:
    if output_type == "np":
        return frames.astype(np.float32) / 255
    if output_type == "pt":
        return as_pictures(frames)
    if output_type == "pil":
        return [Image.fromarray(frame) for frame in frames]
    return latents
