"""Everything that can be set, as frozen typed values; YAML in and out; an unknown key is an error."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from edit_your_motion.errors import ConfigError
from edit_your_motion.storage.parsing import read_yaml

STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
OPENPOSE_CONTROLNET = "lllyasviel/sd-controlnet-openpose"


class Section(BaseModel):
    """A group of settings: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_empty(cls, value: Any, info: Any) -> Any:
        """An empty text is a variable that was not set, and as a path it would be the folder one is in."""
        name = info.field_name or ""
        if value == "" and cls.model_fields[name].default != "" and not name.endswith("prompt"):
            raise ValueError("expected a value, or nothing at all")
        return value


class BaseConfig(Section):
    """The pretrained networks."""

    base: str = Field(
        STABLE_DIFFUSION,
        description="Folder, .safetensors file or hub name of a base built like Stable Diffusion 1.5; 'small' ships.",
    )
    controlnet: str = Field(
        OPENPOSE_CONTROLNET,
        description="Folder, file or hub name of its openpose ControlNet; the small base has its own.",
    )
    motion_adapter: str | None = Field(
        None, description="Folder or hub name of an AnimateDiff adapter, in place of new temporal attention."
    )
    vae: str | None = Field(None, description="Folder, file or hub name of another VAE.")
    tokenizer: str | None = Field(
        None,
        description="Folder or hub name of a tokenizer; default: the base's, or CLIP's for a base in one file.",
    )
    lora: tuple[str, ...] = Field(
        (), description="LoRAs merged into the base: FILE.safetensors or FILE.safetensors:WEIGHT."
    )

    @property
    def knows_hands(self) -> bool:
        """Whether the ControlNet is known to have learnt hands and faces, as version 1.1 of the published one has."""
        return "control_v11" in Path(self.used_controlnet).name

    @property
    def used_controlnet(self) -> str:
        """The ControlNet that takes part: with the small base its own, where no other one is given."""
        own = self.base == "small" and self.controlnet == OPENPOSE_CONTROLNET
        return "small" if own else self.controlnet


SIZE = re.compile(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*")  # noqa: RUF001
"""A side, or width and height."""


def _check_size(text: str) -> str:
    if text.strip().lower() != "auto" and not SIZE.fullmatch(text):
        raise ValueError("a size is '512', '768x512' (width x height) or 'auto'")
    return text


Size = Annotated[str, AfterValidator(_check_size)]


class PaceConfig(Section):
    """How many frames are taken, and how close to each other."""

    frames: int | None = Field(None, ge=1, le=20_000, description="So many at most; default: all.")
    fps: float | None = Field(
        None,
        gt=0,
        le=240,
        description="Frames a second; default: the file's, or an even part of it, up to 30.",
    )
    stride: int | None = Field(
        None, ge=1, le=1000, description="Take every n-th frame, of the file or at the rate given."
    )


class VideoConfig(PaceConfig):
    """Frames and size of both clips; what a clip itself says goes first."""

    size: Size = Field(
        "auto",
        description="'512' (square), '768x512' (width x height), or 'auto': the source's shape, the base's number"
        " of pixels.",
    )
    fit: Literal["crop", "pad"] = Field("crop", description="How another shape is brought to the size.")
    sound: bool = Field(False, description="Carry sound along.")
    sound_of: Literal["reference", "source"] = Field(
        "reference", description="Whose: the reference's, as the motion, or the source's from its start."
    )

    def choose(self, clip: "ClipConfig") -> "ClipConfig":
        """The frames of one clip: its own settings, and these where it has none; a rate of its own leaves no stride."""
        shared = {name: getattr(self, name) for name in PaceConfig.model_fields}
        own = {name: value for name in PaceConfig.model_fields if (value := getattr(clip, name)) is not None}
        if own.keys() & {"fps", "stride"}:
            shared |= {"fps": None, "stride": None}
        return clip.model_copy(update={**shared, **own})


class ClipConfig(PaceConfig):
    """One clip, and which of its frames."""

    path: str | None = Field(None, description="Where it is.")
    start: float = Field(0.0, ge=0, allow_inf_nan=False, description="Where to begin, seconds.")
    end: float | None = Field(None, gt=0, allow_inf_nan=False, description="Where to end, seconds.")
    duration: float | None = Field(None, gt=0, allow_inf_nan=False, description="Or how long to go on, seconds.")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "ClipConfig":
        if self.end is not None and self.duration is not None:
            raise ValueError("'end' and 'duration' say the same; leave one of them out")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"expected 'end' after 'start', which is {self.start:g}")
        return self

    @property
    def until(self) -> float | None:
        """Where it ends, seconds; None for the end of the file."""
        return self.end if self.duration is None else self.start + self.duration


