"""The paired benchmark: its pairs, its cells and what they hold, going on, failures, scores of regions, summaries."""

import json
import shutil
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from edit_your_motion.benchmark import cells, prefix_tuning
from edit_your_motion.benchmark.cells import CellScores
from edit_your_motion.benchmark.methods.catalogue import choose_methods
from edit_your_motion.benchmark.paired import run as paired
from edit_your_motion.benchmark.paired.pairs import PAIRS, PairChoice
from edit_your_motion.benchmark.paired.run import PairedConfig, load_cell, render_case, run_paired
from edit_your_motion.benchmark.paired.scores import (
    LARGEST_PSNR,
    PAIRED_METRICS,
    Judges,
    Truth,
    measure_silhouette,
    score_edit,
)
from edit_your_motion.benchmark.paired.summary import format_summary, summarise, write_sheets, write_summary
from edit_your_motion.config import ApplyConfig
from edit_your_motion.edit import Edit
from edit_your_motion.errors import InputError, ModelFileError, PersonError, VideoError
from edit_your_motion.executors.contract import Outcome, Task
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.executors.local import Local
from edit_your_motion.metrics import bootstrap_mean, pck
from edit_your_motion.metrics.structural import to_grey
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.person import Person
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import caption
from edit_your_motion.stage.scene import HELD_OUT_CLIPS, HELD_OUT_ROUTINES
from edit_your_motion.video import read_video
from synthetic_clip import JOINTS
from tiny_judges import stub_lpips

SILENT = SilentProgress()
NAMES = ("truth", "source", "controlnet", "controlnet-noise", "tune-a-video")
TWO = (PAIRS["15-dance_b"], PAIRS["41-marching-picture"])


class Upright:
    """Finds one person who stands in the middle of every picture."""

    name = "upright"

    def detect(self, frames: np.ndarray, *, on_frame: OnFrame | None = None) -> list[list[PersonDetection]]:
        height, width = frames.shape[1:3]
        body = np.concatenate([JOINTS * (width, height), np.ones((18, 1))], axis=1).astype(np.float32)
        box = np.array([0.1 * width, 0.05 * height, 0.9 * width, 0.98 * height], np.float32)
        return [[PersonDetection(box, 0.9, body, mask=np.ones((height, width), bool))] for _ in frames]


def short_config(checkpoints: Path, **values: Any) -> PairedConfig:
    edit = {
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "inversion": {"steps": 1},
        "sampling": {"steps": 1},
        "runtime": {"device": "cpu"},
    }
    return PairedConfig(
        **{"frames": 3, "size": 64, "rendered_side": 64, "people": "truth", "share": 1e-6, "edit": edit, **values}
    )


def run(folder: Path, config: PairedConfig, names: Sequence[str] = NAMES, pairs: Sequence = TWO) -> list:
    return run_paired(folder, config, SILENT, methods=choose_methods(names), pairs=pairs, lpips=stub_lpips())


@pytest.fixture(scope="module")
def config(checkpoints: Path) -> PairedConfig:
    return short_config(checkpoints)


