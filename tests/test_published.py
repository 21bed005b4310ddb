from pathlib import Path

import pytest

from edit_your_motion.datasets.split import load_split
from edit_your_motion.errors import ConfigError
from edit_your_motion.metrics import METRICS
from edit_your_motion.metrics.published import load_published

OURS = "Edit-Your-Motion"


def test_the_tables_hold_what_the_papers_prose_repeats() -> None:
    """Sections IV.C and IV.D: independent of the tables, as the prose states these numbers and rankings itself."""
    tables = load_published()
    assert list(tables) == ["II", "III", "IV", "V", "VI"]
    assert tables["VI"].value("MotionEditor", "study_text") == 76.43
    assert tables["VI"].value("Tune-A-Video", "study_content") == 82.15
    assert tables["VI"].value("MotionDirector", "study_motion") == 86.18
    sweep = tables["V"]
    best = max((cell, row, column.name) for row, cells in sweep.rows.items()
               for cell, column in zip(cells, sweep.columns, strict=True))  # fmt: skip
    assert best[1:] == ("300", "300")
    assert best[0] == tables["III"].value(OURS, "psnr")


@pytest.mark.parametrize(
    ("table", "first"),
    [("II", {"l1", "ssim", "lpips", "fid_vid"}), ("III", {"l1", "psnr", "ssim", "lpips", "fid_vid", "fvd"}),
     ("VI", {"ta", "tc", "lpips_n", "lpips_s"})],
)  # fmt: skip
def test_the_method_leads_where_the_paper_says_so(table: str, first: set[str]) -> None:
    published = load_published()[table]
    leads = set()
    for column in published.columns:
        cells = {row: published.value(row, column.name) for row in published.rows}
        if cells[OURS] is not None:
            best = min if column.better == "lower" else max
            there = {row: cell for row, cell in cells.items() if cell is not None}
            if best(there, key=there.__getitem__) == OURS:
                leads.add(column.name)
    assert leads == first


def test_ablations_agree_with_the_papers_remarks_and_unreadable_cells_are_empty() -> None:
    ablation = load_published()["IV"]
    assert min(ablation.rows, key=lambda row: ablation.value(row, "psnr") or 0) == "w/o STL"
    assert max(ablation.rows, key=lambda row: ablation.value(row, "lpips") or 0) == "w/o MA"
    assert ablation.value("w/o RCA", "fvd") is None
    assert ablation.rows[OURS] == tuple(load_published()["III"].value(OURS, c.name) for c in ablation.columns)


def test_every_column_stands_beside_a_metric_of_the_same_direction() -> None:
    for table in load_published().values():
        assert table.note
        for column in table.columns:
            if column.metric is not None:
                assert METRICS[column.metric].better == column.better


def test_a_cell_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match="got 'Ours' and 'psnr'"):
        load_published()["II"].value("Ours", "psnr")


def test_the_tiktok_split_says_where_it_comes_from() -> None:
    split = load_split("tiktok")
    assert split.clips == tuple(str(number) for number in range(335, 341))
    assert "Not exactly the list" in split.origin


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clips: [335, 336]\nname: a\ndataset: b\norigin: c", "numbers of clips in quotes"),
        ("clips: ['1', '1']\nname: a\ndataset: b\norigin: c", "each once"),
        ("name: a", "exactly name, dataset, origin and clips"),
        ("- 1", "exactly name"),
        ("clips: ['1']\nname: a\ndataset: b\norigin: c\nextra: d", "exactly name"),
        ("clips: [", "expected a split in YAML"),
    ],
)
def test_files_that_are_no_splits_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_split(path)


def test_a_file_can_be_a_split_and_an_absent_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("clips: ['7']\nname: mine\ndataset: b\norigin: me\n")
    assert load_split(path).clips == ("7",)
    with pytest.raises(ConfigError, match="expected the split 'tiktok' or a YAML file"):
        load_split("absent")
