"""The long phases of a job, and about how long they take beside each other: for bars that run once from end to end."""

from collections.abc import Mapping

from edit_your_motion.config import ApplyConfig, Section, TuneConfig

EFFORT = {"tune, stage 1": 3.0, "tune, stage 2": 3.0, "tune the decoder": 1.0, "invert": 1.0, "sample": 2.0}
"""About how long a step of each phase takes beside those of the others; all other phases are short."""


def count_steps(config: Section) -> dict[str, int]:
    """Steps of the long phases of a job, in their order; each may have been begun before."""
    planned: dict[str, int] = {}
    if isinstance(config, TuneConfig):
        for index, stage in enumerate(config.tuning.stages):
            planned[f"tune, stage {index + 1}"] = stage.iterations
        planned["invert"] = config.inversion.steps
        planned["tune the decoder"] = config.tuning.decoder.iterations
    if isinstance(config, ApplyConfig):
        planned["sample"] = config.sampling.steps
    return planned


def weigh_phases(steps: Mapping[str, int]) -> dict[str, float]:
    """What each of those phases weighs, see `JobClock.expect`, where nobody times any step."""
    return {name: count * EFFORT[name] for name, count in steps.items()}
