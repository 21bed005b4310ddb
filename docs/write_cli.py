"""Writes ``cli.md`` beside this file: the help of every command, as the program prints it."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from cyclopts import App
from rich.console import Console

from edit_your_motion.cli import app

WIDTH = 110
PAGE = Path(__file__).with_name("cli.md")


def list_commands(program: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command below `program`, in the order of their definition."""
    yield path
    for name in program:
        if not name.startswith("-"):
            yield from list_commands(program[name], (*path, name))


def render() -> str:
    """The page as Markdown."""
    sections = [
        "# Command line",
        "The help of every command, as it prints it. Written by `python docs/write_cli.py`; a test compares them.",
    ]
    for command in list_commands(app):
        text = StringIO()
        console = Console(file=text, width=WIDTH, color_system=None, force_terminal=False)
        app.help_print(list(command), console=console)
        lines = "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())
        sections += [f"## `{' '.join(('eym', *command))}`", f"```text\n{lines}\n```"]
    return "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
