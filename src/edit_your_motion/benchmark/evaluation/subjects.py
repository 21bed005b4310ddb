"""Clips under test, and what each is measured against."""

from dataclasses import dataclass
from pathlib import Path

from edit_your_motion.datasets.case import Dataset
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.folder import find_clip, find_clips, has_pictures
from edit_your_motion.errors import InputError
from edit_your_motion.metrics import FrameStream
from edit_your_motion.video import Fit, fit_frame
from edit_your_motion.video.clip import require_source


@dataclass(frozen=True)
class Subject:
    """A clip under test, and what it is measured against.

    Args:
        name: of its case.
        output: the clip.
        truth: the same motion of the same person, frame by frame.
        source: the clip that was edited; a shorter one is looped to and fro, as the editor does.
        reference: the motion that it was to show, with or without ready keypoints.
        prompt: what it should show.
        skeletons: ready keypoints alone, in the place of a reference.
    """

    name: str
    output: Clip
    truth: Clip | None = None
    source: Clip | None = None
    reference: Clip | None = None
    prompt: str | None = None
    skeletons: Path | None = None


def find_subjects(
    outputs: Path,
    truth: Path | None = None,
    source: Path | None = None,
    reference: Path | None = None,
    prompt: str | None = None,
) -> tuple[Subject, ...]:
    """The clips to be measured: one, or each of a folder of many with those of the same names beside it.

    Args:
        outputs: a video, a folder of pictures, or a folder of clips (``NAME.mp4`` or ``NAME/`` with pictures).
        truth: as `outputs`; of many clips, a folder with the same names.
        source: likewise; or a single clip for all.
        reference: likewise; a file of keypoints too.
        prompt: for all.

    Raises:
        InputError: nothing is there, or a clip lacks its truth.
    """
    require_source(outputs, "a video, a folder of pictures or a folder of clips")
    skeletons = reference if reference is not None and _is_keypoints(reference) else None
    others = {"truth": truth, "source": source, "reference": None if skeletons else reference}
    given = {kind: path for kind, path in others.items() if path is not None}
    if _is_clip(outputs):
        clips = {kind: _as_clip(path) for kind, path in given.items()}
        return (Subject(outputs.stem, Clip(outputs), prompt=prompt, skeletons=skeletons, **clips),)
    return tuple(
        Subject(
            name,
            clip,
            prompt=prompt,
            skeletons=skeletons,
            **{kind: _find_beside(path, name, kind) for kind, path in given.items()},
        )
        for name, clip in find_clips(outputs).items()
    )


def find_subjects_of(dataset: Dataset, outputs: Path) -> tuple[Subject, ...]:
    """The outputs for a data set's cases, ``CASE.mp4``, ``CASE/`` with pictures, or cells, ``CASE/edited.mp4``.

    Raises:
        InputError: a case has no output; names all of them.
    """
    found = {
        name: find_clip(outputs, name) or find_clip(outputs / name, "edited")
        for name in (case.name for case in dataset.cases)
    }
    if missing := [name for name, clip in found.items() if clip is None]:
        raise InputError(
            f"{outputs}: expected an output for each case as CASE.mp4, CASE/ with pictures or CASE/edited.mp4; "
            f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} none"
        )
    return tuple(
        Subject(case.name, clip, case.truth, case.source, case.reference, case.prompts[1] or None)
        for case in dataset.cases
        if (clip := found[case.name]) is not None
    )


def stream(clip: Clip) -> FrameStream:
    """The clip's frames, opened afresh whenever they are read."""
    return FrameStream(lambda: (frame[None] for frame in clip.iterate()))


def fit_stream(clip: Clip, height: int, width: int) -> FrameStream:
    """The clip's frames scaled and cropped to a size, as the editor brings clips to its own."""
    fit = Fit(height, width)
    return FrameStream(lambda: (fit_frame(frame, fit)[None] for frame in clip.iterate()))


def _is_clip(path: Path) -> bool:
    return path.is_file() or has_pictures(path)


def _is_keypoints(path: Path) -> bool:
    """Whether the path holds keypoints as text; skeleton pictures are a clip like any other."""
    return path.suffix.lower() in (".json", ".npz") or (path.is_dir() and any(path.glob("*.json")))


def _as_clip(path: Path) -> Clip:
    require_source(path, "a video or a folder of pictures")
    return Clip(path)


def _find_beside(path: Path, name: str, kind: str) -> Clip:
    """The clip that goes with one of many: of its name in a folder, or a single one for all (but for a truth)."""
    if _is_clip(path) and kind != "truth":
        return _as_clip(path)
    clip = find_clip(path, name) if path.is_dir() else None
    if clip is None:
        raise InputError(f"expected the {kind} of {name} as {name}.mp4, or as pictures in {name}/, in {path}: add it")
    return clip
