"""The web app without a browser: its queue survives what ends, its files stay those of the CLI, it lets nobody in."""

import errno
import io
import json
import os
import re
import shutil
import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asking import ask
from edit_your_motion.config import EditConfig
from edit_your_motion.errors import ConfigError, DiskFullError, InputError
from edit_your_motion.jobs.inspection import take_prepared
from edit_your_motion.people.formats import keypoints_file
from edit_your_motion.people.formats.keypoints_file import load_keypoints
from edit_your_motion.people.preparation import draw_reference, load_prepared, prepare_reference
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import write_video
from edit_your_motion.web import library as library_module
from edit_your_motion.web.access import Access, is_loopback, load_token
from edit_your_motion.web.corrections import read_rows, write_rows
from edit_your_motion.web.job_files import copy_clip, inputs_of, resolve
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import MOST_ATTEMPTS, Library, Quota
from edit_your_motion.web.preparing import PREPARED, prepare_clip
from edit_your_motion.web.probing import probe_clip
from edit_your_motion.web.server import make_app
from edit_your_motion.web.worker import Reporter
from form_damage import without
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_pair, add_prepared, serving_web, tiny_settings, wait_for_phase

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def ask_for_edit(site: WebSite, pair: tuple[str, str], **values: object) -> str:
    source, reference = pair
    asked = {"kind": "edit", "source": source, "reference": reference, "prompt": PROMPT, "offer": "tiny", **values}
    reply = site.ask("POST", "/api/jobs", asked)
    assert reply.status == 200, reply
    return reply.json["id"]


# The queue


def test_jobs_are_taken_in_order_by_one_worker_each(library: Library) -> None:
    jobs = [library.add_job("edit", f"{number}", {}) for number in range(3)]
    taken = [library.take_job("edits") for _ in range(4)]
    assert [job and job.id for job in taken] == [*(job.id for job in jobs), None]
    assert library.take_job("clips") is None


def test_what_a_killed_server_left_running_waits_again_in_its_old_place(library: Library) -> None:
    first, second = (library.add_job("edit", name, {}) for name in ("first", "second"))
    for job in (first, second):
        library.job_folder(job).mkdir()
    library.take_job("edits")
    again = Library(library.folder)
    again.recover()
    taken = again.take_job("edits")
    assert taken is not None
    assert taken.id == first.id


def test_a_file_whose_last_part_came_as_the_server_ended_is_looked_at_after_a_start(library: Library) -> None:
    clip, other = (library.add_clip(name, "source", 5) for name in ("whole.mp4", "half.mp4"))
    library.original(clip).write_bytes(b"12345")
    library.original(other).write_bytes(b"123")
    again = Library(library.folder)
    again.recover()
    again.recover()
    assert [(job.kind, job.clip) for job in again.jobs()] == [("probe", clip.id)]


