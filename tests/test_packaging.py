"""What a release promises: versions that agree, whole extras, a wheel with all its data, workflows that fit."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import edit_your_motion
from edit_your_motion.cli.machine import EXTRAS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "edit_your_motion"
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
FOR_DEVELOPERS = {"browser", "cluster", "dev", "docs", "test"}
PACKAGES = {"PIL": "pillow", "yaml": "pyyaml", "skimage": "scikit-image"}
"""Packages whose modules have another name."""
OF_EXTRAS = {"rtmlib", "onnxruntime", "bitsandbytes", "h11", "numba", "ray", "starlette", "submitit", "uvicorn"}
DATA = (
    "datasets/splits/tiktok.yaml",
    "demo/reference.mp4",
    "demo/source.mp4",
    "demo/truth.mp4",
    "metrics/published.yaml",
    "models/small/base/recommended.yaml",
    "models/small/base/model_index.json",
    "models/small/base/text_encoder/model.safetensors",
    "models/small/base/tokenizer/tokenizer.json",
    "models/small/base/unet/diffusion_pytorch_model.safetensors",
    "models/small/base/vae/diffusion_pytorch_model.safetensors",
    "models/small/controlnet/diffusion_pytorch_model.safetensors",
    "presets/best.yaml",
    "presets/fast.yaml",
    "presets/paper.yaml",
    "py.typed",
    "stage/data/body.npz",
    "stage/data/motions.npz",
    "study/page/study.css",
    "study/page/study.html",
    "study/page/study.js",
    "web/page/index.html",
    "web/page/main.js",
    "web/page/web.css",
)
"""Of the package's files that are no modules, those that it does not run without."""
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
needs_workflows = pytest.mark.skipif(not WORKFLOWS, reason="a source distribution has no workflows")


def requirements(name: str) -> list[str]:
    """The packages of a list in pyproject.toml: of the dependencies or of an extra; tomllib came with Python 3.11."""
    (block,) = re.findall(rf"^{name} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)
    return re.findall(r'"([^"]+)"', re.sub(r"#.*", "", block))


def extras() -> dict[str, list[str]]:
    (block,) = re.findall(r"^\[project.optional-dependencies\]\n(.*?)^\[", PROJECT, re.MULTILINE | re.DOTALL)
    return {name: requirements(name) for name in re.findall(r"^([a-z]+) = \[", block, re.MULTILINE)}


def name_of(requirement: str) -> str:
    return re.split(r"[\[><=;! ]", requirement)[0].lower()


def imported() -> dict[str, set[str]]:
    """Packages of others by the modules of ours that import them, anywhere in them."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in {name.split(".")[0] for name in names} - {"edit_your_motion"}:
                if name not in sys.stdlib_module_names:
                    found.setdefault(PACKAGES.get(name, name.replace("_", "-")), set()).add(str(path))
    return found


def test_the_pack_carries_the_licence() -> None:
    assert (ROOT / "comfyui" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_versions_agree() -> None:
    version = edit_your_motion.__version__
    assert f'\nversion = "{version}"\n' in PROJECT
    pack = (ROOT / "comfyui" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{version}"\n' in pack
    assert f'"edit-your-motion>={version}"' in pack
    assert (ROOT / "comfyui" / "requirements.txt").read_text(encoding="utf-8") == f"edit-your-motion>={version}\n"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert released[0] == version


def test_pythons_agree() -> None:
    lowest, above = map(int, re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', PROJECT).groups())  # type: ignore[union-attr]
    expected = [f"3.{minor}" for minor in range(lowest, above)]
    assert re.findall(r"Python :: (3\.\d+)", PROJECT) == expected
    assert f'target-version = "py3{lowest}"' in PROJECT
    assert f"(3, {lowest}) <= sys.version_info[:2] <= (3, {above - 1})" in (ROOT / "scripts/setup").read_text("utf-8")
    if WORKFLOWS:
        ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
        assert ci["jobs"]["linux"]["strategy"]["matrix"]["python"] == expected


def test_whatever_is_imported_is_asked_for() -> None:
    declared = {name_of(text) for name in ("dependencies", *extras()) for text in requirements(name)}
    assert {name: sorted(paths) for name, paths in imported().items() if name not in declared | {"pydantic-core"}} == {}
    always = {name_of(text) for text in requirements("dependencies")}
    assert set(imported()) - always - {"pydantic-core"} == OF_EXTRAS, "pydantic brings its own core"


def test_extras_are_whole() -> None:
    (everything,) = [text for name, text in extras().items() if name == "all"]
    of_users = set(extras()) - FOR_DEVELOPERS - {"all"}
    assert {extra for text in everything for extra in re.findall(r"\[(.*?)\]", text)[0].split(",")} == of_users
    assert set(EXTRAS) == of_users, "eym doctor shows each"
    named = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "MissingExtraError":
                # A page's server is told by its caller whose extra it is.
                named |= {ast.literal_eval(node.args[1])} if isinstance(node.args[1], ast.Constant) else set()
    assert named == of_users, "what an extra brings is missed by its name"


def test_without_extras_whatever_lacks_one_names_it() -> None:
    absent = sorted(OF_EXTRAS - {"h11"})  # which the hub's library brings, too
    code = f"""
import importlib, pkgutil, sys
for name in {absent}:
    sys.modules[name] = None
import edit_your_motion
from edit_your_motion.errors import MissingExtraError
for module in pkgutil.walk_packages(edit_your_motion.__path__, "edit_your_motion."):
    try:
        importlib.import_module(module.name)
    except MissingExtraError as error:
        print(module.name, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.endswith("pip install 'edit-your-motion[stage]'") for line in lines), lines


def test_data_is_there_and_nothing_ignores_it() -> None:
    missing = [name for name in DATA if not (PACKAGE / name).is_file()]
    assert missing == []
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout: nothing says what is ignored")
    files = [str(PACKAGE / name) for name in DATA]
    ignored = subprocess.run(["git", "check-ignore", "--no-index", *files], cwd=ROOT, capture_output=True, text=True)
    assert ignored.stdout == "", "hatch leaves out what git ignores"


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        packed = {name.removeprefix("edit_your_motion/") for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert packed == {path.relative_to(PACKAGE).as_posix() for path in files}
    assert Path(built).stat().st_size < 100 * 2**20, "PyPI takes no larger file"


@needs_workflows
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_do_no_more_than_they_must(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"], name
        may_write = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        if name != "publish":
            assert not {"id-token"} & may_write or name == "attest"
        for step in job["steps"]:
            if action := step.get("uses"):
                assert re.search(r"@[0-9a-f]{40}$", action) or action == "pypa/gh-action-pypi-publish@release/v1"
            assert "${{" not in step.get("run", ""), "what a run does is never put together of somebody's text"


@needs_workflows
def test_workflows_run_what_is_there() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?:^|\s)((?:scripts|\.ci|tests)/[\w./]+)", text):
            assert (ROOT / name).is_file(), f"{path.name} runs {name}"


@needs_workflows
def test_issue_forms_ask_for_what_is_needed() -> None:
    for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == "config.yml":
            continue
        assert form["name"]
        assert form["description"]
        identifiers = [field["id"] for field in form["body"]]
        assert len(identifiers) == len(set(identifiers))
        assert all(field["attributes"]["label"] for field in form["body"])
