"""Measuring clips that anybody made: one or many, streamed, with people looked for, pooled distances, tables, gaps."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dataset_folders import as_pictures, write_pictures, write_tiktok
from edit_your_motion.benchmark import pooling
from edit_your_motion.benchmark.datasets.scores import explain_gaps, nobody
from edit_your_motion.benchmark.evaluation import people_in_streams
from edit_your_motion.benchmark.evaluation import run as evaluation
from edit_your_motion.benchmark.evaluation.people_in_streams import follow_in_stream, loop_stream
from edit_your_motion.benchmark.evaluation.report import format_set, summarise_set, write_set_report
from edit_your_motion.benchmark.evaluation.run import EvaluationConfig, evaluate_subjects
from edit_your_motion.benchmark.evaluation.subjects import Subject, find_subjects, find_subjects_of, fit_stream, stream
from edit_your_motion.benchmark.pooling import Pooled, pool_distances
from edit_your_motion.cli import main
from edit_your_motion.datasets.catalogue import open_dataset
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.errors import ConfigError, InputError, ModelFileError, VideoError
from edit_your_motion.metrics import (
    METRICS,
    ClipEncoder,
    FeatureNetworks,
    MetricGap,
    MetricValue,
    Report,
    background_error,
    bootstrap_mean,
    flicker,
    fvd,
    mean_absolute_error,
    psnr,
    resize_frames,
)
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.generated_frames import find_person
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Fit, fit_frame, write_video
from synthetic_clip import film
from test_benchmark_paired import Upright

SILENT = SilentProgress()
QUICK = EvaluationConfig.model_validate({"networks": {"allow_fetch": False}})


@pytest.fixture(autouse=True)
def _no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and everybody is found where they always stand."""
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(evaluation, "open_backend", lambda people: Upright())


