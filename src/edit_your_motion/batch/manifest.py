"""The manifest of a batch: CSV, YAML or JSON lines, a row for each edit.

Columns are ``source``, ``reference``, ``prompt``, ``name``, ``preset``, ``truth``, and any setting by its full name,
such as ``sampling.steps``; ``people.reference_keypoints`` may stand in the place of ``reference``. In YAML and JSON
settings may be nested too. An empty cell says nothing.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from edit_your_motion.config import EditConfig, Section, flatten
from edit_your_motion.errors import ConfigError
from edit_your_motion.storage.parsing import parse_json, parse_yaml, read_yaml

OWN = ("name", "preset", "truth")
"""Columns that are no settings."""
CLIPS = {"source": "source.path", "reference": "reference.path"}
"""Columns that are short for a setting."""
LARGEST = 64 << 20
"""Bytes of a manifest."""
MOST_ROWS = 100_000
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Entry:
    """A row as it was written.

    Args:
        where: it stands, for messages.
        number: of the row, from 1.
        own: what is no setting, by column.
        settings: by full name.
    """

    where: str
    number: int
    own: Mapping[str, str]
    settings: Mapping[str, Any]


def read_manifest(path: Path) -> list[Entry]:
    """The rows of a manifest.

    Args:
        path: its suffix says what it is: .csv, .tsv, .yaml, .yml, .jsonl, .ndjson, .json (a list).

    Raises:
        ConfigError: it cannot be read, has no rows, or has a column of no such name; says which.
    """
    readers = {
        ".csv": _read_csv, ".tsv": _read_csv, ".yaml": _read_yaml, ".yml": _read_yaml,
        ".jsonl": _read_lines, ".ndjson": _read_lines, ".json": _read_json,
    }  # fmt: skip
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ConfigError(f"expected a manifest of {', '.join(readers)}, got '{path.name}'")
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"expected a manifest of at most {LARGEST >> 20} MiB, got more in {path}: split it")
        entries = []
        for where, number, values in read(path):
            if number > MOST_ROWS:
                raise ConfigError(f"expected at most {MOST_ROWS} rows, got more in {path}: split it")
            entries.append(_read_entry(f"{path.name}, {where}", number, values))
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"expected a manifest at {path}: {' '.join(str(error).split())}") from error
    if not entries:
        raise ConfigError(f"expected a row for each edit in {path}, got none")
    return entries


Rows = Iterator[tuple[str, int, Mapping[str, Any]]]
"""Where each row stands, its number, and what it says by column."""


def _read_csv(path: Path) -> Rows:
    text = _read_text(path)
    head = next((line for line in text.splitlines() if line.strip()), "")
    # No column's name has any of them; spreadsheets put 'sep=;' before the columns where they use another than ','.
    delimiter = head[-1] if _tells_delimiter(head) else max(_DELIMITERS, key=head.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    number = 0
    try:
        for line in reader:
            cells = _strip(line)
            if not cells or (not columns and _tells_delimiter(delimiter.join(line))):
                continue
            if not columns:
                columns = cells
                twice = next((name for name in columns if name and columns.count(name) > 1), None)
                if twice is not None:
                    raise ValueError(f"expected each column once, got '{twice}' twice")
                continue
            number += 1
            where = f"row {number} (line {reader.line_num})"
            if len(cells) > len(columns):
                raise ValueError(f"{where}: expected {len(columns)} cells, got {len(cells)}: put quotes around commas")
            given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
            if "" in given:
                raise ValueError(f"{where}: expected a name over each column, got none over '{given['']:.40}'")
            yield where, number, {name: _as_value(name, cell) for name, cell in given.items()}
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in UTF-8, got other bytes at {error.start}: save it as UTF-8") from error


def _tells_delimiter(line: str) -> bool:
    return line[:-1].strip().lower() == "sep=" and line[-1] in _DELIMITERS


def _strip(cells: Sequence[str]) -> list[str]:
    """The cells without blanks around them, and without empty ones at the end, which spreadsheets leave."""
    stripped = [cell.strip() for cell in cells]
    while stripped and not stripped[-1]:
        stripped.pop()
    return stripped


def _read_yaml(path: Path) -> Rows:
    yield from _number(read_yaml(path))


def _read_json(path: Path) -> Rows:
    yield from _number(parse_json(_read_text(path), unique=True))


def _read_lines(path: Path) -> Rows:
    number = 0
    for line, text in enumerate(_read_text(path).split("\n"), 1):
        if text.strip():
            number += 1
            try:
                row = parse_json(text, unique=True)
            except ValueError as error:
                raise ValueError(f"line {line}: {error}") from error
            yield f"row {number} (line {line})", number, _as_row(f"line {line}", row)


def _number(document: Any) -> Rows:
    if not isinstance(document, list):
        raise ValueError(f"expected a list of rows, got {type(document).__name__}")
    for number, row in enumerate(document, 1):
        yield f"row {number}", number, _as_row(f"row {number}", row)


def _as_row(where: str, row: Any) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{where}: expected values by column, got {json.dumps(row, default=str)[:60]}")
    return row


def _as_value(column: str, cell: str) -> Any:
    """A cell's value: text, which settings read as they do on the command line; or a list where one is meant."""
    if cell.startswith("[") and column not in (*OWN, *CLIPS) and _field(EditConfig, column) not in (str, str | None):
        try:
            return parse_yaml(cell)
        except ValueError as error:
            raise ValueError(f"column {column}: expected a list, got {cell!r:.60}") from error
    return cell


def _read_entry(where: str, number: int, values: Mapping[str, Any]) -> Entry:
    own: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for column, value in flatten(values):
        if value is None:
            continue
        if column in OWN:
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise ConfigError(f"{where}, column {column}: expected text, got {value!r:.60}")
            own[column] = str(value)
            continue
        name = CLIPS.get(column, column)
        if _field(EditConfig, name) is None:
            raise ConfigError(
                f"{where}, column {column}: no such setting; expected {', '.join((*CLIPS, 'prompt', *OWN))}, or one of "
                "those that 'eym config' prints"
            )
        if name in settings:
            raise ConfigError(f"{where}, column {column}: it is given twice, also by its full name {name}")
        settings[name] = value
    return Entry(where, number, own, settings)


def _field(kind: type[Section], name: str) -> Any:
    """The type of the setting of that full name; None where there is none, or it is a whole section."""
    first, _, rest = name.partition(".")
    field = kind.model_fields.get(first)
    if field is None:
        return None
    inner = field.annotation
    if isinstance(inner, type) and issubclass(inner, Section):
        return _field(inner, rest) if rest else None
    return None if rest else inner
