"""Damage that keeps the form of a file whole, so that readers get beyond its first check: parts of containers with the
right sizes and checksums, cells of databases and tables, numbers of arrays."""

import io
import json
import re
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Part = tuple[bytes, bytes]
"""A name, as it stands in the file, and what is in it."""

NUMBERS = (0.0, -1.0, 0.5, 1e4, 1e30, -1e300, np.nan, np.inf, -np.inf)
CELLS = (
    None, 0, -1, 3, 2**31, 2**63 - 1, 1e308, float("inf"), "", "x", "\0", "é" * 40, "x" * 70_000, "../../x", b"",
    b"\xff\x00",
)  # fmt: skip
SCALARS = (b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b'""', b'"x"', b"[]", b"{}", b"9" * 400)


@dataclass(frozen=True)
class Form:
    """A file of parts in a row.

    Args:
        cut: the parts of it; those that cannot be told apart are one.
        join: a part as it stands in the file.
        head: bytes before the first.
        within: names of parts that are made of parts in turn, with the bytes before the first of these.
    """

    cut: Callable[[bytes], list[Part]]
    join: Callable[[bytes, bytes], bytes]
    head: int = 0
    within: Mapping[bytes, int] = field(default_factory=dict)


def _cut(content: bytes, step: Callable[[bytes, int], tuple[bytes, int, int, int]]) -> list[Part]:
    parts, place = [], 0
    while place < len(content):
        name, start, end, after = step(content, place)
        parts.append((name, content[start:end]))
        place = max(after, place + 1)
    return parts


def _png(content: bytes, place: int) -> tuple[bytes, int, int, int]:
    size = int.from_bytes(content[place : place + 4], "big")
    return content[place + 4 : place + 8], place + 8, place + 8 + size, place + 12 + size


def _riff(content: bytes, place: int) -> tuple[bytes, int, int, int]:
    size = int.from_bytes(content[place + 4 : place + 8], "little")
    return content[place : place + 4], place + 8, place + 8 + size, place + 8 + size + size % 2


def _box(content: bytes, place: int) -> tuple[bytes, int, int, int]:
    size = int.from_bytes(content[place : place + 4], "big")
    return content[place + 4 : place + 8], place + 8, place + size, place + max(size, 8)


def _segment(content: bytes, place: int) -> tuple[bytes, int, int, int]:
    """Of a JPEG: a marker and its size, or from the scan on all the rest."""
    if content[place + 1 : place + 2] == b"\xda":
        return b"", place, len(content), len(content)
    size = int.from_bytes(content[place + 2 : place + 4], "big")
    return content[place : place + 2], place + 4, place + 2 + size, place + 2 + size


def _element(content: bytes, place: int) -> tuple[bytes, int, int, int]:
    """Of Matroska: an identifier and a size of as many bytes as their leading zeros say; the size may be unknown."""
    long = max(1, 9 - content[place].bit_length())
    at = place + long
    wide = 9 - content[at].bit_length() if at < len(content) and content[at] else 1
    size = int.from_bytes(content[at : at + wide], "big") & ((1 << 7 * wide) - 1)
    start = at + wide
    end = len(content) if size == (1 << 7 * wide) - 1 else start + size
    return content[place:at], start, end, end


def _join_png(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))


def _join_riff(name: bytes, inside: bytes) -> bytes:
    return name + struct.pack("<I", len(inside)) + inside + bytes(len(inside) % 2)


def _join_box(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", len(inside) + 8) + name + inside


def _join_segment(name: bytes, inside: bytes) -> bytes:
    return name + struct.pack(">H", min(len(inside) + 2, 65535)) + inside if name else inside


def _join_element(name: bytes, inside: bytes) -> bytes:
    return name + struct.pack(">Q", 1 << 56 | len(inside)) + inside


BOXES = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"iprp", b"ipco"), 0),
    b"meta": 4,
    b"stsd": 8,
}
EBML, SEGMENT, INFO, TRACKS, TRACK, PICTURE, CLUSTER, CUES, CUE = (
    b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x15I\xa9f", b"\x16T\xaek", b"\xae", b"\xe0", b"\x1fC\xb6u", b"\x1cS\xbbk",
    b"\xbb",
)  # fmt: skip
ELEMENTS = dict.fromkeys((EBML, SEGMENT, INFO, TRACKS, TRACK, PICTURE, CLUSTER, CUES, CUE), 0)
FORMS = {
    ".png": Form(lambda content: _cut(content, _png), _join_png, 8),
    ".jpg": Form(lambda content: _cut(content, _segment), _join_segment, 2),
    **dict.fromkeys((".avi", ".webp"), Form(lambda content: _cut(content, _riff), _join_riff, 12, {b"LIST": 4})),
    **dict.fromkeys((".mp4", ".mov", ".avif"), Form(lambda content: _cut(content, _box), _join_box, 0, BOXES)),
    **dict.fromkeys((".mkv", ".webm"), Form(lambda content: _cut(content, _element), _join_element, 0, ELEMENTS)),
}  # fmt: skip