def noise(seed: int, frames: int = 4, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def near(frames: np.ndarray, seed: int) -> np.ndarray:
    """The frames with a little noise."""
    change = np.random.default_rng(seed).integers(-20, 21, frames.shape)
    return (frames + change).clip(0, 255).astype(np.uint8)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Outputs and truths of three clips, a video and pictures, of 4 and 5 frames."""
    for index, name in enumerate(("a", "b", "c")):
        truth = noise(index, frames=4 + index % 2)
        write_pictures(tmp_path / "truths" / name, truth)
        write_pictures(tmp_path / "outputs" / name, near(truth, 9 + index))
    return tmp_path


def test_one_clip_is_a_video_or_a_folder_of_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / "edited.mp4", noise(0), 8)
    pictures = write_pictures(tmp_path / "frames", noise(0))
    for path in (tmp_path / "edited.mp4", pictures):
        (subject,) = find_subjects(path, truth=pictures, prompt="a man")
        assert subject == Subject(path.stem, Clip(path), truth=Clip(pictures), prompt="a man")
    with pytest.raises(VideoError, match="nowhere"):
        find_subjects(tmp_path / "nowhere")
    with pytest.raises(VideoError, match="nowhere"):
        find_subjects(pictures, truth=tmp_path / "nowhere")


def test_many_clips_go_with_those_of_their_names(many: Path) -> None:
    source = write_pictures(many / "one-source", noise(5))
    save_keypoints(many / "motion.json", film(4).keypoints)
    subjects = find_subjects(many / "outputs", many / "truths", source, many / "motion.json")
    assert [subject.name for subject in subjects] == ["a", "b", "c"]
    for subject in subjects:
        assert subject.truth == Clip(many / "truths" / subject.name)
        assert subject.source == Clip(source)
        assert (subject.reference, subject.skeletons) == (None, many / "motion.json")
    with pytest.raises(InputError, match="truth of a"):
        find_subjects(many / "outputs", truth=source)
    (many / "truths" / "b").rename(many / "truths" / "d")
    with pytest.raises(InputError, match="truth of b"):
        find_subjects(many / "outputs", many / "truths")
    (empty := many / "empty").mkdir()
    with pytest.raises(VideoError, match="no clips"):
        find_subjects(empty)


def test_numbers_are_those_of_the_metrics_on_whole_arrays(many: Path) -> None:
    report = evaluate_subjects(find_subjects(many / "outputs", many / "truths"), QUICK, SILENT, split="ours")
    for index, name in enumerate(("a", "b", "c")):
        truth = noise(index, frames=4 + index % 2)
        output = near(truth, 9 + index)
        values = report.reports[name].values
        assert values["mae"] == pytest.approx(mean_absolute_error(output, truth).mean())
        assert values["psnr"] == pytest.approx(psnr(output, truth).mean())
        assert values["flicker"] == pytest.approx(flicker(output).mean())
        assert values["pck"] == 1, "the person stands where the truth's does"
        assert report.reports[name].frames == len(truth)
    summary = {value.name: value for value in summarise_set(report)}
    values = np.array([each.values["psnr"] for each in report.reports.values()])
    assert summary["psnr"].value == pytest.approx(values.mean())
    assert summary["psnr"].interval == bootstrap_mean(values)
    assert (summary["psnr"].clips, summary["psnr"].count) == (3, 13)
    assert [gap.name for gap in report.pooled] == ["fid_vid", "fvd"]
    assert all(isinstance(gap, MetricGap) for gap in report.pooled)


def test_what_is_written_says_how_it_was_measured(many: Path) -> None:
    record = '{"preset": "fast", "origins": {}, "config": {"model": {"base": "small"}}}'
    (many / "outputs" / "run.json").write_text(record)
    report = evaluate_subjects(find_subjects(many / "outputs", many / "truths"), QUICK, SILENT, split="three noises")
    write_set_report(many / "result", report)
    document = json.loads((many / "result" / "report.json").read_text())
    assert document["split"] == "three noises"
    assert document["settings"] == "Preset `fast`, base `small`."
    assert document["resolutions"] == ["64x48"]
    assert document["frames"] == [4, 5, 4]
    by_name = {value["name"]: value for value in document["summary"]}
    assert by_name["l1"]["convention"] == METRICS["l1"].convention
    gaps = {gap["name"]: gap for gap in document["gaps"]}
    assert gaps["fvd"]["reason"] == "no i3d weights were given (give --networks.i3d)"
    assert gaps["tc"]["clips"] == ["a", "b", "c"]
    assert not by_name.keys() & gaps.keys()
    single = Report.from_json((many / "result" / "clips" / "b.json").read_text())
    assert single == report.reports["b"]
    text = (many / "result" / "table.md").read_text()
    for stated in (
        "Preset `fast`",
        "3 clips of 4 to 5 frames, 64x48",
        "three noises",
        "psnr ↑",
        "10 log10(255^2 / MSE)",
        "## Clips",
    ):
        assert stated in text
    assert "| b | 5 | 64x48 |" in text


def test_the_report_of_one_clip_is_a_report(many: Path) -> None:
    subjects = find_subjects(many / "outputs" / "a", many / "truths" / "a")
    report = evaluate_subjects(subjects, QUICK, SILENT)
    write_set_report(many / "result", report)
    assert Report.from_json((many / "result" / "report.json").read_text()) == report.reports["a"]
    assert {path.name for path in (many / "result").iterdir()} == {"report.json", "table.md"}
    names = {result.name for result in report.reports["a"].results}
    assert {"fid_vid", "fvd"} <= names
    assert "not stated" in format_set(report)


def test_equal_clips_are_infinitely_alike_on_disk_too(many: Path) -> None:
    subjects = find_subjects(many / "truths", many / "truths")
    report = evaluate_subjects(subjects, QUICK, SILENT, metrics=["psnr", "mae"])
    write_set_report(many / "result", report)
    document = json.loads((many / "result" / "report.json").read_text())
    assert {value["name"]: value["value"] for value in document["summary"]} == {"psnr": "inf", "mae": 0.0}
    assert report.pooled == ()


def test_a_clip_that_cannot_be_measured_stops_no_other(many: Path) -> None:
    for picture in sorted((many / "outputs" / "b").iterdir())[3:]:
        picture.unlink()
    report = evaluate_subjects(find_subjects(many / "outputs", many / "truths"), QUICK, SILENT, metrics=["mae"])
    assert list(report.reports) == ["a", "c"]
    assert "expected a truth of 3 frames" in report.failures["b"]
    write_set_report(many / "result", report)
    assert "b: expected a truth" in (many / "result" / "table.md").read_text()
    with pytest.raises(InputError, match="expected a truth of 3 frames"):
        evaluate_subjects(find_subjects(many / "outputs" / "b", many / "truths" / "b"), QUICK, SILENT)
    with pytest.raises(ConfigError, match="beauty"):
        evaluate_subjects(find_subjects(many / "outputs"), QUICK, SILENT, metrics=["beauty"])


def test_sizes_are_brought_together_as_asked(tmp_path: Path) -> None:
    output, truth = noise(0, height=24, width=32), noise(1, height=48, width=64)
    subject = Subject(
        "a", Clip(write_pictures(tmp_path / "output", output)), Clip(write_pictures(tmp_path / "truth", truth))
    )

    def measure(resize: str, subject: Subject = subject) -> Report:
        config = QUICK.model_copy(update={"resize": resize})
        return evaluate_subjects([subject], config, SILENT, metrics=["mae"]).reports["a"]

    resized = np.concatenate(list(resize_frames(output, 48, 64)))
    assert measure("output").values["mae"] == pytest.approx(mean_absolute_error(resized, truth).mean())
    assert (measure("output").measured_width, measure("output").width) == (64, 32)
    assert measure("auto") == measure("output")
    fitted = np.stack([fit_frame(frame, Fit(24, 32)) for frame in truth])
    assert measure("others").values["mae"] == pytest.approx(mean_absolute_error(output, fitted).mean())
    with pytest.raises(InputError, match="cut both to the same frames, or resize"):
        measure("none")
    square = replace(subject, output=Clip(write_pictures(tmp_path / "square", noise(2, height=32, width=32))))
    with pytest.raises(InputError, match="--resize others"):
        measure("output", square)
    for how in ("others", "auto"):
        cropped = measure(how, square)
        expected = np.stack([fit_frame(frame, Fit(32, 32)) for frame in truth])
        made = square.output.read().frames
        assert cropped.values["mae"] == pytest.approx(mean_absolute_error(made, expected).mean())
        assert (cropped.measured_width, cropped.width) == (32, 32)


def test_a_long_video_is_never_held_whole(tmp_path: Path) -> None:
    count, side = 300, 128
    frames = np.repeat(noise(0, frames=4, height=side, width=side), count // 4, axis=0)
    write_video(tmp_path / "output.mp4", frames, 30, crf=40)
    whole = frames.nbytes
    del frames
    subjects = find_subjects(tmp_path / "output.mp4", truth=tmp_path / "output.mp4")
    tracemalloc.start()
    report = evaluate_subjects(subjects, QUICK, SILENT, metrics=["mae", "flicker", "psnr"]).reports["output"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.frames == count
    assert report.values["mae"] == 0
    assert peak < whole / 3


@pytest.mark.parametrize("available", [1, 2, 3, 7, 9])
def test_a_source_is_looped_as_the_editor_loops_it(available: int) -> None:
    frames = noise(0, frames=available, height=8, width=8)
    looped = np.concatenate(list(loop_stream(frames, available, 7)))
    assert np.array_equal(looped, frames[loop_frames(available, 7)] if available < 7 else frames[:7])


def test_people_are_followed_in_pieces_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = film(5)
    whole = find_person(walk.video.frames, Upright(), SILENT)
    monkeypatch.setattr(people_in_streams, "AT_ONCE", 2)
    pieces = follow_in_stream([walk.video.frames[:3], walk.video.frames[3:]], 5, Upright(), SILENT, "walk")
    assert np.allclose(pieces.keypoints.body, whole.keypoints.body, atol=1e-4)
    assert np.array_equal(pieces.masks, whole.masks)
    assert (pieces.keypoints.height, pieces.keypoints.width) == (64, 64)


class Blind(Upright):
    """Finds nobody."""

    def detect(self, frames: np.ndarray, *, on_frame: object = None) -> list[list]:
        return [[] for _ in frames]


def people_case(folder: Path) -> tuple[Subject, np.ndarray, np.ndarray]:
    """An output of 4 frames beside a source of 2, whose person's masks are ready."""
    source = film(2)
    output = near(source.video.frames[loop_frames(2, 4)], 3)
    clip = Clip(
        write_pictures(folder / "source", source.video.frames),
        masks=write_pictures(folder / "masks", as_pictures(source.masks)),
    )
    return Subject("a", Clip(write_pictures(folder / "output", output)), source=clip), output, source.masks


def test_backgrounds_are_compared_outside_both_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, output, masks = people_case(tmp_path)

    class Left(Upright):
        def detect(self, frames: np.ndarray, *, on_frame: object = None) -> list[list]:
            found = super().detect(frames)
            left = np.arange(frames.shape[2])[None] < frames.shape[2] / 4
            return [[replace(person, mask=np.repeat(left, frames.shape[1], 0)) for person in each] for each in found]

    monkeypatch.setattr(evaluation, "open_backend", lambda people: Left())
    report = evaluate_subjects([subject], QUICK, SILENT, metrics=["background"]).reports["a"]
    loop = loop_frames(2, 4)
    theirs = np.zeros_like(masks[loop])
    theirs[:, :, :16] = True
    expected = background_error(output, subject.source.read().frames[loop], theirs, masks[loop]).mean()
    assert report.values["background"] == pytest.approx(expected)
    assert expected > 1


def test_people_who_fill_the_picture_leave_no_background_to_measure(tmp_path: Path) -> None:
    subject, *_ = people_case(tmp_path)
    report = evaluate_subjects([subject], QUICK, SILENT, metrics=["background", "flicker_background"]).reports["a"]
    reasons = {gap.name: gap.reason for gap in report.gaps}
    assert report.values == {}
    assert "no background" in reasons["background"]
    assert reasons["flicker_background"] == "none of 2 triples of frames had anything to measure"


def test_nobody_in_the_output_is_a_score_of_poses_and_a_gap_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, *_ = people_case(tmp_path)
    save_keypoints(tmp_path / "motion.json", film(4).keypoints)
    subject = replace(subject, skeletons=tmp_path / "motion.json")
    monkeypatch.setattr(evaluation, "open_backend", lambda people: Blind())
    report = evaluate_subjects([subject], QUICK, SILENT).reports["a"]
    assert report.values["pck"] == 0
    reasons = {gap.name: gap.reason for gap in report.gaps}
    assert reasons["background"] == "nobody was found in the output"
    assert "got none" in reasons["keypoint_error"]

    def refuse(people: object) -> None:
        raise ModelFileError("no model files")

    monkeypatch.setattr(evaluation, "open_backend", refuse)
    report = evaluate_subjects([subject], QUICK, SILENT).reports["a"]
    assert {gap.reason for gap in report.gaps if gap.name in ("pck", "keypoint_error", "background")} == {
        "no model files"
    }
    assert report.values["flicker"] >= 0


def test_poses_are_held_against_the_reference_or_else_the_truth(tmp_path: Path) -> None:
    standing = Upright().detect(np.zeros((1, 64, 64, 3), np.uint8))[0][0].body
    walk = film(3)
    walk.keypoints.body[:] = standing
    save_keypoints(tmp_path / "right.json", walk.keypoints)
    shifted = walk.keypoints.mapped(np.ones(2), np.array([30.0, 0.0]), 64, 64)
    save_keypoints(tmp_path / "wrong.json", shifted)
    output = Clip(write_pictures(tmp_path / "output", walk.video.frames))
    scores = {}
    for name in ("right", "wrong"):
        subject = Subject("a", output, skeletons=tmp_path / f"{name}.json")
        scores[name] = evaluate_subjects([subject], QUICK, SILENT, metrics=["pck"]).reports["a"].values["pck"]
        truth = Subject("a", output, truth=replace(output, keypoints=tmp_path / f"{name}.json"))
        of_truth = evaluate_subjects([truth], QUICK, SILENT, metrics=["pck"]).reports["a"].values["pck"]
        assert of_truth == scores[name]
    assert scores == {"right": 1, "wrong": 0}
    beside = Subject("a", output, source=output, reference=replace(output, keypoints=tmp_path / "wrong.json"))
    aligned = evaluate_subjects([beside], QUICK, SILENT, metrics=["pck"]).reports["a"].values["pck"]
    assert aligned == 1, "alignment with the source undoes the shift"
    save_keypoints(tmp_path / "short.json", walk.keypoints.take(np.arange(2)))
    short = evaluate_subjects([Subject("a", output, skeletons=tmp_path / "short.json")], QUICK, SILENT, metrics=["pck"])
    assert "expected detected and given keypoints to match" in short.reports["a"].gaps[0].reason


def tiny_encoder() -> ClipEncoder:
    """Three numbers of a clip: the mean of each channel."""

    def prepare(clip: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(clip.transpose(3, 0, 1, 2).astype(np.float32))

    return ClipEncoder(lambda clips: clips.mean(dim=(2, 3, 4)), prepare, torch.device("cpu"))


def test_distances_are_between_all_clips_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "POOLED", (Pooled("fvd", "i3d", lambda path, device: tiny_encoder()),))
    outputs, truths = ([noise(seed + side, frames=18, height=8, width=8) for seed in (0, 1)] for side in (0, 10))
    networks = FeatureNetworks(i3d=tmp_path / "i3d.pt")
    (value,) = pool_distances(list(zip(outputs, truths, strict=True)), networks, 1, SILENT)
    assert isinstance(value, MetricValue)
    assert value.value == pytest.approx(fvd(outputs, truths, tiny_encoder()))
    assert (value.count, value.of) == (6, "clips")
    assert value.notes == ("all clips of 2 videos in one set", "weights: i3d.pt")
    (few,) = pool_distances([(outputs[0][:17], truths[0][:17])], networks, 1, SILENT)
    assert "2 clips for 3 feature dimensions" in few.notes[-1]
    for pairs, reason in (([(outputs[0][:15], truths[0])], "fewer"), ([], "needs truth")):
        (gap,) = pool_distances(pairs, networks, 1, SILENT)
        assert isinstance(gap, MetricGap)
        assert reason in gap.reason
    (gap,) = pool_distances([(outputs[0], truths[0])], FeatureNetworks(), 1, SILENT)
    assert gap.reason == "no i3d weights were given"


def test_pooled_distances_stand_in_the_report_of_many(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "POOLED", (Pooled("fvd", "i3d", lambda path, device: tiny_encoder()),))
    monkeypatch.setattr(evaluation, "POOLED", pooling.POOLED)
    for index, name in enumerate(("a", "b", "c")):
        for kind, seed in (("outputs", 0), ("truths", 5)):
            write_pictures(many / kind / name, noise(index + seed, frames=17))
    config = EvaluationConfig.model_validate({"networks": {"i3d": many / "i3d.pt"}})
    report = evaluate_subjects(find_subjects(many / "outputs", many / "truths"), config, SILENT, metrics=["fvd"])
    (value,) = summarise_set(report)
    assert (value.name, value.clips, value.count, value.interval) == ("fvd", 3, 6, None)
    assert "fvd ↓" in format_set(report)


def test_gaps_of_people_say_why() -> None:
    results = (MetricGap("pck", "needs poses", "give poses"), MetricGap("psnr", "needs truth", "give truth"))
    report = explain_gaps(Report(results, 1, 8, 8, 8, 8), "nobody looked")
    assert [gap.reason for gap in report.gaps] == ["nobody looked", "needs truth"]
    assert not nobody(2, 8, 9).visible().any()


def test_streams_read_anew_each_time(tmp_path: Path) -> None:
    clip = Clip(write_pictures(tmp_path / "frames", noise(0)), start=1, count=2)
    for opened in (stream(clip), fit_stream(clip, 48, 64)):
        for _ in range(2):
            assert np.array_equal(np.concatenate(list(opened)), noise(0)[1:3])


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_the_command_on_a_folder(many: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = many / "result"
    given = ("evaluate", many / "outputs", "--against", many / "truths", "--output", output)
    assert command(*given, "--metrics", "psnr", "--metrics", "ssim", "--quiet") == 0
    assert capfd.readouterr() == ("", "")
    assert {value["name"] for value in json.loads((output / "report.json").read_text())["summary"]} == {"psnr", "ssim"}
    assert json.loads((output / "run.json").read_text())["config"] == EvaluationConfig().model_dump(mode="json")
    (many / "truths" / "b" / "0000.png").unlink()
    assert command(*given, "--metrics", "psnr") == 1
    out, err = capfd.readouterr()
    assert "psnr" in out
    assert "b could not be measured" in err
    assert command("evaluate", many / "outputs", "--dataset", "tiktok") == 1
    assert "--data" in capfd.readouterr().err


def test_the_command_on_the_outputs_for_a_data_set(tmp_path: Path) -> None:
    walks = {"00001": film(6), "00002": film(6, seed=1)}
    data = write_tiktok(tmp_path / "data", walks)
    cases = open_dataset("tiktok", data, CasesConfig(frames=3, source_frames=2, split="all"))
    write_pictures(tmp_path / "outputs" / "00001", near(walks["00001"].video.frames[2:5], 0))
    cell = tmp_path / "outputs" / "00002"
    write_video(cell / "edited.mp4", walks["00002"].video.frames[2:5], 8, crf=0)
    subjects = find_subjects_of(cases, tmp_path / "outputs")
    assert [subject.output.path.name for subject in subjects] == ["00001", "edited.mp4"]
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"cases": {"frames": 3, "source_frames": 2, "split": "all"}}))
    given = ("evaluate", tmp_path / "outputs", "--dataset", "tiktok", "--data", data, "--config", settings)
    metrics = ("--metrics", "psnr", "--metrics", "lpips_s")
    assert command(*given, "--output", tmp_path / "result", *metrics, "--quiet") == 0
    document = json.loads((tmp_path / "result" / "report.json").read_text())
    assert document["split"].startswith("TikTok: All 2 clips of data. Self-reenactment")
    first = Report.from_json((tmp_path / "result" / "clips" / "00001.json").read_text())
    expected = psnr(near(walks["00001"].video.frames[2:5], 0), walks["00001"].video.frames[2:5]).mean()
    assert first.values["psnr"] == pytest.approx(expected)
    assert first.prompt == "a person is dancing"
    (cell / "edited.mp4").unlink()
    with pytest.raises(InputError, match="00002 has none"):
        find_subjects_of(cases, tmp_path / "outputs")


def test_skeleton_pictures_are_a_reference_like_any_clip(tmp_path: Path) -> None:
    frames = write_pictures(tmp_path / "frames", film(2).video.frames)
    (subject,) = find_subjects(frames, reference=frames)
    assert (subject.reference, subject.skeletons) == (Clip(frames), None)
    write_pictures(tmp_path / "masks", as_pictures(film(2).masks))
    np.savez(tmp_path / "masks.npz", masks=film(2).masks)
    with pytest.raises(InputError, match="masks only"):
        evaluate_subjects([Subject("a", Clip(frames), skeletons=tmp_path / "masks.npz")], QUICK, SILENT)
