"""Sets the clock on the wall in the midst of every command; then it is right again, and all is done once more.

Half of the runs end by themselves, with the result of a run whose clock was left alone; the others are killed after
the jump, and go on with a clock that is right. Times of files stay those of the disk, as on one of another machine.
"""

import argparse
import sys
import zlib
from pathlib import Path

from numpy.random import default_rng

import trying
from commands import Whole, begin, go_through, scratch, try_commands
from trying import JUMP, Account, Shim

DAY = 24 * 3600
JUMPS = (-DAY, DAY, -int(56.5 * 365.25) * DAY, 50 * 365 * DAY, -3600)
"""Seconds; the third is to a machine that believes in 1970, the fourth beyond what 32 bits count."""


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each command."""
    return try_commands(
        Account("clocks", options),
        options,
        scratch(),
        [str(number) for number in range(options.cases)],
        lambda name, place, kind, whole: attempt(name, place, int(kind), whole, options),
    )


def attempt(name: str, place: Path, number: int, whole: Whole, options: argparse.Namespace) -> str:
    """What came out of a case."""
    rng = default_rng([options.seed, zlib.crc32(name.encode()), number, 2])
    folder, seconds = begin(name, place), JUMPS[number % len(JUMPS)]
    shim = Shim(folder, JUMP, 1 + int((number + rng.random()) * whole.operations / options.cases), seconds)
    moment = rng.uniform(0.3, 0.9) * whole.seconds if number % 2 else 0
    wrong = go_through(name, folder, whole, shim, moment)
    return f"{seconds} s at {shim.at} of {whole.operations}: {wrong}" if wrong else "ok"


if __name__ == "__main__":
    trying.start_under_shim()
    sys.exit(campaign(trying.read_options(__doc__, 10)).conclude())
