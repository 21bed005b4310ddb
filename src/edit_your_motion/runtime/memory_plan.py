"""How much memory an edit takes, found by a dry run, and the fastest way to do it in what there is."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any, Literal, TypeVar

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from edit_your_motion.config import (
    ApplyConfig,
    EditConfig,
    NetworkConfig,
    Recompute,
    RuntimeConfig,
    StageConfig,
    TuneConfig,
    TuningConfig,
    WindowsConfig,
)
from edit_your_motion.errors import ConfigError, OutOfMemoryError
from edit_your_motion.models.backbone import TILE, choose_device, choose_dtype, choose_storage, pays_winograd
from edit_your_motion.models.loading import Architecture
from edit_your_motion.nn.conditions import Conditions
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.nn.skeleton_guidance import PICTURES_AT_ONCE, embed_skeletons, embedded_bytes
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.runtime.dry_run import Cost, run_dry
from edit_your_motion.runtime.winograd import MOST_WORK, transformed_bytes, use_winograd

logger = logging.getLogger(__name__)

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

OVERHEAD, GPU_OVERHEAD = 660 * 10**6, 740 * 10**6
"""What Python and the libraries with the finder of people, or a GPU's context, take beside the networks, bytes."""

MARGIN = 1.2
"""Memory taken for each byte of results: libraries reorder weights and inputs, and what was freed lies in pieces."""

RECOMPUTATIONS: dict[tuple[Recompute, ...], float] = {
    ("nothing",): 0.0,
    ("cheap",): 0.05,
    ("everything", "cheap"): 0.15,
    ("everything", "everything", "cheap"): 0.25,
    ("everything",): 0.4,
}
"""What may be computed again, with about what it adds to the time of a step."""

STORAGE_COST, OFFLOAD_COST, TILES_COST, WINDOW_COST = 0.08, 0.01, 0.02, 10.0
"""About what each of the other means adds; shorter windows come last, as they change more than the rounding."""

FEWER_WINOGRAD_COST, DIRECT_COST = 0.08, 0.2
"""What is added by more tiles (`Means.winograd`), and where every convolution is direct."""

Storage = Literal["compute", "fp16", "bf16"]


@dataclass(frozen=True)
class Means:
    """Ways to take less memory.

    Args:
        recompute: what of each level of the U-Net is computed again for its gradient.
        frozen_storage: type in which frozen weights wait.
        offload: whether idle networks leave the GPU.
        tiled_vae: whether the VAE works in tiles.
        window: frames in the network at once.
        cuts: how often that was halved for want of memory.
        winograd: fewest tiles of the wide convolutions that keep their weights transformed, in whose place 0 is none of
            them; None where Winograd's algorithm was not asked for.
        fewer_winograd: whether these are more tiles than were asked for.
    """

    recompute: tuple[Recompute, ...]
    frozen_storage: Storage
    offload: bool
    tiled_vae: bool
    window: int
    cuts: int
    winograd: int | None = None
    fewer_winograd: bool = False

    @property
    def cost(self) -> float:
        """About what they add to the time of a step."""
        stored, offloaded, tiled = self.frozen_storage != "compute", self.offload, self.tiled_vae
        others = STORAGE_COST * stored + OFFLOAD_COST * offloaded + TILES_COST * tiled + WINDOW_COST * self.cuts
        others += DIRECT_COST * (self.winograd == 0) + FEWER_WINOGRAD_COST * self.fewer_winograd
        return RECOMPUTATIONS.get(self.recompute, 0.0) + others

    def describe(self) -> str:
        """What is done, in words."""
        recomputed: dict[tuple[Recompute, ...], str] = {
            ("nothing",): "keep all activations",
            ("cheap",): "recompute what is cheap",
            ("everything",): "recompute all activations",
        }
        choices = [
            recomputed.get(self.recompute, f"recompute, from the finest level on: {', '.join(self.recompute)}"),
            f"store frozen weights in {self.frozen_storage}" if self.frozen_storage != "compute" else "",
            "offload idle networks" if self.offload else "",
            "tile the VAE" if self.tiled_vae else "",
            "convolve directly, not by Winograd's algorithm" if self.winograd == 0 else "",
            f"convolve by Winograd's algorithm from {self.winograd} tiles on" if self.fewer_winograd else "",
            f"windows of {self.window} frames" + (", shorter than asked for" if self.cuts else ""),
        ]
        return "; ".join(filter(None, choices))


