"""Kills every command at its operations on files, in turn or drawn, and at drawn moments; and starts it again.

A case is a fresh folder, a few kills, each in the run that goes on after the last, and a run that may end: what the
command reported as done is there after every kill, and in the end there is the result of a run that was never killed,
and nothing else.
"""

import argparse
import sys
import zlib
from pathlib import Path

from numpy.random import Generator, default_rng

import trying
from commands import COMMANDS, Whole, begin, finish, keeps, run, scratch, try_commands
from trying import KILL, KILL_HALFWAY, Account, Shim, in_child


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each command; a command that has no more operations than that has each of them tried."""
    return try_commands(
        Account("kills", options),
        options,
        scratch(),
        [str(number) for number in range(options.cases)],
        lambda name, place, kind, whole: attempt(name, place, int(kind), whole, options),
    )


def attempt(name: str, place: Path, number: int, whole: Whole, options: argparse.Namespace) -> str:
    """What came out of a case."""
    rng = default_rng([options.seed, zlib.crc32(name.encode()), number])
    folder, kills = begin(name, place), 0
    for each in range(COMMANDS[name].kills):
        if number % 4 == 3:
            moment = rng.uniform(0, 0.8 * whole.seconds)
            ended = in_child(lambda: run(name, folder), shim=Shim(folder), kill_after=moment)
        else:
            shim = _choose(rng, folder, number, each, whole.operations, options)
            ended = in_child(lambda: run(name, folder), shim=shim)
        if ended.how in ("fault", "said", "late"):
            return f"kill {kills + 1}: {ended.how}: {ended.what}"
        if ended.how == "ok":  # it had fewer operations left than that
            break
        kills += 1
        kept = in_child(lambda: keeps(name, folder))
        if kept.what is not True:
            return f"after kill {kills}: what was reported as done is gone: {kept.what}"
    wrong = finish(name, folder, whole)
    return f"after {kills} kills: {wrong}" if wrong else f"ok {kills}"


def _choose(rng: Generator, folder: Path, number: int, each: int, operations: int, options: argparse.Namespace) -> Shim:
    """The operation to be killed at: in turn where there are cases enough, and else drawn."""
    how = (KILL, KILL_HALFWAY)[number % 2]
    if each == 0 and options.cases >= operations:
        return Shim(folder, how, 1 + number % operations)
    if each == 0:  # spread evenly, or most of the cases would fall where most of the writing is
        return Shim(folder, how, 1 + int((number + rng.random()) * operations / options.cases))
    return Shim(folder, how, 1 + int(rng.integers(0, operations)))


if __name__ == "__main__":
    trying.start_under_shim()
    sys.exit(campaign(trying.read_options(__doc__, 40)).conclude())
