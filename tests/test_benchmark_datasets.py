"""Benchmarks on data sets: cells, going on, failures, outputs of other projects, exports, tables; and their origin."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dataset_folders import write_motion_editor, write_pictures, write_table, write_tiktok
from edit_your_motion import __version__
from edit_your_motion.benchmark import cells, provenance
from edit_your_motion.benchmark.cells import CellRecord, Failure, load_cell
from edit_your_motion.benchmark.datasets import run as dataset
from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.datasets.run import run_dataset
from edit_your_motion.benchmark.datasets.scores import LARGEST_PSNR
from edit_your_motion.benchmark.datasets.summary import (
    format_dataset_summary,
    summarise_dataset,
    write_dataset_sheets,
    write_dataset_summary,
)
from edit_your_motion.benchmark.methods.catalogue import choose_methods
from edit_your_motion.benchmark.methods.external import ExternalMethod, parse_external
from edit_your_motion.benchmark.paired import run as paired
from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.benchmark.provenance import CHANGED, commit_of_package
from edit_your_motion.cli import main
from edit_your_motion.config import EditConfig, dump_config, load_config, parse_config
from edit_your_motion.datasets.case import CaseList
from edit_your_motion.datasets.catalogue import open_dataset
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.errors import ConfigError, FolderInUseError, InputError, ModelFileError, PersonError, VideoError
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.executors.local import Local
from edit_your_motion.metrics import METRICS, psnr
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people import preparation
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection
from edit_your_motion.people.formats.pose_files import read_poses
from edit_your_motion.people.preparation import PreparedClip, load_prepared
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.locking import held
from edit_your_motion.video import Fit, fit_frame, read_video, write_video
from synthetic_clip import film
from test_benchmark_paired import Upright, short_config

SILENT = SilentProgress()
CASES = CasesConfig(frames=3, source_frames=2, fps=8, split="all")
SHORT_EDIT = {"inversion": {"steps": 1}, "sampling": {"steps": 1}, "runtime": {"device": "cpu", "seed": 5}}


class Standing(Upright):
    """Finds one person who stands in the middle, and knows which pixels are theirs."""

    def detect(self, frames: np.ndarray, *, on_frame: OnFrame | None = None) -> list[list[PersonDetection]]:
        height, width = frames.shape[1:3]
        mask = np.zeros((height, width), bool)
        mask[height // 8 : -height // 8, width // 4 : -width // 4] = True
        return [[replace(person, mask=mask) for person in people] for people in super().detect(frames)]


@pytest.fixture(autouse=True)
def _nobody_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def config(checkpoints: Path) -> DatasetConfig:
    model = {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")}
    networks = {"allow_fetch": False}
    return DatasetConfig(cases=CASES, size="64", share=1e-6, networks=networks, edit={"model": model, **SHORT_EDIT})


@pytest.fixture(scope="module")
def walks() -> dict[str, PreparedClip]:
    """Taller than wide, as the dancers are: the square edit crops them."""
    return {"00001": film(6, height=96, width=72), "00002": film(6, height=96, width=72, seed=1, speed=1.0)}


@pytest.fixture(scope="module")
def dancers(walks: dict[str, PreparedClip], tmp_path_factory: pytest.TempPathFactory) -> CaseList:
    folder = write_tiktok(tmp_path_factory.mktemp("tiktok"), walks)
    return open_dataset("tiktok", folder, CASES)


def run(folder: Path, data: CaseList, config: DatasetConfig, names: Sequence[str], **given: Any) -> list[Failure]:
    kind = given.pop("kind", "tiktok")
    return run_dataset(folder, kind, data, config, SILENT, methods=choose_methods(names), **given)


@pytest.fixture(scope="module")
def finished(config: DatasetConfig, dancers: CaseList, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases by three methods; left as it is."""
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "open_backend", lambda people: Standing())
        patch.setenv("EYM_CACHE", str(folder / "cache"))
        assert run(folder, dancers, config, ["truth", "source", "edit-your-motion"]) == []
    return folder


@pytest.fixture
def upright(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cells, preparation):
        monkeypatch.setattr(module, "open_backend", lambda people: Standing())


