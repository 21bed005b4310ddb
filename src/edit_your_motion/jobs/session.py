"""Whole jobs from files to folders, resumable: what the command line and other faces call."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from edit_your_motion.config import (
    ApplyConfig,
    BaseConfig,
    EditConfig,
    Section,
    TuneConfig,
)
from edit_your_motion.edit import Edit, apply_motion, other_parts, tune_person
from edit_your_motion.errors import ConfigError
from edit_your_motion.jobs.costs import describe_job
from edit_your_motion.jobs.early_checks import (
    check_folder,
    check_given,
    check_inputs_stay,
    check_reference,
    check_source,
    list_inputs,
)
from edit_your_motion.jobs.identity import describe_changes, digest_inputs
from edit_your_motion.jobs.inspection import (
    require_hope,
    take_prepared,
    write_aligned,
    write_person,
)
from edit_your_motion.jobs.output_folder import (
    OF_EDIT,
    find_sound,
    write_config,
    write_edit,
    write_losses,
)
from edit_your_motion.jobs.previews import preview_sampling
from edit_your_motion.jobs.run_record import write_record
from edit_your_motion.jobs.scores import Scores, score_edit
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.people.preparation import (
    PreparedClip,
    choose_canvas,
    foresee,
    prepare_reference,
    prepare_skeletons,
    prepare_source,
)
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import CHECKPOINT, check_place, is_person, unfinished_beside
from edit_your_motion.presets import Choice
from edit_your_motion.runtime.memory_plan import Plan, follow, make_plan
from edit_your_motion.runtime.profiling import Recorder
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import remove_file, remove_whole
from edit_your_motion.storage.locking import held
from edit_your_motion.video import Fit, probe, read_video, select

logger = logging.getLogger(__name__)

PERSON = "person"

AnyJob = TypeVar("AnyJob", TuneConfig, EditConfig, ApplyConfig)


@dataclass(frozen=True, eq=False)
class EditResult:
    """A finished edit.

    Args:
        folder: where its files are.
        edit: the frames.
        scores: whatever was measured.
    """

    folder: Path
    edit: Edit
    scores: Scores


def run_edit(
    config: EditConfig,
    folder: Path,
    progress: Progress,
    *,
    truth: Path | None = None,
    restart: bool = False,
    force: bool = False,
    chosen: Choice[Any] | None = None,
) -> EditResult:
    """Tunes a person on the source and gives them the reference's motion.

    Called again on the same folder, it goes on where it stopped; a person tuned before is not tuned again.

    Args:
        config: everything; source, prompt, and a reference or its keypoints are needed.
        folder: where results go.
        progress: is told how far it is.
        truth: a video of the same person truly doing that motion, to score the edit against.
        restart: start over: throw away the person, finished or not, that `folder` holds.
        force: go on though the skeletons say that nothing good can come of it.
        chosen: the preset and where settings come from, for the record.

    Raises:
        ConfigError: if something needed is missing, or `folder` holds an edit with other settings.
        PersonError: if nothing good can come of the clips.
    """
    config = take_prepared(config)
    check_given(config)
    check_inputs_stay(folder, (*OF_EDIT, PERSON), *list_inputs(config), truth)
    check_source(config)
    check_reference(config, truth)
    check_folder(folder)
    with held(folder):
        return _edit(config, folder, Recorder(progress), truth, restart, force, chosen)


def run_tune(
    config: TuneConfig,
    folder: Path,
    progress: Progress,
    *,
    restart: bool = False,
    chosen: Choice[Any] | None = None,
) -> Person:
    """Tunes a person on the source and saves only what was tuned, with the source's inversion.

    Args:
        config: everything; source and prompt are needed.
        folder: of the person.
        progress: is told how far it is.
        restart: start over: throw away the person, finished or not, that `folder` holds.
        chosen: the preset, which is kept with the person, and where settings come from, for the record.

    Raises:
        ConfigError: if something needed is missing, or `folder` holds a person with other settings.
        InputError: if `folder` holds something else.
    """
    config = take_prepared(config.for_tuning())
    check_given(config)
    check_inputs_stay(folder.parent, (folder.name,), *list_inputs(config))
    check_source(config)
    check_folder(folder)
    with held(folder):
        config, plan = _fit(config)
        inputs = digest_inputs(config)
        unfinished = unfinished_beside(folder)
        if not restart and (person := _tuned_before(folder, config, inputs)):
            logger.info("%s is tuned already", folder)
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed just before it was done
            return person
        check_place(folder)
        recorder = Recorder(progress)
        backbone = _load(config, recorder)
        clip = _prepare(backbone, config, recorder)
        person = _tune(backbone, clip, config, inputs, unfinished, folder, recorder, restart, plan, chosen)
        shutil.rmtree(unfinished, ignore_errors=True)
        return person


def run_apply(
    person_folder: Path,
    config: ApplyConfig,
    folder: Path,
    progress: Progress,
    *,
    truth: Path | None = None,
    base: str | None = None,
    controlnet: str | None = None,
    source: str | None = None,
    other_base: bool = False,
    force: bool = False,
    chosen: Choice[Any] | None = None,
) -> EditResult:
    """Gives a tuned person a reference's motion; nothing is tuned.

    Args:
        person_folder: from `run_tune`, or ``person`` in the folder of `run_edit`.
        config: everything; the reference or its keypoints are needed.
        folder: where results go.
        progress: is told how far it is.
        truth: a video of the same person truly doing that motion, to score the edit against.
        base: where the base that the person was tuned on lies now; None for where it lay then.
        controlnet: where its ControlNet lies now.
        source: where the clip that the person was tuned on lies now, whose sound may be asked for.
        other_base: go on, with a warning, where that is not the base that the person was tuned on.
        force: go on though the skeletons say that nothing good can come of it.
        chosen: the preset and where settings come from, for the record.

    Raises:
        ConfigError: if there is no reference.
        CheckpointError: if `person_folder` is no tuned person.
        PersonError: if nothing good can come of the motion.
    """
    config = take_prepared(config.for_applying())
    check_given(config)
    check_inputs_stay(folder, OF_EDIT, *list_inputs(config), truth)
    person = load_person(person_folder)
    if source is not None:
        clip = person.config.source.model_copy(update={"path": source})
        person = replace(person, config=person.config.model_copy(update={"source": clip}))
    check_reference(config, truth)
    check_folder(folder)
    with held(folder):
        moved = {"base": base, "controlnet": controlnet}
        places = {name: place for name, place in moved.items() if place is not None}
        model = person.config.model.model_copy(update=places)
        Backbone.check(model, config.runtime)
        config, plan = _fit(config, person, model)
        recorder = Recorder(progress)
        reference = _read_reference(config, recorder)
        warnings = foresee(config.alignment, reference, person.source)
        write_aligned(folder, person.source, reference, config.alignment)
        require_hope(person.source, reference, config.alignment, force=force)
        backbone = _load(person.config.model_copy(update={"runtime": config.runtime, "model": model}), recorder)
        if other_base and (parts := other_parts(backbone, person)):
            told = f"the person was tuned on another base; what is another: {', '.join(parts)}"
            logger.warning("%s", told)
            warnings += (told,)
            person = replace(person, base_digests=backbone.base.digests)
        true_frames = _read_truth(truth, reference, config, person.config, person.source)
        write_config(folder, config)
        return _apply(
            backbone, person, reference, config, config, folder, recorder, true_frames, plan, warnings, chosen
        )


def _edit(
    config: EditConfig,
    folder: Path,
    recorder: Recorder,
    truth: Path | None,
    restart: bool,
    force: bool,
    chosen: Choice[Any] | None,
) -> EditResult:
    """`run_edit`, once the folder is ours."""
    config, plan = _fit(config)
    tuning, place = config.for_tuning(), folder / PERSON
    inputs = digest_inputs(tuning)
    tuned_before = None if restart else _tuned_before(place, tuning, inputs)
    backbone = _load(tuning, recorder)
    # All clips first: whatever is wrong with them should come out before the long part.
    clip = tuned_before.source if tuned_before else _prepare(backbone, tuning, recorder)
    if config.sampling.needs_plate:
        clip = clip.with_plate(recorder)
    reference = _read_reference(config, recorder)
    warnings = foresee(config.alignment, reference, clip)
    write_person(folder, clip)
    write_aligned(folder, clip, reference, config.alignment)
    require_hope(clip, reference, config.alignment, force=force)
    true_frames = _read_truth(truth, reference, config, tuning, clip)
    write_config(folder, config)
    with held(place):  # against a tuning of its own to the same place
        person = tuned_before or _tune(backbone, clip, tuning, inputs, folder, place, recorder, restart, plan, chosen)
    if tuned_before is None:
        write_person(folder, person.source)
        write_aligned(folder, person.source, reference, config.alignment)
    remove_file(folder / CHECKPOINT)
    return _apply(
        backbone,
        person,
        reference,
        config,
        config.for_applying(),
        folder,
        recorder,
        true_frames,
        plan,
        warnings,
        chosen,
    )


def _read_reference(config: ApplyConfig, recorder: Recorder) -> PreparedClip:
    """The reference, found in a video, or ready skeletons alone."""
    people = config.people
    if config.reference.path is not None:
        return prepare_reference(config.reference.path, config.reference_clip, config.people, recorder)
    assert people.reference_keypoints is not None
    return prepare_skeletons(people.reference_keypoints, config.reference_clip, people.reference_person)


def _tuned_before(folder: Path, config: TuneConfig, inputs: Mapping[str, str]) -> Person | None:
    """The person in `folder`, if there is one, who must have been tuned on these inputs with this configuration."""
    if not is_person(folder):
        return None
    person = load_person(folder)
    if not person.inputs:
        raise ConfigError(
            f"{folder} holds a person who does not say what they were tuned on: whether {config.source.path} is "
            f"still the same is not known; give them motions with 'eym apply {folder} REFERENCE', tune them anew with "
            "--restart, or choose another --output"
        )
    if changes := describe_changes(person.config, person.inputs, config, inputs):
        raise ConfigError(
            f"{folder} holds a person that was tuned with other settings or on something else: {'; '.join(changes)}; "
            "choose another --output, or --restart"
        )
    return person


def _fit(config: AnyJob, person: Person | None = None, model: BaseConfig | None = None) -> tuple[AnyJob, Plan | None]:
    """The configuration as it fits into the memory that it names, and the plan for that."""
    if config.runtime.memory is None:
        return config, None
    rehearsal = describe_job(config, person, model).rehearsal
    plan = make_plan(rehearsal, config.windows, config.runtime)
    return follow(plan, config), plan


def _load(config: TuneConfig, recorder: Recorder) -> Backbone:
    with recorder.phase("load", 1) as advance:
        backbone = Backbone.load(config.model, config.runtime)
        advance()
    recorder.device = backbone.device
    return backbone


def _prepare(backbone: Backbone, config: TuneConfig, recorder: Recorder) -> PreparedClip:
    assert config.source.path is not None
    canvas = choose_canvas(config.source.path, config.video, backbone.base.side_multiple, backbone.base.native_side)
    return prepare_source(config.source.path, canvas, config.source_clip, config.people, recorder)


def _read_truth(
    path: Path | None, reference: PreparedClip, config: ApplyConfig, tuning: TuneConfig, source: PreparedClip
) -> UInt8[np.ndarray, "f h w 3"] | None:
    """The frames of the truth that go with the reference's: chosen as those, fitted as the source's."""
    if path is None:
        return None
    (height, width), info = source.video.frames.shape[1:3], probe(path)
    selection = select(config.reference_clip, info)
    if selection.rate(info.fps) != reference.video.fps and config.reference.path is not None:
        selection = replace(selection, fps=reference.video.fps, stride=1)
    return read_video(
        path,
        start=selection.start,
        end=selection.end,
        frames=len(reference),
        stride=selection.stride,
        fps=selection.fps,
        fit=Fit(height, width, tuning.video.fit, source.place),
    ).frames


def _tune(
    backbone: Backbone,
    clip: PreparedClip,
    config: TuneConfig,
    inputs: Mapping[str, str],
    workplace: Path,
    folder: Path,
    recorder: Recorder,
    restart: bool,
    plan: Plan | None,
    chosen: Choice[Any] | None,
) -> Person:
    """Tunes, keeping an unfinished state in `workplace`, and saves the person to `folder`."""
    checkpoint = workplace / CHECKPOINT
    if restart:
        remove_file(checkpoint)
        if is_person(folder):
            remove_whole(folder)
    person = tune_person(backbone, clip, config, recorder, checkpoint=checkpoint)
    person = replace(person, inputs=inputs, preset="" if chosen is None else chosen.preset)

    def tell(part: Path) -> None:
        write_losses(part, person)
        memory = None if plan is None else plan.record()
        write_record(
            part, config, recorder, clips={"source": clip}, tuned=person.record(), memory=memory, chosen=chosen
        )

    person.save(folder, tell)
    return load_person(folder)  # the frames are compressed there: whoever goes on later sees the same ones


def _apply(
    backbone: Backbone,
    person: Person,
    reference: PreparedClip,
    config: Section,
    applying: ApplyConfig,
    folder: Path,
    recorder: Recorder,
    truth: UInt8[np.ndarray, "f h w 3"] | None,
    plan: Plan | None,
    warnings: tuple[str, ...],
    chosen: Choice[Any] | None,
) -> EditResult:
    """Samples, writes every file of an edit, and scores it."""
    on_step = preview_sampling(backbone, folder, applying.sampling.preview_every)
    edit = apply_motion(backbone, person, reference, applying, recorder, on_step=on_step)
    sound = find_sound(applying.video, person, reference) if applying.video.sound else None
    write_edit(folder, person, reference, edit, sound=sound)
    scores = score_edit(edit, person, reference.video.fps, applying.people, truth, recorder)
    clips = {"source": person.source, "reference": reference}
    write_record(
        folder, config, recorder,
        clips=clips, tuned=person.record(), scores=scores, warnings=warnings,
        memory=None if plan is None else plan.record(), chosen=chosen,
    )  # fmt: skip
    return EditResult(folder, edit, scores)
