"""What the docs show runs, and where they point there is something; commands are in test_contracts.py."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edit_your_motion
from edit_your_motion import ApplyConfig, EditYourMotionPipeline, TuneConfig, make_config
from edit_your_motion.errors import EditYourMotionError
from edit_your_motion.video import write_video
from synthetic_clip import film, short_edit, write_clip

ROOT = Path(__file__).parents[1]
PACKAGE = Path(edit_your_motion.__file__).parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
]
"""In the order of a reader: README saves the person that later pages load."""


@pytest.fixture(scope="module")
def desk(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the docs name: tiny networks under the names of the hub's, short clips."""
    folder = tmp_path_factory.mktemp("desk")
    for name, part in {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": "base",
        "lllyasviel/sd-controlnet-openpose": "controlnet",
    }.items():
        (folder / name).parent.mkdir()
        (folder / name).symlink_to(checkpoints / part, target_is_directory=True)
    clip = film(16)
    (folder / "clips").mkdir()
    for name in ("source", "reference", "dance", "kick", "edited", "truth", "clips/man", "clips/dance"):
        write_video(folder / f"{name}.mp4", clip.video.frames, clip.video.fps)
    (table,) = re.findall(
        r"^```\n(name,source.*?)^```", (ROOT / "docs" / "data.md").read_text(encoding="utf-8"), re.M | re.S
    )
    (folder / "clips" / "cases.csv").write_text(table, encoding="utf-8")
    return folder


@pytest.mark.parametrize("block", BLOCKS)
def test_python_runs(
    block: str, desk: Path, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two steps of everything, and people that are known: nobody would be found in the tests' films."""
    walk = write_clip(tmp_path, film(2))
    short = short_edit(checkpoints, walk, walk)

    def use(verb: str, config: TuneConfig | ApplyConfig) -> None:
        whole = getattr(EditYourMotionPipeline, verb)

        def run(self: EditYourMotionPipeline, *given: Any, preset: str | None = None, **more: Any) -> Any:
            make_config(type(config), more.pop("config", {}), preset=preset)
            return whole(self, *given, **more, config=config)

        monkeypatch.setattr(EditYourMotionPipeline, verb, run)

    use("tune", short.for_tuning())
    use("apply", short.for_applying())
    monkeypatch.chdir(desk)
    exec(compile(block, "block", "exec"), {})


def headings(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "")).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "llms.txt"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        outside = page in DOCS and not other.resolve().is_relative_to(ROOT / "docs")  # where the site has nothing
        if outside or not other.exists() or (anchor and anchor not in headings(other)):
            broken.append(target)
    for path in re.findall(r"`((?:[\w-]+/)+[\w.-]+\.\w+)`", text):
        ours = (ROOT / path.split("/")[0]).is_dir(), (PACKAGE / path.split("/")[0]).is_dir() and path.endswith(".py")
        if any(ours) and not ((ROOT / path).exists() or (PACKAGE / path).exists()):
            broken.append(path)
    assert broken == []


def test_every_page_is_in_the_site_and_in_the_index_for_language_models() -> None:
    site = set(re.findall(r'"([\w-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    assert site == {page.name for page in DOCS}
    index = dict(
        re.findall(r"^- \[(.*?)\]\((.*?)\): \S", (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8"), re.M)
    )
    titles = {page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "): page.name for page in DOCS}
    assert index == {title: name for title, name in titles.items() if name != "index.md"}


def test_the_site_builds_and_no_link_is_broken(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="pip install -e '.[docs]'")
    pytest.importorskip("mkdocstrings_handlers.python")
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in DOCS:
        place = tmp_path / "site" / ("" if page.stem == "index" else page.stem) / "index.html"
        assert "<h1" in place.read_text(encoding="utf-8")
    assert "EditYourMotionPipeline" in (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")


def test_the_api_has_every_public_name() -> None:
    shown = set(re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.M))
    promised = {
        f"edit_your_motion.{home}.{name}"
        for home, names in edit_your_motion._HOMES.items()
        for name in names
        if home != "errors"
    }
    assert shown == promised | {EditYourMotionError.__module__}
