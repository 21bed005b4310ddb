"""A byte-pair tokenizer in CLIP's format that knows the words of the captions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from transformers import CLIPTokenizer

from edit_your_motion.models.tokenizers import make_tokenizer

_WORDS = r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_END = "</w>"
_FEWEST = 2


def train_tokenizer(folder: Path, captions: Iterable[str], merges: int, tokens: int) -> CLIPTokenizer:
    """Writes a tokenizer whose longer tokens are the captions' frequent byte pairs, and returns it.

    Args:
        folder: where to write; made if it is absent.
        captions: what to learn from.
        merges: how many longer tokens at most.
        tokens: the longest prompt.
    """
    split = Sequence([Split(Regex(_WORDS), "removed", invert=True), ByteLevel(add_prefix_space=False, use_regex=False)])
    words: Counter[tuple[str, ...]] = Counter()
    for caption in captions:
        for word, _ in split.pre_tokenize_str(caption.lower()):
            words[(*word[:-1], word[-1] + _END)] += 1
    return make_tokenizer(folder, _find_pairs(words, merges), tokens)


def _find_pairs(words: Mapping[tuple[str, ...], int], merges: int) -> list[tuple[str, str]]:
    """The pairs that are most frequent, each once those before it are merged.

    Of equally frequent ones the first in the alphabet is taken, so that every run agrees: `tokenizers`' own trainer
    takes whichever its hash tables have first.

    Args:
        words: how often each is there, in its parts.
        merges: how many pairs at most; one that is there only once is none.
    """
    pairs: list[tuple[str, str]] = []
    while len(pairs) < merges:
        counts: Counter[tuple[str, str]] = Counter()
        for parts, count in words.items():
            for pair in pairwise(parts):
                counts[pair] += count
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < _FEWEST:
            break
        pairs.append(best)
        words = {_merge(parts, best): count for parts, count in words.items()}
    return pairs


def _merge(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """The word with every such pair made one part, from left to right."""
    merged: list[str] = []
    index = 0
    while index < len(parts):
        together = parts[index : index + 2] == pair
        merged.append("".join(pair) if together else parts[index])
        index += 2 if together else 1
    return tuple(merged)