class SourceConfig(ClipConfig):
    """The clip with the person."""

    path: str | None = Field(None, description="Video, picture, GIF or folder of frames with the person.")


class ReferenceConfig(ClipConfig):
    """The clip with the motion."""

    path: str | None = Field(None, description="Video, GIF or folder of frames with the motion.")


OF_SOURCE = ("person", "keypoints", "masks", "mask_label", "plate")
OF_REFERENCE = ("reference_person", "reference_keypoints")
"""Settings of people that concern one of the clips alone."""


class PeopleConfig(Section):
    """How people are found."""

    backend: str = Field("blazepose", description="Finds keypoints and masks: blazepose, rtmlib.")
    model: Literal["full", "heavy", "lite"] = Field(
        "full", description="Of blazepose: heavier is more exact and slower."
    )
    detector: Path | None = Field(None, description="Of rtmlib: YOLOX ONNX file; default: its own download.")
    pose: Path | None = Field(None, description="Of rtmlib: whole-body ONNX file; default: its own download.")
    hands: bool = Field(True, description="Find hands too, 21 points each.")
    face: bool = Field(True, description="Find the face too, 70 points.")
    person: int | None = Field(
        None, ge=1, description="Which person of the source, from the left; default: the largest."
    )
    reference_person: int | None = Field(None, ge=1, description="Which person of the reference.")
    rate: float = Field(
        30.0,
        ge=0,
        allow_inf_nan=False,
        description="Frames a second in which people are looked for, between the edited ones too; 0: no others.",
    )
    smooth: bool = Field(True, description="Smooth keypoints over time, without lag.")
    fill_gaps: bool = Field(True, description="Fill short gaps in the keypoints.")
    keep_sides: bool = Field(True, description="Swap left and right back where the finder changed them.")
    keypoints: Path | None = Field(
        None, description="Ready keypoints of the source (docs/files.md), or a skeleton video."
    )
    masks: Path | None = Field(
        None, description="Ready masks of the source: a folder of pictures or a video (docs/files.md)."
    )
    mask_label: int | None = Field(
        None, ge=0, le=65535, description="Which label of the masks is the person; 0: what is black."
    )
    plate: Path | None = Field(
        None,
        description="Ready plate of the source, the place without the person: one picture if the camera stands "
        "still, else one a frame.",
    )
    reference_keypoints: Path | None = Field(
        None, description="Ready keypoints of the reference, with its video or alone."
    )

    def of_bodies(self) -> "PeopleConfig":
        """The same without hands and faces, for whom these are of no use."""
        return self.model_copy(update={"hands": False, "face": False})

    def without(self, settings: Iterable[str]) -> "PeopleConfig":
        """The same with these settings as they are by default."""
        return self.model_copy(update={name: type(self).model_fields[name].default for name in settings})


