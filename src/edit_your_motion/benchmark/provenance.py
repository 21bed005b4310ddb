"""Which code a number comes from."""

import json
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import edit_your_motion

CHANGED = "+changes"
"""Follows the commit where files of the package differ from it."""


@cache
def commit_of_package() -> str | None:
    """The git commit of the package that runs, with `CHANGED` where files differ from it; None where nobody knows.

    An installation from a repository remembers its commit (PEP 610); a checkout is asked, but only one that holds
    the package itself, not the repository of a project in whose folder it happens to be installed.
    """
    if installed := _installed_commit():
        return installed
    folder = Path(edit_your_motion.__file__).parent
    if _ask_git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _ask_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + CHANGED if _ask_git(folder, "status", "--porcelain", "--", ".") else commit


def _installed_commit() -> str | None:
    try:
        text = distribution("edit-your-motion").read_text("direct_url.json")
        commit = json.loads(text or "{}").get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, ValueError, AttributeError):
        return None
    return commit if isinstance(commit, str) else None


def _ask_git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
