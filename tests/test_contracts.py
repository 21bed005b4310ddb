"""What the project promises of itself: public names, import direction, lazy imports, docs, runtime shape checking."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import get_args

import jaxtyping
import pytest
import torch
from cyclopts import App, CycloptsError
from cyclopts.argument import Argument
from rich.console import Console

import edit_your_motion
from edit_your_motion.cli.app import app, in_full
from edit_your_motion.cli.help import (
    CHOSEN,
    IDLE,
    LINES,
    OF_REFERENCE,
    OF_SOURCE,
    WIDTH,
    list_commands,
    list_flags,
    print_help,
)
from edit_your_motion.nn.video_unet import InflatedTransformerBlock
from tiny_network import TEXT_WIDTH, load_network, random_clip

ROOT = Path(__file__).parents[1]
PACKAGE = Path(edit_your_motion.__file__).parent
LAYERS = (
    {"errors", "config", "storage", "runtime", "executors", "serving", "models.prediction_type"},
    {"nn", "diffusion", "tuning", "people", "metrics", "video", "models", "runtime.compilation", "presets"},
    {"models.backbone", "runtime.memory_plan", "runtime.time_plan", "sampling"},
    {"compositing"},
    {"people.preparation", "people.looping", "people.generated_frames"},
    {"person", "person_folder"},
    {"edit"},
    {"pipeline", "jobs"},
    {"datasets", "stage"},
    {"benchmark", "pretrain", "study"},
    {"web", "batch"},
    {"cli", "__main__"},
)
"""From the ground up, folders and such of their modules as stand higher or lower; imports go down or stay level."""
FORBIDDEN = {
    "diffusion": {"nn", "tuning", "people", "video", "metrics"},
    "nn": {"tuning", "people", "video", "diffusion", "metrics"},
    "people": {"nn", "diffusion", "tuning"},
    "metrics": {"nn", "diffusion", "tuning"},
    "video": {"nn", "diffusion", "tuning", "people", "metrics"},
}
"""What must not be imported within a layer."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Name below the package, and syntax tree, of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), ast.parse(path.read_text(encoding="utf-8"))


def imports_of(node: ast.AST) -> Iterator[str]:
    """Modules of ours that are imported anywhere below `node`, but for type checkers."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        home = PACKAGE.parent.joinpath(*str(node.module).split("."))
        inner = [node.module == "edit_your_motion" or (home / f"{alias.name}.py").is_file() for alias in node.names]
        names = [
            f"{node.module}.{alias.name}" if of_module else str(node.module)
            for alias, of_module in zip(node.names, inner, strict=True)
        ]
    yield from (name.removeprefix("edit_your_motion.") for name in names if name.startswith("edit_your_motion."))
    for child in ast.iter_child_nodes(node):
        yield from imports_of(child)


def part_of(name: str) -> str:
    """The longest part of a module's name that has a layer."""
    pieces = name.split(".")
    parts = [".".join(pieces[:count]) for count in range(len(pieces), 0, -1)]
    return next((part for part in parts if any(part in layer for layer in LAYERS)), "")


def height(name: str) -> int:
    part = part_of(name)
    (level,) = [level for level, parts in enumerate(LAYERS) if part in parts]
    return level


def test_every_module_has_its_layer() -> None:
    assert [name for name, _ in modules() if name != "__init__" and not part_of(name)] == [], "give it a layer"


def test_imports_point_one_way() -> None:
    wrong = []
    for name, tree in modules():
        folder = name.split(".")[0]
        for imported in imports_of(tree):
            other = imported.split(".")[0]
            if name == "__init__" or other == "__version__":
                continue
            if height(imported) > height(name) or (other != folder and other in FORBIDDEN.get(folder, ())):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    below = {name.removesuffix(".__init__"): set(imports_of(tree)) for name, tree in modules()}

    def reach(name: str, seen: set[str]) -> set[str]:
        for imported in below.get(name, set()) - seen:
            seen |= {imported}
            reach(imported, seen)
        return seen

    assert [name for name in below if name in reach(name, set())] == []


