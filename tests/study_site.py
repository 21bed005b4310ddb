"""A small study with real clips, and its server on a port of this machine, for tests."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.serving.server import listen, make_server
from edit_your_motion.study.collection import Origins, collect_study
from edit_your_motion.study.definition import Study
from edit_your_motion.study.server import make_app
from edit_your_motion.video import write_video
from imagined_study import OURS

CASES = ("jump", "kick", "wave")
THEIRS = ("MotionEditor", "tune-a-video")
FPS = 8


def write_clips(folder: Path, frames: int = 8, side: int = 64) -> Origins:
    """A clip of its own colour, a bar moving over it, for every case and method, its source and its reference."""
    shades = np.random.default_rng(0).integers(40, 200, (20, 3), dtype=np.uint8)
    names = ("sources", "references", OURS, *THEIRS)
    for index, (name, case) in enumerate((name, case) for name in names for case in CASES):
        pictures = np.tile(shades[index], (frames, side, side, 1))
        for time, picture in enumerate(pictures):
            picture[:, time * side // frames : (time + 1) * side // frames] = 255
        write_video(folder / name / f"{case}.mp4", pictures, FPS)
    return Origins(
        (OURS, folder / OURS),
        {name: folder / name for name in THEIRS},
        folder / "sources",
        folder / "references",
        {case: f"a person does a {case} <b>& more</b>" for case in CASES[:2]},
    )


def make_study(folder: Path, origins: Origins, **settings: Any) -> Study:
    """The study of these clips in a new folder; its last case has no prompt."""
    texts = {"title": "Tests & <i>trials</i>", "consent": "You are <b>asked</b>.\n\nYou may stop."}
    return collect_study(folder, origins, (), SilentProgress(), **{**texts, **settings})


@dataclass(frozen=True)
class Reply:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    """A study that is being served."""

    folder: Path
    study: Study
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, content: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One request as it is written here: no client tidies its path up."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, body, {**kind, **(headers or {})})
            response = connection.getresponse()
            return Reply(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def enrol(self, browser: str, **consent: Any) -> str:
        """Begins a participation; returns its token."""
        cookie = {"Cookie": f"study-browser={browser}"}
        reply = self.ask("POST", "/api/participants", {"agreed": True, **consent}, cookie)
        assert reply.status == 201, reply
        return reply.json["token"]


@contextmanager
def serving(folder: Path, study: Study) -> Iterator[Site]:
    """The study's server, in a thread of its own."""
    with listen("127.0.0.1", 0) as listening:
        server = make_server(make_app(folder))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Site(folder, study, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()
