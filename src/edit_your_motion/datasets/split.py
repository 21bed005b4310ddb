"""Which clips of a data set are tested, and where that list comes from."""

from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.errors import ConfigError
from edit_your_motion.storage.parsing import read_yaml

SPLITS = Path(__file__).parent / "splits"


@dataclass(frozen=True)
class Split:
    """The test clips of a data set.

    Args:
        name: stands in reports.
        dataset: the data set's name.
        origin: who chose these clips, and what they may be compared with.
        clips: their identifiers, in order, each once.
    """

    name: str
    dataset: str
    origin: str
    clips: tuple[str, ...]


def load_split(name: str | Path) -> Split:
    """A split of ours by name ("tiktok"), or one from a YAML file of the same form.

    Raises:
        ConfigError: no such split, or a file that is none.
    """
    path, ours = Path(name), SPLITS / f"{name}.yaml"
    if not path.suffix and ours.is_file():
        return _read_split(ours)
    if not path.is_file():
        raise ConfigError(f"expected the split 'tiktok' or a YAML file with name, dataset, origin, clips; got '{name}'")
    return _read_split(path)


def _read_split(source: Path) -> Split:
    try:
        content = read_yaml(source)
    except ValueError as why:
        raise ConfigError(f"expected a split in YAML in {source}, but {why}") from why
    if not isinstance(content, dict) or content.keys() != {"name", "dataset", "origin", "clips"}:
        raise ConfigError(f"expected a split with exactly name, dataset, origin and clips in {source}")
    clips = content["clips"]
    if not isinstance(clips, list) or not clips or len({str(clip) for clip in clips}) < len(clips):
        raise ConfigError(f"expected a list of clips, each once, in {source}; got {clips!r:.80}")
    if not all(isinstance(each, str) for each in (*clips, content["name"], content["dataset"], content["origin"])):
        raise ConfigError(f"expected text throughout in {source}, numbers of clips in quotes; got {clips!r:.80}")
    return Split(content["name"], content["dataset"], content["origin"], tuple(clips))
