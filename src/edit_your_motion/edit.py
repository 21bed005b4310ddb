"""The method on one screen: tune on the source, invert it, sample it with the reference's skeletons."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from edit_your_motion.compositing.colour_match import match_colours
from edit_your_motion.compositing.contact_shadow import cast_shadow, measure_shadow
from edit_your_motion.compositing.matte import composite, make_matte
from edit_your_motion.compositing.warped_person import WarpedPerson
from edit_your_motion.config import ApplyConfig, TuneConfig, WindowsConfig
from edit_your_motion.diffusion.ddim import OnStep, Predict, Rescale, guide, invert, rescaling, sample, signal_levels
from edit_your_motion.diffusion.window_grid import check_windows
from edit_your_motion.diffusion.windows import cover
from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.backbone import Backbone, explain_memory
from edit_your_motion.nn.conditions import Conditions
from edit_your_motion.nn.noise_predictor import NoisePredictor
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.body_parts import measure_colours
from edit_your_motion.people.generated_frames import find_masks
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import follow_source
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.person import FIRST_CONVOLUTION, Person, describe_source
from edit_your_motion.runtime.progress import Advance, Progress
from edit_your_motion.sampling.fresh_noise import FreshPerson
from edit_your_motion.sampling.kept_background import find_reach, keep_background, people_cells, share_cells
from edit_your_motion.sampling.moved_latents import move_person
from edit_your_motion.tuning.clip import TuningClip
from edit_your_motion.tuning.decoder import decoder_weights, tune_decoder
from edit_your_motion.tuning.loop import OnTuningStep, Tuning, tune, tuned_parameters

_COVERED = 0.5
"""Share of a cell that a warped person covers, from which on the cell is held to it."""


@dataclass(frozen=True, eq=False)
class Edit:
    """The source person performing the reference's motion.

    Args:
        frames: the edited video.
        latents: what they were decoded from.
        skeletons: the reference's keypoints on the source's canvas, which guided the edit.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    latents: Float[Tensor, "1 f c lh lw"]
    skeletons: Keypoints


def tune_person(
    backbone: Backbone,
    source: PreparedClip,
    config: TuneConfig,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
    on_step: OnTuningStep | None = None,
) -> Person:
    """Tunes the network on the source in two stages and inverts the source (section III.D, Eqs. 10-17).

    Args:
        backbone: the frozen networks.
        source: frames, masks and keypoints of the person.
        config: prompt, network, stages, inversion.
        progress: is told how far each phase is.
        checkpoint: where an unfinished tuning is kept and gone on with; None keeps none.
        on_step: called after each step of tuning.

    Raises:
        ConfigError: if a setting does not fit another, or the clip.
    """
    check_windows(config.windows)
    with explain_memory(backbone.device):
        predictor = backbone.inflate(config.network, config.runtime.seed)
        if config.inversion.of == "plate":
            source = source.with_plate(progress)
        frames = source.video.frames
        completed = describe_source(config.prompt, source) if config.complete_prompt else None
        prompt = config.prompt if completed is None else completed
        whole = backbone.encode(frames, progress)
        lh, lw = whole.shape[-2:]
        clip = TuningClip(
            person=backbone.encode(frames * source.masks[..., None], progress),
            whole=whole,
            people=rearrange(share_cells(source.masks, (lh, lw)), "f lh lw -> 1 f 1 lh lw").to(whole.device),
            text=backbone.embed(prompt),
            skeletons=_draw(source.keypoints, config),
        )
        tuned = tune(
            predictor,
            clip,
            backbone.base.scheduler,
            Tuning(
                config.tuning,
                conditioning_scale=config.network.conditioning_scale,
                seed=config.runtime.seed,
                half=backbone.half,
                most_frames=config.windows.frames,
                base=backbone.base.digests,
                checkpoint=checkpoint,
                progress=progress,
                on_step=on_step,
            ),
        )

        noise = _invert(backbone, predictor, source, clip, config, prompt, progress)

        decoder = (
            tune_decoder(
                backbone.base.vae,
                rearrange(torch.from_numpy(frames), "f h w c -> f c h w"),
                clip.whole,
                config.tuning.decoder,
                config.runtime.seed,
                progress,
            )
            if config.tuning.decoder.iterations
            else {}
        )

    parameters = {
        name: value.detach().cpu().clone() for name, value in tuned_parameters(predictor.unet, config.tuning).items()
    }
    # Contiguous, as they are after loading: convolutions round differently on other memory layouts.
    latents, noise = (z.cpu().contiguous() for z in (clip.whole, noise))
    return Person(
        config, backbone.base.digests, parameters, latents, noise, source, tuned.losses, tuned.stages, decoder,
        completed_prompt=completed,
    )  # fmt: skip


