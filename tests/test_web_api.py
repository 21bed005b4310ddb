"""The web app's API is what its description and its page of examples say."""

import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.web.library import State
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_pair, add_prepared, serving_web

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

DOCS = Path(__file__).parents[1] / "docs" / "web.md"


@pytest.fixture(scope="module")
def idle(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    """A library that is served and in which nobody works."""
    with serving_web(tmp_path_factory.mktemp("idle") / "library", settings, working=False) as site:
        site.runner.foresee = lambda request: {"estimate": None}  # type: ignore[method-assign]
        yield site


@pytest.fixture(scope="module")
def pair(idle: WebSite) -> tuple[str, str]:
    return add_pair(idle.library)


def add_job(site: WebSite, pair: tuple[str, str], state: State) -> str:
    """A job in that state, with all that jobs leave."""
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    id = str(site.ask("POST", "/api/jobs", asked).json["id"])
    folder = site.library.folder / "jobs" / id
    for name in ("edit/aligned.mp4", "edit/skeletons.json", "pictures/00000.jpg", "edit/person/tuned.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    for name in ("config.yaml", "latents.safetensors"):
        (folder / "edit" / "person" / name).write_text("{}")
    (folder / "edit" / "run.json").write_text('{"losses": [1.0]}')
    site.library._database.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, id))
    return id


def picture() -> bytes:
    painted = io.BytesIO()
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(painted, format="PNG")
    return painted.getvalue()


