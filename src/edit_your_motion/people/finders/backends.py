"""The backends that find people, by name; each is imported when it is asked for."""

import inspect
from collections.abc import Callable
from typing import Any

from edit_your_motion.errors import ConfigError
from edit_your_motion.people.finders.contract import PeopleBackend


def _blazepose() -> Callable[..., PeopleBackend]:
    from edit_your_motion.people.finders.blazepose import BlazePose

    return BlazePose


def _rtmlib() -> Callable[..., PeopleBackend]:
    from edit_your_motion.people.finders.rtmlib import load_rtmlib

    return load_rtmlib


BACKENDS: dict[str, Callable[[], Callable[..., PeopleBackend]]] = {"blazepose": _blazepose, "rtmlib": _rtmlib}
"""Name of each backend, and what imports it when it is asked for."""


def load_backend(name: str = "blazepose", **options: Any) -> PeopleBackend:
    """The people backend of that name.

    Args:
        name: one of `BACKENDS`.
        options: the arguments of `BlazePose` or `load_rtmlib`.

    Raises:
        ConfigError: the name or an option is unknown.
        MissingExtraError: the backend's package is not installed.
        ModelFileError: a model file is absent.
    """
    if name not in BACKENDS:
        raise ConfigError(f"expected a people backend of {', '.join(BACKENDS)}, got '{name}'")
    load = BACKENDS[name]()
    signature = inspect.signature(load)
    try:
        signature.bind(**options)
    except TypeError as problem:
        raise ConfigError(
            f"people backend '{name}': {problem}; its options are {', '.join(signature.parameters)}"
        ) from None
    return load(**options)
