"""What all campaigns share: children of a warm process that may die, the layer below it, accounts of cases."""

import argparse
import ctypes
import gc
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

import paths  # first, as it says where the others are
from edit_your_motion.benchmark.provenance import commit_of_package
from edit_your_motion.errors import EditYourMotionError
from edit_your_motion.storage.files import write_text

SHIM, MARK = Path(__file__).with_name("shim.c"), "EYM_SHIM"
SLEEP, KILL, KILL_HALFWAY, FAIL_ONCE, FAIL_ON, JUMP, DELAY = range(7)
"""What the layer does at the chosen operation, as in shim.c."""


def start_under_shim() -> None:
    """Starts this program again with the layer below the C library, unless it runs so already; builds it for that."""
    if os.environ.get(MARK):
        return
    folder = tempfile.mkdtemp(prefix="eym-shim-")
    library = f"{folder}/shim.so"
    subprocess.run(["cc", "-O1", "-fPIC", "-shared", "-o", library, str(SHIM), "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": library, MARK: folder, "OMP_NUM_THREADS": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


@dataclass(frozen=True)
class Shim:
    """What the layer is to do in a child.

    Args:
        folder: operations under it count.
        how: what happens at the chosen one, or with `DELAY` at each.
        at: its number, from 1.
        much: errno of a failure; seconds that the clock jumps by; microseconds of delay.
    """

    folder: Path
    how: int = SLEEP
    at: int = 0
    much: int = 0

    def arm(self) -> None:
        ctypes.CDLL(None).arm(os.fsencode(self.folder), self.how, ctypes.c_long(self.at), self.much, -1)


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Args:
        how: "ok"; "said", an error of ours; "fault", any other; "killed"; "late".
        what: the value, the error, or the signal, as text.
        operations: that the layer counted.
        peak: memory, bytes.
    """

    how: str
    what: Any
    operations: int = 0
    peak: int = 0


class Child:
    """Something that runs in a fork of this process, where all is imported and warm.

    Args:
        run: what; its value must be JSON.
        shim: what the layer below the C library does there.
        memory: bytes of address space beyond those of this process; 0 for no bound.
    """

    def __init__(self, run: Callable[[], Any], *, shim: Shim | None = None, memory: int = 0) -> None:
        gc.freeze()  # or the child's collector would look at all modules again and again
        self.reading, writing = os.pipe()
        self.process = os.fork()
        if not self.process:
            os.close(self.reading)
            _be_child(run, writing, shim, memory)
        os.close(writing)

    def wait(self, seconds: float = 1800, *, kill_after: float = 0) -> Ended:
        """How it ended.

        Args:
            seconds: after which it is late, and killed.
            kill_after: seconds after which it is killed, whatever it does; 0 for not at all.
        """
        told, until, ended = b"", time.monotonic() + (kill_after or seconds), False
        while not ended and (left := until - time.monotonic()) > 0:
            if select.select([self.reading], [], [], left)[0]:
                part = os.read(self.reading, 1 << 16)
                told, ended = told + part, not part
        os.close(self.reading)
        if not ended:
            os.kill(self.process, signal.SIGKILL)
        _, status, usage = os.wait4(self.process, 0)
        if not ended and not kill_after:
            return Ended("late", f"more than {seconds:.0f} s")
        if not ended or not told:
            return Ended("killed", status & 127 or f"code {status >> 8}")
        return Ended(**json.loads(told), peak=usage.ru_maxrss * 1024)


def in_child(run: Callable[[], Any], *, shim: Shim | None = None, memory: int = 0, **bounds: float) -> Ended:
    """How something ends that runs in a `Child`."""
    return Child(run, shim=shim, memory=memory).wait(**bounds)


def _be_child(run: Callable[[], Any], writing: int, shim: Shim | None, memory: int) -> None:
    torch.set_num_threads(1)
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    if memory:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    if shim is not None:
        shim.arm()
    try:
        told: dict[str, Any] = {"how": "ok", "what": run()}
    except EditYourMotionError as error:
        told = {"how": "said", "what": f"{type(error).__name__}: {error}"}
    except BaseException as error:
        where = [f"{Path(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        told = {"how": "fault", "what": f"{error!r:.300} at {' '.join(where[-6:])}"}
    if shim is not None:
        library = ctypes.CDLL(None)
        told["operations"] = library.counted()
        library.disarm()
    content = json.dumps(told).encode()
    while content:
        content = content[os.write(writing, content) :]
    os._exit(0)


class Account:
    """Cases that were tried and what came out, kept in a file as they come; a case that is in it is not tried again.

    Args:
        name: of the campaign.
        options: seed, file of results, seconds to spend.
    """

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.path: Path = options.results or paths.ROOT / f"benchmarks/results/reliability-{name}.json"
        self.until = time.monotonic() + options.seconds
        self.content: dict[str, Any] = {"campaign": name, "seed": options.seed, "cases": {}}
        if self.path.is_file():
            before = json.loads(self.path.read_text(encoding="utf-8"))
            if (before["campaign"], before["seed"]) == (name, options.seed):
                self.content = before
        self.saved = time.monotonic()

    @property
    def cases(self) -> dict[str, Any]:
        """What came out of each: "ok", "ok (…)" with more, or what is wrong."""
        cases: dict[str, Any] = self.content["cases"]
        return cases

    def try_all(self, cases: Iterable[str], attempt: Callable[[str], Any]) -> None:
        """Tries what has not been tried, until the time that was given is over."""
        for case in cases:
            if time.monotonic() > self.until:
                break
            if case not in self.cases:
                self.cases[case] = attempt(case)
                if time.monotonic() - self.saved > 10:
                    self.save()
        self.save()

    def wrong(self) -> dict[str, Any]:
        """Cases that did not come out as promised."""
        return {case: found for case, found in self.cases.items() if not str(found).startswith("ok")}

    def save(self) -> None:
        """Writes the account, with its counts at the top."""
        counts = Counter("ok" if str(found).startswith("ok") else "wrong" for found in self.cases.values())
        head = {"date": date.today().isoformat(), "commit": commit_of_package()}
        head |= {"tried": self.count(), "wrong": counts["wrong"]}
        cases = self.content.pop("cases")
        self.content |= {**head, "cases": cases}
        write_text(self.path, json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")
        self.saved = time.monotonic()

    def count(self) -> int:
        """How much was tried: a case that came out as "ok 3" is three."""
        found = [str(each).split() for each in self.cases.values()]
        return sum(int(words[1].rstrip(":")) if words[0] == "ok" and len(words) > 1 else 1 for words in found)

    def conclude(self) -> int:
        """Says what came out; the exit status."""
        self.save()
        for case, found in self.wrong().items():
            print(f"{self.content['campaign']}: {case}: {found}")
        print(f"{self.content['campaign']}: {self.content['tried']} tried, {self.content['wrong']} wrong")
        return 1 if self.wrong() else 0


def read_options(description: str | None, cases: int) -> argparse.Namespace:
    """The options that every campaign has.

    Args:
        description: of the campaign.
        cases: how many there are of each kind unless somebody says otherwise.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=cases, help=f"of each kind; {cases} unless given")
    parser.add_argument("--only", nargs="*", default=[], help="kinds, or commands")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after so many")
    parser.add_argument("--results", type=Path, help="file of results, gone on with where it is there")
    return parser.parse_args()


def small(folder: Path, name: str, cases: int, only: tuple[str, ...] = ()) -> argparse.Namespace:
    """Options of a small part of a campaign, whose results go into a folder."""
    return argparse.Namespace(
        seed=0, cases=cases, only=list(only), seconds=float("inf"), results=folder / f"{name}.json"
    )
