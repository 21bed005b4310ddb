"""Loading of bases and ControlNets: what fits loads, everything else is one clear error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from edit_your_motion.config import BaseConfig, RuntimeConfig
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import PARTS, Base, load_base
from edit_your_motion.models.tiny import make_base, make_controlnet, make_text_encoder

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
    with pytest.raises(CheckpointError, match="ControlNet does not fit the base"):
        Backbone.load(model, RuntimeConfig(device="cpu"))


def test_devices_and_precisions_that_are_not_there(checkpoints: Path) -> None:
    model = BaseConfig(base=str(checkpoints / "base"), controlnet=str(checkpoints / "controlnet"))
    with pytest.raises(ConfigError, match=r"'quantum'.*eym doctor"):
        Backbone.load(model, RuntimeConfig(device="quantum"))
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        Backbone.load(model, RuntimeConfig(device="cpu", precision="fp16"))


NETWORKS = {"U-Net": "base/unet", "VAE": "base/vae", "text encoder": "base/text_encoder", "ControlNet": "controlnet"}


def weights_of(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path := weights_of(folder))
    change(tensors)
    save_file(tensors, path)


def change_config(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def first_matrix(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in sorted(tensors) if tensors[name].ndim >= 2)


@pytest.mark.parametrize("part", [*NETWORKS.values(), "adapter"])
def test_tensors_that_do_not_fit_are_named(copied: Path, part: str) -> None:
    where = copied / part
    kept = load_file(weights_of(where))
    name = first_matrix(kept)
    damages: list[tuple[Callable[[dict[str, torch.Tensor]], object], tuple[str, ...]]] = [
        (lambda tensors: tensors.pop(name), ("1 of its", "missing", name)),
        (lambda tensors: tensors.update(extra=torch.zeros(2)), ("no place for", "extra")),
        (lambda tensors: tensors.update({name: kept[name][:1].clone()}), (name, str(tuple(kept[name].shape)))),
        (lambda tensors: tensors.update({name: torch.full_like(kept[name], torch.nan)}), ("no finite numbers", name)),
        (lambda tensors: tensors.update({name: kept[name].to(torch.int8)}), ("quantised", "int8")),
        (lambda tensors: tensors.clear() or tensors.update(x=torch.zeros(1)), ("tensors are missing",)),
    ]
    for damage, named in damages:
        save_file(kept, weights_of(where))
        change_tensors(where, damage)
        with pytest.raises(CheckpointError) as caught:
            load_base(str(copied / "base"), str(copied / "controlnet"), str(copied / "adapter"))
        assert all(word in str(caught.value) for word in (*named, str(where))), str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "values", "named"),
    [
        ("base/unet", {"_class_name": "FluxTransformer2DModel"}, ("UNet2DConditionModel", "FluxTransformer2DModel")),
        ("base/unet", {"in_channels": 9}, ("inpainting", "9 channels")),
        ("base/unet", {"in_channels": 8}, ("InstructPix2Pix", "8 channels")),
        ("base/unet", {"in_channels": 7}, ("another task", "7 channels")),
        ("base/unet", {"addition_embed_type": "text_time"}, ("Stable Diffusion XL",)),
        ("base/unet", {"cross_attention_dim": 2048}, ("Stable Diffusion XL",)),
        ("base/unet", {"cross_attention_dim": 1024, "use_linear_projection": True}, ("Stable Diffusion 2",)),
        ("base/unet", {"time_cond_proj_dim": 256}, ("distilled",)),
        (
            "base/unet",
            {"attention_head_dim": 4, "transformer_layers_per_block": 2},
            ("tensors are missing", "blocks.1"),
        ),
        ("base/unet", {"block_out_channels": "wide"}, ("describes no UNet2DConditionModel",)),
        ("base/unet", {"block_out_channels": [33, 64, 64, 64]}, ("describes no UNet2DConditionModel",)),
        ("base/unet", {"layers_per_block": 10**7}, ("impossible layers_per_block",)),
        ("base/vae", {"_class_name": "AutoencoderKLWan"}, ("AutoencoderKL", "AutoencoderKLWan")),
        ("base/vae", {"latent_channels": 16}, ("latent channels", "16", "4")),
        ("base/text_encoder", {"architectures": ["T5EncoderModel"]}, ("CLIPTextModel", "T5EncoderModel")),
        ("base/text_encoder", {"hidden_size": "x"}, ("describes no CLIPTextModel",)),
        ("controlnet", {"conditioning_channels": 6}, ("channels of pictures", "6")),
        ("controlnet", {"_class_name": "UNet2DConditionModel"}, ("ControlNetModel", "UNet2DConditionModel")),
        ("controlnet", {"conditioning_embedding_out_channels": [16, 32, 96]}, ("pixels per latent cell", "8", "4")),
        ("adapter", {"block_out_channels": [32, 64, 64, 96]}, ("motion adapter of the U-Net's widths",)),
    ],
)
def test_configurations_of_others_are_named(
    copied: Path, part: str, values: dict[str, object], named: tuple[str, ...]
) -> None:
    change_config(copied / part / "config.json", **values)
    with pytest.raises(CheckpointError) as caught:
        load_base(str(copied / "base"), str(copied / "controlnet"), str(copied / "adapter"))
    assert all(word in str(caught.value) for word in named), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"null", b"[" * 10**5])
@pytest.mark.parametrize("file", ["base/unet/config.json", "base/scheduler/scheduler_config.json"])
def test_a_damaged_configuration_is_named(copied: Path, file: str, content: bytes) -> None:
    (copied / file).write_bytes(content)
    refused(copied, file.split("/")[1])


@pytest.mark.parametrize(
    ("pipeline", "named"),
    [
        ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"),
        ("StableDiffusionInpaintPipeline", "inpainting"),
        ("StableDiffusionInstructPix2PixPipeline", "InstructPix2Pix"),
        ("FluxPipeline", "Flux"),
    ],
)
def test_pipelines_of_other_families_are_named(copied: Path, pipeline: str, named: str) -> None:
    change_config(copied / "base/model_index.json", _class_name=pipeline)
    refused(copied, named, pipeline)


@pytest.mark.parametrize("name", ["{}.fp16.safetensors", "{}.non_ema.safetensors", "{}.bf16.safetensors"])
def test_a_variant_alone_is_loaded(copied: Path, name: str) -> None:
    expected = load(copied)
    for part in NETWORKS.values():
        path = weights_of(copied / part)
        path.rename(path.with_name(name.format(path.stem)))
    assert load(copied).digests == expected.digests


def test_full_precision_is_preferred(copied: Path) -> None:
    expected = load(copied)
    path = weights_of(copied / "base/unet")
    half = {key: value.half() for key, value in load_file(path).items()}
    save_file(half, path.with_name(f"{path.stem}.fp16.safetensors"))
    loaded = load(copied).unet.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in expected.unet.state_dict().items())


def shard(folder: Path, index: str, pieces: str) -> list[Path]:
    """Cuts weights into three files with an index."""
    tensors = load_file(path := weights_of(folder))
    names, paths = sorted(tensors), []
    places = {}
    for number in range(3):
        paths.append(folder / pieces.format(number + 1))
        part = {name: tensors[name] for name in names[number::3]}
        save_file(part, paths[-1])
        places.update(dict.fromkeys(part, paths[-1].name))
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    path.unlink()
    return paths


@pytest.mark.parametrize(
    ("index", "pieces"),
    [
        ("{}.safetensors.index.json", "{}-0000{{}}-of-00003.safetensors"),
        ("{}.safetensors.index.fp16.json", "{}.fp16-0000{{}}-of-00003.safetensors"),
        ("{}.fp16.safetensors.index.json", "{}-0000{{}}-of-00003.fp16.safetensors"),
    ],
)
@pytest.mark.parametrize(("part", "stem"), [("base/unet", WEIGHTS.split(".")[0]), ("base/text_encoder", "model")])
def test_shards_are_loaded_and_missed(copied: Path, part: str, stem: str, index: str, pieces: str) -> None:
    expected = load(copied)
    paths = shard(copied / part, index.format(stem), pieces.format(stem))
    assert load(copied).digests == expected.digests
    paths[1].unlink()
    refused(copied, paths[1].name, "not beside it")


def test_an_index_leads_nowhere_else(copied: Path) -> None:
    shard(copied / "base/unet", f"{WEIGHTS}.index.json", "x{}.safetensors")
    index = copied / "base/unet" / f"{WEIGHTS}.index.json"
    places = json.loads(index.read_text())["weight_map"]
    for other in ("../vae/x.safetensors", "/etc/passwd", 7):
        index.write_text(json.dumps({"weight_map": {**places, "conv_in.weight": other}}))
        refused(copied, "weight_map")


def test_the_digest_is_the_same_for_whatever_it_is_loaded(copied: Path, checkpoints: Path) -> None:
    expected = load(checkpoints).digests
    for options in ({"dtype": torch.bfloat16}, {"storage": torch.float16}, {"dtype": torch.float16}):
        assert load_base(str(copied / "base"), str(copied / "controlnet"), **options).digests == expected
    for part in NETWORKS.values():  # saved in half precision, as a variant is
        change_tensors(copied / part, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    assert load(copied).digests == expected


def nudge(folder: Path) -> None:
    """A change that no look at a few weights would find."""
    tensors = load_file(path := weights_of(folder))
    name = sorted(tensors)[len(tensors) // 2]
    value = tensors[name].flatten()
    value[-1] += 0.01
    save_file({**tensors, name: value.reshape(tensors[name].shape)}, path)


@pytest.mark.parametrize("changed", NETWORKS)
def test_any_change_of_weights_changes_that_part_s_digest(copied: Path, changed: str) -> None:
    before = load(copied).digests
    nudge(copied / NETWORKS[changed])
    after = load(copied).digests
    assert {part for part in before if before[part] != after[part]} == {changed}


@pytest.mark.parametrize(
    ("file", "values", "changed"),
    [
        ("base/vae/config.json", {"scaling_factor": 0.2}, "VAE"),
        ("base/unet/config.json", {"attention_head_dim": 2}, "U-Net"),
        ("base/text_encoder/config.json", {"hidden_act": "gelu"}, "text encoder"),
        ("base/scheduler/scheduler_config.json", {"beta_end": 0.013}, "scheduler"),
        ("base/scheduler/scheduler_config.json", {"steps_offset": 0}, "scheduler"),
        ("controlnet/config.json", {"controlnet_conditioning_channel_order": "bgr"}, "ControlNet"),
        ("base/unet/config.json", {"sample_size": 16, "_name_or_path": "elsewhere"}, None),
    ],
)
def test_any_setting_that_decides_changes_the_digest(
    copied: Path, file: str, values: dict[str, object], changed: str | None
) -> None:
    before = load(copied).digests
    change_config(copied / file, **values)
    after = load(copied).digests
    assert {part for part in before if before[part] != after[part]} == ({changed} - {None})


def test_the_attention_of_old_vaes_is_renamed(copied: Path) -> None:
    expected = load(copied).vae.state_dict()
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def age(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "attentions" in name]:
            value = tensors.pop(name)
            for new, before in old.items():
                name = name.replace(f".{new}.", f".{before}.")
            tensors[name] = value

    change_tensors(copied / "base/vae", age)
    loaded = load(copied).vae.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in expected.items())


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_text_encoders_of_all_versions_are_read(copied: Path, prefix: str) -> None:
    expected = load(copied).digests

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        plain = {name.removeprefix("text_model."): tensors.pop(name) for name in list(tensors)}
        tensors.update({prefix + name: value for name, value in plain.items()})
        tensors[f"{prefix}embeddings.position_ids"] = torch.arange(77)[None]

    change_tensors(copied / "base/text_encoder", rename)
    assert load(copied).digests == expected


def set_scheduler(folder: Path, **values: object) -> None:
    change_config(folder / "base/scheduler/scheduler_config.json", **values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, ("flow matching", "FlowMatchEulerDiscreteScheduler")),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, ("flow matching",)),
        ({"_class_name": "EDMEulerScheduler"}, ("another noise schedule", "EDMEulerScheduler")),
        ({"_class_name": "ScoreSdeVeScheduler"}, ("ScoreSdeVeScheduler",)),
        ({"prediction_type": "sample"}, ("epsilon or v_prediction", "'sample'")),
        ({"prediction_type": "flow_prediction"}, ("'flow_prediction'",)),
        ({"rescale_betas_zero_snr": True}, ("rescale_betas_zero_snr", "inverted")),
        ({"beta_schedule": "cosine-of-mine"}, ("could not load scheduler",)),
        ({"beta_start": "low"}, ("could not load scheduler",)),
        ({"beta_end": 1.5}, ("betas in 0..1",)),
        ({"beta_start": 0.0, "beta_end": 0.0}, ("does not fall",)),
        ({"trained_betas": [0.1, 0.2]}, ("one for each of 1000",)),
        ({"trained_betas": [float("nan")] * 1000}, ("does not fall",)),
    ],
)
def test_schedules_that_are_none_of_ours_are_named(
    copied: Path, values: dict[str, object], named: tuple[str, ...]
) -> None:
    set_scheduler(copied, **values)
    refused(copied, "scheduler", *named)


@pytest.mark.parametrize(
    "name", ["PNDMScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "DDPMScheduler"]
)
def test_other_samplers_of_the_same_schedule_are_taken(copied: Path, name: str) -> None:
    expected = load(copied).scheduler.alphas_cumprod
    set_scheduler(copied, _class_name=name)
    assert torch.equal(load(copied).scheduler.alphas_cumprod, expected)


def test_trained_betas_are_honoured(copied: Path) -> None:
    betas = [0.001 + 1e-5 * t for t in range(1000)]
    set_scheduler(copied, trained_betas=betas)
    expected = np.cumprod(1 - np.array(betas, dtype=np.float32))
    np.testing.assert_allclose(load(copied).scheduler.alphas_cumprod.numpy(), expected, rtol=1e-4)
