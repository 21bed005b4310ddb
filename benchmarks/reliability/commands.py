"""Everything that writes, on networks and clips as small as they get; each from inputs that are there to results."""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import trying
from asking import ask
from edit_your_motion.batch.manifest import read_manifest
from edit_your_motion.batch.row_task import Workshop
from edit_your_motion.batch.rows import plan_rows
from edit_your_motion.batch.run import run_batch
from edit_your_motion.benchmark.methods.catalogue import choose_methods
from edit_your_motion.benchmark.paired import run as paired
from edit_your_motion.benchmark.paired.pairs import PAIRS
from edit_your_motion.config import EditConfig, PrepareConfig, load_config, parse_config
from edit_your_motion.errors import InputError, ModelFileError
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.jobs.overwriting import RECORD as WRITTEN
from edit_your_motion.jobs.preparing import run_prepare
from edit_your_motion.jobs.session import run_apply, run_edit, run_tune
from edit_your_motion.models.tiny import make_base, make_controlnet
from edit_your_motion.people import generated_frames, preparation
from edit_your_motion.pretrain import pretrain
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.files import write_text
from edit_your_motion.storage.locking import held
from edit_your_motion.study.answers import AnswerBook
from edit_your_motion.web import job_files, worker
from edit_your_motion.web.access import Access
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Library
from edit_your_motion.web.offers import gather_offers
from edit_your_motion.web.server import make_app
from imagined_study import answer_all, imagine, prefer_ours
from synthetic_clip import SyntheticClip, film, ready_people, short_edit, write_clip
from test_benchmark_paired import Upright, short_config
from test_pretrain import tiny
from tiny_judges import stub_lpips
from trying import Account, Shim, in_child
from web_site import PROMPT, add_pair, tiny_settings

SILENT = SilentProgress()
VOLATILE = {
    "finished", "command", "phases", "seconds", "peak_memory", "created", "began", "ended", "machine", "elapsed",
    "minutes", "device", "pictures_per_second",
}  # fmt: skip
"""What JSON of ours says about the run and not about the result."""


def refuse(*_: object, **__: object) -> None:
    """Nobody is looked for: what is ready has to do, and no file of a model is needed."""
    raise ModelFileError("no finder in a campaign")


generated_frames.open_backend = preparation.open_backend = refuse  # type: ignore[assignment]
paired.open_backend = lambda people: Upright()  # type: ignore[assignment,return-value]


@dataclass(frozen=True)
class Command:
    """Something that writes.

    Args:
        run: does it in a folder; called again, it goes on. It may tell what it has reported as done.
        begin: what is there before, beside the inputs that all share.
        keeps: whether what was told is still there after a kill.
        result: what is compared; by default the contents of all files.
        kills: in one case, before it may end.
    """

    run: Callable[[Path, Callable[[str], None]], Any]
    begin: Callable[[Path], Any] = Path.mkdir
    keeps: Callable[[Path, set[str]], bool] = lambda folder, told: True
    result: Callable[[Path], Any] = lambda folder: digest(folder)
    kills: int = 1


@cache
def inputs() -> Path:
    """A tiny base and ControlNet, a source, a reference, a job of the web app and a tuned person; left alone."""
    place = Path(tempfile.mkdtemp(prefix="eym-inputs-"))
    ended = trying.in_child(lambda: _make_inputs(place))
    assert ended.how == "ok", ended
    return place


def _make_inputs(place: Path) -> None:
    make_base(place / "base")
    make_controlnet(place / "controlnet", place / "base")
    for name, clip in {"source": film(2), "reference": film(2, height=64, width=96, speed=6.0, seed=1)}.items():
        (place / name).mkdir()
        write_clip(place / name, clip)
    library = Library(place / "library")
    clips = zip(("source", "reference"), add_pair(library, 2), strict=True)
    for name, id in clips:
        job_files.copy_clip(place / "library/clips" / id / "prepared", place / "job/inputs" / name)
    tiny_settings(place, place, iterations=1)
    run_tune(edit_config(place).for_tuning(), place / "person", SILENT)


