"""Everything that can be set, as frozen typed values; YAML in and out; an unknown key is an error."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edit_your_motion.errors import ConfigError
from edit_your_motion.storage.parsing import read_yaml

STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
OPENPOSE_CONTROLNET = "lllyasviel/sd-controlnet-openpose"


class Section(BaseModel):
    """A group of settings: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseConfig(Section):
    """The pretrained networks."""

    base: str = Field(
        STABLE_DIFFUSION,
        description="Folder, one-file checkpoint (.safetensors) or hub name of a base with the architecture of Stable "
        "Diffusion 1.5; 'small' is the one that ships.",
    )
    controlnet: str = Field(
        OPENPOSE_CONTROLNET,
        description="Folder, file or hub name of an openpose ControlNet for it; the small base has its own.",
    )
    motion_adapter: str | None = Field(
        None, description="Folder or hub name of an AnimateDiff adapter to use in place of new temporal attention."
    )
    vae: str | None = Field(None, description="Folder, file or hub name of another VAE; default: the base's.")
    tokenizer: str | None = Field(
        None,
        description="Folder or hub name of the prompts' tokenizer; default: the base's, or CLIP's for a base in one "
        "file.",
    )
    lora: tuple[str, ...] = Field(
        (), description="LoRAs for the base, FILE.safetensors or FILE.safetensors:WEIGHT, merged into it as it loads."
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


class PaceConfig(Section):
    """How many frames are taken, and how close to each other."""

    frames: int | None = Field(None, ge=1, le=20_000, description="So many frames at most; default: all there are.")
    fps: float | None = Field(
        None,
        gt=0,
        le=240,
        description="Take frames at this rate (frames/s); default: that of the file, or an even part of it, up to 30.",
    )
    stride: int | None = Field(
        None, ge=1, le=1000, description="Take every n-th frame of the file, or of those at the rate given."
    )


class VideoConfig(PaceConfig):
    """Which frames of both clips, where a clip itself does not say; and at which size."""

    size: str = Field(
        "auto",
        description="'512' (a square), '768x512' (width x height), or 'auto' (the source's shape, about as many "
        "pixels as the base was trained on).",
    )
    fit: Literal["crop", "pad"] = Field("crop", description="How a picture of another shape is brought to the size.")
    sound: bool = Field(False, description="Carry the reference's sound along, as the motion follows it.")

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
    end: float | None = Field(None, gt=0, allow_inf_nan=False, description="Where to end, seconds; default: its end.")
    duration: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="In place of the end, how long to go on, seconds."
    )

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


class PeopleConfig(Section):
    """How people are found."""

    backend: str = Field("blazepose", description="Finds keypoints and masks: blazepose, rtmlib.")
    model: Literal["full", "heavy", "lite"] = Field(
        "full", description="Of blazepose: heavier is more exact and slower."
    )
    detector: Path | None = Field(None, description="Of rtmlib: YOLOX ONNX file; default: rtmlib's own download.")
    pose: Path | None = Field(None, description="Of rtmlib: whole-body ONNX file; default: rtmlib's own download.")
    hands: bool = Field(True, description="Find hands too, 21 points each.")
    face: bool = Field(True, description="Find the face too, 70 points.")
    person: int | None = Field(
        None, ge=1, description="Which person of the source, counted from the left; default: the largest."
    )
    reference_person: int | None = Field(None, ge=1, description="Which person of the reference.")
    rate: float = Field(
        30.0,
        ge=0,
        allow_inf_nan=False,
        description="Frames a second in which people are looked for, those between the edited ones too; 0: no others.",
    )
    smooth: bool = Field(True, description="Smooth keypoints over time, without lag.")
    fill_gaps: bool = Field(True, description="Fill short gaps in the keypoints.")
    keep_sides: bool = Field(
        True, description="Swap left and right back where the finder changed them between two frames."
    )
    keypoints: Path | None = Field(
        None, description="Ready keypoints of the source: ours or a pose tool's (docs/files.md), or a skeleton video."
    )
    masks: Path | None = Field(
        None, description="Ready person masks of the source: a folder of pictures or a video (docs/files.md)."
    )
    mask_label: int | None = Field(
        None, ge=0, le=65535, description="Which label of the masks is the person; 0 for what is black."
    )
    plate: Path | None = Field(
        None,
        description="Ready clean plate of the source, the place without the person: a picture where the camera stands "
        "still, else a video or a folder of as many frames.",
    )
    reference_keypoints: Path | None = Field(
        None, description="Ready keypoints of the reference, with its video or alone."
    )

    def of_bodies(self) -> "PeopleConfig":
        """The same without hands and faces, for whom these are of no use."""
        return self.model_copy(update={"hands": False, "face": False})


