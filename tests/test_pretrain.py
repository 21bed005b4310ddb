"""Pretraining: it runs from nothing to a base that loads; it learns; a stopped run ends like one that was not."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from transformers import CLIPTokenizer

from edit_your_motion.errors import CheckpointError, ConfigError, FolderInUseError, ModelFileError
from edit_your_motion.metrics import Lpips
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.models.loading import load_base
from edit_your_motion.models.tiny import make_scheduler
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.pretrain import PretrainConfig, export, pretrain
from edit_your_motion.pretrain import vae as vae_module
from edit_your_motion.pretrain.camera import film
from edit_your_motion.pretrain.diffusion import (
    DiffusionTraining,
    PicturePredictor,
    heads_of,
    near_skeletons,
    snr_weights,
)
from edit_your_motion.pretrain.frames import (
    Crop,
    FramePool,
    FrameShard,
    head_circles,
    held_out_shard,
    load_shard,
    render_shards,
)
from edit_your_motion.pretrain.latents import LatentPool, as_condition, encoder_digest, pack_picture, unpack_picture
from edit_your_motion.pretrain.loop import learning_rate_share, load_average
from edit_your_motion.pretrain.samples import to_pixels
from edit_your_motion.pretrain.start import start_predictor, start_vae
from edit_your_motion.pretrain.tokenizer import train_tokenizer
from edit_your_motion.pretrain.vae import VaeTraining, build_vae, decode, distance_from, encode, enlarge
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.runtime.random import Draws
from edit_your_motion.storage.locking import held
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_state, load_tensors, save_state

pytest.importorskip("numba")

TINY = {
    "pictures": {"size": 64, "count": 16, "held_out": 8, "shard": 8},
    "architecture": {
        "vae_widths": (8, 8, 16, 16),
        "vae_groups": 4,
        "latent_channels": 4,
        "tokens": 32,
        "unet_widths": (32, 32, 32, 32),
        "heads": 2,
        "condition_widths": (8, 8, 8, 8),
        "text_width": 32,
    },
    "vae": {
        "steps": 3,
        "encoder_steps": 2,
        "batch": 2,
        "crop": 32,
        "whole_steps": 1,
        "warm_up": 0,
        "cool_down": 0,
        "sheet_every": 100,
        "perceptual": 0,
    },
    "diffusion": {"steps": 3, "batch": 4, "warm_up": 0, "sheet_every": 100, "sheet_steps": 2},
    "machine": {"device": "cpu", "checkpoint_minutes": 0},
}
CAPTIONS = ["a woman in a red dress is dancing in a park", "an old man in a blue shirt is walking on a beach"] * 4


def tiny(**changes: dict[str, object]) -> PretrainConfig:
    return PretrainConfig.model_validate({name: {**values, **changes.get(name, {})} for name, values in TINY.items()})


class KilledError(Exception):
    pass


class KillingProgress:
    """Raises at one step of one phase, as if the process had been killed there."""

    def __init__(self, phase: str, step: int) -> None:
        self.name, self.step = phase, step

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            if (name, done) == (self.name, self.step):
                raise KilledError

        yield advance


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole tiny training."""
    folder = tmp_path_factory.mktemp("pretrain") / "whole"
    pretrain(tiny(), folder)
    return folder


@pytest.fixture
def begun(finished: Path, tmp_path: Path) -> Path:
    """A folder with the pictures and nothing else."""
    shutil.copytree(finished / "frames", tmp_path / "begun" / "frames")
    return tmp_path / "begun"


