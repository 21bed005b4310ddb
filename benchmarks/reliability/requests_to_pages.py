"""Damaged requests to what we serve, the web app and the study's page: an answer in words, never one that fails."""

import json
import shutil
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from asking import ask
from commands import inputs
from edit_your_motion.serving.server import listen, make_server
from edit_your_motion.study.answers import AnswerBook
from edit_your_motion.study.server import make_app as make_study
from edit_your_motion.web.access import Access
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Library
from edit_your_motion.web.offers import gather_offers
from edit_your_motion.web.server import make_app
from mutations import damage
from test_fuzz import study
from web_site import add_pair

JSON, PNG, OCTETS = "application/json", "image/png", "application/octet-stream"
Request = tuple[str, str, Any, str]
"""Method, path, body, and the body's type."""
App = Any
HEADERS = (
    ("content-length", "-1"), ("content-length", "9" * 30), ("content-length", "3"), ("content-length", "x"),
    ("content-type", ""), ("content-type", "text/plain"), ("content-type", "application/json; charset=utf-7"),
    ("content-encoding", "gzip"), ("transfer-encoding", "chunked"), ("range", "bytes=9-3"), ("range", "bytes=-0,0-"),
    ("range", "bytes=" + "0-," * 3000), ("range", "x"), ("origin", "null"), ("origin", "http://[::1"), ("host", ""),
    ("host", "x" * 5000), ("cookie", "study-browser=" + "x" * 5000), ("cookie", "=;;=\xff"), ("accept", "text/html"),
    ("if-none-match", '"' * 99), ("if-modified-since", "yesterday"), ("authorization", "Bearer \xff"),
    ("sec-fetch-site", "cross-site"), ("accept-language", "x" * 9000),
)  # fmt: skip


def web_app(place: Path) -> tuple[App, list[Request]]:
    """The web app with two prepared clips, one that is coming and an edit that waits, and what it can be asked."""
    shutil.rmtree(place / "library", ignore_errors=True)
    library = Library(place / "library")
    source, reference = add_pair(library, 2)
    app = make_app(library, JobRunner(library, ["cpu"]), gather_offers([inputs() / "tiny.yaml"]), Access(None), {})
    coming = library.add_clip("b.mp4", "reference", 100).id
    edit = {"kind": "edit", "source": source, "reference": reference, "prompt": "a man", "offer": "tiny"}
    job = json.loads(ask(app, "POST", "/api/jobs", json.dumps(edit).encode())[1])["id"]
    rows = json.loads(ask(app, "GET", f"/api/clips/{source}/keypoints")[1])["frames"]
    mask = ask(app, "GET", f"/api/clips/{source}/masks/0.png")[1]
    clip = f"/api/clips/{source}"
    return app, [
        ("POST", "/api/clips", {"name": "a.mp4", "role": "source", "size": 100}, JSON),
        ("PATCH", clip, {"name": "walk", "role": "source"}, JSON),
        ("PUT", f"/api/clips/{coming}/content?offset=0", b"x" * 100, OCTETS),
        ("POST", f"{clip}/preparation", {"frames": 2, "start": 0.0, "fps": 8, "person": 1}, JSON),
        ("PATCH", f"{clip}/keypoints", {"frames": {"0": rows[0]}, "corrected": {"nose": [0]}, "version": "x"}, JSON),
        ("PUT", f"{clip}/masks/0.png", mask, PNG),
        ("PUT", f"{clip}/masks/0.png?version=0", mask, PNG),
        ("POST", "/api/alignment", {"source": source, "reference": reference, "alignment": {"size": 1.0}}, JSON),
        ("POST", "/api/jobs", {**edit, "settings": {"sampling": {"steps": 3}}, "frames": 2}, JSON),
        ("POST", "/api/grids", {**edit, "vary": {"sampling.steps": [2, 3]}}, JSON),
        ("POST", "/api/estimate", edit, JSON),
        ("PATCH", f"/api/jobs/{job}", {"name": "first"}, JSON),
        *(("POST", f"/api/jobs/{job}/{what}", {}, JSON) for what in ("pause", "resume", "insist", "cancel")),
        *(("GET", f"{clip}{part}", {}, JSON) for part in (
            "/frames/0.jpg", "/thumbnail.jpg", "/strip.jpg", "/people.jpg", "/overlays/0.png", "/keypoints",
        )),
        *(("GET", f"/api/jobs/{job}{part}", {}, JSON) for part in (
            "", "/keypoints/source", "/frames/edited/0.jpg", "/log", "/files/run.json", "/person.zip",
        )),
        ("GET", "/?token=x", {}, JSON),
        ("GET", "/page/app.js", {}, JSON),
    ]  # fmt: skip