def other_parts(backbone: Backbone, person: Person) -> list[str]:
    """The parts of a base that are not those that the person was tuned on; none where the base is the same."""
    tuned_on, here = person.base_digests, backbone.base.digests
    if FIRST_CONVOLUTION in tuned_on:
        here = {FIRST_CONVOLUTION: backbone.first_convolution}
    return sorted(part for part in tuned_on.keys() | here.keys() if tuned_on.get(part) != here.get(part))


def apply_motion(
    backbone: Backbone,
    person: Person,
    reference: PreparedClip,
    config: ApplyConfig,
    progress: Progress,
    *,
    on_step: OnStep | None = None,
) -> Edit:
    """Gives a tuned person the reference's motion: aligned skeletons, DDIM sampling from z* (section III.D).

    Args:
        backbone: the frozen networks that the person was tuned on.
        person: from `tune_person`; its tuning is not repeated.
        reference: keypoints of the motion.
        config: alignment and sampling.
        progress: is told how far each phase is.
        on_step: called after each step of sampling.

    Raises:
        CheckpointError: if the person was tuned on another base.
        ConfigError: if a setting does not fit another.
    """
    check_windows(config.windows)
    if parts := other_parts(backbone, person):
        raise CheckpointError(
            f"the person was tuned on another base than this one ('{person.config.model.base}' then); what is another: "
            f"{', '.join(parts)}; give that base by --base and --controlnet, or go on with this one by --other-base"
        )
    prompt = person.prompt if config.edit_prompt is None else person.complete(config.edit_prompt)
    sampling = config.sampling
    with explain_memory(backbone.device):
        predictor = backbone.inflate(person.config.network, person.config.runtime.seed)
        person.put_into(predictor)

        aligned = align_as(config.alignment, reference.keypoints, person.source.keypoints)
        shown = follow_source(person.source, len(reference), reference.video.fps)
        layered = person.config.inversion.of == "plate"
        on_plate = layered or sampling.needs_plate
        whole = person.source.with_plate(progress) if on_plate else person.source
        source = whole.take(shown)
        drawn = _draw(aligned, person.config)
        warped = _warp(whole, aligned) if sampling.warps else None
        wanted = _Shown(prompt, drawn)
        match sampling.guidance_from:
            case "prompt":
                away_from = _Shown(sampling.negative_prompt, drawn)
            case "skeleton":
                away_from = _Shown(prompt, torch.zeros_like(drawn))
            case "pose":
                away_from = _Shown(prompt, _draw(source.keypoints, person.config))
        noise = person.noise[:, shown].to(backbone.device)
        guidance: float | Tensor = sampling.guidance_scale
        guided = None
        if guidance != 1 and sampling.guidance_from != "prompt":
            guided = _find_people(source, aligned, noise, layered)
            guidance = 1 + (guidance - 1) * guided
        rescale = rescaling(sampling.guidance_rescale, backbone.base.scheduler, guided)
        predict = _bind(backbone, predictor, person.config, wanted, away_from, guidance, config.windows, rescale)
        if sampling.person_noise != "inverted":
            moved = known = None
            if sampling.person_noise in {"moved", "warped"}:
                begun = warped if sampling.person_noise == "warped" else None
                places = source.without_person() if on_plate else None
                moved, known = _move(backbone, person.latents[:, shown], source, aligned, places, begun, progress)
            fresh = FreshPerson.draw(
                noise, _find_people(source, aligned, noise, layered), config.runtime.seed, moved, known
            )
            levels = signal_levels(backbone.base.scheduler, sampling.steps, sampling.solver)
            noise = fresh.put_into(noise, levels[0])
            if moved is not None:
                on_step = _hold(fresh, levels[1 : 1 + round(sampling.person_held * sampling.steps)], on_step)
        with progress.phase("sample", sampling.steps) as advance:
            latents = sample(
                predict,
                noise,
                backbone.base.scheduler,
                sampling.steps,
                _count(advance, on_step),
                solver=sampling.solver,
            )
        with decoder_weights(backbone.base.vae, person.decoder):
            frames = backbone.decode(latents, progress)
    details = warped if sampling.detail == "source" else None
    frames = _lay_over_place(frames, source, aligned, details, config, progress)
    return Edit(frames, latents.cpu(), aligned)


