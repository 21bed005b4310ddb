"""What is seen before anything is tuned: the people of both clips, the aligned motion, and what is wrong in words.

The folders that are written here may be corrected by hand, and given in the place of the clips.
"""

from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from jaxtyping import Int, UInt8

from edit_your_motion.compositing.warped_person import WarpedPerson
from edit_your_motion.config import AlignmentConfig, ApplyConfig, ClipConfig, TuneConfig
from edit_your_motion.errors import PersonError
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.clip_warnings import describe_hopeless
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import follow_source
from edit_your_motion.people.preparation import FINDING, PLATE, PreparedClip
from edit_your_motion.people.preview import COLUMNS, contact_sheet, mark_person, overlay_skeleton
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.video import write_video
from edit_your_motion.video.selection import spread_evenly
from edit_your_motion.video.writing import write_together

FRAMES, KEYPOINTS, MASKS, SKELETON = "frames.mp4", "keypoints.json", "masks", "skeleton.mp4"
MOTION, OVERLAY, ALIGNED, PUPPET, PREVIEW = "reference", "overlay.mp4", "aligned.mp4", "puppet.mp4", "preview.png"
OF_PREPARE = (
    KEYPOINTS, MASKS, FRAMES, PLATE, FINDING, MOTION, OVERLAY, ALIGNED, PUPPET, SKELETON, PREVIEW,
)  # fmt: skip
"""What `eym prepare` writes beside its record."""

AnyJob = TypeVar("AnyJob", bound=TuneConfig | ApplyConfig)


def take_prepared(config: AnyJob) -> AnyJob:
    """The configuration, with the frames, keypoints and masks of prepared folders where those are given as clips."""
    changes: dict[str, object] = {}
    people = config.people
    source = config.source if isinstance(config, TuneConfig) else ClipConfig()
    reference = config.reference if isinstance(config, ApplyConfig) else ClipConfig()
    if folder := _prepared(source):
        masks = folder / MASKS
        found = {
            "keypoints": people.keypoints or folder / KEYPOINTS,
            "masks": people.masks or (masks if masks.is_dir() else None),
            "person": None if people.keypoints is None else people.person,
        }
        people = people.model_copy(update=found)
        changes["source"] = source.model_copy(update={"path": str(folder / FRAMES)})
    if folder := _prepared(reference):
        ready = people.reference_keypoints
        found = {
            "reference_keypoints": ready or folder / KEYPOINTS,
            "reference_person": None if ready is None else people.reference_person,
        }
        people = people.model_copy(update=found)
        changes["reference"] = reference.model_copy(update={"path": str(folder / FRAMES)})
    return cast(AnyJob, config.model_copy(update={**changes, "people": people}))


def write_person(
    folder: Path, clip: PreparedClip, progress: Progress | None = None, *, with_skeletons: bool = False
) -> None:
    """Writes ``overlay.mp4``: every frame with the skeleton, the outline of the mask, and the joints' confidence.

    Args:
        folder: where.
        clip: with the person.
        progress: is told how far it is.
        with_skeletons: write ``skeleton.mp4`` too: the skeletons alone, as they guide an edit.
    """

    def draw(index: int) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
        here = slice(index, index + 1)
        keypoints = clip.keypoints.take(np.array([index]))
        skeleton = draw_skeleton(keypoints)
        marked = mark_person(clip.video.frames[here], keypoints, clip.masks[here], index + 1, skeleton)
        return (marked[0], skeleton[0]) if with_skeletons else (marked[0],)

    paths = [folder / OVERLAY, *([folder / SKELETON] if with_skeletons else [])]
    with (progress or SilentProgress()).phase("write the overlay", len(clip)) as advance:
        size = clip.video.frames.shape[1:3]
        write_together(paths, size, clip.video.fps, draw, len(clip), on_frame=lambda _: advance())


def show_person(clip: PreparedClip) -> UInt8[np.ndarray, "height width 3"]:
    """A sheet of what was found in some frames: keypoints, mask, and the place alone."""
    numbers = spread_evenly(len(clip), COLUMNS)
    shown = clip.take(numbers)
    frames = shown.video.frames
    rows = [
        ("frames", frames),
        ("keypoints", overlay_skeleton(frames, shown.keypoints)),
        ("mask", frames * shown.masks[..., None]),
        ("clean plate", shown.without_person()),
    ]
    return contact_sheet(rows, numbers=numbers)


def write_motion(folder: Path, reference: PreparedClip, progress: Progress | None = None) -> None:
    """Writes what there is of a reference, to correct and to give back: frames, keypoints, overlay."""
    save_keypoints(folder / KEYPOINTS, reference.keypoints)
    write_video(folder / FRAMES, reference.video.frames, reference.video.fps, crf=8, sound=reference.video)
    write_person(folder, reference, progress)


def write_aligned(folder: Path, source: PreparedClip, reference: PreparedClip, config: AlignmentConfig) -> None:
    """Writes ``aligned.mp4``: the reference's skeletons as they are brought to the source, over its frames.

    Args:
        folder: where.
        source: who is to move.
        reference: whose motion.
        config: how the one is aligned with the other.
    """
    aligned, shown = _bring(source, reference, config)
    film = source.video.frames

    def draw(index: int) -> tuple[UInt8[np.ndarray, "h w 3"]]:
        return (overlay_skeleton(film[shown[index]][None], aligned.take(np.array([index])))[0],)

    write_together([folder / ALIGNED], film.shape[1:3], reference.video.fps, draw, len(shown))


def write_puppet(folder: Path, source: PreparedClip, reference: PreparedClip, config: AlignmentConfig) -> None:
    """Writes ``puppet.mp4``: the source's own pixels in the reference's poses, before anything is generated.

    Args:
        folder: where.
        source: who is to move.
        reference: whose motion.
        config: how the one is aligned with the other.
    """
    aligned, shown = _bring(source, reference, config)
    places = source.without_person()
    person = WarpedPerson.fit(source.video.frames, source.masks, source.keypoints, places, aligned)

    def draw(index: int) -> tuple[UInt8[np.ndarray, "h w 3"]]:
        frame = places[shown[index]].copy()
        person.draw_over(index, frame)
        return (frame,)

    write_together([folder / PUPPET], places.shape[1:3], reference.video.fps, draw, len(shown))


def _bring(
    source: PreparedClip, reference: PreparedClip, config: AlignmentConfig
) -> tuple[Keypoints, Int[np.ndarray, " f"]]:
    """The reference's skeletons brought to the source, and the source's frame that each is seen over."""
    aligned = align_as(config, reference.keypoints, source.keypoints)
    return aligned, follow_source(source, len(reference), reference.video.fps)


def require_hope(source: PreparedClip, reference: PreparedClip, config: AlignmentConfig, *, force: bool) -> None:
    """Passes clips of which an edit can come.

    Args:
        source: who is to move.
        reference: whose motion.
        config: how the one is aligned with the other.
        force: whether the others pass too.

    Raises:
        PersonError: nothing good can come of them.
    """
    if not force and (reasons := describe_hopeless(config, reference.keypoints, source.keypoints)):
        raise PersonError(
            f"not begun, for nothing good can come of it: {'; '.join(reasons)}; look at overlay.mp4 and aligned.mp4, "
            "take other frames or correct the keypoints, or go on with --force"
        )


def _prepared(clip: ClipConfig) -> Path | None:
    """The folder of a clip that was prepared, if it is one."""
    folder = None if clip.path is None else Path(clip.path)
    there = folder is not None and all((folder / name).is_file() for name in (FRAMES, KEYPOINTS))
    return folder if there else None
