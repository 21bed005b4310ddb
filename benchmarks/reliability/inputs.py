"""Damaged files of every kind that is read, and damaged requests: an error of ours or success, in bounds.

The kinds, their samples and how they are damaged are those of tests/test_fuzz.py; a case is some of them in a child
with a bound of memory.
"""

import argparse
import json
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import paths  # noqa: F401 (first, as it says where the others are)
import test_fuzz
import test_single_file
import trying
from asking import ask
from commands import inputs, scratch
from edit_your_motion.models.tiny import make_motion_adapter
from edit_your_motion.web.access import Access
from edit_your_motion.web.job_runner import JobRunner
from edit_your_motion.web.library import Library
from edit_your_motion.web.offers import gather_offers
from edit_your_motion.web.server import make_app
from mutations import damage
from trying import Account, in_child
from web_site import add_pair

MEMORY = 4 << 30
"""Bytes that reading may take beyond those of the libraries."""
AT_ONCE = 20
REQUESTS = "requests"
JSON = "application/json"


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each kind, of dear ones fewer."""
    account, place = Account("inputs", options), scratch()
    make_whole(place)
    samples = test_fuzz.Samples(place / "samples")
    samples.folder.mkdir()
    for name in options.only or (*test_fuzz.KINDS, REQUESTS):
        cost = 1 if name == REQUESTS else test_fuzz.KINDS[name].cost
        count = max(1, options.cases // cost)
        cases = [f"{name}/{first}-{min(first + AT_ONCE, count) - 1}" for first in range(0, count, AT_ONCE)]
        account.try_all(cases, lambda case: attempt(case, samples, place, options.seed))
    return account


def make_whole(place: Path) -> None:
    """The checkpoints of which samples are made, and samples of what is put into others' place."""
    whole = place / "whole"
    whole.mkdir()
    for part in ("base", "controlnet"):
        (whole / part).symlink_to(inputs() / part)
    test_fuzz.WHOLE[:] = [whole]
    ended = in_child(
        lambda: (
            make_motion_adapter(whole / "adapter", whole / "base") and None,
            test_single_file.make_narrow(whole / "original") and None,
        )
    )
    assert ended.how == "ok", ended


def attempt(case: str, samples: test_fuzz.Samples, place: Path, seed: int) -> str:
    """What came out of some numbers of a kind."""
    name, numbers = case.rsplit("/", 1)
    first, last = map(int, numbers.split("-"))
    chosen = range(1_000_000 * (seed + 1) + first, 1_000_000 * (seed + 1) + last + 1)
    for each in {name, *test_fuzz.OTHERS} - {REQUESTS}:
        if not (samples.folder / each).is_dir():
            in_child(lambda each=each: samples[each] and None)
    tried = try_requests if name == REQUESTS else try_files
    ended = in_child(lambda: tried(samples, name, chosen, place), memory=MEMORY, seconds=60 + 60 * len(chosen))
    if ended.how != "ok":
        return f"{ended.how}: {ended.what}"
    return "; ".join(ended.what) if ended.what else f"ok {len(chosen)}"


def try_files(samples: test_fuzz.Samples, name: str, numbers: range, place: Path) -> list[str]:
    """What is wrong with how damaged samples are read."""
    wrong = []
    for number in numbers:
        shutil.rmtree(place / "run", ignore_errors=True)
        wrong.append(test_fuzz.try_case(samples, name, number, place / "run" / "case"))
    return [each for each in wrong if each]


def try_requests(samples: object, name: str, numbers: range, place: Path) -> list[str]:
    """What is wrong with how the web app answers damaged requests: it never fails in a way that it has not foreseen."""
    shutil.rmtree(place / "library", ignore_errors=True)
    library = Library(place / "library")
    source, reference = add_pair(library, 2)
    app = make_app(library, JobRunner(library, ["cpu"]), gather_offers([inputs() / "tiny.yaml"]), Access(None), {})
    coming = library.add_clip("b.mp4", "reference", 100).id
    edit = {"kind": "edit", "source": source, "reference": reference, "prompt": "a man", "offer": "tiny"}
    job = json.loads(ask(app, "POST", "/api/jobs", json.dumps(edit).encode())[1])["id"]
    rows = json.loads(ask(app, "GET", f"/api/clips/{source}/keypoints")[1])["frames"]
    mask = ask(app, "GET", f"/api/clips/{source}/masks/0.png")[1]
    requests: list[tuple[str, str, Any, str]] = [
        ("POST", "/api/clips", {"name": "a.mp4", "role": "source", "size": 100}, JSON),
        ("PATCH", f"/api/clips/{source}", {"name": "walk", "role": "source"}, JSON),
        ("PUT", f"/api/clips/{coming}/content?offset=0", b"x" * 100, "application/octet-stream"),
        ("POST", f"/api/clips/{source}/preparation", {"frames": 2, "start": 0.0, "fps": 8, "person": 1}, JSON),
        ("PATCH", f"/api/clips/{source}/keypoints", {"frames": {"0": rows[0]}, "corrected": {"nose": [0]}}, JSON),
        ("PUT", f"/api/clips/{source}/masks/0.png", mask, "image/png"),
        ("POST", "/api/alignment", {"source": source, "reference": reference, "alignment": {"size": 1.0}}, JSON),
        ("POST", "/api/jobs", {**edit, "settings": {"sampling": {"steps": 3}}, "frames": 2}, JSON),
        ("POST", "/api/grids", {**edit, "vary": {"sampling.steps": [2, 3]}}, JSON),
        ("PATCH", f"/api/jobs/{job}", {"name": "first"}, JSON),
        ("GET", f"/api/clips/{source}/frames/0.jpg", {}, JSON),
        ("GET", f"/api/jobs/{job}/keypoints/source", {}, JSON),
    ]
    wrong = []
    for number in numbers:
        rng = np.random.default_rng([zlib.crc32(name.encode()), number])
        method, path, body, kind = requests[rng.integers(0, len(requests))]
        whole, suffix = (body, "") if isinstance(body, bytes) else (json.dumps(body).encode(), ".json")
        content = damage(whole, suffix, rng, [b"\x89PNG\r\n", b"\0" * 99])
        if rng.random() < 0.2:
            path = damage(path.encode(), ".txt", rng, [b"/api/../.."]).decode("latin-1")
        try:
            status, _ = ask(app, method, path, content, kind)
        except BaseException as error:
            wrong.append(f"case {number}, {method} {path!r}: {error!r:.300}")
        else:
            if status >= 500:
                wrong.append(f"case {number}, {method} {path!r}: status {status}")
    return wrong


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 240)).conclude())