def _invert(
    backbone: Backbone,
    predictor: NoisePredictor,
    source: PreparedClip,
    clip: TuningClip,
    config: TuneConfig,
    prompt: str,
    progress: Progress,
) -> Float[Tensor, "1 f c lh lw"]:
    """z*: the source's inversion (Eq. 17), or that of its clean plate, in which nobody stands."""
    inversion = config.inversion
    latents, skeletons = clip.whole, clip.skeletons
    if inversion.of == "plate":
        latents, skeletons = backbone.encode(source.without_person(), progress), torch.zeros_like(skeletons)
    shown = skeletons if inversion.skeleton else None
    predict = _bind(
        backbone,
        predictor,
        config,
        _Shown(prompt if inversion.prompt else "", shown),
        _Shown("", shown),
        inversion.guidance_scale,
        config.windows,
    )
    with progress.phase("invert", inversion.steps) as advance:
        return invert(
            predict,
            latents,
            backbone.base.scheduler,
            inversion.steps,
            _count(advance, None),
            solver=inversion.solver,
            fixed_point=inversion.fixed_point,
        )


def _warp(whole: PreparedClip, aligned: Keypoints) -> WarpedPerson:
    """The person's own pixels in the poses of the edit."""
    return WarpedPerson.fit(whole.video.frames, whole.masks, whole.keypoints, whole.without_person(), aligned)


def _move(
    backbone: Backbone,
    latents: Float[Tensor, "1 f c lh lw"],
    source: PreparedClip,
    aligned: Keypoints,
    places: UInt8[np.ndarray, "f h w 3"] | None,
    warped: WarpedPerson | None,
    progress: Progress,
) -> tuple[Float[Tensor, "1 f c lh lw"], Bool[Tensor, "1 f 1 lh lw"] | None]:
    """The latents with the person in the poses of the edit, from its warped pixels where there are any; and where not
    only colours are known of it, None for everywhere.
    """
    people = source.masks, source.keypoints, aligned
    if places is None:
        return move_person(latents, *people), None
    place = backbone.encode(places, progress)
    moved = move_person(latents, *people, place)
    if warped is None:
        return moved, None
    frames, covered = warped.over(places, (latents.shape[-2], latents.shape[-1]), progress)
    nobody = (moved == place.to(moved)).all(dim=2, keepdim=True)
    known = nobody | (rearrange(torch.from_numpy(covered), "f lh lw -> 1 f 1 lh lw").to(moved) > _COVERED)
    return move_person(latents, *people, place, (backbone.encode(frames, progress), covered)), known


def _lay_over_place(
    frames: UInt8[np.ndarray, "f h w 3"],
    source: PreparedClip,
    aligned: Keypoints,
    details: WarpedPerson | None,
    config: ApplyConfig,
    progress: Progress,
) -> UInt8[np.ndarray, "f h w 3"]:
    """The generated frames in the colours, over the background and with the pixels that the configuration asks for."""
    background, colours = config.sampling.background, config.sampling.colours
    if background == colours == "generated":
        return frames if details is None else details.refine(frames, frames, progress)
    found = find_masks(frames, config.people, progress, aligned)
    if colours == "source" or background == "plate":
        steps = len(frames) * (2 if colours == "source" else 1)
        with progress.phase("cut out the edited person", steps) as advance:
            reach = find_reach(source.masks, source.keypoints)
            matte = make_matte(frames, aligned, reach, found, advance)
            if colours == "source":
                wanted = measure_colours(source.video.frames, source.keypoints, source.masks)
                frames = match_colours(frames, matte, aligned, reach, wanted, advance)
    places = frames
    if background == "plate":
        places = _lay_ground(source, aligned, config.sampling.shadow)
        frames = composite(frames, places, matte)
    elif background == "source":
        frames = places = keep_background(frames, source.video.frames, source.masks, source.keypoints, aligned, found)
    return frames if details is None else details.refine(frames, places, progress)


