"""Batches from and to S3, as a server on this machine speaks it."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edit_your_motion.batch import row_task
from edit_your_motion.batch.contents import Tags, localise
from edit_your_motion.batch.manifest import read_manifest
from edit_your_motion.batch.row_task import Workshop
from edit_your_motion.batch.rows import plan_rows
from edit_your_motion.batch.run import run_batch
from edit_your_motion.errors import InputError
from edit_your_motion.executors.in_process import InProcess
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.storage.leases import leased
from edit_your_motion.storage.stores import RemoteStore, open_store

pytestmark = [
    pytest.mark.skipif(
        not (importlib.util.find_spec("moto") and importlib.util.find_spec("s3fs")),
        reason="moto or s3fs is not installed: the extra 'cluster' has both",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of botocore and werkzeug
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # s3fs leaves its connections to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"b{abs(hash(request.node.name))}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def test_of_many_who_create_a_file_one_does(bucket: str) -> None:
    created: list[bool] = []
    threads = [threading.Thread(target=lambda: created.append(open_store(bucket).create("a", b"x"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 4 + [True]


def test_a_lease_is_of_one_at_a_time(bucket: str) -> None:
    inside, most = [0], [0]

    def hold() -> None:
        with leased(open_store(bucket), "persons/anna"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1]
    assert open_store(bucket).find("persons/") == []


def test_an_input_is_brought_by_its_version(bucket: str, tmp_path: Path) -> None:
    store = open_store(bucket)
    store.write("a.mp4", b"one")
    first = Tags().of(f"{bucket}/a.mp4")
    assert Path(localise(f"{bucket}/a.mp4", first, tmp_path)).read_bytes() == b"one"
    store.write("a.mp4", b"two")  # of the same size, in the same second
    second = Tags().of(f"{bucket}/a.mp4")
    assert second != first
    assert Path(localise(f"{bucket}/a.mp4", second, tmp_path)).read_bytes() == b"two"


@pytest.mark.parametrize("place", ["s3://no-such-bucket-at-all/a.mp4", "{bucket}/a.mp4"])
def test_what_is_not_there_is_one_line(bucket: str, place: str) -> None:
    with pytest.raises(InputError, match=r"nothing there|out of reach"):
        Tags().of(place.format(bucket=bucket))


def test_a_batch_lies_whole_in_a_bucket(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits are played; the way of their files is not."""
    tuned: list[Path] = []

    def tune(config: Any, folder: Path, progress: Any, *, chosen: Any) -> None:
        tuned.append(folder)
        folder.mkdir(parents=True)
        (folder / "tuned.safetensors").write_bytes(Path(config.source.path).read_bytes())

    def apply(person: Path, config: Any, folder: Path, *rest: Any, **more: Any) -> None:
        motion = Path(config.reference.path).read_bytes()
        (folder / "edited.mp4").write_bytes((person / "tuned.safetensors").read_bytes() + motion)

    monkeypatch.setattr(row_task, "run_tune", tune)
    monkeypatch.setattr(row_task, "run_apply", apply)
    store = open_store(bucket)
    for name in ("anna", "kick", "jump"):
        store.write(f"clips/{name}.mp4", name.encode())
    (tmp_path / "rows.csv").write_text(
        f"source,reference,prompt,name\n{bucket}/clips/anna.mp4,{bucket}/clips/[kj]*.mp4,a woman,all\n"
    )
    rows = plan_rows(read_manifest(tmp_path / "rows.csv"), tmp_path)
    assert [row.name for row in rows] == ["all-anna-jump", "all-anna-kick"]
    for machine in ("one", "two"):  # the second has nothing to do
        workshop = Workshop(f"{bucket}/out", tmp_path / machine)
        assert run_batch(rows, workshop, InProcess(), SilentProgress()) == {}
    results = open_store(f"{bucket}/out")
    assert isinstance(results, RemoteStore)
    assert results.read("edits/all-anna-kick/edited.mp4") == b"annakick"
    assert results.read("edits/all-anna-jump/row.json") is not None
    assert len(tuned) == 1
    results.remove("edits/all-anna-jump/row.json")
    results.remove("edits/all-anna-kick/edited.mp4")
    assert run_batch(rows, Workshop(f"{bucket}/out", tmp_path / "three"), InProcess(), SilentProgress()) == {}
    assert results.read("edits/all-anna-kick/edited.mp4") == b"annakick"
    assert len(tuned) == 1, "the person was brought from the bucket"
    assert results.find("persons/") == [f"persons/{rows[0].person}"]
