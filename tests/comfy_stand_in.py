"""As much of ComfyUI as our pack asks of it, for tests where there is none: the shapes of its schema, and no server.

Where ``EYM_COMFYUI`` names a checkout, `test_comfyui_server.py` runs the pack in the real one, which must describe
every node as this does.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch


class Port:
    """An input or an output: its type and what it was given."""

    def __init__(self, kind: str, id: str, **given: Any) -> None:
        self.kind, self.id, self.given = kind, id, given
        self.optional = given.pop("optional", False)
        self.tooltip: str | None = given.get("tooltip")


OF_INPUT = {
    "BOOLEAN": {"default"},
    "INT": {"default", "min", "max", "step"},
    "FLOAT": {"default", "min", "max", "step"},
    "STRING": {"default", "multiline"},
    "COMBO": {"options", "default"},
}


def make_type(kind: str) -> Any:
    """A type with the inputs and outputs of its sort, which refuse what ComfyUI's would not take."""

    def make_input(id: str, **given: Any) -> Port:
        unknown = given.keys() - {"optional", "tooltip"} - OF_INPUT.get(kind, set())
        assert not unknown, f"{kind} input '{id}' does not know {unknown}"
        return Port(kind, id, **given)

    def make_output(id: str | None = None, *, display_name: str | None = None, tooltip: str | None = None) -> Port:
        return Port(kind, id or "", display_name=display_name, tooltip=tooltip)

    return SimpleNamespace(Input=make_input, Output=make_output, io_type=kind)


def make_multi_type() -> Any:
    def make_input(id: str, types: list[Any], **given: Any) -> Port:
        return Port(",".join(each.io_type for each in types), id, **given)

    return SimpleNamespace(Input=make_input)


@dataclass
class Schema:
    """Of a node."""

    node_id: str
    display_name: str
    category: str
    description: str
    inputs: list[Port]
    outputs: list[Port]
    is_output_node: bool = False

    def describe(self) -> dict[str, Any]:
        """What ComfyUI's server says of it, but for defaults and tooltips."""
        required = {port.id: port.kind for port in self.inputs if not port.optional}
        optional = {port.id: port.kind for port in self.inputs if port.optional}
        return {
            "required": required,
            "optional": optional,
            "output": [port.kind for port in self.outputs],
            "output_name": [port.given["display_name"] for port in self.outputs],
        }


class ComfyNode:
    """Base of nodes."""

    define_schema: Callable[[], Schema]
    execute: Callable[..., Any]


class NodeOutput:
    """What a node gives back."""

    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui


class VideoInput:
    """A VIDEO: a file, or frames."""

    def __init__(self, path: Path | None = None, components: Any = None, duration: float | None = None) -> None:
        self.path, self.components, self.duration = path, components, duration

    def get_stream_source(self) -> Any:
        return str(self.path) if self.path else object()

    def get_components(self) -> Any:
        return self.components

    def get_duration(self) -> float:
        assert self.duration is not None
        return self.duration


@dataclass
class VideoComponents:
    """Frames and their rate."""

    images: torch.Tensor
    frame_rate: Fraction
    audio: Any = None


class InterruptProcessingException(Exception):  # noqa: N818  (ComfyUI's name)
    """Somebody pressed the button that stops."""


@dataclass
class Managed:
    """ComfyUI's model management: what it was asked, and whether somebody wants to stop."""

    loaded: list[Any] = field(default_factory=list)
    countdown: int | None = None
    """Checks that pass before the one that stops; None: nobody wants to stop."""

    def check(self) -> None:
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown < 0:
                self.countdown = None
                raise InterruptProcessingException


@dataclass
class Bar:
    """ComfyUI's progress bar: all that was shown on it."""

    shown: list[tuple[int, int, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class StandIn:
    """What tests look at."""

    managed: Managed
    bar: Bar
    models: Path


def install(models: Path, put: Callable[[dict[str, Any], str, Any], None]) -> StandIn:
    """Puts the modules in their places.

    Args:
        models: ComfyUI's folder of models.
        put: sets an item of `sys.modules` for as long as a test runs.
    """
    managed, bar, registered = Managed(), Bar(), {}

    class ProgressBar:
        def __init__(self, total: int) -> None:
            self.total = total

        def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
            bar.shown.append((value, total or self.total, preview))

    class ModelPatcher:
        def __init__(self, model: Any, load_device: torch.device, offload_device: torch.device) -> None:
            self.model, self.load_device, self.offload_device = model, load_device, offload_device

    kinds = ("Image", "Mask", "Video", "Boolean", "Int", "Float", "String", "Combo")
    types = {kind: make_type(kind.upper()) for kind in kinds}
    management = make_module(
        "comfy.model_management",
        InterruptProcessingException=InterruptProcessingException,
        throw_exception_if_processing_interrupted=managed.check,
        current_loaded_models=[],
        get_torch_device=lambda: torch.device("cpu"),
        unet_offload_device=lambda: torch.device("cpu"),
        soft_empty_cache=lambda: None,
        load_models_gpu=lambda models, force_full_load: managed.loaded.extend(models),
    )
    utils = make_module("comfy.utils", ProgressBar=ProgressBar)
    patching = make_module("comfy.model_patcher", ModelPatcher=ModelPatcher)
    modules = (
        make_module("comfy", model_management=management, utils=utils, model_patcher=patching),
        management,
        utils,
        patching,
        make_module("comfy_api"),
        make_module(
            "comfy_api.v0_0_2",
            io=SimpleNamespace(
                **types,
                MultiType=make_multi_type(),
                Custom=make_type,
                Schema=Schema,
                ComfyNode=ComfyNode,
                NodeOutput=NodeOutput,
            ),
            ui=SimpleNamespace(PreviewText=lambda text: {"text": (text,)}),
            ComfyExtension=object,
            Input=SimpleNamespace(Video=VideoInput),
            InputImpl=SimpleNamespace(VideoFromComponents=lambda components: VideoInput(components=components)),
            Types=SimpleNamespace(VideoComponents=VideoComponents),
        ),
        make_module(
            "folder_paths",
            models_dir=str(models),
            add_model_folder_path=lambda name, path: registered.setdefault(name, []).append(path),
            get_folder_paths=lambda name: registered[name],
            get_filename_list=lambda kind: sorted(path.name for path in (models / kind).glob("*")),
            get_full_path_or_raise=lambda kind, name: str(models / kind / name),
        ),
    )
    for module in modules:
        put(sys.modules, module.__name__, module)
    return StandIn(managed, bar, models)


def make_module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module
