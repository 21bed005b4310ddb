"""A folder as slow as one on a bad network: every open, read, write, renaming and flush takes milliseconds longer.

A command comes to the result of a run in a quick folder; in every third case it is killed on the way and started
again, and in every third two begin at once.
"""

import argparse
import sys
import zlib
from pathlib import Path

from numpy.random import default_rng

import trying
from commands import Whole, begin, go_through, scratch, try_commands
from pairs import TOGETHER, together
from trying import DELAY, Account, Shim

DELAYS = (2_000, 10_000, 50_000)
"""Microseconds."""


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each command."""
    return try_commands(
        Account("slow", options),
        options,
        scratch(),
        [str(number) for number in range(options.cases)],
        lambda name, place, kind, whole: attempt(name, place, int(kind), whole, options),
    )


def attempt(name: str, place: Path, number: int, whole: Whole, options: argparse.Namespace) -> str:
    """What came out of a case."""
    rng = default_rng([options.seed, zlib.crc32(name.encode()), number, 3])
    folder, delay = begin(name, place), DELAYS[number // 3 % len(DELAYS)]
    shim = Shim(folder, DELAY, much=delay)
    if number % 3 == 2 and name in TOGETHER:
        wrong = together(name, name, folder, rng.uniform(0, 2), shim)
    else:
        wrong = go_through(name, folder, whole, shim, rng.uniform(0.1, 1) * whole.seconds if number % 3 == 1 else 0)
    return f"{delay / 1000:.0f} ms: {wrong}" if wrong else "ok"


if __name__ == "__main__":
    trying.start_under_shim()
    sys.exit(campaign(trying.read_options(__doc__, 9)).conclude())
