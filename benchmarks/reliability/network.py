"""No command reaches for the network with models that are there; what libraries would tell of their own is off."""

import argparse
import sys
from typing import Any

import trying
from commands import COMMANDS, begin, run, scratch
from trying import Account, in_child

REACHES = {
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "urllib.Request",
    "http.client.connect",
}


def campaign(options: argparse.Namespace) -> Account:
    """Runs every command where whatever reaches for the network fails."""
    account, place = Account("network", options), scratch()
    account.try_all([*(options.only or COMMANDS), "telemetry"], lambda case: attempt(case, place))
    return account


def attempt(case: str, place: Any) -> str:
    """Whether a command works without any network."""
    if case == "telemetry":
        from diffusers.utils import constants as diffusers
        from huggingface_hub import constants as hub

        return "ok" if hub.HF_HUB_DISABLE_TELEMETRY else f"it is on: {diffusers.__name__}"
    folder = begin(case, place)
    ended = in_child(lambda: (forbid(), run(case, folder))[1])
    return "ok" if ended.how == "ok" else f"{ended.how}: {ended.what}"


def forbid() -> None:
    """From now on, this process reaches for nothing outside it."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in REACHES and not (arguments and getattr(arguments[0], "family", None) == 1):
            raise PermissionError(f"{event} {arguments}")

    sys.addaudithook(watch)


if __name__ == "__main__":
    sys.exit(campaign(trying.read_options(__doc__, 1)).conclude())
