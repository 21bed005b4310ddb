"""What is asked of the web app around an edit: alignment, estimate, grids, losses, people to take along."""

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edit_your_motion.config import AlignmentConfig, ApplyConfig, load_config
from edit_your_motion.errors import ConfigError
from edit_your_motion.people import preparation
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection
from edit_your_motion.people.formats.keypoints_file import load_keypoints
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.people.preparation import PreparedClip, load_prepared, save_prepared
from edit_your_motion.person import load_person
from edit_your_motion.presets import Choice
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.video import write_video
from edit_your_motion.web.edits import run_job
from edit_your_motion.web.library import Library
from edit_your_motion.web.offers import spread_settings
from edit_your_motion.web.packing import zip_folder
from edit_your_motion.web.preparing import PEOPLE, PREPARED, prepare_clip
from edit_your_motion.web.probing import FACTS
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, wait_for_phase

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def test_skeletons_are_aligned_as_the_edit_will_have_them(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"method": "paper", "size": 1.5, "right": 0.25, "down": -0.125}
    answer = site.ask("POST", "/api/alignment", {"source": pair[0], "reference": pair[1], "alignment": asked}).json
    source, reference = (load_prepared(site.library.folder / "clips" / id / "prepared").keypoints for id in pair)
    aligned = align_as(AlignmentConfig.model_validate(asked), reference, source)
    shown = [[row["body"][name] for name in BODY_JOINTS] for row in answer["frames"]]
    np.testing.assert_allclose(shown, aligned.body, atol=1e-3)
    assert (answer["width"], answer["height"], len(answer["shown"])) == (64, 64, 4)


def test_what_cannot_be_aligned_is_said_in_words(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"source": pair[0], "reference": pair[1]}
    assert site.ask("POST", "/api/alignment", {**asked, "alignment": {"size": 0}}).status == 400
    assert site.ask("POST", "/api/alignment", {**asked, "reference": "none"}).status == 409
    far = site.ask("POST", "/api/alignment", {**asked, "alignment": {"right": 2.0}}).json
    assert any("outside the picture" in concern for concern in far["concerns"])


def test_by_hand_somebody_becomes_larger_where_they_stand_and_is_shifted() -> None:
    clip = film(4, 96, 128).keypoints
    plain = align_as(AlignmentConfig(method="none"), clip, clip)
    larger = align_as(AlignmentConfig(method="none", size=1.5), clip, clip)
    span = [np.ptp(each.body[..., 1], axis=1) for each in (plain, larger)]
    np.testing.assert_allclose(span[1], 1.5 * span[0], rtol=1e-4)
    np.testing.assert_allclose(larger.body[..., 1].max(axis=1), plain.body[..., 1].max(axis=1), atol=1e-3)
    shifted = align_as(AlignmentConfig(method="none", right=0.5, down=-0.25), clip, clip)
    np.testing.assert_allclose(
        shifted.body[..., :2] - plain.body[..., :2], np.broadcast_to((64, -24), (4, 18, 2)), atol=1e-4
    )


def test_values_of_settings_are_combined() -> None:
    vary = {"sampling.guidance_scale": [1, 2.5], "alignment.method": ["paper"]}
    grid = spread_settings({"sampling": {"steps": 2}}, vary)
    assert list(grid) == [
        "sampling.guidance_scale 1, alignment.method paper",
        "sampling.guidance_scale 2.5, alignment.method paper",
    ]
    assert list(grid.values())[1] == {"sampling": {"steps": 2, "guidance_scale": 2.5}, "alignment": {"method": "paper"}}
    with pytest.raises(ConfigError, match="expected values of"):
        spread_settings({}, {"sampling.steps": []})


def ask_for_grid(site: WebSite, pair: tuple[str, str], vary: dict[str, object]) -> object:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny", "vary": vary}
    return site.ask("POST", "/api/grids", asked)


@pytest.mark.parametrize(
    "vary",
    [
        {"model.base": ["/etc"]},
        {"sampling.steps": [2, 0]},
        {"sampling.steps": [2, "many"]},
        {"sampling.paces": [1]},
        {"sampling.steps": list(range(1, 40))},
        {"sampling.steps": [1], "sampling.guidance_scale": [1], "alignment.method": ["paper"]},
        {"sampling": [3]},
        {"": [3]},
    ],
)
def test_a_grid_is_queued_whole_or_not_at_all(site: WebSite, pair: tuple[str, str], vary: dict[str, object]) -> None:
    before = [job.id for job in site.library.jobs()]
    assert ask_for_grid(site, pair, vary).status in (400, 409)
    assert [job.id for job in site.library.jobs()] == before


