"""The pairs of the paired benchmark, fixed by their seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from edit_your_motion.datasets.choice import choose
from edit_your_motion.stage import Pair

SourceKind: TypeAlias = Literal["still", "moving", "picture"]
"""A source filmed from a tripod, by a slowly moving camera, or a single picture."""


@dataclass(frozen=True)
class PairChoice:
    """One pair of the benchmark.

    Args:
        seed: of `Pair.sample`, in the held-out split.
        motion: what the reference and the truth do.
        source: how the source is filmed.
    """

    seed: int
    motion: str
    source: SourceKind = "still"

    @property
    def name(self) -> str:
        """Names the pair's folder: "11-jump-moving"."""
        return f"{self.seed:02d}-{self.motion}" + ("" if self.source == "still" else f"-{self.source}")

    def sample(self) -> Pair:
        """The pair's scenes."""
        moving, picture = self.source == "moving", self.source == "picture"
        return Pair.sample(self.seed, "held_out", moving_camera=moving, single_picture=picture)


PAIRS: Mapping[str, PairChoice] = MappingProxyType(
    {choice.name: choice for choice in (
        PairChoice(63, "balancing"), PairChoice(57, "marching"), PairChoice(15, "dance_b"),
        PairChoice(33, "kick"), PairChoice(39, "jump"),
        PairChoice(19, "balancing", "moving"), PairChoice(41, "marching", "picture"),
        PairChoice(27, "balancing"), PairChoice(34, "marching"), PairChoice(16, "dance_b"),
        PairChoice(58, "kick"), PairChoice(31, "jump"),
        PairChoice(45, "marching", "moving"), PairChoice(22, "dance_b", "picture"),
        PairChoice(8, "balancing"), PairChoice(40, "marching"), PairChoice(0, "dance_b"),
        PairChoice(25, "kick"), PairChoice(64, "jump"),
        PairChoice(50, "dance_b", "moving"), PairChoice(9, "kick", "picture"),
        PairChoice(51, "balancing"), PairChoice(61, "marching"), PairChoice(28, "dance_b"),
        PairChoice(10, "kick"), PairChoice(65, "jump"),
        PairChoice(13, "kick", "moving"), PairChoice(2, "jump", "picture"),
        PairChoice(6, "jump", "moving"), PairChoice(66, "balancing", "moving"),
        PairChoice(23, "balancing", "picture"), PairChoice(69, "marching", "moving"),
        PairChoice(4, "dance_b", "moving"), PairChoice(42, "kick", "moving"),
        PairChoice(55, "jump", "picture"), PairChoice(11, "jump", "moving"),
    )}
)  # fmt: skip
"""The 36 pairs by name, ordered so that any first few are a fair sample.

All people, places and motions are held out. The seeds were chosen by the truth alone, before any method ran: everybody
wholly in the picture, each of the five held-out motions from its slowest to its fastest, every source another scene.
"""


def choose_pairs(names: Iterable[str]) -> tuple[PairChoice, ...]:
    """The pairs of these names, in this order.

    Raises:
        ConfigError: there is no such pair.
    """
    return choose(PAIRS, names, "pairs")
