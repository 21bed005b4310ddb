"""The state of an unfinished tuning as one safetensors file: parameters, optimiser, place and random state."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor
from torch.optim import Optimizer

from edit_your_motion.config import Section, explain
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.runtime.tensor_alignment import placed
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata, opened_tensors
from edit_your_motion.tuning.early_stopping import Evaluation


@dataclass(frozen=True)
class TuningState:
    """Where a tuning stands.

    Args:
        fingerprint: of everything that decides this state; a checkpoint of another tuning is refused.
        stage: index of the stage under way.
        step: optimiser steps done in this stage.
        parameters: every tuned parameter by name.
        optimizer: ``state_dict`` of the stage's optimiser.
        scaler: ``state_dict`` of the gradient scaler; empty unless tuning in fp16.
        random: state of what draws noise and timesteps.
        losses: of every step so far, all stages.
        evaluations: held-out losses so far, all stages.
        unlogged: parts of the loss of each step that a log has not told of yet.
    """

    fingerprint: str
    stage: int
    step: int
    parameters: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]
    random: Tensor
    losses: list[float] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    unlogged: list[dict[str, float]] = field(default_factory=list)


class _Rest(Section):
    """What of a state is no tensor, as it stands in the file."""

    fingerprint: str
    stage: int = Field(ge=0, le=1)
    step: int = Field(ge=0)
    groups: list[dict[str, Any]]
    slots: dict[int, dict[str, Any]]
    scaler: dict[str, Any]
    losses: list[float]
    evaluations: list[Evaluation] = Field(default_factory=list)
    unlogged: list[dict[str, float]] = Field(default_factory=list)


def save_state(path: Path, state: TuningState) -> None:
    """Writes the state, whole or not at all.

    Raises:
        DiskFullError: if there is no room for it; the file of before is left as it was.
    """
    tensors = {f"parameter.{name}": value.detach() for name, value in state.parameters.items()}
    tensors["random"] = state.random
    slots: dict[str, dict[str, Any]] = {}
    for index, values in state.optimizer["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                slots.setdefault(str(index), {})[name] = value
    rest = {
        "fingerprint": state.fingerprint,
        "stage": state.stage,
        "step": state.step,
        "groups": state.optimizer["param_groups"],
        "slots": slots,
        "scaler": dict(state.scaler),
        "losses": state.losses,
        "evaluations": [asdict(each) for each in state.evaluations],
        "unlogged": state.unlogged,
    }
    save_tensors(path, tensors, {"state": json.dumps(rest)})


def load_state(path: Path, *fingerprints: str) -> TuningState:
    """The state that `save_state` wrote.

    Args:
        path: of the file.
        fingerprints: of the tuning that is to go on: one for each stage, or one for all.

    Raises:
        CheckpointError: if the file is damaged.
        ConfigError: if it belongs to a tuning with another fingerprint.
    """
    try:
        tensors = load_tensors(path)
        rest = _Rest.model_validate(parse_json(load_metadata(path)["state"]))
        slots = {index: dict(values) for index, values in rest.slots.items()}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, slot = name.split(".", 2)
                slots.setdefault(int(index), {})[slot] = value
        random = tensors["random"]
    except (CheckpointError, KeyError, ValueError) as error:
        reason = explain(error) if isinstance(error, ValidationError) else error
        raise CheckpointError(
            f"expected a tuning checkpoint at {path}, got a damaged file ({reason}); delete it"
        ) from error
    if rest.fingerprint != fingerprints[min(rest.stage, len(fingerprints) - 1)]:
        raise ConfigError(
            f"the unfinished tuning at {path} was made with another source or other settings; "
            "choose another output folder, or start over with --restart"
        )
    return TuningState(
        fingerprint=rest.fingerprint,
        stage=rest.stage,
        step=rest.step,
        parameters={
            name.removeprefix("parameter."): value for name, value in tensors.items() if name.startswith("parameter.")
        },
        optimizer={"state": slots, "param_groups": rest.groups},
        scaler=rest.scaler,
        random=random,
        losses=rest.losses,
        evaluations=rest.evaluations,
        unlogged=rest.unlogged,
    )


@torch.no_grad()
def put_back(path: Path, values: Mapping[str, Tensor], parameters: Mapping[str, Tensor], needed: Iterable[str]) -> None:
    """Copies what `load_state` found into the parameters of the same names.

    Args:
        path: of the file, for messages.
        values: that were found.
        parameters: that may be among them.
        needed: names of those that must be.

    Raises:
        CheckpointError: a parameter that is needed is not there, or one is of another shape or of no such network.
    """
    missing = sorted(set(needed) - values.keys())
    foreign = [
        name for name, value in values.items() if name not in parameters or parameters[name].shape != value.shape
    ]
    if missing or foreign:
        wrong = f"none of {missing[0]}" if missing else f"{foreign[0]} of shape {tuple(values[foreign[0]].shape)}"
        raise CheckpointError(f"expected the tuned parameters of this network at {path}, got {wrong}; delete it")
    for name, value in values.items():
        parameters[name].copy_(value)


def put_back_optimizer(path: Path, state: TuningState, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
    """Gives an optimiser and its scaler what `load_state` found.

    Raises:
        CheckpointError: it is none of theirs.
    """
    try:
        optimizer.load_state_dict({**state.optimizer})
        scaler.load_state_dict({**state.scaler})
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"expected the optimiser's state in the tuning checkpoint at {path}, got another ({error!r}); delete it"
        ) from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: if the file is absent or damaged.
    """
    with opened_tensors(path, "pt") as file:
        return {name: placed(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