@dataclass(frozen=True)
class Plan:
    """What an edit does to fit into memory.

    Args:
        budget: what there is, bytes.
        needed: what the edit takes at most, as estimated, bytes.
        means: what it does for that.
    """

    budget: int
    needed: int
    means: Means

    def describe(self) -> str:
        """The plan in a sentence."""
        return f"memory: {in_gigabytes(self.needed)} of {in_gigabytes(self.budget)} needed: {self.means.describe()}"

    def record(self) -> dict[str, Any]:
        """The plan as ``run.json`` has it."""
        return {"budget": self.budget, "needed": self.needed, **asdict(self.means)}


AnyJob = TypeVar("AnyJob", TuneConfig, ApplyConfig, EditConfig)


def follow(plan: Plan, config: AnyJob) -> AnyJob:
    """The configuration with what the plan chose."""
    means = plan.means
    chosen: dict[str, Any] = {
        "frozen_storage": means.frozen_storage,
        "offload": means.offload,
        "tiled_vae": means.tiled_vae,
    }
    if means.winograd == 0:
        chosen["winograd"] = False
    elif means.winograd is not None:
        chosen["winograd_tiles"] = means.winograd
    changes: dict[str, Any] = {"runtime": config.runtime.model_copy(update=chosen)}
    if means.cuts:
        changes["windows"] = config.windows.model_copy(update={"frames": means.window})
    if isinstance(config, TuneConfig):
        changes["tuning"] = config.tuning.model_copy(update={"recompute": means.recompute})
    return config.model_copy(update=changes)


def means_of(rehearsal: "Rehearsal", windows: WindowsConfig, runtime: RuntimeConfig) -> Means:
    """What the settings do to take less memory, where no plan is made."""
    recompute: tuple[Recompute, ...] = ("nothing",)
    if rehearsal.tuning is not None:
        set_to = rehearsal.tuning.recomputation
        recompute = set_to if isinstance(set_to, tuple) else ("everything",) if set_to else ("nothing",)
    winograd = runtime.winograd_tiles if rehearsal.winograd else None
    window = min(windows.frames, rehearsal.shape[0])
    return Means(recompute, runtime.frozen_storage, runtime.offload, runtime.tiled_vae, window, 0, winograd)


def make_plan(rehearsal: "Rehearsal", windows: WindowsConfig, runtime: RuntimeConfig) -> Plan:
    """The fastest way to do an edit in the memory that `runtime.memory` names.

    What is set already stays set, but for `runtime.winograd`: a plan adds to it. Less memory never makes a plan that
    takes more.

    Args:
        rehearsal: knows what the edit takes.
        windows: frames that the network sees at once, at most.
        runtime: the budget, and what is set already.

    Raises:
        ConfigError: if `runtime.memory` is no amount of memory.
        OutOfMemoryError: if no plan fits; says what the least would be.
    """
    budget = parse_bytes(runtime.memory or "")
    candidates = sorted(_candidates(rehearsal, windows, runtime), key=lambda means: means.cost)
    for means in candidates:
        if rehearsal.least(means) <= budget and (needed := rehearsal.needed(means)) <= budget:
            plan = Plan(budget, needed, means)
            logger.info("%s", plan.describe())
            return plan
    (frames, height, width), frugal = rehearsal.shape, candidates[-1]
    least = in_gigabytes(rehearsal.needed(frugal))
    raise OutOfMemoryError(
        f"{frames} frames of {width}x{height} pixels do not fit into {in_gigabytes(budget)}: they take {least} or more "
        f"({frugal.describe()}); give as much by --runtime.memory, or lower --video.size"
    )


