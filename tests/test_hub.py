"""Checkpoints by hub name: from the cache, from a hub (one that runs in the test), or one clear line at once."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.downloads import without_downloads
from edit_your_motion.models.loading import load_architecture, load_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE, CONTROLNET = "somebody/base", "somebody/controlnet"


class Hub(ThreadingHTTPServer):
    """Enough of the hub for models: what repositories have, their files, and refusals.

    Args:
        repositories: folder of each, by name.
    """

    def __init__(self, repositories: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories = repositories
        self.refusals: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        path = self.path.split("?")[0].lstrip("/")
        self.server.asked.append(path)
        name = "/".join(path.removeprefix("api/models/").split("/")[:2])
        listing = path.startswith("api/models/")
        status, code = self.server.refusals.get(name, (0, ""))
        if status and not (listing and code == "GatedRepo"):  # what a gated repository has is public
            return self.reply(status, b"", {"X-Error-Code": code}, body)
        if name not in self.server.repositories:
            return self.reply(401, b"", {"X-Error-Code": "RepoNotFound"}, body)
        folder = self.server.repositories[name]
        files = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
        if listing:
            content = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            return self.reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, body)
        data = folder.joinpath(*path.split("/")[4:]).read_bytes()  # owner/name/resolve/commit/file
        tag = hashlib.sha256(data).hexdigest()
        return self.reply(200, data, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, body)

    def reply(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no hub."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(folder))
    set_endpoint(monkeypatch, "http://127.0.0.1:9")  # discard, where nobody listens
    return folder


@pytest.fixture
def hub(cache: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({BASE: checkpoints / "base", CONTROLNET: checkpoints / "controlnet"})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    set_endpoint(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def set_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)


def put_into_cache(cache: Path, name: str, folder: Path) -> Path:
    """What a download leaves."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(folder, repository / "snapshots" / COMMIT)


def test_a_name_is_downloaded_once(hub: Hub, checkpoints: Path) -> None:
    expected = load_base(str(checkpoints / "base"), str(checkpoints / "controlnet")).digests
    assert load_base(BASE, CONTROLNET).digests == expected
    assert any("resolve" in path for path in hub.asked)
    hub.asked.clear()
    assert load_base(BASE, CONTROLNET).digests == expected
    assert not hub.asked


def test_nothing_is_downloaded_unasked(hub: Hub, checkpoints: Path) -> None:
    with without_downloads(), pytest.raises(CheckpointError, match="nothing may be downloaded unasked"):
        load_base(BASE, CONTROLNET)
    assert hub.asked == []
    load_base(BASE, CONTROLNET)
    with without_downloads():
        load_base(BASE, CONTROLNET)  # what is here is taken


def test_only_what_is_needed_is_downloaded(hub: Hub, tmp_path: Path, checkpoints: Path) -> None:
    shutil.copytree(checkpoints / "base", tmp_path / "base")
    unet = tmp_path / "base" / "unet" / "diffusion_pytorch_model.safetensors"
    for other in ("unet/diffusion_pytorch_model.fp16.safetensors", "v1-5-pruned.safetensors", "safety_checker/x.bin"):
        (tmp_path / "base" / other).parent.mkdir(exist_ok=True)
        shutil.copy(unet, tmp_path / "base" / other)
    hub.repositories[BASE] = tmp_path / "base"
    load_base(BASE, CONTROLNET)
    assert not [path for path in hub.asked if "fp16" in path or "pruned" in path or "safety" in path]


def test_the_cache_serves_without_a_hub(cache: Path, checkpoints: Path) -> None:
    put_into_cache(cache, BASE, checkpoints / "base")
    put_into_cache(cache, CONTROLNET, checkpoints / "controlnet")
    load_base(BASE, CONTROLNET)


@pytest.mark.parametrize("lost", ["unet/diffusion_pytorch_model.safetensors", "vae", "scheduler"])
def test_an_incomplete_cache_is_completed(hub: Hub, cache: Path, checkpoints: Path, lost: str) -> None:
    folder = put_into_cache(cache, BASE, checkpoints / "base")
    shutil.rmtree(folder / lost) if (folder / lost).is_dir() else (folder / lost).unlink()
    load_architecture(BASE, CONTROLNET)
    assert (folder / lost).exists()


@pytest.mark.parametrize("part", ["base", "controlnet", "adapter"])
@pytest.mark.parametrize("offline", [False, True])
def test_no_network_is_said_at_once(
    cache: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch, part: str, offline: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    names = {name: str(checkpoints / name) for name in ("base", "controlnet", "adapter")} | {part: f"nobody/{part}"}
    began = monotonic()
    with pytest.raises(CheckpointError) as caught:
        load_base(names["base"], names["controlnet"], names["adapter"])
    said = str(caught.value)
    assert f"'nobody/{part}'" in said
    assert ("HF_HUB_OFFLINE" if offline else "cannot be reached") in said
    assert "folder with" in said
    assert "\n" not in said
    assert monotonic() - began < 10
    assert ("--base small" in said) == (part != "adapter")


@pytest.mark.parametrize(
    ("refusal", "named"),
    [
        ((401, "RepoNotFound"), "nothing of that name"),
        ((404, "RepoNotFound"), "nothing of that name"),
        ((403, "GatedRepo"), "agreed to its terms"),
        ((401, "GatedRepo"), "agreed to its terms"),
        ((500, ""), "download from the hub failed: "),
    ],
)
def test_refusals_of_the_hub_are_told_apart(hub: Hub, refusal: tuple[int, str], named: str) -> None:
    hub.refusals[BASE] = refusal
    with pytest.raises(CheckpointError, match=named) as caught:
        load_base(BASE, CONTROLNET)
    assert "cannot be reached" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_repository_lacks_is_said(hub: Hub, tmp_path: Path, checkpoints: Path) -> None:
    hub.repositories[BASE] = shutil.copytree(checkpoints / "base", tmp_path / "base")
    (weights,) = (tmp_path / "base" / "unet").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match=r"unet.*only pickled weights"):
        load_base(BASE, CONTROLNET)
    shutil.rmtree(tmp_path / "base" / "unet")
    with pytest.raises(CheckpointError, match="found no unet"):
        load_base(BASE, CONTROLNET)


@pytest.mark.parametrize(
    "name", ["a/b/c", "./nowhere", "/nowhere/base", "~/nowhere", "~nobody/base", "model.safetensors", "no good", "-"]
)
def test_what_is_no_name_is_no_question_to_the_hub(hub: Hub, name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_base(name, CONTROLNET)
    assert f"'{name}'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not hub.asked
