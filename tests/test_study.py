"""The user study: fair shuffles, answers that survive, honest marks, Eq. 18, and a server that gives nothing away."""

import csv
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml

from edit_your_motion.cli import main
from edit_your_motion.errors import ConfigError, InputError, MissingExtraError, VideoError
from edit_your_motion.metrics import preference_score
from edit_your_motion.study.answers import FILE, Answer, AnswerBook
from edit_your_motion.study.collection import Origins, find_origins
from edit_your_motion.study.definition import CLIPS, digest_file, load_study, paper_questions
from edit_your_motion.study.plan import SIDES, Side, plan_comparisons
from edit_your_motion.study.playback import add_clip, playable_as
from edit_your_motion.study.report import StudyReport, report_study, to_json, to_markdown
from edit_your_motion.study.suspicious import mark_participants
from edit_your_motion.study.table import Row, list_rows, read_table, write_table
from edit_your_motion.video import probe, write_video
from imagined_study import OURS, Chooser, answer_all, clip_name, imagine, prefer_ours, prefer_theirs
from study_site import CASES, THEIRS, Site, make_study, serving, write_clips

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture
def book(tmp_path: Path) -> AnswerBook:
    return AnswerBook(tmp_path / FILE, imagine(), make=True)


# The shuffle


def test_a_plan_comes_from_the_seed_alone() -> None:
    study = imagine()
    assert plan_comparisons(study, 7) == plan_comparisons(study, 7)
    imports = "from imagined_study import imagine\nfrom edit_your_motion.study.plan import *\n"
    code = f"print(plan_comparisons(imagine(), 7) == {plan_comparisons(study, 7)!r})"
    run = subprocess.run(
        [sys.executable, "-c", imports + code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
        env={"PYTHONHASHSEED": "123", "PATH": ""},
    )  # fmt: skip
    assert run.stdout == "True\n"
    assert plan_comparisons(study, 7) != plan_comparisons(study, 9)
    assert plan_comparisons(study, 7) != plan_comparisons(study.model_copy(update={"seed": 34}), 7)


@pytest.mark.parametrize(("cases", "methods"), [(1, 1), (5, 3), (4, 4), (7, 2)])
def test_everybody_sees_everything_once_with_ours_equally_often_on_either_side(cases: int, methods: int) -> None:
    study = imagine(cases, methods)
    for number in range(1, 31):
        plan = plan_comparisons(study, number)
        assert sorted((each.case, each.method) for each in plan) == sorted(study.comparisons)
        for seen in (plan, *([each for each in plan if each.method == method] for method in {e.method for e in plan})):
            left = sum(each.ours == "left" for each in seen)
            assert abs(2 * left - len(seen)) <= 1


def test_over_people_every_comparison_has_ours_equally_often_on_either_side_and_everywhere() -> None:
    study, sides, positions = imagine(), Counter(), Counter()
    for number in range(1, 401):
        for position, each in enumerate(plan_comparisons(study, number)):
            sides[each.case, each.method] += 1 if each.ours == "left" else -1
            positions[(each.case, each.method), position] += 1
    assert set(sides.values()) == {0}
    expected = 400 / 15
    statistic = sum((positions[each, at] - expected) ** 2 / expected for each in study.comparisons for at in range(15))
    assert statistic < 14 * 14 + 4 * (2 * 14 * 14) ** 0.5  # chi square: mean and four deviations


def test_where_people_see_only_some_all_are_seen_equally_often() -> None:
    study, seen = imagine(5, 3, comparisons_per_person=4), Counter()
    for number in range(1, 2 * 15 + 1):
        plan = plan_comparisons(study, number)
        assert len({(each.case, each.method) for each in plan}) == len(plan) == 4
        seen.update((each.case, each.method) for each in plan)
    assert set(seen.values()) == {2 * 4}


# Answers


def test_an_answer_takes_the_place_of_the_one_before(book: AnswerBook) -> None:
    participant = book.find(book.enrol("b"))
    assert participant is not None
    for choice, seconds in (("left", 9.0), ("left", 3.0), ("right", 2.0)):
        book.record(participant, 3, "motion", choice, seconds)
    (answer,) = book.answers(participant)
    assert (answer.choice, answer.changes, answer.seconds) == ("right", 1, 9.0)
    shown = book.comparisons_of(participant)[3]
    assert (answer.case, answer.method, answer.ours) == (shown.case, shown.method, shown.ours)


@pytest.mark.parametrize(("position", "question"), [(15, "text"), (-1, "text"), (0, "beauty")])
def test_what_was_not_asked_is_not_answered(book: AnswerBook, position: int, question: str) -> None:
    participant = book.find(book.enrol("b"))
    assert participant is not None
    with pytest.raises(InputError, match="asked"):
        book.record(participant, position, question, "left", 1.0)
    assert book.answers() == ()


def test_a_link_continues_where_it_was_and_no_other_opens_it(book: AnswerBook) -> None:
    token = book.enrol("b")
    first = book.find(token)
    assert first is not None
    book.record(first, 0, "text", "left", 5.0)
    again = AnswerBook(book.path, book.study)
    found = again.find(token)
    assert found == first
    assert again.comparisons_of(found) == plan_comparisons(book.study, 1)
    assert [answer.position for answer in again.answers(found)] == [0]
    assert all(again.find(other) is None for other in ("", token[:-1], "1", "%"))
    assert token.encode() not in b"".join(path.read_bytes() for path in book.path.parent.iterdir()), "only its digest"


def test_the_drawn_sides_stay_when_the_shuffle_of_a_later_version_differs(
    book: AnswerBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_all(book, prefer_ours, "b")
    monkeypatch.setattr("edit_your_motion.study.answers.plan_comparisons", lambda *_: pytest.fail("drawn anew"))
    assert all(row.answer.for_ours for row in list_rows(AnswerBook(book.path, book.study)))


def test_many_at_once_lose_nothing(book: AnswerBook) -> None:
    """Eight threads and two other processes, each with participants of their own."""
    code = (
        "import sys; from pathlib import Path; from imagined_study import *\n"
        "answer_all(AnswerBook(Path(sys.argv[1]), imagine()), prefer_ours, sys.argv[2])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(book.path), f"p{index}"], cwd=Path(__file__).parent)
        for index in range(2)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: answer_all(book, prefer_ours, f"t{index}"), range(8)))
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert [each.number for each in book.participants()] == list(range(1, 11))
    counts = Counter(answer.participant for answer in book.answers())
    assert counts == dict.fromkeys(range(1, 11), 45)
    with sqlite3.connect(book.path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_withdrawing_leaves_nothing_but_the_number(book: AnswerBook) -> None:
    token = book.enrol("somebody", "CODE-7")
    participant = book.find(token)
    assert participant is not None
    book.record(participant, 0, "text", "left", 5.0)
    book.withdraw(participant)
    (left,) = book.participants()
    assert (left.withdrawn, left.browser, left.code) == (True, "", None)
    assert book.answers() == () == book.comparisons_of(left) == list_rows(book)
    kept = b"".join(path.read_bytes() for path in book.path.parent.iterdir())
    assert b"CODE-7" not in kept, "not even in the file's free pages or in the log of changes"
    with pytest.raises(InputError):
        book.record(participant, 0, "text", "left", 5.0)
    assert answer_all(book, prefer_ours, "next").number == 2


def test_answers_to_other_questions_are_not_mixed_in(book: AnswerBook) -> None:
    for change in ({"seed": 1}, {"questions": paper_questions()[:2]}, {"comparisons_per_person": 3}):
        with pytest.raises(InputError, match="move the answers away"):
            AnswerBook(book.path, book.study.model_copy(update=change))
    AnswerBook(book.path, book.study.model_copy(update={"title": "Another", "thanks": "Bye"}))


def test_a_study_takes_no_more_than_it_may(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / FILE, imagine(most_participants=1), make=True)
    book.enrol("b")
    with pytest.raises(InputError, match="all the participants"):
        book.enrol("c")


def test_no_or_damaged_answers_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="eym study serve"):
        AnswerBook(tmp_path / FILE, imagine())
    (tmp_path / FILE).write_bytes(b"nothing like it" * 100)
    with pytest.raises(InputError, match="not a database"):
        AnswerBook(tmp_path / FILE, imagine())


def test_answers_that_name_no_study_are_refused(tmp_path: Path) -> None:
    AnswerBook(tmp_path / FILE, imagine(), make=True)
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute("DELETE FROM study")
    with pytest.raises(InputError, match="were given to another"):
        AnswerBook(tmp_path / FILE, imagine())


# Marks


def test_honest_people_are_not_marked_and_the_others_are(book: AnswerBook) -> None:
    answer_all(book, prefer_ours, "first", code="X")
    answer_all(book, prefer_theirs, "second")
    answer_all(book, prefer_ours, "first")  # the same browser
    answer_all(book, prefer_ours, "another", code="X")  # the same code
    answer_all(book, lambda method, ours: "left", "one-sided")
    answer_all(book, prefer_ours, "hasty", seconds=0.5)
    book.enrol("second")  # answered nothing, so repeats nothing
    book.enrol("late")
    answer_all(book, lambda method, ours: "right", "late", seconds=1)  # the first from "late" never answered
    marks = mark_participants(book.study, book.participants(), book.answers())
    assert marks == {
        1: (), 2: (), 3: ("duplicate",), 4: ("duplicate",), 5: ("one-side",), 6: ("too-fast",),
        9: ("one-side", "too-fast"),
    }  # fmt: skip
    assert Counter(answer.participant for answer in book.answers())[3] == 45, "marked, not deleted"


def test_few_answers_on_one_side_prove_nothing(book: AnswerBook) -> None:
    participant = book.find(book.enrol("b"))
    assert participant is not None
    for position in range(book.study.straight_line):
        (marks,) = mark_participants(book.study, [participant], book.answers()).values() or [()]
        assert marks == ()
        book.record(participant, position, "text", "left", 20.0)
    assert mark_participants(book.study, [participant], book.answers()) == {1: ("one-side",)}


# Report


def scores_of(report: StudyReport) -> dict[tuple[str, str], float | None]:
    return {(each.method, each.question): each.score for each in report.everybody.scores}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("choose", "score"), [(prefer_ours, 1.0), (prefer_theirs, 0.0)])
