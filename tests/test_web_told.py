"""What the web app tells: messages in the page's words, warnings by frame, the disk that things take, previews."""

import ast
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from edit_your_motion.config import EditConfig, flatten, load_config
from edit_your_motion.errors import FLAG
from edit_your_motion.people.preparation import save_prepared
from edit_your_motion.person_folder import read_preset
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.web.disk import Taken, measure
from edit_your_motion.web.edits import run_job
from edit_your_motion.web.job_files import resolve
from edit_your_motion.web.job_runner import LOG
from edit_your_motion.web.library import Library
from edit_your_motion.web.messages import FIELDS, PHRASES, say, settings_in
from edit_your_motion.web.preparing import PREPARED, prepare_clip
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_pair, add_prepared, serving_web, wait_for_phase

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

REACHED = ("jobs", "people", "video", "tuning", "sampling", "diffusion", "runtime", "presets", "storage")
"""Folders whose errors and warnings come to the page."""


def messages() -> Iterator[str]:
    """Every text in code that a job runs, docstrings aside."""
    package = Path(str(files("edit_your_motion")))
    places = [*package.glob("*.py"), *(path for name in REACHED for path in (package / name).rglob("*.py"))]
    for place in places:
        tree = ast.parse(place.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and node.body
                and isinstance(node.body[0], ast.Expr)}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield node.value


def test_every_setting_that_a_message_names_has_a_name_on_the_page() -> None:
    settings = {name.replace("_", "-") for name, _ in flatten(EditConfig().model_dump(mode="json"))}
    named = {flag for text in messages() for flag in settings_in(text)}
    assert len(named) > 20
    assert named <= settings | set(FIELDS) | set(PHRASES), "say what the page calls them, in web/messages.py"
    assert not [flag for flag in named if FLAG.search(say(f"give --{flag}"))]


def test_the_page_has_the_fields_that_messages_send_people_to() -> None:
    page = files("edit_your_motion.web").joinpath("page")
    texts = "".join(each.read_text() for each in page.iterdir() if each.name.endswith((".html", ".js")))
    assert [label for label in FIELDS.values() if not re.search(rf'[>"]{re.escape(label)}', texts)] == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("a lower rate (--fps 12)", "a lower rate ('at frames/s' 12)"),
        ("take one alone: --source.start 2 --source.frames 20", "take one alone: 'from second' 2 'frames' 20"),
        ("--people.person or --people.reference-person chooses", "'person from left' chooses"),
        ("fewer steps (--sampling.steps)", "fewer steps (the setting sampling.steps)"),
        ("lower --video.size", "lower the server's video.size"),
        ("nothing -- to say of a--b or --", "nothing -- to say of a--b or --"),
    ],
)
def test_flags_become_the_pages_own_words(message: str, said: str) -> None:
    assert say(message) == said


