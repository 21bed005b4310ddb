import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, ResNetConfig, ResNetModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from edit_your_motion.errors import CheckpointError, InputError, ModelFileError, VideoError
from edit_your_motion.metrics import (
    FewClipsWarning,
    encode_clips,
    fid_vid,
    frechet_distance,
    fvd,
    load_clip,
    load_i3d,
    load_resnet3d,
    temporal_consistency,
    text_alignment,
)
from edit_your_motion.metrics.i3d import InceptionI3D, pad_same, pool_same
from edit_your_motion.metrics.resnet3d import ResNet3D
from edit_your_motion.metrics.video_features import prepare_for_i3d, prepare_for_resnet3d
from edit_your_motion.models.tokenizers import make_tokenizer

DEPTHS, WIDTHS = (2, 1), (4, 8)


def make_frames(seed: int, frames: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_the_3d_resnet_with_kernels_that_see_one_frame_equals_a_2d_resnet_on_a_still_video() -> None:
    """Against the independent 2-D ResNet of transformers, whose kernels become the middle of ours."""
    config = ResNetConfig(embedding_size=WIDTHS[0], hidden_sizes=[4 * width for width in WIDTHS], depths=list(DEPTHS))
    flat = ResNetModel(config).eval()
    for part in flat.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean, -1, 1)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
    deep = ResNet3D(DEPTHS, WIDTHS)

    def copy(pair: torch.nn.Module, ours: tuple[torch.nn.Module, torch.nn.Module]) -> None:
        convolution, normalisation = ours
        convolution.weight.zero_()
        convolution.weight[:, :, convolution.kernel_size[0] // 2] = pair.convolution.weight
        normalisation.load_state_dict(pair.normalization.state_dict())

    with torch.no_grad():
        copy(flat.embedder.embedder, (deep.conv1, deep.bn1))
        for number, stage in enumerate(flat.encoder.stages, start=1):
            for theirs, ours in zip(stage.layers, deep.get_submodule(f"layer{number}"), strict=True):
                for index, pair in enumerate(theirs.layer, start=1):
                    copy(pair, (ours.get_submodule(f"conv{index}"), ours.get_submodule(f"bn{index}")))
                if not isinstance(theirs.shortcut, torch.nn.Identity):
                    copy(theirs.shortcut, tuple(ours.downsample))
        picture = torch.randn(2, 3, 33, 47)
        expected = flat(picture).pooler_output.flatten(1)
        video = picture[:, :, None].repeat(1, 1, 8, 1, 1)
        torch.testing.assert_close(deep(video), expected, rtol=1e-4, atol=1e-5)


def test_the_3d_resnet_50_has_the_shapes_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        weights = ResNet3D().state_dict()
    assert weights["conv1.weight"].shape == (64, 3, 7, 7, 7)
    assert weights["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1, 1)
    assert weights["layer3.5.conv2.weight"].shape == (256, 256, 3, 3, 3)
    assert weights["layer4.2.bn3.running_var"].shape == (2048,)
    assert "layer4.3.conv1.weight" not in weights
    with torch.device("meta"):
        assert ResNet3D()(torch.empty(1, 3, 16, 112, 112)).shape == (1, 2048)


def test_i3d_has_the_shapes_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        network = InceptionI3D()
        assert network(torch.empty(1, 3, 16, 224, 224)).shape == (1, 400)
    weights = network.state_dict()
    assert weights["Conv3d_1a_7x7.conv3d.weight"].shape == (64, 3, 7, 7, 7)
    assert weights["Mixed_3b.b1b.conv3d.weight"].shape == (128, 96, 3, 3, 3)
    assert weights["Mixed_4f.b0.conv3d.weight"].shape == (256, 528, 1, 1, 1)
    assert weights["Mixed_5c.b3b.bn.running_mean"].shape == (128,)
    assert weights["logits.conv3d.weight"].shape == (400, 1024, 1, 1, 1)
    assert weights["logits.conv3d.bias"].shape == (400,)
    assert "logits.bn.weight" not in weights
    # Carreira and Zisserman, table 1: I3D has 12 million parameters.
    assert sum(part.numel() for part in network.parameters()) == pytest.approx(12.5e6, rel=0.04)


@pytest.mark.parametrize(
    ("length", "size", "stride"), [(16, 7, 2), (15, 7, 2), (9, 3, 2), (8, 2, 2), (5, 3, 1), (7, 2, 2)]
)
def test_same_padding_gives_tensorflows_lengths_and_puts_the_odd_zero_last(length: int, size: int, stride: int) -> None:
    x = torch.ones(1, 1, length, length, length)
    padded = pad_same(x, (size,) * 3, (stride,) * 3)
    total = max((int(np.ceil(length / stride)) - 1) * stride + size - length, 0)
    for axis in (2, 3, 4):
        line = padded.amax(dim=[other for other in (2, 3, 4) if other != axis]).flatten()
        assert line.tolist() == [0.0] * (total // 2) + [1.0] * length + [0.0] * (total - total // 2)
    assert pool_same(x, (size,) * 3, (stride,) * 3).shape[2:] == (int(np.ceil(length / stride)),) * 3


def test_clips_are_prepared_as_the_networks_expect() -> None:
    white = np.full((2, 30, 50, 3), 255, np.uint8)
    for_resnet, for_i3d = prepare_for_resnet3d(white), prepare_for_i3d(white)
    assert for_resnet.shape == (3, 2, 112, 112)
    assert for_resnet[:, 0, 0, 0].tolist() == pytest.approx([255 - 114.7748, 255 - 107.7354, 255 - 99.4750], rel=1e-6)
    assert for_i3d.shape == (3, 2, 224, 224)
    torch.testing.assert_close(for_i3d, torch.ones_like(for_i3d), rtol=1e-6, atol=0)
    assert (prepare_for_i3d(0 * white) == -1).all()
    red = white * np.array([1, 0, 0], np.uint8)
    assert prepare_for_i3d(red)[:, 1, 5, 5].tolist() == pytest.approx([1, -1, -1], rel=1e-6)


def save_tiny_resnet(path: Path) -> Path:
    weights = ResNet3D(DEPTHS, WIDTHS).state_dict()
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:  # as the published file: nested, from data-parallel training, with a classifier, without counters
        named = {f"module.{name}": value for name, value in weights.items() if not name.endswith("tracked")}
        torch.save({"arch": "resnet-50", "state_dict": named | {"module.fc.weight": torch.zeros(400, 32)}}, path)
    return path


@pytest.mark.parametrize("name", ["resnet.safetensors", "resnet.pth"])
def test_state_dicts_load_and_features_are_those_of_the_network(tmp_path: Path, name: str) -> None:
    path = save_tiny_resnet(tmp_path / name)
    torch.manual_seed(0)
    original = ResNet3D(DEPTHS, WIDTHS)
    encoder = load_resnet3d(path, network=ResNet3D(DEPTHS, WIDTHS))
    frames = make_frames(0, 21)
    features = encode_clips(frames, encoder)
    assert features.shape == (6, 32)
    expected = original(prepare_for_resnet3d(frames[2:18])[None])
    np.testing.assert_allclose(features[2], expected[0].numpy(), rtol=1e-4, atol=1e-6)


def test_clips_start_at_every_multiple_of_the_stride(tmp_path: Path) -> None:
    encoder = load_resnet3d(save_tiny_resnet(tmp_path / "r.safetensors"), network=ResNet3D(DEPTHS, WIDTHS))
    frames = make_frames(0, 25)
    every, third = encode_clips(frames, encoder), encode_clips(np.split(frames, [4, 9]), encoder, stride=3)
    np.testing.assert_allclose(third, every[::3], rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="clips of 16 frames"):
        encode_clips(frames[:15], encoder)


def test_video_distances_pool_the_clips_of_all_videos(tmp_path: Path) -> None:
    encoder = load_resnet3d(save_tiny_resnet(tmp_path / "r.safetensors"), network=ResNet3D(DEPTHS, WIDTHS))
    ours, theirs = [make_frames(0, 16), make_frames(1, 17)], [make_frames(2, 17) // 2]
    features = [np.concatenate([encode_clips(video, encoder) for video in videos]) for videos in (ours, theirs)]
    with pytest.warns(FewClipsWarning, match="2 clips for 32"):
        expected = frechet_distance(*features)
    for distance in (fid_vid, fvd):
        with pytest.warns(FewClipsWarning, match="2 clips for 32"):
            assert distance(ours, theirs, encoder) == pytest.approx(expected, rel=1e-6)
    assert expected > 0


def test_i3d_state_dicts_load(tmp_path: Path) -> None:
    original = InceptionI3D(5, shrink=16)
    save_file(original.state_dict(), tmp_path / "i3d.safetensors")
    encoder = load_i3d(tmp_path / "i3d.safetensors", network=InceptionI3D(5, shrink=16))
    frames = make_frames(0, 16)
    expected = original(prepare_for_i3d(frames)[None])
    np.testing.assert_allclose(encode_clips(frames, encoder), expected.numpy(), rtol=1e-5)


class Archive(torch.nn.Module):
    """Takes the options of the I3D archive that most FVD scripts use."""

    def forward(self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False):
        if rescale or resize or not return_features:
            return torch.full((x.shape[0], 2), -1.0)
        return torch.stack([x.mean(dim=[1, 2, 3, 4]), x.amax(dim=[1, 2, 3, 4])], dim=1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_archives_are_told_to_return_features_only(tmp_path: Path) -> None:
    torch.jit.script(Archive()).save(str(tmp_path / "i3d.pt"))
    features = encode_clips(np.full((16, 32, 32, 3), 255, np.uint8), load_i3d(tmp_path / "i3d.pt"))
    np.testing.assert_allclose(features, [[1, 1]], rtol=1e-6)


def test_weights_that_cannot_be_used_give_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"InceptionI3D at .*no such file"):
        load_i3d(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match=r"does not fit InceptionI3D: .* missing"):
        load_i3d(save_tiny_resnet(tmp_path / "other.pth"))
    with pytest.raises(CheckpointError, match="another shape"):
        load_resnet3d(save_tiny_resnet(tmp_path / "small.safetensors"), network=ResNet3D(DEPTHS, (8, 16)))
    (tmp_path / "garbage.pth").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_resnet3d(tmp_path / "garbage.pth")
    torch.save({"weights": Path("somewhere")}, tmp_path / "objects.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_resnet3d(tmp_path / "objects.pth")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = make_tokenizer(folder)
    text = {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    config = CLIPConfig(
        text_config={**tower, **text}, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=16
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("height", "width"), [(40, 48), (61, 37), (32, 32), (20, 35)])
def test_clip_scores_equal_the_model_run_by_hand(clip_folder: Path, height: int, width: int) -> None:
    """Against transformers' own image preparation and its own similarity logits."""
    frames, prompt = make_frames(0, 5, height, width), "a man in a black top is dancing"
    model = CLIPModel.from_pretrained(clip_folder).eval()
    pixels = CLIPImageProcessorPil.from_pretrained(clip_folder)(list(frames), return_tensors="pt")["pixel_values"]
    tokens = make_tokenizer(clip_folder)([prompt], return_tensors="pt")
    with torch.no_grad():
        output = model(pixel_values=pixels, **tokens)
        cosines = output.logits_per_image[:, 0] / model.logit_scale.exp()
    clip = load_clip(clip_folder)
    np.testing.assert_allclose(text_alignment(frames, prompt, clip), 100 * cosines.numpy(), rtol=1e-3, atol=1e-4)
    neighbours = F.cosine_similarity(output.image_embeds[:-1], output.image_embeds[1:])
    np.testing.assert_allclose(temporal_consistency(frames, clip), neighbours.numpy(), rtol=1e-5)


def test_a_still_video_is_perfectly_consistent(clip_folder: Path) -> None:
    still = make_frames(0, 1).repeat(20, axis=0)
    np.testing.assert_allclose(temporal_consistency(still, load_clip(clip_folder)), np.ones(19), rtol=1e-12)
    with pytest.raises(VideoError, match="at least 2"):
        temporal_consistency(still[:1], load_clip(clip_folder))


def test_a_prompt_longer_than_the_text_tower_is_cut(clip_folder: Path) -> None:
    clip = load_clip(clip_folder)
    np.testing.assert_allclose(clip.embed_prompt("dance " * 100), clip.embed_prompt("dance " * 200), rtol=1e-6)


def test_an_absent_or_broken_clip_is_one_clear_error(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(ModelFileError, match="is not here: give a folder"):
        load_clip(tmp_path / "absent")
    settings = clip_folder / "preprocessor_config.json"
    content = settings.read_text()
    settings.write_text(json.dumps({"image_mean": [0, 0, 0]}))
    try:
        with pytest.raises(CheckpointError, match="image_std"):
            load_clip(clip_folder)
    finally:
        settings.write_text(content)
