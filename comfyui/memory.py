"""A base whose memory ComfyUI manages: other models make room for it, and it for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch
from torch import nn

from edit_your_motion.config import BaseConfig, RuntimeConfig
from edit_your_motion.models.backbone import Backbone, Precision


class Networks(nn.Module):
    """The networks of a base together, as ComfyUI moves them."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        base = backbone.base
        self.unet, self.controlnet, self.vae, self.text_encoder = (
            base.unet,
            base.controlnet,
            base.vae,
            base.text_encoder,
        )


@dataclass(frozen=True, eq=False)
class ManagedBase:
    """A loaded base.

    Args:
        backbone: its networks; compute with them inside of `loaded` only.
        model: their names, kept with every person that is tuned on them.
        patcher: stands for them in ComfyUI's list of loaded models.
    """

    backbone: Backbone
    model: BaseConfig
    patcher: Any = field(repr=False)

    @classmethod
    def load(cls, model: BaseConfig, precision: Precision = "auto") -> "ManagedBase":
        """Loads a base for the device that ComfyUI computes on, once other models have made room there."""
        device = comfy.model_management.get_torch_device()
        make_room(device)
        with torch.inference_mode(False):
            backbone = Backbone.load(model, RuntimeConfig(device=str(device), precision=precision))
        away = comfy.model_management.unet_offload_device()
        return cls(backbone, model, comfy.model_patcher.ModelPatcher(Networks(backbone), device, away))

    @contextmanager
    def loaded(self) -> Iterator[Backbone]:
        """The networks, on their device and with all the room that others can make; afterwards others may have it.

        ComfyUI runs nodes where no gradients are known, and what it moves there knows none either: both is undone.
        """
        comfy.model_management.load_models_gpu([self.patcher], force_full_load=True)
        make_room(self.patcher.load_device, keep=self.patcher)
        with torch.inference_mode(False):
            make_differentiable(self.patcher.model.to(self.patcher.load_device))
            try:
                yield self.backbone
            finally:
                self.backbone.deflate()
                comfy.model_management.soft_empty_cache()


def make_room(device: torch.device, keep: Any = None) -> None:
    """Has ComfyUI unload its models from a device, but for one: a tuning takes what there is."""
    management = comfy.model_management
    kept = [loaded for loaded in management.current_loaded_models if keep is not None and loaded.model is keep]
    if device.type != "cpu":
        management.free_memory(management.get_total_memory(device), device, keep_loaded=kept)


def make_differentiable(network: nn.Module) -> None:
    """Puts plain copies in the place of whatever was made or moved under `torch.inference_mode`."""
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_inference():
                module._parameters[name] = nn.Parameter(parameter.clone(), parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_inference():
                module._buffers[name] = buffer.clone()
