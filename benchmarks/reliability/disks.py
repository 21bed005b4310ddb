"""Lets each operation on files fail, in turn or drawn, once or from then on, in every command.

A failure is one error of ours, or the operation could be done without; nothing is left half-written, and once the disk
is well again, the same command comes to the result of a run in which nothing failed.
"""

import argparse
import errno
import subprocess
import sys
import zlib
from pathlib import Path

from numpy.random import default_rng

import trying
from commands import Whole, begin, finish, keeps, litter, run, scratch, try_commands
from trying import FAIL_ON, FAIL_ONCE, Account, Shim, in_child

FAILURES = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EMFILE")
SIZES = ("size=64k", "size=512k", "size=2m", "size=8m", "nr_inodes=4", "nr_inodes=12", "nr_inodes=40", "ro")
"""Real small disks, and one that is read-only; only root may make them."""


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each command."""
    kinds = [*map(str, range(options.cases)), *SIZES[:: max(1, 20 // options.cases)]]
    return try_commands(
        Account("disks", options),
        options,
        scratch(),
        kinds,
        lambda name, place, kind, whole: attempt(name, place, kind, whole, options),
    )


def attempt(name: str, place: Path, kind: str, whole: Whole, options: argparse.Namespace) -> str:
    """What came out of a case."""
    folder = begin(name, place)
    if not kind.isdigit():
        return _on_small_disk(name, folder, kind)
    number = int(kind)
    rng = default_rng([options.seed, zlib.crc32(name.encode()), number, 1])
    what = FAILURES[number % len(FAILURES)]
    at = 1 + int((number + rng.random()) * whole.operations / options.cases)
    shim = Shim(folder, (FAIL_ONCE, FAIL_ON)[int(rng.integers(0, 2))], at, getattr(errno, what))
    case = f"{what} {'once' if shim.how == FAIL_ONCE else 'from'} at {at} of {whole.operations}"
    ended = in_child(lambda: run(name, folder), shim=shim)
    if ended.how not in ("ok", "said"):
        return f"{case}: {ended.how}: {ended.what}"
    kept = in_child(lambda: keeps(name, folder))
    if kept.what is not True:
        return f"{case}: what was reported as done is gone: {kept.what}"
    wrong = finish(name, folder, whole)
    return f"{case}: {wrong}" if wrong else "ok"


def _on_small_disk(name: str, folder: Path, option: str) -> str:
    command = ["mount", "-t", "tmpfs", "-o", "size=512m" if option == "ro" else option, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "ok 0: no disk can be mounted here"
    try:
        if option == "ro":
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        ended = in_child(lambda: run(name, folder))
        left = [name for name in litter(folder) if ".partial" in name]
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    if ended.how not in ("ok", "said"):
        return f"{ended.how}: {ended.what}"
    return f"left {left}" if left else "ok"


if __name__ == "__main__":
    trying.start_under_shim()
    sys.exit(campaign(trying.read_options(__doc__, 40)).conclude())