@cache
def rendered() -> Path:
    """The frames of a training, which take long to render; left alone."""
    place = Path(tempfile.mkdtemp(prefix="eym-rendered-"))
    ended = trying.in_child(lambda: pretrain(tiny(), place / "pretrained"))
    assert ended.how == "ok", ended
    return place / "pretrained/frames"


def edit_config(place: Path, **values: Any) -> EditConfig:
    """The shortest edit: two frames of 64x64 pixels, two steps of tuning."""
    source, reference = (
        SyntheticClip(place / name / "video.mp4", place / name / "keypoints.json", place / name / "masks", film(2))
        for name in ("source", "reference")
    )
    stage = {"iterations": 1, "learning_rate": 1e-3}
    short = {"tuning": {"motion": stage, "appearance": stage}, "inversion": {"steps": 1}, "sampling": {"steps": 1}}
    whole = short_edit(place, source, reference)
    return parse_config(EditConfig, whole.model_dump(), short, {"people": ready_people(source, reference)}, values)


def prepare(folder: Path, _: object) -> None:
    config = edit_config(inputs())
    people = {"keypoints": config.people.keypoints, "masks": config.people.masks}
    values = {"source": config.source.path, "video": config.video.model_dump(), "people": people}
    run_prepare(parse_config(PrepareConfig, values), folder / "prepared", SILENT)


def work(folder: Path, _: object) -> None:
    """What the process of a web job does."""
    offer = load_config(inputs() / "tiny.yaml")
    job = {"kind": "edit", "frames": 2, "prompt": PROMPT, "offer": offer, "settings": {}, "base": None, "device": "cpu"}
    with held(folder, wait=True):
        worker._do(job, folder, lambda told: None)


def queue(folder: Path, tell: Callable[[str], None]) -> None:
    """A server's library: jobs are added, done, one is removed."""
    library = Library(folder / "library")
    library.recover()
    there = {job.name for job in library.jobs()}
    for name in sorted({"0", "1", "2", "3"} - there):
        if name != "3" or not (folder / "library/removed").exists():
            library.add_job("edit", name, {})
            tell(name)
    while job := library.take_job("edits"):
        write_text(library.job_folder(job) / "edited", job.name)
        library.end_job(job, None)
        tell(f"{job.name} is done")
    for job in library.jobs():
        if job.name == "3":
            library.remove_job(job)
    write_text(folder / "library/removed", "")


def queue_keeps(folder: Path, told: set[str]) -> bool:
    library = Library(folder / "library")
    states = {job.name: job.state for job in library.jobs()}
    told = {line for line in told if line[0].isdigit()}  # others may tell of their own beside it
    done = {line.split()[0] for line in told if "done" in line}
    return all(states.get(name) == "done" for name in done - {"3"}) and told - done <= states.keys() | {"3"} | {
        f"{name} is done" for name in done
    }


def queue_result(folder: Path) -> Any:
    library = Library(folder / "library")
    library.recover()
    folders = len(list((folder / "library/jobs").iterdir()))
    return [[job.name, job.state, (library.job_folder(job) / "edited").read_text()] for job in library.jobs()], folders


PARTS = 3
"""Of each file that is brought."""
CORRECTED = [3.0, 4.0, 1.0]
"""Where somebody puts a nose."""


