"""Damaged files of every kind that we read: an error of ours or success; no other error, no hang, nothing left behind.

Each kind is a small sample, made once, and whoever reads it; a case is a copy of the sample with one file damaged,
drawn from the kind's name and the case's number. `test_damage_is_named` tries a few of each kind,
`test_more_damage_is_named` some thousand.
"""

import json
import pickle
import shutil
import signal
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import av
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

import test_loras
import test_single_file
import test_tables
from asking import ask
from edit_your_motion.batch.manifest import read_manifest
from edit_your_motion.batch.row_task import note_failure
from edit_your_motion.batch.rows import Row, plan_rows
from edit_your_motion.batch.summary import gather_results, write_summary
from edit_your_motion.benchmark.datasets.config import DatasetConfig
from edit_your_motion.benchmark.evaluation.config import EvaluationConfig
from edit_your_motion.benchmark.methods.variants import load_variants
from edit_your_motion.benchmark.paired.config import PairedConfig
from edit_your_motion.benchmark.paired.summary import load_failures
from edit_your_motion.benchmark.prefix_tuning import _read_account
from edit_your_motion.benchmark.sweep.summary import write_sweep
from edit_your_motion.benchmark.tables.files import write_tables
from edit_your_motion.benchmark.tables.study_scores import read_study
from edit_your_motion.benchmark.tables.tables import read_findings
from edit_your_motion.config import EditConfig, TuneConfig, dump_config, load_config, parse_config
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.split import load_split
from edit_your_motion.datasets.wild import read_wild
from edit_your_motion.errors import EditYourMotionError, InputError
from edit_your_motion.jobs.costs import _recall
from edit_your_motion.jobs.overwriting import RECORD, rewritten
from edit_your_motion.metrics import Lpips
from edit_your_motion.metrics.lpips_weights import read_flax_weights
from edit_your_motion.metrics.resnet3d import ResNet3D
from edit_your_motion.metrics.video_features import load_resnet3d
from edit_your_motion.models.loading import load_base
from edit_your_motion.models.shipped import FILE, read_recommendation
from edit_your_motion.people.formats.keypoints_file import describe_keypoints
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.formats.precomputed import load_precomputed, load_ready_keypoints, load_ready_masks
from edit_your_motion.people.preparation import load_prepared, save_prepared
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import CHECKPOINT
from edit_your_motion.pretrain import PretrainConfig
from edit_your_motion.pretrain.frames import load_shard
from edit_your_motion.pretrain.loop import _step_of
from edit_your_motion.runtime.random import Draws
from edit_your_motion.stage.bvh import read_bvh
from edit_your_motion.storage.leases import _is_gone
from edit_your_motion.storage.machines import name_machine
from edit_your_motion.storage.stores import open_store
from edit_your_motion.study.answers import AnswerBook
from edit_your_motion.study.definition import CLIPS, Study, digest_file, load_study, save_study
from edit_your_motion.study.report import report_study, to_json
from edit_your_motion.study.table import list_rows, read_table, write_table
from edit_your_motion.tuning.checkpoints import TuningState, load_state, put_back, put_back_optimizer, save_state
from edit_your_motion.video import probe, read_video
from edit_your_motion.web.access import Access
from edit_your_motion.web.job_files import EDIT, ESTIMATE
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Library
from edit_your_motion.web.offers import gather_offers
from edit_your_motion.web.server import make_app
from imagined_study import answer_all, imagine, prefer_ours
from mutations import damage
from synthetic_clip import film
from test_metrics_networks import DEPTHS, WIDTHS, save_tiny_resnet
from test_stage_body import write_bvh
from web_site import add_pair

FEW, MANY = 8, 120
"""Cases of each kind that are tried always, and with all tests."""

BOUND = 60
"""Seconds that a case may take; far more than any does, as machines are busy."""


