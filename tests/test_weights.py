"""Loading of bases and ControlNets: what fits loads, everything else is one clear error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel

from edit_your_motion.backbone import Backbone
from edit_your_motion.config import BaseConfig, NetworkConfig, RuntimeConfig
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.tiny import make_base, make_controlnet, make_text_encoder
from edit_your_motion.weights import PARTS, Base, load_base

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def copied(checkpoints: Path, tmp_path: Path) -> Path:
    """The tiny checkpoints, to be damaged."""
    shutil.copytree(checkpoints, tmp_path / "copied")
    return tmp_path / "copied"


def load(folder: Path) -> Base:
    return load_base(str(folder / "base"), str(folder / "controlnet"))


def refused(folder: Path, *named: str) -> None:
    """Loading fails with one line that has all of these words."""
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert all(word in str(caught.value) for word in named), str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_loaded_is_frozen_and_knows_its_sizes(checkpoints: Path) -> None:
    base = load_base(str(checkpoints / "base"), str(checkpoints / "controlnet"), str(checkpoints / "adapter"))
    for network in (base.vae, base.text_encoder, base.unet, base.controlnet):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert (base.pixels_per_latent, base.side_multiple, base.native_side) == (8, 64, 64)
    assert base.motion_adapter is not None
    assert not base.scheduler.config.clip_sample


def test_in_half_precision_the_vae_stays_in_full(checkpoints: Path) -> None:
    base = load_base(str(checkpoints / "base"), str(checkpoints / "controlnet"), dtype=torch.bfloat16)
    assert {base.unet.dtype, base.controlnet.dtype, base.text_encoder.dtype} == {torch.bfloat16}
    assert base.vae.dtype == torch.float32


def test_diffusers_loads_our_base_as_its_own(checkpoints: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoints / "base", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a b", num_inference_steps=1, height=64, width=64, output_type="np").images
    assert picture.shape == (1, 64, 64, 3)
    unet = UNet2DConditionModel.from_pretrained(checkpoints / "base", subfolder="unet")
    ours = load(checkpoints).unet.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in unet.state_dict().items())


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    weights = [
        load_file(make_base(tmp_path / name, widths=(32,) * 4, seed=seed) / "unet" / WEIGHTS)
        for name, seed in (("one", 3), ("again", 3), ("other", 4))
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert any(not torch.equal(value, weights[2][name]) for name, value in weights[0].items())


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named(copied: Path, part: str) -> None:
    shutil.rmtree(copied / "base" / part)
    refused(copied, f"found no {part}")


@pytest.mark.parametrize(
    "file",
    [
        "base/vae/config.json",
        f"base/vae/{WEIGHTS}",
        "base/unet/config.json",
        f"base/unet/{WEIGHTS}",
        "base/text_encoder/config.json",
        "base/text_encoder/model.safetensors",
        "base/tokenizer",
        "base/scheduler/scheduler_config.json",
        "controlnet/config.json",
        f"controlnet/{WEIGHTS}",
    ],
)
def test_a_missing_file_names_its_part(copied: Path, file: str) -> None:
    path = copied / file
    if path.is_dir():
        for inner in path.iterdir():
            inner.unlink()
    else:
        path.unlink()
    refused(copied, (path if path.is_dir() else path.parent).name)


@pytest.mark.parametrize("part", ["base/unet", "base/text_encoder", "controlnet"])
def test_pickled_weights_are_refused_unread(copied: Path, part: str) -> None:
    (weights,) = (copied / part).glob("*.safetensors")
    name = "pytorch_model.bin" if part.endswith("encoder") else "diffusion_pytorch_model.bin"
    torch.save(load_file(weights), copied / part / name)
    weights.unlink()
    refused(copied, "pickled", "safetensors")


@pytest.mark.parametrize("part", ["base/unet", "base/vae", "base/text_encoder", "controlnet"])
@pytest.mark.parametrize("keep", [100, 0.5], ids=["header", "half"])
def test_a_truncated_file_is_refused(copied: Path, part: str, keep: float | int) -> None:
    (weights,) = (copied / part).glob("*.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    refused(copied, "could not load", part.split("/")[-1])


def change_scheduler(folder: Path) -> None:
    path = folder / "base/scheduler/scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))


def change_text_encoder(folder: Path) -> None:
    vocabulary = CLIPTextModel.from_pretrained(folder / "base", subfolder="text_encoder").config.vocab_size
    make_text_encoder(64, vocabulary).save_pretrained(folder / "base/text_encoder")


@pytest.mark.parametrize(
    ("change", "named"),
    [(change_scheduler, ("epsilon or v_prediction", "'sample'")), (change_text_encoder, ("text width", "64", "32"))],
)
def test_parts_that_do_not_fit_are_refused(copied: Path, change: Callable[[Path], None], named: tuple[str]) -> None:
    change(copied)
    refused(copied, *named)


def test_a_controlnet_of_other_widths_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    other = make_controlnet(tmp_path / "controlnet", make_base(tmp_path / "base", widths=(32, 32, 64, 64)))
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(other))
    backbone = Backbone.load(model, RuntimeConfig(device="cpu"))
    with pytest.raises(CheckpointError, match="ControlNet does not fit the base"):
        backbone.inflate(NetworkConfig(), seed=0)


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`:UserWarning")  # between diffusers and the hub
@pytest.mark.parametrize("name", ["nobody/nothing-at-all", "no-such-folder/base", "./nowhere", "/nowhere/base"])
def test_a_base_that_cannot_be_reached_is_one_clear_error(
    name: str, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=name) as caught:
        load_base(name, str(checkpoints / "controlnet"))
    assert "\n" not in str(caught.value)


def test_devices_and_precisions_that_are_not_there(checkpoints: Path) -> None:
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    with pytest.raises(ConfigError, match=r"'quantum'.*eym doctor"):
        Backbone.load(model, RuntimeConfig(device="quantum"))
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        Backbone.load(model, RuntimeConfig(device="cpu", precision="fp16"))
