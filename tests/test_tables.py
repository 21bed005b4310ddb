"""Tables II to VI: the paper's numbers, ours, gaps with commands, every number traced; Markdown, LaTeX, JSON, HTML."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from cyclopts.exceptions import CycloptsError

from edit_your_motion.benchmark.cells import load_cell
from edit_your_motion.benchmark.methods.catalogue import METHODS
from edit_your_motion.benchmark.tables.files import JSON, LATEX, MARKDOWN, PAGE, TRACE, write_tables
from edit_your_motion.benchmark.tables.formats import escape_tex, format_number
from edit_your_motion.benchmark.tables.measured import read_measured
from edit_your_motion.benchmark.tables.study_scores import read_study
from edit_your_motion.benchmark.tables.tables import (
    Findings,
    Number,
    Printed,
    Table,
    build_tables,
    find_best,
    find_gaps,
    plain,
    read_findings,
)
from edit_your_motion.cli import app
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import METRICS, MetricGap, MetricValue, Report, bootstrap_mean
from edit_your_motion.metrics.published import load_published

PAIRS = [f"pair{index}" for index in range(9)]
COUNTS = ("100", "200")


def write_cell(folder: Path, method: str, clip: str, scores: dict[str, float], **settings: Any) -> None:
    cell = folder / method / clip
    cell.mkdir(parents=True)
    (cell / "config.yaml").write_text("prompt: a person\n")
    content = {
        "pair": clip, "method": method, "description": "a method", "scores": scores, "gaps": {"lpips": "no weights"},
        "phases": {}, "device": "cpu", "base": "b4se", "version": "1",
        "request": {
            "benchmark": {"frames": 8, "size": 64, **settings},
            "config": {"runtime": {"seed": 7}},
        },
    }  # fmt: skip
    traced = {"commit": "c0mm17", "seed": 7, "created": "2026-11-22T10:00:00+00:00"}
    old = method == "controlnet"  # cells from before traces were recorded
    (cell / "scores.json").write_text(json.dumps({**content, **({} if old else traced)}))


def psnr_of(method: str, index: int) -> float:
    return 20.0 + len(method) / 10 + index + (index * len(method)) % 3


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "paired <&> 50%_#1"
    for method in ("truth", "source", "controlnet", "tune-a-video", "edit-your-motion", "without-rca", "own & new"):
        for index, pair in enumerate(PAIRS):
            write_cell(folder, method, pair, {"psnr": psnr_of(method, index), "mae": 8.0, "ssim": 0.7, "lpips": 0.25})
    (folder / "overview.png").write_bytes(b"picture")
    (folder / "sheets").mkdir()
    (folder / "sheets" / "pair0.png").write_bytes(b"picture")
    return folder


@pytest.fixture(scope="module")
def tiktok(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "tiktok"
    settings = {"dataset": "tiktok", "split": "IDs 335-340, not the literature's list", "size": "64x96", "frames": 16}
    for method in ("edit-your-motion", "champ"):
        for clip in ("335", "336"):
            write_cell(folder, method, clip, {"l1": 3e-4, "psnr": 21.5, "lpips_vgg16_unit_range": 0.2}, **settings)
    distance = MetricValue("fvd", 321.5, "lower", METRICS["fvd"].convention, 2, "clips")
    gap = MetricGap("fid_vid", "no resnet3d weights were given", "give --networks.resnet3d")
    content = {"cases": ["335", "336"], "results": [vars(distance), vars(gap)]}
    (folder / "edit-your-motion" / "pooled.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "sweep"
    for first in COUNTS:
        for second in (*COUNTS, "250"):
            for index, pair in enumerate(PAIRS):
                if (first, second) != ("200", "250"):
                    write_cell(folder, f"{first}-{second}", pair, {"psnr": int(first) / 100 + int(second) / 90 + index})
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "study"
    folder.mkdir()
    scores = [
        {
            "method": "tune-a-video", "question": question, "score": share,
            "interval": None if share is None else {"low": share - 0.1, "high": share + 0.1, "confidence": 0.95},
            "participants": 11,
        }
        for question, share in (("text", 0.8125), ("content", None))
    ]  # fmt: skip
    everybody, unmarked = {"participants": 11, "scores": scores}, {"participants": 9, "scores": []}
    (folder / "report.json").write_text(json.dumps({"title": "Which?", "everybody": everybody, "unmarked": unmarked}))
    return folder


@pytest.fixture(scope="module")
def findings(paired: Path, tiktok: Path, sweep: Path, study: Path) -> Findings:
    return read_findings([paired, tiktok, sweep, study])


@pytest.fixture(scope="module")
def written(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Table, ...]]:
    folder = tmp_path_factory.mktemp("tables")
    return folder, write_tables(folder, findings)


def cell(tables: tuple[Table, ...], name: str, group: str, row: str, column: str) -> Any:
    (table,) = (table for table in tables if table.name == name)
    (rows,) = (each.rows for each in table.groups if each.title == group)
    (found,) = (each for each in rows if each.label == row)
    return found.cells[[each.name for each in table.columns].index(column)]


def numbers_of(tables: tuple[Table, ...]) -> list[Number]:
    rows = (row for table in tables for group in table.groups for row in group.rows)
    return [cell for row in rows for cell in row.cells if isinstance(cell, Number)]


def test_every_published_number_is_there(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    texts = [(folder / name).read_text() for name in (MARKDOWN, LATEX, PAGE)]
    for published in load_published().values():
        for row in published.rows:
            for column in published.columns:
                value = published.value(row, column.name)
                assert cell(tables, published.name, "The paper", row, column.name) == Printed(value)
                if value is not None and value >= 1e-3:
                    assert all(format_number(value) in text for text in texts)


def test_our_numbers_are_means_over_clips_with_their_intervals(written: tuple[Path, tuple[Table, ...]]) -> None:
    _, tables = written
    number = cell(tables, "III", "Here: paired <&> 50%_#1", "Edit-Your-Motion", "psnr")
    values = np.array([psnr_of("edit-your-motion", index) for index in range(len(PAIRS))])
    assert number.value == pytest.approx(values.mean())
    assert number.interval == bootstrap_mean(values)
    assert (number.count, number.metric) == (len(PAIRS), "psnr")
    assert cell(tables, "III", "Here: paired <&> 50%_#1", "Edit-Your-Motion", "l1").value == pytest.approx(8 / 64**2)
    assert cell(tables, "IV", "Here: paired <&> 50%_#1", "w/o RCA", "psnr").count == len(PAIRS)
    assert cell(tables, "V", "Here: sweep", "200", "100").value == pytest.approx(2 + 100 / 90 + 4)
    assert cell(tables, "VI", "Here: Which?", "Tune-A-Video", "study_text").value == pytest.approx(81.25)
    distance = cell(tables, "II", "Here: tiktok", "Edit-Your-Motion", "fvd")
    assert (distance.value, distance.interval, distance.count) == (321.5, None, 2)
    assert cell(tables, "II", "Here: tiktok", "Champ", "psnr").value == 21.5


def test_every_number_leads_to_files_that_exist(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    document = json.loads((folder / JSON).read_text())
    measured = [
        cell
        for table in document["tables"]
        for group in table["groups"]
        for row in group["rows"]
        for cell in row["cells"]
        if cell and cell["kind"] == "measured"
    ]
    assert len(measured) == len(numbers_of(tables)) > 30
    for each in measured:
        assert each["runs"] or (folder / each["report"]).is_file()
        assert len(each["runs"]) in (0, each["count"])
        for name in each["runs"]:
            run = document["runs"][name]
            assert (folder / run["folder"] / "scores.json").is_file()
            assert (folder / run["config"]).is_file()
            assert run["seed"] == 7
            assert run["commit"] == (None if "controlnet" in name else "c0mm17")
    trace = (folder / TRACE).read_text()
    for way in re.findall(r"\]\(<([^>]+)>\)", trace.replace("paired <&>", "paired @@")):
        assert (folder / way.replace("paired @@", "paired <&>")).exists() or "@@" in way
    assert trace.count("c0mm17") >= len(PAIRS)


def test_gaps_are_named_with_a_command_that_the_program_knows(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    gaps = [gap for table in (*tables, *build_tables(Findings())) for gap in find_gaps(table)]
    assert len(gaps) > 15
    for gap in gaps:
        assert gap.reason
        program, *tokens = shlex.split(gap.remedy)
        assert program == "eym"
        try:
            command, _, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"{gap.remedy}: {error}")
        assert command.__name__ in tokens or tokens[0] in ("benchmark", "study")
    absent = cell(tables, "III", "Here: paired <&> 50%_#1", "MagicAnimate", "psnr")
    assert "--external magic-animate=" in absent.remedy
    adapter = cell(tables, "IV", "Here: paired <&> 50%_#1", "animatediff", "psnr")
    assert "AnimateDiff adapter" in adapter.reason
    assert "--edit.model.motion-adapter" in adapter.remedy
    clip = cell(tables, "VI", "Here: paired <&> 50%_#1", "Tune-A-Video", "ta")
    assert "--networks.clip" in clip.remedy
    assert "no resnet3d weights" in cell(tables, "II", "Here: tiktok", "Edit-Your-Motion", "fid_vid").reason
    assert isinstance(cell(tables, "V", "Here: sweep", "200", "250"), MetricGap)
    assert isinstance(cell(tables, "VI", "Here: Which?", "Tune-A-Video", "study_content"), MetricGap)
    for name in (MARKDOWN, LATEX, PAGE):
        text = (folder / name).read_text()
        assert "AnimateDiff adapter" in text


def test_nothing_given_is_all_gaps_and_the_papers_numbers() -> None:
    tables = build_tables(Findings())
    assert [table.name for table in tables] == ["II", "III", "IV", "V", "VI"]
    assert numbers_of(tables) == []
    assert all(find_gaps(table) for table in tables)
    assert any("eym sweep" in gap.remedy for gap in find_gaps(tables[3]))


def test_a_stand_in_is_marked_and_gives_way_to_the_columns_own(paired: Path, tmp_path: Path) -> None:
    measured = read_measured(paired)
    (lpips,) = (column for column in load_published()["III"].columns if column.name == "lpips")
    assert measured.column(lpips) == "lpips"
    (table,) = (each for each in build_tables(Findings((measured,))) if each.name == "III")
    assert any("stand-in for `lpips_vgg16_unit_range`" in note for note in table.groups[1].notes)

    folder = tmp_path / "evaluated"
    for method in ("source", "edit-your-motion"):
        write_cell(folder, method, "a", {"psnr": 20.0, "lpips": 0.3})
        report = Report((MetricValue("lpips_vgg16_unit_range", 0.5, "lower", "", 8, "frames"),
                         MetricValue("psnr", 9.0, "higher", "", 8, "frames"),
                         MetricGap("ta", "no CLIP was given", "give one")), 8, 64, 64, 64, 64)  # fmt: skip
        place = folder / method / "evaluation"
        place.mkdir()
        report.save(place / "report.json")
    again = read_measured(folder)
    assert again.column(lpips) == "lpips_vgg16_unit_range"
    tables = build_tables(Findings((again,)))
    number = cell(tables, "III", "Here: evaluated", "Edit-Your-Motion", "lpips")
    assert (number.value, number.report) == (0.5, folder / "edit-your-motion" / "evaluation" / "report.json")
    assert cell(tables, "III", "Here: evaluated", "Edit-Your-Motion", "psnr").value == 20.0, "the cell's own wins"
    assert cell(tables, "VI", "Here: evaluated", "Edit-Your-Motion", "ta").reason == "no CLIP was given"


def test_an_evaluation_older_than_its_clips_is_left_out(tmp_path: Path) -> None:
    for pair in ("a", "b"):
        write_cell(tmp_path, "edit-your-motion", pair, {"psnr": 20.0})
    place = tmp_path / "edit-your-motion" / "evaluation"
    (place / "clips").mkdir(parents=True)
    for pair in ("a", "b"):
        Report((MetricValue("tc", 0.9, "higher", "", 7, "pairs of frames"),), 8, 64, 64, 64, 64).save(
            place / "clips" / f"{pair}.json"
        )
    for created, there in (("2026-11-22T11:00:00+00:00", True), ("2026-11-22T09:00:00+00:00", False)):
        (place / "report.json").write_text(json.dumps({"summary": [], "created": created}))
        method = read_measured(tmp_path).methods["edit-your-motion"]
        assert ("tc" in method.scores) == there
        assert ("tc" in method.gaps) != there


def test_clips_frames_size_and_split_stand_beside_the_numbers(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, _ = written
    for name in (MARKDOWN, PAGE):
        text = (folder / name).read_text()
        assert "9 clips, 8 frames, 64x64; split: 9 of the held-out pairs" in text
        assert re.search("2 clips, 16 frames, 64x96; split: IDs 335-340, not the literature.{1,6}s list", text)
        assert "too narrow to be trusted below 8 clips" in text
        assert METRICS["l1"].convention.split("|")[0] in text


def test_the_best_of_a_group_is_marked(written: tuple[Path, tuple[Table, ...]]) -> None:
    _, tables = written
    (third,) = (table for table in tables if table.name == "III")
    paper = third.groups[0]
    best = {(paper.rows[row].label, third.columns[column].name) for row, column in find_best(third, paper)}
    assert best == {("Edit-Your-Motion", column.name) for column in third.columns}
    (fifth,) = (table for table in tables if table.name == "V")
    ((row, column),) = find_best(fifth, fifth.groups[0])
    assert (fifth.groups[0].rows[row].label, fifth.columns[column].name) == ("300", "300")
    (sixth,) = (table for table in tables if table.name == "VI")
    assert all(not sixth.columns[column].name.startswith("study") for _, column in find_best(sixth, sixth.groups[0]))


class Page(HTMLParser):
    """Checks that every element is closed, and collects addresses, anchors and cells."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        self.anchors += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    text = (folder / PAGE).read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.tags.count("svg") > 0
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert len(set(page.anchors)) == len(page.anchors)
    for address in page.addresses:
        assert "//" not in address
        if address.startswith("#"):
            assert address[1:] in page.anchors
        else:
            assert (folder / unquote(address)).exists()
    assert any(address.endswith("overview.png") for address in page.addresses)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "the name of SVG is no link"
    assert "paired <&>" not in text
    assert "own & new" not in text
    numbers = len(numbers_of(tables))
    assert text.count('class="measured" title="') == numbers
    assert "seed 7; commit c0mm17" in text


