"""What is printed comes out as it is, whatever stands in names of files."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from edit_your_motion.cli.app import main
from edit_your_motion.cli.editing import _show
from edit_your_motion.cli.progress import TerminalProgress

Run = Callable[..., tuple[object, str, str]]

NAMES = ["a[", "[bold]b", "c[/b]", "[/]", ":smiley:", "two  spaces", "[link=x]d", "back\\[slash]\\"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return end.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", NAMES)
def test_names_are_no_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _show(SimpleNamespace(folder=Path(name) / "deep", scores={name: {"psnr": 20.0}}))  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert str(Path(name) / "deep" / "edited.mp4") in out
    assert f"scores of {name}: psnr 20" in out


@pytest.mark.parametrize("name", NAMES)
def test_errors_show_names_as_they_are(name: str, run: Run) -> None:
    code, out, err = run("prepare", f"{name}.mp4")
    assert (code, out) == (1, "")
    assert f"error: {name}.mp4 does not exist" in err


@pytest.mark.parametrize("name", NAMES)
def test_phases_show_names_as_they_are(name: str) -> None:
    drawn = io.StringIO()
    with TerminalProgress(Console(file=drawn, force_terminal=True, width=200)).phase(f"read {name}", 1) as advance:
        advance()
    assert f"read {name}" in drawn.getvalue()


def test_doctor_shows_the_whole_command(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "rtmlib" else find(name))
    monkeypatch.setenv("EYM_CACHE", str(tmp_path / "[cache]"))
    _, out, _ = run("doctor")
    assert "pip install 'edit-your-motion[rtmlib]'" in out
    assert str(tmp_path / "[cache]") in out


def test_a_name_that_is_no_text_is_printed_with_escapes(run: Run) -> None:
    code, _, err = run("prepare", os.fsdecode(b"caf\xe9.mp4"))
    assert code == 1
    assert "does not exist" in err


@pytest.mark.parametrize(
    "command",
    [
        "prepare {}", "apply {} b", "edit {} b --prompt x", "edit a {} --prompt x", "tune {} --prompt x",
        "evaluate {} --prompt x", "prepare a --config {}", "study report {}",
    ],
)  # fmt: skip
def test_a_name_that_no_file_system_has_is_one_line(
    command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*command.format("x" * 300).split())
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
