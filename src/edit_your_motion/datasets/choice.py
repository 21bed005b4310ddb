"""Things by their names, as users give them."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from edit_your_motion.errors import ConfigError

Thing = TypeVar("Thing")


def choose(known: Mapping[str, Thing], names: Iterable[str], what: str) -> tuple[Thing, ...]:
    """Those of `known` with these names, in this order, each once.

    Args:
        known: all there are.
        names: which ones.
        what: their plural, for the error.

    Raises:
        ConfigError: there is none of a name.
    """
    names = list(names)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"expected {what} out of {', '.join(known)}; got {', '.join(unknown)}")
    return tuple(known[name] for name in dict.fromkeys(names))
