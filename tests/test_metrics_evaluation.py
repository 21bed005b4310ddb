import json
import math
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from edit_your_motion import metrics as metrics_package
from edit_your_motion.errors import ConfigError, InputError, VideoError
from edit_your_motion.metrics import (
    METRICS,
    FeatureNetworks,
    FrameStream,
    MetricGap,
    MetricValue,
    PersonMasks,
    PersonPoses,
    Report,
    background_error,
    evaluate,
    flicker,
    mean_absolute_error,
    psnr,
    resize_frames,
    ssim,
)
from edit_your_motion.people.keypoints import Keypoints

LEARNED = {name for name in METRICS if name.startswith("lpips")} | {"fid_vid", "fvd", "ta", "tc"}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "cache"))


def make_frames(seed: int, frames: int = 5, height: int = 36, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def make_masks(frames: int = 5) -> PersonMasks:
    masks = np.zeros((frames, 36, 40), bool)
    masks[:, 10:20, 10:20] = True
    return PersonMasks(masks, np.roll(masks, 5, axis=2))


def make_poses(frames: int = 5) -> PersonPoses:
    body = np.random.default_rng(0).uniform(1, 30, (frames, 18, 3)).astype(np.float32)
    return PersonPoses(Keypoints(body, 36, 40), Keypoints(body, 36, 40))


def test_a_report_holds_what_the_single_functions_return() -> None:
    generated, truth, source, masks = make_frames(0), make_frames(1), make_frames(2), make_masks()
    report = evaluate(generated, truth, source, "a prompt", masks, make_poses(), split="two noises")
    assert [result.name for result in report.results] == list(METRICS)
    assert {gap.name for gap in report.gaps} == LEARNED
    assert report.values["mae"] == pytest.approx(mean_absolute_error(generated, truth).mean(), rel=1e-14)
    assert report.values["psnr"] == pytest.approx(psnr(generated, truth).mean(), rel=1e-14)
    assert report.values["ssim"] == pytest.approx(ssim(generated, truth).mean(), rel=1e-14)
    assert report.values["flicker"] == pytest.approx(flicker(generated).mean(), rel=1e-14)
    expected = background_error(generated, source, masks.generated, masks.source).mean()
    assert report.values["background"] == pytest.approx(expected, rel=1e-14)
    assert (report.values["pck"], report.values["keypoint_error"]) == (1, 0)
    assert (report.frames, report.height, report.width) == (5, 36, 40)


def test_missing_networks_are_gaps_with_a_reason_and_a_remedy_and_never_numbers() -> None:
    report = evaluate(
        make_frames(0), make_frames(1), prompt="x", metrics=["fvd", "fid_vid", "ta", "tc", "lpips_alexnet"]
    )
    gaps = {gap.name: gap for gap in report.gaps}
    assert report.values == {}
    assert "i3d" in gaps["fvd"].remedy
    assert "resnet3d" in gaps["fid_vid"].remedy
    assert gaps["ta"].reason == gaps["tc"].reason == "no CLIP model was given"
    assert "eym models fetch lpips-alexnet" in gaps["lpips_alexnet"].reason


def test_missing_inputs_are_gaps_where_the_metric_was_asked_for() -> None:
    report = evaluate(make_frames(0), metrics=["psnr", "background", "flicker"])
    assert [type(result) for result in report.results] == [MetricGap, MetricGap, MetricValue]
    assert report.gaps[0] == MetricGap("psnr", "needs truth", "give truth")
    assert report.gaps[1].reason == "needs source and masks"


def test_what_one_metric_stumbles_over_does_not_stop_the_others() -> None:
    report = evaluate(make_frames(0, 2), make_frames(1, 2), metrics=["flicker", "psnr"])
    assert report.gaps[0].name == "flicker"
    assert "at least 3 frames" in report.gaps[0].reason
    assert "psnr" in report.values


def test_frames_with_nothing_to_measure_are_left_out_and_counted() -> None:
    masks = make_masks()
    masks.generated[3] = True
    report = evaluate(make_frames(0), source=make_frames(1), masks=masks, metrics=["background"])
    (value,) = report.results
    assert isinstance(value, MetricValue)
    assert value.count == 4
    assert value.notes == ("1 of 5 frames had nothing to measure",)
    expected = background_error(make_frames(0), make_frames(1), masks.generated, masks.source)
    assert value.value == pytest.approx(np.nanmean(expected))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_learned_metrics_are_measured_where_their_networks_are(tmp_path: Path) -> None:
    class Means(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=[3, 4]).mean(dim=2)

    archive = tmp_path / "features.pt"
    torch.jit.trace(Means(), torch.zeros(1, 3, 16, 8, 8)).save(str(archive))
    networks = FeatureNetworks(i3d=archive, resnet3d=archive)
    darker, lighter = np.full((18, 36, 40, 3), 90, np.uint8), np.full((20, 36, 40, 3), 140, np.uint8)
    report = evaluate(darker, lighter, metrics=["fvd", "fid_vid"], networks=networks)
    fvd, fid_vid = report.results
    assert isinstance(fvd, MetricValue)
    assert isinstance(fid_vid, MetricValue)
    assert (fvd.count, fid_vid.of) == (3, "clips")
    assert fvd.value == pytest.approx(3 * (50 / 127.5) ** 2, rel=1e-5)
    assert fid_vid.value == pytest.approx(3 * 50**2, rel=1e-5)
    assert fvd.notes[0] == "weights: features.pt"
    assert "3 clips for 3 feature dimensions" in fvd.notes[1]


def test_streams_and_batches_give_the_same_report_as_an_array() -> None:
    generated, truth = make_frames(0, 9), make_frames(1, 9)
    whole = evaluate(generated, truth)
    streamed = evaluate(FrameStream(lambda: (frame[None] for frame in generated)), np.split(truth, [2, 7]))
    assert streamed == whole


def test_resizing_to_the_truth_is_asked_for_and_stands_in_the_report() -> None:
    generated, truth = make_frames(0, 3, 20, 30), make_frames(1, 3)
    with pytest.raises(VideoError, match="3 frames of 30x20 as generated, got 3 of 40x36"):
        evaluate(generated, truth)
    report = evaluate(generated, truth, resize_to_truth=True)
    assert (report.height, report.measured_height, report.measured_width) == (20, 36, 40)
    assert report.values["mae"] == pytest.approx(mean_absolute_error(resize_frames(generated, 36, 40), truth).mean())


def test_reports_survive_json_infinities_included(tmp_path: Path) -> None:
    report = evaluate(make_frames(0), make_frames(0), metrics=["psnr", "mae", "fvd"], prompt="Zoë", split="itself")
    assert math.isinf(report.values["psnr"])
    report.save(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert Report.from_json(text) == report
    assert (
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["results"][0]["value"] == "inf"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": [{"name": "psnr"}]}'])
def test_other_documents_are_not_reports(text: str) -> None:
    with pytest.raises(InputError, match="expected a report"):
        Report.from_json(text)


def test_unusable_requests_give_one_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"expected metrics out of l1, mae.*; got psnrr"):
        evaluate(make_frames(0), metrics=["psnrr"])
    with pytest.raises(ConfigError, match="stride of 1 frame or more"):
        evaluate(make_frames(0), stride=0)
    with pytest.raises(InputError, match="wrap its opening in `FrameStream`"):
        evaluate(iter([make_frames(0)]))
    with pytest.raises(VideoError, match="at least one frame"):
        evaluate([])


def test_the_bar_advances_once_for_each_frame_of_each_metric() -> None:
    steps: dict[str, int] = {}

    class Bar:
        @contextmanager
        def phase(self, name: str, total: int):
            assert total == 5
            steps[name] = 0

            def advance() -> None:
                steps[name] += 1

            yield advance

    evaluate(make_frames(0), make_frames(1), metrics=["psnr", "flicker"], phase=Bar().phase)
    assert steps == {"psnr": 5, "flicker": 5}


def test_every_metric_states_its_convention_and_all_is_public_names() -> None:
    assert all(metric.convention and metric.name == name for name, metric in METRICS.items())
    assert sorted(metrics_package.__all__) == sorted(set(metrics_package.__all__))
    assert all(hasattr(metrics_package, name) for name in metrics_package.__all__)
