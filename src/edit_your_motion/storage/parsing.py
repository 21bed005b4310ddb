"""JSON and YAML that anybody may have written, or damaged: whatever is wrong with it is one kind of error."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

LARGEST = 4 << 20
"""Bytes of a file."""
MOST_VALUES = 200_000
"""Values of a document, each reference counted as what it refers to: ten lines can name more than memory holds."""


def parse_json(text: str, *, unique: bool = False) -> Any:
    """The document in a JSON text.

    Args:
        text: to parse.
        unique: refuse a name that stands twice in an object, of which the last would be taken otherwise.

    Raises:
        ValueError: it is no JSON, nested deeper than anything that is meant, or a name stands twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_collect if unique else None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _collect(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    _check_once(name for name, _ in pairs)
    return dict(pairs)


def _check_once(names: Iterable[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"expected each name once, got {twice!r:.60} twice")


def read_yaml(path: Path) -> Any:
    """The document in a YAML file, the keys of its mappings all text.

    Raises:
        ValueError: it cannot be read, is larger than 4 MiB, is no YAML, unfolds to too much, or has other keys than
            text; says in one line which.
    """
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"expected at most {LARGEST >> 20} MiB, got {size} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """The document in a YAML text, the keys of its mappings all text.

    Raises:
        ValueError: it is no YAML, unfolds to too much, has a key twice or other ones than text; says in one line
            which.
    """
    try:
        # Tags on values of other kinds make the constructors raise whatever they happen to raise.
        document = _load_yaml(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    for count, value in enumerate(_unfold(document)):
        if count >= MOST_VALUES:
            raise ValueError(f"expected at most {MOST_VALUES} values, got more: it refers to itself again and again")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"expected text, got {value!r:.40}, which no name of a file can be")
        if isinstance(value, dict) and (other := [key for key in value if not isinstance(key, str)]):
            raise ValueError(f"expected names as keys, got {other[0]!r:.40}: put it in quotes")
    return document


def _load_yaml(text: str) -> Any:
    """As `yaml.safe_load`, which takes the last of keys that stand twice, but for that."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        waiting, seen = [] if node is None else [node], set[int]()
        while waiting:
            one = waiting.pop()
            if id(one) in seen or isinstance(one, yaml.ScalarNode):
                continue
            seen.add(id(one))
            if isinstance(one, yaml.MappingNode):
                keys = [key for key, _ in one.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
                _check_once(str(key.value) for key in keys)
                waiting.extend(value for _, value in one.value)
            else:
                waiting.extend(one.value)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _unfold(document: Any) -> Iterator[Any]:
    """All values, those that are referred to at each place again."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set):
            waiting.extend(value)