class AlignmentConfig(Section):
    """How the reference's skeletons are brought to the source person's place and proportions."""

    method: Literal["paper", "limbs", "none"] = Field(
        "limbs", description="Algorithm 1 of the paper, limb-length retargeting, or nothing."
    )
    place: Literal["inside", "median", "start", "filmed"] = Field(
        "inside",
        description="Of limbs, from left to right: the middle of the travel where the source's is, and inside the "
        "picture as far as it fits or not; or it starts where the source does, or is where the reference was filmed.",
    )
    size: float = Field(1.0, ge=0.1, le=10, description="By hand after that: larger or smaller, feet where they were.")
    right: float = Field(0.0, ge=-2, le=2, description="By hand: farther to the right, in widths of the picture.")
    down: float = Field(0.0, ge=-2, le=2, description="By hand: farther down, in heights of the picture.")


def _name_of_switch(value: object) -> object:
    """Motion attention by name, where it is only switched on or off."""
    return {True: "paper", False: "none"}[value] if isinstance(value, bool) else value


class NetworkConfig(Section):
    """What the inflated network is made of."""

    frame_attention: Literal["recurrent", "recurrent-own", "spatial", "sparse-causal", "previous"] = Field(
        "recurrent",
        description="Keys and values of the frame attention; 'recurrent' is RCA (Eq. 9), from both neighbours, "
        "'recurrent-own' takes those of the frame itself as well.",
    )
    temporal_attention: Literal["from-zero", "tune-a-video", "motion-editor"] = Field(
        "from-zero",
        description="Before the feed-forward, adding nothing at first (the paper); or after it, with a random bias at "
        "first (Tune-A-Video), and causal (MotionEditor).",
    )
    motion_attention: Annotated[Literal["paper", "motion-editor", "none"], BeforeValidator(_name_of_switch)] = Field(
        "paper",
        description="What adapts ControlNet's residuals: the paper's motion attention (MA), MotionEditor's adapter, or "
        "nothing.",
    )
    motion_attention_tokens: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Keys of MA's attention in space, at most: at sites with more tokens, their averages over cells; "
        "default: all.",
    )
    conditioning_scale: float = Field(1.0, ge=0, le=4, description="Strength of ControlNet.")
    skeletons: Literal["auto", "body", "whole"] = Field(
        "auto",
        description="What ControlNet is shown of a person: the body alone, or hands and face too where they were "
        "found; auto: the whole if it is version 1.1 (control_v11 in its name), which has learnt them, else the body.",
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
    skeletons: bool = Field(True, description="Whether the source's skeletons, and so ControlNet, take part.")
    iterations: int = Field(300, ge=0, le=100_000, description="Optimiser steps.")
    learning_rate: float = Field(3e-5, gt=0, le=1, description="Of AdamW.")

    @model_validator(mode="after")
    def _has_what_it_trains(self) -> "StageConfig":
        if "motion-attention" in self.trains and not self.skeletons:
            raise ValueError("a stage that trains 'motion-attention' needs skeletons, for it is on ControlNet's side")
        return self


class MotionStageConfig(StageConfig):
    """Stage 1: temporal features of the person's motion."""

    trains: tuple[Part, ...] = Field(("temporal-attention", "motion-attention"), description="The parts that train.")
    pixels: Literal["person", "whole"] = Field("person", description="Frames with the background masked, or whole.")


class AppearanceStageConfig(StageConfig):
    """Stage 2: spatial features of appearance and background."""

    trains: tuple[Part, ...] = Field(("frame-attention", "motion-attention"), description="The parts that train.")
    pixels: Literal["person", "whole"] = Field("whole", description="Frames with the background masked, or whole.")


class EarlyStoppingConfig(Section):
    """When a stage of tuning ends before its last iteration: once a held-out loss improves no more."""

    enabled: bool = Field(False, description="Whether to watch the held-out loss and stop by it.")
    every: int = Field(25, ge=1, le=100_000, description="Steps between two evaluations.")
    patience: int = Field(3, ge=1, le=10_000, description="Evaluations without improvement before a stage ends.")
    improvement: float = Field(
        0.005, ge=0, lt=1, description="What counts as one: the least loss before lowered by this share."
    )
    draws: int = Field(
        8, ge=1, le=1000, description="Noises and timesteps of an evaluation; never tuned on, always the same."
    )
    frames: int = Field(
        0, ge=0, le=4096, description="The last frames of a clip of more than 4, held out of tuning to be evaluated on."
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
        description="Noise on the latents, in their standard deviations: an edit's are not quite them.",
    )


class TuningConfig(Section):
    """The two stages (STL, section III.D), and how they are run."""

    motion: MotionStageConfig = MotionStageConfig()
    appearance: AppearanceStageConfig = AppearanceStageConfig()
    optimizer: Literal["adamw", "adamw-8bit"] = Field("adamw", description="8-bit needs a CUDA GPU.")
    weight_decay: float = Field(1e-2, ge=0, description="Of AdamW.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    gradient_checkpointing: bool = Field(True, description="Recompute activations: less memory, a third more time.")
    recompute: tuple[Recompute, ...] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="The same for each level of the U-Net, the finest first, the last for all below: everything, cheap "
        "(all but matrix products, convolutions and attention) or nothing; default: as --tuning.gradient-checkpointing "
        "says.",
    )
    checkpoint_every: int = Field(50, ge=1, description="Steps between two checkpoints.")
    window: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Frames of each optimiser step, around a random one; default: all, at most --windows.frames.",
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
    """How a clip that is longer than the network sees at once is covered."""

    frames: int = Field(16, ge=1, le=4096, description="Frames that the network sees at once; decides the memory.")
    overlap: int = Field(
        4, ge=0, le=4095, description="Frames that two windows share, over which one fades into the other."
    )
    context: int = Field(
        1, ge=0, le=2047, description="Of these, frames that a window sees at its ends and has no say in."
    )
    shift: bool = Field(False, description="Move the windows from step to step, so that no two joints coincide.")


Prediction = Literal["epsilon", "v_prediction"]
"""What a U-Net says about noisy latents, in the words of ``diffusers``: their noise, or their velocity."""

SolverName = Literal["ddim", "dpm++2m"]
"""How the path between latents and noise is walked: first order, the paper's; or second order, for fewer steps."""


class InversionConfig(Section):
    """Inversion of the source (Eq. 17)."""

    of: Literal["source", "plate"] = Field(
        "source",
        description="What is inverted: the source, the paper's; or its clean plate, so that the noise remembers the "
        "place and not the old pose.",
    )
    steps: int = Field(50, ge=1, le=999, description="Steps from the source's latents to its noise.")
    solver: SolverName = Field(
        "ddim", description="ddim, the paper's; or dpm++2m, second order, for fewer steps: take it for sampling too."
    )
    fixed_point: int = Field(
        0,
        ge=0,
        le=100,
        description="Passes that make the inversion exact for sampling with the same solver and steps, each as dear as "
        "the inversion.",
    )
    skeleton: bool = Field(True, description="Whether the source's skeletons condition the inversion.")
    prompt: bool = Field(True, description="Whether the prompt conditions the inversion; else the empty one does.")
    guidance_scale: float = Field(1.0, ge=0, le=30, description="Classifier-free guidance; 1 is none.")


class SamplingConfig(Section):
    """Sampling of the edit."""

    steps: int = Field(50, ge=1, le=999, description="Steps from the noise to the edit.")
    solver: SolverName = Field("ddim", description="ddim, the paper's; or dpm++2m, second order, for fewer steps.")
    guidance_scale: float = Field(1.0, ge=0, le=30, description="Classifier-free guidance; 1 is none.")
    guidance_from: Literal["prompt", "skeleton", "pose"] = Field(
        "prompt",
        description="What guidance leads away from: the negative prompt in the new pose, everywhere; or, where the "
        "person was or will be, the prompt with no skeleton, so that the new pose grows stronger, or the prompt in the "
        "source's pose, so that only what the new pose changes does.",
    )
    guidance_rescale: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How far guided predictions are brought back to the colours and the contrast of unguided ones, "
        "which strong guidance drives apart: 0 is not at all, 1 wholly.",
    )
    negative_prompt: str = Field("", description="What guidance from the prompt leads away from.")
    person_noise: Literal["inverted", "fresh", "moved"] = Field(
        "inverted",
        description="What sampling starts from where the person was or will be: the source's inverted noise, the "
        "paper's; fresh noise, which remembers nothing of the old pose; or fresh noise over the person's colours, "
        "where the new pose has them.",
    )
    person_held: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="Share of the steps, the first ones, through which --sampling.person-noise moved holds the person "
        "to its moved colours; the network is free in the others.",
    )
    background: Literal["generated", "source", "plate"] = Field(
        "generated",
        description="Where nobody stands: as generated; the source's own pixels where nobody stood before either; or "
        "the clean plate, the source's place without its person, with the edited person laid over it by a soft matte.",
    )