def test_sides_are_undone_whatever_the_shuffle(tmp_path: Path, seed: int, choose: Chooser, score: float) -> None:
    book = AnswerBook(tmp_path / FILE, imagine(seed=seed), make=True)
    for number in range(3):
        answer_all(book, choose, str(number))
    report = report_study(book.study, list_rows(book))
    assert set(scores_of(report).values()) == {score}
    assert {each.participants for each in report.everybody.scores} == {3}
    expected = preference_score(*((3, 0) if score else (0, 3))).interval
    assert {each.interval for each in report.everybody.scores} == {expected}, "agreement of three is no certainty"


def test_scores_are_eq_18_counted_by_hand(book: AnswerBook) -> None:
    random, counts = Random(1), Counter()

    def choose(method: str, ours: Side) -> Side:
        choice = random.choice(SIDES)
        counts[method, choice == ours] += 1
        return choice

    for number in range(12):
        answer_all(book, choose, str(number))
    report = report_study(book.study, list_rows(book))
    assert (report.everybody.participants, report.everybody.complete, report.everybody.answers) == (12, 12, 12 * 45)
    for method in {method for _, method in book.study.comparisons}:
        cells = [each for each in report.everybody.scores if each.method == method]
        assert sum(each.ours for each in cells) == counts[method, True]
        assert sum(each.theirs for each in cells) == counts[method, False]
        for each in cells:
            assert each.score == each.ours / (each.ours + each.theirs)
            assert each.interval is not None
            assert each.interval.low <= each.score <= each.interval.high
            assert each.ours + each.theirs == 12 * 5