def without(content: bytes, suffix: str, name: bytes) -> bytes:
    """A file of the form of `suffix` without its parts of that name."""
    form = FORMS[suffix]
    parts = [part for part in form.cut(content[form.head :]) if part[0] != name]
    return content[: form.head] + b"".join(form.join(*part) for part in parts)


def change_parts(form: Form) -> Callable[[bytes, Rng], bytes]:
    """Takes a part of such a file out, doubles it, puts it elsewhere, or changes what is in it."""

    def change(content: bytes, rng: Rng) -> bytes:
        return content[: form.head] + _change_among(form, content[form.head :], rng)

    return change


def _change_among(form: Form, content: bytes, rng: Rng) -> bytes:
    parts = form.cut(content)
    if not parts:
        return content
    at = int(rng.integers(0, len(parts)))
    if nested := [index for index, (name, _) in enumerate(parts) if name in form.within]:
        at = nested[rng.integers(0, len(nested))] if rng.random() < 0.8 else at
    name, inside = parts[at]
    if name in form.within and rng.random() < 0.8:
        skip = form.within[name]
        parts[at] = name, inside[:skip] + _change_among(form, inside[skip:], rng)
    else:
        parts = _shuffle(parts, at, rng)
    return b"".join(form.join(*part) for part in parts)


def _shuffle(parts: list[Part], at: int, rng: Rng) -> list[Part]:
    name, inside = parts[at]
    match rng.integers(0, 8):
        case 0:
            return parts[:at] + parts[at + 1 :]
        case 1:
            return parts[:at] + [parts[at]] * int(rng.integers(2, 400)) + parts[at + 1 :]
        case 2:
            rest = parts[:at] + parts[at + 1 :]
            rest.insert(int(rng.integers(0, len(parts))), parts[at])
            return rest
        case 3:
            other = parts[rng.integers(0, len(parts))][1]
            return [*parts[:at], (name, other), *parts[at + 1 :]]
    return [*parts[:at], (name, _write_numbers(inside, rng)), *parts[at + 1 :]]


def _write_numbers(content: bytes, rng: Rng) -> bytes:
    """Another number in the place of one to eight bytes here and there."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        wide = (1, 2, 4, 8)[rng.integers(0, 4)]
        if len(changed) >= wide:
            place = int(rng.integers(0, min(len(changed), 256) - wide + 1))
            most = (1 << 8 * wide) - 1
            number = (0, 1, 2, 3, most, most >> 1, (most >> 1) + 1, 1 << 4 * wide)[rng.integers(0, 8)]
            changed[place : place + wide] = number.to_bytes(wide, ("big", "little")[rng.integers(0, 2)])
    return bytes(changed)


def change_tags(content: bytes, rng: Rng) -> bytes:
    """Another number in a field of the directory of a TIFF: tag, type, count or value."""
    order = "little" if content[:2] == b"II" else "big"
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    place = start + 2 + 12 * int(rng.integers(0, max(1, count)))
    offset, wide = ((0, 2), (2, 2), (4, 4), (8, 4))[rng.integers(0, 4)]
    number = _pick((0, 1, 2, 7, 2**16 - 1, 2**31, 2**32 - 1), rng) % (1 << 8 * wide)
    return content[: place + offset] + number.to_bytes(wide, order) + content[place + offset + wide :]


def change_numbers(array: np.ndarray, rng: Rng) -> np.ndarray:
    """An array of other numbers, another type or another shape."""
    array = np.array(array)
    match rng.integers(0, 8):
        case 0:
            return array[..., None]
        case 1 if array.ndim:
            return array[:0]
        case 2:
            return array.reshape(-1)
        case 3 if array.ndim:
            return np.moveaxis(array, 0, -1)
        case 4:
            return array.astype(_pick((np.uint8, np.int64, np.float16, np.complex64, np.bool_, "S3", "U3"), rng))
        case 5 if array.ndim:
            return np.repeat(array, int(rng.integers(2, 40)), axis=int(rng.integers(0, array.ndim)))
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    if array.size:
        places = rng.integers(0, array.size, max(1, int(array.size * rng.random() ** 4)))
        array.reshape(-1)[places] = _pick(NUMBERS, rng)
    return array


def change_npy(content: bytes, rng: Rng) -> bytes:
    with np.errstate(all="ignore"), io.BytesIO() as file:
        np.save(file, change_numbers(np.load(io.BytesIO(content)), rng))
        return file.getvalue()


def change_npz(content: bytes, rng: Rng) -> bytes:
    """One member is changed, taken out, doubled, or is no array."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = int(rng.integers(0, len(members)))
    name, inside = members[at]
    match rng.integers(0, 6):
        case 0:
            members.pop(at)
        case 1:
            members[at] = ("../" + name, inside)
        case 2:
            members[at] = (name, rng.bytes(60))
        case _:
            members[at] = (name, change_npy(inside, rng))
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", _pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), rng)) as archive:
            for each in members:
                archive.writestr(*each)
        return file.getvalue()


