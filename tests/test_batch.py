"""Batches: what manifests say and where they are wrong; rows made once; persons tuned once; what is left on disk."""

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
import yaml

from edit_your_motion.batch import row_task, rows
from edit_your_motion.batch.contents import Tags, default_cache, find_local, localise
from edit_your_motion.batch.manifest import read_manifest
from edit_your_motion.batch.row_task import Workshop, is_done
from edit_your_motion.batch.rows import Row, plan_rows
from edit_your_motion.batch.run import run_batch
from edit_your_motion.batch.summary import Result, gather_results, to_page, write_summary
from edit_your_motion.cli import main
from edit_your_motion.errors import ConfigError, DiskFullError, InputError, ModelFileError
from edit_your_motion.executors.contract import Outcome
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.person_folder import is_person, read_preset
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.machines import name_machine
from edit_your_motion.storage.stores import LocalStore, RemoteStore, open_store
from synthetic_clip import film, write_clip

SILENT = SilentProgress()


def refuse(*arguments: object, **options: object) -> None:
    raise ModelFileError("no model files in this test")


@pytest.fixture(autouse=True)
def no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("people.preparation", "people.generated_frames"):
        monkeypatch.setattr(f"edit_your_motion.{module}.open_backend", refuse)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people and two motions, with all that nobody then has to find."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("anna", "ben", "jump", "walk")):
        (folder / name).mkdir()
        write_clip(folder / name, film(2, speed=2.0 + number, seed=number))
        (folder / name / "video.mp4").rename(folder / name / f"{name}.mp4")
    return folder


def shared(checkpoints: Path) -> dict[str, Any]:
    stage = {"iterations": 1, "learning_rate": 1e-3}
    return {
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "video": {"frames": 2, "size": "64"},
        "tuning": {"motion": stage, "appearance": stage, "gradient_checkpointing": False},
        "inversion": {"steps": 1},
        "sampling": {"steps": 1},
        "runtime": {"device": "cpu"},
    }


def entry(person: str, motion: str, **more: Any) -> dict[str, Any]:
    return {
        "source": f"{person}/{person}.mp4",
        "reference": f"{motion}/{motion}.mp4",
        "prompt": "a box walks",
        "people.keypoints": f"{person}/keypoints.json",
        "people.masks": f"{person}/masks",
        "people.reference_keypoints": f"{motion}/keypoints.json",
        **more,
    }


def plan(folder: Path, entries: list[dict[str, Any]], below: dict[str, Any] | None = None) -> list[Row]:
    manifest = folder / "rows.json"
    manifest.write_text(json.dumps(entries))
    return plan_rows(read_manifest(manifest), folder, [below or {}])


def make(planned: list[Row], output: Path | str, cache: Path) -> dict[str, str]:
    return run_batch(planned, Workshop(str(output), cache), InProcess(), SILENT)


