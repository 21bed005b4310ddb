"""Help: on one screen what most people need, grouped by what they think about; with ``--help-all``, everything."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Any, Literal, cast, get_args

from cyclopts import App
from cyclopts.argument import Argument
from docstring_parser import parse_from_object
from rich.console import Console

from edit_your_motion.cli.executors import MACHINES
from edit_your_motion.cli.printing import console as plain_console
from edit_your_motion.cli.settings import OUTPUT, SETTINGS, SHORT_FORMS

WIDTH, LINES = 100, 45
"""One screen: columns, and rows."""

COLUMN = 32
"""Where what a flag does begins; names that are longer push it along."""

NAMES = 14
"""Where what a command does begins."""

CHOSEN = {
    "Clips": {
        "--prompt": "What the source shows: a man in a striped shirt is dancing",
        "--complete-prompt": "Add what is seen of hair, skin and clothes",
        "--edit-prompt": "What the edit should show; default: the prompt",
        "--video.frames": "So many frames at most",
        "--video.size": "'512', '768x512' (width x height), or the source's shape",
        "--video.stride": "Take every n-th frame",
        "--video.fps": "Take so many frames a second",
        "--source.start": "Where in the source to begin, seconds",
        "--reference.start": "Where in the reference to begin, seconds",
        "--video.sound": "Carry the reference's sound along",
    },
    "People": {
        "--people.person": "Which of the source, from the left; default: the largest",
        "--people.reference-person": "Which of the reference",
        "--people.keypoints": "Ready keypoints of the source, of 'eym prepare' for one",
        "--people.reference-keypoints": "Ready keypoints of the reference",
        "--people.masks": "Ready masks of the source",
        "--alignment.method": "How the motion is fitted to the person's proportions",
    },
    "Look": {
        "--preset": "Settings under yours: the letter, measured best, or untuned",
        "--model.base": "Folder, file, hub name or small; default: Stable Diffusion 1.5",
        "--tuning.motion.iterations": "Steps of stage 1, which learns the motion",
        "--tuning.appearance.iterations": "Steps of stage 2, which learns the look",
        "--sampling.guidance-scale": "How strongly the edit is led; 1 is not at all",
        "--sampling.background": "Generated, source, or plate: the place alone",
    },
    "Speed and memory": {
        "--sampling.steps": "Steps from the noise to the edit",
        "--runtime.memory": "What it may take, as '8GB': everything else follows",
        "--windows.frames": "Frames that the network sees at once",
        "--runtime.device": "Where to compute: cpu, cuda, cuda:1, mps",
        "--runtime.precision": "How exactly; auto is what suits the device",
    },
    "Output": {
        "--output": "",
        "--truth": "",
        "--restart": "",
        "--force": "Begin what takes more than a day, or cannot come out well",
    },
}
"""What the help of the commands that edit shows of their settings, and in which words; else in those of everywhere."""

OF_SOURCE = {"--source.start", "--video.size", "--people.person", "--people.keypoints", "--people.masks"}
OF_REFERENCE = {
    "--reference.start",
    "--video.sound",
    "--video.sound-of",
    "--people.reference-person",
    "--people.reference-keypoints",
}
IDLE = {
    "edit": set(),
    "demo": set(),
    "plan": set(),
    "tune": OF_REFERENCE,
    "apply": {*OF_SOURCE, "--model.base"},
    "prepare": set(),
}
"""The commands that edit, each with such settings as it takes and leaves alone."""


@dataclass(frozen=True)
class Flag:
    """One thing that a command takes.

    Args:
        names: as they are typed, the positive one first; of an argument by its place, its name in capitals.
        path: where it is in the configuration: ("model", "base"); empty for what is no setting.
        values: what it takes: NUMBER, TEXT, a|b; empty for a switch.
        said: what it does.
        default: what it is otherwise; empty where that is nothing.
        group: what people think about when they give it: "Options", "Machines", "Output".
        required: whether it has to be given.
        section: what the settings beside it are about; empty for what is in no section.
    """

    names: tuple[str, ...]
    path: tuple[str, ...]
    values: str
    said: str
    default: str
    group: str
    required: bool
    section: str

    @property
    def short(self) -> str:
        """How it is typed in the shortest way."""
        return next((short for short, full in SHORT_FORMS.items() if full == self.names[0]), self.names[0])

    @property
    def shared(self) -> bool:
        """Whether it is one that commands have in common."""
        return self.group != "Options"

    @property
    def usage(self) -> str:
        """How an argument by its place stands in a line of usage."""
        return self.names[0] if self.required else f"[{self.names[0]}]"

    @property
    def positional(self) -> bool:
        """Whether its place tells what it is."""
        return not self.names[0].startswith("-")


def asked_for(tokens: Sequence[str]) -> Literal["screen", "all", ""]:
    """Which help a command line asks for."""
    if "--help-all" in tokens:
        return "all"
    return "screen" if {"--help", "-h"}.intersection(tokens) else ""


def print_help(app: App, tokens: Sequence[str], *, everything: bool, console: Console | None = None) -> None:
    """Prints the help of the command that `tokens` begin with.

    Args:
        app: the program.
        tokens: the command line.
        everything: every setting, instead of what fits a screen.
        console: where to; standard output by default.
    """
    path, apps, rest = app.parse_commands([token for token in tokens if not token.startswith("-")])
    command = apps[-1]
    if rest and command.default_command is None:
        app(rest, exit_on_error=False, print_error=False)  # says that there is no such command
    out = console or plain_console(wrap=True)
    if list(_commands_of(command)):
        _print_commands(out, path, command)
        return
    if everything:
        app.help_print(list(path), console=console)
        return
    flags = list(list_flags(command))
    places = [flag for flag in flags if flag.positional]
    out.print(" ".join(["Usage: eym", *path, *(flag.usage for flag in places), "[OPTIONS]"]))
    out.print((getdoc(command.default_command) or "").split("\n\n")[0].replace("\n", " "))
    for title, rows in _arrange(path, flags):
        out.print(title, style="bold")
        out.print("\n".join(_lay_out(typed, said, min(out.width, 120)) for typed, said in rows))
    out.print(f"Everything: eym {' '.join(path)} --help-all")


def _print_commands(out: Console, path: Sequence[str], above: App) -> None:
    """Prints the commands below a command, in their groups."""
    own = " ".join(["eym", *path])
    out.print(f"Usage: {own} {'COMMAND' if above.default_command is None else '[COMMAND]'}\n{above.help}")
    groups: dict[str, list[str]] = {}
    for name in _commands_of(above):
        command = above[name]
        said = command.help or getdoc(command.default_command) or ""
        row = _lay_out(name, " ".join(said.split("\n\n")[0].split()).rstrip("."), min(out.width, 120), NAMES)
        titles = cast("tuple[str, ...]", command.group or ("Commands",))  # or one title by itself
        groups.setdefault("".join(titles), []).append(row)
    for title, rows in groups.items():
        out.print(title, style="bold")
        out.print("\n".join(rows))
    out.print(f"{own} COMMAND --help is one screen, --help-all has every setting")


def list_commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of the program and of every command below it, in the order of their definition."""
    yield path
    for name in _commands_of(app):
        yield from list_commands(app[name], (*path, name))


