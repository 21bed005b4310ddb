"""The program: its commands, and what every one of them has in common."""

import faulthandler
import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import pairwise

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnusedCliTokensError
from pydantic import ValidationError
from rich.text import Text

from edit_your_motion import __version__
from edit_your_motion.cli import (
    batching,
    benchmarking,
    editing,
    evaluating,
    machine,
    serving,
    staging,
    studying,
    tabling,
    templates,
    training,
)
from edit_your_motion.cli.help import asked_for, print_help
from edit_your_motion.cli.printing import console
from edit_your_motion.cli.settings import EARLIER_NAMES, SHORT_FORMS, SHORTENED
from edit_your_motion.config import explain
from edit_your_motion.errors import ConfigError, EditYourMotionError, OutOfMemoryError, ran_out_of_memory
from edit_your_motion.runtime.allocator import keep_freed_memory

app = App(
    name="eym",
    version=__version__,
    help="Video motion editing of people: one person, another one's motion.",
    suppress_keyboard_interrupt=False,
)
COMMANDS = {
    "Edit": (editing.edit, editing.tune, editing.apply, batching.batch, serving.serve, editing.demo),
    "Before": (editing.prepare, editing.plan, templates.config, machine.doctor),
    "Measure": (evaluating.evaluate, tabling.ablate, tabling.sweep, tabling.tables),
    "Make data and networks": (staging.stage, training.pretrain, templates.tiny),
}
for group, commands in COMMANDS.items():
    for command in commands:
        app.command(command, group=group)
for program in (machine.models, benchmarking.benchmark, studying.study):  # each says of which group it is
    app.command(program)

TEXTS = ("prompt", "--title", "--contact")
"""How the names of flags end whose values may be empty."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 when it worked, 1 when it did not, 2 when it was called wrongly, 130 on Ctrl-C."""
    tokens = in_full(sys.argv[1:] if arguments is None else arguments)
    _print_whatever_comes()
    _tell_of_native_deaths()
    keep_freed_memory()
    # diffusers imports it where it is installed, and it then warns of kernels for 4 bits, which nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        if help_wanted := asked_for(tokens):
            print_help(app, tokens, everything=help_wanted == "all")
            sys.exit(0)
        _refuse_empty(tokens)
        app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _print_error(_explain_usage(error))
        sys.exit(2)
    except EditYourMotionError as error:
        _print_error(str(error))
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has had enough, as in "eym models | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        console(errors=True).print("interrupted; the same command goes on where it stopped")
        sys.exit(INTERRUPTED)
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if ran_out_of_memory(error):
            _print_error(str(OutOfMemoryError()))
        elif isinstance(error, OSError):  # of a file that nobody expected to be in the way
            _print_error(f"{error.filename or 'a file'}: {error.strerror or error}")
        else:
            raise
        logging.getLogger(__name__).debug("where it came from", exc_info=True)
        sys.exit(1)
    sys.exit(0)


def _refuse_empty(tokens: Sequence[str]) -> None:
    """Passes command lines without empty words: as a path it would be the folder one is in.

    Raises:
        ConfigError: there is one, and nothing says that it is a text.
    """
    for before, token in pairwise(["", *tokens]):
        flag, equals, value = token.partition("=") if token.startswith("--") else (before, "", token)
        if not value and (equals or not token) and not flag.endswith(TEXTS):
            raise ConfigError(
                f"expected no empty word{f' after {flag}' if flag.startswith('-') else ''}, which as a path would be "
                "this folder: is a variable not set?"
            )


def _print_error(text: str) -> None:
    """Prints one line, whatever line breaks a name or a library put into it."""
    console(errors=True).print(Text.assemble(("error:", "bold red"), f" {' '.join(text.splitlines())}"))


def _print_whatever_comes() -> None:
    """File names that are no text, and letters that the terminal has not, are printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell_of_native_deaths() -> None:
    """A library's own code that crashes, as some does that gets no memory, says at least where it was called."""
    if isinstance(sys.stderr, TextIOWrapper) and not faulthandler.is_enabled():
        faulthandler.enable()


def in_full(tokens: Sequence[str]) -> list[str]:
    """The command line with the full names of settings in the place of short forms, where the command takes them."""
    return [_lengthen(token) for token in tokens] if SHORTENED.intersection(tokens[:1]) else list(tokens)


def _explain_usage(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line."""
    if isinstance(error.__cause__, ValidationError):
        return f"--{explain(error.__cause__)}".replace("; ", "; --")
    if isinstance(error, UnusedCliTokensError):
        return (
            f"expected no further words, got {' '.join(error.unused_tokens or ())}; an option of several values "
            "is repeated for each (--methods source --methods truth), see --help"
        )
    error.verbose = False
    return " ".join(str(error).split())


def _lengthen(token: str) -> str:
    name, equals, value = token.partition("=")
    return f"{(SHORT_FORMS | EARLIER_NAMES).get(name, name)}{equals}{value}"
