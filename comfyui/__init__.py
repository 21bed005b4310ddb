"""Edit-Your-Motion in ComfyUI: people found, motion retargeted, persons tuned and given other people's motions."""

from .extension import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
