"""The sweep: each cell is what a run of its own gives, at the cost of what cells do not share; optimum; plot."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from edit_your_motion.benchmark import cells, prefix_tuning
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.benchmark.paired.run import load_cell, run_paired
from edit_your_motion.benchmark.prefix_tuning import PrefixTuning
from edit_your_motion.benchmark.sweep.run import Grid, name_cell, published_grid, run_sweep
from edit_your_motion.benchmark.sweep.summary import describe_optimum, write_sweep
from edit_your_motion.benchmark.sweep.surface import load_grid, measured_everywhere, survey
from edit_your_motion.benchmark.sweep.surface_plot import _ticks, draw_surface
from edit_your_motion.config import EditConfig, merge, parse_config
from edit_your_motion.edit import tune_person
from edit_your_motion.errors import ConfigError, InputError
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.executors.local import Local
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.runtime.progress import Advance, SilentProgress
from edit_your_motion.tuning.loop import Tuning, tune
from synthetic_clip import film
from test_benchmark_paired import Upright, short_config, write_cell
from tiny_judges import stub_lpips
from tiny_network import load_network, random_clip, scheduler, short_tuning

pytestmark = pytest.mark.law

SILENT = SilentProgress()
GRID = Grid((1, 3), (2, 3))
PAIR = (PAIRS["15-dance_b"],)
FAST = {"learning_rate": 1e-2}


@dataclass
class Counting:
    """Counts the steps of each phase."""

    steps: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        def advance() -> None:
            short = name.rsplit(": ", 1)[-1]
            self.steps[short] = self.steps.get(short, 0) + 1

        yield advance


@pytest.fixture(autouse=True)
def upright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "open_backend", lambda people: Upright())


@pytest.fixture(scope="module")
def config(checkpoints: Path) -> PairedConfig:
    """Steps so large that a single one shows in the frames."""
    short = short_config(checkpoints, share=1.0)
    tuning = {"tuning": {"motion": FAST, "appearance": FAST}}
    return short.model_copy(update={"edit": parse_config(EditConfig, merge(short.edit.model_dump(), tuning))})


def run(folder: Path, config: PairedConfig, progress: Any = SILENT) -> list:
    return run_sweep(folder, config, progress, grid=GRID, pairs=PAIR, lpips=stub_lpips())


@pytest.fixture(scope="module")
def sweep(config: PairedConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counting]:
    """The whole grid on one pair; left as it is."""
    folder, counting = tmp_path_factory.mktemp("sweep"), Counting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "open_backend", lambda people: Upright())
        assert run(folder, config, counting) == []
    return folder, counting


@pytest.mark.parametrize("executor", [InProcess(), pytest.param(Local([{}] * 2), marks=pytest.mark.slow)])
def test_an_executor_makes_the_same_sweep(
    sweep: tuple[Path, Counting], config: PairedConfig, tmp_path: Path, executor: InProcess | Local
) -> None:
    folder, _ = sweep
    failures = run_sweep(tmp_path, config, SILENT, grid=GRID, pairs=PAIR, lpips=stub_lpips(), executor=executor)
    assert failures == []
    assert not (tmp_path / "unfinished").exists()
    for method in GRID.methods:
        ours, theirs = (place / method.name / PAIR[0].name for place in (tmp_path, folder))
        assert (ours / "edited.mp4").read_bytes() == (theirs / "edited.mp4").read_bytes()
        same = [name for name in load_cell(theirs).scores if isinstance(executor, InProcess) or "pck" not in name]
        assert {name: load_cell(ours).scores[name] for name in same if "keypoint" not in name} == {
            name: load_cell(theirs).scores[name] for name in same if "keypoint" not in name
        }


def test_the_papers_grid_is_the_default() -> None:
    assert published_grid() == Grid((100, 200, 300, 400), (100, 200, 300, 400))


@pytest.mark.parametrize("counts", [(), (0, 1), (2, 1), (1, 1)])
def test_counts_that_are_no_grid_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="stage 2 as ascending"):
        Grid((1,), counts)


def test_every_cell_is_bit_for_bit_what_a_run_of_its_own_gives(
    sweep: tuple[Path, Counting], config: PairedConfig, tmp_path: Path
) -> None:
    folder, _ = sweep
    for method in reversed(GRID.methods):
        alone = tmp_path / method.name
        assert run_paired(alone, config, SILENT, methods=[method], pairs=PAIR, lpips=stub_lpips()) == []
        ours, theirs = (place / method.name / PAIR[0].name for place in (folder, alone))
        assert load_cell(ours).scores == load_cell(theirs).scores
        assert load_cell(ours).request == load_cell(theirs).request
        for name in ("edited.mp4", "config.yaml"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    psnrs = [load_cell(folder / method.name / PAIR[0].name).scores["psnr"] for method in GRID.methods]
    assert len(set(psnrs)) == len(psnrs), "the cells differ, or the law above would say nothing"


def test_the_grid_costs_one_first_stage_and_a_second_stage_from_each_of_its_counts(
    sweep: tuple[Path, Counting],
) -> None:
    folder, counting = sweep
    assert counting.steps["tune, stage 1"] == max(GRID.motion)
    assert counting.steps["tune, stage 2"] == len(GRID.motion) * max(GRID.appearance)
    assert counting.steps["sample"] == len(GRID.cells)
    assert not (folder / "unfinished").exists()


def test_persons_are_the_same_to_the_bit_in_any_order(checkpoints: Path, tmp_path: Path, config: PairedConfig) -> None:
    backbone = Backbone.load(config.edit.model, config.edit.runtime)
    clip, tuned = film(2), PrefixTuning(tmp_path)
    for first, second in ((2, 1), (1, 1), (1, 2), (1, 2)):
        counts = {"motion": {"iterations": first}, "appearance": {"iterations": second}}
        changed = parse_config(EditConfig, config.edit.model_dump(), {"tuning": counts, "prompt": "a box"}).for_tuning()
        shared, alone = tuned(backbone, clip, changed, SILENT), tune_person(backbone, clip, changed, SILENT)
        assert shared.losses == alone.losses
        assert len(alone.losses) == first + second
        assert shared.parameters.keys() == alone.parameters.keys()
        assert all(torch.equal(value, alone.parameters[name]) for name, value in shared.parameters.items())
        assert torch.equal(shared.noise, alone.noise)


def test_a_checkpoint_that_went_further_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    clip, path, config = random_clip(frames=2, lh=4, lw=8), tmp_path / "checkpoint.safetensors", short_tuning(2)
    tune(load_network(checkpoints), clip, scheduler(checkpoints), Tuning(config, checkpoint=path))
    shorter = config.model_copy(update={"appearance": config.appearance.model_copy(update={"iterations": 1})})
    with pytest.raises(ConfigError, match="2 iterations in stage 2, more than the 1 asked for"):
        tune(load_network(checkpoints), clip, scheduler(checkpoints), Tuning(shorter, checkpoint=path))


def test_a_beginning_of_another_source_is_thrown_away(tmp_path: Path, config: PairedConfig) -> None:
    backbone = Backbone.load(config.edit.model, config.edit.runtime)
    one = {"motion": {"iterations": 1}, "appearance": {"iterations": 1}}
    changed = parse_config(EditConfig, config.edit.model_dump(), {"tuning": one}).for_tuning()
    for frames in (2, 3):
        PrefixTuning(tmp_path)(backbone, film(frames), changed, SILENT)
        assert len(list(tmp_path.iterdir())) == 1


def test_it_goes_on_after_an_interruption_to_the_same_cells(
    sweep: tuple[Path, Counting], config: PairedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    calls = []

    def killed(*given: Any, **rest: Any) -> Any:
        calls.append(given)
        person = tune_person(*given, **rest)
        if len(calls) == 3:
            raise KilledError
        return person

    with monkeypatch.context() as patch:
        patch.setattr(prefix_tuning, "tune_person", killed)
        with pytest.raises(KilledError):
            run(tmp_path, config)
    finished = sorted(path.parent.parent.name for path in tmp_path.glob("*/*/scores.json"))
    assert finished == ["1-2", "1-3"]
    counting = Counting()
    assert run(tmp_path, config, counting) == []
    assert "tune, stage 1" not in counting.steps, "stage 1 was over when it was killed, and is not run again"
    assert counting.steps["tune, stage 2"] == max(GRID.appearance) - min(GRID.appearance)
    for cell in GRID.cells:
        ours, whole = (place / name_cell(cell) / PAIR[0].name / "edited.mp4" for place in (tmp_path, sweep[0]))
        assert ours.read_bytes() == whole.read_bytes()


def test_what_would_make_counts_untrue_is_refused(config: PairedConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share of 1"):
        run(tmp_path, config.model_copy(update={"share": 0.5}))
    stopping = {"tuning": {"early_stopping": {"enabled": True}}}
    edit = parse_config(EditConfig, config.edit.model_dump(), stopping)
    with pytest.raises(ConfigError, match="early-stopping"):
        run(tmp_path, config.model_copy(update={"edit": edit}))


def write_grid(folder: Path, means: dict[str, float], spread: float = 1.0, pairs: int = 9) -> None:
    """Cells whose pairs differ far more from each other than cells do."""
    noise = np.random.default_rng(0).normal(0, spread, (pairs, len(means)))
    for index in range(pairs):
        for (cell, mean), off in zip(means.items(), noise[index], strict=True):
            psnr = mean + 7 * (index - (pairs - 1) / 2) + float(off)
            write_cell(folder, cell, f"pair{index}", psnr=psnr, lpips=0.5)


MEANS = {"100-100": 20.0, "100-200": 21.0, "200-100": 22.5, "200-200": 22.4}


def test_the_optimum_is_found_by_pairs(tmp_path: Path) -> None:
    write_grid(tmp_path, MEANS, spread=0.3)
    surface = survey(load_grid(tmp_path))
    assert surface.grid == Grid((100, 200), (100, 200))
    assert surface.best == (200, 100)
    assert len(surface.pairs) == 9
    assert sum(surface.best_shares.values()) == pytest.approx(1)
    assert surface.best_shares[200, 100] > 0.5 > surface.best_shares[200, 200] > 0
    assert surface.best_shares[100, 100] == 0
    assert set(surface.as_good) == {(200, 100), (200, 200)}
    behind = surface.behind_best[100, 200]
    values = {counts: [cell.scores["psnr"] for cell in cells] for counts, cells in load_grid(tmp_path).items()}
    assert behind.difference == pytest.approx(np.mean(values[100, 200]) - np.mean(values[200, 100]))
    assert behind.interval.high < 0
    assert surface.cells[100, 100].interval.high - surface.cells[100, 100].interval.low > 10, "pairs differ far more"
    text = describe_optimum(surface)
    assert "Best at 200 + 100" in text
    assert "200 + 200" in text.partition("Not to be told")[2]
    assert "100 + 200" not in text.partition("Not to be told")[2]


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    for cell, value in (("1-1", 0.4), ("1-2", 0.2)):
        for pair in ("a", "b"):
            write_cell(tmp_path, cell, pair, lpips=value)
    surface = survey(load_grid(tmp_path), "lpips")
    assert surface.best == (1, 2)
    assert surface.best_shares == {(1, 1): 0.0, (1, 2): 1.0}


def test_unfinished_grids_are_surveyed_over_what_they_share(tmp_path: Path) -> None:
    write_grid(tmp_path, MEANS, pairs=4)
    shutil.rmtree(tmp_path / "200-200")
    shutil.rmtree(tmp_path / "100-100" / "pair3")
    surface = survey(load_grid(tmp_path))
    assert surface.pairs == ("pair0", "pair1", "pair2")
    assert (200, 200) not in surface.cells
    assert measured_everywhere(load_grid(tmp_path)) == ["psnr", "lpips"]
    with pytest.raises(ConfigError, match="out of psnr, lpips; got 'ssim'"):
        survey(load_grid(tmp_path), "ssim")
    ElementTree.fromstring(draw_surface(surface))


def test_no_sweep_and_a_mixed_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        load_grid(tmp_path)
    write_grid(tmp_path, MEANS, pairs=2)
    path = tmp_path / "100-100" / "pair0" / "scores.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "base": "another"}))
    with pytest.raises(InputError, match="got several"):
        load_grid(tmp_path)


def test_the_plot_shows_every_cell(tmp_path: Path) -> None:
    write_grid(tmp_path, MEANS, spread=0.3)
    surface = survey(load_grid(tmp_path))
    root = ElementTree.fromstring(draw_surface(surface))
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    for counts, estimate in surface.cells.items():
        assert f"{estimate.value:.2f}" in texts, counts
    assert len(list(root.iter(f"{space}polyline"))) == len(surface.grid.motion)
    assert len(list(root.iter(f"{space}circle"))) == len(surface.cells)
    blues = {
        float(element.get("x") or 0): element.get("fill") or ""
        for element in root.iter(f"{space}rect")
        if (element.get("fill") or "").startswith("rgb")
    }
    assert len(set(blues.values())) > 1


@pytest.mark.parametrize(("low", "high"), [(21.72, 24.2), (0.279, 0.303), (-3.0, 400.0), (1.0, 1.0), (0.0, 1e-5)])
def test_ticks_are_few_round_numbers_in_between(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 1 <= len(ticks) <= 6
    assert len(ticks) > 1 or low == high
    assert all(low <= tick * (1 + 1e-12) and tick <= high * (1 + 1e-12) for tick in ticks)
    digits = [f"{tick:.6g}".replace(".", "").strip("-0").split("e")[0] for tick in ticks if low < high]
    assert all(len(each) <= 4 for each in digits)


def test_writing_a_sweep(tmp_path: Path) -> None:
    write_grid(tmp_path, MEANS)
    surfaces = write_sweep(tmp_path)
    assert [surface.metric for surface in surfaces] == ["psnr", "lpips"]
    text = (tmp_path / "sweep.md").read_text()
    assert "| stage 1 \\ stage 2 | 100 | 200 |" in text
    assert "**22." in text
    assert "Preset and base not recorded." in text
    for name in ("psnr", "lpips"):
        ElementTree.parse(tmp_path / f"surface-{name}.svg")
    document = json.loads((tmp_path / "sweep.json").read_text())
    (psnr,) = [each for each in document if each["metric"] == "psnr"]
    assert len(psnr["cells"]) == 4
    assert sum(cell["best_share"] for cell in psnr["cells"]) == pytest.approx(1)