def test_reading_imports_finds_hidden_ones() -> None:
    tree = ast.parse(
        "if TYPE_CHECKING:\n    from edit_your_motion.nn import a\n"
        "def f():\n    from edit_your_motion import session\n    import edit_your_motion.cli.app\n"
        "from edit_your_motion.people.keypoints import Keypoints\nimport torch\n"
    )
    assert list(imports_of(tree)) == ["session", "cli.app", "people.keypoints"]


def test_scripts_and_benchmarks_import_what_there_is() -> None:
    """Also those programs that no test runs, and what shell scripts give to Python."""
    importing = re.compile(r"^ *from (edit_your_motion[\w.]*) import (?:\(([^)]*)\)|([^\n(]*))", re.MULTILINE)
    wanted = {
        (module, name.split(" as ")[0].strip())
        for folder in ("scripts", "benchmarks", "comfyui", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in ("", ".py")
        for module, within, alone in importing.findall(path.read_text(encoding="utf-8"))
        for name in re.sub("#.*", "", within or alone).split(",")
        if name.strip()
    }
    assert len(wanted) > 100
    absent = []
    for name, part in sorted(wanted):
        module = importlib.import_module(name)
        if not hasattr(module, part) and not (hasattr(module, "__path__") and find_spec(f"{name}.{part}")):
            absent.append(f"{name}: {part}")
    assert absent == []


def test_public_names_are_exactly_those_that_are_promised() -> None:
    names = edit_your_motion.__all__
    assert names == sorted(set(names), key=names.index)
    assert all(getattr(edit_your_motion, name) is not None for name in names)
    assert dir(edit_your_motion) == sorted(names)
    homes = {name for members in edit_your_motion._HOMES.values() for name in members}
    assert homes | {"__version__"} == set(names)
    shown = [
        alias.name
        for node in ast.walk(ast.parse(Path(edit_your_motion.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edit_your_motion.")
        for alias in node.names
    ]
    assert sorted(shown) == sorted(homes), "type checkers see what is there"
    with pytest.raises(AttributeError, match="no attribute 'edit'"):
        _ = edit_your_motion.__getattr__("edit")


def test_a_public_name_is_the_object_of_its_module() -> None:
    for module, names in edit_your_motion._HOMES.items():
        home = importlib.import_module(f"edit_your_motion.{module}")
        assert all(getattr(edit_your_motion, name) is getattr(home, name) for name in names)


@pytest.mark.parametrize("module", ["edit_your_motion", "edit_your_motion.cli"])
def test_importing_is_quick(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    heavy = {"torch", "diffusers", "transformers", "numpy", "scipy", "av", "PIL", "ai_edge_litert", "rtmlib"}
    assert heavy.isdisjoint(loaded)


def test_every_module_says_what_it_is() -> None:
    silent = [name for name, tree in modules() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def commands() -> list[tuple[str, ...]]:
    return [path for path in list_commands(app) if path and app.parse_commands(path)[1][-1].default_command]


def test_the_page_of_commands_is_what_the_program_says() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import write_cli
    finally:
        sys.path.pop(0)
    assert write_cli.PAGE.read_text(encoding="utf-8") == write_cli.render(), "run: python docs/write_cli.py"


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_flag_is_on_the_page_once(path: tuple[str, ...]) -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert len(page.encode()) < 60_000
    sections = {title: text for title, _, text in (part.partition("\n") for part in page.split("\n## "))}
    own, whole_edit = sections[f"`eym {' '.join(path)}`"], sections["`eym edit`"]
    common, settings = sections["In common"], sections["Settings"]
    homes = {
        name: sections[home]
        for names, home in re.findall(r"((?:`[^`]+`(?:, )?)+) of \[(`eym [^]]+`)\]", own)
        for name in re.findall("`([^`]+)`", names)
    }
    wrong = []
    for argument in app.parse_commands(path)[1][-1].assemble_argument_collection():
        if argument.show:
            name, of_edit = re.subn(r"^--edit\.", "--", argument.names[0])
            home = homes.get(argument.names[0], "")
            places = (whole_edit, settings) if of_edit else (own, common, settings, home)
            word = f"{re.escape(name)}|{re.escape(name[2:].upper())}"  # an edit's clips have their places
            found = [len(re.findall(rf"^- `({word})[ `]", place, re.MULTILINE)) for place in places]
            if next(filter(None, found), 0) != 1:
                wrong.append(f"{argument.names[0]}: {found}")
    assert wrong == []


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_fits_a_screen(path: tuple[str, ...]) -> None:
    text = StringIO()
    print_help(app, path, everything=False, console=Console(file=text, width=WIDTH, color_system=None))
    lines = text.getvalue().splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert f"eym {' '.join(path)} --help-all" in lines[-1] or "COMMAND" in lines[0]


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_all_that_a_command_takes_is_told(path: tuple[str, ...]) -> None:
    assert [flag.names for flag in list_flags(app.parse_commands(path)[1][-1]) if not flag.said] == []


def test_usage_tells_what_has_to_be_given_and_machines_stand_apart() -> None:
    text = StringIO()
    print_help(app, ("batch",), everything=False, console=Console(file=text, width=WIDTH, color_system=None))
    assert text.getvalue().startswith("Usage: eym batch MANIFEST [OPTIONS]\n")
    options, machines = text.getvalue().split("\nMachines\n")
    assert "--executor" in machines.partition("\nOutput\n")[0]
    assert "--executor" not in options


def test_the_program_shows_each_command_on_one_line_in_its_group() -> None:
    text = StringIO()
    print_help(app, (), everything=False, console=Console(file=text, width=80, color_system=None))
    lines = text.getvalue().splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(rows) == sorted(name for name in app if not name.startswith("-"))
    groups = [line for line in lines[2:-1] if not line.startswith(" ")]
    assert groups == ["Edit", "Before", "Measure", "Make data and networks"]


def test_chosen_flags_are_flags() -> None:
    flags = {flag.names[0] for command in IDLE for flag in list_flags(app[command])}
    assert {name for chosen in CHOSEN.values() for name in chosen} <= flags
    assert flags >= OF_SOURCE | OF_REFERENCE


def test_no_flag_is_both_a_switch_and_a_word() -> None:
    """Older releases of cyclopts, the only ones for Python 3.10, know no such type."""
    mixed = [
        argument.name
        for path in list_commands(app)
        for argument in _arguments_of(path)
        if bool in get_args(argument.hint) and set(get_args(argument.hint)) - {bool, type(None)}
    ]
    assert mixed == []


def _arguments_of(path: tuple[str, ...]) -> list[Argument]:
    command = reduce(App.__getitem__, path, app)
    return list(command.assemble_argument_collection()) if command.default_command else []


PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "GPU.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "cli.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_program_knows_every_command_that_the_docs_show(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^eym .*|`eym [^`…]* --[^`…]*`", text, re.MULTILINE)
    unknown = []
    for command in commands:
        _, *tokens = shlex.split(command.strip("`"), comments=True)
        try:
            app.parse_args(in_full(tokens), exit_on_error=False, print_error=False)
        except CycloptsError as error:
            unknown.append(f"{command}: {error}")
    assert unknown == []


def test_shapes_are_checked_in_this_very_run(checkpoints: Path) -> None:
    network, clip = load_network(checkpoints), random_clip(2, lh=8, lw=8)
    with pytest.raises(Exception, match="z"):
        network(clip.whole[0], torch.tensor([500]), clip.text, clip.skeletons)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")  # of the compiler's own, about what it cannot trace
def test_compiling_needs_the_shape_checks_switched_off(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding: the compiler traces into the checks and they raise false alarms; switched off, it computes the same.

    The checks exist in test runs only, so compiled networks of users never meet them. Gradient checkpointing lives
    with the checks: the laws in test_video_unet.py run with both.
    """
    block = load_network(checkpoints).unet.unet.down_blocks[0].attentions[0].transformer_blocks[0]
    assert isinstance(block, InflatedTransformerBlock)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 16, 32, generator=generator)
    given = {
        "encoder_hidden_states": torch.randn(3, 77, TEXT_WIDTH, generator=generator),
        "cross_attention_kwargs": {"frames": 3},
    }
    expected = block(hidden, **given)
    torch._dynamo.reset()
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    torch.testing.assert_close(torch.compile(block, backend="aot_eager")(hidden, **given), expected)