@dataclass(frozen=True)
class Kind:
    """Something that we read.

    Args:
        make: writes a sample into an empty folder.
        read: reads it, as far as the program would.
        cost: how many times longer than most a case takes.
    """

    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    cost: int = 1


def pictures(height: int = 32, width: int = 48, frames: int = 5) -> np.ndarray:
    """Something smooth that moves."""
    down, across = np.mgrid[:height, :width]
    shades = [np.stack([down * 4 + 9 * index, across * 4, down + across], -1) for index in range(frames)]
    return np.stack(shades).astype(np.uint8)


def encode(path: Path, codec: str, pixels: str = "yuv420p", film: np.ndarray | None = None, **options: str) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, Fraction(8), options=options)
        stream.height, stream.width, stream.pix_fmt = 32, 48, pixels
        for picture in pictures() if film is None else film:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)))
        container.mux(stream.encode(None))


def video(name: str, codec: str, pixels: str = "yuv420p", **options: str) -> Kind:
    return Kind(lambda folder: encode(folder / name, codec, pixels, **options), lambda folder: look_at(folder / name))


def picture(name: str, mode: str = "RGB", frames: int = 1, **options: object) -> Kind:
    def make(folder: Path) -> None:
        images = [Image.fromarray(each).convert(mode) for each in pictures(frames=frames)]
        more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
        images[0].save(folder / name, **more, **options)

    return Kind(make, lambda folder: look_at(folder / name))


def look_at(path: Path) -> None:
    probe(path)
    read_video(path)


def deep(folder: Path) -> None:
    Image.fromarray(pictures()[0, ..., 0].astype(np.uint16) << 8).save(folder / "x.png")


def frames_in(folder: Path) -> None:
    for index, each in enumerate(pictures(frames=3)):
        Image.fromarray(each).save(folder / f"{index}.png")


def people(name: str, content: Any) -> Kind:
    """Keypoints of a pose tool in one file."""

    def make(folder: Path) -> None:
        lines = name.endswith(".jsonl")
        text = "\n".join(map(json.dumps, content)) if lines else json.dumps(content)
        (folder / name).write_text(text)

    return Kind(make, lambda folder: load_ready_keypoints(folder / name, height=64, width=64))


KEYPOINTS = film().keypoints
COCO = [[float(x), float(y), 0.9] for x, y, _ in KEYPOINTS.body[0][:17]]
FLAT = [value for point in COCO for value in point]
OPENPOSE = {
    "people": [{"pose_keypoints_2d": KEYPOINTS.body[0].ravel().tolist(), "face_keypoints_2d": []}],
    "canvas_width": 64, "canvas_height": 64,
}  # fmt: skip
NAMES = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *(
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)]  # fmt: skip
POSES = {
    "comfy": people("x.json", [OPENPOSE] * 2),
    "coco": people("x.json", [{"image_id": index, "keypoints": FLAT, "score": 1.0} for index in (1, 2)]),
    "alphapose": people("x.json", [{"image_id": f"{index}.jpg", "keypoints": FLAT, "idx": 1} for index in (1, 2)]),
    "coco annotations": people("x.json", {
        "images": [{"id": index, "file_name": f"{index}.png", "height": 64, "width": 64} for index in (1, 2)],
        "annotations": [{"image_id": index, "keypoints": FLAT, "num_keypoints": 17} for index in (1, 2)],
        "categories": [{"keypoints": NAMES}],
    }),
    "mmpose": people("x.json", {
        "meta_info": {"keypoint_id2name": {str(index): name for index, name in enumerate(NAMES)}},
        "instance_info": [
            {"frame_id": index, "instances": [{"keypoints": [p[:2] for p in COCO], "keypoint_scores": [0.9] * 17}]}
            for index in (1, 2)
        ],
    }),
    "vitpose": people("x.json", {"keypoints": [{"0": COCO}, {"0": COCO}], "skeleton": dict(enumerate(NAMES))}),
    "ultralytics": people("x.json", [
        {"keypoints": {name: [p[axis] for p in COCO] for axis, name in enumerate(("x", "y", "visible"))}}
    ]),
    "annotator": people("x.json", {
        "bodies": {"candidate": (KEYPOINTS.body[0, :, :2] / 64).tolist(), "subset": [list(range(18))]},
        "hands": [], "faces": [],
    }),
    "numbers": people("x.json", KEYPOINTS.body[:2].tolist()),
    "lines": people("x.jsonl", [OPENPOSE] * 2),
}  # fmt: skip