def test_marked_people_are_left_out_beside(book: AnswerBook) -> None:
    for number in range(4):
        answer_all(book, prefer_ours, str(number))
    answer_all(book, prefer_theirs, "hasty", seconds=0)
    report = report_study(book.study, list_rows(book))
    assert set(scores_of(report).values()) == {0.8}
    assert {each.score for each in report.unmarked.scores} == {1.0}
    assert (report.everybody.participants, report.unmarked.participants) == (5, 4)
    assert report.marked == {"duplicate": 0, "one-side": 0, "too-fast": 1}
    text = to_markdown(report)
    assert "80.0 [" in text
    assert "100.0 [" in text
    assert "5 participants, 5 of them to the end" in text


def test_what_nobody_answered_is_a_gap_and_the_paper_stands_beside(tmp_path: Path) -> None:
    study = imagine(2, 2)
    cases = [
        case.model_copy(update={"results": dict(zip((OURS, *THEIRS), case.results.values(), strict=True))})
        for case in study.cases
    ]
    study = study.model_copy(update={"cases": tuple(cases)})
    book = AnswerBook(tmp_path / FILE, study, make=True)
    participant = book.find(book.enrol("b"))
    assert participant is not None
    position = [each.method for each in book.comparisons_of(participant)].index("MotionEditor")
    book.record(participant, position, "motion", "left", 9.0)
    report = report_study(study, list_rows(book))
    assert [each.score is None for each in report.everybody.scores] == [True, True, False, True, True, True]
    assert report.everybody.complete == 0
    assert [each.published for each in report.everybody.scores] == pytest.approx(
        [0.7643, 0.8238, 0.8095, 0.7881, 0.8215, 0.8405]  # Table VI of the paper
    )
    assert "no answers" in to_markdown(report)
    assert '"score": null' in to_json(report)
    with pytest.raises(InputError, match="no answers yet"):
        report_study(study, [])