def _lay_ground(source: PreparedClip, aligned: Keypoints, casts: bool) -> UInt8[np.ndarray, "f h w 3"]:
    """The source's place, shaded where the edit's feet stand as it was where the source's stood."""
    places = source.without_person()
    if not casts:
        return places
    shadow = measure_shadow(source.video.frames, places, source.masks, source.shaded, source.keypoints)
    return cast_shadow(places, aligned, shadow) if shadow else places


def _find_people(
    source: PreparedClip, aligned: Keypoints, z: Float[Tensor, "1 f c lh lw"], layered: bool
) -> Bool[Tensor, "1 f 1 lh lw"]:
    """The cells of `z` where the edit's person will be, and, unless `z` is the plate's, where the source's is."""
    lh, lw = z.shape[-2:]
    return people_cells(source.masks, source.keypoints, aligned, (lh, lw), before=not layered).to(z.device)


def _draw(keypoints: Keypoints, config: TuneConfig) -> UInt8[Tensor, "1 f 3 h w"]:
    """Skeleton pictures for ControlNet, as bytes off the device, where those of a long clip would fill it."""
    whole = config.draws_whole
    return rearrange(torch.from_numpy(draw_skeleton(keypoints, hands=whole, face=whole)), "f h w c -> 1 f c h w")


class _Shown(NamedTuple):
    """What a prediction is told of: a prompt and skeletons."""

    prompt: str
    skeletons: UInt8[Tensor, "1 f 3 h w"] | None


def _bind(
    backbone: Backbone,
    predictor: NoisePredictor,
    config: TuneConfig,
    wanted: _Shown,
    away_from: _Shown,
    guidance_scale: float | Float[Tensor, "1 f 1 lh lw"],
    windows: WindowsConfig,
    rescale: Rescale | None = None,
) -> Predict:
    """eps_theta(z, t) with text, skeletons and guidance bound, for latents in fp32 of a clip of any length."""

    def prepare(shown: _Shown) -> Conditions:
        return predictor.prepare(backbone.embed(shown.prompt), shown.skeletons)

    def bound(conditions: Conditions) -> Predict:
        def predict(z: Tensor, t: Tensor, frames: slice) -> Tensor:
            seen, scale = conditions.of_frames(frames), config.network.conditioning_scale
            return predictor.predict(z.to(backbone.dtype), t, seen, scale)

        return cover(predict, windows)

    conditions = prepare(wanted)
    if not isinstance(guidance_scale, Tensor) and guidance_scale == 1:
        return bound(conditions)
    if away_from.skeletons is wanted.skeletons:  # and need not be embedded again
        other = conditions.with_text(predictor.prepare_text(backbone.embed(away_from.prompt)))
    else:
        other = prepare(away_from)
    return guide(bound(conditions), bound(other), guidance_scale, rescale)


def _hold(fresh: FreshPerson, levels: Sequence[float], then: OnStep | None) -> OnStep:
    """Puts the person's latents where it stands back to what they were meant to be, after as many steps as `levels`."""
    left = iter(levels)

    def on_step(t: int, z: Tensor) -> Tensor | None:
        kept = next(left, None)
        held = z if kept is None else fresh.hold(z, kept)
        replaced = None if then is None else then(t, held)
        return held if replaced is None else replaced

    return on_step


def _count(advance: Advance, then: OnStep | None) -> OnStep:
    def on_step(t: int, z: Tensor) -> Tensor | None:
        advance()
        return None if then is None else then(t, z)

    return on_step
