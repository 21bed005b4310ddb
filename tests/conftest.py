"""Shape checking in every test run, and the fixtures that several test files share."""

import gc
import importlib
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import install_import_hook

UNCHECKED = "edit_your_motion.stage.rasterizer"
"""numba compiles it, and cannot where the last jaxtyping for Python 3.10 wraps what is marked no_type_check too."""

if sys.version_info < (3, 11):
    importlib.import_module(UNCHECKED)
    for name in [name for name in sys.modules if name.startswith("edit_your_motion") and name != UNCHECKED]:
        del sys.modules[name]

install_import_hook("edit_your_motion", "beartype.beartype")

if UNCHECKED in sys.modules:
    importlib.import_module("edit_your_motion.stage").rasterizer = sys.modules[UNCHECKED]

import pytest  # noqa: E402  (the hook has to be installed before anything imports the package)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background job: what tests start and interrupt would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from browsing import Browse
    from web_site import WebSite


def pytest_collection_finish() -> None:
    """Takes what was imported out of every later search for garbage: a third of the time of many short edits."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Takes back what a command line that ran within a test's process set up: levels and handlers of the loggers."""
    root, ours = logging.getLogger(), logging.getLogger("edit_your_motion")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(scope="session")
def clips() -> Path:
    """The real test clips that lie beside a checkout of the project; a test that asks for them skips without."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "clips"
    if not folder.is_dir():
        pytest.skip(f"no test clips at {folder}")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """Small inputs that lie beside a checkout of the project; a test that asks for them skips without."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip(f"no test cases at {folder}")
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny base, ControlNet and motion adapter in the layout of Stable Diffusion 1.5."""
    from edit_your_motion.models.tiny import make_base, make_controlnet, make_motion_adapter

    folder = tmp_path_factory.mktemp("checkpoints")
    make_base(folder / "base")
    make_controlnet(folder / "controlnet", folder / "base")
    make_motion_adapter(folder / "adapter", folder / "base")
    return folder


@pytest.fixture(scope="module")
def settings(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of settings that the web app offers, on tiny networks."""
    from web_site import tiny_settings

    return tiny_settings(tmp_path_factory.mktemp("settings"), checkpoints)


@pytest.fixture(scope="module")
def site(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[WebSite]":
    """The web app with its workers, being served."""
    from web_site import serving_web

    with serving_web(tmp_path_factory.mktemp("web") / "library", settings) as site:
        yield site


@pytest.fixture(scope="module")
def pair(site: "WebSite") -> tuple[str, str]:
    """A source and a reference of the web app's library, prepared."""
    from web_site import add_pair

    return add_pair(site.library)


@pytest.fixture(scope="module")
def browse() -> "Iterator[Browse]":
    """Opens pages in a real browser; a test that asks for it skips where there is none."""
    from browsing import browsing

    with browsing() as browse:
        yield browse


@pytest.fixture(scope="session")
def people_models() -> None:
    """BlazePose's model files in the cache, downloaded where it lacks them; a test that asks skips if that fails."""
    from edit_your_motion.errors import ModelFileError
    from edit_your_motion.models.downloads import fetch

    try:
        for name in ("pose-detection", "pose-landmark-full", "hand-region", "hand-landmark", "face-landmark"):
            fetch(name)
    except ModelFileError as problem:
        if "sha256" in str(problem):
            raise
        pytest.skip(str(problem))
