"""Editing as MotionEditor does: a branch that reconstructs the source, and one that edits and watches it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from edit_your_motion.config import ApplyConfig
from edit_your_motion.diffusion.ddim import Predict, guide, sample
from edit_your_motion.edit import Edit
from edit_your_motion.models.backbone import Backbone, as_pictures, explain_memory
from edit_your_motion.nn.baselines.motion_editor import KeyValueInjection
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.person import Person
from edit_your_motion.runtime.progress import Progress


def apply_in_two_branches(
    backbone: Backbone,
    person: Person,
    reference: PreparedClip,
    config: ApplyConfig,
    progress: Progress,
    *,
    first_step: int = 4,
    layers: int = 6,
) -> Edit:
    """Gives a tuned person the reference's motion by MotionEditor's inference (Tu et al., CVPR 2024, section 4.3).

    Both branches start from the source's inversion. One reconstructs the source from its prompt, without skeletons; the
    other takes the edit's prompt and the aligned skeletons, and sees the keys and values of the first, split by the
    person's mask. With guidance these are four networks a step.

    Differs from MotionEditor: without null-text optimisation; guidance leads away from the empty prompt as it is,
    whatever `guidance_from` says.

    Args:
        backbone: the frozen networks that the person was tuned on.
        person: tuned with MotionEditor's parts, or with any others.
        reference: keypoints of the motion.
        config: alignment and sampling; the whole clip is one window.
        progress: is told how far each phase is.
        first_step: the step, counted from 0, from which on the second branch sees the first.
        layers: in how many frame attentions it does, counted from the decoder's end.
    """
    prompt, sampling = person.config.prompt, config.sampling
    edit_prompt = prompt if config.edit_prompt is None else config.edit_prompt
    whole = person.config.draws_whole
    with explain_memory(backbone.device):
        predictor = backbone.inflate(person.config.network, person.config.runtime.seed)
        person.put_into(predictor)
        aligned = align_as(config.alignment, reference.keypoints, person.source.keypoints)
        frames = loop_frames(person.noise.shape[1], len(reference))
        noise = person.noise[:, frames].to(backbone.device)
        masks = _masks_of_cells(person.source.masks[frames], noise).to(backbone.device)
        injection = KeyValueInjection(predictor.unet.unet, masks, layers)
        try:
            branches = Branches(
                predictor,
                injection,
                as_pictures(draw_skeleton(aligned, hands=whole, face=whole))[None].to(backbone.device, backbone.dtype),
                conditioning_scale=person.config.network.conditioning_scale,
                first_step=first_step,
            )
            negative = backbone.embed(sampling.negative_prompt)
            predict = guide(
                branches.predict(backbone.embed(prompt), backbone.embed(edit_prompt)),
                branches.predict(negative, negative),
                sampling.guidance_scale,
            )
            with progress.phase("sample", sampling.steps) as advance:

                def on_step(t: int, z: Tensor) -> None:
                    branches.step += 1
                    advance()

                start = torch.cat([noise, noise])
                both = sample(predict, start, backbone.base.scheduler, sampling.steps, on_step, solver=sampling.solver)
        finally:
            injection.detach()
        return Edit(backbone.decode(both[1:], progress), both[1:].cpu(), aligned)


@dataclass
class Branches:
    """The reconstructing and the editing branch of one clip, the first and the second of a batch of two.

    Args:
        predictor: the network.
        injection: made for it.
        skeletons: of the edit.
        conditioning_scale: strength of ControlNet in the editing branch; the other goes without.
        first_step: from which step on the editing branch sees the other.
        step: how many steps are done; to be counted by whoever samples.
    """

    predictor: NoisePredictor
    injection: KeyValueInjection
    skeletons: Float[Tensor, "1 f 3 h w"]
    conditioning_scale: float | int = 1.0
    first_step: int = 4
    step: int = 0

    def predict(self, source_text: Float[Tensor, "1 n d"], text: Float[Tensor, "1 n d"]) -> Predict:
        """eps_theta of both branches with their prompts bound."""

        def predict(z: Float[Tensor, "2 f c lh lw"], t: Int[Tensor, " 2"]) -> Float[Tensor, "2 f c lh lw"]:
            z = z.to(self.skeletons.dtype)
            with self.injection.branch("reconstruction"):
                reconstruction = self.predictor(z[:1], t[:1], source_text, None)
            with self.injection.branch("alone" if self.step < self.first_step else "editing"):
                edit = self.predictor(z[1:], t[1:], text, self.skeletons, self.conditioning_scale)
            return torch.cat([reconstruction, edit])

        return predict


def _masks_of_cells(masks: Bool[np.ndarray, "f h w"], latents: Float[Tensor, "1 f c lh lw"]) -> Bool[Tensor, "f lh lw"]:
    """The person's latent cells: those whose middle is in the mask."""
    shrunk = interpolate(torch.from_numpy(masks)[:, None].float(), latents.shape[-2:], mode="nearest-exact")
    return shrunk[:, 0] > 0