def list_flags(command: App) -> Iterator[Flag]:
    """All that a command takes, in the order of its help."""
    if command.default_command is None:
        return
    said = {told.arg_name: told.description for told in parse_from_object(command.default_command).params}
    # Docstrings are read of the command alone: settings say themselves what they do, and looking for docstrings in the
    # sources of their sixty classes takes a second.
    for argument in command.assemble_argument_collection(parse_docstring=False):
        if argument.show:
            groups: Any = argument.parameter.group
            group = groups[-1]
            of_settings = group is SETTINGS or str(group.name).startswith(f"{SETTINGS.name}:")
            yield Flag(
                argument.names,
                argument.keys if of_settings else (),
                _values(argument),
                " ".join((argument.parameter.help or said.get(argument.field_info.name) or "").split()),
                _default(argument),
                group=str(group.name) if group in (OUTPUT, MACHINES) else "Options",
                required=argument.required,
                section=group.help,
            )


def _commands_of(app: App) -> Iterator[str]:
    return (name for name in app if not name.startswith("-"))


def _arrange(path: Sequence[str], flags: Sequence[Flag]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The groups of a short help, each with what is typed and what it does."""
    left = {flag.names[0]: flag for flag in flags if not flag.positional}
    places = [(flag.names[0], flag.said.rstrip(".")) for flag in flags if flag.positional]
    groups: dict[str, list[tuple[str, str]]] = {"Arguments": places, "Options": []}
    sections = {flag.path[0]: flag.section for flag in left.values() if len(flag.path) > 1}
    if (idle := IDLE.get(path[0])) is not None:
        for title, chosen in CHOSEN.items():
            told = [(left.pop(name), said) for name, said in chosen.items() if name in left and name not in idle]
            groups[title] = [_row(flag, said or _first_clause(flag.said)) for flag, said in told]
    for flag in left.values():
        if len(flag.path) < 2:
            groups.setdefault(flag.group, []).append(_row(flag, _first_clause(flag.said)))
    if path[0] not in IDLE:
        groups["Settings"] = [(f"--{name}.…", section.rstrip(".")) for name, section in sections.items()]
    yield from ((title, rows) for title, rows in groups.items() if rows)


def _row(flag: Flag, said: str) -> tuple[str, str]:
    """What is typed, and what it does; choices that are long are left to the words."""
    typed = f"{flag.short} {flag.values}".rstrip()
    if len(typed) > 34 and "|" in flag.values:
        typed = f"{flag.short} CHOICE"
    shown = flag.default and len(flag.default) < 18 and "default:" not in said
    return typed, f"{said} [{flag.default}]" if shown else said


def _first_clause(text: str) -> str:
    """The text up to its first pause, without a full stop."""
    return re.split(r"; |\. |\.$", text)[0]


def _lay_out(typed: str, said: str, width: int, column: int = COLUMN) -> str:
    """A row: what it does beside what is typed, broken into lines of that column."""
    start = f"  {typed}".ljust(column - 2) + "  "
    return textwrap.fill(said, width, initial_indent=start, subsequent_indent=" " * column)


def _values(argument: Argument) -> str:
    """What is typed after the name."""
    if argument.is_flag() or not argument.names[0].startswith("-"):
        return ""
    choices = argument.get_choices(force=True)
    if choices:
        return "|".join(choices)
    kinds = {int: "NUMBER", float: "NUMBER", Path: "PATH"}
    return next((word for kind, word in kinds.items() if kind in _kinds(argument.hint)), "TEXT")


def _kinds(hint: Any) -> set[Any]:
    """The types that an annotation is made of."""
    return {hint}.union(*(_kinds(part) for part in get_args(hint)))


def _default(argument: Argument) -> str:
    default = argument.field_info.default
    if argument.show_default is False or default in (None, False, "", ()) or default is argument.field_info.empty:
        return ""
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
