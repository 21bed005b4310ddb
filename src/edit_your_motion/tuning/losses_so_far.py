"""The losses of a tuning that is under way, for whoever only looks on: nothing that computes is imported."""

from pathlib import Path

from edit_your_motion.errors import CheckpointError
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.tensor_headers import load_metadata


def read_losses_so_far(path: Path) -> list[float]:
    """The losses of every step that the file's tuning has done, all stages; no tensor is read.

    Raises:
        CheckpointError: if the file is absent or damaged.
    """
    try:
        return [float(loss) for loss in parse_json(load_metadata(path)["state"])["losses"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"expected a tuning checkpoint at {path}, got a damaged file; delete it") from error