def test_the_table_brings_everything_back(book: AnswerBook, tmp_path: Path) -> None:
    answer_all(book, prefer_ours, "a", code="Code_1")
    answer_all(book, lambda method, ours: "left", "a", seconds=1 / 3)
    rows = list_rows(book)
    write_table(tmp_path / "answers.csv", rows)
    assert read_table(tmp_path / "answers.csv") == rows
    with (tmp_path / "answers.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 90
    assert {line["preferred"] for line in lines[:45]} == {"ours"}
    assert {line["marks"] for line in lines[45:]} == {"duplicate one-side too-fast"}
    assert report_study(book.study, read_table(tmp_path / "answers.csv")) == report_study(book.study, rows)


@pytest.mark.parametrize("change", [("ours,choice", "ours,chosen"), (",left,", ",middle,"), ("20.0", "soon")])
def test_a_table_of_another_kind_is_refused(book: AnswerBook, tmp_path: Path, change: tuple[str, str]) -> None:
    answer_all(book, prefer_ours, "a")
    path = tmp_path / "answers.csv"
    write_table(path, list_rows(book))
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=r"answers\.csv"):
        read_table(path)


def test_a_table_of_another_study_is_refused(book: AnswerBook) -> None:
    answer = Answer(1, 0, "case 0", "unheard of", "text", "left", "left", 1.0, 0, "2026-01-01T00:00:00+00:00")
    with pytest.raises(InputError, match="unheard of"):
        report_study(book.study, [Row(answer, None, "33:1", (), 45)])


# Making a study


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Origins:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def made(origins: Origins, tmp_path: Path) -> Path:
    make_study(tmp_path / "study", origins)
    return tmp_path / "study"