@pytest.fixture
def tunings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The places of persons that were tuned, in order."""
    seen: list[Path] = []
    true = row_task.run_tune

    def count(config: Any, folder: Path, *rest: Any, **more: Any) -> Any:
        seen.append(folder)
        return true(config, folder, *rest, **more)

    monkeypatch.setattr(row_task, "run_tune", count)
    return seen


# What a manifest says


@pytest.mark.parametrize("suffix", ["csv", "semicolons", "tsv", "yaml", "nested", "jsonl", "json"])
def test_every_kind_of_manifest_says_the_same(tmp_path: Path, clips: Path, suffix: str) -> None:
    entries = [entry("anna", "jump", name="first", preset="fast", **{"sampling.steps": 7}), entry("ben", "walk")]
    columns = list(entries[0])
    delimiter = {"semicolons": ";", "tsv": "\t"}.get(suffix, ",")
    name = {"semicolons": "csv", "nested": "yaml"}.get(suffix, suffix)
    manifest = tmp_path / f"rows.{name}"
    if name in ("csv", "tsv"):
        with manifest.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, columns, delimiter=delimiter)
            writer.writeheader()
            writer.writerows(entries)
    elif name == "jsonl":
        manifest.write_text("\n".join(map(json.dumps, entries)) + "\n\n")
    elif name == "json":
        manifest.write_text(json.dumps(entries))
    else:
        if suffix == "nested":
            entries = [rows.nest(each) for each in entries]
        manifest.write_text(yaml.safe_dump(entries))
    first, second = plan_rows(read_manifest(manifest), clips)
    assert (first.name, first.preset, first.error) == ("first", "fast", None)
    config = first.choose(first.settings).config
    assert config.sampling.steps == 7
    assert config.source.path == str(clips / "anna" / "anna.mp4")
    assert config.people.reference_keypoints == clips / "jump" / "keypoints.json"
    assert second.name.startswith("ben-walk-")
    assert second.preset is None


def test_cells_hold_commas_lists_and_brackets_of_prompts(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "source,reference,prompt,model.lora\n"
        f'{clips}/anna/anna.mp4,{clips}/jump/jump.mp4,"[a man], ""tall""","[one.safetensors, two.safetensors:0.5]"\n'
    )
    (row,) = plan_rows(read_manifest(tmp_path / "rows.csv"), tmp_path)
    config = row.choose(row.settings).config
    assert config.prompt == '[a man], "tall"'
    assert config.model.lora == (str(tmp_path / "one.safetensors"), str(tmp_path / "two.safetensors:0.5"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sampling.stepz": 3}, "row 2, column sampling.stepz: no such setting"),
        ({"sampling": 3}, "row 2, column sampling: no such setting"),
        ({"sampling.steps": "many"}, "row 2, column sampling.steps: .*many"),
        ({"sampling.steps": 0}, "row 2, column sampling.steps"),
        ({"preset": "quick"}, "row 2, column preset: expected best, fast, paper, got 'quick'"),
        ({"prompt": ""}, "row 2, column prompt"),
        ({"source": None}, "row 2, column source"),
        ({"reference": None, "people.reference_keypoints": None}, "row 2, column reference"),
        ({"name": "../up"}, "row 2, column name"),
        ({"name": ".."}, "row 2, column name"),
        ({"name": "a/b"}, "row 2, column name"),
        ({"name": "One"}, "row 2, column name: it has the name 'One', as has rows.json, row 1"),
        ({"source.path": "x.mp4"}, "row 2, column source.path: it is given twice"),
        ({"name": ["a"]}, "row 2, column name: expected text"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(
    tmp_path: Path, clips: Path, change: dict[str, Any], problem: str
) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match=problem) as caught:
        plan(tmp_path, [entry("anna", "jump", name="one"), {**entry("anna", "walk"), **change}])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.txt", "", r"expected a manifest of \.csv"),
        ("rows.csv", "", "a row for each edit"),
        ("rows.csv", "source,prompt\n", "a row for each edit"),
        ("rows.csv", "source,source\na,b\n", "'source' twice"),
        ("rows.csv", "source,prompt\na,b,c\n", r"row 1 \(line 2\): expected 2 cells, got 3"),
        ("rows.csv", 'source,prompt\n"a,b\n', "line "),
        ("rows.csv", "source,model.lora\na," + "[" * 5000, "column model.lora: expected a list"),
        ("rows.csv", "source,model.lora\na,[!!timestamp x]", "column model.lora: expected a list"),
        ("rows.jsonl", '{"source": "a"}\n{"source"\n', "line 2"),
        ("rows.jsonl", "[1]\n", "line 1: expected values by column"),
        ("rows.yaml", "source: a\n", "expected a list of rows, got dict"),
        ("rows.yaml", "- [1, 2\n", "rows.yaml"),
        ("rows.json", "{", "rows.json"),
        ("rows.json", '[{"prompt": "a", "prompt": "b"}]', "expected each name once, got 'prompt' twice"),
        (
            "rows.jsonl",
            '{"source": "a"}\n{"prompt": "a", "prompt": "b"}\n',
            "line 2: expected each name once, got 'prompt'",
        ),
        ("rows.yaml", "- prompt: a\n  prompt: b\n", "expected each name once, got 'prompt' twice"),
        ("rows.csv", "source,,prompt\na,b,c\n", r"row 1 \(line 2\): expected a name over each column, .* over 'b'"),
        ("rows.csv", "source,promt\na,b\n", "column promt: no such setting; expected source, reference, prompt, name"),
        ("rows.csv", "source,prompt\na,caf\xe9\n".encode("latin-1"), "expected text in UTF-8, got .* save it as UTF-8"),
        ("rows.jsonl", '{"source": "a"}'.encode("utf-16"), "expected text in UTF-8"),
    ],
)
def test_manifests_that_are_none_are_refused(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=problem) as caught:
        list(read_manifest(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "source;reference;prompt\na.mp4;b.mp4;tall, dark\n",
        "\n\nsource;reference;prompt\n;;\na.mp4;b.mp4;tall, dark\n",
        "sep=;\nsource;reference;prompt\na.mp4;b.mp4;tall, dark\n",
        "\ufeffSEP=\t\r\nsource\treference\tprompt\t\t\r\na.mp4\tb.mp4\ttall, dark\t\t\r\n\t\t\t\t\r\n",
        "source,reference,prompt,,\na.mp4,b.mp4,'tall, dark',,,,\n".replace("'", '"'),
        " source , reference ,prompt, edit_prompt\na.mp4, b.mp4 ,'tall, dark'\n".replace("'", '"'),
        "source,reference,prompt\r a.mp4 ,b.mp4,'tall, dark'\r".replace("'", '"'),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.csv").write_bytes(text.encode())
    (row,) = read_manifest(tmp_path / "rows.csv")
    assert row.settings == {"source.path": "a.mp4", "reference.path": "b.mp4", "prompt": "tall, dark"}


def test_rows_in_yaml_share_settings_by_anchors(tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").write_text(
        "- &first\n  source: a.mp4\n  prompt: a\n  sampling: &few {steps: 3}\n"
        "- <<: *first\n  prompt: b\n- source: c.mp4\n  sampling: {<<: *few, guidance_scale: 2}\n"
    )
    assert [dict(row.settings) for row in read_manifest(tmp_path / "rows.yaml")] == [
        {"source.path": "a.mp4", "prompt": "a", "sampling.steps": 3},
        {"source.path": "a.mp4", "prompt": "b", "sampling.steps": 3},
        {"source.path": "c.mp4", "sampling.steps": 3, "sampling.guidance_scale": 2},
    ]


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        read_manifest(tmp_path / "rows.csv")


def test_the_same_row_twice_is_refused(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match="asks for the same as"):
        plan(tmp_path, [entry("anna", "jump"), entry("anna", "jump")])


def test_patterns_make_every_source_do_every_motion(clips: Path, tmp_path: Path) -> None:
    for place, names in (("people", ("anna", "ben")), ("motions", ("jump", "walk"))):
        (tmp_path / place).mkdir()
        for name in names:
            shutil.copy(clips / name / f"{name}.mp4", tmp_path / place)
    planned = plan(tmp_path, [{"source": "people/*.mp4", "reference": "motions/*.mp4", "prompt": "a", "name": "all"}])
    assert [row.name for row in planned] == ["all-anna-jump", "all-anna-walk", "all-ben-jump", "all-ben-walk"]
    assert len({row.person for row in planned}) == 2
    one = plan(tmp_path, [{"source": "people/anna.mp4", "reference": "motions/*.mp4", "prompt": "a"}])
    assert [row.name.rsplit("-", 1)[0] for row in one] == ["anna-jump", "anna-walk"]
    (missing,) = plan(tmp_path, [{"source": "people/*.mov", "reference": "motions/*.mp4", "prompt": "a"}])
    assert "matches nothing" in (missing.error or "")


def test_patterns_that_give_a_name_twice_say_which_files(clips: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        shutil.copytree(clips / "anna", tmp_path / folder)
    (tmp_path / "two" / "anna.mp4").write_bytes((clips / "ben" / "ben.mp4").read_bytes())
    wanted = {"source": "*/anna.mp4", "reference": str(clips / "jump" / "jump.mp4"), "prompt": "a"}
    with pytest.raises(ConfigError, match=r"row 1, .* 'n-anna-jump' to .*one/anna.mp4 .* and .*two/anna.mp4 .*empty"):
        plan(tmp_path, [{**wanted, "name": "n"}])
    assert len({row.name for row in plan(tmp_path, [wanted])}) == 2


def test_patterns_match_no_results(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    made = tmp_path / "batch" / "edits" / "a"
    made.mkdir(parents=True)
    shutil.copy(clips / "anna" / "anna.mp4", made / "edited.mp4")
    manifest = tmp_path / "rows.json"
    manifest.write_text(json.dumps([{"source": "**/*.mp4", "reference": "walk/walk.mp4", "prompt": "a"}]))
    found = plan_rows(read_manifest(manifest), tmp_path, results=str(tmp_path / "batch"))
    assert {Path(row.files["source.path"]).name for row in found} == {"anna.mp4", "ben.mp4", "jump.mp4", "walk.mp4"}


def test_patterns_make_a_bounded_number_of_rows(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_ROWS", 15)
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match="row 1: expected patterns to make at most 15 rows"):
        plan(tmp_path, [{"source": "*/*.mp4", "reference": "*/*.mp4", "prompt": "a"}])


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(clips: Path, tmp_path: Path) -> None:
    for place in ("clip[1].mp4", "clip1.mp4"):
        shutil.copy(clips / "anna" / "anna.mp4", tmp_path / place)
    (row,) = plan(tmp_path, [{"source": "clip[1].mp4", "reference": "clip1.mp4", "prompt": "a"}])
    assert row.files["source.path"] == str(tmp_path / "clip[1].mp4")


def test_names_and_persons_follow_contents_and_settings(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    first = plan(tmp_path, [entry("anna", "jump"), entry("anna", "walk"), entry("anna", "jump", edit_prompt="b")])
    assert len({row.person for row in first}) == 1
    assert len({row.name for row in first}) == 3
    shutil.copytree(tmp_path / "anna", tmp_path / "copy")
    moved = entry("anna", "jump", source="copy/anna.mp4", **{"people.keypoints": "copy/keypoints.json"})
    (again,) = plan(tmp_path, [moved])
    assert (again.name, again.person) == (first[0].name, first[0].person)
    (other,) = plan(tmp_path, [entry("anna", "jump", **{"tuning.motion.iterations": 5})])
    assert other.person != first[0].person
    shutil.copy(tmp_path / "ben" / "ben.mp4", tmp_path / "anna" / "anna.mp4")
    (changed,) = plan(tmp_path, [entry("anna", "jump")])
    assert changed.person != first[0].person
    assert changed.name != first[0].name


@pytest.mark.parametrize(
    "change",
    [
        {"people.reference_keypoints": "walk/keypoints.json"}, {"people.reference_person": 2}, {"video.sound": True},
        {"truth": "walk/walk.mp4"}, {"reference.duration": 0.2}, {"sampling.steps": 3}, {"edit_prompt": "b"},
    ],
)  # fmt: skip
def test_whatever_changes_an_edit_asks_for_another_one(clips: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    one, other = (plan(tmp_path, [entry("anna", "jump", **more)])[0] for more in ({}, change))
    assert one.request != other.request
    assert one.person == other.person


# What is made of it


@pytest.fixture(scope="module")
def batch(checkpoints: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], Path]:
    """Two rows that are done, one that cannot be; left as it is."""
    output = tmp_path_factory.mktemp("batch")
    truth = {"truth": "jump/jump.mp4"}
    entries = [
        entry("anna", "jump", name="a", **truth),
        entry("anna", "walk", name="b"),
    ]
    planned = plan(clips, [*entries, entry("anna", "walk", name="gone", source="nobody.mp4")], shared(checkpoints))
    with pytest.MonkeyPatch.context() as patch:
        for module in ("people.preparation", "people.generated_frames"):
            patch.setattr(f"edit_your_motion.{module}.open_backend", refuse)
        failures = make(planned, output, output / "cache")
    assert list(failures) == ["gone"]
    assert "nobody.mp4" in failures["gone"]
    return planned, output


def test_each_row_is_there_and_each_person_once(batch: tuple[list[Row], Path]) -> None:
    _, output = batch
    for name in ("a", "b"):
        files = {path.name for path in (output / "edits" / name).iterdir()}
        assert {"edited.mp4", "sheet.png", "run.json", "row.json", "log.txt", "config.yaml"} <= files
    (person,) = (output / "persons").iterdir()
    assert read_preset(person) == "paper"
    for record in ("edits/a/run.json", "edits/b/run.json", f"persons/{person.name}/run.json"):
        assert json.loads((output / record).read_text())["preset"] == "paper"
    assert not list(output.rglob("*lease*"))
    assert json.loads((output / "edits" / "gone" / "failure.json").read_text())["error"]


def test_the_summary_says_all_of_it(batch: tuple[list[Row], Path], tmp_path: Path) -> None:
    planned, output = batch
    write_summary(gather_results(planned, LocalStore(output)), LocalStore(tmp_path))
    with (tmp_path / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["name"], line["state"]) for line in lines] == [
        ("a", "done"), ("b", "done"), ("gone", "failed"),
    ]  # fmt: skip
    assert float(lines[0]["psnr"]) > 0
    assert lines[1]["psnr"] == ""
    assert "nobody.mp4" in lines[2]["error"]
    document = json.loads((tmp_path / "summary.json").read_text())
    assert [each["person"] for each in document[:2]] == [planned[0].person] * 2
    page = (tmp_path / "index.html").read_text()
    assert page.count("<img ") == 2
    assert "<script" not in page
    for name in ("a", "b"):
        assert f'src="edits/{name}/sheet.png"' in page
        assert (output / "edits" / name / "sheet.png").is_file()


@pytest.mark.parametrize("record", [[], {"phases": 3}, {"phases": {"tuning": {}}}, {"scores": {"edited": "x"}}])
def test_an_edit_whose_record_is_damaged_stops_no_summary(tmp_path: Path, clips: Path, record: object) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    rows, store = plan(tmp_path, [entry("anna", "jump", name="one")]), LocalStore(tmp_path / "batch")
    store.write("edits/one/row.json", json.dumps({"request": rows[0].request}).encode())
    store.write("edits/one/run.json", json.dumps(record).encode())
    (result,) = gather_results(rows, store)
    assert result.state == "done"
    assert result.scores == {}
    assert "run.json of this edit is damaged" in result.warnings[0]
    write_summary([result], store)


def test_a_name_that_no_file_can_have_fails_its_row(tmp_path: Path, clips: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    bad, good = plan(tmp_path, [{**entry("anna", "jump", name="one"), "source": "x" * 300}, entry("anna", "walk")])
    assert "nothing there" in (bad.error or "")
    assert good.error is None


def test_what_others_wrote_is_text_on_the_page() -> None:
    evil = '<img src=x onerror="alert(1)">&'
    fields = {"source": evil, "reference": evil, "person": "p", "seconds": 1.0, "scores": {"psnr": 1.0}}
    done = Result(name=evil, state="done", prompt=evil, folder=f"edits/{evil}", warnings=(evil,), **fields)
    page = to_page([done, Result(name=evil, state="failed", prompt=evil, folder="x", error=evil, **fields)])
    assert "<img src=x" not in page
    assert "onerror=" not in page.replace("onerror=&quot;", "").replace("onerror%3D", "")


def test_a_person_is_the_same_whichever_row_tunes_them(checkpoints: Path, clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "anna", tmp_path / "copy")
    copied = {"source": "copy/anna.mp4", "people.keypoints": "copy/keypoints.json", "people.masks": "copy/masks"}
    own = {"video.frames": 1, "source.frames": 2, "runtime.channels_last": True, "tuning.checkpoint_every": 9}
    entries = [
        entry("anna", "jump", name="first"),
        entry("anna", "walk", name="second", preset="paper", **own, **copied),
        entry("anna", "walk", name="third", **{"people.reference_person": 1, "video.sound": True}),
    ]
    planned = plan(tmp_path, entries, shared(checkpoints))
    assert len({row.person for row in planned}) == 1
    left = []
    for row in planned:
        output = tmp_path / f"by-{row.name}"
        assert make([row], output, tmp_path / "cache") == {}
        (person,) = (output / "persons").iterdir()
        files = {path.relative_to(person): path.read_bytes() for path in person.rglob("*") if path.is_file()}
        record = json.loads(files.pop(Path("run.json")))
        left.append((files, record["config"], record["preset"]))
    assert left[0] == left[1] == left[2]
    told = left[0][0][Path("config.yaml")].decode()
    assert "jump/" not in told
    assert "walk/" not in told


def test_what_is_there_is_not_made_again(
    batch: tuple[list[Row], Path], tmp_path: Path, tunings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, output = batch
    again = Path(shutil.copytree(output, tmp_path / "again"))
    monkeypatch.setattr(row_task, "run_apply", refuse)
    assert list(make(planned, again, tmp_path / "cache")) == ["gone"]
    assert tunings == []


@pytest.mark.parametrize("gone", ["row.json", "edited.mp4", "sheet.png", "run.json"])
def test_what_is_missing_is_made_and_the_person_is_still_known(
    batch: tuple[list[Row], Path], tmp_path: Path, tunings: list[Path], gone: str
) -> None:
    planned, output = batch
    again = Path(shutil.copytree(output, tmp_path / "again"))
    (again / "edits" / "b" / "edited.mp4").write_bytes(
        b"half"
    )  # as if it had been killed just before, without its mark
    (again / "edits" / "b" / gone).unlink()
    assert [result.state for result in gather_results(planned, LocalStore(again))] == ["done", "missing", "failed"]
    make(planned, again, tmp_path / "cache")
    assert tunings == []
    ours, theirs = (place / "edits" / "b" / "edited.mp4" for place in (again, output))
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_a_killed_worker_left_beside_a_person_goes(
    batch: tuple[list[Row], Path], tmp_path: Path, tunings: list[Path]
) -> None:
    """It was killed when the person was there, and its unfinished state, its lock and its lease still were."""
    planned, output = batch
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    persons = copy / "persons"
    there = sorted(path.name for path in persons.iterdir())
    person = next(path for path in persons.iterdir() if is_person(path))
    state = persons / f"{person.name}.unfinished"
    state.mkdir()
    (state / "tuning.safetensors").write_bytes(b"much")
    (persons / f".{person.name}.lock").touch()
    gone = {"machine": name_machine(), "process": 1 << 22, "begun": 0.0}
    (persons / f"{person.name}.lease-000001").write_text(json.dumps(gone))
    for path in (copy / "edits").iterdir():
        (path / "row.json").unlink(missing_ok=True)
    assert list(make(planned, copy, tmp_path / "cache")) == ["gone"]
    assert sorted(path.name for path in persons.iterdir()) == there
    assert tunings == []


def test_a_row_of_other_settings_under_the_same_name_is_made_anew(
    batch: tuple[list[Row], Path], checkpoints: Path, clips: Path, tmp_path: Path, tunings: list[Path]
) -> None:
    _, output = batch
    again = Path(shutil.copytree(output, tmp_path / "again"))
    changed = plan(clips, [entry("anna", "walk", name="b", **{"sampling.steps": 2})], shared(checkpoints))
    assert not is_done(LocalStore(again), changed[0])
    assert make(changed, again, tmp_path / "cache") == {}
    assert is_done(LocalStore(again), changed[0])
    assert tunings == []
    record = json.loads((again / "edits" / "b" / "run.json").read_text())
    assert record["config"]["sampling"]["steps"] == 2


def test_another_manifest_replaces_no_results(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    (mine,) = plan(tmp_path, [entry("anna", "jump", name="a")])
    (changed,) = plan(tmp_path, [entry("anna", "walk", name="a")])
    store = LocalStore(tmp_path / "batch")
    mark = {"manifest": "/one/rows.csv", "request": mine.request}
    store.write("edits/a/row.json", json.dumps(mark).encode())

    def begin(row: Row, manifest: str) -> dict[str, str]:
        nothing = SimpleNamespace(run=lambda tasks: (Outcome(task.name, error="begun") for task in tasks))
        return run_batch([row], Workshop(str(store.root), manifest=manifest), nothing, SILENT)

    with pytest.raises(ConfigError, match=r"'a' is in .*batch already, as /one/rows.csv asked for it"):
        begin(changed, "/two/rows.csv")
    assert is_done(store, mine), "nothing is lost"
    assert begin(mine, "/two/rows.csv") == {}, "the same edit is there for both"
    assert begin(changed, "/one/rows.csv") == {"a": "begun"}, "a manifest may change its own rows"


def test_a_full_disk_costs_no_other_rows_outcome(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    planned = plan(tmp_path, [entry("anna", "jump", name="a"), entry("anna", "walk", name="b", source="nobody.mp4")])

    def fill(*_: object) -> None:
        raise DiskFullError("no room")

    monkeypatch.setattr(LocalStore, "write", fill)
    outcomes = SimpleNamespace(run=lambda tasks: (Outcome(task.name, error="no room") for task in tasks))
    failures = run_batch(planned, Workshop(str(tmp_path / "batch")), outcomes, SILENT)
    assert failures["a"] == "no room"
    assert "nobody.mp4" in failures["b"]
    assert "a: why it failed could not be kept: no room" in caplog.text


def test_a_failing_row_stops_nothing_and_is_tried_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(clips, [entry("anna", "jump", name="bad"), entry("anna", "walk", name="good")])
    calls: list[str] = []

    def stumble(person: Path, config: Any, folder: Path, *rest: Any, **more: Any) -> None:
        calls.append(folder.name)
        if folder.name == "bad":
            raise InputError("no video")
        if calls.count("good") == 1:
            raise RuntimeError("a bug")

    monkeypatch.setattr(row_task, "tune_once", lambda *arguments: tmp_path)
    monkeypatch.setattr(row_task, "run_apply", stumble)
    failures = make(planned, tmp_path / "out", tmp_path / "cache")
    assert failures == {"bad": "no video", "good": "unexpected RuntimeError: a bug"}
    for name, error in failures.items():
        assert json.loads((tmp_path / "out" / "edits" / name / "failure.json").read_text())["error"] == error
    assert make(planned, tmp_path / "out", tmp_path / "cache").keys() == {"bad"}
    assert not (tmp_path / "out" / "edits" / "good" / "failure.json").exists()
    make(planned, tmp_path / "out", tmp_path / "cache")
    assert calls == ["bad", "good", "bad", "good", "bad"]


def test_rows_of_different_people_come_before_the_second_of_any(clips: Path, tmp_path: Path) -> None:
    from edit_your_motion.batch.run import _spread

    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    entries = [
        entry(person, motion, name=f"{person}-{motion}") for person in ("anna", "ben") for motion in ("jump", "walk")
    ]
    assert [row.name for row in _spread(plan(tmp_path, entries))] == [
        "anna-jump", "ben-jump", "anna-walk", "ben-walk",
    ]  # fmt: skip


# Places that fsspec reaches


@pytest.fixture
def bucket() -> Iterator[str]:
    """A place in memory; it is gone after the test."""
    files = fsspec.filesystem("memory")
    yield "memory://bucket"
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def put(folder: Path, url: str) -> None:
    files, path = fsspec.core.url_to_fs(url)
    for file in folder.rglob("*"):
        if file.is_file():
            place = f"{path}/{file.relative_to(folder).as_posix()}"
            files.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
            files.put_file(str(file), place)


def test_a_batch_from_and_to_a_bucket_is_what_it_is_on_a_disk(
    batch: tuple[list[Row], Path], checkpoints: Path, clips: Path, tmp_path: Path, bucket: str, tunings: list[Path]
) -> None:
    _, output = batch
    put(clips, f"{bucket}/clips")
    each = entry("anna", "walk", name="b")
    each.update({name: f"{bucket}/clips/{place}" for name, place in each.items() if "/" in place})
    planned = plan(tmp_path, [each], shared(checkpoints))
    assert [row.error for row in planned] == [None]
    place = f"{bucket}/results"
    assert make(planned, place, tmp_path / "cache") == {}
    assert len(tunings) == 1
    store = open_store(place)
    assert store.read("edits/b/edited.mp4") == (output / "edits" / "b" / "edited.mp4").read_bytes()
    assert store.read("edits/b/run.json") is not None
    write_summary(gather_results(planned, store), store)
    assert b"<img " in (store.read("index.html") or b"")
    # Another machine, whose cache is empty, has nothing to do; and where a row is missing, nobody is tuned for it.
    assert make(planned, place, tmp_path / "other") == {}
    for gone in ("row.json", "sheet.png"):
        store.remove(f"edits/b/{gone}")
        assert make(planned, place, tmp_path / "other") == {}
        assert store.read(f"edits/b/{gone}") is not None
    assert len(tunings) == 1
    assert not [name for name in store.find("persons/") if "lease" in name]
    assert not list((tmp_path / "cache").rglob("edited.mp4")), "what was uploaded is no longer kept here"


def test_an_input_is_brought_once_and_again_when_it_changed(tmp_path: Path, bucket: str) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/a.mp4", b"one")
    url = f"{bucket}/a.mp4"
    first = localise(url, Tags().of(url), tmp_path)
    assert Path(first).read_bytes() == b"one"
    Path(first).write_bytes(b"kept")
    assert Path(localise(url, Tags().of(url), tmp_path)).read_bytes() == b"kept"
    files.pipe_file("/bucket/a.mp4", b"two!")
    assert Path(localise(url, Tags().of(url), tmp_path)).read_bytes() == b"two!"


def test_an_input_that_comes_incomplete_is_no_input(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/a.mp4", b"all of it")
    tag = Tags().of(f"{bucket}/a.mp4")
    true = type(files).find
    monkeypatch.setattr(
        type(files), "find", lambda *args, **options: {
            name: {**info, "size": info["size"] + 5} for name, info in true(*args, **options).items()
        },
    )  # fmt: skip
    with pytest.raises(InputError, match=r"came incomplete: expected 14 bytes of .*, got 9"):
        localise(f"{bucket}/a.mp4", tag, tmp_path)
    assert not list(tmp_path.rglob("a.mp4"))


def test_a_folder_appears_in_a_bucket_with_its_mark_last(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "edit"
    (folder / "deep").mkdir(parents=True)
    for name in ("row.json", "a", "z", "deep/b"):
        (folder / name).write_text(name)
    store = open_store(bucket)
    assert isinstance(store, RemoteStore)
    store.upload(folder, "edits/x", "row.json")
    put_file, told = store.files.put_file, []

    def fail_at_z(local: str, remote: str, **options: Any) -> None:
        told.append(Path(remote).name)
        if told[-1] == "z":
            raise OSError("the network is gone")
        put_file(local, remote, **options)

    monkeypatch.setattr(store.files, "put_file", fail_at_z)
    with pytest.raises(InputError, match="the network is gone"):
        store.upload(folder, "edits/x", "row.json")
    assert store.read("edits/x/row.json") is None, "of what was there before, nothing may look complete"
    monkeypatch.undo()
    store.upload(folder, "edits/x", "row.json")
    assert store.read("edits/x/deep/b") == b"deep/b"
    store.download("edits/x", tmp_path / "back")
    assert {path.name for path in (tmp_path / "back").rglob("*") if path.is_file()} == {"row.json", "a", "z", "b"}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memory://nowhere/a.mp4", "got nothing there"),
        ("gopher://a/b.mp4", "out of reach"),
        ("memory://x/*.mp4", "matches"),
    ],
)
def test_a_url_where_nothing_is_fails_its_row(tmp_path: Path, clips: Path, url: str, problem: str) -> None:
    (row,) = plan(tmp_path, [{"source": url, "reference": str(clips / "jump" / "jump.mp4"), "prompt": "a"}])
    assert problem in (row.error or "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/clips/a.b.mp4", "a.b.mp4"),
        ("https://host/clips/a.mp4?version=1/2#part", "a.mp4"),
        ("memory://[::1/a.mp4", "a.mp4"),
        ("gs://bucket/folder/", "folder"),
    ],
)
def test_what_is_brought_has_the_name_of_its_url(tmp_path: Path, url: str, name: str) -> None:
    assert find_local(url, 64 * "1", tmp_path).name == name


@pytest.mark.parametrize("place", ["source", "reference", "people.keypoints", "people.masks", "truth"])
def test_what_is_wrong_with_a_brought_file_is_told_of_its_url(
    checkpoints: Path, clips: Path, tmp_path: Path, bucket: str, place: str
) -> None:
    put(clips, f"{bucket}/clips")
    fsspec.filesystem("memory").pipe_file("/bucket/bad.mp4", b"neither a clip nor keypoints nor masks")
    each = entry("anna", "walk", name="b")
    each.update({name: f"{bucket}/clips/{part}" for name, part in each.items() if "/" in part})
    each[place] = f"{bucket}/bad.mp4"
    output = tmp_path / "out"
    (error,) = make(plan(tmp_path, [each], shared(checkpoints)), output, tmp_path / "cache").values()
    assert f"{bucket}/bad.mp4" in error
    told = [
        error,
        (output / "edits" / "b" / "failure.json").read_text(),
        (output / "edits" / "b" / "log.txt").read_text(),
    ]
    assert not any(str(tmp_path / "cache") in each for each in told)


def test_a_person_tuned_elsewhere_has_the_sound_of_the_source_here(
    checkpoints: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(row_task, "run_apply", lambda *_, source, **more: asked.append(source))
    monkeypatch.setattr(row_task, "tune_once", lambda *_: tmp_path)
    (row,) = plan(clips, [entry("anna", "walk", name="b")], shared(checkpoints))
    make([row], tmp_path / "out", tmp_path / "cache")
    assert asked == [str(clips / "anna" / "anna.mp4")]


# The command


def test_the_command_makes_reports_and_exits_by_it(
    batch: tuple[list[Row], Path], checkpoints: Path, clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In processes of its own: what it makes is what one process made."""
    _, output = batch
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    entries = [
        entry("anna", "jump", name="a", truth="jump/jump.mp4"),
        entry("ben", "jump", name="bad", source=str(bad)),
    ]
    (clips / "some.yaml").write_text(yaml.safe_dump(entries))
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(shared(checkpoints)))
    command = ["batch", str(clips / "some.yaml"), "--config", str(settings), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--cpus", "1"])
    said = capfd.readouterr()
    assert ended.value.code == 1
    assert "1 edit of 2 done" in said.out
    assert sum(line.startswith("bad (some.yaml, row 2) failed: ") for line in said.err.splitlines()) == 1
    ours, theirs = (place / "edits" / "a" / "edited.mp4" for place in (tmp_path / "out", output))
    assert ours.read_bytes() == theirs.read_bytes()
    assert (tmp_path / "out" / "summary.csv").is_file()
    assert (tmp_path / "out" / "index.html").is_file()


def test_what_was_made_before_an_interruption_can_be_looked_at(
    batch: tuple[list[Row], Path], checkpoints: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(row: Row, workshop: Workshop) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edit_your_motion.batch.run.make_row", stop)
    again = Path(shutil.copytree(batch[1], tmp_path / "again"))
    entries = [entry("anna", "jump", name="a", truth="jump/jump.mp4"), entry("anna", "walk", name="other")]
    (clips / "two.yaml").write_text(yaml.safe_dump(entries))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(shared(checkpoints)))
    command = ["batch", str(clips / "two.yaml"), "--config", str(tmp_path / "settings.yaml"), "--executor", "here"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--output", str(again)])
    assert ended.value.code == 130
    assert "1 done, 1 missing" in (again / "index.html").read_text()


def test_nothing_starts_where_a_setting_is_wrong(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "wrong.yaml").write_text(yaml.safe_dump([entry("anna", "jump"), entry("anna", "walk", steps=3)]))
    with pytest.raises(SystemExit) as ended:
        main(["batch", str(clips / "wrong.yaml"), "--output", str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "wrong.yaml, row 2, column steps: no such setting" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no such users")
def test_the_usual_cache_is_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYM_BATCH_CACHE", str(tmp_path / "mine"))
    assert default_cache() == tmp_path / "mine"
    monkeypatch.delenv("EYM_BATCH_CACHE")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert default_cache().stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    (tmp_path / "edit-your-motion-4711").mkdir()
    with pytest.raises(InputError, match="somebody else's"):
        default_cache()
