"""Damage to files, drawn from a seed: of bytes, of words in text, of the values in documents and headers."""

import json
import re
import struct
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import yaml

from form_damage import (
    FORMS,
    change_database,
    change_npy,
    change_npz,
    change_parts,
    change_table,
    change_tags,
    change_tensors,
    double_key,
    recode,
)  # fmt: skip

Rng = np.random.Generator
Damage = Callable[[bytes, Rng], bytes]

WORDS = (
    "0", "-1", "1", "3", "1e308", "1e999", "-1e30", "9" * 30, "2147483648", "9223372036854775808", "0.5", "NaN", "nan",
    "-Infinity", ".inf", "null", "true", "[]", "{}", '""', '"x"', "[[0]]", "x", "", "\0", "é", "\\ud800", "'", "~",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    0, -1, 1, 3, 10**30, 2**31, 2**63, 1e308, -1e30, 0.5, float("nan"), float("inf"), None, True, False, "", "x",
    "\0", "\ud800", "x" * 5000, "../../x", "1e5", "2026-01-01", [], {}, [[]], [None], [0] * 400, {"x": 1}, [{"x": []}],
)  # fmt: skip
DEPTH = 100_000
BOMB = "".join(
    f"b{level}: &b{level} [{', '.join([f'*b{level - 1}' if level else 'x'] * 9)}]\n" for level in range(12)
).encode()
"""Ten lines of YAML that name more items than any machine can hold."""


def flip_bits(content: bytes, rng: Rng) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(content), int(2 ** rng.integers(0, 8))):
        changed[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def truncate(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def behead(content: bytes, rng: Rng) -> bytes:
    return content[int(rng.integers(1, len(content) + 1)) :]


def zero(content: bytes, rng: Rng) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def splice(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(0, len(content)))] + content[int(rng.integers(0, len(content))) :]


def repeat(content: bytes, rng: Rng) -> bytes:
    start, end = _span(content, rng)
    return content[:end] + content[start:end] * int(rng.integers(1, 5)) + content[end:]


def insert_noise(content: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(0, len(content) + 1))
    return content[:place] + rng.bytes(int(rng.integers(1, 64))) + content[place:]


def write_number(content: bytes, rng: Rng) -> bytes:
    """A number that is too large or too small, in the place of four bytes, mostly of the header."""
    number = struct.pack(("<I", ">I")[rng.integers(0, 2)], (2**32 - 1, 2**31 - 1, 2**16, 0, 1)[rng.integers(0, 5)])
    place = int(rng.integers(0, max(1, min(len(content), 4096) - 4)))
    return content[:place] + number + content[place + 4 :]


def empty(content: bytes, rng: Rng) -> bytes:
    return b""


def nest(content: bytes, rng: Rng) -> bytes:
    left, right = (b"[", b"]") if rng.random() < 0.5 else (b'{"x":', b"}")
    return left * DEPTH + (b"0" + right * DEPTH if rng.random() < 0.5 else b"")


def change_word(content: bytes, rng: Rng) -> bytes:
    """Another word or number in the place of one."""
    words = list(re.finditer(rb"[\w.+-]+", content))
    if not words:
        return content
    word = words[rng.integers(0, len(words))]
    return content[: word.start()] + WORDS[rng.integers(0, len(WORDS))].encode() + content[word.end() :]


def change_json(content: bytes, rng: Rng) -> bytes:
    document = change_value(json.loads(content), rng)
    return json.dumps(document).encode()


def change_json_lines(content: bytes, rng: Rng) -> bytes:
    lines = content.splitlines()
    place = rng.integers(0, len(lines))
    lines[place] = change_json(lines[place], rng)
    return b"\n".join(lines)


def change_yaml(content: bytes, rng: Rng) -> bytes:
    if rng.random() < 0.1:
        return (b"" if rng.random() < 0.5 else content + b"\n") + BOMB
    document = change_value(yaml.safe_load(content), rng)
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")


def change_header(content: bytes, rng: Rng) -> bytes:
    """Another value in the header of safetensors, or in the JSON within a text of the header."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    texts = [name for name, text in header.get("__metadata__", {}).items() if text[:1] in ("[", "{")]
    if texts and rng.random() < 0.6:
        name = texts[rng.integers(0, len(texts))]
        text = header["__metadata__"][name]
        header["__metadata__"][name] = (
            "[" * DEPTH if rng.random() < 0.1 else json.dumps(change_value(json.loads(text), rng))
        )
    else:
        header = change_value(header, rng)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + content[8 + size :]


def change_value(document: Any, rng: Rng) -> Any:
    """The document with one or a few of its values replaced, taken out, doubled or renamed."""
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(document))
        if not places:
            return deepcopy(VALUES[rng.integers(0, len(VALUES))])
        # As likely far up, where there are few values, as deep down.
        depths = sorted({depth for depth, *_ in places})
        depth = depths[rng.integers(0, len(depths))]
        among = [place for place in places if place[0] == depth]
        _, holder, key = among[rng.integers(0, len(among))]
        match rng.integers(0, 8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 1:
                holder[("x", "", "\0", "__class__", "self")[rng.integers(0, 5)]] = holder.pop(key)
            case 2:
                other = places[rng.integers(0, len(places))]
                holder[key] = deepcopy(other[1][other[2]])
            case 3:
                holder[key] = [holder[key]]
            case _:
                holder[key] = deepcopy(VALUES[rng.integers(0, len(VALUES))])
    return document


BYTES: tuple[Damage, ...] = (
    flip_bits, flip_bits, flip_bits, truncate, truncate, behead, zero, splice, repeat, insert_noise, write_number,
    write_number, empty,
)  # fmt: skip
IN_TEXT = (change_word,) * 6 + (nest, nest, recode)
BY_SUFFIX: dict[str, tuple[Damage, ...]] = {
    ".json": (change_json,) * 22 + (double_key,) * 3 + IN_TEXT,
    ".jsonl": (change_json_lines,) * 20 + (double_key,) * 3 + IN_TEXT,
    ".yaml": (change_yaml,) * 22 + (double_key,) * 3 + IN_TEXT,
    ".safetensors": (change_header,) * 12 + (change_tensors,) * 10,
    ".csv": (change_word,) * 14 + (change_table,) * 12 + (recode,),
    ".bvh": (change_word,) * 20 + (recode,),
    ".txt": (change_word,) * 8,
    ".npy": (change_word,) * 6 + (change_npy,) * 14,
    ".npz": (change_npz,) * 18,
    ".sqlite": (change_database,) * 30,
    ".tiff": (change_tags,) * 14,
    **{suffix: (change_parts(form),) * 16 for suffix, form in FORMS.items()},
}
"""Damage that a file's own form invites, beside that of bytes."""


def damage(content: bytes, suffix: str, rng: Rng, others: Sequence[bytes]) -> bytes:
    """The content of a file, damaged; sometimes that of another kind of file in its place."""
    if rng.random() < 0.04:
        return others[rng.integers(0, len(others))]
    ways = BYTES + BY_SUFFIX.get(suffix, ())
    return ways[rng.integers(0, len(ways))](content, rng) if content else rng.bytes(16)


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(0, len(content)))
    return start, min(len(content), start + int(2 ** rng.integers(0, 12)))


def _places(document: Any, depth: int = 0) -> Any:
    if not isinstance(document, dict | list):
        return
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        yield depth, document, key
        yield from _places(value, depth + 1)
