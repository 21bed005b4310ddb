"""Does a Ray cluster make a batch as one machine does, when a worker and then a machine are killed; what does it cost?

    python benchmarks/batch_ray.py kill FOLDER              # 24 edits, 4 people, 3 machines
    python benchmarks/batch_ray.py tune-once FOLDER         # two rows of one source at the same moment on two machines
    python benchmarks/batch_ray.py overhead [--rows 10000]  # rows that do nothing

The machines are those of Ray's own cluster utility: each has a raylet, a store and workers of its own, on one computer.
Clips are rendered, the networks tiny and untrained, each task has one thread. Needs the extras 'ray' and 'stage'.
"""

import argparse
import hashlib
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.update(RAY_worker_niceness="0")  # Ray's workers stand back, which on a busy machine is for ever
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # nothing here has a GPU

import psutil
from ray.cluster_utils import Cluster

from edit_your_motion.batch.manifest import read_manifest
from edit_your_motion.batch.row_task import Workshop
from edit_your_motion.batch.rows import Row, plan_rows
from edit_your_motion.batch.run import run_batch
from edit_your_motion.batch.summary import gather_results, write_summary
from edit_your_motion.executors.contract import Task
from edit_your_motion.executors.local import Local
from edit_your_motion.executors.ray import Ray
from edit_your_motion.models.tiny import make_base, make_controlnet
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.preparation import save_masks
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.stage import Pair, render_pair
from edit_your_motion.storage.stores import LocalStore
from edit_your_motion.video import Video, write_video

SILENT = SilentProgress()
PEOPLE, MOTIONS = 4, 6
SETTINGS: dict[str, Any] = {
    "video": {"frames": 4, "size": "64"},
    "tuning": {"motion": {"iterations": 6}, "appearance": {"iterations": 6}, "checkpoint_every": 2},
    "inversion": {"steps": 4},
    "sampling": {"steps": 4},
    "runtime": {"device": "cpu"},
}
COMPARED = ("edited.mp4", "comparison.mp4", "sheet.png", "alignment.png", "skeletons.json", "aligned.mp4")


def write_inputs(folder: Path) -> Path:
    """Networks, clips, and a manifest of every person with every motion, unless they are there."""
    manifest = folder / "rows.jsonl"
    if manifest.exists():
        return manifest
    base = make_base(folder / "base")
    make_controlnet(folder / "controlnet", base)
    for number in range(max(PEOPLE, MOTIONS)):
        pair = render_pair(Pair.sample(number, "held_out"), frames=4, size=(64, 64), fps=8)
        for kind, clip in (("person", pair.source), ("motion", pair.reference)):
            place = folder / f"{kind}{number}"
            place.mkdir()
            write_video(place / f"{kind}{number}.mp4", clip.frames, Video(clip.frames, 8).fps)
            save_keypoints(place / "keypoints.json", clip.keypoints)
            save_masks(place / "masks", clip.masks)
    rows = [
        {
            "name": f"person{person}-motion{motion}",
            "source": f"person{person}/person{person}.mp4",
            "reference": f"motion{motion}/motion{motion}.mp4",
            "prompt": "a person is moving",
            "people.keypoints": f"person{person}/keypoints.json",
            "people.masks": f"person{person}/masks",
            "people.reference_keypoints": f"motion{motion}/keypoints.json",
            "model.base": "base",
            "model.controlnet": "controlnet",
        }
        for person in range(PEOPLE)
        for motion in range(MOTIONS)
    ]
    manifest.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return manifest


def plan(manifest: Path) -> list[Row]:
    return plan_rows(read_manifest(manifest), manifest.parent.absolute(), [SETTINGS])


def start_cluster(machines: int, processors: int = 1) -> tuple[Cluster, list[Any]]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    return cluster, [cluster.add_node(num_cpus=processors) for _ in range(machines)]


def workers_of(node: Any) -> list[psutil.Process]:
    """The processes of a machine that do tasks just now."""
    (raylet,) = (info.process.pid for info in node.all_processes["raylet"])
    found = psutil.Process(raylet).children(recursive=True)
    return [process for process in found if process.cmdline() and "person" in process.cmdline()[0]]


def count_done(output: Path) -> int:
    return len(list(output.glob("edits/*/row.json")))


def disturb(cluster: Cluster, nodes: list[Any], output: Path, log: list[str]) -> None:
    """Kills a worker after four rows, and a machine after ten."""
    for wanted, what in ((4, "worker"), (10, "machine")):
        while count_done(output) < wanted:
            time.sleep(0.05)
        if what == "worker":
            while not (busy := workers_of(nodes[0])):
                time.sleep(0.01)
            doing = busy[0].cmdline()[0]
            busy[0].kill()
            log.append(f"after {count_done(output)} rows: worker killed while it did {doing}")
        else:
            busy = workers_of(nodes[1])
            cluster.remove_node(nodes[1], allow_graceful=False)
            log.append(f"after {count_done(output)} rows: machine killed, with {len(busy)} busy workers")