def test_latex_is_balanced_and_escaped(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    text = (folder / LATEX).read_text()
    for name in re.findall(r"\\begin\{(.+?)\}", text):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
    bare = re.sub(r"\\[\\{}%&#$_]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))
    depth = 0
    for letter in bare:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[%#]", bare)
    outside = re.sub(r"\$[^$]*\$", "", bare)
    assert not re.search(r"[_^~]", outside)
    assert text.isascii() or set(re.sub(r"[\x00-\x7f]", "", text)) <= set("äöüß")
    for body, table in zip(re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL), tables, strict=True):
        for line in body.replace(r"\&", "").splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert line.count("&") == len(table.columns)


def test_escaping_leaves_nothing_that_tex_would_read() -> None:
    assert escape_tex("a_b & 50% {#1} ~^\\ <x>") == (
        r"a\_b \& 50\% \{\#1\} \textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}x\textgreater{}"
    )


def test_numbers_are_written_as_the_paper_writes_them() -> None:
    assert [format_number(value) for value in (2.81e-5, 0.8131, 23.034, 562.341, 0.0, -1.5)] == [
        "2.81e-5", "0.813", "23.03", "562.34", "0.000", "-1.500",
    ]  # fmt: skip


def test_markdown_rows_have_as_many_cells_as_columns(written: tuple[Path, tuple[Table, ...]]) -> None:
    folder, tables = written
    for part, table in zip((folder / MARKDOWN).read_text().split("\n## ")[1:], tables, strict=True):
        rows = [line for line in part.splitlines() if line.startswith("|")]
        assert {row.count("|") for row in rows} == {len(table.columns) + 2}
        assert len(rows) == 2 + sum(len(group.rows) + 1 for group in table.groups)


def test_a_papers_method_is_found_in_any_spelling() -> None:
    assert plain("w/o RCA") == plain("without-rca")
    names = {plain(name) for name in METHODS}
    assert {plain(name) for name in ("Edit-Your-Motion", "Tune-A-Video", "MotionEditor", "w/o MA", "w/o STL")} <= names


def test_what_is_nothing_of_ours_is_named(tmp_path: Path, paired: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        read_findings([tmp_path])
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(InputError, match="report"):
        read_findings([tmp_path])
    write_cell(tmp_path, "source", "a", {"psnr": 1.0})
    write_cell(tmp_path, "source", "b", {"psnr": 1.0}, size=32)
    with pytest.raises(InputError, match="one setting"):
        read_findings([tmp_path])
    assert isinstance(read_findings([paired]).measured[0].methods["truth"].runs["pair0"].seed, int)


def test_the_command_writes_all_files(paired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edit_your_motion.cli import main

    with pytest.raises(SystemExit) as exited:
        main(["tables", str(paired), "--output", str(tmp_path / "out")])
    assert exited.value.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {MARKDOWN, TRACE, LATEX, JSON, PAGE}
    assert "Table VI." in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        {"pair": ["a"]}, {"commit": 3.5}, {"created": [1]}, {"seed": "x"}, {"scores": {"psnr": 1e999}}, {"scores": [1]},
        {"request": {"config": []}}, {"request": {"config": {"runtime": 7}}}, {"request": {"benchmark": "x"}},
        {"more": 1}, {"phases": {"load": 3}}, {"notes": 3},
    ],
)  # fmt: skip
def test_a_damaged_cell_is_named(tmp_path: Path, damage: dict[str, Any]) -> None:
    write_cell(tmp_path, "source", PAIRS[0], {"psnr": 20.0})
    cell = tmp_path / "source" / PAIRS[0]
    assert load_cell(cell).scores == {"psnr": 20.0}
    path = cell / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}).replace("Infinity", "1e999"))
    with pytest.raises(InputError, match=r"expected the scores of a benchmark's cell at .*: delete it"):
        load_cell(cell)


def test_a_damaged_report_of_a_study_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    content = '{"title": "x", "everybody": {"scores": [], "participants": 1e999}, "unmarked": {"participants": 1}}'
    path.write_text(content)
    with pytest.raises(InputError, match="expected a report of 'eym study report'"):
        read_study(path)
    path.write_text(content.replace("1e999", "2"))
    assert read_study(path).marked == 1