def test_every_cell_is_whole_and_says_where_it_comes_from(finished: Path, config: DatasetConfig) -> None:
    for method in ("truth", "source", "edit-your-motion"):
        for case in ("00001", "00002"):
            folder = finished / method / case
            assert {path.name for path in folder.iterdir()} == {"config.yaml", "edited.mp4", "scores.json"}
            assert read_video(folder / "edited.mp4").frames.shape == (3, 64, 64, 3)
            cell = load_cell(folder)
            assert (cell.pair, cell.method) == (case, method)
            assert cell.scores.keys() | cell.gaps.keys() == METRICS.keys() - {"fid_vid", "fvd"}
            assert not cell.scores.keys() & cell.gaps.keys()
            assert cell.run == str(folder.resolve())
            assert (cell.seed, cell.version, cell.commit) == (5, __version__, commit_of_package())
            assert cell.created.startswith("20")
            assert cell.created.endswith("+00:00")
            assert {cell.request["benchmark"][name] for name in ("dataset", "frames", "size")} == {"tiktok", 3, 64}
            assert "Self-reenactment" in cell.request["benchmark"]["split"]
            edit = parse_config(EditConfig, load_config(folder / "config.yaml"))
            assert (edit.prompt, edit.runtime.seed) == ("a person is dancing", 5)
            assert edit.source.path is not None
            assert (finished / edit.source.path).is_file()
    assert load_cell(finished / "source" / "00001").base


def test_the_truth_is_a_persons_own_later_frames_at_the_size_of_the_edit(
    finished: Path, walks: dict[str, PreparedClip]
) -> None:
    for name, walk in walks.items():
        expected = np.stack([fit_frame(frame, Fit(64, 64)) for frame in walk.video.frames[2:5]])
        assert psnr(read_video(finished / "truth" / name / "edited.mp4").frames, expected).min() > 25
        truth, source = (load_cell(finished / method / name).scores for method in ("truth", "source"))
        assert truth["psnr"] == LARGEST_PSNR
        assert truth["ssim"] == 1
        assert truth["l1"] == truth["mae"] == 0
        untouched = np.stack([fit_frame(walk.video.frames[index], Fit(64, 64)) for index in (0, 1, 0)])
        assert source["psnr"] == pytest.approx(psnr(untouched, expected).mean(), rel=0.05)
        assert source["background"] == 0


def test_what_cannot_be_measured_is_a_named_gap_and_no_number(finished: Path) -> None:
    gaps = load_cell(finished / "edit-your-motion" / "00001").gaps
    assert {name for name in gaps if not name.startswith("lpips")} == {"ta", "tc"}
    assert gaps["ta"] == "no CLIP model was given"
    assert "lpips-alexnet" in gaps["lpips_alexnet"]


def test_ready_people_lie_where_the_frames_show_them(finished: Path, walks: dict[str, PreparedClip]) -> None:
    place = finished / "cases" / "00001"
    shutil.copy(place / "source-keypoints.json", place / "keypoints.json")
    shutil.copytree(place / "source-masks", place / "masks")
    shutil.copy(place / "source.mp4", place / "frames.mp4")
    (place / "finding.json").write_text('{"found": 1, "raw_jitter": 0, "warnings": []}')
    clip = load_prepared(place)
    body = clip.keypoints.body[0, :, :2]
    inside = clip.masks[0][np.clip(body[:, 1].astype(int), 0, 63), np.clip(body[:, 0].astype(int), 0, 63)]
    visible = (body > 0).all(axis=1) & (body < 64).all(axis=1)
    assert visible.sum() > 8
    assert inside[visible].mean() > 0.8
    colour = walks["00001"].video.frames[0][walks["00001"].masks[0]][0]
    assert np.abs(clip.video.frames[0][clip.masks[0]].mean(axis=0) - colour).max() < 12


@pytest.mark.usefixtures("upright")
def test_it_goes_on_and_makes_no_cell_twice(
    finished: Path, dancers: CaseList, config: DatasetConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    (folder / "source" / "00002" / "scores.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*/*/scores.json")}
    assert run(folder, dancers, config, ["truth", "source", "edit-your-motion"]) == []
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert load_cell(folder / "source" / "00002").scores == load_cell(finished / "source" / "00002").scores

    def refuse(*given: object) -> None:
        raise AssertionError("prepared again")

    monkeypatch.setattr(dataset, "prepare_source", refuse)
    assert run(folder, dancers, config, ["truth", "source", "edit-your-motion"]) == []
    other = config.model_copy(update={"networks": config.networks.model_copy(update={"i3d": tmp_path / "i3d.pt"})})
    assert run(folder, dancers, other, ["truth"]) == [], "pooled networks concern no cell"
    with pytest.raises(AssertionError):
        run(folder, dancers, config.model_copy(update={"fit": "pad"}), ["truth"])


