"""Checkpoints in one file: what is written in the original layout loads bit for bit; all else is named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from edit_your_motion.errors import CheckpointError, ModelFileError
from edit_your_motion.models.loading import Base, load_architecture, load_base
from edit_your_motion.models.tiny import make_controlnet, make_scheduler, make_text_encoder, make_unet, make_vae
from edit_your_motion.models.tokenizers import CLIP_MERGES, clip_tokenizer, make_tokenizer

Tensors = dict[str, torch.Tensor]
WEIGHTS = "diffusion_pytorch_model.safetensors"
LAYERS, TEXT_WIDTH, HEADS = 2, 64, 8

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET_RULES: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"down_blocks\.(\d)\.resnets\.(\d)\.(\w+)", lambda m: f"input_blocks.{place(m)}.0.{RESNET[m[3]]}"),
    (r"down_blocks\.(\d)\.attentions\.(\d)", lambda m: f"input_blocks.{place(m)}.1"),
    (r"down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{(int(m[1]) + 1) * (LAYERS + 1)}.0.op"),
    (r"mid_block\.resnets\.(\d)\.(\w+)", lambda m: f"middle_block.{2 * int(m[1])}.{RESNET[m[2]]}"),
    (r"mid_block\.attentions\.0", lambda m: "middle_block.1"),
    (r"up_blocks\.(\d)\.resnets\.(\d)\.(\w+)", lambda m: f"output_blocks.{place(m) - 1}.0.{RESNET[m[3]]}"),
    (r"up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{place(m) - 1}.1"),
    (r"up_blocks\.0\.upsamplers\.0\.conv", lambda m: f"output_blocks.{LAYERS}.1.conv"),  # no attention before it
    (r"up_blocks\.(\d)\.upsamplers\.0\.conv", lambda m: f"output_blocks.{int(m[1]) * (LAYERS + 1) + LAYERS}.2.conv"),
    (r"time_embedding\.linear_(\d)", lambda m: f"time_embed.{2 * int(m[1]) - 2}"),
    (r"controlnet_cond_embedding\.conv_in", lambda m: "input_hint_block.0"),
    (r"controlnet_cond_embedding\.blocks\.(\d)", lambda m: f"input_hint_block.{2 * int(m[1]) + 2}"),
    (r"controlnet_cond_embedding\.conv_out", lambda m: "input_hint_block.14"),
    (r"controlnet_down_blocks\.(\d+)", lambda m: f"zero_convs.{m[1]}.0"),
    (r"controlnet_mid_block", lambda m: "middle_block_out.0"),
    (r"conv_in", lambda m: "input_blocks.0.0"),
    (r"conv_norm_out", lambda m: "out.0"),
    (r"conv_out", lambda m: "out.2"),
]
VAE_RULES: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"encoder.down.{m[1]}.block.{m[2]}"),
    (r"encoder\.down_blocks\.(\d)\.downsamplers\.0", lambda m: f"encoder.down.{m[1]}.downsample"),
    (r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.up.{3 - int(m[1])}.block.{m[2]}"),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.up.{3 - int(m[1])}.upsample"),
    (r"(\w+)\.mid_block\.resnets\.(\d)", lambda m: f"{m[1]}.mid.block_{int(m[2]) + 1}"),
    (r"(\w+)\.mid_block\.attentions\.0", lambda m: f"{m[1]}.mid.attn_1"),
    (r"(\w+)\.conv_norm_out", lambda m: f"{m[1]}.norm_out"),
]
VAE_WORDS = {"conv_shortcut": "nin_shortcut", "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v"}


def place(match: re.Match[str]) -> int:
    return 1 + int(match[1]) * (LAYERS + 1) + int(match[2])


def renamed(name: str, rules: list[tuple[str, Callable[[re.Match[str]], str]]]) -> str:
    for pattern, write in rules:
        if match := re.match(rf"{pattern}(?=\.)", name):
            return write(match) + name[match.end() :]
    return name


def original_unet(tensors: Tensors) -> Tensors:
    return {renamed(name, UNET_RULES): value for name, value in tensors.items()}


def original_vae(tensors: Tensors) -> Tensors:
    written = {}
    for name, value in tensors.items():
        new = renamed(name, VAE_RULES).replace(".to_out.0.", ".proj_out.")
        new = ".".join(VAE_WORDS.get(word, word) for word in new.split("."))
        attention = ".attn_1." in new and name.endswith("weight") and value.ndim == 2
        written[new] = value[..., None, None].clone() if attention else value  # its projections are convolutions there
    return written


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: value for name, value in tensors.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and a ControlNet of Stable Diffusion 1.5's architecture, narrow, in diffusers' layout."""
    return make_narrow(tmp_path_factory.mktemp("sd"))


