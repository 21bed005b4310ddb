"""Damaged files of every kind that is read, and damaged requests: an error of ours or success, in bounds.

The kinds, their samples and how they are damaged are those of tests/test_fuzz.py; a case is some of them in a child
with a bound of memory.
"""

import argparse
import shutil
import sys
from pathlib import Path

import paths  # noqa: F401 (first, as it says where the others are)
import test_fuzz
import test_single_file
import trying
from commands import inputs, scratch
from edit_your_motion.models.tiny import make_motion_adapter
from requests_to_pages import PAGES, try_requests
from trying import Account, in_child

MEMORY = 4 << 30
"""Bytes that reading may take beyond those of the libraries."""
AT_ONCE = 20


def campaign(options: argparse.Namespace) -> Account:
    """Tries cases of each kind."""
    account, place = Account("inputs", options), scratch()
    make_whole(place)
    samples = test_fuzz.Samples(place / "samples")
    samples.folder.mkdir()
    for name in options.only or (*test_fuzz.KINDS, *PAGES):
        count = options.cases
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
    for each in {name, *test_fuzz.OTHERS} - PAGES.keys():
        if not (samples.folder / each).is_dir():
            in_child(lambda each=each: samples[each] and None)
    tried = try_requests if name in PAGES else try_files
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


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 300)).conclude())