@pytest.mark.usefixtures("upright")
@pytest.mark.parametrize("executor", [InProcess(), pytest.param(Local([{}] * 2), marks=pytest.mark.slow)])
def test_an_executor_makes_the_same_cells(
    finished: Path, dancers: CaseList, config: DatasetConfig, tmp_path: Path, executor: InProcess | Local
) -> None:
    names = ["truth", "source", "edit-your-motion"]
    for _ in range(2):  # the second time there is nothing to do
        assert run(tmp_path, dancers, config, names, executor=executor) == []
    for place in finished.glob("*/*/scores.json"):
        theirs, ours = place.parent, tmp_path / place.parent.relative_to(finished)
        assert (ours / "edited.mp4").read_bytes() == (theirs / "edited.mp4").read_bytes()
        assert load_cell(ours).request == load_cell(theirs).request
        measured, expected = load_cell(ours).scores, load_cell(theirs).scores
        # Other processes look for people with other eyes than this test's.
        names_compared = expected if isinstance(executor, InProcess) else ("psnr", "ssim")
        assert [measured[name] for name in names_compared] == [expected[name] for name in names_compared]


def test_cells_belong_to_the_contents_of_their_clips_wherever_these_lie(
    finished: Path, dancers: CaseList, walks: dict[str, PreparedClip], config: DatasetConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    name = dancers.cases[0].source.path.parents[1].name
    moved = open_dataset("tiktok", write_tiktok(tmp_path / "elsewhere" / name, walks), CASES)
    before = load_cell(folder / "truth" / "00001").request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "make_cells", lambda *given: pytest.fail("made again"))
        patch.setattr(dataset, "prepare_source", lambda *given: pytest.fail("prepared again"))
        assert run(folder, moved, config, ["truth"]) == []
    brighter = {
        name: replace(walk, video=replace(walk.video, frames=walk.video.frames + np.uint8(1)))
        for name, walk in walks.items()
    }
    changed = open_dataset("tiktok", write_tiktok(tmp_path / "changed" / name, brighter), CASES)
    cell = dataset._Run(
        folder, "tiktok", changed, config, Backbone.load(config.edit.model, config.edit.runtime), False
    )._cell(changed.cases[0], choose_methods(["truth"])[0])
    assert cell.request != before
    assert not cell.finished


def test_one_benchmark_at_a_time_works_in_a_folder(dancers: CaseList, config: DatasetConfig, tmp_path: Path) -> None:
    with held(tmp_path / "runs"), pytest.raises(FolderInUseError, match="runs is in use by process"):
        run(tmp_path / "runs", dancers, config, ["truth"])