class AlignmentConfig(Section):
    """How the reference's skeletons are brought to the source's person."""

    method: Literal["paper", "limbs", "none"] = Field("limbs", description="Algorithm 1, limb lengths, or nothing.")
    place: Literal["inside", "median", "start", "filmed"] = Field(
        "inside",
        description="Of limbs, from left to right: where the source's travel is, kept inside the picture or not; "
        "beginning where it does; or as filmed.",
    )
    size: float = Field(1.0, ge=0.1, le=10, description="By hand: larger or smaller, feet where they were.")
    right: float = Field(0.0, ge=-2, le=2, description="By hand: farther to the right, in widths of the picture.")
    down: float = Field(0.0, ge=-2, le=2, description="By hand: farther down, in heights of the picture.")


def _name_of_switch(value: object) -> object:
    """Motion attention by name, where it is only switched on or off."""
    return {True: "paper", False: "none"}[value] if isinstance(value, bool) else value


class NetworkConfig(Section):
    """What the inflated network is made of."""

    frame_attention: Literal["recurrent", "recurrent-own", "spatial", "sparse-causal", "previous"] = Field(
        "recurrent",
        description="Whose keys and values: recurrent is RCA (Eq. 9), both neighbours; recurrent-own the frame's "
        "own too.",
    )
    temporal_attention: Literal["from-zero", "tune-a-video", "motion-editor"] = Field(
        "from-zero",
        description="Before the feed-forward, adding nothing at first (the paper); after it, with a random bias "
        "(Tune-A-Video), and causal (MotionEditor).",
    )
    motion_attention: Annotated[Literal["paper", "motion-editor", "none"], BeforeValidator(_name_of_switch)] = Field(
        "paper",
        description="What adapts ControlNet's residuals: MA, MotionEditor's adapter, or nothing.",
    )
    motion_attention_tokens: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Keys of MA's attention in space at most, averages over cells beyond that; default: all.",
    )
    conditioning_scale: float = Field(1.0, ge=0, le=4, description="Strength of ControlNet.")
    skeletons: Literal["auto", "body", "whole"] = Field(
        "auto",
        description="What ControlNet is shown: the body, or hands and face too; auto: these if its name has "
        "control_v11, which has learnt them.",
    )

    def of_unet(self) -> dict[str, Any]:
        """What of it `VideoUNet` is made of, by the names of its arguments; the rest is ControlNet's."""
        return self.model_dump(exclude={"conditioning_scale", "skeletons"})


Part = Literal[
    "temporal-attention",
    "motion-attention",
    "frame-attention",
    "temporal-projections",
    "frame-queries",
    "text-queries",
]
"""What can be tuned: temporal attention (or the motion adapter), MA, and RCA; and what Tune-A-Video tunes of them:
temporal attention without its norm, and the queries of the attentions to frames and to the prompt."""


class StageConfig(Section):
    """One stage of tuning."""

    trains: tuple[Part, ...] = Field(description="The parts that train; all else is frozen.")
    pixels: Literal["person", "whole"] = Field(description="Frames with the background masked, or whole ones.")
    skeletons: bool = Field(True, description="With the source's skeletons, and so ControlNet.")
    iterations: int = Field(300, ge=0, le=100_000, description="Optimiser steps.")
    learning_rate: float = Field(3e-5, gt=0, le=1, description="Of AdamW.")
    person_weight: float = Field(
        1.0, ge=1, le=1000, description="Weight of the person in the loss, where the background has 1."
    )

    @model_validator(mode="after")
    def _has_what_it_trains(self) -> "StageConfig":
        if "motion-attention" in self.trains and not self.skeletons:
            raise ValueError("a stage that trains 'motion-attention' needs skeletons, for it is on ControlNet's side")
        return self


class MotionStageConfig(StageConfig):
    """Stage 1: temporal features of the person's motion."""

    trains: tuple[Part, ...] = Field(("temporal-attention", "motion-attention"), description="What trains.")
    pixels: Literal["person", "whole"] = Field("person", description="The person on black, or whole frames.")


