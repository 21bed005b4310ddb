"""Who sees which comparisons, in which order, ours on which side."""

from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from edit_your_motion.study.definition import Study

Side: TypeAlias = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Comparison:
    """Two results as one participant sees them.

    Args:
        case: its name.
        method: the one that ours is compared with.
        ours: the side that ours is on.
    """

    case: str
    method: str
    ours: Side


def seed_of(study: Study, number: int) -> str:
    """What the shuffle of participant `number` (from 1) is drawn from."""
    return f"{study.seed}:{number}"


def plan_comparisons(study: Study, number: int) -> tuple[Comparison, ...]:
    """What participant `number` sees, in order; the same for the same study and number.

    Sides alternate over the comparisons grouped by method, so that ours is equally often on either side for everybody,
    with every method (but for one, where their number is odd). Participants 2k - 1 and 2k see the same comparisons with
    opposite sides, each in an order of their own, so that it holds for every comparison over people too. Where each
    person sees only some, pairs of participants take turns through all of them.

    Args:
        study: what there is to compare.
        number: of the participant, from 1 on.
    """
    pair, mirrored = divmod(number - 1, 2)
    random = Random(f"{study.seed}:sides:{pair}")
    by_method: dict[str, list[str]] = {}
    for case, method in _choose_comparisons(study, pair):
        by_method.setdefault(method, []).append(case)
    grouped = [
        (case, method)
        for method in random.sample(list(by_method), len(by_method))
        for case in random.sample(by_method[method], len(by_method[method]))
    ]
    first = random.randrange(2) + mirrored
    comparisons = [Comparison(*each, ours=SIDES[(first + index) % 2]) for index, each in enumerate(grouped)]
    Random(seed_of(study, number)).shuffle(comparisons)
    return tuple(comparisons)


def _choose_comparisons(study: Study, pair: int) -> list[tuple[str, str]]:
    """The next `comparisons_per_person` of all, shuffled once for the whole study, round and round."""
    comparisons = list(study.comparisons)
    count = min(study.comparisons_per_person or len(comparisons), len(comparisons))
    Random(f"{study.seed}:comparisons").shuffle(comparisons)
    return [comparisons[(pair * count + index) % len(comparisons)] for index in range(count)]
