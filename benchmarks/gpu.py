"""Runs what waits for a GPU in two runs of ten minutes, and writes what came of it. See GPU.md and scripts/gpu.

Each part runs as a process of its own within its time: one that fails, hangs or is not done in time stops no other, and
whatever is known is on disk at any moment.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import gpu_pack

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
WORK = ROOT / "runs" / "gpu"
PIECE = 15 * 2**20
"""Bytes of a piece of the base, so that it goes where larger files do not."""

LAWS_SECONDS, EDIT_SECONDS, PHASES_SECONDS = 45, 75, 180
"""What the first run's parts before the pretraining take at most, seconds."""

Facts = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Something to run.

    Args:
        name: of its results.
        row: which row of GPU.md it answers.
        command: gets the file to write its JSON to as its last argument.
        seconds: at most.
        says: what the row gets, from the JSON.
    """

    name: str
    row: str
    command: tuple[str, ...]
    seconds: float
    says: Callable[[Facts], str]


class Record:
    """The results so far, on disk after each part."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, now = folder, datetime.now(timezone.utc)
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"{now:%Y-%m-%d-%H%M}-gpu-{run}"
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        self.facts: Facts = {"date": now.isoformat(timespec="seconds"), "commit": commit, "machine": {}, "parts": {}}
        self.rows: list[str] = []
        self.save()

    def add(self, part: Part, outcome: str, seconds: float, facts: Facts | None) -> None:
        """What a part came to."""
        self.facts["parts"][part.name] = {"outcome": outcome, "seconds": round(seconds, 1), "result": facts}
        if facts and "machine" in facts:
            self.facts["machine"] = facts["machine"]
        said = part.says(facts) if facts else outcome
        machine = self.facts["machine"].get("name", platform.node())
        date, commit = self.facts["date"][:10], self.facts["commit"][:8]
        self.rows.append(f"| {date} | {machine} | {commit} | {part.row} | {said} |")
        print(self.rows[-1], flush=True)
        self.save()

    def save(self) -> None:
        (self.folder / f"{self.name}.json").write_text(json.dumps(self.facts, indent=2) + "\n")
        head = ["| date | machine | commit | what | result |", "|---|---|---|---|---|"]
        (self.folder / f"{self.name}.md").write_text("\n".join([*head, *self.rows]) + "\n")


def run(part: Part, seconds: float, record: Record) -> None:
    """Runs a part within so many seconds, and adds what it came to."""
    result = WORK / f"{part.name}.json"
    result.unlink(missing_ok=True)
    start = time.monotonic()
    with (record.folder / "log.txt").open("a") as log:
        log.write(f"\n=== {part.name}: {' '.join(part.command)}\n")
        log.flush()
        with _started([*part.command, str(result)], log) as process:
            try:
                code = process.wait(timeout=max(1.0, seconds))
                outcome = "done" if code == 0 else f"failed (exit code {code}, see log.txt)"
            except subprocess.TimeoutExpired:
                outcome = f"not done within {seconds:.0f} s"
    try:
        facts = json.loads(result.read_text())
    except (OSError, ValueError):
        facts = None
    record.add(part, outcome, time.monotonic() - start, facts)


@contextmanager
def _started(command: list[str], log: Any) -> Iterator[subprocess.Popen]:
    """A process in a group of its own, all of which is gone at the end."""
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(timeout=5)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        process.wait()


def _environment() -> dict[str, str]:
    """With the package and what was packed importable, and nothing fetched."""
    places = [str(ROOT / "src"), str(HERE), *([str(gpu_pack.site())] if gpu_pack.site().is_dir() else [])]
    given = os.environ.get("PYTHONPATH")
    more = {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    if (gpu_pack.CACHE / "lpips-alexnet.safetensors").is_file():
        more["EYM_CACHE"] = str(gpu_pack.CACHE)
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join([*places, *([given] if given else [])])}


def phases(device: str, tiny: bool) -> list[Part]:
    """The steps of an edit at Stable Diffusion 1.5's widths, 512x512."""
    command = [sys.executable, str(HERE / "phases.py"), "--device", device, "--most-load", "1000", "--repeats", "3"]
    if tiny:
        command += ["--widths", "32", "32", "32", "32", "--layers", "1", "--heads", "2", "--text-width", "32"]
        command += ["--text-heads", "2", "--vae-widths", "8", "8", "16", "16", "--size", "128", "--repeats", "1"]
    else:
        command += ["--size", "512", "--precision", "bf16"]
    parts = []
    # On a CPU, compiling takes longer than all the rest.
    compiled = () if tiny else (("compiled-8", ("--frames", "8", "--recompute", "nothing", "--compile"), 120),)
    # What matters most comes first; compiling takes longest.
    for name, options, seconds in (
        ("fast-8", ("--frames", "8", "--recompute", "nothing"), 45),
        ("frugal-8", ("--frames", "8", "--recompute", "everything"), 40),
        ("frugal-16", ("--frames", "16", "--recompute", "everything"), 45),
        ("frugal-24", ("--frames", "24", "--recompute", "everything"), 60),
        *compiled,
    ):
        row = f"a step of each phase, {name.replace('-', ', ')} frames"
        parts.append(Part(name, row, (*command, *options, "--output"), seconds, say_phases))
    return parts