def change_tensors(content: bytes, rng: Rng) -> bytes:
    """A tensor of other numbers or of another shape, two whose names are swapped, or one that is not there."""
    import torch
    from safetensors.torch import load, save

    size = struct.unpack("<Q", content[:8])[0]
    notes = json.loads(content[8 : 8 + size]).get("__metadata__")
    tensors = load(content)
    names = sorted(tensors)
    one, other = names[rng.integers(0, len(names))], names[rng.integers(0, len(names))]
    tensor = tensors[one].clone()
    match rng.integers(0, 7):
        case 0:
            del tensors[one]
        case 1:
            tensors[one], tensors[other] = tensors[other], tensors[one]
        case 2:
            tensors[one] = tensor[None].contiguous()
        case 3 if tensor.ndim:
            tensors[one] = tensor[:0].clone()
        case 4 if tensor.ndim:
            tensors[one] = tensor.movedim(0, -1).contiguous()
        case 5:
            tensors[f"{one}.x"] = tensor
        case _ if tensor.is_floating_point() and tensor.numel():
            tensor.view(-1)[int(rng.integers(0, tensor.numel())) :] = torch.tensor(_pick(NUMBERS, rng)).to(tensor.dtype)
            tensors[one] = tensor
    return save(tensors, notes)


def change_database(content: bytes, rng: Rng) -> bytes:
    """A cell, a row, a column, a table or the version of a database of SQLite is another or is gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sqlite"
        path.write_bytes(content)
        database = sqlite3.connect(path, isolation_level=None)
        try:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = _pick(tables, rng)
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            _spoil(database, table, _pick(columns, rng), rng)
        except sqlite3.Error:
            pass  # the database refuses what it holds to be wrong, as that a name stands twice: it stays whole
        finally:
            database.close()
        return path.read_bytes()


def _spoil(database: sqlite3.Connection, table: str, column: str, rng: Rng) -> None:
    where = f'rowid = (SELECT rowid FROM "{table}" ORDER BY rowid LIMIT 1 OFFSET {int(rng.integers(0, 3))})'
    match rng.integers(0, 12):
        case 0:
            database.execute(f'DROP TABLE "{table}"')
        case 1:
            database.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
        case 2:
            database.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO x')
        case 3:
            database.execute(f"PRAGMA user_version = {int(_pick((-1, 0, 1, 2, 7, 2**31 - 1), rng))}")
        case 4:
            database.execute(f'DELETE FROM "{table}" WHERE {where}')
        case 5:
            database.execute(f'UPDATE "{table}" SET "{column}" = (SELECT max("{column}") FROM "{table}")')
        case _:
            database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE {where}', (_pick(CELLS, rng),))


def change_table(content: bytes, rng: Rng) -> bytes:
    """Columns and rows of a table of text that are swapped, doubled, quoted or far too long."""
    lines = content.split(b"\n")
    at = int(rng.integers(0, len(lines)))
    cells = lines[at].split(b",")
    one, other = int(rng.integers(0, len(cells))), int(rng.integers(0, len(cells)))
    match rng.integers(0, 7):
        case 0:
            cells[one], cells[other] = cells[other], cells[one]
        case 1:
            cells.insert(one, cells[other])
        case 2:
            cells.pop(one)
        case 3:
            cells[one] = b'"' + cells[one]
        case 4:
            cells[one] = b"x" * 200_000
        case 5:
            cells = [b";".join(cells)]
        case _:
            lines.insert(at, lines[int(rng.integers(0, len(lines)))])
    return b"\n".join([*lines[:at], b",".join(cells), *lines[at + 1 :]])


def double_key(content: bytes, rng: Rng) -> bytes:
    """A name that stands twice, with another value, in JSON or YAML."""
    keys = [*re.finditer(rb'"[^"\\]*": ?', content), *re.finditer(rb"(?m)^[ -]*[\w.]+: ", content)]
    if not keys:
        return content
    key, value = _pick(keys, rng), _pick(SCALARS, rng)
    between = b"," if key[0].startswith(b'"') else b"\n"
    return content[: key.start()] + key[0] + value + between + content[key.start() :]


def recode(content: bytes, rng: Rng) -> bytes:
    """Text in another encoding, with other ends of lines, or with a mark before it."""
    text = content.decode("utf-8", "replace")
    match rng.integers(0, 5):
        case 0:
            return text.replace("\n", "\r").encode()
        case 1:
            return b"\xef\xbb\xbf" * int(rng.integers(1, 3)) + content
    return text.encode(_pick(("utf-16", "utf-32", "utf-16-be", "utf-7"), rng), "replace")


def _pick(among: Any, rng: Rng) -> Any:
    return among[rng.integers(0, len(among))]