def make_narrow(folder: Path) -> Path:
    """Writes it and returns `folder`."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer(folder / "base/tokenizer")
    make_vae((32, 32, 64, 64), groups=32).save_pretrained(folder / "base/vae")
    make_text_encoder(TEXT_WIDTH, len(tokenizer), heads=1).save_pretrained(folder / "base/text_encoder")
    make_unet((32, 64, 64, 64), LAYERS, HEADS, TEXT_WIDTH).save_pretrained(folder / "base/unet")
    make_scheduler().save_pretrained(folder / "base/scheduler")
    make_controlnet(folder / "controlnet", folder / "base")
    return folder


@pytest.fixture(scope="module")
def parts(folder: Path) -> Tensors:
    """The base in the original layout."""
    return in_one(folder)


def in_one(folder: Path) -> Tensors:
    """The tensors of a file in the original layout."""
    text = load_file(folder / "base/text_encoder/model.safetensors")
    plain = {name.removeprefix("text_model."): value for name, value in text.items()}
    return {
        **under("model.diffusion_model.", original_unet(load_file(folder / "base/unet" / WEIGHTS))),
        **under("first_stage_model.", original_vae(load_file(folder / "base/vae" / WEIGHTS))),
        **under("cond_stage_model.transformer.text_model.", plain),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "betas": torch.zeros(1000),
    }


@pytest.fixture
def file(parts: Tensors, tmp_path: Path) -> Path:
    save_file(parts, tmp_path / "one.safetensors")
    return tmp_path / "one.safetensors"


def load(folder: Path, base: Path | str, controlnet: Path | str | None = None, **options: object) -> Base:
    options.setdefault("tokenizer", str(folder / "base/tokenizer"))
    return load_base(str(base), str(controlnet or folder / "controlnet"), **options)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_base_in_one_file_is_the_folder_bit_for_bit(folder: Path, file: Path) -> None:
    one, other = load(folder, file), load(folder, folder / "base")
    for part in ("unet", "vae", "text_encoder"):
        assert same(getattr(one, part), getattr(other, part)), part
    assert one.digests == other.digests
    assert load_architecture(str(file), str(folder / "controlnet")).side_multiple == one.side_multiple


@pytest.mark.parametrize("prefix", ["control_model.", "", None])
def test_a_controlnet_in_one_file_is_the_folder_bit_for_bit(folder: Path, tmp_path: Path, prefix: str | None) -> None:
    tensors = load_file(folder / "controlnet" / WEIGHTS)
    save_file(tensors if prefix is None else under(prefix, original_unet(tensors)), tmp_path / "control.safetensors")
    one = load(folder, folder / "base", tmp_path / "control.safetensors")
    other = load(folder, folder / "base")
    assert same(one.controlnet, other.controlnet)
    assert one.digests["ControlNet"] == other.digests["ControlNet"]


@pytest.mark.parametrize("form", ["original", "bare", "diffusers", "folder"])
def test_another_vae_takes_the_base_s_place(folder: Path, tmp_path: Path, form: str) -> None:
    torch.manual_seed(9)
    vae = make_vae((32, 32, 64, 64), groups=32)
    tensors = {name: value.clone() for name, value in vae.state_dict().items()}
    place = tmp_path / "vae.safetensors"
    if form == "folder":
        vae.save_pretrained(place := tmp_path / "vae")
    else:
        original = original_vae(tensors)
        save_file({"original": under("first_stage_model.", original), "bare": original}.get(form, tensors), place)
    one, before = load(folder, folder / "base", vae=str(place)), load(folder, folder / "base")
    assert same(one.vae, vae)
    assert {part for part in one.digests if one.digests[part] != before.digests[part]} == {"VAE"}


def test_the_running_average_is_taken_where_both_are_there(folder: Path, parts: Tensors, tmp_path: Path) -> None:
    unet = {name: value for name, value in parts.items() if name.startswith("model.diffusion_model.")}
    ema = {f"model_ema.{name.removeprefix('model.').replace('.', '')}": value.clone() for name, value in unet.items()}
    noisy = {name: value + 1 for name, value in unet.items()}
    save_file({**parts, **noisy, **ema}, tmp_path / "both.safetensors")
    assert same(load(folder, tmp_path / "both.safetensors").unet, load(folder, folder / "base").unet)


def refused(folder: Path, tensors: Tensors, tmp_path: Path, *named: str, controlnet: bool = False) -> None:
    save_file({name: value.clone() for name, value in tensors.items()}, path := tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(folder, folder / "base", path) if controlnet else load(folder, path)
    assert all(word in str(caught.value) for word in named), str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_other_families_are_named(folder: Path, parts: Tensors, tmp_path: Path) -> None:
    unet, x = "model.diffusion_model.", torch.zeros(2, 2)
    context = next(name for name in parts if name.endswith("input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"))
    wide = {
        n: torch.zeros(v.shape[0], 2048)
        for n, v in parts.items()
        if n.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))
    }
    for tensors, named in (
        ({**parts, f"{unet}input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)}, "inpainting"),
        ({**parts, f"{unet}input_blocks.0.0.weight": torch.zeros(32, 8, 3, 3)}, "InstructPix2Pix"),
        ({**parts, **wide}, "Stable Diffusion XL"),
        ({**parts, context: torch.zeros(64, 70)}, "one text width"),
        ({f"{unet}a": x, "conditioner.embedders.0.x": x}, "Stable Diffusion XL"),
        ({f"{unet}a": x, "cond_stage_model.model.x": x}, "Stable Diffusion 2.x"),
        ({f"{unet}joint_blocks.0.x": x}, "Stable Diffusion 3"),
        ({"double_blocks.0.x": x}, "Flux"),
        ({"lora_unet_x.lora_down.weight": x}, "LoRA"),
        ({"control_model.zero_convs.0": x, "zero_convs.0": x}, "ControlNet"),
        ({"encoder.down.0.x": x}, "VAE alone"),
        ({n: v for n, v in parts.items() if n.startswith(unet)}, "U-Net alone"),
        ({"whatever": x}, "'whatever'"),
    ):
        refused(folder, tensors, tmp_path, named)


def test_damage_in_one_file_is_named(folder: Path, parts: Tensors, tmp_path: Path) -> None:
    unet = "model.diffusion_model."
    for lost, named in (
        (f"{unet}input_blocks.4.0.out_layers.3.weight", "missing"),
        (f"{unet}output_blocks.3.1.proj_in.weight", "missing"),
        (f"{unet}out.2.weight", "missing"),
        ("first_stage_model.decoder.mid.attn_1.q.weight", "missing"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.weight", "missing"),
    ):
        refused(folder, {name: value for name, value in parts.items() if name != lost}, tmp_path, named)
    refused(folder, {**parts, f"{unet}extra.weight": torch.ones(3)}, tmp_path, "no place", "extra.weight")
    refused(folder, {"conv_in.weight": torch.zeros(2)}, tmp_path, "expected a ControlNet", controlnet=True)


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02}q", b"GGUF\x03\0\0\0", b"", b"\xff" * 64])
@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_other_kinds_of_files_are_named(folder: Path, tmp_path: Path, start: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(start)
    kind = (
        "GGUF"
        if start[:1] == b"G"
        else "pickle"
        if name == "x.ckpt" or (start[:1] in b"P\x80" and start)
        else "damaged"
    )
    with pytest.raises(CheckpointError, match=kind):
        load(folder, tmp_path / name)


def test_clip_s_tokenizer_is_made_of_its_merges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edit_your_motion.models.downloads import fetch

    try:
        fetch(CLIP_MERGES)
    except ModelFileError as problem:
        pytest.skip(str(problem))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == 49408
    # As published for CLIP ViT-L/14, the text encoder of Stable Diffusion 1.x.
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer.pad_token_id == 49407


def test_without_a_tokenizer_it_is_said_where_one_goes(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object, **options: object) -> Path:
        raise ModelFileError("there is no network")

    monkeypatch.setattr("edit_your_motion.models.tokenizers.obtain", fail)
    monkeypatch.setattr("edit_your_motion.models.tokenizers.try_to_load_from_cache", lambda *names: None)
    with pytest.raises(CheckpointError, match=r"--model\.tokenizer.*no network"):
        load(folder, file, tokenizer=None)