@pytest.mark.slow
def test_edits_of_a_grid_share_the_person_where_they_are_tuned_alike(site: WebSite, pair: tuple[str, str]) -> None:
    vary = {"sampling.guidance_scale": [1, 3], "tuning.motion.iterations": [1, 2]}
    jobs = ask_for_grid(site, pair, vary).json["jobs"]
    assert sorted(job["kind"] for job in jobs) == ["apply"] * 4 + ["tune"] * 2
    made = [site.wait(f"/api/jobs/{job['id']}", "done") for job in jobs]
    whole = [site.ask("GET", f"/api/jobs/{job['id']}").json for job in made if job["kind"] == "apply"]
    names = ("sampling.guidance_scale", "tuning.motion.iterations")
    assert sorted(tuple(job["settings"][name] for name in names) for job in whole) == [(1, 1), (1, 2), (3, 1), (3, 2)]
    alone = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    alone["settings"] = {"sampling": {"guidance_scale": 3}, "tuning": {"motion": {"iterations": 2}}}
    job = site.ask("POST", "/api/jobs", alone).json["id"]
    site.wait(f"/api/jobs/{job}", "done")
    same = next(each["id"] for each in whole if (each["settings"][names[0]], each["settings"][names[1]]) == (3, 2))
    films = [site.ask("GET", f"/api/jobs/{each}/files/edited.mp4").body for each in (job, same)]
    assert films[0] == films[1], "a grid makes the same edits as one by one"


