"""A clip's frames in its file: found first, then passed through once, so that no frame is held at its full size."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from edit_your_motion.config import PeopleConfig
from edit_your_motion.errors import VideoError, counted
from edit_your_motion.people.between_frames import Passage, pass_through
from edit_your_motion.people.finders.contract import PeopleBackend, PersonDetection, detect_in_stream
from edit_your_motion.people.frame_mapping import fit_masks, pick_frames
from edit_your_motion.people.tracking.appearance import add_looks
from edit_your_motion.people.tracking.smoothing import frame_times
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.runtime.read_ahead import read_ahead
from edit_your_motion.video import (
    Fit,
    Selection,
    Video,
    VideoInfo,
    choose_frames,
    locate_frames,
    probe,
)
from edit_your_motion.video.reading import LARGEST_CLIP, describe_gaps

Source = str | Path | Video
"""A file or folder, or frames in memory."""


@dataclass(frozen=True, eq=False)
class Footage:
    """The frames that are taken of a source.

    Args:
        source: where they are.
        info: what it says of itself.
        selection: by which they were chosen.
        times: of the source's frames, as `locate_frames` has them.
        chosen: which of these they are.
        empty: the clip without its frames: its rate, and where it lies in the source.
    """

    source: Path | Video
    info: VideoInfo
    selection: Selection
    times: Float[np.ndarray, " n"]
    chosen: Int[np.ndarray, " f"]
    empty: Video

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_source(self.source)

    def pick(self, available: int, path: Path) -> Int[np.ndarray, " f"]:
        """Which of so many ready frames go with them."""
        if available == len(self):
            return np.arange(available)
        if isinstance(self.source, Video):
            indices = self.chosen
        else:
            of = self.selection
            # Ready frames are counted from the file's first one.
            indices = choose_frames(self.source, len(self), start=of.start, end=of.end, stride=of.stride, fps=of.fps)
        return pick_frames(available, indices, self.info.frames, str(path))

    def pass_through(self, rate: float) -> Passage:
        """They and those between them, about `rate` a second."""
        start, fps = self.selection.start, self.selection.fps
        return pass_through(self.source, self.chosen, self.times, start=start, fps=fps, rate=rate)


def probe_source(source: Source) -> VideoInfo:
    """What a source says of itself."""
    if not isinstance(source, Video):
        return probe(source)
    count, height, width = source.frames.shape[:3]
    return VideoInfo(count, source.fps, width, height, source.duration, has_audio=False)


def name_source(source: Source) -> str:
    """What messages call a source."""
    return "frames" if isinstance(source, Video) else Path(source).name


def find_footage(source: Source, selection: Selection, progress: Progress) -> Footage:
    """The frames that a selection takes of a source; a file is decoded for that, and nothing of it is held.

    Raises:
        VideoError: the source cannot be read, or has no such frames.
    """
    info, of = probe_source(source), selection
    nothing = np.zeros((0, info.height, info.width, 3), np.uint8)
    with progress.phase(f"read {name_source(source)}", selection.count(info) or 0) as advance:
        if not isinstance(source, Video):
            path = Path(source).absolute()
            located = locate_frames(
                path,
                of.frames,
                start=of.start,
                end=of.end,
                stride=of.stride,
                fps=of.fps,
                on_frame=lambda _: advance(),
            )
            empty = Video(nothing, located.fps, path, located.start)
            info = replace(info, warnings=(*info.warnings, *describe_gaps(located.times)))
            return Footage(path, info, selection, located.times, located.chosen, empty)
    chosen = selection.indices(len(source.frames), source.fps)
    if not len(chosen):
        raise VideoError(
            f"expected frames from {of.start:g} s on, got a clip of {source.duration:g} s: lower the start"
        )
    empty = replace(source, frames=nothing, fps=selection.rate(source.fps))
    return Footage(source, info, selection, frame_times(len(source.frames), source.fps), chosen, empty)


@dataclass(frozen=True, eq=False)
class Sight:
    """What was seen on the way through some footage.

    Args:
        frames: its own frames.
        detections: everybody in each frame of the passage, on the canvas of the larger pictures; masks, on that of
            the frames, in the footage's own ones alone.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    detections: list[list[PersonDetection]]


def look_through(
    footage: Footage,
    passage: Passage,
    fit: Fit,
    backend: PeopleBackend | None,
    large: Fit,
    people: PeopleConfig,
    progress: Progress,
    phase: str,
) -> Sight:
    """Passes once through some footage, keeps its frames, and looks for people; both cores of a small machine work.

    Args:
        footage: the frames to keep.
        passage: through them and what lies between.
        fit: brings frames to the size at which they are kept.
        backend: finds people; None where nobody needs to be found.
        large: brings frames to the size at which people are looked for.
        people: says what is wanted of them.
        progress: is told how far it is.
        phase: what this is called there.

    Raises:
        VideoError: it is more than a clip may be.
    """
    _require_room(footage, fit)
    own = np.isin(np.arange(len(passage)), passage.rows)
    # In one piece from the start: frames one by one, among larger ones that come and go, would leave memory in holes.
    frames = np.empty((len(footage), fit.height, fit.width, 3), np.uint8)
    detections: list[list[PersonDetection]] = []
    with progress.phase(phase, len(passage)) as advance:
        pairs = read_ahead(_at_both_sizes(passage, own, fit, fit if backend is None else large))
        for index, (frame, small, seen) in enumerate(_detect(pairs, backend)):
            if small is not None:
                frames[passage.rows == index] = small
            looked = add_looks(frame[None], [seen])[0]
            detections.append([_strip(person, people, bool(own[index]), fit) for person in looked])
            advance()
    return Sight(frames, detections)


def _at_both_sizes(
    passage: Passage, own: np.ndarray, fit: Fit, large: Fit
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h2 w2 3"] | None]]:
    """Each frame as people are looked for in it, and as it is kept if it is the footage's own."""
    for show, is_own in zip(passage.read(), own, strict=True):
        frame = show(large)
        yield frame, (frame if fit == large else show(fit)) if is_own else None


def _detect(
    pairs: Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h2 w2 3"] | None]],
    backend: PeopleBackend | None,
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h2 w2 3"] | None, list[PersonDetection]]]:
    """Each pair with everybody in it; a backend that lags behind has its frames kept for it."""
    if backend is None:
        yield from ((*pair, []) for pair in pairs)
        return
    taken: deque[tuple[np.ndarray, np.ndarray | None]] = deque()

    def frames() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for pair in pairs:
            taken.append(pair)
            yield pair[0]

    for seen in detect_in_stream(backend, frames()):
        yield (*taken.popleft(), seen)


def _strip(person: PersonDetection, people: PeopleConfig, masked: bool, fit: Fit) -> PersonDetection:
    """The person without what is not wanted: finders that know no switches find hands and faces in any case."""
    return replace(
        person,
        mask=fit_masks(person.mask[None], fit)[0] if masked and person.mask is not None else None,
        hands=person.hands if people.hands else None,
        face=person.face if people.face else None,
    )


def _require_room(footage: Footage, fit: Fit) -> None:
    size = 3 * fit.height * fit.width * len(footage)
    if size > LARGEST_CLIP:
        raise VideoError(
            f"{footage.name}: {counted(len(footage), 'frame')} of {fit.width}x{fit.height} are more than the "
            f"{LARGEST_CLIP // 2**30} GiB that a clip may be: take a part of it, a lower rate, or a smaller size"
        )