def test_making_copies_what_browsers_play(made: Path, origins: Origins) -> None:
    study = load_study(made)
    originals = {digest_file(path) for path in origins.sources.parent.rglob("*.mp4")}
    assert {Path(name).stem for name in study.clips} == originals
    assert len(study.comparisons) == len(CASES) * len(THEIRS)
    assert [len(study.asked_of(case)) for case in study.cases] == [3, 3, 2], "without a prompt, nothing about it"
    assert [question.text for question in study.questions] == [
        "Which is more aligned to the text prompt?",
        "Which is more content aligned to the source video?",
        "Which is more motion aligned to the reference skeletons video?",
    ]


@pytest.mark.parametrize("kind", ["gif", "mkv", "folder", "png"])
def test_what_browsers_do_not_play_is_encoded(tmp_path: Path, kind: str) -> None:
    frames = np.zeros((1 if kind == "png" else 4, 32, 48, 3), np.uint8)
    for time, frame in enumerate(frames):  # each another: a GIF joins equal ones
        frame[:, 8 * time : 8 * time + 8] = 200
    path = tmp_path / ("clip" if kind in ("folder", "png") else f"clip.{kind}")
    write_video(path, frames, 8)
    path = next(path.iterdir()) if kind == "png" else path
    (tmp_path / "clips").mkdir()
    assert playable_as(path) is None
    added = tmp_path / "clips" / add_clip(path, tmp_path / "clips")
    assert playable_as(added) == "mp4"
    assert (probe(added).frames, probe(added).width, probe(added).height) == (len(frames), 48, 32)
    assert [each.name for each in (tmp_path / "clips").iterdir()] == [added.name]


def test_a_wrong_file_ends_the_making_without_a_trace(origins: Origins, tmp_path: Path) -> None:
    shutil.copytree(origins.sources, tmp_path / "sources")
    (tmp_path / "sources/kick.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"nonsense" * 50)
    with pytest.raises(VideoError, match=r"kick\.mp4"):
        make_study(tmp_path / "study", replace(origins, sources=tmp_path / "sources"))
    (tmp_path / "sources/kick.mp4").unlink()
    with pytest.raises(InputError, match="kick"):
        make_study(tmp_path / "study", replace(origins, sources=tmp_path / "sources"))
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_a_case_that_a_method_lacks_is_not_compared_with_it(origins: Origins, tmp_path: Path) -> None:
    shutil.copytree(origins.theirs["MotionEditor"], tmp_path / "theirs")
    (tmp_path / "theirs/jump.mp4").unlink()
    theirs = {**origins.theirs, "MotionEditor": tmp_path / "theirs"}
    study = make_study(tmp_path / "study", replace(origins, theirs=theirs))
    assert set(study.comparisons) == {(case, method) for case in CASES for method in THEIRS} - {
        ("jump", "MotionEditor")
    }


def edit_yaml(folder: Path, change: Callable[[dict], object]) -> None:
    values = yaml.safe_load((folder / "study.yaml").read_text())
    change(values)
    (folder / "study.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda study: study["cases"][0].update(source="../study.yaml"), "cases.0.source"),
        (lambda study: study["cases"][0].update(source="/etc/passwd"), "cases.0.source"),
        (lambda study: study["cases"][1]["results"].update({"=1+1": clip_name(1)}), "results"),
        (lambda study: study["cases"][1]["results"].pop(OURS), "in every case, kick"),
        (lambda study: study["cases"].append(study["cases"][0]), "different names"),
        (lambda study: study.update(questions=study["questions"][:1]), "wave have none"),
        (lambda study: study.update(colour="red"), "colour"),
        (lambda study: study.pop("consent"), "consent"),
        (lambda study: study["cases"][0].update(source=clip_name(1)), "there is none"),
    ],
)
def test_loading_checks_everything(made: Path, change: Callable[[dict], object], named: str) -> None:
    edit_yaml(made, change)
    with pytest.raises((ConfigError, InputError), match=re.escape(named)):
        load_study(made)


