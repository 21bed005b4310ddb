"""Measure the web app under load: many browsers that scrub and upload while jobs are queued, and one large upload.

    python benchmarks/web_load.py                         # 50 browsers, 20 jobs, an upload of 2 GB
    python benchmarks/web_load.py --clients 5 --jobs 3 --upload 50000000 --seconds 5

The server is `eym serve`, with tiny networks. Each browser fetches frames and overlays of a prepared clip as somebody
who scrubs does, saves corrections, asks for the library and uploads small files. Once every job is done and every file
looked at, it is counted: every upload has to be a clip once, every request for a job a job once.

The result is a JSON file: seconds of an answer (median, 95 %, 99 %, most) beside the jobs that run, what was lost or
doubled, and the server's memory before and at the height of a large upload. Linux only (/proc).
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import torch

from edit_your_motion.benchmark.provenance import commit_of_package

PART = 1 << 22
FRAMES = 16
UPLOAD_EVERY = 100
"""Looks at a frame."""


async def ask(port: int, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """The body of an answer, on a connection of its own, as the first request of a browser."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    if body:
        head += f"Content-Type: {kind}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    top, _, content = answer.partition(b"\r\n\r\n")
    status = int(top.split(b" ", 2)[1])
    if status != 200:
        raise RuntimeError(f"{method} {path}: {status} {content[:200].decode()}")
    return content


class Browser:
    """Somebody who scrubs, corrects and uploads.

    Args:
        port: of the server.
        clip: that is scrubbed.
        number: which browser it is.
    """

    def __init__(self, port: int, clip: str, number: int) -> None:
        self.port, self.clip, self.number = port, clip, number
        self.took: dict[str, list[float]] = {}
        self.uploaded: list[str] = []

    async def timed(self, what: str, method: str, path: str, *body: Any) -> bytes:
        begun = time.perf_counter()
        content = await ask(self.port, method, path, *body)
        self.took.setdefault(what, []).append(time.perf_counter() - begun)
        return content

    async def live(self, until: float) -> None:
        """Goes on until that time."""
        turn = 0
        while time.monotonic() < until:
            frame = (self.number + turn) % FRAMES
            await self.timed("frame", "GET", f"/api/clips/{self.clip}/frames/{frame}.jpg")
            await self.timed("overlay", "GET", f"/api/clips/{self.clip}/overlays/{frame}.png")
            if turn % 10 == 0:
                await self.timed("library", "GET", "/api/library")
                rows = json.loads(await self.timed("keypoints", "GET", f"/api/clips/{self.clip}/keypoints"))
                saved = json.dumps({"frames": {frame: rows["frames"][frame]}}).encode()
                await self.timed("correction", "PATCH", f"/api/clips/{self.clip}/keypoints", saved)
            if turn % UPLOAD_EVERY == 5:
                await self.upload(f"browser {self.number}, {turn}.bin", bytes(200_000))
            turn += 1
            await asyncio.sleep(0.2)

    async def upload(self, name: str, content: bytes) -> None:
        new = json.dumps({"name": name, "role": "reference", "size": len(content)}).encode()
        clip = json.loads(await self.timed("announcement", "POST", "/api/clips", new))["id"]
        path = f"/api/clips/{clip}/content?offset=0"
        await self.timed("upload", "PUT", path, content, "application/octet-stream")
        self.uploaded.append(name)


async def queue(port: int, pair: Sequence[str], jobs: int) -> list[str]:
    """The ids of so many jobs, all asked for at once."""
    asked = {
        "kind": "edit",
        "source": pair[0],
        "reference": pair[1],
        "prompt": "a box walks",
        "offer": "tiny",
        "frames": 2,
    }
    bodies = [json.dumps({**asked, "name": f"job {number}"}).encode() for number in range(jobs)]
    return [
        json.loads(each)["id"]
        for each in await asyncio.gather(*(ask(port, "POST", "/api/jobs", each) for each in bodies))
    ]


async def send_large(port: int, size: int) -> None:
    """Sends a file of zeros in parts, as the page does."""
    new = json.dumps({"name": "large.mp4", "role": "source", "size": size}).encode()
    clip = json.loads(await ask(port, "POST", "/api/clips", new))["id"]
    for offset in range(0, size, PART):
        part = bytes(min(PART, size - offset))
        await ask(port, "PUT", f"/api/clips/{clip}/content?offset={offset}", part, "application/octet-stream")


