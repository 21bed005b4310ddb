"""LoRAs: every layout gives the weights that the formula says; what does not fit is named."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.loading import Base, load_base

Tensors = dict[str, torch.Tensor]
RANK, ALPHA = 3, 1.5
UNET = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": (32, 32),
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0": (64, 64),
    "down_blocks.0.attentions.0.proj_in": (32, 32, 1, 1),
    "down_blocks.0.resnets.0.conv1": (32, 32, 3, 3),
}
TEXT = {"encoder.layers.1.self_attn.q_proj": (32, 32), "encoder.layers.0.mlp.fc1": (64, 32)}


def load(checkpoints: Path, *lora: str, **options: object) -> Base:
    return load_base(str(checkpoints / "base"), str(checkpoints / "controlnet"), lora=lora, **options)


@pytest.fixture(scope="module")
def matrices() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Down and up of each module."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, (out, *inner) in {**UNET, **TEXT}.items():
        outer = (1,) * (len(inner) - 1)
        down = torch.randn(RANK, *inner, generator=generator)
        made[name] = (down, torch.randn(out, RANK, *outer, generator=generator))
    return made


def expected(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    """W + scale up down, element by element of the formula."""
    added = torch.zeros_like(weight)
    for r in range(RANK):
        for o in range(weight.shape[0]):
            added[o] += scale * up[o, r].item() * down[r].reshape(weight.shape[1:])
    return weight + added


def kohya(matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Tensors:
    tensors = {}
    for name, (down, up) in matrices.items():
        key = f"lora_te_text_model_{name}" if name in TEXT else f"lora_unet_{name}"
        key = key.replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(ALPHA)}
    return tensors


def diffusers(matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]], down_key: str, up_key: str) -> Tensors:
    tensors = {}
    for name, (down, up) in matrices.items():
        key = f"text_encoder.text_model.{name}" if name in TEXT else f"unet.{name}"
        tensors |= {f"{key}.{down_key}.weight": down, f"{key}.{up_key}.weight": up}
    return tensors


def old_processors(matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Tensors:
    """The first layout of diffusers, for attentions of the U-Net only."""
    tensors = {}
    for name, (down, up) in matrices.items():
        if ".attn" in name and name in UNET:
            block, _, layer = name.removesuffix(".0").rpartition(".")
            key = f"{block}.processor.{layer}_lora"
            tensors |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
    return tensors


LAYOUTS = {
    "kohya": (kohya, ALPHA / RANK, {}),
    "peft": (lambda m: diffusers(m, "lora_A", "lora_B"), 1.0, {}),
    "peft, named": (lambda m: diffusers(m, "lora_A.default", "lora_B.default"), 1.0, {}),
    "diffusers": (lambda m: diffusers(m, "lora.down", "lora.up"), 1.0, {}),
    "text": (lambda m: diffusers(m, "lora_linear_layer.down", "lora_linear_layer.up"), 1.0, {}),
    "processors": (old_processors, 1.0, {}),
    "metadata": (
        lambda m: diffusers(m, "lora_A", "lora_B"),
        2.0,
        {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 6, "unet.r": 3, "text_encoder.lora_alpha": 6})},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weight", [None, 0.5, -1])
def test_the_weights_are_those_of_the_formula(
    checkpoints: Path, tmp_path: Path, matrices: dict, layout: str, weight: float | None
) -> None:
    write, scale, metadata = LAYOUTS[layout]
    save_file(write(matrices), path := tmp_path / "a.b-1.safetensors", metadata)
    merged = load(checkpoints, str(path) if weight is None else f"{path}:{weight}")
    plain = load(checkpoints)
    changed = set()
    for part in ("unet", "text_encoder"):
        before = getattr(plain, part).state_dict()
        for name, value in getattr(merged, part).state_dict().items():
            module = name.removesuffix(".weight").removeprefix("text_model.")
            if not torch.equal(value, before[name]):
                goal = expected(before[name], *matrices[module], scale * (1 if weight is None else weight))
                torch.testing.assert_close(value, goal, rtol=1e-5, atol=1e-5)
                changed.add(module)
    in_attention = {name for name in UNET if ".attn" in name}
    assert changed == (in_attention if layout == "processors" else matrices.keys())
    assert merged.digests.keys() - plain.digests.keys() == {"LoRA"}


def test_several_add_up_and_belong_to_the_person(checkpoints: Path, tmp_path: Path, matrices: dict) -> None:
    save_file(kohya(matrices), path := tmp_path / "one.safetensors")
    twice, once = load(checkpoints, str(path), f"{path}:2"), load(checkpoints, f"{path}:3")
    for name, value in once.unet.state_dict().items():
        torch.testing.assert_close(twice.unet.state_dict()[name], value, rtol=1e-5, atol=1e-5)
    digests = [base.digests["LoRA"] for base in (twice, once, load(checkpoints, str(path)))]
    assert len(set(digests)) == 3
    half = load(checkpoints, f"{path}:3", dtype=torch.bfloat16)
    name = "down_blocks.0.resnets.0.conv1.weight"
    assert torch.equal(half.unet.state_dict()[name], once.unet.state_dict()[name].bfloat16())
    assert half.digests == once.digests


def test_what_does_not_fit_is_named(checkpoints: Path, tmp_path: Path, matrices: dict) -> None:
    good, path = kohya(matrices), tmp_path / "x.safetensors"
    key = "lora_unet_down_blocks_0_resnets_0_conv1"
    down = good[f"{key}.lora_down.weight"]
    for tensors, named in (
        ({**good, f"{key}.lora_down.weight": down[:, :5].clone()}, "does not fit the base"),
        ({**good, f"{key}.lora_up.weight": torch.zeros(32, 2, 1, 1)}, "does not fit the base"),
        ({n.replace("resnets_0", "resnets_7"): v for n, v in good.items()}, "1 of its layers"),
        ({n: v for n, v in good.items() if n != f"{key}.lora_up.weight"}, "lacks one of the two"),
        ({**good, f"{key}.alpha": torch.tensor(torch.nan)}, "alpha"),
        ({**good, f"{key}.lora_down.weight": down * torch.inf}, "no finite numbers"),
        ({"lora_te2_x.lora_down.weight": down}, "another family"),
        ({"x.hada_w1_a": down}, "LoHa"),
        ({"x.lokr_w1": down}, "LoKr"),
        ({**good, f"{key}.dora_scale": down.clone()}, "DoRA"),
        ({"conv_in.weight": down}, "'conv_in.weight'"),
    ):
        save_file(tensors, path)
        with pytest.raises(CheckpointError, match=named) as caught:
            load(checkpoints, str(path))
        assert "\n" not in str(caught.value)
    for text in ("nowhere.safetensors", f"{path}:strong", f"{path}:1e400x"):
        with pytest.raises(CheckpointError, match="FILE"):
            load(checkpoints, text)
