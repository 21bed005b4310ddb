"""Recurrent causal attention against a slow loop written from Eq. 9."""

import pytest
import torch
from diffusers.models.attention_processor import Attention

from edit_your_motion.errors import CheckpointError
from edit_your_motion.nn.recurrent_causal_attention import FrameAttention, recurrent_neighbours
from edit_your_motion.nn.temporal_attention import TemporalAttention

pytestmark = pytest.mark.law


def make_attention(width: int = 32, heads: int = 4) -> Attention:
    """In fp64, where two ways to the same sums differ by some 1e-15 on any processor: the bounds need no more."""
    torch.manual_seed(0)
    return Attention(query_dim=width, heads=heads, dim_head=width // heads).double()


def attend_slowly(attention: Attention, z: torch.Tensor) -> torch.Tensor:
    """Eq. 9, frame by frame and head by head, with the softmax written out: z is (f, n, d)."""
    frames, _, width = z.shape
    d = width // attention.heads
    out = torch.zeros_like(z)
    for i in range(frames):
        if frames == 1:
            context = torch.cat([z[0], z[0]])
        elif i == 0:
            context = torch.cat([z[0], z[1]])
        elif i == frames - 1:
            context = torch.cat([z[frames - 2], z[frames - 1]])
        else:
            context = torch.cat([z[i - 1], z[i + 1]])
        q, k, v = (z[i] @ attention.to_q.weight.T, context @ attention.to_k.weight.T, context @ attention.to_v.weight.T)
        for head in range(attention.heads):
            part = slice(head * d, (head + 1) * d)
            weights = torch.softmax(q[:, part] @ k[:, part].T / d**0.5, dim=-1)
            out[i, :, part] = weights @ v[:, part]
    return out @ attention.to_out[0].weight.T + attention.to_out[0].bias


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
@torch.no_grad()
def test_rca_equals_a_slow_loop_from_the_equation(frames: int) -> None:
    attention = make_attention()
    clips = torch.randn(2, frames, 6, 32, dtype=torch.float64)
    attended = FrameAttention(attention)(clips.flatten(0, 1), frames).unflatten(0, (2, frames))
    for attended_clip, clip in zip(attended, clips, strict=True):
        torch.testing.assert_close(attended_clip, attend_slowly(attention, clip), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8])
def test_rows_of_neighbours_give_what_gathered_copies_give(frames: int) -> None:
    """The outputs and all gradients of the layout without copies, against those of plain gathering."""
    results = []
    for gathered in (False, True):
        attention = FrameAttention(make_attention())
        if gathered:
            attention._attend_recurrently = attention._attend_gathered  # type: ignore[method-assign]
        tokens = torch.randn(2 * frames, 6, 32, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
        attended = attention(tokens, frames)
        attended.square().sum().backward()
        results.append([attended, tokens.grad, *(parameter.grad for parameter in attention.parameters())])
    for row, copy in zip(*results, strict=True):
        torch.testing.assert_close(row, copy, atol=1e-5, rtol=1e-4)


def test_neighbours_of_the_ends() -> None:
    assert recurrent_neighbours(1).tolist() == [[0, 0]]
    assert recurrent_neighbours(2).tolist() == [[0, 1], [0, 1]]
    assert recurrent_neighbours(4).tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]


@pytest.mark.parametrize(
    ("kind", "context_of_last"),
    [("recurrent-own", [1, 2, 2]), ("sparse-causal", [0, 1]), ("previous", [1, 2]), ("spatial", [2])],
)
@torch.no_grad()
def test_other_kinds_take_their_frames(kind: str, context_of_last: list[int]) -> None:
    attention, z = make_attention(), torch.randn(3, 6, 32, dtype=torch.float64)
    expected = attention(z[2:], encoder_hidden_states=z[context_of_last].flatten(0, 1)[None])
    torch.testing.assert_close(FrameAttention(attention, kind)(z, 3)[2:], expected)


@torch.no_grad()
def test_spatial_is_the_stock_attention_bit_for_bit() -> None:
    attention, z = make_attention(), torch.randn(3, 6, 32, dtype=torch.float64)
    assert torch.equal(FrameAttention(attention, "spatial")(z, 3), attention(z))


def test_an_attention_with_a_norm_of_its_own_is_refused() -> None:
    with pytest.raises(CheckpointError, match="group_norm"):
        FrameAttention(Attention(query_dim=32, heads=4, dim_head=8, norm_num_groups=4))


@torch.no_grad()
def test_fresh_temporal_attention_adds_nothing() -> None:
    assert not TemporalAttention(32, 4)(torch.randn(6, 5, 32), frames=3).any()


@torch.no_grad()
def test_temporal_attention_mixes_frames_of_one_position_in_one_clip_only() -> None:
    attention = TemporalAttention(32, 4)
    torch.nn.init.normal_(attention.attention.to_out[0].weight)
    tokens = torch.randn(6, 5, 32)
    changed = tokens.clone()
    changed[1, 2] += 1  # second frame of the first clip, third position
    difference = (attention(changed, 3) - attention(tokens, 3)).abs().sum(-1)
    touched = torch.zeros(6, 5, dtype=torch.bool)
    touched[:3, 2] = True
    assert torch.equal(difference > 1e-6, touched)