def described(site: WebSite) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation."""
    paths = site.ask("GET", "/api/openapi.json").json["paths"]
    return [(method, path, about) for path, part in paths.items() for method, about in part.items()]


def test_every_address_answers_as_it_is_described(idle: WebSite, pair: tuple[str, str]) -> None:
    source, reference = pair
    edit = {"kind": "edit", "source": source, "reference": reference, "prompt": PROMPT, "offer": "tiny"}
    new = {"name": "new.mp4", "role": "source", "size": 4}
    people = idle.library.folder / "clips" / source / "prepared" / "people.jpg"
    Image.new("RGB", (8, 8)).save(people)
    row = idle.ask("GET", f"/api/clips/{source}/keypoints").json["frames"][0]
    clip, job = "/api/clips/{clip}", "/api/jobs/{job}"

    def announced() -> dict[str, str]:
        return {"clip": idle.ask("POST", "/api/clips", new).json["id"]}

    bodies: dict[tuple[str, str], Any] = {
        ("post", "/api/clips"): new,
        ("patch", clip): {"name": "renamed.mp4", "role": "source"},
        ("put", f"{clip}/content"): b"1234",
        ("post", f"{clip}/preparation"): {"frames": 4},
        ("patch", f"{clip}/keypoints"): {"frames": {"0": row}, "corrected": {"nose": [0]}},
        ("put", f"{clip}/masks/{{frame}}.png"): picture(),
        ("post", "/api/alignment"): {"source": source, "reference": reference},
        ("post", "/api/estimate"): edit,
        ("post", "/api/outlook"): edit,
        ("post", "/api/jobs"): edit,
        ("post", "/api/grids"): {**edit, "vary": {"sampling.steps": [2, 3]}},
        ("patch", job): {"name": "another"},
    }
    states: dict[tuple[str, str], State] = {
        ("post", f"{job}/pause"): "queued",
        ("post", f"{job}/resume"): "paused",
        ("post", f"{job}/insist"): "failed",
        ("post", f"{job}/cancel"): "queued",
    }
    operations = described(idle)
    assert bodies.keys() <= {(method, path) for method, path, _ in operations}
    for method, path, about in operations:
        at = (method, path)
        values = {"clip": source, "frame": "0", "row": "source", "name": "aligned.mp4"}
        if at in ((("put", f"{clip}/content")), ("delete", clip)):
            values |= announced()
        if "{job}" in path:
            values["job"] = add_job(idle, pair, states.get(at, "done"))
        assert all(each["name"] in values for each in about["parameters"] if each["in"] == "path"), at
        kind = next(iter(about.get("requestBody", {"content": {"": {}}})["content"]))
        assert bool(kind) == (at in bodies), f"{at}: a body where one is described"
        query = "?offset=0" if [each for each in about["parameters"] if each["name"] == "offset"] else ""
        connection = HTTPConnection("127.0.0.1", idle.port, timeout=60)
        body = bodies.get(at)
        sent = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method.upper(), path.format(**values) + query, sent, {"Content-Type": kind} if kind else {})
        response = connection.getresponse()
        type = response.getheader("content-type", "").partition(";")[0]
        content = b"" if type == "text/event-stream" else response.read()
        connection.close()
        assert response.status == 200, (at, content[:300])
        assert type in about["responses"]["200"]["content"], at
        assert type != "application/json" or isinstance(json.loads(content), dict), at


def test_every_address_refuses_as_it_is_described(idle: WebSite) -> None:
    for method, path, about in described(idle):
        places = [each["name"] for each in about["parameters"] if each["in"] == "path"]
        content = about.get("requestBody", {"content": {}})["content"]
        if not places and not content:
            continue
        gone = path.format(**dict.fromkeys(places, "0"))
        reply = idle.ask(method.upper(), f"{gone}?offset=0", b"{}" if content else None, kind=next(iter(content), ""))
        assert 400 <= reply.status < 500, (method, path, reply)
        assert list(reply.json) == ["error"], (method, path)
        if content:
            assert idle.ask(method.upper(), f"{gone}?offset=0", b"{}", kind="text/plain").status in (404, 415)


def test_no_address_is_left_out(idle: WebSite) -> None:
    from edit_your_motion.web.access import Access
    from edit_your_motion.web.server import make_app

    app = make_app(idle.library, idle.runner, {}, Access(None), {})
    routed = {
        (method.lower(), re.sub(r":\w+", "", route.path))
        for route in app.routes
        for method in route.methods - {"HEAD"}
        if route.path.startswith("/api/")
    }
    assert routed == {(method, path) for method, path, _ in described(idle)}


def blocks() -> dict[str, str]:
    """The examples of the page on the API, by how they begin."""
    text = DOCS.read_text(encoding="utf-8").partition("## The API")[2].partition("\n## ")[0]
    return {each.split()[0]: each for each in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)}


def run(script: str, folder: Path, port: int, **variables: str) -> str:
    assert "localhost:8080" in script
    command = ["bash", "-euc", script.replace("localhost:8080", f"localhost:{port}")]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_examples_for_curl_run_as_they_are_written(idle: WebSite, tmp_path: Path) -> None:
    clip = write_clip(tmp_path, film(4)).video.rename(tmp_path / "dance.mp4")
    library, announce, *rest = re.split(r"\n(?=curl)", blocks()["curl"].strip())
    announce = re.sub(r'"size": \d+', f'"size": {clip.stat().st_size}', announce)
    assert "clips" in json.loads(run(library, tmp_path, idle.port))
    id = json.loads(run(announce, tmp_path, idle.port))["id"]
    send, events = rest
    assert json.loads(run(send, tmp_path, idle.port, ID=id))["received"] == clip.stat().st_size
    heard = run(f"{events} --max-time 2 || [ $? = 28 ]", tmp_path, idle.port)
    assert "event: changed" in heard


@pytest.mark.slow
def test_the_example_in_python_runs_as_it_is_written(settings: Path, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", settings) as site:
        add_prepared(site.library, "source", film(4), "source.mp4")
        add_prepared(site.library, "reference", film(4, seed=1), "reference.mp4")
        script = blocks()["python"].replace('"small base"', '"tiny"')
        assert "tune" in run(script, tmp_path, site.port)
    assert (tmp_path / "edited.mp4").read_bytes()[4:8] == b"ftyp"


def test_an_edit_is_scored_by_the_truth_that_is_given(
    idle: WebSite, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edit_your_motion.runtime.progress import SilentProgress
    from edit_your_motion.web import edits

    source, reference = pair
    asked = {"kind": "edit", "source": source, "reference": reference, "prompt": PROMPT, "offer": "tiny"}
    unknown = idle.ask("POST", "/api/jobs", {**asked, "truth": "0123"})
    assert (unknown.status, "truth" in unknown.json["error"]) == (409, True)
    short = add_prepared(idle.library, "reference", film(2), "short.mp4")
    assert "at most 2 frames" in idle.ask("POST", "/api/jobs", {**asked, "truth": short, "frames": 4}).json["error"]
    told = list[Path | None]()
    monkeypatch.setattr(edits, "foresee_job", lambda config, person, force=False: None)
    monkeypatch.setattr(edits, "run_edit", lambda config, folder, progress, *, truth, **rest: told.append(truth))
    monkeypatch.setattr(edits, "read_video", lambda path: film(1).video)
    for truth in (reference, None):
        id = idle.ask("POST", "/api/jobs", {**asked, "truth": truth}).json["id"]
        job = idle.library.job(id)
        assert job is not None
        folder = idle.library.job_folder(job)
        edits.run_job(folder, {**job.request, "device": "cpu"}, lambda seconds, steps: SilentProgress())
    assert told == [idle.library.job_folder(idle.library.jobs()[-2]) / "inputs" / "truth" / "frames.mp4", None]
    grid = idle.ask("POST", "/api/grids", {**asked, "truth": reference, "vary": {"sampling.steps": [2, 3]}}).json
    assert [job["truth"] for job in grid["jobs"]] == [None, reference, reference]
