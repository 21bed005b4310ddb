"""Frames on disk, with what is known of the person in them; read when they are asked for."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from edit_your_motion.datasets.people_files import count_keypoints, count_masks, read_keypoints, read_masks
from edit_your_motion.errors import InputError, VideoError
from edit_your_motion.people.frame_mapping import pick_frames
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.video import Video, VideoInfo, probe
from edit_your_motion.video.clip import require_source
from edit_your_motion.video.containers import iterate_container
from edit_your_motion.video.pictures import is_picture, iterate_folder, iterate_picture

MOST_FRAMES = 20_000
"""Most frames that `Clip.read` holds at once; `Clip.iterate` has no such bound."""


@dataclass(frozen=True)
class Clip:
    """Chosen frames of a video, a picture or a folder of numbered pictures.

    Args:
        path: the file or folder.
        start: index of the first frame, from 0.
        count: how many frames; None takes all from `start` on.
        stride: every so many-th frame of the file.
        fps: frames per second of pictures, which have none of their own (30 unless given).
        keypoints: ready keypoints of the person: OpenPose JSON, DisCo's, ours, or skeleton pictures; of exactly the
            chosen frames, or of the whole file.
        masks: ready masks of the person, in the same way: a folder of pictures or a video.
    """

    path: Path
    start: int = 0
    count: int | None = None
    stride: int = 1
    fps: float | int | None = None
    keypoints: Path | None = None
    masks: Path | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or self.stride < 1 or (self.count is not None and self.count < 1):
            raise InputError(
                f"{self.path}: expected a start of 0 or more, a stride and a count of 1 or more, got start "
                f"{self.start}, stride {self.stride}, count {self.count}"
            )

    def describe(self) -> VideoInfo:
        """What the whole file or folder says of itself."""
        return probe(self.path, fps=self.fps)

    @property
    def rate(self) -> Fraction:
        """Frames per second at which the chosen frames play at their true speed."""
        return self.describe().fps / self.stride

    @property
    def last(self) -> int | None:
        """Index of the last chosen frame; None where the file decides."""
        return None if self.count is None else self.start + self.stride * (self.count - 1)

    def indices(self, available: int) -> Int[np.ndarray, " f"]:
        """Indices of the chosen frames in a file of `available` frames."""
        chosen = np.arange(self.start, available, self.stride)
        return chosen if self.count is None else chosen[: self.count]

    def check(self) -> None:
        """Passes where the files are there and hold what is asked of them; no pixels are decoded.

        Raises:
            VideoError: the frames are missing, or fewer than asked for.
            PersonError: ready keypoints or masks are missing, or of another number of frames.
        """
        frames = self.describe().frames
        if frames is not None:
            self._require(frames)
        for path, count in ((self.keypoints, count_keypoints), (self.masks, count_masks)):
            available = None if path is None else count(path)
            if path is not None and available is not None and frames is not None:
                self._pick(path, available, frames)

    def iterate(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The chosen frames one by one, decoded anew at each call and never held together.

        Raises:
            VideoError: the file cannot be read, or ends before the last chosen frame.
        """
        fps = None if self.fps is None else Fraction(self.fps).limit_denominator(1001)
        require_source(self.path)
        if self.path.is_dir():
            timed = iterate_folder(self.path, fps)
        else:
            picture = is_picture(self.path)
            timed = iterate_picture(self.path, fps) if picture else iterate_container(self.path, Fraction(0))
        stop, seen = None if self.last is None else self.last + 1, 0
        with closing(timed) as frames:
            for frame in islice(frames, self.start, stop, self.stride):
                seen += 1
                yield frame.pixels(None)
        if seen < (self.count or 1):
            raise VideoError(
                f"{self.path}: expected {self.count or 'any'} frames from frame {self.start} on with stride "
                f"{self.stride}, got {seen}: choose fewer, or get the whole clip"
            )

    def read(self) -> Video:
        """The chosen frames, held together.

        Raises:
            VideoError: they cannot be read, change their size, or are more than `MOST_FRAMES`.
        """
        frames = list(islice(self.iterate(), MOST_FRAMES + 1))
        if len(frames) > MOST_FRAMES:
            raise VideoError(f"{self.path} has more than {MOST_FRAMES} frames: choose fewer")
        if len({frame.shape for frame in frames}) > 1:
            raise VideoError(f"{self.path} changes its size: expected frames of one size")
        return Video(np.stack(frames), self.rate, self.path)

    def read_keypoints(self, person: int | None = None) -> Keypoints | None:
        """The ready keypoints of the chosen frames on the clip's own canvas; None where there are none.

        Args:
            person: which of the people in the file, from 1 from the left; None for the largest.

        Raises:
            PersonError: they cannot be read, or are of another number of frames.
        """
        if self.keypoints is None:
            return None
        info = self.describe()
        keypoints = read_keypoints(self.keypoints, info.height, info.width, person)
        return keypoints.take(self._pick(self.keypoints, len(keypoints), info.frames))

    def read_masks(self) -> Bool[np.ndarray, "f h w"] | None:
        """The ready masks of the chosen frames at the clip's own size; None where there are none.

        Raises:
            PersonError: they cannot be read, or are of another number of frames.
        """
        if self.masks is None:
            return None
        info = self.describe()
        masks = read_masks(self.masks, info.height, info.width)
        return masks[self._pick(self.masks, len(masks), info.frames)]

    def _length(self, whole: int | None) -> int:
        if self.count is not None:
            return self.count
        if whole is None:
            raise VideoError(f"{self.path} does not say how many frames it has: give their number")
        return len(self.indices(whole))

    def _require(self, available: int) -> None:
        needed = self.start + 1 if self.last is None else self.last + 1
        if available < needed:
            raise VideoError(
                f"{self.path}: expected at least {needed} frames ({self.count or 'all'} from frame {self.start} on "
                f"with stride {self.stride}), got {available}: choose fewer frames, or leave the clip out"
            )

    def _pick(self, path: Path, available: int, whole: int | None) -> Int[np.ndarray, " f"]:
        """Which of the ready frames go with the chosen ones of a file of `whole` frames."""
        wanted = self._length(whole)
        return pick_frames(available, self.start + self.stride * np.arange(wanted), whole, str(path))
