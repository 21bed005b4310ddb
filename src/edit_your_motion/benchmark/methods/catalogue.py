"""Methods under test as data: each is a change of the configuration of an edit."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from edit_your_motion.config import EditConfig, InversionConfig, Part, TuningConfig, parse_config
from edit_your_motion.datasets.choice import choose
from edit_your_motion.errors import ConfigError

logger = logging.getLogger(__name__)


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
        motion_adapter: whether the temporal attention is the AnimateDiff adapter of ``model.motion_adapter``, which
            every other method leaves aside.
        branches: 2 for an edit that watches a reconstruction of the source (MotionEditor's), which is sampled along.
    """

    name: str
    description: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    joint: bool = False
    start: Literal["inversion", "noise"] = "inversion"
    skeletons: Literal["aligned", "true"] = "aligned"
    shows: Literal["edit", "source", "truth"] = "edit"
    motion_adapter: bool = False
    branches: Literal[1, 2] = 1

    def lacks(self, config: EditConfig) -> str | None:
        """What has to be set in the benchmark's configuration before this method can run; None: nothing."""
        if self.motion_adapter and config.model.motion_adapter is None:
            return "needs an AnimateDiff adapter (--edit.model.motion-adapter FOLDER)"
        return None

    def configure(self, config: EditConfig) -> EditConfig:
        """The benchmark's configuration as this method changes it; no stage trains a part that is not there.

        Raises:
            ConfigError: something that the method needs is not set.
        """
        if (lack := self.lacks(config)) is not None:
            raise ConfigError(f"{self.name} {lack}")
        adapter = config.model.motion_adapter if self.motion_adapter else None
        changed = parse_config(EditConfig, config.model_dump(), {"model": {"motion_adapter": adapter}}, self.overrides)
        tuning = _joined(changed.tuning) if self.joint else changed.tuning
        if changed.network.motion_attention == "none":
            tuning = _without(tuning, "motion-attention")
        return changed.model_copy(update={"tuning": tuning})


def scale_tuning(config: EditConfig, share: float, rate: float = 1.0) -> EditConfig:
    """The same edit with every stage's iterations times `share`, at least one where there were any.

    Args:
        config: of the edit.
        share: of the iterations.
        rate: what every stage's learning rate is multiplied by.
    """
    stages = {
        name: stage.model_copy(
            update={
                "iterations": max(1, round(stage.iterations * share)),
                "learning_rate": stage.learning_rate * rate,
            }
        )
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


def in_order(names: Iterable[str]) -> list[str]:
    """Names of methods in the order of the tables: ours as they stand in `METHODS`, others after them as they come."""
    names = list(names)
    return [*(name for name in METHODS if name in names), *(name for name in names if name not in METHODS)]


def group_by_backbone(
    methods: Iterable[Method], config: EditConfig
) -> tuple[tuple[EditConfig, tuple[Method, ...]], ...]:
    """The methods that can run, beside the configuration whose backbone is theirs: the base's first, even for none.

    What lacks something (`Method.lacks`) is left out, and the log says so. The AnimateDiff adapter is loaded for the
    methods that are made of it and for no other.
    """
    able = []
    for method in methods:
        if (lack := method.lacks(config)) is None:
            able.append(method)
        else:
            logger.warning("%s is left out: it %s", method.name, lack)
    groups = {
        adapted: tuple(method for method in able if method.motion_adapter == adapted) for adapted in (False, True)
    }
    plain = config.model_copy(update={"model": config.model.model_copy(update={"motion_adapter": None})})
    return ((plain, groups[False]), *([(config, groups[True])] if groups[True] else []))


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

_MOTION_EDITOR = {
    "network": {
        "frame_attention": "previous",
        "temporal_attention": "motion-editor",
        "motion_attention": "motion-editor",
    },
    "tuning": {
        "motion": {
            "trains": ("frame-queries", "text-queries", "temporal-projections"),
            "pixels": "whole",
            "skeletons": False,
            "iterations": 300,
            "learning_rate": 3e-5,
        },
        "appearance": {
            "trains": ("motion-attention",),
            "pixels": "whole",
            "iterations": 300,
            "learning_rate": 3e-5,
        },
        "weight_decay": 1e-2,
        "clip_norm": 1.0,
    },
    "inversion": {"skeleton": False, "prompt": True, "guidance_scale": 1.0},
    "sampling": {"guidance_scale": 7.5},
}
"""MotionEditor (Tu et al. 2024): the U-Net's queries and temporal attention without ControlNet, then the adapter alone
with the source's skeletons; inverted with the prompt and without skeleton."""

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
                "rca-and-own",
                "the full method, RCA's frames asking themselves beside their neighbours",
                {"network": {"frame_attention": "recurrent-own"}},
            ),
            Method(
                "without-ma",
                "the full method with ControlNet's residuals as they come",
                {"network": {"motion_attention": False}},
            ),
            Method("without-stl", "the full method, all parts in one stage on whole frames", joint=True),
            Method("without-prompt", "the full method with an empty prompt", {"prompt": "", "edit_prompt": ""}),
            Method(
                "animatediff",
                "the full method with an AnimateDiff adapter as its temporal attention, which stage 1 trains",
                motion_adapter=True,
            ),
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
            Method(
                "motion-editor",
                "MotionEditor's recipe: its adapter, two branches, guidance 7.5; without null-text optimisation",
                _MOTION_EDITOR,
                branches=2,
            ),
        )
    }
)
"""All methods by name, in the order of the tables."""
