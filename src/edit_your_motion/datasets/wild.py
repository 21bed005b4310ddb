"""Clips in the wild: a folder of videos and a table that says who gets whose motion.

The table is ``cases.csv`` or ``cases.yaml`` (a list of mappings) in the folder, or any file of that kind. A row has

=======================  ====================================================================
``name``                 unlike any other; default: SOURCE-REFERENCE
``source, reference``    needed; files below the folder, videos or folders of pictures
``prompt``               needed; what the source shows
``edit_prompt``          what the edit should show; default: ``prompt``
``truth``                the source's person truly doing the reference's motion, if filmed
``source_start`` ...     index of the first frame of ``source``, ``reference``, ``truth``
``source_keypoints``     ready keypoints of ``source``, ``reference``, ``truth``
``source_masks``         ready masks of the source's person
=======================  ====================================================================
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from edit_your_motion.datasets.case import Case, CaseList
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.errors import InputError
from edit_your_motion.storage.parsing import read_yaml

TABLES = ("cases.csv", "cases.yaml", "cases.yml")
LARGEST_TABLE = 4 << 20
MOST_CASES = 10_000
_CLIPS = ("source", "reference", "truth")
COLUMNS = (
    "name", *_CLIPS, "prompt", "edit_prompt", *(f"{clip}_start" for clip in _CLIPS),
    *(f"{clip}_keypoints" for clip in _CLIPS), "source_masks",
)  # fmt: skip
_NEEDED = ("source", "reference", "prompt")


def read_wild(folder: Path, config: CasesConfig) -> CaseList:
    """The cases of a table of clips.

    Args:
        folder: with the clips and the table, or the table itself, whose folder then has the clips.
        config: frames and strides of all.

    Raises:
        InputError: there is no table, a row is not as above, or a file of it is missing or too short; names it.
    """
    table = folder if folder.is_file() else next((path for name in TABLES if (path := folder / name).is_file()), None)
    if table is None:
        raise InputError(f"{folder}: expected a table of its cases ({' or '.join(TABLES[:2])}), got none: add one")
    rows = _read_rows(table)
    cases = tuple(_read_case(f"{table}, row {number}", table.parent, row, config) for number, row in enumerate(rows, 1))
    split = (
        f"All {len(cases)} rows of {table.name}, chosen by whoever wrote it. Source = {config.source_frames} frames, "
        f"reference = {config.frames}, stride {config.stride}."
    )
    return CaseList(table.parent.name or "wild", split, cases).check()


def _read_rows(table: Path) -> Sequence[Mapping[str, Any]]:
    try:
        if table.stat().st_size > LARGEST_TABLE:
            raise InputError(f"{table}: expected a table of at most {LARGEST_TABLE >> 20} MiB: split it")
        if table.suffix.lower() == ".csv":
            text = table.read_text(encoding="utf-8-sig")
            reader = csv.DictReader(StringIO(text), strict=True, restkey="more values than columns")
            rows = [{key: value for key, value in row.items() if value not in ("", None)} for row in reader]
        else:
            rows = read_yaml(table)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: expected a table in CSV or YAML, but {' '.join(str(error).split())}") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{table}: expected a list of cases, each with {', '.join(_NEEDED)}, got none")
    if len(rows) > MOST_CASES:
        raise InputError(f"{table}: expected at most {MOST_CASES} cases, got {len(rows)}: split it")
    return rows


def _read_case(where: str, folder: Path, row: Mapping[str, Any], config: CasesConfig) -> Case:
    if unknown := [str(key) for key in row if key not in COLUMNS]:
        raise InputError(f"{where}: expected columns out of {', '.join(COLUMNS)}; got {', '.join(unknown)}")
    if missing := [name for name in _NEEDED if not row.get(name)]:
        raise InputError(f"{where}: expected {' and '.join(missing)}, got nothing there")
    counts = {"source": config.source_frames, "reference": config.frames, "truth": config.frames}
    clips = {
        name: Clip(
            path=_below(where, folder, row[name]),
            start=_whole(where, f"{name}_start", row.get(f"{name}_start", 0)),
            count=count,
            stride=config.stride,
            fps=config.fps,
            keypoints=_optional(where, folder, row.get(f"{name}_keypoints")),
            masks=_optional(where, folder, row.get(f"{name}_masks")),
        )
        for name, count in counts.items()
        if row.get(name)
    }
    source, reference = clips["source"], clips["reference"]
    if source.describe().frames == 1:
        clips["source"] = source = Clip(source.path, fps=source.fps, keypoints=source.keypoints, masks=source.masks)
    name = str(row.get("name") or f"{source.path.stem}-{reference.path.stem}")
    prompts = [row.get("prompt"), row.get("edit_prompt")]
    if not all(prompt is None or isinstance(prompt, str) for prompt in prompts):
        raise InputError(f"{where}: expected text as prompts, got {prompts}: put it in quotes")
    try:
        return Case(name, source, reference, clips.get("truth"), str(prompts[0]), prompts[1])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _below(where: str, folder: Path, value: object) -> Path:
    """A file of the table, which may not lead out of its folder."""
    path = folder / str(value)
    if "\0" in str(value):
        raise InputError(f"{where}: expected the name of a file, got {value!r:.60}")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{where}: expected files below {folder}, got {value}: move it there")
    return path


def _optional(where: str, folder: Path, value: object) -> Path | None:
    return None if value is None else _below(where, folder, value)


def _whole(where: str, name: str, value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        raise InputError(f"{where}: expected {name} to be a frame's index from 0, got {value!r}")
    return int(text)
