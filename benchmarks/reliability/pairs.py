"""Two commands at once on one folder, one person, one queue: each works or says who is there; nothing is damaged."""

import argparse
import sys
import time
from itertools import combinations_with_replacement
from pathlib import Path

from numpy.random import default_rng

import trying
from commands import COMMANDS, begin, differing, keeps, litter, result, run, scratch
from trying import Account, Child, Shim, in_child

TOGETHER = ("edit", "tune", "apply", "prepare", "job", "queue", "study", "pretrain")


def campaign(options: argparse.Namespace) -> Account:
    """Tries every pair, each with some starts apart from each other."""
    account, place = Account("pairs", options), scratch()
    names = options.only or TOGETHER
    cases = [
        f"{one}, {other}/{number}"
        for number in range(options.cases)
        for one, other in combinations_with_replacement(names, 2)
    ]
    account.try_all(cases, lambda case: attempt(case, place, options.seed))
    return account


def attempt(case: str, place: Path, seed: int) -> str:
    """What came out of two that began nearly together."""
    names, number = case.split("/")
    one, other = names.split(", ")
    folder = begin(one, place)
    if other in ("job", "pretrain") and other != one:
        COMMANDS[other].begin(folder / "other")
    apart = default_rng([seed, int(number)]).uniform(0, 2) * int(number)
    return together(one, other, folder, apart) or "ok"


def together(one: str, other: str, folder: Path, apart: float, shim: Shim | None = None) -> str:
    """What is wrong with two commands that began in a folder so many seconds apart; empty if nothing is."""
    first = Child(lambda: run(one, folder), shim=shim)
    time.sleep(apart)
    second = Child(lambda: run(other, folder / "other" if (folder / "other").is_dir() else folder), shim=shim)
    ends = [first.wait(), second.wait()]
    if odd := [end for end in ends if end.how not in ("ok", "said")]:
        return f"{odd}"
    if all(end.how == "said" for end in ends):
        return f"both gave up: {ends}"
    if not all(in_child(lambda name=name: keeps(name, folder)).what for name in {one, other}):
        return "what was reported as done is gone"
    if one == other:
        whole = result(one, folder)
        again = in_child(lambda: run(one, folder))
        if again.how != "ok":
            return f"afterwards: {again}"
        if (now := result(one, folder)) != whole:
            return f"another result than alone: {differing(now, whole)}"
    left = litter(folder.parent)
    return f"left {left}" if left else ""


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 2)).conclude())