class AppearanceStageConfig(StageConfig):
    """Stage 2: spatial features of appearance and background."""

    trains: tuple[Part, ...] = Field(("frame-attention", "motion-attention"), description="What trains.")
    pixels: Literal["person", "whole"] = Field("whole", description="The person on black, or whole frames.")


class EarlyStoppingConfig(Section):
    """When a stage of tuning ends before its last iteration: once a held-out loss improves no more."""

    enabled: bool = Field(False, description="Stop by a held-out loss.")
    every: int = Field(25, ge=1, le=100_000, description="Steps between two evaluations.")
    patience: int = Field(3, ge=1, le=10_000, description="Evaluations without improvement before a stage ends.")
    improvement: float = Field(
        0.005, ge=0, lt=1, description="Share by which the least loss must fall to count as one."
    )
    draws: int = Field(8, ge=1, le=1000, description="Fixed noises and timesteps of an evaluation, never tuned on.")
    frames: int = Field(
        0, ge=0, le=4096, description="Last frames, of a clip of more than 4, held out to be evaluated on."
    )


Recompute = Literal["everything", "cheap", "nothing"]
"""What of a layer is computed again for its gradient: all of it; norms and activations, but no matrix product,
convolution or attention; or nothing. The less, the faster, and the more memory."""

Recomputation = bool | tuple[Recompute, ...]
"""The same for all levels of the U-Net: everything (True) or nothing (False); or for each, the finest first, and the
last for all below."""


class DecoderConfig(Section):
    """Tuning of the VAE's decoder on the source's frames, after the two stages; not in the paper."""

    iterations: int = Field(0, ge=0, le=100_000, description="Optimiser steps; 0 leaves the base's decoder.")
    learning_rate: float = Field(3e-4, gt=0, le=1, description="Of AdamW, at first; it falls to nothing.")
    batch: int = Field(4, ge=1, le=256, description="Frames of each step.")
    noise: float = Field(
        0.1,
        ge=0,
        le=10,
        description="Noise on the latents, in their standard deviations.",
    )


class TuningConfig(Section):
    """The two stages (STL, section III.D), and how they are run."""

    motion: MotionStageConfig = MotionStageConfig()
    appearance: AppearanceStageConfig = AppearanceStageConfig()
    optimizer: Literal["adamw", "adamw-8bit"] = Field("adamw", description="8-bit needs a CUDA GPU.")
    weight_decay: float = Field(1e-2, ge=0, le=100, description="Of AdamW.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    gradient_checkpointing: bool = Field(True, description="Recompute activations: less memory, a third more time.")
    recompute: tuple[Recompute, ...] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="The same by level of the U-Net, finest first, the last for all below; cheap: all but matrix "
        "products, convolutions and attention.",
    )
    checkpoint_every: int = Field(50, ge=1, description="Steps between two checkpoints.")
    window: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Frames of a step, around a random one; default: all, at most --windows.frames.",
    )
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    decoder: DecoderConfig = DecoderConfig()

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """The stages in order."""
        return (self.motion, self.appearance)

    @property
    def recomputation(self) -> Recomputation:
        """What is computed again for the gradient."""
        return self.gradient_checkpointing if self.recompute is None else self.recompute


class WindowsConfig(Section):
    """How a clip longer than the network sees at once is covered."""

    frames: int = Field(16, ge=1, le=4096, description="Frames that the network sees at once; decides the memory.")
    overlap: int = Field(4, ge=0, le=4095, description="Frames that two windows share and fade over.")
    context: int = Field(1, ge=0, le=2047, description="Of these, frames at a window's ends that have no say.")
    shift: bool = Field(False, description="Move the windows from step to step.")


Prediction = Literal["epsilon", "v_prediction"]
"""What a U-Net says about noisy latents, in the words of ``diffusers``: their noise, or their velocity."""

SolverName = Literal["ddim", "dpm++2m"]
"""How the path between latents and noise is walked: first order, the paper's; or second order, for fewer steps."""