def test_loading_notices_a_changed_clip(made: Path) -> None:
    clip = next((made / CLIPS).iterdir())
    clip.write_bytes(clip.read_bytes() + b"\0")
    with pytest.raises(InputError, match="not the clip that the study was made with"):
        load_study(made)
    clip.write_bytes(b"")
    with pytest.raises(InputError, match="0 bytes"):
        load_study(made)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"theirs": ()}, "--theirs"),
        ({"ours": None}, "--ours"),
        ({"theirs": ("folder",)}, "NAME=FOLDER"),
        ({"theirs": ("a=x", "a=y")}, "different name"),
        ({"benchmark": Path("b")}, "either"),
        ({"benchmark": Path("b"), "sources": None, "references": None, "ours": None}, "edit-your-motion"),
    ],
)
def test_unclear_origins_are_explained(given: dict, named: str) -> None:
    clear = {"benchmark": None, "ours": "o", "theirs": ("a=x",), "sources": Path("s"), "references": Path("r")}
    with pytest.raises((ConfigError, InputError), match=re.escape(named)):
        find_origins(**{**clear, **given}, prompts={})


# The server


@pytest.fixture(scope="module")
def site(origins: Origins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / "study"
    study = make_study(folder, origins)
    with serving(folder, study) as site:
        yield site


def test_a_participation_from_consent_to_resume(site: Site) -> None:
    page = site.ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "set-cookie" not in page.headers, "nothing is kept of people who have not agreed"
    cookie = site.ask("POST", "/api/participants", {"agreed": True}).headers["set-cookie"]
    assert re.match(r"study-browser=[\w-]{20,}; HttpOnly; .*SameSite=lax", cookie)
    about = site.ask("GET", "/api/study").json
    assert about == {"title": site.study.title, "consent": site.study.consent, "comparisons": 6}
    token = site.enrol("participation")
    state = site.ask("GET", f"/api/participants/{token}").json
    assert len(state["comparisons"]) == 6
    for position, comparison in enumerate(state["comparisons"]):
        for question in comparison["asked"]:
            given = {"position": position, "question": question, "choice": "right", "seconds": 4}
            assert site.ask("PUT", f"/api/participants/{token}/answers", given).json == {"saved": True}
    again = site.ask("GET", f"/api/participants/{token}").json
    assert all(each["answers"] == dict.fromkeys(each["asked"], "right") for each in again["comparisons"])
    assert [each["clips"] for each in again["comparisons"]] == [each["clips"] for each in state["comparisons"]]
    assert site.ask("GET", f"/p/{token}").body == page.body, "the page is the same for everybody"

    assert site.ask("DELETE", f"/api/participants/{token}").json == {"withdrawn": True}
    assert site.ask("GET", f"/api/participants/{token}").json["withdrawn"] is True


def test_many_participants_at_once(site: Site) -> None:
    before = len(AnswerBook(site.folder / FILE, site.study).answers())

    def take_part(index: int) -> tuple[str, int]:
        token = site.enrol(f"crowd-{index}")
        answers = 0
        for position, comparison in enumerate(site.ask("GET", f"/api/participants/{token}").json["comparisons"]):
            for question in comparison["asked"]:
                given = {"position": position, "question": question, "choice": "left", "seconds": 9.5}
                answers += site.ask("PUT", f"/api/participants/{token}/answers", given).status == 200
        return token, answers

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(take_part, range(8)))
    assert len({token for token, _ in done}) == 8
    assert [answers for _, answers in done] == [2 * (3 + 3 + 2)] * 8
    assert len(AnswerBook(site.folder / FILE, site.study).answers()) == before + 8 * 16


def test_nothing_tells_which_result_is_whose(site: Site) -> None:
    token = site.enrol("curious")
    told = site.ask("GET", f"/api/participants/{token}").body.decode()
    assert not [word for word in (OURS, *THEIRS, '"ours"') if word in told]
    sides = {each["clips"]["left"] for each in site.ask("GET", f"/api/participants/{token}").json["comparisons"]}
    ours = {f"/clips/{case.results[OURS]}" for case in site.study.cases}
    assert sides & ours
    assert sides - ours


