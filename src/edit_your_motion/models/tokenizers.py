"""CLIP's tokenizer: from a folder, or out of the merges that CLIP's own code publishes."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import try_to_load_from_cache
from transformers import CLIPTokenizer

from edit_your_motion.errors import CheckpointError, ModelFileError, refuse_for_memory
from edit_your_motion.models.downloads import obtain
from edit_your_motion.models.hub import find
from edit_your_motion.models.tensor_files import first_line

FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""What a tokenizer can be read from; without them the library makes an empty one."""

CLIP_MERGES, CLIP_TOKENS, LENGTH = "clip-merges", 49408, 77
"""The model file that has the merges of CLIP's tokenizer, how many tokens they make, and its longest prompt."""

IN_HUB_CACHE = (
    ("openai/clip-vit-large-patch14", ""),
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "tokenizer/"),
    ("runwayml/stable-diffusion-v1-5", "tokenizer/"),
)
"""Repositories that have CLIP's tokenizer, if they are in the hub's cache here, and the folder that it is in."""


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
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # whatever the parsers of two libraries do with a damaged file
        refuse_for_memory(error, folder)
        raise CheckpointError(f"could not load tokenizer in {folder}: {first_line(error)}") from error


def find_tokenizer(name: str) -> CLIPTokenizer:
    """The tokenizer of a setting: a folder with its files or with a base, or a hub name.

    Raises:
        CheckpointError: if there is none.
    """
    folder = find(name, _tokenizer_files, "vocab.json", "give a folder with vocab.json and merges.txt")
    return load_tokenizer(folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder)


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer, which a checkpoint in one file lacks: from the hub's cache here, or our own model files.

    Raises:
        CheckpointError: if neither has it and it cannot be downloaded.
    """
    for repository, folder in IN_HUB_CACHE:
        found = try_to_load_from_cache(repository, f"{folder}vocab.json")
        if isinstance(found, str) and (Path(found).parent / "merges.txt").is_file():
            return load_tokenizer(Path(found).parent)
    try:
        path = obtain(CLIP_MERGES, allow_fetch=True)
    except ModelFileError as error:
        raise CheckpointError(
            "a checkpoint in one file has no tokenizer; name a folder that has CLIP's by --model.tokenizer, for: "
            f"{error}"
        ) from error
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    longest = CLIP_TOKENS - 2 * 256 - 2
    merges = [(first, second) for first, second in (line.split() for line in lines[1 : longest + 1])]
    with TemporaryDirectory() as folder:
        return make_tokenizer(Path(folder), merges)


def make_tokenizer(folder: Path, merges: Sequence[tuple[str, str]] = (), tokens: int = LENGTH) -> CLIPTokenizer:
    """Writes a CLIP tokenizer and returns it; it knows all single letters, so any text can be tokenized.

    Args:
        folder: where to write; made if it is absent.
        merges: pairs that make longer tokens, the most frequent first.
        tokens: the longest prompt.
    """
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    longer = dict.fromkeys(first + second for first, second in merges)
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), *longer, "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps({token: index for index, token in enumerate(vocabulary)}), encoding="utf-8"
    )
    lines = ["#version: 0.2", *map(" ".join, merges)]
    (folder / "merges.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="<|endoftext|>", model_max_length=tokens
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def tokenizer_facts(tokenizer: CLIPTokenizer) -> Mapping[str, Any]:
    """What decides the tokens of a prompt, in whatever files it lies."""
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()))
    return {"vocabulary": vocabulary, "length": tokenizer.model_max_length, "padding": tokenizer.pad_token_id}


def _tokenizer_files(names: Sequence[str]) -> list[str]:
    """What of a repository is needed for a tokenizer."""
    if not (files := [name for name in names if name in {"vocab.json", "merges.txt", "tokenizer_config.json"}]):
        raise CheckpointError("expected vocab.json and merges.txt, found none")
    return files