def study_page(place: Path) -> tuple[App, list[Request]]:
    """The page of a study in which somebody takes part, and what it can be asked."""
    folder = place / "study"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    definition = study(folder)
    app = make_study(folder)
    token = AnswerBook(folder / "answers.sqlite", definition).enrol("b" * 32)
    person, question = f"/api/participants/{token}", definition.questions[0].name
    answer = {"position": 0, "question": question, "choice": "left", "seconds": 3.5}
    return app, [
        ("POST", "/api/participants", {"agreed": True, "code": "abc"}, JSON),
        ("PUT", f"{person}/answers", answer, JSON),
        ("PUT", f"{person}/answers", {**answer, "position": 1, "choice": "right"}, JSON),
        ("GET", person, {}, JSON),
        ("GET", f"/p/{token}", {}, JSON),
        ("GET", f"/clips/{next(iter(definition.clips))}", {}, JSON),
        ("GET", "/api/study", {}, JSON),
    ]


PAGES: Mapping[str, Callable[[Path], tuple[App, list[Request]]]] = {
    "requests": web_app, "study requests": study_page, "raw requests": web_app, "raw study requests": study_page,
}  # fmt: skip


def try_requests(samples: object, name: str, numbers: range, place: Path) -> list[str]:
    """What is wrong with how a page answers damaged requests: it never fails in a way that it has not foreseen.

    Args:
        samples: of files; not asked for.
        name: one of `PAGES`; a raw one is damaged as it goes over the wire, to a server.
        numbers: of cases.
        place: a folder for it.
    """
    app, requests = PAGES[name](place)
    if not name.startswith("raw"):
        return [each for number in numbers if (each := _try_one(app, requests, name, number))]
    with _served(app) as port:
        return [each for number in numbers if (each := _try_raw(port, requests, name, number))]


def _try_one(app: App, requests: list[Request], name: str, number: int) -> str:
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    method, path, body, kind = requests[rng.integers(0, len(requests))]
    whole, suffix = (
        (body, "." + kind.split("/")[1]) if isinstance(body, bytes) else (json.dumps(body).encode(), ".json")
    )
    content = damage(whole, suffix, rng, [b"\x89PNG\r\n", b"\0" * 99]) if rng.random() < 0.8 else whole
    if rng.random() < 0.2:
        path = damage(path.encode(), ".txt", rng, [b"/api/../.."]).decode("latin-1")
    if rng.random() < 0.1:
        method = ("DELETE", "PUT", "GET", "HEAD", "OPTIONS", "\xff")[rng.integers(0, 6)]
    headers = dict(HEADERS[each] for each in rng.integers(0, len(HEADERS), 2)) if rng.random() < 0.3 else {}
    case = f"case {number}, {method} {path!r} {headers!r:.99}"
    try:
        status, _ = ask(app, method, path, content, kind, headers, parts=int(rng.integers(1, 4)))
    except BaseException as error:
        return f"{case}: {error!r:.300}"
    return f"{case}: status {status}" if status >= 500 and status != 503 else ""


@contextmanager
def _served(app: App) -> Iterator[int]:
    server, listening = make_server(app), listen("127.0.0.1", 0)
    thread = Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def _try_raw(port: int, requests: list[Request], name: str, number: int) -> str:
    """A request whose bytes are damaged, and after it a whole one."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    method, path, body, kind = requests[rng.integers(0, len(requests))]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    whole = _write(method, path, content, kind)
    answer = _send(port, damage(whole, ".txt", rng, [whole * 3, b"\r\n" * 999, b"\x16\x03\x01" * 9]))
    case = f"case {number}, {method} {path}"
    if answer[9:10] == b"5" and answer[9:12] != b"503":
        return f"{case}: {answer[:80]!r}"
    after = _send(port, _write("GET", "/", b"", JSON))
    return "" if after.startswith(b"HTTP/1.1 200") else f"{case}: afterwards {after[:80]!r}"


def _write(method: str, path: str, content: bytes, kind: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


def _send(port: int, content: bytes) -> bytes:
    """The answer, as far as one comes to who then says no more."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer += part
    except (ConnectionError, BrokenPipeError):
        pass  # the server has heard enough
    return answer