def test_clips_come_whole_and_in_ranges(site: Site) -> None:
    name = site.study.cases[0].source
    content = (site.folder / CLIPS / name).read_bytes()
    whole = site.ask("GET", f"/clips/{name}")
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, content, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    part = site.ask("GET", f"/clips/{name}", headers={"Range": "bytes=0-1"})  # what Safari asks first
    assert (part.status, part.body) == (206, content[:2])
    assert part.headers["content-range"] == f"bytes 0-1/{len(content)}"
    tail = site.ask("GET", f"/clips/{name}", headers={"Range": "bytes=-5"})
    assert (tail.status, tail.body) == (206, content[-5:])
    assert site.ask("GET", f"/clips/{name}", headers={"Range": f"bytes={len(content)}-"}).status == 416
    head = site.ask("HEAD", f"/clips/{name}")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(content)))


@pytest.mark.parametrize(
    "path",
    [
        "/clips/../study.yaml", "/clips/..%2fstudy.yaml", "/clips/%2e%2e/answers.sqlite", "/clips/..%5canswers.sqlite",
        "/clips//etc/passwd", "/clips/%2fetc%2fpasswd", "/../../etc/passwd", "/study.yaml", "/answers.sqlite",
        f"/{FILE}-wal", "/clips/", "/clips/.", "/study.css/../study.yaml", "/p/../answers.sqlite", "/clips/%00",
        f"/clips/{'a' * 5000}",
    ],
)  # fmt: skip
def test_nothing_but_the_listed_clips_is_served(site: Site, path: str) -> None:
    reply = site.ask("GET", path)
    assert reply.status == 404
    assert len(reply.body) < 200


def test_requests_of_strangers_are_refused(site: Site) -> None:
    token = site.enrol("victim")
    answers, good = (
        f"/api/participants/{token}/answers",
        {"position": 0, "question": "content", "choice": "left", "seconds": 1},
    )
    elsewhere = [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
    assert [site.ask("PUT", answers, good, headers).status for headers in elsewhere] == [403] * 3
    assert site.ask("DELETE", f"/api/participants/{token}", headers=elsewhere[0]).status == 403
    assert site.ask("PUT", answers, good, {"Content-Type": "text/plain"}).status == 415
    assert site.ask("PUT", answers, b"x" * 5000).status == 413
    bad = [
        b"{", b"[]", b"\xff", {**good, "choice": "both"}, {**good, "position": "0"}, {**good, "seconds": -1},
        {**good, "more": 1}, b'{"position": 0, "question": "content", "choice": "left", "seconds": NaN}',
    ]  # fmt: skip
    assert [site.ask("PUT", answers, each).status for each in bad] == [400] * len(bad)
    assert site.ask("PUT", answers, {**good, "question": "beauty"}).status == 409
    assert site.ask("PUT", answers, {**good, "position": 99}).status == 409
    assert site.ask("PUT", "/api/participants/nobody/answers", good).status == 404
    assert site.ask("GET", "/api/participants/nobody").status == 404
    assert site.ask("POST", answers, good).status == 405
    own = {"Origin": site.address, "Sec-Fetch-Site": "same-origin"}
    assert site.ask("PUT", answers, good, own).status == 200
    cookie = {"Cookie": "study-browser=b"}
    assert site.ask("POST", "/api/participants", {"agreed": False}, cookie).status == 403
    assert (
        site.ask("POST", "/api/participants", {"agreed": True}, {"Cookie": f"study-browser={'b' * 65}"}).status == 400
    )
    assert site.ask("POST", "/api/participants", {"agreed": True, "code": "=1+1"}, cookie).status == 400


def test_a_body_without_a_stated_length_is_bounded_too(site: Site) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as stream:
        stream.sendall(
            b"POST /api/participants HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 0x1000 + b"\r\n10\r\n" + b" " * 16 + b"\r\n"
        )
        assert stream.recv(100).startswith(b"HTTP/1.1 413")


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    for path in ("/", "/study.css", "/study.js"):
        reply = site.ask("GET", path)
        assert reply.status == 200
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["referrer-policy"] == "no-referrer", "the private link stays private"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not re.findall(rb"(?:https?:)?//\w|innerHTML|insertAdjacentHTML|eval\(", reply.body)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours as #rrggbb."""
    levels = []
    for colour in (one, other):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_every_text_can_be_read_in_light_and_dark(site: Site) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    style = site.ask("GET", "/study.css").body.decode()
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in re.findall(r":root \{([^}]+)", style)]
    assert len(schemes) == 2
    texts, grounds = ("ink", "soft", "strong", "danger", "a", "b"), ("ground", "card", "picked")
    for scheme in schemes:
        pairs = [(text, ground) for text in texts for ground in grounds] + [("on-strong", "strong")]
        weak = {pair: ratio for pair in pairs if (ratio := contrast(scheme[pair[0]], scheme[pair[1]])) < 4.5}
        assert weak == {}


