"""Edit-Your-Motion in ComfyUI: people found, motion retargeted, persons tuned and given other people's motions."""

from comfy_api.v0_0_2 import ComfyExtension

from .library import check_library

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

WEB_DIRECTORY = "web"
"""What ComfyUI's editor loads."""


async def comfy_entrypoint() -> ComfyExtension:
    """The pack, as ComfyUI loads it; the nodes list what lies in the folder of our models.

    Raises:
        ImportError: the library is missing or too old; ComfyUI logs the line and goes on without the pack.
    """
    check_library()
    from .extension import EditYourMotion
    from .folders import register_folder

    register_folder()
    return EditYourMotion()
