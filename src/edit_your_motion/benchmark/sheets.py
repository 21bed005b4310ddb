"""Sheets to look at: the clips of a case and every method's edit of it, a row each."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from edit_your_motion.benchmark.methods.catalogue import in_order
from edit_your_motion.people.preview import contact_sheet, write_picture
from edit_your_motion.video import read_video

CELL_HEIGHT = 128
"""Of a frame on a sheet, pixels."""
COLUMNS = 8
"""Frames of each clip on a sheet."""
CLIPS = ("source", "reference", "truth")


def write_sheet(folder: Path, clips: Path, case: str) -> list[tuple[str, UInt8[np.ndarray, "_ _ _ 3"]]]:
    """Writes ``sheets/CASE.png`` and returns its rows: their names and frames.

    Args:
        folder: of the benchmark.
        clips: the folder of the case's source, reference and, where it is known, truth.
        case: its name.
    """
    edits = {path.parent.parent.name: path for path in sorted(folder.glob(f"*/{case}/edited.mp4"))}
    paths = [(name, clips / f"{name}.mp4") for name in CLIPS]
    paths += [(name, edits[name]) for name in in_order(edits) if name not in CLIPS]
    rows: list[tuple[str, UInt8[np.ndarray, "_ _ _ 3"]]] = [
        (name, read_video(path).frames) for name, path in paths if path.is_file()
    ]
    write_picture(folder / "sheets" / f"{case}.png", contact_sheet(rows, COLUMNS, cell_height=CELL_HEIGHT))
    return rows