def digests(output: Path) -> dict[str, str]:
    """What the edits and the persons are, file by file; records say when and where."""
    files = [path for name in COMPARED for path in output.glob(f"edits/*/{name}")]
    files += [path for path in output.glob("persons/*/**/*") if path.is_file() and path.name != "run.json"]
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)
    }


def count_tunings(output: Path) -> int:
    return sum(path.read_text(encoding="utf-8").count(": tuned\n") for path in output.glob("edits/*/log.txt"))


def kill(folder: Path) -> dict[str, Any]:
    """24 rows on three machines, of which one loses a worker and another is lost, against two local processes."""
    rows = plan(write_inputs(folder))
    told: dict[str, Any] = {"rows": len(rows), "people": len({row.person for row in rows})}
    start = time.monotonic()
    alone = folder / "local"
    told["failures local"] = run_batch(
        rows, Workshop(str(alone), folder / "cache"), Local([{"OMP_NUM_THREADS": "1"}] * 2), SILENT
    )
    told["seconds local, 2 processes"] = round(time.monotonic() - start, 1)
    cluster, nodes = start_cluster(3)
    output, log = folder / "ray", list[str]()
    chaos = threading.Thread(target=disturb, args=(cluster, nodes, output, log), daemon=True)
    chaos.start()
    start = time.monotonic()
    executor = Ray(address=cluster.address, cpus=1, gpus=0.0, retries=3)
    told["failures on Ray"] = run_batch(rows, Workshop(str(output), folder / "cache"), executor, SILENT)
    told["seconds on Ray, 3 machines of one processor"] = round(time.monotonic() - start, 1)
    chaos.join(5)
    cluster.shutdown()
    told["killed"] = log
    for name, place in (("local", alone), ("Ray", output)):
        results = gather_results(rows, LocalStore(place))
        write_summary(results, LocalStore(place))
        told[f"done {name}"] = sum(result.state == "done" for result in results)
        told[f"persons {name}"] = len(list(place.glob("persons/*/tuned.safetensors")))
        told[f"tunings that ended {name}"] = count_tunings(place)
    told["files compared"] = len(digests(alone))
    told["all equal bit for bit"] = digests(alone) == digests(output)
    told["left over"] = sorted(path.name for path in output.glob("*/*lease*")) + sorted(
        path.name for path in output.rglob("*.partial*")
    )
    return told


def tune_once(folder: Path) -> dict[str, Any]:
    """Two rows of one source that start at the same moment on two machines."""
    rows = plan(write_inputs(folder))[:2]
    assert rows[0].person == rows[1].person
    cluster, _ = start_cluster(2)
    output = folder / "ray"
    failures = run_batch(rows, Workshop(str(output), folder / "cache"), Ray(address=cluster.address, gpus=0.0), SILENT)
    cluster.shutdown()
    begun = [path.stat().st_ctime for path in output.glob("edits/*/log.txt")]
    return {
        "failures": failures,
        "done": count_done(output),
        "tunings that ended": count_tunings(output),
        "seconds between the last signs of both": round(max(begun) - min(begun), 1),
    }


def nothing(row: Row) -> None:
    """The work of a row that does nothing."""


def overhead(folder: Path, count: int) -> dict[str, Any]:
    """What a row costs that does nothing: in the manifest, and from a driver to a worker and back."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clip.mp4").write_bytes(b"no row reads it")
    lines = [
        json.dumps({"name": f"r{number}", "source": "clip.mp4", "reference": "clip.mp4", "prompt": "a person",
                    "runtime.seed": number})
        for number in range(count)
    ]  # fmt: skip
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    start = time.monotonic()
    rows = plan_rows(read_manifest(folder / "rows.jsonl"), folder.absolute())
    planned = time.monotonic() - start
    cluster, _ = start_cluster(2)
    tasks = [Task(row.name, nothing, (row,)) for row in rows]
    executor = Ray(address=cluster.address, gpus=0.0)
    list(executor.run(tasks[:50]))  # workers are started, and import
    driver = psutil.Process()
    before, start = driver.memory_info().rss, time.monotonic()
    ended = sum(outcome.error is None for outcome in executor.run(tasks))
    seconds = time.monotonic() - start
    memory = driver.memory_info().rss
    cluster.shutdown()
    start = time.monotonic()
    list(Local([{}, {}]).run(tasks))
    return {
        "rows": count,
        "done": ended,
        "milliseconds a row, manifest": round(1000 * planned / count, 2),
        "milliseconds a row, Ray": round(1000 * seconds / count, 2),
        "milliseconds a row, local": round(1000 * (time.monotonic() - start) / count, 2),
        "driver MiB before": round(before / 2**20),
        "driver MiB more after": round((memory - before) / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kill", "tune-once", "overhead"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("batch-ray"))
    parser.add_argument("--rows", type=int, default=10_000)
    given = parser.parse_args()
    logging.getLogger("edit_your_motion").setLevel(logging.ERROR)
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if given.what == "overhead":
        told = overhead(folder, given.rows)
    else:
        told = kill(folder) if given.what == "kill" else tune_once(folder)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