class InversionConfig(Section):
    """Inversion of the source (Eq. 17)."""

    of: Literal["source", "plate"] = Field(
        "source",
        description="The source, or its clean plate, so that the noise forgets the old pose.",
    )
    steps: int = Field(50, ge=1, le=999, description="Steps from the source's latents to its noise.")
    solver: SolverName = Field(
        "ddim", description="dpm++2m is of second order, for fewer steps; take it for sampling too."
    )
    fixed_point: int = Field(
        0,
        ge=0,
        le=100,
        description="Passes that make it exact for sampling with the same solver and steps; each costs an inversion.",
    )
    skeleton: bool = Field(True, description="Condition it on the source's skeletons.")
    prompt: bool = Field(True, description="Condition it on the prompt, not the empty one.")
    guidance_scale: float = Field(1.0, ge=0, le=30, description="Classifier-free guidance; 1 is none.")


class SamplingConfig(Section):
    """Sampling of the edit."""

    steps: int = Field(50, ge=1, le=999, description="Steps from the noise to the edit.")
    preview_every: int = Field(
        0, ge=0, le=999, description="Write preview.png, the middle frame so far, after every so many steps; 0: never."
    )
    solver: SolverName = Field("ddim", description="dpm++2m is of second order, for fewer steps.")
    guidance_scale: float = Field(1.0, ge=0, le=30, description="Classifier-free guidance; 1 is none.")
    guidance_from: Literal["prompt", "skeleton", "pose"] = Field(
        "prompt",
        description="What it leads away from: the negative prompt, everywhere; or, around the person, no skeleton"
        " (a stronger pose) or the source's pose (only what differs).",
    )
    guidance_rescale: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How far guided predictions get back the colours and contrast of unguided ones: 0 not at all,"
        " 1 wholly.",
    )
    negative_prompt: str = Field("", description="What guidance from the prompt leads away from.")
    person_noise: Literal["inverted", "fresh", "moved", "warped"] = Field(
        "inverted",
        description="Where the person was or will be, begin with the inverted noise, fresh noise without the old "
        "pose, or fresh noise over the person's moved colours or its own pixels, warped to the new pose.",
    )
    person_held: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="Share of the steps, the first ones, that hold a moved or warped person to its colours.",
    )
    detail: Literal["generated", "source"] = Field(
        "generated",
        description="The person as generated, or with its own pixels, warped to the new pose, wherever the source "
        "shows that side.",
    )
    background: Literal["generated", "source", "plate"] = Field(
        "generated",
        description="Where nobody stands: as generated, the source's own pixels, or the clean plate, with the "
        "person laid over it.",
    )
    shadow: bool = Field(
        True, description="On the plate, cast at the edit's feet the soft shadow that the source's cast."
    )
    colours: Literal["generated", "source"] = Field(
        "generated",
        description="Of the person's hair, skin, trousers and shoes: as generated, or those measured in the source.",
    )

    @property
    def warps(self) -> bool:
        """Whether the person's own pixels are brought to the new poses."""
        return self.person_noise == "warped" or self.detail == "source"

    @property
    def needs_plate(self) -> bool:
        """Whether the place without its person is wanted."""
        return self.background == "plate" or self.warps