@pytest.mark.slow
def test_a_refusal_speaks_of_the_page_and_can_be_overruled_there(settings: Path, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", settings) as site:
        source, reference = add_pair(site.library)
        far = {"alignment": {"right": 2.0}}
        asked = {
            "kind": "edit",
            "source": source,
            "reference": reference,
            "prompt": PROMPT,
            "offer": "tiny",
            "settings": far,
        }
        job = site.ask("POST", "/api/jobs", asked).json["id"]
        refused = site.wait(f"/api/jobs/{job}", "failed")
        assert "'Begin all the same'" in refused["error"]
        assert "--" not in refused["error"]
        assert refused["refused"]
        assert site.ask("POST", f"/api/jobs/{job}/insist").json["state"] == "queued"
        insisted = site.library.job(job)
        assert insisted is not None
        assert insisted.request["force"]
        wait_for_phase(site, job, "tune")
        assert site.ask("POST", f"/api/jobs/{job}/cancel").status == 200
        told = site.ask(
            "POST", "/api/alignment", {"source": source, "reference": reference, "alignment": {"right": 0.6}}
        )
        assert "--" not in json.dumps(told.json["concerns"])


def test_a_clip_is_renamed_and_taken_for_what_it_is(site: WebSite, tmp_path: Path) -> None:
    keypoints = write_clip(tmp_path, film(4)).keypoints
    clip = site.bring(keypoints, "reference", name="mistaken.json")
    assert site.wait(f"/api/clips/{clip}", "failed")["error"]
    assert site.ask("PATCH", f"/api/clips/{clip}", {"name": "", "role": "skeletons"}).status == 400
    assert site.ask("PATCH", f"/api/clips/{clip}", {"name": "moves.json", "role": "skeletons"}).status == 200
    shown = site.wait(f"/api/clips/{clip}", "known")
    assert (shown["name"], shown["role"], shown["facts"]["frames"]) == ("moves.json", "skeletons", 4)
    assert site.ask("POST", f"/api/clips/{clip}/preparation", {"frames": 4}).status == 200
    site.wait(f"/api/clips/{clip}", "ready")
    refused = site.ask("PATCH", f"/api/clips/{clip}", {"name": "moves.json", "role": "source"})
    assert "already" in refused.json["error"]
    assert site.ask("PATCH", f"/api/clips/{clip}", {"name": "<b>walk</b>", "role": "skeletons"}).status == 200
    assert site.ask("GET", f"/api/clips/{clip}").json["name"] == "<b>walk</b>"


def test_a_log_speaks_of_the_page(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    id = site.ask("POST", "/api/jobs", asked).json["id"]
    job = site.library.job(id)
    assert job is not None
    site.library.move_job(job, "cancelled")
    text = "3 h on this machine; shorter with --tuning.motion.iterations 100, another --prompt, --model.vae\n"
    with (site.library.job_folder(job) / LOG).open("a", encoding="utf-8") as log:
        log.write(text)
    told = site.ask("GET", f"/api/jobs/{id}/log").json["log"]
    said = "the setting tuning.motion.iterations 100, another 'Prompt', the server's model.vae\n"
    assert told.endswith(f"shorter with {said}")


# Warnings


def test_warnings_come_with_their_frames_and_go_when_what_they_are_about_is_put_right(
    site: WebSite, tmp_path: Path
) -> None:
    clip = film(6)
    body = clip.keypoints.body.copy()
    body[2, :, 2] = 0
    walk = write_clip(tmp_path, replace(clip, keypoints=replace(clip.keypoints, body=body)))
    chosen = {"people": {"reference_keypoints": str(walk.keypoints)}, "video": {"frames": 6, "start": 0.0, "fps": None}}
    job = {"original": walk.video.name, "role": "reference", "person": None, **chosen}
    prepare_clip(tmp_path, job, SilentProgress())
    told = json.loads((tmp_path / PREPARED / "facts.json").read_text())
    by_text = dict(zip(told["warnings"], told["concerned"], strict=True))
    assert [frames for text, frames in by_text.items() if "no joint of the person is seen" in text] == [[2]]

    id = add_prepared(site.library, "reference", film(6))
    place = site.library.folder / "clips" / id / PREPARED
    facts = json.loads((place / "facts.json").read_text())
    (place / "facts.json").write_text(json.dumps({**facts, "warnings": ["it is dark"]}))  # as of a library of before
    rows = site.ask("GET", f"/api/clips/{id}/keypoints").json["frames"]
    hidden = {**rows[3], "body": {joint: [*point[:2], 0] for joint, point in rows[3]["body"].items()}}
    worse = site.ask("PATCH", f"/api/clips/{id}/keypoints", {"frames": {3: hidden}}).json
    assert worse["warnings"][0] == "it is dark"
    assert [3] in worse["concerned"]
    assert site.ask("GET", f"/api/clips/{id}").json["prepared"]["concerned"] == worse["concerned"]
    better = site.ask("PATCH", f"/api/clips/{id}/keypoints", {"frames": {3: rows[3]}}).json
    assert [3] not in better["concerned"]
    assert "it is dark" in better["warnings"]


def test_an_alignment_says_in_which_frames_it_leaves_the_picture(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"source": pair[0], "reference": pair[1], "alignment": {"right": 2.0}}
    told = site.ask("POST", "/api/alignment", asked).json
    assert len(told["concerns"]) == len(told["concerned"])
    assert [0, 1, 2, 3] in told["concerned"]


# The disk


def test_what_is_shared_is_not_freed(tmp_path: Path) -> None:
    for name, size in (("own", 1000), ("twice", 300), ("elsewhere", 5000)):
        (tmp_path / "folder" / "within").mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(bytes(size))
    (tmp_path / "folder" / "within" / "twice").hardlink_to(tmp_path / "folder" / "twice")
    (tmp_path / "other").hardlink_to(tmp_path / "folder" / "elsewhere")
    assert measure(tmp_path / "folder") == Taken(size=6300, frees=1300)
    assert measure(tmp_path / "nothing") == Taken(0, 0)


@pytest.mark.slow
def test_deletion_says_what_it_frees_and_frees_it(settings: Path, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", settings) as site:
        source, _ = add_pair(site.library)
        asked = {"kind": "tune", "source": source, "prompt": PROMPT, "offer": "tiny"}
        job = site.ask("POST", "/api/jobs", asked).json["id"]
        whole = site.ask("GET", f"/api/clips/{source}").json["disk"]
        assert 0 < whole["frees"] < whole["size"], "its frames are the job's too"
        listed = {clip["id"]: clip["disk"] for clip in site.ask("GET", "/api/library").json["clips"]}
        assert listed[source]["size"] == whole["size"]
        before = site.library.used()
        assert site.ask("DELETE", f"/api/clips/{source}").json["freed"] == whole["frees"]
        assert before - site.library.used() == pytest.approx(whole["frees"], abs=200_000)
        site.wait(f"/api/jobs/{job}", "done")
        sizes = site.ask("GET", f"/api/jobs/{job}").json["disk"]
        assert 0 < sizes["person"] < sizes["size"] == sizes["frees"]
        before = site.library.used()
        assert site.ask("DELETE", f"/api/jobs/{job}").json["freed"] == sizes["frees"]
        assert before - site.library.used() == pytest.approx(sizes["frees"], abs=200_000)


# Previews and presets


@pytest.mark.slow
def test_the_edit_so_far_is_seen_while_it_is_sampled(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny",
             "settings": {"sampling": {"steps": 200, "preview_every": 1}}}  # fmt: skip
    job = site.ask("POST", "/api/jobs", asked).json["id"]
    wait_for_phase(site, job, "sample", steps=3)
    stamp = site.runner.progress[job]["preview"]
    assert stamp is not None
    assert "preview.png" in site.ask("GET", f"/api/jobs/{job}").json["results"]
    picture = site.ask("GET", f"/api/jobs/{job}/files/preview.png")
    assert Image.open(io.BytesIO(picture.body)).size == (64, 64)
    wait_for_phase(site, job, "sample", steps=20)
    assert site.runner.progress[job]["preview"] != stamp
    assert site.ask("POST", f"/api/jobs/{job}/cancel").status == 200


def test_a_picture_now_and_then_is_what_an_edit_has_unless_it_is_asked_for_otherwise(
    site: WebSite, pair: tuple[str, str]
) -> None:
    assert site.ask("GET", "/api/library").json["settings"]["sampling.preview_every"] == 5
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    for settings, every in (({}, 5), ({"sampling": {"preview_every": 0}}, 0)):
        job = site.library.job(site.ask("POST", "/api/jobs", {**asked, "settings": settings}).json["id"])
        assert job is not None
        site.library.move_job(job, "cancelled")
        folder = site.library.job_folder(job) / "inputs"
        clips = {role: folder / role for role in ("source", "reference")}
        assert resolve(clips, {**job.request, "kind": "edit", "device": "cpu"}).config.sampling.preview_every == every


@pytest.mark.slow
def test_a_person_keeps_the_preset_that_they_were_tuned_under(settings: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    for job in ("person", "motion"):
        for role in ("source", "reference"):
            save_prepared(jobs / job / "inputs" / role, film())
    plain = {
        "frames": 4,
        "prompt": PROMPT,
        "offer": load_config(settings),
        "settings": {},
        "base": None,
        "device": "cpu",
    }
    run_job(jobs / "person", {**plain, "kind": "tune", "preset": "fast"}, lambda seconds, steps: SilentProgress())
    assert read_preset(jobs / "person" / "person") == "fast"
    motion = {**plain, "kind": "apply", "person": "person", "prompt": ""}
    run_job(jobs / "motion", motion, lambda seconds, steps: SilentProgress())
    record = json.loads((jobs / "motion" / "edit" / "run.json").read_text())
    assert record["preset"] == "fast"


def test_a_preset_can_be_asked_for_and_has_to_be_one(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    assert site.ask("POST", "/api/jobs", {**asked, "preset": "none such"}).status == 400
    offered = site.ask("GET", "/api/library").json["presets"]
    assert {"paper", "best", "fast"} <= set(offered)
    job = site.ask("POST", "/api/jobs", {**asked, "preset": "fast"}).json["id"]
    assert site.ask("POST", f"/api/jobs/{job}/cancel").status == 200


def test_a_job_that_was_not_refused_cannot_be_insisted_on(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    job = library.add_job("tune", "anna", {"force": False})
    with pytest.raises(Exception, match="cannot be queued"):
        library.insist_on(job)
    kept = library.job(job.id)
    assert kept is not None
    assert kept.request == {"force": False}
