"""CLIP's tokenizer: from a folder, or from its published merges alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.tensor_files import first_line

FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""What a tokenizer can be read from; without them the library makes an empty one."""


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in a folder.

    Raises:
        CheckpointError: if its files are missing or damaged.
    """
    if not any(all((folder / name).is_file() for name in names) for names in FILES):
        raise CheckpointError(
            f"could not load tokenizer: expected vocab.json and merges.txt, or tokenizer.json, in {folder}"
        )
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # whatever the parsers of two libraries do with a damaged file
        raise CheckpointError(f"could not load tokenizer in {folder}: {first_line(error)}") from error
    return tokenizer


def tokenizer_facts(tokenizer: CLIPTokenizer) -> Mapping[str, Any]:
    """What decides the tokens of a prompt, in whatever files it lies."""
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()))
    return {"vocabulary": vocabulary, "length": tokenizer.model_max_length, "padding": tokenizer.pad_token_id}
