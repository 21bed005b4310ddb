"""The person of a clip found, and written to be looked at, corrected and given back, without what edits."""

from pathlib import Path

from edit_your_motion.config import PrepareConfig
from edit_your_motion.errors import ConfigError
from edit_your_motion.jobs.early_checks import check_clip, check_folder, check_inputs_stay, check_people, list_inputs
from edit_your_motion.jobs.inspection import (
    ALIGNED,
    MOTION,
    OF_PREPARE,
    PREVIEW,
    PUPPET,
    show_person,
    write_aligned,
    write_motion,
    write_person,
    write_puppet,
)
from edit_your_motion.jobs.overwriting import rewritten
from edit_your_motion.jobs.run_record import RECORD, write_record
from edit_your_motion.people.preparation import (
    PLATE,
    PreparedClip,
    choose_canvas,
    foresee,
    prepare_reference,
    prepare_source,
    save_prepared,
)
from edit_your_motion.people.preview import write_picture
from edit_your_motion.runtime.parallel_map import beside
from edit_your_motion.runtime.profiling import Recorder
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import remove_file, remove_whole
from edit_your_motion.storage.locking import held


def run_prepare(config: PrepareConfig, folder: Path, progress: Progress, *, multiple: int = 64) -> PreparedClip:
    """Finds the person in a video and writes frames, keypoints, masks and a preview, to correct and to give back.

    Args:
        config: the source, frames and size, and how to find the person.
        folder: where results go.
        progress: is told how far it is.
        multiple: what the sides are to be multiples of, pixels; 64 for Stable Diffusion 1.5.
    """
    path, video, people = config.source.path, config.video, config.people
    if path is None:
        raise ConfigError("expected a source, got none; give it on the command line or in the configuration file")
    check_clip(path, config.source_clip, "source")
    check_people(people, people.keypoints, people.masks)
    if config.reference.path is not None:
        check_clip(config.reference.path, config.reference_clip, "reference")
        check_people(people, people.reference_keypoints)
    check_inputs_stay(folder, (*OF_PREPARE, RECORD), *list_inputs(config))
    check_folder(folder)
    with held(folder), rewritten(folder, OF_PREPARE):
        remove_file(folder / RECORD)
        recorder = Recorder(progress)
        canvas = choose_canvas(path, video, multiple, native_side=512)
        found = prepare_source(path, canvas, config.source_clip, people, recorder)
        with beside(lambda steps: write_person(folder, found, steps, with_skeletons=True)) as overlay:
            clip = found.with_plate(recorder)
            save_prepared(folder, clip, recorder)
            with recorder.phase("write the overlay", 1) as advance:
                overlay.result()
                advance()
        write_picture(folder / PREVIEW, show_person(clip))
        clips = {"source": clip}
        warnings: tuple[str, ...] = ()
        if config.reference.path is not None:
            motion = prepare_reference(config.reference.path, config.reference_clip, people, recorder)
            write_motion(folder / MOTION, motion, recorder)
            warnings = foresee(config.alignment, motion, clip)
            write_aligned(folder, clip, motion, config.alignment)
            write_puppet(folder, clip, motion, config.alignment)
            clips["reference"] = motion
        else:  # that of another time does not go with this clip
            _discard(folder / MOTION)
            remove_file(folder / ALIGNED)
            remove_file(folder / PUPPET)
        if clip.plate is None:
            _discard(folder / PLATE)
        write_record(folder, config, recorder, clips=clips, warnings=warnings)
        return clip


def _discard(folder: Path) -> None:
    if folder.is_dir():
        remove_whole(folder)
