"""Checkpoints of the hub by name: from its cache on this machine, or else downloaded, or one clear error at once."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.downloads import may_download
from edit_your_motion.models.tensor_files import first_line, shards_of

TIMEOUT = 10
"""Seconds in which the hub has to answer, once."""

Wanted = Callable[[Sequence[str]], list[str]]
"""Which of a repository's files are needed; raises CheckpointError where they are not all there."""


def find(name: str, wanted: Wanted, anchor: str, remedy: str) -> Path:
    """The folder or file of that name here, or the folder of the hub's repository of that name.

    What the hub's cache on this machine has is taken without asking the hub.

    Args:
        name: of a folder, a file, or a repository of the hub.
        wanted: which files are needed.
        anchor: one that always is.
        remedy: what else can be given, for messages.

    Raises:
        CheckpointError: if there is no such thing, or the hub cannot be reached or refuses it; each is told apart.
    """
    place = Path(os.path.expanduser(name))  # unlike Path.expanduser, leaves an unknown user as it is
    if place.exists():
        return place
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or place.suffix in (".safetensors", ".ckpt"):
        raise CheckpointError(f"expected a folder, a file or a hub name, got '{name}', and there is no such file here")
    try:
        if (cached := _cached(name, wanted, anchor)) is not None:
            return cached
        if may_download():
            return _downloaded(name, wanted)
        reason = "and nothing may be downloaded unasked"
    except HFValidationError:
        reason = "which is no name that the hub can have"
    except OfflineModeIsEnabled:
        reason = "and the hub must not be asked (HF_HUB_OFFLINE is set)"
    except GatedRepoError:
        reason = "and the hub gives it only to whoever agreed to its terms on its page and logged in ('hf auth login')"
    except RepositoryNotFoundError:
        reason = "and the hub has nothing of that name, or keeps it private ('hf auth login' logs in)"
    except _UnreachableError as error:
        reason = f"and the hub cannot be reached ({error})"
    except CheckpointError as error:
        reason = f"and cannot be taken from the hub: {error}"
    except (HfHubHTTPError, OSError) as error:
        reason = f"and its download from the hub failed: {first_line(error)}"
    raise CheckpointError(f"there is no folder '{name}' here, it is not in the hub's cache, {reason}; {remedy}")


class _UnreachableError(Exception):
    """The hub did not answer."""


def _cached(name: str, wanted: Wanted, anchor: str) -> Path | None:
    """The snapshot in the hub's cache, if all that is needed is there."""
    found = try_to_load_from_cache(name, anchor)
    if not isinstance(found, str):
        return None
    folder = Path(found).parents[anchor.count("/")]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    try:
        shards = [shard for file in wanted(names) for shard in _shards(folder / file, file)]
    except CheckpointError:
        return None
    return folder if set(shards) <= set(names) else None


def _downloaded(name: str, wanted: Wanted) -> Path:
    """The repository's files in the hub's cache."""
    try:
        # Asked once and briefly first: the downloads below try again and again where there is no network.
        info = HfApi().model_info(name, timeout=TIMEOUT)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled):
        raise
    except Exception as error:  # the hub's client goes through one library for the web or another
        raise _UnreachableError(first_line(error)) from error
    for file in wanted([file.rfilename for file in info.siblings or ()]):
        path = Path(hf_hub_download(name, file))
        for shard in _shards(path, file):
            hf_hub_download(name, shard)
    return path.parents[file.count("/")]


def _shards(path: Path, file: str) -> list[str]:
    """The files that an index in a repository names, by their path there; none for any other file."""
    if not file.endswith(".index.json"):
        return []
    folder = file.rpartition("/")[0]
    return [f"{folder}/{name}".lstrip("/") for name in sorted(set(shards_of(path, file).values()))]