def test_without_the_extra_its_name_is_told(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edit_your_motion.study.server import make_app

    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingExtraError, match=r"edit-your-motion\[study\]"):
        make_app(made)


# The commands


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_the_commands_from_a_benchmark_to_a_report(
    origins: Origins, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark, folder = tmp_path / "benchmark", tmp_path / "study"
    for method, place in {OURS: origins.ours[1], **origins.theirs}.items():
        for case in CASES:
            (benchmark / method / case).mkdir(parents=True)
            shutil.copy(place / f"{case}.mp4", benchmark / method / case / "edited.mp4")
    for case in CASES:
        (benchmark / OURS / case / "config.yaml").write_text(f"prompt: a {case}\nedit_prompt: null\n")
        record = {"preset": "best", "origins": {"sampling.steps": "the command line"},
                  "config": {"model": {"base": "small"}, "sampling": {"steps": 30}}}  # fmt: skip
        (benchmark / OURS / case / "run.json").write_text(json.dumps(record))
        (benchmark / "pairs" / case).mkdir(parents=True)
        for name in ("source", "reference"):
            place = getattr(origins, f"{name}s") / f"{case}.mp4"
            shutil.copy(place, benchmark / "pairs" / case / f"{name}.mp4")

    making = ("study", "make", folder, "--benchmark", benchmark, "--contact", "J. Doe, doe@example.org.", "--quiet")
    assert run(*making, "--theirs", "MotionEditor", "--theirs", "tune-a-video") == 0
    study = load_study(folder)
    assert [case.prompt for case in study.cases] == ["a jump", "a kick", "a wave"]
    assert "J. Doe, doe@example.org." in study.consent
    assert study.questions[2].text == "Which is more motion aligned to the reference video?"
    assert run(*making, "--theirs", "MotionEditor") == 1
    assert "exists already" in capsys.readouterr().err
    assert run("study", "report", folder) == 1
    assert "eym study serve" in capsys.readouterr().err

    book = AnswerBook(folder / FILE, study, make=True)
    for number in range(3):
        answer_all(book, prefer_ours, str(number))
    assert run("study", "export", folder, tmp_path / "answers.csv") == 0
    assert run("study", "report", folder) == 0
    assert "3 participants" in capsys.readouterr().out
    first = (folder / "report.json").read_text()
    (folder / FILE).unlink()
    assert run("study", "report", folder, "--answers", tmp_path / "answers.csv", "--quiet") == 0
    assert (folder / "report.json").read_text() == first, "the table is enough"
    text = (folder / "report.md").read_text()
    assert "| MotionEditor | 100.0 [" in text
    assert f"{OURS}: Preset `best`, base `small`, sampling.steps 30." in text


def test_serving_ends_well_on_ctrl_c(made: Path) -> None:
    import signal

    program = [sys.executable, "-c", "from edit_your_motion.cli import main; main()"]
    serve = [*program, "study", "serve", str(made), "--port", "0"]
    process = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
    assert Site(made, load_study(made), port).ask("GET", "/api/study").status == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "every answer is saved" in out


def test_a_taken_port_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("study", "serve", site.folder, "--port", site.port) == 1
    assert str(site.port) in capsys.readouterr().err