class Rehearsal:
    """The networks of an edit without their weights, and what the phases of the edit take.

    Args:
        architecture: of the base.
        network: what the video network is made of.
        tuning: the stages, or None where nothing is tuned.
        runtime: device and precision.
        shape: frames, height and width of the longer clip, pixels.
        source: frames of the clip that is tuned on; default: those of the shape.
        person: bytes of a tuned person that was loaded, which on a CPU lie beside the network's own.
    """

    def __init__(
        self,
        architecture: Architecture,
        network: NetworkConfig,
        tuning: TuningConfig | None,
        runtime: RuntimeConfig,
        shape: tuple[int, int, int],
        *,
        source: int | None = None,
        person: int = 0,
    ) -> None:
        device = choose_device(runtime.device)
        self.device = device
        self.on_gpu, self.dtype = device.type != "cpu", choose_dtype(runtime.precision, device)
        self.winograd = pays_winograd(runtime, device, self.dtype)
        self.tuning, self.shape, self.architecture = tuning, shape, architecture
        self.source = shape[0] if source is None else source
        self.person = 0 if self.on_gpu else person
        with torch.device("meta"):
            self.vae = AutoencoderKL.from_config(architecture.vae).eval()
            self.text_encoder = CLIPTextModel(architecture.text_encoder)
            unet = UNet2DConditionModel.from_config(architecture.unet)
            controlnet = ControlNetModel.from_config(architecture.controlnet)
            for each in (unet, controlnet):
                nn.Module.to(each, self.dtype)  # that of diffusers' networks warns of casting
            self.stock = [*_weights(unet), *_weights(controlnet)]
            self.predictor = (
                NoisePredictor(VideoUNet(unet, **network.of_unet()), controlnet).eval().requires_grad_(False)
            )
        self._transformed: dict[tuple[int, int], NoisePredictor] = {}
        self._costs: dict[tuple[object, ...], Cost] = {}

    def needed(self, means: Means) -> int:
        """The most that any phase takes, bytes."""
        return max(self.phases(means).values())

    def phases(self, means: Means) -> dict[str, int]:
        """What each phase takes, bytes."""
        resident = self.least(means)
        vae = self._stored(_weights(self.vae), means, torch.float32) if means.offload else 0
        cast = max(tensor.numel() for tensor, _ in self.stock) * self.dtype.itemsize
        resident += cast if means.frozen_storage != "compute" else 0
        resident += MOST_WORK if means.winograd else 0
        resident += 2 * self._embedded  # of the edit's skeletons, and of those that guidance leads away from
        predictor = self._predictor(means)
        found = {
            "embed": resident + _with_margin(self.embedding().memory),
            "decode": resident + vae + _with_margin(self.decoding(means.tiled_vae).memory),
            "sample": resident + _with_margin(self.prediction(means.window, predictor).memory),
        }
        for number, stage in enumerate(self.stages(), 1):
            numbers = self.count_trained([stage])
            # Gradients are there whole; those of the dry run are in the type of computation, the real ones in fp32.
            results = self.tuning_step(stage, means.recompute, self.tuned_frames(means), predictor).memory
            activations = max(results - numbers * self.dtype.itemsize, 0)
            states = 2 if self.tuning is not None and self.tuning.optimizer == "adamw-8bit" else 8
            found[f"tune, stage {number}"] = resident + numbers * (4 + states) + _with_margin(activations)
        return found

    def least(self, means: Means) -> int:
        """What is there in every phase: the libraries and the weights, bytes."""
        stock = {id(tensor) for tensor, _ in self.stock}
        added = [tensor for tensor in self.predictor.parameters() if id(tensor) not in stock]
        frozen = self._stored(self.stock, means, self.dtype)
        idle = 0 if means.offload else self._stored(_weights(self.vae), means, torch.float32)
        idle += 0 if means.offload else self._stored(_weights(self.text_encoder), means, self.dtype)
        tuned = self.count_trained(self.stages()) * (4 - self.dtype.itemsize)
        transformed = transformed_bytes(self._predictor(means))
        weights = frozen + idle + sum(tensor.numel() for tensor in added) * self.dtype.itemsize + transformed
        return (GPU_OVERHEAD if self.on_gpu else OVERHEAD) + self.person + weights + tuned

    def _predictor(self, means: Means) -> NoisePredictor:
        """The video network; of Winograd's algorithm one with the weights transformed that its windows ask for."""
        if not means.winograd:
            return self.predictor
        key = means.window, means.winograd
        if key not in self._transformed:
            predictor = self._transformed[key] = deepcopy(self.predictor)
            use_winograd(predictor, means.winograd)
            with torch.no_grad():
                self.predict_once(self.make_conditions(means.window, predictor), predictor)
        return self._transformed[key]

    def _stored(self, weights: Iterable[tuple[Tensor, bool]], means: Means, dtype: torch.dtype) -> int:
        storage = choose_storage(means.frozen_storage, dtype) or dtype
        return sum(tensor.numel() * (storage if storable else dtype).itemsize for tensor, storable in weights)

    @property
    def _embedded(self) -> int:
        """Bytes of the embedded skeletons that are kept."""
        kept = self.predictor.keeps_embedded(*self.shape)
        return embedded_bytes(self.predictor.controlnet, *self.shape) if kept else 0

    def stages(self) -> list[StageConfig]:
        """The stages that take any steps."""
        return [] if self.tuning is None else [stage for stage in self.tuning.stages if stage.iterations]

    def count_trained(self, stages: Iterable[StageConfig]) -> int:
        """How many numbers some stages tune."""
        parts = {part for stage in stages for part in stage.trains}
        unet = self.predictor.unet
        return sum({id(each): each.numel() for part in parts for each in unet.parameters_of(part).values()}.values())

    def tuned_frames(self, means: Means) -> int:
        """The frames of an optimiser step, at most."""
        window = None if self.tuning is None else self.tuning.window
        return min(means.window, self.source, window or means.window)

    def decoding(self, tiled: bool) -> Cost:
        """What it costs to decode a frame."""
        scale, (_, height, width) = self.architecture.pixels_per_latent, self.shape
        sides = [min(side, TILE) if tiled else side for side in (height, width)]
        latents = torch.empty(1, self.vae.config.latent_channels, *(side // scale for side in sides), device="meta")

        @torch.no_grad()
        def decode() -> None:
            self.vae.decode(latents)

        cost = self._once(("decode", tiled), self.vae, decode)
        pixels = 3 * height * width * 4 * 2 if tiled else 0  # the tiles, and the frame that they are put together to
        return Cost(cost.operations, cost.memory + pixels)

    def encoding(self) -> Cost:
        """What it costs to encode a frame."""
        _, height, width = self.shape
        pixels = torch.empty(1, 3, height, width, device="meta")
        return self._once(("encode",), self.vae, torch.no_grad()(lambda: self.vae.encode(pixels)))

    def embedding(self) -> Cost:
        """What it costs to embed as many skeletons as are embedded at once."""
        (frames, height, width), controlnet = self.shape, self.predictor.controlnet
        skeletons = torch.empty(1, min(frames, PICTURES_AT_ONCE), 3, height, width, dtype=self.dtype, device="meta")
        return self._once(("embed",), controlnet, partial(embed_skeletons, controlnet, skeletons))

    def prediction(self, frames: int, predictor: NoisePredictor) -> Cost:
        """What it costs to predict the noise of so many frames."""
        key, given = ("predict", frames), partial(self.make_conditions, frames, predictor)
        return self._once(key, predictor, torch.no_grad()(partial(self.predict_once, predictor=predictor)), given)

    def tuning_step(
        self, stage: StageConfig, recompute: tuple[Recompute, ...], frames: int, predictor: NoisePredictor
    ) -> Cost:
        """What a step of a stage costs, of so many frames."""
        with self.being_tuned(stage, recompute, predictor):
            key, given = ("tune", stage.trains, recompute, frames), partial(self.make_conditions, frames, predictor)
            return self._once(key, predictor, partial(self.tune_once, predictor=predictor), given)

    def tune_once(self, conditions: Conditions, predictor: NoisePredictor, device: str | torch.device = "meta") -> None:
        """Runs the network on the frames of `conditions`, and back."""
        self.predict_once(conditions, predictor, device).float().square().mean().backward()

    @contextmanager
    def being_tuned(
        self, stage: StageConfig, recompute: tuple[Recompute, ...], predictor: NoisePredictor
    ) -> Iterator[None]:
        """Inside, the network is one of which a stage is tuned."""
        unet = predictor.unet
        parameters = [each for part in stage.trains for each in unet.parameters_of(part).values()]
        unet.gradient_checkpointing = recompute
        for parameter in parameters:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            unet.gradient_checkpointing = False
            for parameter in parameters:
                parameter.grad = None
                parameter.requires_grad_(False)

    def make_conditions(
        self, frames: int, predictor: NoisePredictor, device: str | torch.device = "meta"
    ) -> Conditions:
        """A prompt and so many skeletons, embedded if those of the whole clip are."""
        (_, height, width), text = self.shape, self.architecture.text_encoder
        with torch.device(device):
            prompt = torch.empty(1, text.max_position_embeddings, text.hidden_size, dtype=self.dtype)
            skeletons = torch.empty(1, frames, 3, height, width, dtype=self.dtype)
        return predictor.prepare(prompt, skeletons, embed=predictor.keeps_embedded(*self.shape))

    def predict_once(
        self, conditions: Conditions, predictor: NoisePredictor, device: str | torch.device = "meta"
    ) -> Tensor:
        """Runs the network on the frames of `conditions`."""
        assert conditions.skeletons is not None
        frames, architecture, (_, height, width) = conditions.skeletons.shape[1], self.architecture, self.shape
        scale = architecture.pixels_per_latent
        with torch.device(device):
            z = torch.empty(1, frames, architecture.unet["in_channels"], height // scale, width // scale)
            t = torch.empty(1, dtype=torch.long)
        return predictor.predict(z.to(self.dtype), t, conditions)

    def _once(
        self,
        key: tuple[object, ...],
        network: nn.Module,
        run: Callable[..., object],
        given: Callable[[], object] | None = None,
    ) -> Cost:
        """What a run costs, gone through dry the first time; what it is `given` is made before, no part of that."""
        key = (*key, id(network))
        if key not in self._costs:
            self._costs[key] = run_dry(run if given is None else partial(run, given()), [network])
        return self._costs[key]


def parse_bytes(text: str) -> int:
    """The number of bytes that a text like "8GB", "7.5 GiB" or "512M" means.

    Raises:
        ConfigError: if it means none.
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    if match is None or not (count := int(float(match[1]) * UNITS[(match[2] or "").lower()])):
        raise ConfigError(f"expected an amount of memory like '8GB' or '7.5GiB', got '{text}'")
    return count


def in_gigabytes(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 10**9:.2f} GB"


def _candidates(rehearsal: Rehearsal, windows: WindowsConfig, runtime: RuntimeConfig) -> Iterator[Means]:
    """Everything that may be done, within what is set already."""
    if (tuning := rehearsal.tuning) is None:
        recomputations: list[tuple[Recompute, ...]] = [("nothing",)]
    else:
        recomputations = list(RECOMPUTATIONS) if tuning.recompute is None else [tuning.recompute]
    storages: list[Storage] = [runtime.frozen_storage]
    if runtime.frozen_storage == "compute" and choose_storage("fp16", rehearsal.dtype) is not None:
        storages.append("fp16")
    offload = [True] if runtime.offload else [False, True] if rehearsal.on_gpu else [False]
    tiles = [True] if runtime.tiled_vae else [False, True]
    asked = runtime.winograd_tiles
    window = min(windows.frames, rehearsal.shape[0])
    lengths: list[int] = []
    while not lengths or window > max(windows.overlap, 3):
        lengths.append(window)
        window //= 2
    choices = product(recomputations, storages, offload, tiles, enumerate(lengths))
    for recompute, storage, away, tiled, (cuts, length) in choices:
        # Stored weights are not transformed.
        transformed = [(asked, False), (2 * asked, True)] if storage == "compute" else []
        for fewest, fewer in [*transformed, (0, False)] if rehearsal.winograd else [(None, False)]:
            yield Means(recompute, storage, away, tiled, length, cuts, fewest, fewer)


def _weights(network: nn.Module) -> list[tuple[Tensor, bool]]:
    """The parameters of a network, and whether each can be stored in another type than that of computation."""
    return [
        (parameter, name == "weight" and isinstance(module, nn.Linear | nn.Conv2d))
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
    ]


def _with_margin(count: int) -> int:
    return int(MARGIN * count)