def say_phases(facts: Facts) -> str:
    """Seconds of a whole edit that these steps make, the share of the machine's limit, peak memory."""
    steps = {"tuning step, stage 1": 300, "tuning step, stage 2": 300, "inversion step": 50, "sampling step": 50}
    frames = int(facts["settings"]["frames"])
    steps |= {"encode one frame": 2 * frames, "decode one frame": frames}
    taken = [(steps[phase["name"]], phase) for phase in facts["phases"] if phase["name"] in steps]
    seconds = sum(count * phase["seconds"] for count, phase in taken)
    operations = sum(count * phase["gflop"] for count, phase in taken)
    peak = max(phase["peak_gib"] for phase in facts["phases"])
    share = operations / seconds / facts["machine"]["matrix_gflops"]
    return f"whole edit {seconds:.1f} s, {share:.0%} of the limit, peak {peak:.2f} GiB"


def say_laws(facts: Facts) -> str:
    broken = [name for name, law in facts["laws"].items() if not law["holds"]]
    return f"{len(facts['laws'])} laws hold" if not broken else f"broken: {', '.join(broken)}"


def say_edits(facts: Facts) -> str:
    return "; ".join(
        f"{precision}: {edit['seconds']:.1f} s, PSNR {edit['psnr']:.1f} dB (source {edit['psnr_source']:.1f}), peak "
        f"{edit['peak_gib']:.2f} GiB of {edit['planned_gib']:.2f} planned"
        for precision, edit in facts["edits"].items()
    )


def say_pretraining(facts: Facts) -> str:
    return (
        f"{facts['pictures']} pictures, VAE {facts['vae_steps']} steps ({facts.get('vae_psnr', float('nan')):.1f} dB), "
        f"diffusion {facts['diffusion_steps']} steps (held-out error {facts.get('error', float('nan')):.4f}), "
        f"{facts['seconds']:.0f} s; the base in {facts['pieces']} pieces"
    )


def run_all(name: str, folder: Path, seconds: float, device: str, tiny: bool) -> None:
    """One of the two runs, within so many seconds."""
    end = time.monotonic() + seconds
    gpu_pack.unpack()
    WORK.mkdir(parents=True, exist_ok=True)
    record = Record(folder, name)
    parts = (sys.executable, str(HERE / "gpu_parts.py"))
    options = ("--device", device, "--output", str(folder), *(("--tiny",) if tiny else ()))
    if name == "first":
        laws = Part("laws", "the laws of the method", (*parts, "laws", *options, "--result"), LAWS_SECONDS, say_laws)
        edits = Part("edits", "a whole edit of the demo's pair, memory against the plan",
                     (*parts, "edits", *options, "--result"), EDIT_SECONDS, say_edits)  # fmt: skip
        for part in (laws, edits):
            run(part, min(part.seconds, end - time.monotonic()), record)
        until = min(end, time.monotonic() + PHASES_SECONDS)
        for part in phases(device, tiny):
            if (left := min(part.seconds, until - time.monotonic())) > 5:
                run(part, left, record)
    left = end - time.monotonic() - 5
    budget = ("--seconds", str(int(left)))
    pretraining = Part("pretraining", "pretraining of the base at 256 pixels",
                       (*parts, "pretrain", *options, *budget, "--result"), left, say_pretraining)  # fmt: skip
    if left > 20:
        run(pretraining, left, record)


def join(folder: Path, destination: Path) -> None:
    """Puts the pieces of a base together and lays it out at `destination`, which must not be there."""
    pieces = sorted(folder.glob("base.tar.*"))
    if not pieces or destination.exists():
        sys.exit(f"expected pieces base.tar.00 … in {folder} and nothing at {destination}")
    whole = destination.with_name(f"{destination.name}.tar")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with whole.open("wb") as file:
        for piece in pieces:
            file.write(piece.read_bytes())
    part = destination.with_name(f"{destination.name}.part")
    with tarfile.open(whole) as archive:
        archive.extractall(part, filter="data")
    part.rename(destination)
    whole.unlink()
    print(f"eym edit --base {destination / 'base'} --controlnet {destination / 'controlnet'} ...")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    packing = modes.add_parser("pack", help="what a bare machine lacks, into .gpu")
    packing.add_argument("--python-version", default="3.12", help="of the machine with the GPU")
    packing.add_argument("--with", dest="more", nargs="*", default=[], help="further packages to bring: numba, av")
    packing.add_argument("--most-mib", type=float, default=11, help="refuse to pack more than this")
    for name in ("first", "second"):
        one = modes.add_parser(name)
        one.add_argument("--output", type=Path, default=WORK / "results")
        one.add_argument("--seconds", type=float, default=570, help="for all of it")
        one.add_argument("--device", default="cuda")
        one.add_argument(
            "--tiny", action="store_true", help="tiny networks: seconds on a CPU, to see that all of it runs"
        )
    joining = modes.add_parser("join", help="pieces of a base to a base")
    joining.add_argument("folder", type=Path)
    joining.add_argument("destination", type=Path)
    options = parser.parse_args()
    if options.mode == "pack":
        sys.path.insert(0, str(ROOT / "src"))
        size = gpu_pack.pack(options.python_version, tuple(options.more)) / 2**20
        if size > options.most_mib:
            sys.exit(f"expected at most {options.most_mib:.1f} MiB, packed {size:.1f}; bring less, or raise --most-mib")
    elif options.mode == "join":
        join(options.folder, options.destination)
    else:
        run_all(options.mode, options.output.resolve(), options.seconds, options.device, options.tiny)


if __name__ == "__main__":
    main()
