"""Regional compilation: the layers that repeat are compiled, each kind once, and the network around them is not."""

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from edit_your_motion.nn.motion_attention import SiteMotionAttention
from edit_your_motion.nn.video_unet import InflatedTransformerBlock

REPEATED = (InflatedTransformerBlock, BasicTransformerBlock, ResnetBlock2D, SiteMotionAttention)


def compile_layers(network: nn.Module, backend: str = "inductor") -> int:
    """Compiles every repeated layer of a network in place, at its first call, and returns how many there are.

    Layers of one kind and shape share what was compiled. Weights, their names and results stay as they were, but for
    rounding.

    Args:
        network: whose layers.
        backend: of ``torch.compile``.
    """
    layers = [module for module in network.modules() if isinstance(module, REPEATED)]
    for layer in layers:
        layer.compile(backend=backend)
    return len(layers)