def log_of(folder: Path, name: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_one_training_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    with held(tmp_path / "training"), pytest.raises(FolderInUseError, match="training is in use by process"):
        pretrain(tiny(), tmp_path / "training")


def test_export_is_a_base_that_loads_and_edits_could_use(finished: Path, tmp_path: Path) -> None:
    destination = export(finished, tmp_path / "small")
    base = load_base(str(destination / "base"), str(destination / "controlnet"))
    assert (base.pixels_per_latent, base.native_side, base.tokenizer.model_max_length) == (8, 64, 32)
    backbone = Backbone(base, torch.device("cpu"))
    shard = load_shard(finished / "frames" / "train-00000.safetensors")
    latents = backbone.encode(shard.frames, SilentProgress())
    assert latents.shape == (1, 8, 4, 8, 8)
    # The scaling factor was found on pictures like these, some of them masked.
    assert 0.5 < latents.std() < 2
    assert backbone.embed("a woman in a red dress").shape == (1, 32, 32)
    assert backbone.decode(latents, SilentProgress()).shape == shard.frames.shape
    assert not list(tmp_path.rglob("*.part"))
    record = json.loads((destination / "training.json").read_text())
    assert (record["vae_steps"], record["diffusion_steps"]) == (3, 3)


def test_exported_weights_are_the_averages_in_half_precision(finished: Path, tmp_path: Path) -> None:
    destination = export(finished, tmp_path / "small")
    exported = load_tensors(destination / "base" / "unet" / "diffusion_pytorch_model.safetensors")
    state = load_tensors(finished / "diffusion.safetensors")
    assert exported
    for name, value in exported.items():
        assert value.dtype == torch.float16
        assert torch.equal(value, state[f"parameter.average.unet.{name}"].half())


def test_default_sizes_fit_the_repository() -> None:
    config = PretrainConfig()
    networks = [build_vae(config), PicturePredictor(config, vocabulary=514 + config.architecture.merges)]
    assert sum(2 * value.numel() for network in networks for value in network.parameters()) < 80e6


@pytest.mark.parametrize(("phase", "step"), [("train the vae", 2), ("encode", 1), ("train the diffusion", 2)])
def test_a_stopped_run_ends_like_one_that_was_not(finished: Path, begun: Path, phase: str, step: int) -> None:
    with pytest.raises(KilledError):
        pretrain(tiny(), begun, KillingProgress(phase, step))
    pretrain(tiny(), begun)
    for name in ("vae.safetensors", "latents/train-00001.safetensors", "diffusion.safetensors"):
        expected, got = load_tensors(finished / name), load_tensors(begun / name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected), name
    for name in ("vae", "diffusion"):
        expected, got = (log_of(folder, name) for folder in (finished, begun))
        for line in (*expected, *got):
            line.pop("pictures_per_second", None)
        assert expected == got


def test_the_log_goes_on_where_more_is_minimised_than_before(begun: Path) -> None:
    with pytest.raises(KilledError):
        pretrain(tiny(), begun, KillingProgress("train the vae", 1))
    state = load_state(begun / "vae.safetensors", tiny().fingerprint)
    save_state(begun / "vae.safetensors", replace(state, unlogged=[{"loss": 1.0}]))
    pretrain(tiny(diffusion={"steps": 0}), begun)
    (line,) = [line for line in log_of(begun, "vae") if "pixels" in line]
    assert line["step"] == 3


def test_more_steps_go_on_from_the_last_state(finished: Path, begun: Path) -> None:
    pretrain(tiny(diffusion={"steps": 1}), begun)
    pretrain(tiny(), begun)
    expected, got = (load_tensors(folder / "diffusion.safetensors") for folder in (finished, begun))
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_refining_the_decoder_leaves_the_latents_valid(finished: Path, begun: Path) -> None:
    pretrain(tiny(diffusion={"steps": 0}), begun)
    before = (begun / "latents" / "train-00000.safetensors").stat().st_mtime_ns
    networks = []
    for steps in (3, 5):
        pretrain(tiny(vae={"steps": steps}, diffusion={"steps": 0}), begun)
        vae = build_vae(tiny())
        assert load_average(begun / "vae.safetensors", tiny().fingerprint, vae) == steps
        networks.append(vae)
    assert encoder_digest(networks[0]) == encoder_digest(networks[1])
    assert not torch.equal(networks[0].decoder.conv_in.weight, networks[1].decoder.conv_in.weight)
    assert (begun / "latents" / "train-00000.safetensors").stat().st_mtime_ns == before


def test_another_encoder_encodes_anew(begun: Path, tmp_path: Path) -> None:
    pretrain(tiny(diffusion={"steps": 1}), begun)
    shard = begun / "latents" / "train-00000.safetensors"
    before = load_metadata(shard)["made_with"]
    with pytest.raises(KilledError):
        pretrain(tiny(vae={"steps": 5, "encoder_steps": 5}), begun, KillingProgress("train the vae", 2))
    with pytest.raises(CheckpointError, match="earlier VAE"):
        export(begun, tmp_path / "small")
    pretrain(tiny(vae={"steps": 5, "encoder_steps": 5}, diffusion={"steps": 1}), begun)
    assert load_metadata(shard)["made_with"] != before
    assert export(begun, tmp_path / "small").is_dir()


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = tiny(vae={"steps": 20, "warm_up": 4, "cool_down": 5}).vae
    shares = [learning_rate_share(settings, step) for step in range(20)]
    assert shares[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert shares[14] == 1.0
    np.testing.assert_allclose(shares[15:], [5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_timesteps_with_little_noise_weigh_less() -> None:
    scheduler = make_scheduler()
    weights = snr_weights(scheduler, 5.0)
    kept = scheduler.alphas_cumprod
    noisy = kept / (1 - kept) < 5
    assert (weights[noisy] == 1).all()
    assert (weights[~noisy] < 1).all()
    # With these weights the error of the clean picture, SNR times that of the noise, counts five-fold at most.
    torch.testing.assert_close((weights * kept / (1 - kept))[~noisy], torch.full_like(kept[~noisy], 5.0))
    assert (snr_weights(scheduler, float("inf")) == 1).all()


def test_of_a_velocity_timesteps_with_hardly_any_signal_keep_their_weight() -> None:
    scheduler = make_scheduler("v_prediction")
    weights, kept = snr_weights(scheduler, 5.0), scheduler.alphas_cumprod
    # The squared error of the velocity is that of the clean picture over 1 - abar.
    of_the_picture = weights / (1 - kept)
    assert of_the_picture[-1] == pytest.approx(1.0, abs=0.01)
    assert of_the_picture.max() == pytest.approx(5.0)
    assert (of_the_picture.diff() <= 1e-5).all()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_sheets_are_sampled_from_what_the_network_predicts(
    finished: Path, prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(architecture={"prediction": prediction})
    shard = load_shard(finished / "frames" / "held-out.safetensors")
    vae = build_vae(config).eval()
    vae.register_to_config(scaling_factor=1.0)
    tokenizer = CLIPTokenizer.from_pretrained(finished / "tokenizer")
    pool = LatentPool(sorted((finished / "latents").glob("*.safetensors")), config.pictures.size, 1.0)
    training = DiffusionTraining(config, pool, shard, vae, tokenizer, torch.device("cpu"))
    clean = training.held_out.first(8).latents

    def know_the_picture(
        z: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, skeletons: torch.Tensor
    ) -> torch.Tensor:
        kept = training.scheduler.alphas_cumprod[t].reshape(-1, 1, 1, 1, 1)
        noise = (z - kept.sqrt() * clean[:, None]) / (1 - kept).sqrt()
        return noise if prediction == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * clean[:, None]

    monkeypatch.setattr(training.average, "forward", know_the_picture)
    sheet = training.sheet()
    difference = np.abs(sheet[1].astype(int) - sheet[3].astype(int))
    assert difference.mean() < 2


def test_cells_near_the_skeleton_are_found() -> None:
    skeletons = torch.zeros(2, 3, 64, 64)
    skeletons[0, 1, 36, 20] = 0.5  # in the cell (4, 2) of 8x8 cells
    near = near_skeletons(skeletons, 8)
    assert near[0, 3:6, 1:4].all()
    assert near.sum() == 9


def test_heads_are_told_from_the_rest_of_a_skeleton() -> None:
    body = np.zeros((1, 18, 3), np.float32)
    body[0, :, 0] = 64 + 40 * np.cos(np.arange(18))  # all over the picture
    body[0, :, 1] = 80 + 40 * np.sin(np.arange(18))
    head = [BODY_JOINTS.index(f"{side}_{part}") for side in ("right", "left") for part in ("eye", "ear")]
    body[0, head, :2] = [[60, 12], [56, 14], [68, 12], [72, 14]]
    body[0, 0, :2] = 64, 16
    body[..., 2] = 1
    skeletons = as_condition(draw_skeleton(Keypoints(body, 128, 128)))
    heads = heads_of(skeletons)
    found = heads[0].amax(dim=0).nonzero().numpy()
    assert found[:, 0].max() < 20
    assert found[:, 1].min() > 50
    for x, y in body[0, head, :2].astype(int):
        assert heads[0, :, y, x].any()
    assert not heads_of(as_condition(draw_skeleton(Keypoints(body * np.float32([1, 1, 0]), 128, 128)))).any()


def test_a_training_starts_from_an_exported_base(finished: Path, begun: Path, tmp_path: Path) -> None:
    base = export(finished, tmp_path / "small")
    config = tiny(vae={"steps": 0}, diffusion={"steps": 0}, architecture={"latent_channels": 6})
    config = config.model_copy(update={"from_base": base})
    frames = load_shard(begun / "frames" / "held-out.safetensors").frames
    old = load_base(str(base / "base"), str(base / "controlnet")).vae.float()
    shards = begun / "frames" / "train-00000.safetensors", begun / "frames" / "held-out.safetensors"
    vae = VaeTraining(config, FramePool(shards[:1]), load_shard(shards[1]), torch.device("cpu")).network
    # Two channels are new; the means of the others are what they were.
    torch.testing.assert_close(encode(vae, frames)[:, :4], encode(old, frames), atol=1e-4, rtol=1e-3)
    pretrain(config, begun)
    tokenizer = CLIPTokenizer.from_pretrained(begun / "tokenizer")
    network = PicturePredictor(config, len(tokenizer))
    start_predictor(network, base, tokenizer)
    weights = load_tensors(base / "base" / "unet" / "diffusion_pytorch_model.safetensors")
    for name, value in weights.items():
        taken = network.unet.get_parameter(name)
        assert torch.equal(taken[tuple(slice(side) for side in value.shape)], value.float()), name
    # Noise in channels that are new disturbs nothing.
    assert not network.unet.conv_in.weight[:, 4:].any()


def test_words_that_both_know_keep_their_meaning(finished: Path, tmp_path: Path) -> None:
    base = export(finished, tmp_path / "small")
    theirs = CLIPTokenizer.from_pretrained(finished / "tokenizer")
    ours = train_tokenizer(tmp_path / "tokenizer", [*CAPTIONS, "a cat with a hat"] * 2, 60, 32)
    network = PicturePredictor(tiny(), len(ours))
    start_predictor(network, base, ours)
    (place,) = [p for n, p in network.text_encoder.named_parameters() if n.endswith("token_embedding.weight")]
    values = load_tensors(base / "base" / "text_encoder" / "model.safetensors")
    (value,) = [value for name, value in values.items() if name.endswith("token_embedding.weight")]
    shared = set(ours.get_vocab()) & set(theirs.get_vocab())
    assert len(shared) > 514
    assert any(ours.get_vocab()[token] != theirs.get_vocab()[token] for token in shared)
    for token in shared:
        assert torch.equal(place[ours.get_vocab()[token]], value[theirs.get_vocab()[token]].float()), token


def deep(**changes: dict[str, object]) -> PretrainConfig:
    """Cells of 16 pixels, pictures of twice the side, more channels."""
    architecture = {"vae_widths": (8, 8, 8, 16, 16), "condition_widths": (4, 8, 8, 8, 8), "latent_channels": 6}
    return tiny(**{"pictures": {"size": 128}, "architecture": architecture, "vae": {"crop": 64}, **changes})


def test_a_vae_of_more_levels_starts_with_what_the_base_makes_of_the_halved_picture(
    finished: Path, tmp_path: Path
) -> None:
    base = export(finished, tmp_path / "small")
    old = load_base(str(base / "base"), str(base / "controlnet"))
    vae = build_vae(deep()).eval()
    start_vae(vae, base)
    halved = load_shard(finished / "frames" / "held-out.safetensors").frames
    doubled = halved.repeat(2, axis=1).repeat(2, axis=2)
    known, got = encode(old.vae.float(), halved), encode(vae, doubled)
    assert got.shape == (len(halved), 6, 8, 8)
    # Only at edges do the finer pixels of the first convolution see anything else.
    assert (got[:, :4] - known).square().mean() < 0.1 * known.var()
    pictures = decode(old.vae, known)
    padded = torch.cat([known, torch.randn(len(halved), 2, 8, 8)], dim=1)  # new channels say nothing yet
    difference = decode(vae, padded).astype(int) - pictures.repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(difference).mean() < 3

    network = PicturePredictor(deep(), len(old.tokenizer))
    start_predictor(network, base, old.tokenizer)
    embeddings = [part.controlnet_cond_embedding for part in (old.controlnet.float(), network.controlnet)]
    for embedding in embeddings:  # at zero at first, it would hide whether the rest agrees
        torch.nn.init.constant_(embedding.conv_out.weight, 0.1)
    body = load_shard(finished / "frames" / "held-out.safetensors").keypoints
    small = as_condition(draw_skeleton(body))
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    with torch.no_grad():
        before, after = embeddings[0](small), embeddings[1](large)
    assert (after - before).square().mean() < 0.25 * before.var()
    # Every channel that the new levels have learns, those too that hand nothing on yet.
    embeddings[1](large).square().sum().backward()
    first, last = embeddings[1].conv_in.weight.grad, embeddings[1].blocks[1].weight.grad
    assert first[:3].flatten(1).any(dim=1).all()
    assert last.transpose(0, 1).flatten(1).any(dim=1).all()
    with pytest.raises(ModelFileError, match="vae_widths"):
        start_vae(build_vae(tiny(architecture={"vae_widths": (8, 16, 16), "condition_widths": (8, 8, 8)})), base)


def test_the_first_channels_stay_those_of_the_base(finished: Path, tmp_path: Path) -> None:
    base = export(finished, tmp_path / "small")
    config = deep(pictures={"size": 128, "count": 8}, vae={"crop": 64, "steps": 12, "encoder_steps": 12, "anchor": 1.0})
    config = config.model_copy(update={"from_base": base})
    anchored = VaeTraining(config, *_rendered(config, tmp_path), torch.device("cpu"))
    losses = anchored.losses(0, Draws(0))
    assert losses["anchor"] > 0
    losses["anchor"].backward()
    assert anchored.network.encoder.conv_in.weight.grad.any()
    assert all(parameter.grad is None for parameter in anchored.anchor.parameters())
    with torch.no_grad():
        frames = to_pixels(anchored.held_out.frames)
        exact = anchored.anchor.encode(frames[..., ::2, ::2]).latent_dist.mean
        assert (
            distance_from(anchored.anchor, frames[..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3), exact)
            < 1e-9
        )


def _rendered(config: PretrainConfig, folder: Path) -> tuple[FramePool, FrameShard]:
    shards = render_shards(folder, config.pictures, config.seed, 1, SilentProgress())
    return FramePool(shards), held_out_shard(folder, config.pictures, config.seed)


def test_cells_of_sixteen_pixels_run_to_a_base_that_loads(tmp_path: Path) -> None:
    pretrain(deep(pictures={"size": 128, "count": 8}), tmp_path / "deep")
    destination = export(tmp_path / "deep", tmp_path / "small")
    base = load_base(str(destination / "base"), str(destination / "controlnet"))
    assert (base.pixels_per_latent, base.native_side, base.side_multiple) == (16, 128, 128)
    backbone = Backbone(base, torch.device("cpu"))
    frames = load_shard(tmp_path / "deep" / "frames" / "held-out.safetensors").frames
    latents = backbone.encode(frames, SilentProgress())
    assert latents.shape == (1, 8, 6, 8, 8)
    assert backbone.decode(latents, SilentProgress()).shape == frames.shape


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pictures": {"size": 96}}, "multiple of 64"),
        ({"vae": {"crop": 36}}, "multiple of 8"),
        ({"vae": {"crop": 128}}, "at most 64"),
        ({"architecture": {"condition_widths": (8, 8, 8)}}, "3 levels"),
    ],
)
def test_sides_and_levels_that_do_not_fit_are_refused(changes: dict[str, dict[str, object]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        tiny(**changes)


def test_a_filmed_picture_is_the_same_scene_with_what_cameras_add() -> None:
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(40, 210, 64)[None, :, None], (64, 64, 3)).astype(np.uint8)
    seen = [film(ramp, rng) for _ in range(20)]
    assert len({picture.tobytes() for picture in seen}) == 20
    for picture in seen:
        assert picture.shape == ramp.shape
        assert np.corrcoef(picture.ravel(), ramp.ravel())[0, 1] > 0.95
    levels = [picture.mean() for picture in seen]
    assert max(levels) - min(levels) > 20
    flat = np.full((64, 64, 3), 100, np.uint8)
    assert max(film(flat, rng).std(axis=(0, 1)).max() for _ in range(5)) > 1


def test_the_vae_may_train_by_lpips_too(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Lpips("alexnet")
    for head in network.heads:
        head.weight.data.abs_()  # as in the published ones
    monkeypatch.setattr(vae_module, "load_lpips", lambda backbone, allow_fetch: network)
    shards = begun / "frames" / "train-00000.safetensors", begun / "frames" / "held-out.safetensors"
    config = tiny(vae={"perceptual": 0.5, "perceptual_scale": 2, "crop": 64}, pictures={"masked": 1.0})
    training = VaeTraining(config, FramePool(shards[:1]), load_shard(shards[1]), torch.device("cpu"))
    losses = training.losses(0, Draws(0))
    losses["perceptual"].backward()
    assert losses["perceptual"] > 0
    gradients = [parameter.grad for parameter in training.network.decoder.parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_heads_weigh_more_if_told(begun: Path) -> None:
    shards = begun / "frames" / "train-00000.safetensors", begun / "frames" / "held-out.safetensors"

    def loss(head: float) -> float:
        config = tiny(vae={"head": head, "batch": 16})
        training = VaeTraining(config, FramePool(shards[:1]), load_shard(shards[1]), torch.device("cpu"))
        return training.losses(0, Draws(0))["pixels"].item()

    assert loss(8) > loss(0)


def test_enlarged_pictures_keep_their_content() -> None:
    pictures = torch.rand(2, 3, 8, 8)
    assert enlarge(pictures, 1) is pictures
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(enlarge(pictures, 2), 2).mean(), pictures.mean())
    assert enlarge(pictures, 3).shape == (2, 3, 24, 24)


def test_a_start_that_is_no_base_is_refused(begun: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="pretrain --export"):
        pretrain(tiny().model_copy(update={"from_base": tmp_path}), begun)


def test_both_networks_learn(begun: Path) -> None:
    config = tiny(
        vae={"steps": 40, "encoder_steps": 40, "average": 0.9},
        diffusion={"steps": 120, "learning_rate": 2e-3},
        machine={"checkpoint_minutes": 60},
    )
    pretrain(config, begun)
    for name in ("vae", "diffusion"):
        losses = [line["loss"] for line in log_of(begun, name) if "loss" in line]
        assert losses[-1] < 0.9 * losses[0]


def test_sheets_show_held_out_pictures_above_what_is_made_of_them(finished: Path) -> None:
    with Image.open(finished / "sheets" / "diffusion-0000003.png") as sheet:
        pixels = np.asarray(sheet)
    shard = load_shard(finished / "frames" / "held-out.safetensors")
    assert pixels.shape == (4 * 64, 8 * 64, 3)
    np.testing.assert_array_equal(pixels[:64, :64], shard.frames[0])


def test_a_folder_belongs_to_one_architecture(finished: Path) -> None:
    with pytest.raises(ConfigError, match="choose another folder"):
        pretrain(tiny(architecture={"heads": 4}), finished)


def test_export_says_what_is_missing(begun: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.yaml"):
        export(begun, tmp_path / "small")
    with pytest.raises(KilledError):
        pretrain(tiny(), begun, KillingProgress("encode", 1))
    with pytest.raises(CheckpointError, match=r"diffusion\.safetensors"):
        export(begun, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_shard_is_the_same_whenever_it_is_rendered(finished: Path, tmp_path: Path) -> None:
    config = tiny()
    shutil.copy(finished / "frames" / "train-00000.safetensors", tmp_path)
    paths = render_shards(tmp_path, config.pictures, config.seed, 1, SilentProgress())
    expected, got = load_shard(finished / "frames" / "train-00001.safetensors"), load_shard(paths[1])
    np.testing.assert_array_equal(expected.frames, got.frames)
    assert expected.captions == got.captions
    assert not np.array_equal(got.frames, load_shard(paths[0]).frames)


def test_crops_lie_within_and_meet_the_person(finished: Path) -> None:
    pool = FramePool([finished / "frames" / "train-00000.safetensors"])
    generator = torch.Generator().manual_seed(0)
    for index in range(len(pool)):
        for _ in range(8):
            crop = pool.crop(index, 32, torch.rand(4, generator=generator) * 0.75 + 0.25)
            assert crop.frame.shape == (32, 32, 3)
            assert crop.mask.any() or not pool.masks[index].any()


def test_the_last_steps_see_whole_pictures(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    crop = FramePool.crop

    def recording(pool: FramePool, index: int, side: int, shares: torch.Tensor) -> Crop:
        drawn.append(side)
        return crop(pool, index, side, shares)

    monkeypatch.setattr(FramePool, "crop", recording)
    config = tiny(vae={"steps": 5, "whole_steps": 2, "batch": 3, "whole_batch": 1})
    held_out = load_shard(finished / "frames" / "held-out.safetensors")
    training = VaeTraining(
        config, FramePool([finished / "frames" / "train-00000.safetensors"]), held_out, torch.device("cpu")
    )
    for step in range(5):
        assert all(torch.isfinite(loss) for loss in training.losses(step, Draws(0)).values())
    assert drawn == [32] * 9 + [64] * 2


def test_heads_lie_about_the_face_in_whatever_crop(finished: Path) -> None:
    path = finished / "frames" / "train-00000.safetensors"
    pool, body = FramePool([path]), load_shard(path).body
    nose, neck = BODY_JOINTS.index("nose"), BODY_JOINTS.index("neck")
    index = int(np.flatnonzero((body[:, [nose, neck], 2] > 0).all(axis=1))[0])
    side = len(pool.frames[index])
    whole = pool.crop(index, side, torch.zeros(4)).head
    x, y = (int(place) for place in body[index, nose, :2])
    assert whole[y, x]
    assert 0 < whole.float().mean() < 0.2
    shares = torch.tensor([0.3, 0.9, 0.5, 0.5])
    part = pool.crop(index, side // 2, shares)
    places = [(int(row), int(column)) for row, column in (pool.frames[index] == part.frame[0, 0]).all(-1).nonzero()]
    half = side // 2
    corners = [
        (row, column)
        for row, column in places
        if torch.equal(pool.frames[index][row : row + half, column : column + half], part.frame)
    ]
    assert any(torch.equal(whole[row : row + half, column : column + half], part.head) for row, column in corners)


def test_no_head_is_looked_for_where_no_face_is_seen() -> None:
    body = np.full((1, 18, 3), 20, np.float32)
    body[0, [BODY_JOINTS.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")], 2] = 0
    assert head_circles(body)[0, 2] == 0
    seen = np.full((1, 18, 3), 20, np.float32)
    seen[0, BODY_JOINTS.index("neck"), 1] = 40
    np.testing.assert_allclose(head_circles(seen), [[20, 20, 13]])


def test_masked_pictures_are_black_behind_the_person(finished: Path) -> None:
    shard = load_shard(finished / "frames" / "held-out.safetensors")
    assert not shard.people[~shard.masks].any()
    np.testing.assert_array_equal(shard.people[shard.masks], shard.frames[shard.masks])


def test_tokenizer_reads_any_text_and_knows_the_captions(tmp_path: Path) -> None:
    made = train_tokenizer(tmp_path / "tokenizer", CAPTIONS, merges=200, tokens=16)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path / "tokenizer")
    assert tokenizer.model_max_length == 16
    for caption in CAPTIONS[:2]:
        ids = tokenizer(caption).input_ids
        assert ids == made(caption).input_ids
        # A word is one token; one token begins and one ends the text, with the numbers that the encoder looks for.
        assert len(ids) == len(caption.split()) + 2
        assert ids[0] == len(tokenizer) - 2
        assert ids[-1] == len(tokenizer) - 1
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == caption
    strange = "ein jongleur übt: 42 mal!"
    ids = tokenizer(strange).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == strange.replace(" ", "")


def test_packed_pictures_come_back_and_damaged_ones_are_refused() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(unpack_picture(pack_picture(picture), 16), picture)
    for damaged in (pack_picture(picture)[:40], b"nothing"):
        with pytest.raises(CheckpointError, match="delete the encoded pictures"):
            unpack_picture(damaged, 16)


def test_encoding_does_not_depend_on_the_batch(finished: Path) -> None:
    vae = build_vae(tiny())
    frames = load_shard(finished / "frames" / "train-00000.safetensors").frames
    torch.testing.assert_close(encode(vae, frames[3:4])[0], encode(vae, frames)[3], atol=1e-5, rtol=1e-4)