class RuntimeConfig(Section):
    """The machine."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="auto: bf16 on a GPU that has it, else fp16; fp32 on a CPU."
    )
    seed: int = Field(33, ge=0, lt=2**63, description="Of tuning's noise and timesteps.")
    memory: str | None = Field(
        None,
        description="What the edit may take, as '8GB' or '7.5GiB', of the GPU or else the machine: decides what "
        "to recompute, offload, tile and halve.",
    )
    frozen_storage: Literal["compute", "fp16", "bf16"] = Field(
        "compute",
        description="How frozen weights wait; fp16 halves them in fp32, and changes nothing if the base was saved so.",
    )
    offload: bool = Field(False, description="Keep VAE and text encoder on a GPU only while they work.")
    tiled_vae: bool = Field(
        False, description="Encode and decode in tiles: less memory for large frames, faint joints."
    )
    channels_last: bool = Field(False, description="Lay convolutions out channels last; faster on some machines.")
    compile: bool = Field(
        False, description="Compile repeated layers with torch.compile; needs a C++ compiler, pays on GPUs."
    )
    winograd: bool = Field(
        False,
        description="Wide 3x3 convolutions by Winograd's algorithm, on a CPU in fp32: twice as fast, four times "
        "their weights of memory.",
    )
    winograd_tiles: int = Field(
        32,
        ge=1,
        description="Fewest tiles of such a convolution: with 64 less memory and a tenth slower (docs/speed.md).",
    )

    @model_validator(mode="after")
    def _compiles_what_can_be_compiled(self) -> "RuntimeConfig":
        if self.compile and self.winograd:
            raise ValueError("'compile' and 'winograd' exclude each other; leave one of them off")
        return self


class Job(Section):
    """Settings of a whole job, by today's names or those of earlier files."""

    @model_validator(mode="before")
    @classmethod
    def _take_earlier_names(cls, values: Any) -> Any:
        return rename(cls, values) if isinstance(values, Mapping) else values


class TuneConfig(Job):
    """What makes a tuned person out of a source."""

    source: SourceConfig = SourceConfig()
    prompt: str = Field(
        "", description="What the source shows: 'a man in a striped shirt is dancing'; needed unless it is completed."
    )
    complete_prompt: bool = Field(
        False,
        description="Say what the source shows of hair, skin and clothes and the prompt does not; for bases that know "
        "such words.",
    )
    model: BaseConfig = BaseConfig()
    video: VideoConfig = VideoConfig()
    people: PeopleConfig = PeopleConfig()
    network: NetworkConfig = NetworkConfig()
    tuning: TuningConfig = TuningConfig()
    windows: WindowsConfig = WindowsConfig()
    inversion: InversionConfig = InversionConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @property
    def draws_whole(self) -> bool:
        """Whether ControlNet is shown hands and faces."""
        skeletons = self.network.skeletons
        return self.model.knows_hands if skeletons == "auto" else skeletons == "whole"

    @property
    def source_clip(self) -> ClipConfig:
        """The source, and which of its frames."""
        return self.video.choose(self.source)

    def identity(self) -> dict[str, Any]:
        """What decides the tuned person: all but the machine, and what only the reference has to do with."""
        of_no_account = {
            "runtime": {"device", "memory", "offload", "channels_last", "compile", "winograd", "winograd_tiles"},
            "tuning": {"checkpoint_every", "gradient_checkpointing", "recompute"},
            "video": {"frames", "fps", "stride", "sound", "sound_of"},
            "people": set(OF_REFERENCE),
        }
        values = self.model_dump(mode="json", exclude=of_no_account)
        return {**values, "source": self.source_clip.model_dump(mode="json")}

    def for_tuning(self) -> "TuneConfig":
        """What of it concerns tuning: the same, whichever reference the person is tuned for."""
        own = {name: getattr(self, name) for name in TuneConfig.model_fields}
        video = VideoConfig(size=self.video.size, fit=self.video.fit)
        people = self.people.without(OF_REFERENCE)
        return TuneConfig(**{**own, "source": self.source_clip, "video": video, "people": people})


class ApplyConfig(Job):
    """What gives a tuned person a reference's motion."""

    reference: ReferenceConfig = ReferenceConfig()
    edit_prompt: str | None = Field(None, description="Prompt for the edit; default: the source's.")
    video: VideoConfig = VideoConfig()
    people: PeopleConfig = PeopleConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    windows: WindowsConfig = WindowsConfig()
    sampling: SamplingConfig = SamplingConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @property
    def reference_clip(self) -> ClipConfig:
        """The reference, and which of its frames."""
        return self.video.choose(self.reference)

    def for_applying(self) -> "ApplyConfig":
        """What of it concerns applying: of people, what the reference has to do with."""
        own = {name: getattr(self, name) for name in ApplyConfig.model_fields}
        return ApplyConfig(**{**own, "people": self.people.without(OF_SOURCE)})


