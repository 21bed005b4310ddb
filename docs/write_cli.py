"""Writes ``cli.md`` beside this file: what every command takes, and each setting once, as the program has them."""

from collections.abc import Iterable
from inspect import getdoc
from pathlib import Path

from edit_your_motion.cli import app
from edit_your_motion.cli.help import Flag, list_commands, list_flags
from edit_your_motion.cli.settings import SHORT_FORMS

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """# Command line

`eym COMMAND --help` shows on one screen what most people need; `eym COMMAND --help-all` everything. This page has each
command with what it alone takes, and below every [setting](#settings) once. All of them can stand in a YAML file too
(`eym config` prints one, `--config FILE` reads it): defaults lie under the file, and the file under flags. A switch
`--x.y` is taken back by `--x.no-y`; what takes several values is repeated for each, and emptied by `--x.empty-y`.

Written by `python docs/write_cli.py` from the program itself; a test compares them."""


def render() -> str:
    """The page as Markdown."""
    commands = [path for path in list_commands(app) if app.parse_commands(path)[1][-1].default_command is not None]
    flags = {path: list(list_flags(app.parse_commands(path)[1][-1])) for path in commands}
    common = {flag.names: flag for own in flags.values() for flag in own if flag.shared}
    sections, links = _collect_sections(flags)
    parts = [INTRODUCTION]
    for path in commands:
        told = getdoc(app.parse_commands(path)[1][-1].default_command) or ""
        parts += [f"## `eym {' '.join(path)}`", told.split("\n\nParameters\n")[0]]
        own = [flag for flag in flags[path] if len(flag.path) < 2 and not flag.shared]
        parts += [_tabulate(own)] if own else []
        notes = [f"`{flag.names[0]}`" for flag in flags[path] if flag.shared]
        notes += links[path]
        parts += [f"Also: {', '.join(notes)}."] if notes else []
    parts += ["## In common", _tabulate(common.values()), "## Settings"]
    parts.append(
        "Short forms, in `edit`, `tune`, `apply`, `prepare` and `evaluate`: "
        + ", ".join(f"`{short}` for `{full}`" for short, full in SHORT_FORMS.items())
        + "."
    )
    for title, members in sections.items():
        parts += [f"### {title}", *filter(None, [members[0].section]), _tabulate(members)]
    return "\n\n".join(parts) + "\n"


def _collect_sections(
    flags: dict[tuple[str, ...], list[Flag]],
) -> tuple[dict[str, list[Flag]], dict[tuple[str, ...], list[str]]]:
    """The settings by the title of their section, and for each command links to those that it takes.

    An edit's settings are ``--edit.…`` to the commands that make many.
    """
    sections: dict[str, list[Flag]] = {}
    links: dict[tuple[str, ...], list[str]] = {}
    for path, own in flags.items():
        links[path] = []
        by_name: dict[str, list[Flag]] = {}
        for flag in own:
            if len(flag.path) > 1:
                by_name.setdefault(flag.path[0], []).append(flag)
        for name, members in by_name.items():
            if name == "edit":
                links[path].append("every setting of [`eym edit`](#eym-edit) as `--edit.…`")
                continue
            known = sections.setdefault(name, members)
            assert known == members, f"the settings '{name}' are not the same everywhere"
            links[path].append(f"[{name}](#{name})")
    return sections, links


def _tabulate(flags: Iterable[Flag]) -> str:
    rows = [(f"`{flag.names[0]} {flag.values}".rstrip() + "`", flag.said, flag.default) for flag in flags]
    lines = [" | ".join((typed, said, f"`{default}`" if default else "")) for typed, said, default in
             (tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]  # fmt: skip
    return "\n".join(["| | | default |", "|---|---|---|", *(f"| {line} |" for line in lines)])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