def server(folder: Path, tell: Callable[[str], None]) -> None:
    """A server that is asked for all that it keeps; what it has answered to is told."""
    library = Library(folder / "library")
    library.recover()
    offers = gather_offers([inputs() / "tiny.yaml"])
    app = make_app(library, JobRunner(library, ["cpu"]), offers, Access(None), {})

    def asked(method: str, path: str, content: Any = b"", kind: str = "") -> Any:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        status, answer = ask(app, method, path, body, kind)
        if status != 200:
            assert status < 500 or status == 503, (method, path, status, answer)
            raise InputError(f"{method} {path}: {status} {answer[:200]!r}")
        return json.loads(answer)

    shown = asked("GET", "/api/library")
    clips = {clip["name"]: clip for clip in shown["clips"]}
    whole = (inputs() / "source/video.mp4").read_bytes()
    part = -(-len(whole) // PARTS)
    for name in ("brought.mp4", "left.mp4", "unwanted.mp4"):
        if name == "unwanted.mp4" and (folder / "library/removed").exists():
            continue
        announced = {"name": name, "role": "source", "size": len(whole)}
        clip = clips.get(name) or asked("POST", "/api/clips", announced)
        tell(f"{name} 0")
        end = part if name == "left.mp4" else len(whole)
        for offset in range(clip["received"], end, part):
            path = f"/api/clips/{clip['id']}/content?offset={offset}"
            got = asked("PUT", path, whole[offset : offset + part], "application/octet-stream")
            tell(f"{name} {got['received']}")
        if name == "unwanted.mp4":
            asked("DELETE", f"/api/clips/{clip['id']}")
    write_text(folder / "library/removed", "")
    if not {"source.mp4", "reference.mp4"} <= clips.keys():
        raise InputError("the library has no clips: another disk was put in its place")
    source, reference = (clips[name]["id"] for name in ("source.mp4", "reference.mp4"))
    rows = asked("GET", f"/api/clips/{source}/keypoints")["frames"]
    rows[0]["body"]["nose"] = CORRECTED
    asked("PATCH", f"/api/clips/{source}/keypoints", {"frames": {"0": rows[0]}})
    tell("corrected")
    edit = {"kind": "edit", "source": source, "reference": reference, "prompt": PROMPT, "offer": "tiny"}
    there = {job["name"] for job in shown["jobs"]}
    for name in sorted({"first", "second"} - there):
        asked("POST", "/api/jobs", {**edit, "name": name})
        tell(f"{name} waits")


def server_keeps(folder: Path, told: set[str]) -> bool:
    """Whether every answer still holds."""
    kept = server_result(folder)
    lines = [line.split() for line in sorted(told)]
    received = all(
        kept["clips"].get(name, [0])[0] >= int(count)
        for name, count in (line for line in lines if line[-1].isdigit())
        if name != "unwanted.mp4"
    )
    waiting = {line[0] for line in lines if line[-1] == "waits"} <= kept["jobs"].keys()
    removed = not (folder / "library/removed").exists() or "unwanted.mp4" not in kept["clips"]
    return received and waiting and removed and ("corrected" not in told or kept["corrected"])


def server_result(folder: Path) -> Any:
    """What a server has: of each clip how much and which content, of each job its state and its inputs."""
    library = Library(folder / "library")
    library.recover()
    clips = {}
    for clip in library.clips():
        path = library.original(clip)
        content = path.read_bytes() if path.exists() else b""
        clips[clip.name] = [len(content), hashlib.sha256(content).hexdigest(), clip.complete]
    source = next(clip for clip in library.clips() if clip.name == "source.mp4")
    rows = json.loads((library.clip_folder(source) / "prepared/keypoints.json").read_text())["frames"]
    jobs = {job.name: [job.state, digest(library.job_folder(job))] for job in library.jobs()}
    return {
        "clips": clips,
        "corrected": rows[0]["body"]["nose"] == CORRECTED,
        "jobs": jobs,
        "folders": len([*(folder / "library/jobs").iterdir(), *(folder / "library/clips").iterdir()]),
    }


def answer(folder: Path, tell: Callable[[str], None]) -> None:
    """Somebody takes part in a study."""
    book = AnswerBook(folder / "answers.sqlite", imagine(2, 1), make=True)
    answer_all(book, prefer_ours, "b" * 32)
    tell("answered")


def count_answers(folder: Path) -> int:
    book = AnswerBook(folder / "answers.sqlite", imagine(2, 1), make=True)
    return int(book._database.execute("SELECT count(*) FROM answers").fetchone()[0])


def benchmark(folder: Path, _: object) -> None:
    failures = paired.run_paired(
        folder / "paired", short_config(inputs()), SILENT, methods=choose_methods(("truth", "controlnet-noise")),
        pairs=[PAIRS["15-dance_b"]], lpips=stub_lpips(),
    )  # fmt: skip
    if failures:
        raise InputError(f"said: {failures}")


def batch(folder: Path, _: object) -> None:
    """Two motions of one person, who is tuned once."""
    short = edit_config(inputs()).model_dump(mode="json", exclude={"source", "reference", "people", "prompt"})
    rows = [
        {
            "source": "source/video.mp4", "people.keypoints": "source/keypoints.json", "people.masks": "source/masks",
            "reference": f"{name}/video.mp4", "people.reference_keypoints": f"{name}/keypoints.json",
            "prompt": PROMPT, "name": f"as-{name}",
        }
        for name in ("reference", "source")
    ]  # fmt: skip
    manifest = folder.parent / "rows.json"
    write_text(manifest, json.dumps(rows))
    planned = plan_rows(read_manifest(manifest), inputs(), [short])
    failures = run_batch(planned, Workshop(str(folder / "batch"), folder / "cache"), InProcess(), SILENT)
    if failures:
        raise InputError(f"said: {failures}")


COMMANDS: dict[str, Command] = {
    "edit": Command(lambda folder, _: run_edit(edit_config(inputs()), folder / "edit", SILENT) and None, kills=3),
    "tune": Command(
        lambda folder, _: run_tune(edit_config(inputs()).for_tuning(), folder / "person", SILENT) and None, kills=3
    ),
    "apply": Command(
        lambda folder, _: (
            run_apply(inputs() / "person", edit_config(inputs()).for_applying(), folder / "edit", SILENT) and None
        ),
        kills=2,
    ),
    "prepare": Command(prepare),
    "job": Command(work, lambda folder: shutil.copytree(inputs() / "job", folder), kills=3),
    "queue": Command(queue, keeps=queue_keeps, result=queue_result),
    "server": Command(
        server,
        lambda folder: shutil.copytree(inputs() / "library", folder / "library"),
        keeps=server_keeps,
        result=server_result,
        kills=3,
    ),
    "study": Command(
        answer,
        keeps=lambda folder, told: not told or count_answers(folder) > 0,
        result=lambda folder: count_answers(folder) > 0,
    ),
    "pretrain": Command(
        lambda folder, _: pretrain(tiny(), folder / "training"),
        lambda folder: shutil.copytree(rendered(), folder / "training/frames"),
        kills=3,
    ),
    "benchmark": Command(benchmark, kills=4),
    "batch": Command(batch, result=lambda folder: digest(folder / "batch"), kills=4),
}


def begin(name: str, place: Path) -> Path:
    """An empty folder, always of the same name, with what a command needs."""
    folder = place / "work"
    inputs()  # before any child asks for them
    shutil.rmtree(place)
    place.mkdir()
    (place / "told").write_text("")
    COMMANDS[name].begin(folder)
    return folder


def run(name: str, folder: Path) -> None:
    """Runs a command; what it reports as done goes into a file beside the folder."""

    def tell(line: str) -> None:
        with (folder.parent / "told").open("a") as file:
            file.write(f"{line}\n")

    COMMANDS[name].run(folder, tell)


def keeps(name: str, folder: Path) -> bool:
    """Whether everything that was reported as done is there."""
    told = set((folder.parent / "told").read_text().splitlines())
    return COMMANDS[name].keeps(folder, told)


def result(name: str, folder: Path) -> object:
    """What a command has come to; in a child, as libraries that were opened there are closed with it."""
    return in_child(lambda: COMMANDS[name].result(folder)).what


@dataclass(frozen=True)
class Whole:
    """A run in which nothing went wrong.

    Args:
        operations: on files, that the layer counted.
        seconds: that it took.
        result: what it came to.
    """

    operations: int
    seconds: float
    result: object


def run_whole(name: str, place: Path) -> Whole:
    """A run of a command, begun anew, in which nothing goes wrong."""
    folder, began = begin(name, place), time.monotonic()
    ended = in_child(lambda: run(name, folder), shim=Shim(folder))
    assert ended.how == "ok", (name, ended)
    return Whole(ended.operations, time.monotonic() - began, result(name, folder))


def try_commands(
    account: Account,
    options: argparse.Namespace,
    place: Path,
    kinds: Sequence[str],
    attempt: Callable[[str, Path, str, Whole], str],
) -> Account:
    """Tries cases of each command against a run of it in which nothing goes wrong.

    Args:
        account: takes what comes out.
        options: which commands, and for how long.
        place: a folder for it.
        kinds: cases of a command.
        attempt: what comes out of one, of a command, in that folder.
    """
    for name in options.only or COMMANDS:
        if time.monotonic() > account.until:
            break
        cases = [f"{name}/{kind}" for kind in kinds]
        if all(case in account.cases for case in cases):
            continue
        whole = run_whole(name, place)
        account.content.setdefault("operations", {})[name] = whole.operations
        account.try_all(cases, lambda case, name=name, whole=whole: attempt(name, place, case.split("/")[1], whole))
    return account


def go_through(name: str, folder: Path, whole: Whole, shim: Shim, kill_after: float = 0) -> str:
    """What is wrong after a run under adverse conditions that are no error, and one more without them; or empty.

    Args:
        name: of the command.
        folder: where it has begun.
        whole: what it comes to.
        shim: the conditions.
        kill_after: seconds after which it is killed, unless it has ended; 0 for not at all.
    """
    ended = in_child(lambda: run(name, folder), shim=shim, kill_after=kill_after)
    if ended.how != "ok" and not (kill_after and ended.how == "killed"):
        return f"{ended.how}: {ended.what}"
    if in_child(lambda: keeps(name, folder)).what is not True:
        return "what was reported as done is gone"
    if ended.how == "ok" and (found := result(name, folder)) != whole.result:
        return f"another result: {differing(found, whole.result)}"
    return finish(name, folder, whole)


def finish(name: str, folder: Path, whole: Whole) -> str:
    """What is wrong after a command is started once more and nothing goes wrong; empty if it comes to the same."""
    last = in_child(lambda: run(name, folder))
    if last.how != "ok":
        return f"started again: {last.how}: {last.what}"
    if (found := result(name, folder)) != whole.result:
        return f"another result: {differing(found, whole.result)}"
    left = litter(folder.parent)
    return f"left {left}" if left else ""


def litter(folder: Path) -> list[str]:
    """Names of temporary files and of locks that nobody needs."""
    found = [path for path in folder.rglob(".*") if not path.name.startswith(".nfs") and path.name != WRITTEN]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def digest(folder: Path) -> dict[str, str]:
    """A digest of each file, of JSON without what is of the run alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("log.txt", "estimate.json"):
            content = path.read_bytes()
            if path.suffix in (".json", ".jsonl"):
                lines = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
                content = "\n".join(json.dumps(_lasting(json.loads(line)), sort_keys=True) for line in lines).encode()
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()[:16]
    return found


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if key not in VOLATILE}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def differing(one: Any, other: Any) -> str:
    """In what two results differ."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return f"{one} is not {other}"
    return ", ".join(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def scratch() -> Path:
    """A folder for one campaign, on the disk of temporary files."""
    return Path(tempfile.mkdtemp(prefix=f"eym-reliability-{os.getpid()}-"))
