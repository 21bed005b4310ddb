"""Methods under test as data: each is a change of the configuration of an edit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from edit_your_motion.benchmark.choice import choose
from edit_your_motion.config import EditConfig, InversionConfig, Part, TuningConfig, parse_config


@dataclass(frozen=True)
class Method:
    """One method under test.

    Args:
        name: stands in tables and names folders.
        description: what it is, in a sentence that a table can carry.
        overrides: nested settings of `EditConfig` laid over the benchmark's.
        joint: one stage on whole frames that trains the parts of both, for as many iterations as both.
        start: where sampling starts: the source's inversion, or noise drawn from the seed.
        skeletons: what guides the edit: the reference's, aligned; or the truth's own, as they are.
        shows: an edit; or frames that are there already, the untouched source or the truth itself.
    """

    name: str
    description: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    joint: bool = False
    start: Literal["inversion", "noise"] = "inversion"
    skeletons: Literal["aligned", "true"] = "aligned"
    shows: Literal["edit", "source", "truth"] = "edit"

    def configure(self, config: EditConfig) -> EditConfig:
        """The benchmark's configuration as this method changes it; no stage trains a part that is not there."""
        changed = parse_config(EditConfig, config.model_dump(), self.overrides)
        tuning = _joined(changed.tuning) if self.joint else changed.tuning
        if not changed.network.motion_attention:
            tuning = _without(tuning, "motion-attention")
        return changed.model_copy(update={"tuning": tuning})


def shorten(config: EditConfig, share: float) -> EditConfig:
    """The same edit with every stage's iterations times `share`, at least one where there were any."""
    stages = {
        name: stage.model_copy(update={"iterations": max(1, round(stage.iterations * share))})
        for name, stage in _stages(config.tuning).items()
        if stage.iterations
    }
    return config.model_copy(update={"tuning": config.tuning.model_copy(update=stages)})


def choose_methods(names: Iterable[str]) -> tuple[Method, ...]:
    """The methods of these names, in this order.

    Raises:
        ConfigError: there is no such method.
    """
    return choose(METHODS, names, "methods")


def _stages(tuning: TuningConfig) -> dict[str, Any]:
    return {"motion": tuning.motion, "appearance": tuning.appearance}


def _joined(tuning: TuningConfig) -> TuningConfig:
    first, second = tuning.stages
    joint = {
        "trains": tuple(dict.fromkeys((*first.trains, *second.trains))),
        "pixels": "whole",
        "iterations": first.iterations + second.iterations,
    }
    return tuning.model_copy(
        update={
            "motion": first.model_copy(update={"iterations": 0}),
            "appearance": second.model_copy(update=joint),
        }
    )


def _without(tuning: TuningConfig, part: Part) -> TuningConfig:
    stages = {
        name: stage.model_copy(update={"trains": tuple(each for each in stage.trains if each != part)})
        for name, stage in _stages(tuning).items()
    }
    return tuning.model_copy(update=stages)


_UNTUNED = {
    "network": {"frame_attention": "spatial", "motion_attention": False},
    "tuning": {"motion": {"iterations": 0}, "appearance": {"iterations": 0}},
}

_TUNE_A_VIDEO = {
    "network": {"frame_attention": "sparse-causal", "temporal_attention": "tune-a-video", "motion_attention": False},
    "tuning": {
        "motion": {"iterations": 0},
        "appearance": {
            "trains": ("frame-queries", "text-queries", "temporal-projections"),
            "pixels": "whole",
            "iterations": 500,
            "learning_rate": 3e-5,
        },
        "weight_decay": 1e-2,
        "clip_norm": 1.0,
    },
    "inversion": {"skeleton": False, "prompt": False, "guidance_scale": 1.0},
}
"""Tune-A-Video with ControlNet (Wu et al. 2023): queries and temporal attention, one stage, inverted by the tuned
network without prompt and skeleton."""

_BY_DEFAULT = InversionConfig().skeleton

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("truth", "the truth itself: its pose accuracy is the people backend's own", shows="truth"),
            Method("source", "the untouched source frames", shows="source"),
            Method("controlnet", "the base with plain ControlNet from the source's inversion, not tuned", _UNTUNED),
            Method("controlnet-noise", "the same from seeded noise", _UNTUNED, start="noise"),
            Method(
                "tune-a-video",
                "Tune-A-Video's recipe with ControlNet, guidance 12.5",
                {**_TUNE_A_VIDEO, "sampling": {"guidance_scale": 12.5}},
            ),
            Method(
                "tune-a-video-unguided",
                "Tune-A-Video's recipe with ControlNet, no guidance",
                {**_TUNE_A_VIDEO, "sampling": {"guidance_scale": 1.0}},
            ),
            Method("edit-your-motion", "the full method"),
            Method(
                "without-rca",
                "the full method with the base's spatial attention in RCA's place",
                {"network": {"frame_attention": "spatial"}},
            ),
            Method(
                "without-ma",
                "the full method with ControlNet's residuals as they come",
                {"network": {"motion_attention": False}},
            ),
            Method("without-stl", "the full method, all parts in one stage on whole frames", joint=True),
            Method("without-prompt", "the full method with an empty prompt", {"prompt": "", "edit_prompt": ""}),
            Method(
                "paper-alignment",
                "the full method with the paper's Algorithm 1 for the skeletons",
                {"alignment": {"method": "paper"}},
            ),
            Method(
                "true-skeletons",
                "the full method guided by the truth's own skeletons: what alignment costs is the difference",
                {"alignment": {"method": "none"}},
                skeletons="true",
            ),
            Method(
                "inversion-without-skeleton" if _BY_DEFAULT else "inversion-with-skeleton",
                f"the full method, its inversion {'not ' if _BY_DEFAULT else ''}conditioned on the source's skeletons",
                {"inversion": {"skeleton": not _BY_DEFAULT}},
            ),
        )
    }
)
"""All methods by name, in the order of the tables."""
