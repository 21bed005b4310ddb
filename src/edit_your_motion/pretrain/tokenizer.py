"""A byte-pair tokenizer in CLIP's format that knows the words of the captions."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from edit_your_motion.models.tokenizers import make_tokenizer

_WORDS = r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_END = "</w>"


def train_tokenizer(folder: Path, captions: Iterable[str], merges: int, tokens: int) -> CLIPTokenizer:
    """Writes a tokenizer whose longer tokens are the captions' frequent byte pairs, and returns it.

    Args:
        folder: where to write; made if it is absent.
        captions: what to learn from.
        merges: how many longer tokens at most.
        tokens: the longest prompt.
    """
    learner = Tokenizer(BPE(end_of_word_suffix=_END))
    learner.normalizer = Lowercase()
    words = Split(Regex(_WORDS), "removed", invert=True)
    learner.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(
        # Each byte counts twice, in a word and at its end.
        vocab_size=merges + 2 * len(alphabet),
        initial_alphabet=alphabet,
        end_of_word_suffix=_END,
        min_frequency=2,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    pairs = json.loads(learner.to_str())["model"]["merges"][:merges]
    # Older versions of the library write a pair as one text.
    split = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in pairs]
    return make_tokenizer(folder, split, tokens)
