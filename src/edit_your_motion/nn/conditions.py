"""What guides the noise prediction and is the same at every step and for every frame: computed once per clip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

KeysValues: TypeAlias = tuple[Float[Tensor, "b heads n dh"], Float[Tensor, "b heads n dh"]]


@dataclass(frozen=True, eq=False)
class Text:
    """A prompt's embedding, with its keys and values in every cross-attention that is to look at it.

    Args:
        embedding: of each clip's prompt; one for all frames.
        keys_values: of each attention, as `project_text` has them.
    """

    embedding: Float[Tensor, "b n d"]
    keys_values: Mapping[nn.Module, KeysValues]

    def seen_by(self, attention: Attention) -> KeysValues:
        """The keys and values of one attention; projected now if they were not before."""
        known = self.keys_values.get(attention)
        return _project(self.embedding, attention) if known is None else known


@dataclass(frozen=True, eq=False)
class Conditions:
    """The prompt and the skeletons of a clip, as far as they can be computed before any noise is seen.

    They hold what frozen weights made of them: make new ones once the weights of the ControlNet or of the
    cross-attentions' keys and values have changed. `NoisePredictor.prepare` makes them.

    Args:
        text: the prompt.
        skeletons: what ControlNet's condition embedding makes of the skeleton pictures; or the pictures themselves,
            which are then embedded at every step: for clips that are too long to keep that of all frames; or None.
        embedded: which of the two.
    """

    text: Text
    skeletons: Float[Tensor, "b f _ _ _"] | UInt8[Tensor, "b f 3 h w"] | None
    embedded: bool = True

    def of_frames(self, frames: slice) -> "Conditions":
        """The same for some of the clip's frames."""
        return self if self.skeletons is None else replace(self, skeletons=self.skeletons[:, frames])

    def with_text(self, text: Text) -> "Conditions":
        """The same skeletons with another prompt, as guidance needs them."""
        return replace(self, text=text)


@torch.no_grad()
def project_text(embedding: Float[Tensor, "b n d"], attentions: Iterable[Attention]) -> Text:
    """The text with its keys and values in all of `attentions`, whose projections must not be tuned afterwards."""
    return Text(embedding, {attention: _project(embedding, attention) for attention in attentions})


def _project(embedding: Float[Tensor, "b n d"], attention: Attention) -> KeysValues:
    k, v = (
        rearrange(project(embedding), "b n (heads d) -> b heads n d", heads=attention.heads)
        for project in (attention.to_k, attention.to_v)
    )
    return k, v


class TextAttentionProcessor(AttnProcessor2_0):
    """Lets a stock attention of diffusers take a `Text` for its context; with a plain tensor it computes as before.

    The frames of a clip all ask the same keys and values: one copy of them, which each frame sees.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | Text | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """The attended tokens of every frame (diffusers' signature)."""
        if not isinstance(encoder_hidden_states, Text):
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        k, v = encoder_hidden_states.seen_by(attn)
        f = len(hidden_states) // len(k)
        q = rearrange(attn.to_q(hidden_states), "bf n (heads dh) -> bf heads n dh", heads=attn.heads)
        k, v = (_for_all_frames(each.to(q.dtype), f) for each in (k, v))
        attended = scaled_dot_product_attention(q, k, v)
        out: Tensor = rearrange(attended, "bf heads n dh -> bf n (heads dh)")
        for layer in attn.to_out:
            out = layer(out)
        return out


def _for_all_frames(each: Float[Tensor, "b heads n dh"], frames: int) -> Float[Tensor, "bf heads n dh"]:
    b, *shape = each.shape
    return each[:, None].expand(b, frames, *shape).flatten(0, 1)  # of a single clip, the usual case, a view


def text_attentions(network: nn.Module) -> list[Attention]:
    """The cross-attentions in a network whose context is the prompt."""
    return [
        module
        for name, module in network.named_modules()
        # A motion adapter's second attention has that name too, but looks at the frames.
        if isinstance(module, Attention) and name.rpartition(".")[2] == "attn2" and module.is_cross_attention
    ]


def take_text(network: nn.Module) -> None:
    """Lets every cross-attention of a network take a `Text`."""
    for attention in text_attentions(network):
        attention.set_processor(TextAttentionProcessor())
