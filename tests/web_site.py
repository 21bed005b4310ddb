"""A library with tiny networks, its workers, and its server on a port of this machine, for tests."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import yaml

from edit_your_motion.people.preparation import PreparedClip, save_prepared
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.serving.server import listen, make_server
from edit_your_motion.storage.files import write_text
from edit_your_motion.video import write_video
from edit_your_motion.web.access import Access
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Library, Quota
from edit_your_motion.web.offers import gather_offers
from edit_your_motion.web.preparing import PICTURES, PREPARED, write_pictures
from edit_your_motion.web.probing import FACTS, probe_clip
from edit_your_motion.web.server import make_app
from study_site import Reply
from synthetic_clip import film

PROMPT = "a box walks"


@dataclass(frozen=True)
class WebSite:
    """A library that is being served."""

    library: Library
    runner: JobRunner
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, content: Any = None, headers: Mapping[str, str] | None = None, kind: str = ""
    ) -> Reply:
        """One request as it is written here: no client tidies its path up."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        typed = {} if body is None else {"Content-Type": kind or "application/json"}
        try:
            connection.request(method, path, body, {**typed, **(headers or {})})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, response.read())
        finally:
            connection.close()

    def bring(self, path: Path, role: str, part: int = 1 << 20, name: str | None = None) -> str:
        """Uploads a file in parts; returns the clip's id."""
        content = path.read_bytes()
        new = self.ask("POST", "/api/clips", {"name": name or path.name, "role": role, "size": len(content)})
        assert new.status == 200, new
        id = new.json["id"]
        for offset in range(0, len(content), part):
            assert self.send(id, offset, content[offset : offset + part]).status == 200
        return id

    def send(self, clip: str, offset: int, part: bytes) -> Reply:
        query = urlencode({"offset": offset})
        return self.ask("PUT", f"/api/clips/{clip}/content?{query}", part, kind="application/octet-stream")

    def wait(self, path: str, *states: str, patience: float = 900) -> dict[str, Any]:
        """What is at an address, once it is in one of these states."""
        until = time.monotonic() + patience
        while True:
            asked = time.monotonic()
            shown: dict[str, Any] = self.ask("GET", path).json
            if shown["state"] in states:
                return shown
            assert asked < until, shown
            assert shown["state"] != "failed", shown
            time.sleep(max(0.1, 9 * (time.monotonic() - asked)))  # what is waited for needs the processor more


def wait_for_phase(site: WebSite, job: str, name: str, steps: int = 0, patience: float = 900) -> None:
    """Waits until a job has done so many steps of a phase whose name begins so."""
    until, nothing = time.monotonic() + patience, {"phase": "", "done": 0}
    while not (told := site.runner.progress.get(job, nothing))["phase"].startswith(name) or told["done"] < steps:
        assert time.monotonic() < until, site.ask("GET", f"/api/jobs/{job}/log").json["log"]
        time.sleep(0.02)


def add_prepared(library: Library, role: str, prepared: PreparedClip, name: str = "walk.mp4") -> str:
    """Puts a clip into a library as if it had been brought and prepared: no finder is needed."""
    video = library.folder / "brought.mp4"
    write_video(video, prepared.video.frames, prepared.video.fps)
    clip = library.add_clip(name, role, video.stat().st_size)
    video.rename(library.original(clip))
    library._database.execute("UPDATE clips SET complete = 1 WHERE id = ?", (clip.id,))
    folder = library.clip_folder(clip) / PREPARED
    save_prepared(folder, prepared)
    write_pictures(folder / PICTURES, prepared.video.frames, SilentProgress())
    height, width = prepared.video.frames.shape[1:3]
    facts = {
        "width": width,
        "height": height,
        "frames": len(prepared),
        "fps": float(prepared.video.fps),
        "warnings": [],
    }
    write_text(folder / FACTS, json.dumps(facts))
    probe_clip(folder.parent, library.describe_original(clip), SilentProgress())
    return clip.id


def tiny_settings(folder: Path, checkpoints: Path, iterations: int = 4) -> Path:
    """A file of settings with tiny networks and few steps, to be served beside those that ship."""
    stage = {"iterations": iterations, "learning_rate": 1e-3}
    settings = {
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "video": {"size": "64"},
        "tuning": {"motion": stage, "appearance": stage, "checkpoint_every": 1, "gradient_checkpointing": False},
        "inversion": {"steps": 2},
        "sampling": {"steps": 2},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@contextmanager
def serving_web(
    folder: Path, settings: Path, *, token: str | None = None, quota: Quota | None = None, working: bool = True
) -> Iterator[WebSite]:
    """The server of a library and its workers, if they are to work; the port is a new one each time."""
    library = Library(folder, quota)
    runner = JobRunner(library, ["cpu"])
    with listen("127.0.0.1", 0) as listening:
        server = make_server(make_app(library, runner, gather_offers([settings]), Access(token), {}), "web")
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        if working:
            runner.start()
        try:
            yield WebSite(library, runner, listening.getsockname()[1])
        finally:
            server.should_exit = True
            if working:
                runner.stop()
            thread.join(timeout=20)
            assert not thread.is_alive()


def add_pair(library: Library, frames: int = 4) -> tuple[str, str]:
    """A prepared source and a prepared reference."""
    source = add_prepared(library, "source", film(frames), "source.mp4")
    return source, add_prepared(library, "reference", film(frames, speed=4.0, seed=1), "reference.mp4")