@pytest.fixture(scope="module")
def benchmark(config: PairedConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs by five methods; left as it is."""
    folder = tmp_path_factory.mktemp("paired")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "open_backend", lambda people: Upright())
        assert run(folder, config) == []
    return folder


@pytest.fixture(autouse=True)
def upright(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "people_models" not in request.fixturenames:
        monkeypatch.setattr(cells, "open_backend", lambda people: Upright())


def test_the_pairs_are_what_their_table_says() -> None:
    assert len(PAIRS) >= 32
    assert len({choice.seed for choice in PAIRS.values()}) == len(PAIRS)
    for name, choice in PAIRS.items():
        pair = choice.sample()
        assert name == choice.name
        assert pair.truth.performance == pair.reference.performance
        assert pair.truth.performance.name == choice.motion != pair.source.performance.name
        assert {choice.motion, pair.source.performance.name} <= {*HELD_OUT_CLIPS, *HELD_OUT_ROUTINES}
        assert pair.source.view.still == (choice.source != "moving")
        assert (pair.source.performance.speed == 0) == (choice.source == "picture")
    first = list(PAIRS.values())[:7]
    assert {choice.motion for choice in first} == {*HELD_OUT_CLIPS, *HELD_OUT_ROUTINES}
    assert {choice.source for choice in first} == {"still", "moving", "picture"}


@pytest.mark.parametrize("executor", [InProcess(), pytest.param(Local([{}] * 2), marks=pytest.mark.slow)])
def test_an_executor_makes_the_same_cells(
    benchmark: Path, config: PairedConfig, tmp_path: Path, executor: InProcess | Local
) -> None:
    names = ("source", "controlnet", "tune-a-video")
    chosen = choose_methods(names)
    for _ in range(2):  # the second time there is nothing to do
        made = run_paired(tmp_path, config, SILENT, methods=chosen, pairs=TWO, lpips=stub_lpips(), executor=executor)
        assert made == []
    assert not (tmp_path / "unfinished").exists()
    for name in names:
        for pair in TWO:
            ours, theirs = (folder / name / pair.name for folder in (tmp_path, benchmark))
            assert (ours / "edited.mp4").read_bytes() == (theirs / "edited.mp4").read_bytes()
            assert load_cell(ours).request == load_cell(theirs).request
            same = {metric for metric in load_cell(theirs).scores if "pck" not in metric and "keypoint" not in metric}
            for metric in same:
                assert load_cell(ours).scores[metric] == load_cell(theirs).scores[metric]


def test_a_case_that_an_executor_loses_is_a_failure(config: PairedConfig, tmp_path: Path) -> None:
    class Losing:
        def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
            yield Outcome(tasks[1].name, error="its machine is gone")
            yield Outcome(tasks[0].name, value=[])

    methods = choose_methods(("source",))
    (failure,) = run_paired(tmp_path, config, SILENT, methods=methods, pairs=TWO, executor=Losing())
    assert (failure.pair, failure.error) == (TWO[1].name, "its machine is gone")


def test_every_cell_is_whole(benchmark: Path, config: PairedConfig) -> None:
    for name in NAMES:
        for pair in TWO:
            folder = benchmark / name / pair.name
            assert {path.name for path in folder.iterdir()} == {"config.yaml", "edited.mp4", "scores.json"}
            assert read_video(folder / "edited.mp4").frames.shape == (3, 64, 64, 3)
            cell = load_cell(folder)
            assert cell.scores.keys() | cell.gaps.keys() == PAIRED_METRICS.keys()
            assert not cell.scores.keys() & cell.gaps.keys()
            changed = {"inversion.steps": 1, "sampling.steps": 1, "share": 1e-6}
            edited = {"preset": "paper", "base": "base", "changed": changed}
            assert cell.settings == (edited if name in NAMES[2:] else None)
    assert {path.name for path in (benchmark / "pairs" / TWO[0].name).iterdir()} == {
        "source.mp4", "reference.mp4", "truth.mp4",
    }  # fmt: skip
    assert len(read_video(benchmark / "pairs" / TWO[1].name / "source.mp4").frames) == 1


def test_the_configuration_of_a_cell_has_the_pairs_prompts(benchmark: Path) -> None:
    text = (benchmark / "controlnet" / TWO[0].name / "config.yaml").read_text()
    pair = TWO[0].sample()
    lines = "".join(line.strip() + " " for line in text.splitlines())
    assert f"prompt: {caption(pair.source)} " in lines
    assert f"edit_prompt: {caption(pair.truth)} " in lines


def test_the_truth_scores_perfectly_and_the_source_does_not(benchmark: Path) -> None:
    for pair in TWO:
        truth, source = (load_cell(benchmark / name / pair.name).scores for name in ("truth", "source"))
        for prefix in ("", "person_", "uncovered_", "background_"):
            assert truth[f"{prefix}mae"] == truth[f"{prefix}lpips"] == 0
            assert truth[f"{prefix}psnr"] == LARGEST_PSNR
            assert truth[f"{prefix}ssim"] == 1
        for prefix in ("", "person_", "uncovered_"):
            assert source[f"{prefix}mae"] > 1
            assert source[f"{prefix}psnr"] < 30
        assert source["person_mae"] > source["mae"] > source["background_mae"]


def test_it_goes_on_and_makes_no_cell_twice(
    benchmark: Path, config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(benchmark, tmp_path / "copy"))
    removed = folder / "tune-a-video" / TWO[0].name / "scores.json"
    before = load_cell(removed.parent)
    removed.unlink()
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*/*/scores.json")}
    assert run(folder, config) == []
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert load_cell(removed.parent).scores == before.scores

    def refuse(*arguments: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(paired, "render_case", refuse)
    assert run(folder, config) == []


@pytest.mark.parametrize("executor", [None, InProcess()])
def test_what_a_run_killed_at_its_end_kept_goes_with_the_next(
    config: PairedConfig, tmp_path: Path, executor: InProcess | None
) -> None:
    pair = TWO[0]
    place = tmp_path / "unfinished" / (pair.name if executor else "")
    for _ in range(2):
        place.mkdir(parents=True, exist_ok=True)
        (place / "0123456789abcdef.safetensors").write_bytes(b"x")
        chosen = choose_methods(["source"])
        run_paired(tmp_path, config, SILENT, methods=chosen, pairs=[pair], lpips=stub_lpips(), executor=executor)
        assert not (tmp_path / "unfinished").exists()


def test_cells_of_other_settings_are_made_anew(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, config, ["source", "controlnet"], TWO[:1]) == []
    tuned = []
    original = prefix_tuning.tune_person
    monkeypatch.setattr(
        prefix_tuning, "tune_person", lambda *given, **more: tuned.append(given) or original(*given, **more)
    )
    other = config.model_copy(update={"edit_prompt": "source"})
    assert run(tmp_path, other, ["controlnet"], TWO[:1]) == []
    assert len(tuned) == 1
    with pytest.raises(InputError, match="one setting"):
        summarise(tmp_path)


def test_methods_that_tune_alike_share_one_tuning(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = []
    original = prefix_tuning.tune_person
    monkeypatch.setattr(
        prefix_tuning, "tune_person", lambda *given, **more: tuned.append(given) or original(*given, **more)
    )
    assert run(tmp_path, config, ["edit-your-motion", "source", "paper-alignment"], TWO[:1]) == []
    assert len(tuned) == 1
    phases = [load_cell(tmp_path / name / TWO[0].name).phases for name in ("edit-your-motion", "paper-alignment")]
    for name in ("tune, stage 1", "tune, stage 2", "invert"):
        assert phases[0][name] == phases[1][name]


def test_true_skeletons_guide_where_they_are_asked_for(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(paired, "score_edit", lambda *each: given.append(each) or CellScores({}, {}))
    assert run(tmp_path, config, ["true-skeletons", "edit-your-motion"], TWO[:1]) == []
    (_, true, truth, *_), (_, aligned, *_) = given
    assert np.array_equal(true.body, truth.keypoints.body)
    assert not np.allclose(aligned.body, truth.keypoints.body, atol=1)


def test_noise_and_inversion_start_differently(benchmark: Path) -> None:
    frames = [
        read_video(benchmark / name / TWO[0].name / "edited.mp4").frames for name in ("controlnet", "controlnet-noise")
    ]
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 1


def test_a_failing_pair_is_reported_and_stops_nothing(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = paired.render_case

    def fail(pair: PairChoice, *rest: object) -> paired.Case:
        if pair == TWO[0]:
            raise PersonError("nobody is there")
        return original(pair, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(paired, "render_case", fail)
        failures = run(tmp_path, config, ["source", "truth"])
    assert [(failure.pair, failure.method) for failure in failures] == [
        (TWO[0].name, "source"),
        (TWO[0].name, "truth"),
    ]
    assert load_cell(tmp_path / "source" / TWO[1].name).scores["mae"] > 0
    summary = summarise(tmp_path, against="source")
    assert set(summary.failures) == set(failures)
    assert "nobody is there" in format_summary(summary)
    assert run(tmp_path, config, ["source", "truth"]) == []
    assert summarise(tmp_path, against="source").failures == ()


def test_a_failing_method_is_reported_and_stops_nothing(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cells.apply_motion

    def fail(backbone: Backbone, person: Person, reference: PreparedClip, applying: ApplyConfig, *rest: Any) -> Edit:
        if applying.alignment.method == "paper":
            raise PersonError("no such alignment today")
        return original(backbone, person, reference, applying, *rest)

    monkeypatch.setattr(cells, "apply_motion", fail)
    failures = run(tmp_path, config, ["paper-alignment", "edit-your-motion"], TWO[:1])
    assert [(failure.method, failure.error) for failure in failures] == [("paper-alignment", "no such alignment today")]
    assert {path.name for path in (tmp_path / "paper-alignment" / TWO[0].name).iterdir()} == {"failure.json"}
    assert load_cell(tmp_path / "edit-your-motion" / TWO[0].name).scores


def test_without_a_backend_poses_are_named_gaps_but_detection_is_refused(
    config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(people: object) -> None:
        raise ModelFileError("no model files")

    monkeypatch.setattr(cells, "open_backend", refuse)
    assert run(tmp_path, config, ["source"], TWO[:1]) == []
    cell = load_cell(tmp_path / "source" / TWO[0].name)
    assert {name for name, reason in cell.gaps.items() if reason == "no model files"} == {
        "pck", "pck_unsided", "keypoint_error", "pck_truth", "pck_unsided_truth", "keypoint_error_truth",
    }  # fmt: skip
    with pytest.raises(ModelFileError):
        run(tmp_path, config.model_copy(update={"people": "detected"}), ["source"], TWO[:1])


def test_a_larger_rendering_shrinks_to_the_same_case(config: PairedConfig) -> None:
    sizes = ({"size": 128, "rendered_side": side} for side in (64, 256))
    cases = [render_case(TWO[0], config.model_copy(update=size), SILENT) for size in sizes]
    direct, shrunk = cases
    assert len(direct.clips["source"].frames[0]) == 128
    assert len(shrunk.clips["source"].frames[0]) == 256
    for attribute in ("frames", "masks", "source_masks"):
        first, second = (getattr(case.truth, attribute).astype(float) for case in cases)
        assert first.shape == second.shape
        assert np.abs(first - second).mean() < 0.02 * max(first.max(), 1)
    assert pck(shrunk.truth.keypoints, direct.truth.keypoints, tolerance=0.01).mean() > 0.95


def test_a_single_picture_is_repeated(config: PairedConfig) -> None:
    source = render_case(TWO[1], config, SILENT).source
    assert len(source) == len(source.keypoints) == len(source.masks) == 3
    assert (source.video.frames == source.video.frames[:1]).all()


@pytest.mark.usefixtures("people_models")
def test_people_are_found_as_a_user_would_have_them_found(config: PairedConfig) -> None:
    detected = config.model_copy(update={"people": "detected", "rendered_side": 512, "size": 128})
    case = render_case(TWO[0], detected, SILENT)
    known = render_case(TWO[0], detected.model_copy(update={"people": "truth"}), SILENT)
    assert np.array_equal(case.source.video.frames, known.source.video.frames)
    assert pck(case.source.keypoints, known.source.keypoints).mean() > 0.8
    overlap = (case.source.masks & known.source.masks).sum() / (case.source.masks | known.source.masks).sum()
    assert overlap > 0.6


@pytest.fixture
def noisy() -> tuple[np.ndarray, Truth]:
    """Random frames and a random truth with blocks for people."""
    generator = np.random.default_rng(0)
    frames, true, source = generator.integers(0, 256, (3, 3, 48, 64, 3), dtype=np.uint8)
    masks, source_masks = np.zeros((2, 3, 48, 64), bool)
    masks[:, 10:40, 20:35] = True
    source_masks[:, 10:40, 30:45] = True
    body = np.concatenate([JOINTS * (64, 48), np.ones((18, 1))], axis=1).astype(np.float32)
    return frames, Truth(true, masks, source, source_masks, Keypoints(np.stack([body] * 3), 48, 64))


def test_regions_are_scored_over_their_own_pixels(noisy: tuple[np.ndarray, Truth]) -> None:
    frames, truth = noisy
    scores = score_edit(frames, truth.keypoints, truth, Judges(stub_lpips(), Upright()), SILENT).values
    regions = {
        "": np.ones_like(truth.masks),
        "person_": truth.masks,
        "uncovered_": truth.source_masks & ~truth.masks,
        "background_": ~truth.masks & ~truth.source_masks,
    }
    for prefix, region in regions.items():
        maes, psnrs, ssims = [], [], []
        for frame, true, inside in zip(frames, truth.frames, region, strict=True):
            difference = frame[inside].astype(float) - true[inside]
            maes.append(np.abs(difference).mean())
            psnrs.append(10 * np.log10(255**2 / (difference**2).mean()))
            composite = to_grey(np.where(inside[..., None], frame, true)[None])[0]
            _, similarity = structural_similarity(composite, to_grey(true[None])[0], data_range=255, full=True)
            touching = [
                similarity[y, x]
                for y in range(3, 45)
                for x in range(3, 61)
                if inside[y - 3 : y + 4, x - 3 : x + 4].any()
            ]
            ssims.append(np.mean(touching))
        assert scores[f"{prefix}mae"] == pytest.approx(np.mean(maes))
        assert scores[f"{prefix}psnr"] == pytest.approx(np.mean(psnrs))
        assert scores[f"{prefix}ssim"] == pytest.approx(np.mean(ssims), abs=1e-9)
        assert scores[f"{prefix}lpips"] > 0
    assert scores["person_lpips"] < scores["lpips"]
    # The backend finds exactly these keypoints.
    assert (scores["pck"], scores["pck_truth"], scores["pck_unsided"], scores["pck_unsided_truth"]) == (1, 1, 1, 1)
    assert scores["keypoint_error"] == pytest.approx(0, abs=1e-4)


def test_what_is_not_in_a_region_does_not_change_its_scores(noisy: tuple[np.ndarray, Truth]) -> None:
    frames, truth = noisy
    elsewhere = np.where((truth.masks | truth.source_masks)[..., None], frames, 255 - frames)
    judges = Judges(stub_lpips(), "nobody looks")
    one, other = (score_edit(each, truth.keypoints, truth, judges, SILENT).values for each in (frames, elsewhere))
    for name, value in one.items():
        if name == "silhouette":  # of a part of what the person uncovered
            assert value == other[name]
            continue
        if name == "flicker":  # of the whole frame, and a negative flickers as its positive does
            continue
        assert (value == other[name]) == name.startswith(("person_", "uncovered_"))


def test_the_silhouette_is_the_share_of_the_source_s_person_that_is_left(noisy: tuple[np.ndarray, Truth]) -> None:
    frames, truth = noisy
    assert measure_silhouette(truth.frames, truth) == 0
    assert measure_silhouette(truth.source_frames, truth) == pytest.approx(1)
    blended = (0.7 * truth.frames + 0.3 * truth.source_frames).round().astype(np.uint8)
    assert measure_silhouette(blended, truth) == pytest.approx(0.3, abs=0.01)
    beside = np.where(truth.source_masks[..., None], truth.frames, frames)
    assert measure_silhouette(beside, truth) == 0, "what lies elsewhere does not count"
    nothing = replace(truth, source_masks=truth.masks)
    assert measure_silhouette(frames, nothing) is None


def test_what_cannot_be_scored_is_a_named_gap(noisy: tuple[np.ndarray, Truth]) -> None:
    frames, truth = noisy
    two = truth.frames[:2], truth.masks[:2], truth.source_frames[:2], truth.masks[:2]
    short = Truth(*two, truth.keypoints.take(np.arange(2)))
    scores = score_edit(frames[:2], short.keypoints, short, Judges("no weights", "no backend"), SILENT)
    assert scores.gaps["lpips"] == scores.gaps["person_lpips"] == "no weights"
    assert scores.gaps["pck"] == scores.gaps["keypoint_error_truth"] == "no backend"
    assert "3 frames" in scores.gaps["flicker"]
    assert "uncovers nothing" in scores.gaps["silhouette"]
    assert all(f"uncovered_{name}" in scores.gaps for name in ("mae", "psnr", "ssim", "lpips"))
    assert scores.values.keys() | scores.gaps.keys() == PAIRED_METRICS.keys()
    with pytest.raises(VideoError, match="as the truth is"):
        score_edit(frames, short.keypoints, short, Judges("", ""), SILENT)


def write_cell(folder: Path, method: str, pair: str, **scores: float) -> None:
    cell = folder / method / pair
    cell.mkdir(parents=True)
    content = {
        "pair": pair, "method": method, "description": "", "scores": scores, "gaps": {"lpips": "no weights"},
        "phases": {}, "device": "cpu", "base": "x", "version": "1", "request": {"benchmark": {"size": 64}},
    }  # fmt: skip
    (cell / "scores.json").write_text(json.dumps(content))


def test_a_summary_by_hand(tmp_path: Path) -> None:
    ours, theirs, backend = (20.0, 24.0, 31.0), (18.0, 23.0, 28.0), (0.9, 1.0, 0.8)
    for index, pair in enumerate(("a", "b", "c")):
        write_cell(tmp_path, "edit-your-motion", pair, psnr=ours[index], pck=0.9 * backend[index])
        write_cell(tmp_path, "tune-a-video", pair, psnr=theirs[index], pck=0.5)
        write_cell(tmp_path, "truth", pair, pck_truth=backend[index])
    write_cell(tmp_path, "own-method", "c", psnr=30.0)
    summary = summarise(tmp_path)
    assert [method.name for method in summary.methods] == ["truth", "tune-a-video", "edit-your-motion", "own-method"]
    assert summary.pairs == ("a", "b", "c")
    by_name = {method.name: method for method in summary.methods}
    full, baseline, single = (by_name[name] for name in ("edit-your-motion", "tune-a-video", "own-method"))
    assert full.scores["psnr"].value == pytest.approx(25)
    assert full.scores["psnr"].interval == bootstrap_mean(np.array(ours))
    assert full.scores["psnr"].pairs == 3
    assert baseline.differences["psnr"].difference == pytest.approx(-2)
    assert -3 <= baseline.differences["psnr"].interval.low < -2 < baseline.differences["psnr"].interval.high <= -1
    assert full.differences == single.differences == {}
    assert single.scores["psnr"].interval is None
    assert full.pose_shares["pck"].value == pytest.approx(0.9)
    assert full.pose_shares["pck"].interval.low == pytest.approx(0.9)
    assert baseline.pose_shares["pck"].value == pytest.approx(0.5 / 0.9)
    assert full.gaps == {"lpips": 3}

    write_summary(tmp_path, summary)
    text = (tmp_path / "table.md").read_text()
    assert "| edit-your-motion | 3 | 25.00 [" in text
    assert "| own-method | 1 | 30.00 | — |" in text
    assert "| tune-a-video | -2 [" in text
    assert "edit-your-motion: lpips on 3 pairs" in text
    document = json.loads((tmp_path / "table.json").read_text())
    assert document["methods"][2]["scores"]["psnr"]["value"] == pytest.approx(25)
    assert document["conventions"]["psnr"]["better"] == "higher"


def test_a_difference_is_bold_where_enough_pairs_agree(tmp_path: Path) -> None:
    for index in range(8):
        write_cell(tmp_path, "edit-your-motion", str(index), psnr=20.0 + index, ssim=0.5)
        write_cell(tmp_path, "tune-a-video", str(index), psnr=19.0 + 0.9 * index, ssim=0.4 + 0.2 * (index % 2))
    row = [line for line in format_summary(summarise(tmp_path)).splitlines() if line.startswith("| tune-a-video")][-1]
    psnr, ssim = row.split(" | ")[1:3]
    assert psnr.startswith("**-1.35 [")
    assert "**" not in ssim


def test_nothing_to_summarise_and_damage_are_named(tmp_path: Path) -> None:
    for work in (summarise, write_sheets):
        with pytest.raises(InputError, match="found none: run a benchmark"):
            work(tmp_path)
    write_cell(tmp_path, "source", "a", psnr=1.0)
    (tmp_path / "source" / "a" / "scores.json").write_text('{"scores": 3}')
    with pytest.raises(InputError, match="delete it"):
        summarise(tmp_path)


def test_a_real_summary_and_its_sheets(benchmark: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(benchmark, tmp_path / "copy"))
    summary = summarise(folder, against="controlnet")
    assert [method.name for method in summary.methods] == list(NAMES)
    assert all(method.scores["psnr"].pairs == 2 for method in summary.methods)
    write_summary(folder, summary)
    named = "Preset `paper`, base `base`, inversion.steps 1, sampling.steps 1, share 1e-06."
    assert named in (folder / "table.md").read_text()
    assert json.loads((folder / "table.json").read_text())["settings"] == named
    write_sheets(folder)
    sheet = np.asarray(Image.open(folder / "sheets" / f"{TWO[0].name}.png"))
    overview = np.asarray(Image.open(folder / "overview.png"))
    # Source, reference, truth and three edits, each row at least as high as its frames.
    assert min(sheet.shape[0], overview.shape[0]) >= 6 * 128
