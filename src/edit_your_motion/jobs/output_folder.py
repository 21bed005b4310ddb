"""The folder that an edit leaves: videos to watch, a sheet to look at, the settings that make it again."""

import logging
from dataclasses import replace
from pathlib import Path

from edit_your_motion.config import Section, VideoConfig, dump_config
from edit_your_motion.edit import Edit
from edit_your_motion.jobs.loss_curves import draw_losses
from edit_your_motion.jobs.run_record import RECORD
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.looping import follow_source
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.preview import alignment_preview, comparison_frames, contact_sheet, write_picture
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.person import Person
from edit_your_motion.storage.files import remove_file, write_text
from edit_your_motion.video import Video, write_video

logger = logging.getLogger(__name__)

OF_EDIT = (
    "edited.mp4", "comparison.mp4", "sheet.png", "alignment.png", "skeletons.json", "losses.png", "overlay.mp4",
    "aligned.mp4", "preview.png", "config.yaml", "run.json",
)  # fmt: skip
"""Files of an edit, which each one writes anew."""


def find_sound(config: VideoConfig, person: Person, reference: PreparedClip) -> Video | None:
    """The clip whose sound goes along; None, and a warning, if it is not there any more."""
    if config.sound_of == "reference":
        return reference.video
    clip = person.config.source_clip
    place = None if clip.path is None else Path(clip.path)
    if place is None or not place.exists():
        logger.warning("the edit has no sound: the source is not at %s any more", place or "any place")
        return None
    return replace(person.source.video, source=place, start=clip.start)


def write_edit(
    folder: Path, person: Person, reference: PreparedClip, edit: Edit, *, sound: Video | None = None
) -> None:
    """Writes ``edited.mp4``, ``comparison.mp4``, ``sheet.png``, ``alignment.png`` and ``skeletons.json``.

    Args:
        folder: where; made if it is absent.
        person: who was edited.
        reference: whose motion it is.
        edit: the result.
        sound: the clip whose sound goes along.

    Raises:
        DiskFullError: if there is no room; each file is there whole or not at all.
    """
    remove_file(folder / RECORD)
    fps = reference.video.fps
    whole = person.config.draws_whole
    shown = follow_source(person.source, len(edit.frames), fps)
    source = person.source.video.frames[shown]
    rows = [
        ("source", source),
        ("reference", reference.video.frames),
        ("aligned skeleton", draw_skeleton(edit.skeletons, hands=whole, face=whole)),
        ("edited", edit.frames),
    ]
    write_video(folder / "edited.mp4", edit.frames, fps, sound=sound)
    write_video(folder / "comparison.mp4", comparison_frames(rows), fps)
    write_picture(folder / "sheet.png", contact_sheet(rows))
    preview = alignment_preview(
        person.source.video.frames,
        person.source.keypoints,
        reference.video.frames,
        reference.keypoints,
        edit.skeletons,
        shown,
    )
    write_picture(folder / "alignment.png", preview)
    save_keypoints(folder / "skeletons.json", edit.skeletons)


def write_losses(folder: Path, person: Person) -> None:
    """Writes ``losses.png``, the losses of every step of each stage, where a person was tuned."""
    if person.losses:
        stages = [stage.steps for stage in person.stages] or [len(person.losses)]
        write_picture(folder / "losses.png", draw_losses(dict(enumerate(person.losses, 1)), stages))


def write_config(folder: Path, config: Section) -> None:
    """Writes ``config.yaml``, which reruns the same edit: ``eym edit --config config.yaml``."""
    write_text(folder / "config.yaml", dump_config(config))
