"""The ablation: its methods, the AnimateDiff backbone, differences with their verdicts, named gaps."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from edit_your_motion.benchmark import cells
from edit_your_motion.benchmark.cells import load_cell
from edit_your_motion.benchmark.methods.catalogue import METHODS, choose_methods, group_by_backbone, scale_tuning
from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.benchmark.paired.run import run_paired
from edit_your_motion.benchmark.paired.summary import OURS, summarise
from edit_your_motion.benchmark.tables.ablation import (
    DECISIONS,
    PARTS,
    choose_ablations,
    compare_ablations,
    format_ablation,
    judge,
    write_ablation,
)
from edit_your_motion.benchmark.tables.tables import plain
from edit_your_motion.config import EditConfig, parse_config
from edit_your_motion.edit import tune_person
from edit_your_motion.errors import ConfigError
from edit_your_motion.metrics import Interval, PairedDifference
from edit_your_motion.metrics.published import load_published
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.runtime.progress import SilentProgress
from synthetic_clip import film
from test_benchmark_paired import Upright, short_config, write_cell
from tiny_judges import stub_lpips

SILENT = SilentProgress()
PAIR = (PAIRS["15-dance_b"],)


@pytest.fixture(autouse=True)
def upright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "open_backend", lambda people: Upright())


def with_adapter(config: Any, checkpoints: Path) -> Any:
    model = config.edit.model.model_copy(update={"motion_adapter": str(checkpoints / "adapter")})
    return config.model_copy(update={"edit": config.edit.model_copy(update={"model": model})})


def test_every_row_of_the_papers_ablation_is_a_method() -> None:
    names = {plain(method.name) for method in choose_ablations()}
    assert {plain(row) for row in load_published()["IV"].rows} <= names
    assert {"withoutprompt", "animatediff"} <= names, "Fig. 9"
    assert len(DECISIONS) == 3
    assert all(name in METHODS for name in (*PARTS, *DECISIONS))


def test_the_adapter_goes_to_the_method_that_is_made_of_it_and_to_no_other(caplog: pytest.LogCaptureFixture) -> None:
    without = EditConfig()
    given = parse_config(EditConfig, {"model": {"motion_adapter": "adapter"}})
    ((plain_config, able),) = group_by_backbone(METHODS.values(), without)
    assert plain_config == without
    assert {method.name for method in METHODS.values()} - {method.name for method in able} == {"animatediff"}
    assert "animatediff is left out: it needs an AnimateDiff adapter" in caplog.text
    (base, plain_methods), (adapted, adapted_methods) = group_by_backbone(METHODS.values(), given)
    assert plain_methods == able
    assert [method.name for method in adapted_methods] == ["animatediff"]
    assert (base.model.motion_adapter, adapted.model.motion_adapter) == (None, "adapter")
    assert METHODS[OURS].configure(given) == without
    assert METHODS["animatediff"].configure(given) == given
    with pytest.raises(ConfigError, match="motion-adapter"):
        METHODS["animatediff"].configure(without)


def test_the_first_stage_trains_the_adapter(checkpoints: Path) -> None:
    config = with_adapter(short_config(checkpoints), checkpoints).edit
    method = scale_tuning(METHODS["animatediff"].configure(config), 1e-6)
    backbone = Backbone.load(config.model, config.runtime)
    before = {name: value.clone() for name, value in backbone.base.motion_adapter.state_dict().items()}
    person = tune_person(backbone, film(2), method.for_tuning(), SILENT)
    adapted = [name for name in person.parameters if name.startswith("motion_adapter.")]
    assert adapted
    assert not any("attn_temp" in name for name in person.parameters)
    moved = [name for name in adapted if not torch.equal(person.parameters[name], before[name[15:]])]
    assert len(moved) > len(adapted) / 2
    assert all(torch.equal(value, before[name]) for name, value in backbone.base.motion_adapter.state_dict().items())


def test_an_adapter_adds_its_row_and_changes_no_other(
    checkpoints: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, methods = short_config(checkpoints), choose_methods([OURS, "animatediff"])

    def run(given: Any) -> list:
        return run_paired(tmp_path, given, SILENT, methods=methods, pairs=PAIR, lpips=stub_lpips())

    with caplog.at_level(logging.WARNING):
        assert run(config) == []
    assert "animatediff is left out" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {OURS, "pairs"}
    before = (tmp_path / OURS / PAIR[0].name / "scores.json").stat().st_mtime_ns
    assert run(with_adapter(config, checkpoints)) == []
    assert (tmp_path / OURS / PAIR[0].name / "scores.json").stat().st_mtime_ns == before
    cells = [load_cell(tmp_path / name / PAIR[0].name) for name in (OURS, "animatediff")]
    assert cells[0].request["benchmark"] == cells[1].request["benchmark"]
    assert cells[0].scores["psnr"] != cells[1].scores["psnr"]
    assert {method.name for method in summarise(tmp_path).methods} == {OURS, "animatediff"}


@pytest.mark.parametrize(
    ("metric", "low", "high", "clips", "verdict"),
    [("psnr", -2, -1, 9, "worse"), ("psnr", 1, 2, 9, "better"), ("lpips", 0.1, 0.2, 9, "worse"),
     ("lpips", -0.2, -0.1, 9, "better"), ("psnr", -1, 1, 9, "open"), ("psnr", 1, 2, 7, "open")],
)  # fmt: skip
def test_a_verdict_needs_enough_pairs_and_an_interval_on_one_side(
    metric: str, low: float, high: float, clips: int, verdict: str
) -> None:
    interval = Interval(float(low), float(high), 0.95)
    assert judge(metric, PairedDifference((low + high) / 2, interval, clips)) == verdict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(9):
        pair = f"pair{index}"
        write_cell(tmp_path, OURS, pair, psnr=25.0 + index, flicker=2.0)
        write_cell(tmp_path, "without-rca", pair, psnr=24.0 + 1.01 * index, flicker=2.0 + (-1) ** index)
        write_cell(tmp_path, "paper-alignment", pair, psnr=23.0 + index, flicker=1.0 - index / 100)
    write_cell(tmp_path, "without-ma", "pair0", psnr=20.0)
    failure = tmp_path / "without-stl" / "pair0"
    failure.mkdir(parents=True)
    content = {"pair": "pair0", "method": "without-stl", "error": "memory ran out"}
    (failure / "failure.json").write_text(json.dumps(content))
    return tmp_path


def test_differences_say_what_a_part_is_worth(folder: Path) -> None:
    ablation = compare_ablations(folder, summarise(folder))
    found = {each.method: each for each in ablation.comparisons}
    assert list(found) == ["without-rca", "paper-alignment"]
    rca = found["without-rca"]
    assert rca.differences["psnr"].difference == pytest.approx(-0.96)
    assert rca.verdicts == {"psnr": "worse", "flicker": "open"}
    assert found["paper-alignment"].verdicts == {"psnr": "worse", "flicker": "better"}


def test_what_was_not_run_is_a_gap_with_its_command(folder: Path) -> None:
    gaps = {gap.name: gap for gap in compare_ablations(folder, summarise(folder)).gaps}
    assert gaps.keys() == {*PARTS, *DECISIONS} - {"without-rca", "paper-alignment"}
    assert "memory ran out" in gaps["without-stl"].reason
    assert "fewer than two pairs" in gaps["without-ma"].reason
    assert gaps["without-prompt"].reason == "not run"
    assert "adapter" in gaps["animatediff"].reason
    assert gaps["animatediff"].remedy == f"eym ablate {folder} --edit.model.motion-adapter ADAPTER"
    assert all(gap.remedy.startswith(f"eym ablate {folder}") for gap in gaps.values())


def test_the_page_has_the_papers_numbers_and_words(folder: Path) -> None:
    ablation = compare_ablations(folder, summarise(folder))
    text = format_ablation(ablation)
    for row, values in load_published()["IV"].rows.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
        assert all(f"{value:g}" in line for value in values if value is not None)
    assert "worse in psnr; " not in text.partition("- without-rca")[2].partition("\n")[0]
    assert "worse in psnr." in text.partition("- without-rca")[2].partition("\n")[0]
    assert "**-0.96 [" in text
    write_ablation(folder, ablation)
    assert (folder / "ablation.md").read_text() == text
    document = json.loads((folder / "ablation.json").read_text())
    assert document["comparisons"][0]["verdicts"] == {"psnr": "worse", "flicker": "open"}