def memory_of(process: int, field: str) -> int:
    """Bytes of a process, by the name that /proc has for it."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))) * 1024


def furnish(folder: Path) -> tuple[str, ...]:
    """The ids of source and reference in a new library; beside it are tiny networks and the settings for them."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from edit_your_motion.models.tiny import make_base, make_controlnet
    from edit_your_motion.web.library import Library
    from synthetic_clip import film
    from web_site import add_prepared, tiny_settings

    make_base(folder / "base")
    make_controlnet(folder / "controlnet", folder / "base")
    tiny_settings(folder, folder)
    library = Library(folder / "library")
    clips = {role: film(FRAMES, 256, 256, seed=seed) for seed, role in enumerate(("source", "reference"))}
    return tuple(add_prepared(library, role, clip, f"{role}.mp4") for role, clip in clips.items())


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Port and process of ``eym serve``."""
    program = [sys.executable, "-c", "from edit_your_motion.cli import main; main()"]
    chosen = ["--port", "0", "--device", "cpu", "--settings", str(folder / "tiny.yaml")]
    with Popen([*program, "serve", str(folder / "library"), *chosen], stdout=PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().split()[0]
            yield urlsplit(address).port or 0, server.pid
        finally:
            server.terminate()


async def drain(port: int, seconds: float) -> dict[str, Any]:
    """The library once nothing is to be done in it any more."""
    until = time.monotonic() + seconds
    while True:
        library: dict[str, Any] = json.loads(await ask(port, "GET", "/api/library"))
        busy = [
            each["name"] for each in (*library["jobs"], *library["clips"]) if each["state"] in ("queued", "running")
        ]
        if not busy:
            return library
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:.0f} s there are still {len(busy)} to be done: {', '.join(busy[:5])}")
        await asyncio.sleep(1)


async def measure(port: int, server: int, pair: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    """Everything, in the order of this file's first words."""
    idle = memory_of(server, "VmRSS")
    jobs = await queue(port, pair, args.jobs)
    browsers = [Browser(port, pair[0], number) for number in range(args.clients)]
    until = time.monotonic() + args.seconds
    await asyncio.gather(*(browser.live(until) for browser in browsers))
    loaded = memory_of(server, "VmHWM")
    beside = json.loads(await ask(port, "GET", "/api/library"))["jobs"]
    library = await drain(port, args.patience)
    drained = time.monotonic() - until
    names = Counter(clip["name"] for clip in library["clips"])
    uploaded = [name for browser in browsers for name in browser.uploaded]
    listed = Counter(job["id"] for job in library["jobs"])
    Path(f"/proc/{server}/clear_refs").write_text("5")
    before = memory_of(server, "VmRSS")
    begun = time.monotonic()
    await send_large(port, args.upload)
    took: dict[str, list[float]] = {}
    for browser in browsers:
        for what, seconds in browser.took.items():
            took.setdefault(what, []).extend(seconds)
    return {
        "answers": {what: summarise(seconds) for what, seconds in sorted(took.items())},
        "all answers": summarise([each for seconds in took.values() for each in seconds]),
        "uploads": {"sent": len(uploaded), "lost": sum(names[name] == 0 for name in uploaded),
                    "doubled": sum(names[name] > 1 for name in uploaded)},
        "jobs": {"asked for": len(jobs), "lost": len(set(jobs) - set(listed)), "doubled": len(listed) - len(jobs),
                 "done beside the browsers": sum(job["state"] == "done" for job in beside),
                 "states": dict(Counter(job["state"] for job in library["jobs"])),
                 "seconds after the browsers": round(max(drained, 0.0), 1)},
        "memory": {"idle": idle, "most under load": loaded, "before the large upload": before,
                   "most during the large upload": memory_of(server, "VmHWM")},
        "large upload": {"bytes": args.upload, "seconds": round(time.monotonic() - begun, 1)},
    }  # fmt: skip


def summarise(seconds: Sequence[float]) -> dict[str, float]:
    """Median, high shares and most of some times, seconds."""
    ordered = sorted(seconds)
    at = {
        name: ordered[min(int(share * len(ordered)), len(ordered) - 1)]
        for name, share in (("95 %", 0.95), ("99 %", 0.99))
    }
    found = {"median": statistics.median(ordered), **at, "most": ordered[-1]}
    return {"count": len(ordered), **{name: round(value, 4) for name, value in found.items()}}


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--upload", type=int, default=2 * 10**9, help="bytes of the large upload")
    parser.add_argument("--output", type=Path, default=Path("web-load.json"))
    parser.add_argument("--patience", type=float, default=300, help="seconds that the jobs may take after the browsers")
    args = parser.parse_args()
    with TemporaryDirectory() as place:
        pair = furnish(Path(place))
        with serving(Path(place)) as (port, server):
            found = asyncio.run(measure(port, server, pair, args))
    settings = {name: getattr(args, name) for name in ("clients", "jobs", "seconds", "upload")}
    machine = {"python": sys.version.split()[0], "torch": str(torch.__version__), "threads": torch.get_num_threads()}
    when = {"date": date.today().isoformat(), "commit": commit_of_package()}
    args.output.write_text(json.dumps({**when, "settings": settings, "machine": machine, **found}, indent=2) + "\n")
    print(args.output.read_text())


if __name__ == "__main__":
    main()