def arrays(folder: Path) -> None:
    parts = {"body": KEYPOINTS.body, "height": 64, "width": 64, "masks": film().masks}
    np.savez(folder / "x.npz", **parts)


def skeletons(folder: Path) -> None:
    for index, each in enumerate(draw_skeleton(film(2, 128, 128).keypoints)):
        Image.fromarray(each).save(folder / f"{index}.png")


def masks(folder: Path) -> None:
    film = [np.zeros((32, 48), np.uint8) for _ in range(3)]
    for mask in film:
        mask[8:30, 10:20] = 1
    labels = Image.fromarray(film[1], "P")
    labels.putpalette([0, 0, 0, 200, 0, 0])
    labels.save(folder / "0.png")
    Image.fromarray(film[2]).save(folder / "1.png")


def film_masks(folder: Path) -> None:
    white = np.zeros((3, 32, 48, 3), np.uint8)
    white[:, 8:30, 10:20] = 255
    encode(folder / "x.mp4", "libx264", film=white)


def checkpoint(part: str, *, load: Callable[[Path, Path], Any]) -> Kind:
    """A part of the tiny checkpoints; the others stay whole."""
    return Kind(
        lambda folder: shutil.copytree(WHOLE[0] / part, folder, dirs_exist_ok=True),
        lambda folder: load(folder, WHOLE[0]),
        cost=6,
    )


WHOLE: list[Path] = []
"""Where this module's whole checkpoints lie, of which samples are made."""