class RuntimeConfig(Section):
    """The machine."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="auto: bf16 on a GPU that has it, fp16 on another GPU, fp32 on a CPU."
    )
    seed: int = Field(33, ge=0, lt=2**63, description="Of tuning's noise and timesteps.")
    memory: str | None = Field(
        None,
        description="What the edit may take, '8GB' or '7.5GiB', of the GPU or else of the machine: decides by itself "
        "what to recompute, offload, tile and how to store frozen weights; default: as the other settings say.",
    )
    frozen_storage: Literal["compute", "fp16", "bf16"] = Field(
        "compute",
        description="Type in which frozen weights wait to be computed with; fp16 halves them in fp32, and changes "
        "nothing where the base was saved in fp16.",
    )
    offload: bool = Field(
        False, description="Keep VAE and text encoder on a GPU only while they work; otherwise in the machine's memory."
    )
    tiled_vae: bool = Field(
        False, description="Encode and decode in tiles: less memory for large frames, and faint joints."
    )
    channels_last: bool = Field(False, description="Lay convolutions out channels last; faster on some machines.")
    compile: bool = Field(
        False, description="Compile the repeated layers with torch.compile; needs a C++ compiler, pays on GPUs."
    )
    winograd: bool = Field(
        False,
        description="Compute wide 3x3 convolutions by Winograd's algorithm on a CPU in fp32: about twice as fast and "
        "the same to rounding, for four times their weights of memory; elsewhere it changes nothing.",
    )
    winograd_tiles: int = Field(
        32,
        ge=1,
        description="With winograd, only convolutions of that many tiles of 4x4 results, over all frames. At 8 frames "
        "of 256x256 and Stable Diffusion 1.5's widths, 64 takes 1.6 GB where 32 takes 5.4, and is a tenth slower.",
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
        "", description="What the source shows; has to be given: 'a man in a striped shirt is dancing'."
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
            "video": {"frames", "fps", "stride", "sound"},
            "people": {"reference_person", "reference_keypoints"},
        }
        values = self.model_dump(mode="json", exclude=of_no_account)
        return {**values, "source": self.source_clip.model_dump(mode="json")}


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


class EditConfig(ApplyConfig, TuneConfig):
    """One whole edit: tune, then apply."""

    def identity(self) -> dict[str, Any]:
        """What decides the edit; a setting that plays no part in it is left out, so its default may change."""
        values = super().identity()
        values["reference"] = self.reference_clip.model_dump(mode="json")
        if self.sampling.person_noise != "moved":
            del values["sampling"]["person_held"]
        return values

    def for_tuning(self) -> TuneConfig:
        """What of it concerns tuning."""
        return TuneConfig(**{name: getattr(self, name) for name in TuneConfig.model_fields})

    def for_applying(self) -> ApplyConfig:
        """What of it concerns applying."""
        return ApplyConfig(**{name: getattr(self, name) for name in ApplyConfig.model_fields})


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


def dump_config(config: Section) -> str:
    """The configuration as YAML, complete and in the order of its definition; loads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def _explain(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such setting; 'eym config' prints all of them"
    return f"{problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r:.200}"