@pytest.mark.usefixtures("upright")
def test_a_failing_case_is_reported_and_stops_nothing(
    dancers: CaseList, config: DatasetConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = dataset.prepare_source

    def fail(source: Any, *rest: Any) -> PreparedClip:
        if source.source.parts[-2] == "00001":
            raise PersonError("nobody is there")
        return original(source, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "prepare_source", fail)
        failures = run(tmp_path, dancers, config, ["source", "truth"])
    assert failures == [Failure("00001", name, "nobody is there") for name in ("source", "truth")]
    assert load_cell(tmp_path / "source" / "00002").scores["mae"] > 0
    summary = summarise_dataset(tmp_path, config, SILENT)
    assert "truth, 00001: nobody is there" in format_dataset_summary(tmp_path, summary, dancers.split)
    assert run(tmp_path, dancers, config, ["source", "truth"]) == []
    assert not list(tmp_path.glob("*/*/failure.json"))


def test_without_a_backend_ready_people_are_enough_and_poses_are_gaps(
    dancers: CaseList, config: DatasetConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(people: object) -> None:
        raise ModelFileError("no model files")

    monkeypatch.setattr(cells, "open_backend", refuse)
    assert run(tmp_path, dancers, config, ["source"]) == []
    cell = load_cell(tmp_path / "source" / "00001")
    assert {name for name, why in cell.gaps.items() if why == "no model files"} == {
        "background", "flicker_background", "pck", "keypoint_error",
    }  # fmt: skip
    failures = run(tmp_path, dancers, config.model_copy(update={"people": "detected"}), ["source"])
    assert [failure.error for failure in failures] == ["no model files"] * 2


@pytest.mark.usefixtures("upright")
def test_cross_reenactment_has_no_truth_and_no_number_against_one(
    walks: dict[str, PreparedClip], config: DatasetConfig, tmp_path: Path
) -> None:
    cross = CASES.model_copy(update={"protocol": "cross"})
    data = open_dataset("tiktok", write_tiktok(tmp_path / "data", walks), cross)
    settings = config.model_copy(update={"cases": cross})
    assert run(tmp_path / "run", data, settings, ["truth", "source", "true-skeletons"]) == []
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"cases", "source"}
    cell = load_cell(tmp_path / "run" / "source" / "00001-00002")
    assert cell.gaps["psnr"] == cell.gaps["l1"] == "needs truth"
    assert not (tmp_path / "run" / "cases" / "00001-00002" / "truth.mp4").exists()
    (method,) = summarise_dataset(tmp_path / "run", settings, SILENT)
    assert {gap.reason for gap in method.pooled} == {"needs truth"}


@pytest.mark.usefixtures("upright")
@pytest.mark.parametrize("kind", ["wild", "cases"])
def test_other_layouts_run_too(config: DatasetConfig, tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    if kind == "cases":
        write_motion_editor(data)
        names = ["case-1"]
    else:
        data.mkdir()
        for name, seed in (("man", 0), ("woman", 1)):
            write_video(data / f"{name}.mp4", film(6, seed=seed).video.frames, 8, crf=4)
        write_pictures(data, film(1).video.frames, name="portrait.png")
        write_table(data, [
            {"source": "portrait.png", "reference": "man.mp4", "truth": "woman.mp4", "prompt": "a man"},
            {"source": "man.mp4", "reference": "woman.mp4", "prompt": "him", "edit_prompt": "he dances"},
        ])  # fmt: skip
        names = ["portrait-man", "man-woman"]
    cases = open_dataset(kind, data, CASES)
    assert run(tmp_path / "run", cases, config, ["source", "controlnet"], kind=kind) == []
    for name in names:
        for method in ("source", "controlnet"):
            cell = load_cell(tmp_path / "run" / method / name)
            assert cell.request["benchmark"]["dataset"] == kind
            assert len(read_video(tmp_path / "run" / method / name / "edited.mp4").frames) == 3
    if kind == "wild":
        edit = load_config(tmp_path / "run" / "controlnet" / "man-woman" / "config.yaml")
        assert (edit["prompt"], edit["edit_prompt"]) == ("him", "he dances")
        assert "psnr" in load_cell(tmp_path / "run" / "controlnet" / "portrait-man").scores
        still = read_video(tmp_path / "run" / "source" / "portrait-man" / "edited.mp4").frames
        assert psnr(still[:1], still[-1:]).min() > 35


@pytest.mark.usefixtures("upright")
def test_outputs_of_other_projects_are_scored_like_any_method(
    finished: Path, dancers: CaseList, config: DatasetConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    theirs = tmp_path / "theirs"
    edited = read_video(finished / "edit-your-motion" / "00001" / "edited.mp4").frames
    write_pictures(theirs / "00001", edited)
    write_video(theirs / "00002.mp4", np.stack([fit_frame(frame, Fit(128, 128)) for frame in edited]), 8)
    (method,) = parse_external([f"Champ={theirs}"])
    assert run(folder, dancers, config, [], external=[method]) == []
    first, second = (load_cell(folder / "Champ" / case) for case in ("00001", "00002"))
    ours = load_cell(folder / "edit-your-motion" / "00001")
    assert first.scores["psnr"] == pytest.approx(ours.scores["psnr"], abs=1.0)
    assert first.scores["pck"] == ours.scores["pck"]
    assert first.notes == ()
    assert second.notes == ("resized from 128x128 to 64x64 (bicubic)",)
    assert first.commit == ours.commit
    summary = summarise_dataset(folder, config, SILENT)
    assert [each.name for each in summary][-1] == "Champ"
    assert "Champ: resized from 128x128" in format_dataset_summary(folder, summary, "")

    time = (folder / "Champ" / "00001" / "scores.json").stat().st_mtime_ns
    write_pictures(theirs / "00001", 255 - edited)
    (theirs / "00002.mp4").unlink()
    failures = run(folder, dancers, config, [], external=[method])
    assert [(failure.pair, failure.method) for failure in failures] == [("00002", "Champ")]
    assert "00002.mp4" in failures[0].error
    assert (folder / "Champ" / "00001" / "scores.json").stat().st_mtime_ns > time, "other frames are scored anew"


@pytest.mark.usefixtures("upright")
def test_outputs_of_another_length_are_refused(dancers: CaseList, config: DatasetConfig, tmp_path: Path) -> None:
    for name in ("00001", "00002"):
        write_pictures(tmp_path / "theirs" / name, film(5).video.frames)
    failures = run(tmp_path / "run", dancers, config, [], external=[ExternalMethod("Wan", tmp_path / "theirs")])
    assert all("expected 3 frames in" in failure.error and "got 5" in failure.error for failure in failures)
    assert len(failures) == 2


@pytest.mark.parametrize("text", ["Champ", "=x", "Champ=", "Champ=nowhere", "controlnet=.", "../up=.", "a/b=."])
def test_external_methods_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises((ConfigError, InputError)):
        parse_external([text])
    with pytest.raises(ConfigError, match="another name"):
        parse_external(["Champ=.", "Champ=.."])


@pytest.mark.usefixtures("upright")
def test_cases_are_exported_in_the_forms_that_others_read(
    dancers: CaseList, config: DatasetConfig, tmp_path: Path
) -> None:
    assert run(tmp_path, dancers, config, [], export=True) == []
    assert {path.name for path in tmp_path.iterdir()} == {"cases", "exports"}
    place = tmp_path / "exports" / "00002"
    assert {path.name for path in place.iterdir()} == {
        "source.mp4", "source.png", "source-masks", "reference.mp4", "truth.mp4", "prompts.json",
        *(f"{name}-{form}" for name in ("source", "reference", "aligned") for form in ("openpose", "skeleton.mp4")),
    }  # fmt: skip
    first = np.asarray(Image.open(place / "source.png"))
    assert first.shape == (64, 64, 3)
    assert psnr(read_video(place / "source.mp4").frames[:1], first[None]).min() > 30
    aligned = read_poses(place / "aligned-openpose")
    assert (len(aligned), aligned.height, aligned.width) == (3, 64, 64)
    drawn = read_video(place / "aligned-skeleton.mp4").frames
    assert psnr(drawn, draw_skeleton(aligned)).min() > 20
    prompts = json.loads((place / "prompts.json").read_text())
    assert prompts == {"prompt": "a person is dancing", "edit_prompt": "a person is dancing", "frames": 3, "fps": 8.0}


@pytest.mark.usefixtures("upright")
def test_pairs_take_external_outputs_and_are_exported(checkpoints: Path, tmp_path: Path) -> None:
    settings, pair = short_config(checkpoints), PAIRS["15-dance_b"]
    theirs = ExternalMethod("MimicMotion", tmp_path / "theirs")
    write_pictures(theirs.folder / pair.name, film(3).video.frames)
    assert paired.run_paired(tmp_path, settings, SILENT, methods=(), pairs=[pair], external=[theirs], export=True) == []
    cell = load_cell(tmp_path / "MimicMotion" / pair.name)
    assert cell.scores["mae"] > 1
    assert (cell.commit, cell.seed) == (commit_of_package(), 33)
    assert (tmp_path / "exports" / pair.name / "prompts.json").is_file()


def test_a_summary_of_cells_and_what_it_writes(finished: Path, config: DatasetConfig, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    summary = summarise_dataset(folder, config, SILENT)
    assert [method.name for method in summary] == ["truth", "source", "edit-your-motion"]
    source = summary[1]
    values = [load_cell(folder / "source" / case).scores["psnr"] for case in ("00001", "00002")]
    assert source.scores["psnr"].value == pytest.approx(np.mean(values))
    assert source.scores["psnr"].pairs == 2
    write_dataset_summary(folder, summary, "two clips")
    write_dataset_sheets(folder)
    text = (folder / "table.md").read_text()
    assert "two clips" in text
    assert METRICS["l1"].convention.replace("|", "&#124;") in text or METRICS["l1"].convention in text
    assert "- fvd, everywhere: no i3d weights were given" in text
    assert "- ta, tc, everywhere: no CLIP model was given" in text
    assert "Edits of 3 frames of 64x64." in text
    table = json.loads((folder / "table.json").read_text())
    assert table["methods"][1]["scores"]["psnr"]["value"] == pytest.approx(np.mean(values))
    pooled = json.loads((folder / "source" / "pooled.json").read_text())
    assert [each["name"] for each in pooled["results"]] == ["fid_vid", "fvd"]
    assert pooled["cases"] == ["00001", "00002"]
    sheet = np.asarray(Image.open(folder / "sheets" / "00001.png"))
    assert sheet.shape[0] >= 4 * 128
    with pytest.raises(InputError, match="found none"):
        summarise_dataset(tmp_path / "nowhere", config, SILENT)


@pytest.mark.usefixtures("upright")
def test_the_command_goes_on_from_a_finished_benchmark(
    finished: Path, dancers: CaseList, config: DatasetConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    data = dancers.cases[0].source.path.parents[1]
    (tmp_path / "settings.yaml").write_text(dump_config(config.model_copy(update={"size": "auto"})))
    (tmp_path / "theirs").mkdir()
    given = ["benchmark", "tiktok", folder, "--data", data, "--config", tmp_path / "settings.yaml", "--size", "64"]

    def command(*more: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in (*given, *more)])
        return ended.value.code

    times = {path: path.stat().st_mtime_ns for path in folder.glob("*/*/scores.json")}
    assert command("--methods", "source", "--methods", "truth") == 0
    assert "edit-your-motion | 2 |" in capfd.readouterr().out, "the table is made from all that is there"
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert (folder / "table.json").is_file()
    assert command("--external", f"Champ={tmp_path / 'theirs'}", "--only", "00002", "--quiet") == 1
    assert "Champ on 00002 failed: expected Champ's output for 00002" in capfd.readouterr().err
    assert command("--methods", "nothing") == 1
    assert command("--only", "00009") == 1


def write_old_cell(folder: Path) -> None:
    content = {
        "pair": "a", "method": "source", "description": "", "scores": {"mae": 1.0}, "gaps": {}, "phases": {},
        "device": "cpu", "base": "x", "version": "1", "request": {},
    }  # fmt: skip
    (folder / "scores.json").write_text(json.dumps(content))


def test_cells_from_before_they_were_traced_are_read(tmp_path: Path) -> None:
    write_old_cell(tmp_path)
    cell = load_cell(tmp_path)
    assert isinstance(cell, CellRecord)
    assert (cell.commit, cell.seed, cell.created, cell.run, cell.notes) == (None, None, None, None, ())
    assert paired.load_cell is cells.load_cell
    assert paired.CellRecord is CellRecord


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance.edit_your_motion, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(provenance, "_installed_commit", lambda: None)
    asked = provenance.commit_of_package.__wrapped__
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert asked() is None
    git(tmp_path, "init", "-q")
    (tmp_path / "other.txt").write_text("")
    git(tmp_path, "add", "other.txt")
    git(tmp_path, "commit", "-q", "-m", "another project")
    assert asked() is None, "the package is not the repository's"
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-q", "-m", "the package")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert asked() == commit
    (package / "__init__.py").write_text("x = 1")
    assert asked() == commit + CHANGED
    (package / "__init__.py").write_text("")
    (tmp_path / "other.txt").write_text("changed")
    assert asked() == commit


def test_an_installation_from_a_repository_knows_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def __init__(self, text: str | None) -> None:
            self.text = text

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return self.text

    remembered = {
        '{"url": "x", "vcs_info": {"vcs": "git", "commit_id": "0123abcd"}}': "0123abcd",
        '{"url": "x", "dir_info": {"editable": true}}': None,
        "[]": None,
        "{": None,
        None: None,
    }
    for text, commit in remembered.items():
        monkeypatch.setattr(provenance, "distribution", lambda name, text=text: Installed(text))
        assert provenance._installed_commit() == commit


def test_a_truth_of_another_length_is_named(config: DatasetConfig, tmp_path: Path) -> None:
    clip = dataset.Clip(write_pictures(tmp_path / "frames", film(5).video.frames))
    with pytest.raises(VideoError, match="truth of 3 frames"):
        dataset._read_truth(clip, dataset.Canvas(64, 64), 3)