class EditConfig(ApplyConfig, TuneConfig):
    """One whole edit: tune, then apply."""

    def identity(self) -> dict[str, Any]:
        """What decides the edit; a setting that plays no part in it is left out, so its default may change."""
        values = super().identity()
        values["reference"] = self.reference_clip.model_dump(mode="json")
        del values["sampling"]["preview_every"]
        if self.sampling.person_noise not in {"moved", "warped"}:
            del values["sampling"]["person_held"]
        return values


class PrepareConfig(Job):
    """What finding people in clips takes."""

    source: SourceConfig = SourceConfig()
    reference: ReferenceConfig = ReferenceConfig()
    video: VideoConfig = VideoConfig()
    people: PeopleConfig = PeopleConfig()
    alignment: AlignmentConfig = AlignmentConfig()

    @property
    def source_clip(self) -> ClipConfig:
        """The source, and which of its frames."""
        return self.video.choose(self.source)

    @property
    def reference_clip(self) -> ClipConfig:
        """The reference, and which of its frames."""
        return self.video.choose(self.reference)


AnyConfig = TypeVar("AnyConfig", bound=Section)


def parse_config(kind: type[AnyConfig], *layers: Mapping[str, Any]) -> AnyConfig:
    """The configuration that nested values describe, laid over the defaults; later layers win.

    Raises:
        ConfigError: for an unknown key or a value of the wrong kind, with the key's full name.
    """
    try:
        return kind.model_validate(merge(kind().model_dump(), *(rename(kind, layer) for layer in layers)))
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def rename(kind: type[Section], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with a clip that is no more than a path, and its start among those of the video, where they belong."""
    if not issubclass(kind, Job):
        return dict(values)
    clips: dict[str, dict[str, Any]] = {}
    for name in ("source", "reference"):
        given = values.get(name, {})
        if isinstance(given, str | Path | None):
            clips[name] = {"path": None if given is None else str(given)}
    video = values.get("video")
    if isinstance(video, Mapping):
        starts = {"source": "start", "reference": "reference_start"}
        for name, start in starts.items():
            if start in video:
                given = clips.get(name, values.get(name, {}))
                clips[name] = {"start": video[start], **(given if isinstance(given, Mapping) else {})}
        video = {name: value for name, value in video.items() if name not in starts.values()}
    renamed = {**values, **{name: clip for name, clip in clips.items() if name in kind.model_fields}}
    return renamed if video is None else {**renamed, "video": video}


def explain(error: ValidationError) -> str:
    """Every problem of a validation in one line, with the full name of its setting."""
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {_explain(problem)}" for problem in error.errors())


def load_config(path: Path) -> dict[str, Any]:
    """The nested values of a YAML file, not yet checked against a configuration.

    Raises:
        ConfigError: if the file cannot be read, is no YAML, or is no mapping.
    """
    try:
        values = read_yaml(path)
    except ValueError as error:
        raise ConfigError(f"expected a YAML configuration at {path}: {error}") from error
    if not isinstance(values, dict):
        got = type(values).__name__
        raise ConfigError(f"expected a mapping of settings by name in {path}, got {got}; see 'eym config'")
    return values


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over one another; the later one wins, key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting of nested mappings by its full name, as "sampling.steps", with its value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their full names as nested mappings: what `flatten` was given."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        inner = nested
        *sections, last = name.split(".")
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return nested


def dump_config(config: Section) -> str:
    """The configuration as YAML, complete and in the order of its definition; loads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def _explain(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such setting; 'eym config' prints all of them"
    return f"{problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r:.200}"