def test_files_that_are_announced_count_before_they_have_come(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", Quota(all=1_000_000))
    first = library.add_clip("first.mp4", "source", 600_000)
    with pytest.raises(InputError, match="waits for 600000"):
        library.add_clip("second.mp4", "source", 600_000)
    library.original(first).write_bytes(bytes(500_000))
    with pytest.raises(InputError, match="waits for 100000"):
        library.add_clip("second.mp4", "source", 400_000)
    library.remove_clip(first)
    library.add_clip("second.mp4", "source", 600_000)


def test_the_queue_is_bounded_and_clips_do_not_wait_in_it(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", Quota(waiting=2))
    for name in ("one", "two"):
        library.add_job("edit", name, {})
    with pytest.raises(InputError, match="2 jobs wait already"):
        library.add_job("edit", "three", {})
    clip = library.add_clip("clip.mp4", "source", 5)
    library.original(clip).write_bytes(b"12345")
    library.complete_clip(clip)
    assert library.take_job("clips") is not None


def test_folders_of_what_a_killed_server_was_removing_or_beginning_go(library: Library) -> None:
    job = library.add_job("edit", "kept", {})
    clip = library.add_clip("kept.mp4", "source", 5)
    for name in (job.id, "0" * 24):
        (library.folder / "jobs" / name).mkdir()
    (library.folder / "clips" / ("1" * 24)).mkdir()
    (library.folder / "jobs" / f".{'0' * 24}.lock").touch()
    library.recover()
    assert [path.name for path in (library.folder / "jobs").iterdir()] == [job.id]
    assert [path.name for path in (library.folder / "clips").iterdir()] == [clip.id]


def test_a_job_whose_request_ended_in_an_error_is_none_after_a_start(library: Library) -> None:
    """The disk failed as the job was written down, so that its folder went; written down it was all the same."""
    kept, lost = (library.add_job("edit", name, {}) for name in ("kept", "lost"))
    library.job_folder(kept).mkdir()
    library.recover()
    assert [job.id for job in library.jobs()] == [kept.id] != [lost.id]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_a_folder_of_a_clip_that_cannot_be_copied_says_what_the_disk_said(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = tmp_path / "prepared"
    (prepared / "masks").mkdir(parents=True)
    (prepared / "pictures").mkdir()
    for name in ("frames.mp4", "keypoints.json", "masks/00000.png", "pictures/00000.jpg"):
        (prepared / name).write_bytes(b"1")
    copy_clip(prepared, tmp_path / "copied")
    assert sorted(path.name for path in (tmp_path / "copied").rglob("*.*")) == [
        "00000.jpg", "00000.png", "frames.mp4", "keypoints.json"
    ]  # fmt: skip

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match=re.escape(os.strerror(code))) as caught:
        copy_clip(prepared, tmp_path / "failed")
    assert caught.value.errno == code


@pytest.mark.parametrize(("code", "says"), [(errno.ENOSPC, "no room is left"), (errno.EIO, "cannot be written")])
def test_a_disk_that_fails_is_said_to_whoever_asks(
    site: WebSite, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "the disk fails", "/somewhere/original.mp4")

    monkeypatch.setattr(Library, "received", fail)
    reply = site.ask("GET", "/api/library")
    announced = site.ask("POST", "/api/clips", {"name": "a.mp4", "role": "source", "size": 5})
    for each in (reply, announced) if reply.status != 200 else (announced,):
        assert each.status == 503, each
        assert says in each.json["error"]
        assert "somewhere" not in each.json["error"]


def test_the_last_clip_is_the_first_after_the_clock_was_set_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_clip("one.mp4", "source", 1)
    monkeypatch.setattr(library_module, "_now", lambda: "1970-01-01T00:00:00+00:00")
    library.add_clip("two.mp4", "source", 1)
    assert [clip.name for clip in library.clips()] == ["two.mp4", "one.mp4"]


@pytest.mark.parametrize("content", ["[" * 100_000, "3", '{"frames"'])
def test_a_clip_whose_record_is_damaged_hides_no_other(library: Library, content: str) -> None:
    damaged, _ = add_pair(library, 2)
    (library.clip_folder(library.clip(damaged)) / "facts.json").write_text(content)
    app = make_app(library, JobRunner(library, ["cpu"]), {}, Access(None), {})
    status, answer = ask(app, "GET", "/api/library")
    assert status == 200
    clips = {clip["name"]: clip for clip in json.loads(answer)["clips"]}
    assert clips["reference.mp4"]["state"] == "ready"
    assert clips["source.mp4"]["state"] == "failed"
    assert "facts.json is damaged" in clips["source.mp4"]["error"]


def test_a_clip_is_announced_only_once_it_has_a_place(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EACCES, "not allowed", str(path))

    with monkeypatch.context() as stopped:
        stopped.setattr(Path, "mkdir", stop)
        with pytest.raises(InputError, match="permission denied"):
            library.add_clip("a.mp4", "source", 5)
    assert Library(library.folder).clips() == []


def test_a_file_that_has_no_room_on_the_disk_is_refused_before_it_is_sent(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(library.folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: free)
    library.add_clip("first.mp4", "source", 600)
    with pytest.raises(DiskFullError, match=r"600 bytes have no room .* 1000 are free"):
        library.add_clip("second.mp4", "source", 600)
    library.add_clip("third.mp4", "source", 400)


def test_the_library_is_not_walked_for_each_file_that_is_announced(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    monkeypatch.setattr(Library, "used", lambda self: walked.append(1) or 0)
    for number in range(20):
        library.add_clip(f"{number}.mp4", "source", 1000)
    assert len(walked) == 1


def test_what_began_to_run_meanwhile_is_not_deleted(library: Library) -> None:
    job = library.add_job("edit", "edit", {})
    clip = library.add_clip("a.mp4", "source", 4)
    library.original(clip).write_bytes(bytes(4))
    library.complete_clip(clip)
    for lane in ("edits", "clips"):
        assert library.take_job(lane) is not None
    with pytest.raises(InputError, match="this job runs"):
        library.remove_job(job)  # which was queued when somebody looked
    with pytest.raises(InputError, match="being prepared"):
        library.remove_clip(clip)
    assert library.job(job.id) is not None
    assert library.original(clip).is_file()
    library.end_job(job, None)
    library.remove_job(job)
    assert library.job(job.id) is None


def test_a_process_that_dies_again_and_again_is_given_up(library: Library) -> None:
    job = library.add_job("edit", "dies", {})
    for _ in range(MOST_ATTEMPTS):
        assert library.take_job("edits") is not None
        library.queue_again(job, "signal 9")
    last = library.job(job.id)
    assert last is not None
    assert (last.state, last.error) == ("failed", "signal 9")
    assert library.take_job("edits") is None


def test_a_job_whose_process_still_ends_is_not_taken_twice(library: Library) -> None:
    job = library.add_job("edit", "once", {})
    library.take_job("edits")
    library.move_job(job, "paused")
    library.move_job(job, "queued")
    assert library.take_job("edits", busy=[job.id]) is None
    assert library.take_job("edits") is not None


@pytest.mark.parametrize(("state", "move"), [("done", "paused"), ("running", "queued"), ("done", "cancelled")])
def test_a_job_moves_only_where_it_can(library: Library, state: str, move: str) -> None:
    job = library.add_job("edit", "moved", {})
    library.take_job("edits")
    if state == "done":
        library.end_job(job, None)
    with pytest.raises(InputError, match=f"a job that is {state} cannot be {move}"):
        library.move_job(job, move)


def test_a_person_that_a_waiting_job_needs_stays(library: Library) -> None:
    person = library.add_job("tune", "person", {})
    waiting = library.add_job("apply", "motion", {"person": person.id})
    with pytest.raises(InputError, match="another job waits"):
        library.remove_job(person)
    library.move_job(waiting, "cancelled")
    library.remove_job(person)
    assert library.job(person.id) is None


def test_the_time_left_counts_what_is_to_come() -> None:
    told: list[dict[str, object]] = []
    seconds = {"tune, stage 1": 30.0, "tune, stage 2": 30.0, "invert": 10.0, "sample": 20.0}
    reporter = Reporter(told.append, seconds, dict.fromkeys(seconds, 10))
    with reporter.phase("tune, stage 2", 5) as advance:  # goes on in the middle of the second stage
        for _ in range(5):
            advance()
    assert told[0]["overall"] == 0
    assert told[-1]["overall"] == pytest.approx(15 / 45)
    with reporter.phase("invert", 10) as advance:
        for _ in range(10):
            advance()
    with reporter.phase("sample", 10) as advance:
        for _ in range(10):
            advance()
    assert (told[-1]["overall"], told[-1]["left"]) == (1, 0)


# Edits


@pytest.fixture(scope="module")
def finished(site: WebSite, pair: tuple[str, str]) -> str:
    job = ask_for_edit(site, pair)
    site.wait(f"/api/jobs/{job}", "done")
    return job


@pytest.mark.slow
def test_an_edit_is_what_the_command_line_would_make(site: WebSite, finished: str) -> None:
    shown = site.ask("GET", f"/api/jobs/{finished}").json
    assert {"edited.mp4", "run.json", "config.yaml", "skeletons.json"} <= set(shown["results"])
    assert shown["tuned"]
    assert len(shown["losses"]) == 8
    for row in ("source", "reference", "edited"):
        picture = site.ask("GET", f"/api/jobs/{finished}/frames/{row}/3.jpg")
        assert Image.open(io.BytesIO(picture.body)).size == (64, 64)
        assert len(site.ask("GET", f"/api/jobs/{finished}/keypoints/{row}").json["frames"]) == 4
    assert site.ask("GET", f"/api/jobs/{finished}/frames/edited/4.jpg").status == 404
    film = site.ask("GET", f"/api/jobs/{finished}/files/edited.mp4")
    assert film.body[4:8] == b"ftyp"


@pytest.mark.slow
def test_a_tuned_person_is_given_another_motion_without_tuning(site: WebSite, finished: str) -> None:
    other = add_prepared(site.library, "reference", film(4, speed=1.0, seed=2))
    job = site.ask("POST", "/api/jobs", {"kind": "apply", "person": finished, "reference": other}).json["id"]
    site.wait(f"/api/jobs/{job}", "done")
    record = site.ask("GET", f"/api/jobs/{job}").json
    assert not [name for name in record["phases"] if name.startswith("tune")]


@pytest.mark.slow
def test_a_worker_that_is_killed_and_a_server_that_ends_lose_nothing(checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    slower = tiny_settings(tmp_path, checkpoints, iterations=20)
    with serving_web(folder, slower) as first:
        pair = add_pair(first.library)
        whole = ask_for_edit(first, pair)
        first.wait(f"/api/jobs/{whole}", "done")
        job = ask_for_edit(first, pair)
        running = first.library.job(job)
        assert running is not None
        wait_for_phase(first, job, "tune, stage 1", steps=2)  # of which each has its checkpoint
        process = first.runner.process_of(running)
        assert process is not None
        os.kill(process, signal.SIGKILL)
        wait_for_phase(first, job, "tune, stage 2")
    with serving_web(folder, slower) as second:
        second.wait(f"/api/jobs/{job}", "done")
        log = second.ask("GET", f"/api/jobs/{job}/log").json["log"]
        assert log.count("going on with stage") == 2
        made = [second.ask("GET", f"/api/jobs/{each}/files/edited.mp4").body for each in (whole, job)]
    assert made[0] == made[1]


@pytest.mark.slow
def test_a_job_is_paused_and_goes_on_and_a_cancelled_one_can_be_deleted(checkpoints: Path, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", tiny_settings(tmp_path, checkpoints, iterations=200)) as site:
        job = ask_for_edit(site, add_pair(site.library))
        path = f"/api/jobs/{job}"
        wait_for_phase(site, job, "tune")
        assert site.ask("DELETE", path).status == 409
        assert site.ask("POST", f"{path}/pause").json["state"] == "paused"
        assert site.ask("POST", f"{path}/pause").status == 409
        assert site.ask("POST", f"{path}/resume").json["state"] == "queued"
        site.wait(path, "running")
        assert site.ask("POST", f"{path}/cancel").json["state"] == "cancelled"
        folder = site.library.folder / "jobs" / job
        assert site.ask("DELETE", path).status == 200
        assert site.ask("GET", path).status == 404
        until = time.monotonic() + 20
        while site.runner._processes:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not folder.exists()


def test_a_prompt_may_be_left_to_what_is_seen(site: WebSite, pair: tuple[str, str]) -> None:
    wanted = {"kind": "edit", "source": pair[0], "reference": pair[1], "offer": "tiny", "prompt": ""}
    assert "expected a prompt" in site.ask("POST", "/api/jobs", wanted).json["error"]
    assert site.ask("POST", "/api/jobs", {**wanted, "preset": "fast"}).status == 200


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prompt": " "}, "expected a prompt"),
        ({"offer": "../../etc"}, "expected an offer"),
        ({"frames": 5}, "at most 4 frames"),
        ({"reference": "nothing"}, "expected a reference"),
        ({"settings": {"model": {"base": "/etc"}}}, "expected settings of"),
        ({"settings": {"people": {"masks": "/etc/passwd"}}}, "expected settings of"),
        ({"settings": {"sampling": {"steps": 0}}}, "sampling.steps"),
        ({"settings": {"sampling": {"paces": 3}}}, "no such setting"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    site: WebSite, pair: tuple[str, str], values: dict[str, object], words: str
) -> None:
    before = set((site.library.folder / "jobs").iterdir())
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny", **values}
    reply = site.ask("POST", "/api/jobs", asked)
    assert reply.status == 409
    assert words in reply.json["error"]
    assert set((site.library.folder / "jobs").iterdir()) == before


# Clips


def test_a_file_comes_in_parts_and_goes_on_after_an_interruption(site: WebSite, tmp_path: Path) -> None:
    clip = add_prepared(site.library, "reference", film())  # whose original is a video
    content = next((site.library.folder / "clips" / clip).glob("original*")).read_bytes()
    new = site.ask("POST", "/api/clips", {"name": "a b.mp4", "role": "reference", "size": len(content)}).json["id"]
    assert site.send(new, 0, content[:100]).json["received"] == 100
    assert site.send(new, 0, content[:100]).status == 409, "no part twice"
    received = site.ask("GET", f"/api/clips/{new}").json["received"]
    assert site.send(new, received, content[received:] + b"more").status == 409
    assert site.send(new, received, b"").status == 409, "a part has bytes"
    assert site.send(new, received, content[received:]).status == 200
    shown = site.wait(f"/api/clips/{new}", "known")
    assert (shown["facts"]["width"], shown["facts"]["frames"]) == (64, 4)
    assert site.ask("GET", f"/api/clips/{new}/thumbnail.jpg").body[:2] == b"\xff\xd8"
    assert site.send(new, len(content), b"x").status == 409


def test_keypoints_alone_are_prepared_like_a_reference(site: WebSite, pair: tuple[str, str]) -> None:
    keypoints = site.library.folder / "clips" / pair[1] / "prepared" / "keypoints.json"
    clip = site.bring(keypoints, "skeletons")
    site.wait(f"/api/clips/{clip}", "known")
    assert site.ask("POST", f"/api/clips/{clip}/preparation", {"frames": 3}).status == 200
    shown = site.wait(f"/api/clips/{clip}", "ready")
    assert shown["prepared"]["frames"] == 3
    assert site.ask("GET", f"/api/clips/{clip}/frames/2.jpg").status == 200


def test_every_frame_that_was_prepared_is_edited_at_whatever_rate(library: Library, tmp_path: Path) -> None:
    walk = film(8)
    fast = replace(walk, video=replace(walk.video, fps=Fraction(60)))
    clips = [add_prepared(library, role, fast) for role in ("source", "reference")]
    for role, clip in zip(("source", "reference"), clips, strict=True):
        copy_clip(library.folder / "clips" / clip / PREPARED, tmp_path / "job" / "inputs" / role)
    asked = {"kind": "edit", "frames": 8, "prompt": PROMPT, "offer": {}, "settings": {}, "base": None, "device": "cpu"}
    config = resolve(inputs_of(tmp_path / "job"), asked).config
    assert isinstance(config, EditConfig)
    config = take_prepared(config)
    assert config.reference.path is not None
    read = prepare_reference(config.reference.path, config.reference_clip, config.people, SilentProgress())
    np.testing.assert_allclose(read.keypoints.body[:, 0, 0] / 8, walk.keypoints.body[:, 0, 0], atol=0.1)
    assert config.source_clip.stride == 1


@pytest.mark.parametrize("role", ["source", "reference"])
def test_the_chosen_frames_of_a_clip_are_prepared_as_the_command_line_does(tmp_path: Path, role: str) -> None:
    walk = write_clip(tmp_path, film(8))
    ready = {"source": {"keypoints": str(walk.keypoints), "masks": str(walk.masks)},
                 "reference": {"reference_keypoints": str(walk.keypoints)}}  # fmt: skip
    asked = {"frames": 3, "start": 0.25, "fps": 4.0}
    job = {"original": walk.video.name, "role": role, "person": None, "people": ready[role], "video": asked}
    prepare_clip(tmp_path, job, SilentProgress())
    keypoints = load_keypoints(tmp_path / PREPARED / "keypoints.json")
    scale = keypoints.width / 64
    truth = walk.prepared.keypoints.body[[2, 4, 6], 0, :2] * scale
    np.testing.assert_allclose(keypoints.body[:, 0, :2], truth, atol=0.5 * scale)
    if role == "source":
        assert load_prepared(tmp_path / PREPARED).video.fps == 4
    assert len(list((tmp_path / PREPARED / "pictures").iterdir())) == 3
    assert json.loads((tmp_path / PREPARED / "facts.json").read_text())["frames"] == 3


def test_a_picture_is_a_source_and_a_film_of_skeletons_a_reference(tmp_path: Path) -> None:
    walk = film(3, 256, 256)
    ready = write_clip(tmp_path, film(1, 256, 256))
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "picture.png")  # where the person stands is told
    drawn = draw_reference(walk.keypoints, Fraction(8))
    write_video(tmp_path / "drawn.mp4", drawn.video.frames, drawn.video.fps)
    files = {
        "picture.png": ("source", 1, {"keypoints": str(ready.keypoints), "masks": str(ready.masks)}),
        "drawn.mp4": ("skeletons", 3, {}),
    }
    for name, (role, frames, people) in files.items():
        folder = tmp_path / role
        folder.mkdir()
        (tmp_path / name).rename(folder / name)
        video = {"frames": frames, "start": 0.0, "fps": None}
        job = {"original": name, "role": role, "person": None, "people": people, "video": video}
        probe_clip(folder, job, SilentProgress())
        prepare_clip(folder, job, SilentProgress())
        found = load_keypoints(folder / PREPARED / "keypoints.json")
        scale = found.width / 256
        np.testing.assert_allclose(found.body[:, 0, :2], walk.keypoints.body[:frames, 0, :2] * scale, atol=2 * scale)
        assert len(list((folder / PREPARED / "pictures").iterdir())) == frames


@pytest.mark.parametrize("name", ["bad.mp4", "bad.json", "bad.png", "<img src=x>.mp4", "../../bad.mp4"])
def test_a_file_that_is_none_is_refused_in_words_and_kept_where_it_belongs(
    site: WebSite, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"\x00\x01nothing" * 50)
    clip = site.bring(path, "reference", name=name)
    shown = site.wait(f"/api/clips/{clip}", "failed")
    assert shown["name"] == name
    assert str(site.library.folder) not in shown["error"]
    assert {each.name for each in site.library.folder.iterdir() if each.is_dir()} == {"clips", "jobs"}


def test_a_library_holds_no_more_than_it_may(settings: Path, tmp_path: Path) -> None:
    with serving_web(tmp_path / "library", settings, quota=Quota(file=100, all=10**9, clips=1)) as site:
        new = {"name": "a.mp4", "role": "source"}
        assert site.ask("POST", "/api/clips", {**new, "size": 101}).status == 409
        assert site.ask("POST", "/api/clips", {**new, "size": 0}).status == 409
        clip = site.ask("POST", "/api/clips", {**new, "size": 100}).json["id"]
        assert site.ask("POST", "/api/clips", {**new, "size": 100}).status == 409
        assert site.send(clip, 0, bytes(200)).status == 409, "no more than was said"
        assert site.send(clip, 0, bytes((4 << 20) + 1)).status == 413
        assert site.ask("DELETE", f"/api/clips/{clip}").status == 200
        assert site.ask("POST", "/api/clips", {**new, "size": 100}).status == 200


# Corrections


def test_corrections_are_in_the_files_that_the_command_line_reads(site: WebSite) -> None:
    clip = add_prepared(site.library, "source", film())
    prepared = site.library.folder / "clips" / clip / "prepared"
    before = load_prepared(prepared)
    row = site.ask("GET", f"/api/clips/{clip}/keypoints").json["frames"][1]
    row["body"]["nose"] = [12.5, 7.25, 1.0]
    del row["body"]["left_ear"]
    changed = {"frames": {"1": row}, "corrected": {"nose": [1]}}
    assert site.ask("PATCH", f"/api/clips/{clip}/keypoints", changed).status == 200
    painted = io.BytesIO()
    Image.fromarray(np.tri(64, dtype=np.uint8) * 255).save(painted, format="PNG")
    assert site.ask("PUT", f"/api/clips/{clip}/masks/2.png", painted.getvalue(), kind="image/png").status == 200
    after = load_prepared(prepared)
    assert after.keypoints.body[1, 0].tolist() == [12.5, 7.25, 1.0]
    assert after.keypoints.body[1, 17, 2] == 0
    np.testing.assert_array_equal(after.keypoints.body[[0, 2, 3]], before.keypoints.body[[0, 2, 3]])
    np.testing.assert_array_equal(after.masks[2], np.tri(64, dtype=bool))
    np.testing.assert_array_equal(after.masks[[0, 1, 3]], before.masks[[0, 1, 3]])
    assert site.ask("GET", f"/api/clips/{clip}/keypoints").json["corrected"] == {"nose": [1]}


def test_a_correction_reads_the_file_once(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = site.library.folder / "clips" / add_prepared(site.library, "source", film()) / "prepared"
    row = read_rows(prepared)["frames"][1]
    read, reading = list[Path](), keypoints_file._read_text
    monkeypatch.setattr(keypoints_file, "_read_text", lambda path: read.append(path) or reading(path))
    write_rows(prepared, {1: row}, None)
    assert read == [prepared / "keypoints.json"]


@pytest.mark.parametrize(
    "row", [{"body": {"nose": [1, 2]}}, {"body": {"tail": [1, 2, 1]}}, {"body": {"nose": [1, 2, 3]}}, {"limbs": {}}]
)
def test_a_row_that_is_none_changes_nothing(site: WebSite, pair: tuple[str, str], row: dict[str, object]) -> None:
    path = site.library.folder / "clips" / pair[0] / "prepared" / "keypoints.json"
    before = path.read_bytes()
    reply = site.ask("PATCH", f"/api/clips/{pair[0]}/keypoints", {"frames": {"0": row}})
    assert reply.status == 409
    assert str(site.library.folder) not in reply.json["error"]
    assert site.ask("PATCH", f"/api/clips/{pair[0]}/keypoints", {"frames": {"4": {"body": {}}}}).status == 409
    assert path.read_bytes() == before
    load_keypoints(path)


@pytest.mark.parametrize("size", [(64, 32), (20_000, 20_000)])
def test_a_mask_of_another_size_is_refused_before_it_is_unpacked(
    site: WebSite, pair: tuple[str, str], size: tuple[int, int]
) -> None:
    picture = io.BytesIO()
    Image.new("1", size).save(picture, format="PNG")
    reply = site.ask("PUT", f"/api/clips/{pair[0]}/masks/0.png", picture.getvalue(), kind="image/png")
    assert reply.status == 409


def test_a_mask_of_indices_without_their_palette_is_refused(site: WebSite, pair: tuple[str, str]) -> None:
    picture = io.BytesIO()
    Image.new("P", (64, 64)).save(picture, format="PNG")
    content = without(picture.getvalue(), ".png", b"PLTE")
    reply = site.ask("PUT", f"/api/clips/{pair[0]}/masks/0.png", content, kind="image/png")
    assert (reply.status, "palette" in reply.json["error"]) == (409, True)


@pytest.mark.parametrize("origin", ["http://[::1", "null", "x", "http://127.0.0.1:81"])
def test_whoever_names_no_address_of_ours_as_origin_is_refused(tmp_path: Path, origin: str) -> None:
    library = Library(tmp_path / "library")
    app = make_app(library, JobRunner(library, ["cpu"]), {}, Access(None), {})
    content = json.dumps({"name": "a.mp4", "role": "source", "size": 9}).encode()
    assert ask(app, "POST", "/api/clips", content, headers={"origin": origin})[0] == 403
    assert ask(app, "POST", "/api/clips", content, headers={"origin": "http://127.0.0.1:80"})[0] == 200


def test_what_is_corrected_later_changes_no_job_that_was_begun(settings: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    with serving_web(library.folder, settings) as site:
        pair = add_pair(site.library)
        job = ask_for_edit(site, pair)
        kept = site.ask("GET", f"/api/jobs/{job}/keypoints/source").json
        row = {**kept["frames"][0], "body": {"nose": [1.0, 1.0, 1.0]}}
        assert site.ask("PATCH", f"/api/clips/{pair[0]}/keypoints", {"frames": {"0": row}}).status == 200
        assert site.ask("GET", f"/api/jobs/{job}/keypoints/source").json == kept
        site.ask("POST", f"/api/jobs/{job}/cancel")


# Who may ask


def test_every_answer_keeps_to_itself(site: WebSite) -> None:
    for path in ("/", "/page/index.html", "/api/library", "/api/openapi.json", "/api/jobs/none", "/api/clips/none"):
        headers = site.ask("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "elsewhere.example"}],
)
def test_other_sites_change_nothing(site: WebSite, headers: dict[str, str]) -> None:
    new = {"name": "a.mp4", "role": "source", "size": 5}
    assert site.ask("POST", "/api/clips", new, headers).status == 403


def test_a_foreign_name_that_points_here_reads_nothing(site: WebSite) -> None:
    assert site.ask("GET", "/api/library", headers={"Host": "elsewhere.example"}).status == 403
    assert site.ask("GET", "/api/library", headers={"Host": "localhost"}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e/server.py",
        "/api/jobs/..%2f..%2fetc/files/run.json",
        "/api/clips/..%2f..%2f/frames/0.jpg",
        "/api/clips/../../library.sqlite",
        "/library.sqlite",
        "/clips",
    ],
)
def test_no_path_leads_out(site: WebSite, path: str) -> None:
    assert site.ask("GET", path).status == 404


def test_forms_of_other_sites_are_no_requests(site: WebSite) -> None:
    body = json.dumps({"name": "a", "role": "source", "size": 5}).encode()
    assert site.ask("POST", "/api/clips", body, kind="text/plain").status == 415


def test_a_token_is_demanded_and_not_guessed(settings: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    token = load_token(library.folder)
    assert load_token(library.folder) == token, "a link stays right"
    assert (library.folder / "token").stat().st_mode & 0o077 == 0
    with serving_web(library.folder, settings, token=token) as site:
        assert site.ask("GET", "/").status == 401
        assert site.ask("GET", "/api/library").status == 401
        guesses = [token[:-1], token + "x", token.swapcase(), "", "ä", *(f"{number}" for number in range(200))]
        assert {site.ask("GET", "/api/library", headers={"Cookie": f"eym-token={guess}"}).status
                for guess in guesses if guess.isascii()} == {401}  # fmt: skip
        assert site.ask("GET", "/api/library", headers={"Authorization": f"Bearer {token}"}).status == 200
        entered = site.ask("GET", f"/?token={token}")
        assert (entered.status, entered.headers["location"]) == (303, "/")
        assert "httponly" in entered.headers["set-cookie"].lower()
        assert "samesite=strict" in entered.headers["set-cookie"].lower()
        cookie = entered.headers["set-cookie"].partition(";")[0]
        assert site.ask("GET", "/api/library", headers={"Cookie": cookie}).status == 200


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("box", False),
    ],
)
def test_only_this_machine_needs_no_token(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_the_description_has_every_address(site: WebSite) -> None:
    described = site.ask("GET", "/api/openapi.json").json
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]["/api/jobs/{job}"]) == {"get", "patch", "delete"}
    upload = described["paths"]["/api/clips/{clip}/content"]["put"]
    assert [each["name"] for each in upload["parameters"]] == ["clip", "offset"]
    assert "application/octet-stream" in upload["requestBody"]["content"]


def test_news_come_as_they_happen(site: WebSite) -> None:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", site.port, timeout=20)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    assert response.getheader("content-type", "").startswith("text/event-stream")
    first = [response.readline() for _ in range(6)]
    assert b"event: changed\n" in first
    assert b"event: progress\n" in first
    site.ask("POST", "/api/clips", {"name": "news.mp4", "role": "source", "size": 5})
    assert response.readline() == b"event: changed\n"
    connection.close()


def test_settings_that_are_served_have_to_be_settings(tmp_path: Path) -> None:
    from edit_your_motion.web.offers import gather_offers

    path = tmp_path / "wrong.yaml"
    path.write_text("sampling: {paces: 3}")
    with pytest.raises(ConfigError, match="no such setting"):
        gather_offers([path])
