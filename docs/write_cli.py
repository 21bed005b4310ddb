"""Writes ``cli.md`` beside this file: what every command takes, and each setting once, as the program has them."""

from collections.abc import Iterable
from inspect import getdoc
from pathlib import Path

from edit_your_motion.cli import app
from edit_your_motion.cli.executors import MACHINES
from edit_your_motion.cli.help import Flag, list_commands, list_flags
from edit_your_motion.cli.settings import OUTPUT, SHORT_FORMS

EDIT = ("edit",)
USUAL = ("--config", "--quiet", "--verbose")
PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """# Command line

`eym COMMAND --help` shows on one screen what most people need; `eym COMMAND --help-all` everything. Here each command
has what none before it takes, and below is every [setting](#settings) once. All of it can stand in a YAML file too
(`eym config` prints one, `--config FILE` reads it): defaults lie under the file, and the file under flags. A switch
`--x.y` is taken back by `--x.no-y`; what takes several values is repeated for each, and emptied by `--x.empty-y`.
Defaults are in brackets."""


def render() -> str:
    """The page as Markdown."""
    commands = [path for path in list_commands(app) if app.parse_commands(path)[1][-1].default_command is not None]
    flags = {path: list(list_flags(app.parse_commands(path)[1][-1])) for path in commands}
    common = {flag.names: flag for own in flags.values() for flag in own if flag.shared}
    sections, links = _collect_sections(flags)
    parts = [INTRODUCTION]
    homes: dict[str, tuple[str, ...]] = {}
    for path in commands:
        summary, *details = (getdoc(app.parse_commands(path)[1][-1].default_command) or "").split("\n\n")
        told = [text for text in details if not text.startswith("Parameters\n")]
        parts += [f"## `eym {' '.join(path)}`", summary, *(text for text in told if text not in parts)]
        own = [flag for flag in flags[path] if len(flag.path) < 2 and not flag.shared]
        known: dict[tuple[str, ...], list[str]] = {}
        for flag in own:
            if (home := homes.setdefault(_tell(flag), path)) != path:
                known.setdefault(home, []).append(f"`{flag.names[0]}`")
        new = [flag for flag in own if homes[_tell(flag)] == path]
        parts += [_list(new)] if new else []
        notes = [f"{', '.join(names)} of {_link(home)}" for home, names in known.items()]
        whole = links[EDIT]
        others = [link for link in whole if link not in links[path]]
        told_settings = links[path]
        if path != EDIT and len(others) < len(whole) / 2 and set(links[path]) <= set(whole):
            told_settings = [f"the settings of {_link(EDIT)}" + (f" but {', '.join(others)}" if others else "")]
        notes += [", ".join([*_tell_shared(flags[path]), *told_settings])]
        parts += [f"Also {'; '.join(filter(None, notes))}."] if any(notes) else []
    apart = [flag for flag in common.values() if flag.group == MACHINES.name]
    parts += [
        "## In common",
        _list(flag for flag in common.values() if flag not in apart),
        "### Machines",
        _list(apart),
    ]
    parts += ["## Settings"]
    parts.append(
        "Short forms, in `edit`, `tune`, `apply`, `prepare` and `evaluate`: "
        + ", ".join(f"`{short}` for `{full}`" for short, full in SHORT_FORMS.items())
        + "."
    )
    for title, members in sections.items():
        parts += [f"### {title}", *filter(None, [members[0].section]), _list(members)]
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
                links[path].append(f"all of {_link(EDIT)} as `--edit.…`")
                continue
            known = sections.setdefault(name, members)
            assert known == members, f"the settings '{name}' are not the same everywhere"
            links[path].append(f"[{name}](#{name})")
    return sections, links


def _tell_shared(flags: list[Flag]) -> list[str]:
    """What a command takes that others take too, in few words."""
    names = {group: [flag.names[0] for flag in flags if flag.group == group] for group in (OUTPUT.name, MACHINES.name)}
    usual = [name for name in names[OUTPUT.name] if name in USUAL]
    told = ["[the usual](#in-common)"] if len(usual) == len(USUAL) else [f"`{name}`" for name in usual]
    told += [f"`{name}`" for name in names[OUTPUT.name] if name not in USUAL]
    return told + (["[machines](#machines)"] if names[MACHINES.name] else [])


def _link(path: tuple[str, ...]) -> str:
    return f"[`eym {' '.join(path)}`](#eym-{'-'.join(path)})"


def _list(flags: Iterable[Flag]) -> str:
    return "\n".join(map(_tell, flags))


def _tell(flag: Flag) -> str:
    """The line of a list that says what a flag is."""
    typed = f"`{flag.names[0]} {flag.values}".rstrip() + "`"
    return f"- {typed}{f' (`{flag.default}`)' if flag.default else ''}{f': {flag.said}' if flag.said else ''}"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
