"""All campaigns, one after the other; with --small the part of each that runs with the tests, in one process."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import trying

NAMES = ("kills", "disks", "memory", "inputs", "pairs", "long", "again", "network", "clocks", "slow")
SMALL = {
    "kills": (2, ("edit", "queue", "study")), "disks": (3, ("prepare", "queue", "study")), "memory": (2, ()),
    "inputs": (3, ("mp4", "gif", "person", "edit settings", "answers", "requests", "study requests", "raw requests")),
    "pairs": (1, ("prepare", "queue")),
    "again": (1, ()), "network": (1, ("edit", "apply", "prepare")), "long": (4, ()),
    "clocks": (2, ("queue", "study")), "slow": (3, ("queue",)),
}  # fmt: skip
"""Cases of each kind, and the kinds."""


def main() -> int:
    """The exit status: 0 where everything came out as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=Path, metavar="FOLDER", help="a small part of each; results go there")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each campaign")
    options = parser.parse_args()
    folder = Path(__file__).parent
    if options.small is None:
        command = [sys.executable, "-u"]
        ends = [
            subprocess.run([*command, folder / f"{name}.py", "--seconds", str(options.seconds)], check=False).returncode
            for name in NAMES
        ]
        return max(ends)
    trying.start_under_shim()
    status = 0
    for name, (cases, only) in SMALL.items():
        module = __import__(name)
        options.small.mkdir(parents=True, exist_ok=True)
        account = module.campaign(trying.small(options.small, name, cases, only))
        status = max(status, account.conclude())
        account.path.write_text(json.dumps(account.content))
    return status


if __name__ == "__main__":
    sys.exit(main())
