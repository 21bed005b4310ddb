"""The noise schedule that a base was trained on, out of whatever scheduler is saved with it."""

from collections.abc import Mapping
from typing import Any, get_args

from diffusers import DDIMScheduler

from edit_your_motion.config import Prediction
from edit_your_motion.errors import CheckpointError, refuse_for_memory
from edit_your_motion.models.tensor_files import first_line

BY_BETAS = (
    "DDIMScheduler", "DDIMInverseScheduler", "DDIMParallelScheduler", "DDPMScheduler", "DDPMParallelScheduler",
    "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverMultistepInverseScheduler", "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "SASolverScheduler", "LCMScheduler", "TCDScheduler",
)  # fmt: skip
"""Schedulers of diffusers that differ in how they sample, and agree on what betas mean."""

DECISIVE = ("num_train_timesteps", "prediction_type", "set_alpha_to_one", "steps_offset", "timestep_spacing")
"""Entries that decide our steps, beside the betas themselves."""


def make_schedule(config: Mapping[str, Any], where: str) -> DDIMScheduler:
    """The DDIM scheduler with the noise schedule of a scheduler_config.json.

    Betas of every form are honoured, ``trained_betas`` too.

    Args:
        config: of the scheduler.
        where: it lies, in words.

    Raises:
        CheckpointError: if it is a scheduler of another family, such as flow matching, or predicts something else than
            noise or velocity, or its numbers make no schedule that can be inverted.
    """
    name = config.get("_class_name", "DDIMScheduler")
    if name not in BY_BETAS or config.get("use_flow_sigmas"):
        kind = "flow matching" if "Flow" in str(name) or config.get("use_flow_sigmas") else "another noise schedule"
        raise CheckpointError(
            f"expected a base that was trained on a schedule of betas, as Stable Diffusion 1.5, got {name} ({kind}) in "
            f"the scheduler of {where}"
        )
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in get_args(Prediction):
        raise CheckpointError(
            f"expected a base that predicts {' or '.join(get_args(Prediction))}, got one that predicts "
            f"'{prediction}' (prediction_type in the scheduler_config.json of {where})"
        )
    if config.get("rescale_betas_zero_snr"):
        raise CheckpointError(
            f"expected a noise schedule that ends with some signal, got rescale_betas_zero_snr in the scheduler of "
            f"{where}: a video cannot be inverted to noise that holds nothing of it"
        )
    try:
        # The scheduler of a checkpoint may be of a class whose defaults clip; latents have no fixed range.
        scheduler = DDIMScheduler.from_config(dict(config), clip_sample=False, thresholding=False)
        kept = scheduler.alphas_cumprod
        sound = len(kept) == scheduler.config.num_train_timesteps and bool((kept.diff() < 0).all() and kept[-1] > 0)
    except Exception as error:  # whatever the constructor does with values that nobody checked
        refuse_for_memory(error, where)
        raise CheckpointError(f"could not load scheduler of {where}: {first_line(error)}") from error
    if not sound or kept[0] > 1:
        raise CheckpointError(
            f"could not load scheduler of {where}: expected betas in 0..1, one for each of "
            f"{scheduler.config.num_train_timesteps} timesteps, got a schedule whose signal does not fall"
        )
    return scheduler


def schedule_facts(scheduler: DDIMScheduler) -> dict[str, Any]:
    """What of a scheduler decides the steps, beside its betas."""
    return {name: scheduler.config[name] for name in DECISIVE}