def lora(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {**test_loras.UNET, **test_loras.TEXT}
    matrices = {
        name: (torch.randn(3, *inner, generator=generator), torch.randn(out, 3, *(1,) * (len(inner) - 1)))
        for name, (out, *inner) in shapes.items()
    }
    layout, _, metadata = test_loras.LAYOUTS["metadata"]
    save_file(layout(matrices), folder / "x.safetensors", metadata)


def one_file(folder: Path) -> None:
    save_file(test_single_file.in_one(WHOLE[0] / "original"), folder / "x.safetensors")


def load_one_file(folder: Path) -> None:
    whole = WHOLE[0]
    load_base(
        str(folder / "x.safetensors"),
        str(whole / "original/controlnet"),
        tokenizer=str(whole / "original/base/tokenizer"),
    )


def person(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 4, 8, 8, generator=generator)
    config = parse_config(TuneConfig, {"prompt": "a person"})
    parts = {"unet.attention.weight": torch.randn(8, 8, generator=generator)}
    inputs = {"source": "0" * 64}
    Person(config, {"U-Net": "0" * 16}, parts, latents, -latents, film(), [0.5, 0.25], inputs=inputs).save(folder / "p")


def tuning(folder: Path) -> None:
    layer = torch.nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    state = TuningState(
        "f" * 16, 0, 1, dict(layer.named_parameters()), optimizer.state_dict(), {}, Draws(0).get_state(), [0.5],
        unlogged=[{"loss": 0.5}],
    )  # fmt: skip
    save_state(folder / "x.safetensors", state)


def go_on(folder: Path) -> None:
    path, layer = folder / "x.safetensors", torch.nn.Linear(4, 4)
    state = load_state(path, "f" * 16, "f" * 16)
    put_back(path, state.parameters, parameters := dict(layer.named_parameters()), parameters)
    put_back_optimizer(path, state, torch.optim.AdamW(layer.parameters()), torch.amp.GradScaler("cpu", enabled=False))
    Draws(0).set_state(state.random)
    list(state.losses), list(state.evaluations)


def settings(kind: type[Any], **values: object) -> Kind:
    def make(folder: Path) -> None:
        (folder / "x.yaml").write_text(dump_config(parse_config(kind, values)))

    return Kind(make, lambda folder: parse_config(kind, load_config(folder / "x.yaml")))


def written(name: str, content: Any, read: Callable[[Path], Any]) -> Kind:
    """A document of that content."""
    text = json.dumps(content) if name.endswith("json") else yaml.safe_dump(content)
    return Kind(lambda folder: (folder / name).write_text(text), lambda folder: read(folder / name))


def study(folder: Path) -> Study:
    """A study whose clips are there."""
    (folder / CLIPS).mkdir()
    named = {}
    for name in sorted(imagine(2, 2).clips):
        (place := folder / CLIPS / name).write_text(name)
        named[name] = f"{digest_file(place)}.mp4"
        place.rename(folder / CLIPS / named[name])
    text = dump_config(imagine(2, 2))
    for old, new in named.items():
        text = text.replace(old, new)
    made = Study.model_validate(yaml.safe_load(text))
    save_study(folder, made)
    return made


def answer(folder: Path) -> tuple[Any, ...]:
    book = AnswerBook(folder / "answers.sqlite", imagine(2, 2), make=True)
    answer_all(book, prefer_ours, "b" * 32)
    rows = list_rows(book)
    book._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    book._database.execute("PRAGMA journal_mode = DELETE").fetchall()
    book._database.close()
    return rows


def recount(folder: Path) -> None:
    book = AnswerBook(folder / "answers.sqlite", imagine(2, 2))
    try:
        list_rows(book)
    finally:
        book._database.close()


def cells(folder: Path) -> None:
    for method in ("edit-your-motion", "own"):
        for clip in ("335", "336"):
            settings = {"dataset": "tiktok", "split": "x", "size": "64x96", "frames": 16}
            test_tables.write_cell(folder / "tiktok", method, clip, {"l1": 3e-4, "psnr": 21.5}, **settings)
    pooled = {"cases": ["335"], "results": [{"name": "fvd", "value": 3.0}]}
    (folder / "tiktok/own/pooled.json").write_text(json.dumps(pooled))
    (folder / "tiktok/own/evaluation/clips").mkdir(parents=True)
    (folder / "tiktok/own/evaluation/report.json").write_text(json.dumps({"summary": [
        {"name": "fid_vid", "value": 2.0, "clips": 1}], "created": "2026"}))  # fmt: skip
    (folder / "tiktok/own/evaluation/clips/335.json").write_text(json.dumps(REPORT))


def tabulate(folder: Path) -> None:
    (out := folder.parent / "tables").mkdir()
    write_tables(out, read_findings([folder / "tiktok"]))


def grid(folder: Path) -> None:
    for name in ("100-100", "100-200", "200-100", "200-200"):
        for clip in ("a", "b"):
            test_tables.write_cell(folder / "sweep", name, clip, {"psnr": 20.0, "pck_truth": 0.5})


REPORT = {
    "results": [
        {"name": "psnr", "value": 20.5, "better": "higher", "convention": "c", "count": 4, "of": "frames", "notes": []},
        {"name": "fvd", "reason": "no weights", "remedy": "give them"},
    ],
    "frames": 4, "height": 64, "width": 64, "measured_height": 64, "measured_width": 64,
}  # fmt: skip
SCORES = {"method": "own", "question": "text", "score": 0.5, "participants": 3,
          "interval": {"low": 0.4, "high": 0.6, "confidence": 0.95}}  # fmt: skip
WILD = [{"name": "a", "source": "a.mkv", "reference": "a.mkv", "prompt": "a man", "source_start": 1}]


def wild(name: str) -> Kind:
    def make(folder: Path) -> None:
        encode(folder / "a.mkv", "ffv1")
        rows = "name,source,reference,prompt,source_start\na,a.mkv,a.mkv,a man,1\n"
        (folder / name).write_text(rows if name.endswith(".csv") else yaml.safe_dump(WILD))

    return Kind(make, lambda folder: read_wild(folder, CasesConfig(frames=2, source_frames=2)))


def flax(folder: Path) -> None:
    from test_metrics_lpips import make_flax_tree

    (folder / "x.pickle").write_bytes(pickle.dumps(make_flax_tree(Lpips("alexnet")), protocol=3))


def dance(folder: Path) -> None:
    line = " ".join(["0", "80", *["0"] * 49])
    write_bvh(folder / "x.bvh", f"{line} {line}", 2)


def shard(folder: Path) -> None:
    tensors = {
        "frames": torch.zeros(2, 16, 16, 3, dtype=torch.uint8),
        "masks": torch.zeros(2, 16, 16, dtype=torch.bool),
        "body": torch.zeros(2, 18, 3),
    }
    save_file(tensors, folder / "x.safetensors", {"captions": json.dumps(["a man", "a woman"])})


ROWS = [
    {"source": "a.mkv", "reference": "a.mkv", "prompt": "a man", "name": name, "sampling.steps": 3, "video.frames": 4}
    for name in ("a", "b")
]
TABLE = "source,reference,prompt,name,sampling.steps,model.lora\n" + "".join(
    f'a.mkv,a.mkv,a man,{name},3,"[one, two]"\n' for name in "ab"
)


def manifest(name: str, text: str) -> Kind:
    """A list of edits to be made."""

    def make(folder: Path) -> None:
        encode(folder / "a.mkv", "ffv1")
        (folder / name).write_text(text)

    return Kind(make, lambda folder: plan(folder, name))


def plan(folder: Path, name: str = "rows.json") -> list[Row]:
    return plan_rows(read_manifest(folder / name), folder)


def batch(folder: Path) -> None:
    """What was made of a list of edits."""
    encode(folder / "a.mkv", "ffv1")
    (folder / "rows.json").write_text(json.dumps(ROWS))
    store = open_store(str(folder / "batch"))
    done, failed = plan(folder)
    phases = {"tuning": {"seconds": 1.5, "peak_memory": 1, "steps": 2}}
    record = {"phases": phases, "scores": {"edited": {"psnr": 20.0}}, "warnings": ["w"]}
    store.write(f"edits/{done.name}/row.json", json.dumps({"request": done.request, "files": ["run.json"]}).encode())
    store.write(f"edits/{done.name}/run.json", json.dumps(record).encode())
    note_failure(store, failed, "no room")


def summarise(folder: Path) -> None:
    store = open_store(str(folder / "batch"))
    write_summary(gather_results(plan(folder), store), store)


def rewrite(folder: Path) -> None:
    with rewritten(folder, ["x"]):
        (folder / "x").write_text("x")


def log(folder: Path) -> None:
    (folder / "x.jsonl").write_text("".join(json.dumps({"step": step, "loss": 0.5}) + "\n" for step in range(1, 6)))


def ask_library(folder: Path) -> None:
    """All that a web app shows of its library: an answer, or an error in words; what is whole is shown."""
    library = Library(folder / "library")
    library.recover()
    app = make_app(library, JobRunner(library, ["cpu"]), gather_offers([]), Access(None), {})
    clip, other = sorted(path.name for path in (folder / "library/clips").iterdir())[:2]
    (job,) = sorted(path.name for path in (folder / "library/jobs").iterdir())
    corrected = {"frames": {"0": describe_keypoints(KEYPOINTS)["frames"][0]}}
    requests: tuple[tuple[str, str, object], ...] = (
        ("GET", "/api/library", None),
        *(("GET", f"/api/clips/{clip}{part}", None) for part in ("", "/keypoints", "/frames/0.jpg", "/masks/0.png")),
        ("GET", f"/api/clips/{other}", None),
        ("PATCH", f"/api/clips/{clip}/keypoints", corrected),
        *(("GET", f"/api/jobs/{job}{part}", None) for part in ("", "/log", "/keypoints/edited", "/person.zip")),
        ("POST", f"/api/jobs/{job}/resume", {}),
    )
    for method, path, body in requests:
        status, answer = ask(app, method, path, b"" if body is None else json.dumps(body).encode())
        assert status < 500 or status == 503, (method, path, status, answer[:200])


def library(folder: Path) -> None:
    """A web app's library of two clips and an edit that is over."""
    made = Library(folder / "library")
    source, reference = add_pair(made, 2)
    job = made.add_ready_job("a" * 24, "edit", "first", {"source": source, "reference": reference, "prompt": "a man"})
    made.take_job("edits")
    made.end_job(job, None)
    (place := made.job_folder(job) / EDIT).mkdir(parents=True)
    tuning(place)
    (place / "x.safetensors").rename(place / CHECKPOINT)
    (place / "run.json").write_text(json.dumps({"warnings": [], "phases": {}}))
    (place / "skeletons.json").write_text(json.dumps({"frames": []}))
    (place.parent / ESTIMATE).write_text(json.dumps({"seconds": 3}))
    made._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    made._database.execute("PRAGMA journal_mode = DELETE").fetchall()
    made._database.close()


def load_part(folder: Path, whole: Path) -> Any:
    return load_base(str(folder), str(whole / "controlnet"))


def load_resnet(folder: Path) -> None:
    (path,) = folder.iterdir()
    load_resnet3d(path, network=ResNet3D(DEPTHS, WIDTHS))


KINDS: dict[str, Kind] = {
    "mp4": video("x.mp4", "libx264"),
    "mov": video("x.mov", "mpeg4"),
    "mkv": video("x.mkv", "ffv1", "bgr0"),
    "webm": video("x.webm", "libvpx-vp9", deadline="realtime"),
    "webm with alpha": video("x.webm", "libvpx-vp9", "yuva420p", deadline="realtime"),
    "avi": video("x.avi", "mjpeg", "yuvj420p"),
    "ts": video("x.ts", "libx264"),
    "gif": picture("x.gif", "P", 3, duration=80),
    "png": picture("x.png"),
    "png with palette": picture("x.png", "P"),
    "png of 16 bits": Kind(deep, lambda folder: look_at(folder / "x.png")),
    "animated png": picture("x.png", "RGBA", 3, duration=80),
    "jpeg": picture("x.jpg", quality=80),
    "webp": picture("x.webp", "RGB", 3, duration=80),
    "avif": picture("x.avif"),
    "tiff": picture("x.tiff", compression="tiff_lzw"),
    "bmp": picture("x.bmp"),
    "folder of frames": Kind(frames_in, look_at),
    "masks": Kind(masks, load_ready_masks),
    "mask video": Kind(film_masks, lambda folder: load_ready_masks(folder / "x.mp4")),
    "skeletons": Kind(skeletons, lambda folder: load_precomputed(folder, "skeletons"), cost=2),
    "openpose": Kind(lambda folder: write_openpose(folder, KEYPOINTS), load_ready_keypoints),
    **POSES,
    "npy": Kind(
        lambda folder: np.save(folder / "x.npy", KEYPOINTS.body),
        lambda folder: load_ready_keypoints(folder / "x.npy", height=64, width=64),
    ),
    "npz": Kind(arrays, lambda folder: load_precomputed(folder / "x.npz")),
    "prepared": Kind(lambda folder: save_prepared(folder / "p", film()), lambda folder: load_prepared(folder / "p")),
    "person": Kind(person, lambda folder: load_person(folder / "p")),
    "tuning": Kind(tuning, go_on),
    "base": checkpoint("base", load=load_part),
    "controlnet": checkpoint("controlnet", load=lambda folder, whole: load_base(str(whole / "base"), str(folder))),
    "adapter": checkpoint(
        "adapter", load=lambda folder, whole: load_base(str(whole / "base"), str(whole / "controlnet"), str(folder))
    ),
    "tokenizer": checkpoint(
        "base/tokenizer",
        load=lambda folder, whole: load_base(str(whole / "base"), str(whole / "controlnet"), tokenizer=str(folder)),
    ),
    "one file": Kind(one_file, load_one_file, cost=8),
    "lora": Kind(
        lora,
        lambda folder: load_base(
            str(WHOLE[0] / "base"), str(WHOLE[0] / "controlnet"), lora=[str(folder / "x.safetensors")]
        ),
        cost=6,
    ),
    "edit settings": settings(EditConfig, prompt="a man", model={"lora": ["a", "b"]}),
    "paired settings": settings(PairedConfig),
    "dataset settings": settings(DatasetConfig),
    "evaluation settings": settings(EvaluationConfig),
    "pretrain settings": settings(PretrainConfig),
    "variants": written("x.yaml", {"a": {"description": "d", "edit": {"sampling": {"steps": 3}}}}, load_variants),
    "split": written("x.yaml", {"name": "n", "dataset": "d", "origin": "o", "clips": ["a", "b"]}, load_split),
    "wild yaml": wild("cases.yaml"),
    "wild csv": wild("cases.csv"),
    "study": Kind(study, load_study),
    "answers": Kind(answer, recount, cost=3),
    "answers csv": Kind(
        lambda folder: (write_table(folder / "x.csv", answer(folder)), (folder / "answers.sqlite").unlink()),
        lambda folder: to_json(report_study(imagine(2, 2), read_table(folder / "x.csv"))),
    ),
    "study report": written(
        "report.json",
        {"title": "t", "everybody": {"participants": 3, "scores": [SCORES]}, "unmarked": {"participants": 2}},
        read_study,
    ),
    "tables": Kind(cells, tabulate, cost=4),
    "sweep": Kind(grid, lambda folder: write_sweep(folder / "sweep"), cost=4),
    "failure": Kind(
        lambda folder: [
            (folder / "a/b").mkdir(parents=True),
            (folder / "a/b/failure.json").write_text(json.dumps({"pair": "p", "method": "m", "error": "e"})),
        ],
        load_failures,
    ),
    "bvh": Kind(dance, lambda folder: read_bvh(folder / "x.bvh")),
    "lpips": Kind(flax, lambda folder: read_flax_weights(folder / "x.pickle", "alexnet"), cost=8),
    "resnet": Kind(lambda folder: save_tiny_resnet(folder / "x.pth"), load_resnet),
    "resnet safetensors": Kind(lambda folder: save_tiny_resnet(folder / "x.safetensors"), load_resnet),
    "manifest csv": manifest("x.csv", TABLE),
    "manifest yaml": manifest("x.yaml", yaml.safe_dump(ROWS)),
    "manifest json": manifest("x.json", json.dumps(ROWS)),
    "manifest lines": manifest("x.jsonl", "\n".join(map(json.dumps, ROWS))),
    "batch": Kind(batch, summarise),
    "recommendation": written(
        FILE, {"preset": "fast", "settings": {"sampling": {"steps": 3}}}, lambda path: read_recommendation(
            str(path.parent), frozenset({"fast"})
        )
    ),
    "measured": written("x.json", {
        "steps": {"predict": 1.0, "tune": [1.0, 2.0], "encode": 0.5, "decode": 0.5},
        "window": 8, "memory": 1 << 30, "trained": 9,
    }, _recall),
    "results": Kind(
        lambda folder: (folder / RECORD).write_text(json.dumps({"x": "0" * 64})), lambda folder: rewrite(folder)
    ),
    "log": Kind(log, lambda folder: [_step_of(line) for line in (folder / "x.jsonl").read_bytes().splitlines()]),
    "account": written("x.json", {"tune": {"seconds": 1.0, "peak_memory": 2, "steps": 3}}, _read_account),
    "lease": written("x.json", {"machine": name_machine(), "process": 1, "begun": 3.0}, lambda path: _is_gone(
        path.read_bytes()
    )),
    "library": Kind(library, ask_library, cost=6),
    "shard": Kind(shard, lambda folder: load_shard(folder / "x.safetensors")),
}  # fmt: skip


class TooLongError(BaseException):
    """A case hangs; no handler of errors may take it for one."""


@dataclass(frozen=True)
class Samples:
    """A whole sample of each kind, made when it is first asked for.

    Args:
        folder: where they lie.
    """

    folder: Path

    def __getitem__(self, name: str) -> Path:
        if not (place := self.folder / name).is_dir():
            place.mkdir()
            KINDS[name].make(place)
        return place


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def samples(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    whole = tmp_path_factory.mktemp("whole")
    for part in ("base", "controlnet", "adapter"):
        (whole / part).symlink_to(checkpoints / part)
    test_single_file.make_narrow(whole / "original")
    WHOLE[:] = [whole]
    return Samples(tmp_path_factory.mktemp("samples"))


OTHERS = ("mkv", "png", "gif", "comfy", "npy", "npz", "tuning", "variants", "answers csv", "bvh")
"""Kinds whose content is put into files of other kinds."""


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def try_case(samples: Samples, name: str, number: int, place: Path) -> str | None:
    """What is wrong with how a damaged sample of a kind is read; None where all is well."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    shutil.copytree(samples[name], place)
    files = files_of(place)
    file = files[rng.integers(0, len(files))]
    other = files_of(samples[OTHERS[rng.integers(0, len(OTHERS))]])[0]
    file.write_bytes(damage(file.read_bytes(), file.suffix, rng, [other.read_bytes()]))
    before = files_of(place)
    case = f"case {number}, {file.relative_to(place)}"
    try:
        with bounded(BOUND):
            KINDS[name].read(place)
    except EditYourMotionError as error:
        return None if str(error).strip() else f"{case}: an error without words"
    except TooLongError:
        return f"{case}: it takes more than {BOUND} s"
    except BaseException as error:  # a test of what else comes
        where = [f"{Path(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        return f"{case}: {error!r:.300} at {' '.join(where[-4:])}"
    left = {path.name for path in files_of(place)} - {path.name for path in before}
    return f"{case}: left {left}" if any(".partial" in name for name in left) else None


@pytest.mark.parametrize("name", KINDS)
def test_whole_samples_are_read(samples: Samples, tmp_path: Path, name: str) -> None:
    shutil.copytree(samples[name], place := tmp_path / "case")
    KINDS[name].read(place)


def test_a_damaged_database_of_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(tmp_path)
    path = tmp_path / "answers.sqlite"
    content, name = path.read_bytes(), b"sqlite_autoindex_participants"
    assert name in content
    path.write_bytes(content.replace(name, b"sql\xff\xff\xff\xffautoindex_participants"))
    with pytest.raises(InputError, match="expected"):
        recount(tmp_path)
    path.write_bytes(content)
    monkeypatch.setattr(AnswerBook, "count_asked", lambda book: {})
    with pytest.raises(InputError, match="expected what participant"):
        recount(tmp_path)


def run(samples: Samples, tmp_path: Path, name: str, numbers: range) -> None:
    wrong = []
    for number in numbers:
        wrong.append(try_case(samples, name, number, tmp_path / "run" / "case"))
        shutil.rmtree(tmp_path / "run")
    if told := [each for each in wrong if each]:
        pytest.fail("\n".join(told), pytrace=False)


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_named(samples: Samples, tmp_path: Path, name: str) -> None:
    run(samples, tmp_path, name, range(max(2, FEW // KINDS[name].cost)))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_more_damage_is_named(samples: Samples, tmp_path: Path, name: str) -> None:
    run(samples, tmp_path, name, range(FEW, FEW + MANY // KINDS[name].cost))
