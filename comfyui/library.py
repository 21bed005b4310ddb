"""The library that the pack needs, in the Python that ComfyUI runs on."""

import sys
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def check_library() -> None:
    """Passes where the library can be imported in a version that the pack knows.

    Raises:
        ImportError: it cannot; one line says what to run.
    """
    wanted = Requirement(REQUIREMENTS.read_text(encoding="utf-8").strip())
    try:
        from edit_your_motion import __version__ as found
    except ImportError as error:
        found = f"none ({error})"
    else:
        if wanted.specifier.contains(found, prereleases=True):
            return
    raise ImportError(f'expected {wanted}, got {found}: run "{sys.executable}" -m pip install -U -r "{REQUIREMENTS}"')
