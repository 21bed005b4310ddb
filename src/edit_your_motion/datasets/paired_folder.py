"""Folders whose edits have a known truth: what the paired benchmark leaves, and what ``eym stage`` renders.

``pairs/PAIR/{source,reference,truth}.mp4`` of the benchmark, or ``PAIR/{source,reference,truth}.mp4`` with
``{source,reference,truth}.json`` (keypoints), ``source-masks/`` and ``captions.json`` of ``eym stage``.
"""

from pathlib import Path

from edit_your_motion.config import load_config
from edit_your_motion.datasets.case import Case, CaseList
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.config import CasesConfig
from edit_your_motion.datasets.folder import first_of
from edit_your_motion.errors import InputError
from edit_your_motion.people.formats.keypoints_file import read_json
from edit_your_motion.people.formats.openpose import sorted_by_number

_CLIPS = ("source", "reference", "truth")


def read_paired(folder: Path, config: CasesConfig) -> CaseList:
    """The pairs of a folder, whole: their length was decided when they were rendered.

    Args:
        folder: of ``eym benchmark paired`` or ``eym stage``.
        config: the prompt of pairs that come without one.

    Raises:
        InputError: there are no pairs, or a file of one is missing or damaged; names it.
    """
    place = folder / "pairs" if (folder / "pairs").is_dir() else folder
    pairs = [path for path in place.iterdir() if (path / "source.mp4").is_file()] if place.is_dir() else []
    if not pairs:
        raise InputError(f"{place}: expected PAIR/source.mp4, reference.mp4 and truth.mp4, got none: run the benchmark")
    cases = tuple(_read_pair(folder, pair, config) for pair in sorted_by_number(pairs))
    return CaseList(
        "paired", f"All {len(cases)} pairs of {folder.name}, rendered people with known truth.", cases
    ).check()


def _read_pair(folder: Path, pair: Path, config: CasesConfig) -> Case:
    source, reference, truth = (
        Clip(pair / f"{name}.mp4", keypoints=first_of(pair, f"{name}.json"), masks=first_of(pair, f"{name}-masks"))
        for name in _CLIPS
    )
    prompt, edit_prompt = _find_prompts(folder, pair)
    return Case(pair.name, source, reference, truth, prompt or config.prompt, edit_prompt)


def _find_prompts(folder: Path, pair: Path) -> tuple[str | None, str | None]:
    """What was written beside the clips, else what the cells of the pair were made with."""
    captions = pair / "captions.json"
    if captions.is_file():
        content = read_json(captions)
        if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in ("source", "truth")):
            raise InputError(f"{captions}: expected the captions of source and truth, got {content!r:.80}")
        return content["source"], content["truth"]
    for file in sorted(folder.glob(f"*/{pair.name}/config.yaml")):
        content = load_config(file)
        if content.get("prompt"):  # a method without prompts says nothing of the pair
            return str(content["prompt"]), str(content.get("edit_prompt") or content["prompt"])
    return None, None