def test_a_motion_waits_for_its_person_and_misses_one_who_was_cancelled(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    person = library.add_job("tune", "person", {})
    motion = library.add_job("apply", "motion", {"person": person.id})
    other = library.add_job("edit", "other", {})
    taken = [library.take_job("edits") for _ in range(3)]
    assert [job and job.id for job in taken] == [person.id, other.id, None]
    library.move_job(person, "cancelled")
    last = library.take_job("edits")
    assert last is not None
    assert last.id == motion.id


@pytest.mark.slow
def test_what_an_edit_takes_is_said_before_and_while_it_runs(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT, "offer": "tiny"}
    before = len(site.library.jobs())
    estimate = site.ask("POST", "/api/estimate", asked).json["estimate"]
    assert estimate["frames"] == estimate["source"] == 4
    assert estimate["size"] == [64, 64]
    assert {"tune, stage 1", "tune, stage 2", "invert", "sample"} <= set(estimate["seconds"])
    assert estimate["memory"] > 0 < estimate["disk"]
    assert len(site.library.jobs()) == before
    wrong = site.ask("POST", "/api/estimate", {**asked, "settings": {"sampling": {"steps": 0}}})
    assert wrong.status == 409
    assert "sampling.steps" in wrong.json["error"]
    job = site.ask("POST", "/api/jobs", {**asked, "settings": {"tuning": {"motion": {"iterations": 400}}}}).json["id"]
    wait_for_phase(site, job, "tune, stage 1", steps=20)
    whole = site.ask("GET", f"/api/jobs/{job}").json
    assert len(whole["losses"]) >= 10
    assert whole["estimate"]["frames"] == 4
    assert "aligned.mp4" in whole["results"]
    assert site.ask("POST", f"/api/jobs/{job}/cancel").status == 200


@pytest.mark.slow
def test_what_a_motion_takes_is_told_once_its_person_is_tuned(site: WebSite, pair: tuple[str, str]) -> None:
    asked = {"kind": "tune", "source": pair[0], "prompt": PROMPT, "offer": "tiny"}
    person = site.ask("POST", "/api/jobs", asked).json["id"]
    assert site.ask("POST", f"/api/jobs/{person}/pause").status == 200
    motion = {"kind": "apply", "person": person, "reference": pair[1]}
    assert "not tuned yet" in site.ask("POST", "/api/estimate", motion).json["error"]
    assert site.ask("POST", f"/api/jobs/{person}/resume").status == 200
    site.wait(f"/api/jobs/{person}", "done")
    estimate = site.ask("POST", "/api/estimate", motion).json["estimate"]
    assert estimate["frames"] == 4
    assert "sample" in estimate["seconds"]
    assert not [phase for phase in estimate["seconds"] if phase.startswith("tune")]


def test_what_takes_more_than_a_day_is_not_begun_unless_somebody_insists(
    checkpoints: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("source", "reference"):
        save_prepared(tmp_path / "inputs" / role, film())
    offer = load_config(settings)
    asked = {
        "kind": "edit",
        "frames": 4,
        "prompt": PROMPT,
        "offer": offer,
        "settings": {},
        "base": None,
        "device": "cpu",
    }
    begun: list[bool] = []

    def run(
        config: object, folder: Path, progress: object, *, truth: Path | None, force: bool, chosen: Choice[object]
    ) -> None:
        assert (chosen.config, chosen.preset, truth) == (config, "paper", None)
        begun.append(force)
        write_video(folder / "edited.mp4", film().video.frames, 8)

    monkeypatch.setattr("edit_your_motion.web.edits.run_edit", run)
    monkeypatch.setattr("edit_your_motion.jobs.estimate.TOO_LONG", 0.0)
    with pytest.raises(ConfigError, match="not begun"):
        run_job(tmp_path, asked, lambda seconds, steps: SilentProgress())
    told: list[dict[str, float]] = []
    run_job(tmp_path, {**asked, "force": True}, lambda seconds, steps: told.append(dict(seconds)) or SilentProgress())
    assert begun == [True]
    assert told[0]["tune, stage 1"] > 0
    assert json.loads((tmp_path / "estimate.json").read_text())["frames"] == 4


def test_a_motion_takes_the_preset_of_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "jobs" / "theirs"
    save_prepared(tmp_path / "jobs" / "mine" / "inputs" / "reference", film())
    (home / "person").mkdir(parents=True)
    save_tensors(home / "person" / "tuned.safetensors", {"a": torch.zeros(1)}, {"preset": "best"})
    asked = {
        "kind": "apply",
        "frames": 4,
        "prompt": "",
        "offer": {},
        "settings": {"sampling": {"steps": 3}},
        "base": "some/base",
        "device": "cpu",
        "person": "theirs",
    }
    taken: list[Choice[ApplyConfig]] = []

    def run(
        person: Path, config: ApplyConfig, folder: Path, *_: object, chosen: Choice[ApplyConfig], **__: object
    ) -> None:
        assert chosen.config == config
        taken.append(chosen)
        write_video(folder / "edited.mp4", film().video.frames, 8)

    monkeypatch.setattr("edit_your_motion.web.edits.run_apply", run)
    monkeypatch.setattr("edit_your_motion.web.edits.foresee_job", lambda config, person, force=False: None)
    run_job(tmp_path / "jobs" / "mine", asked, lambda seconds, steps: SilentProgress())
    assert (taken[0].preset, taken[0].config.sampling.steps) == ("best", 3)
    assert taken[0].config.sampling.background == "plate"


@pytest.mark.slow
def test_a_tuned_person_is_taken_along_in_one_file(site: WebSite, pair: tuple[str, str], tmp_path: Path) -> None:
    asked = {"kind": "tune", "source": pair[0], "prompt": PROMPT, "offer": "tiny"}
    job = site.ask("POST", "/api/jobs", asked).json["id"]
    assert site.ask("GET", f"/api/jobs/{job}/person.zip").status == 404
    site.wait(f"/api/jobs/{job}", "done")
    sent = site.ask("GET", f"/api/jobs/{job}/person.zip")
    assert sent.headers["content-type"] == "application/zip"
    zipfile.ZipFile(io.BytesIO(sent.body)).extractall(tmp_path)
    here, there = load_person(tmp_path / "person"), load_person(site.library.folder / "jobs" / job / "person")
    assert here.losses == there.losses
    assert all((here.parameters[name] == value).all() for name, value in there.parameters.items())


def test_a_folder_is_packed_in_parts_that_hold_little(tmp_path: Path) -> None:
    (tmp_path / "person" / "deep").mkdir(parents=True)
    content = np.random.default_rng(0).integers(0, 256, 5 << 20, dtype=np.uint8).tobytes()
    (tmp_path / "person" / "deep" / "large").write_bytes(content)
    (tmp_path / "person" / "empty").write_bytes(b"")
    parts = list(zip_folder(tmp_path / "person"))
    assert max(map(len, parts)) < 2 << 20
    packed = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert packed.testzip() is None
    assert {name: len(packed.read(name)) for name in packed.namelist()} == {
        "person/deep/large": 5 << 20,
        "person/empty": 0,
    }


@pytest.mark.parametrize("moment", [0, 5e9])
def test_a_folder_is_packed_that_was_written_with_a_wrong_clock(tmp_path: Path, moment: float) -> None:
    (tmp_path / "person").mkdir()
    (file := tmp_path / "person" / "config.json").write_bytes(b"{}")
    os.utime(file, (moment, moment))
    packed = zipfile.ZipFile(io.BytesIO(b"".join(zip_folder(tmp_path / "person"))))
    assert packed.read("person/config.json") == b"{}"


def test_a_clip_has_pictures_from_all_over_it(site: WebSite, tmp_path: Path) -> None:
    moving = film(24, 64, 64, speed=1)
    clip = site.bring(write_clip(tmp_path, moving).video, "reference")
    site.wait(f"/api/clips/{clip}", "known")
    strip = np.asarray(Image.open(io.BytesIO(site.ask("GET", f"/api/clips/{clip}/strip.jpg").body)).convert("L"), int)
    pictures = np.split(strip, 12, axis=1)
    apart = [np.abs(picture - pictures[0]).mean() for picture in pictures]
    assert apart[3] > 2, "the figure has walked on"
    assert np.all(np.diff(apart[:4]) > 0)
    facts = json.loads((site.library.folder / "clips" / clip / "facts.json").read_text())
    assert facts["frames"] == 24


class Couple:
    """A people finder that sees the figures of two films of one size, whatever the pictures' size."""

    name = "couple"

    def __init__(self, *films: PreparedClip) -> None:
        self.films, self.passed = films, 0

    def detect(self, frames: np.ndarray, *, on_frame: OnFrame | None = None) -> list[list[PersonDetection]]:
        height, width = frames.shape[1:3]
        people: list[list[PersonDetection]] = []
        for frame in range(self.passed, self.passed + len(frames)):
            people.append([])
            for clip in self.films:
                scale = np.array([width / clip.keypoints.width, height / clip.keypoints.height])
                body = clip.keypoints.mapped(scale, np.zeros(2), height, width).body[frame]
                mask = np.asarray(Image.fromarray(clip.masks[frame]).resize((width, height)))
                box = np.array([*body[:, :2].min(axis=0), *body[:, :2].max(axis=0)], np.float32)
                people[-1].append(PersonDetection(box, 0.9, body, mask=mask))
        self.passed += len(frames)
        return people


@pytest.mark.parametrize("role", [pytest.param("source", marks=pytest.mark.slow), "reference"])
def test_of_several_people_the_one_who_is_clicked_on_is_taken(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = film(4, 96, 160, speed=0.5), film(4, 96, 160, speed=0.5)
    right = replace(
        right,
        keypoints=right.keypoints.mapped(np.ones(2), np.array([70.0, 0]), 96, 160),
        masks=np.roll(right.masks, 70, axis=2),
    )
    video = write_clip(tmp_path, left).video
    monkeypatch.setattr(preparation, "open_backend", lambda people: Couple(left, right))
    asked = {"original": video.name, "role": role, "people": {}, "video": {"start": 0.0, "frames": 4, "fps": None}}
    places = []
    for person in (1, 2):
        prepare_clip(tmp_path, {**asked, "person": person}, SilentProgress())
        facts = json.loads((tmp_path / PREPARED / FACTS).read_text())
        assert set(facts["people"]) == {"1", "2"}
        boxes = {number: (box[0] + box[2]) / 2 for number, box in facts["people"].items()}
        assert boxes["2"] - boxes["1"] == pytest.approx(70 / 160, abs=0.01)
        with Image.open(tmp_path / PREPARED / PEOPLE) as shown:
            assert shown.width / shown.height == pytest.approx(160 / 96, rel=0.02)
        found = load_keypoints(tmp_path / PREPARED / "keypoints.json")
        places.append(float(found.body[0, 0, 0]) / found.width)
    assert places[1] > places[0] + 0.1
