"""Frames from video containers, through FFmpeg's libraries."""

import errno
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from edit_your_motion.errors import OutOfMemoryError, VideoError, counted, ran_out_of_memory
from edit_your_motion.video.clip import LARGEST_RATE, LONGEST, STILL_RATE, TimedFrame, VideoInfo, check_sides
from edit_your_motion.video.cropping import Crop, read_crop
from edit_your_motion.video.orientation import read_orientation
from edit_your_motion.video.rendering import read_colours, read_peak, render
from edit_your_motion.video.tracks import choose_track, decode_frames

# Containers that hold their own data. FFmpeg's other formats include playlists that open further files and addresses,
# and text that it draws as a picture: nothing that a stranger's file should get to choose.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,nut,mxf,ivf,h264,hevc,m4v,"
    "yuv4mpegpipe,dv,rm,wtv,gif,apng,wav,mp3,aac,flac"
)
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
# Containers whose lengths are counted from zero on their clock, whenever the first frame comes.
FROM_ZERO = frozenset({"matroska,webm", "nut", "asf", "avi"})
# FFmpeg's mark of containers whose clock may start anew (AVFMT_TS_DISCONT), and the seconds that no pause lasts there.
STARTS_ANEW, LONGEST_GAP = 0x0200, 10
COMBED = "the film is interlaced: what moves is combed, every other line a moment later; deinterlace it first"
# A file whose picture track ends before this share of its own stated length has lost its end, unless two frames make up
# for it: by so many decoding runs ahead of showing, and some containers count them.
COMPLETE_SHARE, AHEAD = Fraction(9, 10), 2


@contextmanager
def open_container(path: Path) -> Iterator[av.container.InputContainer]:
    """An open container that reads nothing but this one file.

    Raises:
        VideoError: the file is none that FFmpeg reads, or lacks the part that says how to.
    """
    try:
        container = av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path} is no video that can be read, or its end is missing ({error.strerror}): "
            "expected mp4, mov, mkv, webm, avi, gif or the like"
        ) from error
    with container:
        yield container


def in_seconds(ticks: int, time_base: Fraction | None) -> Fraction:
    """A time on a track's clock in seconds; without a clock of its own a track runs on FFmpeg's."""
    return ticks * (time_base or Fraction(1, av.time_base))


def _rate(track: av.VideoStream) -> Fraction:
    """Mean frames per second; the even rate that FFmpeg guesses where the two differ by a frame or so."""
    stated = [Fraction(rate) for rate in (track.average_rate, track.guessed_rate) if rate]
    mean, *guessed = [rate for rate in stated if Fraction(1, LONGEST) <= rate <= LARGEST_RATE] or [STILL_RATE]
    return guessed[0] if guessed and abs(guessed[0] / mean - 1) < Fraction(1, 100) else mean


def _square_width(frame: av.VideoFrame, track: av.VideoStream, crop: Crop) -> int:
    """The width of what is shown of the frame once its pixels are square."""
    return max(1, round((frame.width - crop.left - crop.right) * Fraction(track.sample_aspect_ratio or 1)))


def _find_crop(path: Path, container: av.container.InputContainer, frame: av.VideoFrame) -> Crop:
    """What the container cuts off its frames; of several tracks nobody could say which it is of."""
    alone = len(container.streams.video) == 1
    return read_crop(path, container.format.name, frame.width, frame.height) if alone else Crop()


def _stamp(frame: av.VideoFrame, container: av.container.InputContainer) -> Fraction | None:
    """When the container shows a frame, in seconds on its own clock."""
    # AVI stores no presentation times, and what FFmpeg puts in their place is out of order.
    ticks = frame.dts if container.format.name == "avi" else frame.pts
    return None if ticks is None else in_seconds(ticks, frame.time_base)


def _first_frame(container: av.container.InputContainer, track: av.VideoStream, path: Path) -> av.VideoFrame:
    try:
        frame = next(decode_frames(container, track), None)
    except av.error.FFmpegError as error:
        _require_memory(error)
        raise VideoError(f"{path}: not one frame could be read ({error.strerror}): get the whole file") from error
    if frame is None:
        raise VideoError(f"{path} holds no frames: expected at least one")
    return frame


def picture_origin(path: Path) -> Fraction:
    """When a video file shows its first frame, in seconds on the clock that its sound runs on too; 0 without pictures.

    Raises:
        VideoError: no video, or no frame could be decoded.
    """
    with open_container(path) as container:
        if not container.streams.video:
            return Fraction(0)
        return _stamp(_first_frame(container, choose_track(container, path), path), container) or Fraction(0)


def _stated_length(container: av.container.InputContainer, track: av.VideoStream, origin: Fraction) -> Fraction | None:
    """How long the file says that its pictures last, in seconds; the whole file's length may be that of its sound."""
    if track.duration:
        length, begin = in_seconds(track.duration, track.time_base), in_seconds(track.start_time or 0, track.time_base)
    elif container.duration and len(container.streams) == 1:
        length, begin = in_seconds(container.duration, None), in_seconds(container.start_time or 0, None)
    else:
        return None
    # Cut out of a recording, it may begin with frames that nobody can decode without those before.
    late = origin if container.format.name in FROM_ZERO else max(origin - begin, Fraction(0))
    return length - late if length > late else length


def probe_container(path: Path) -> VideoInfo:
    """What a video file says of itself; its first frame is decoded, which alone knows how it is shown.

    Raises:
        VideoError: no video, or no frame could be decoded.
    """
    with open_container(path) as container:
        track = choose_track(container, path)
        frame = _first_frame(container, track, path)
        crop = _find_crop(path, container, frame)
        width, height = _square_width(frame, track, crop), frame.height - crop.top - crop.bottom
        check_sides(path, width, height)
        pixel_aspect = width / (frame.width - crop.left - crop.right)
        if read_orientation(frame).turned:
            width, height, pixel_aspect = height, width, 1 / pixel_aspect
        duration = _stated_length(container, track, _stamp(frame, container) or Fraction(0))
        duration = duration or in_seconds(container.duration or 0, None) or None
        combed = COMBED if frame.interlaced_frame else None
        return VideoInfo(
            track.frames or None,
            _rate(track),
            width,
            height,
            None if duration is None else float(duration),
            bool(container.streams.audio),
            pixel_aspect,
            tuple(warning for warning in (read_colours(frame).warning, combed) if warning is not None),
        )


class _Clock:
    """Times of frames in seconds from the first one, in order, also where a recording's clock starts anew.

    Args:
        container: what the frames come from.
        origin: when it shows the first frame, in seconds; None takes the first frame that comes.
        period: seconds that a frame lasts where it does not say.
    """

    def __init__(self, container: av.container.InputContainer, origin: Fraction | None, period: Fraction) -> None:
        self.container, self.origin, self.period = container, origin, period
        self.starts_anew = bool(container.format.flags & STARTS_ANEW)
        self.last: Fraction | None = None
        self.end = Fraction(0)
        self.jumped = False

    def tell(self, frame: av.VideoFrame) -> tuple[Fraction, Fraction]:
        """When the frame is shown and for how long."""
        stamp = _stamp(frame, self.container)
        if stamp is None:
            time = self.end
        else:
            self.origin = stamp if self.origin is None else self.origin
            time = stamp - self.origin
            if self.last is not None and (time < self.last or (self.starts_anew and time > self.end + LONGEST_GAP)):
                self.origin, time, self.jumped = stamp - self.end, self.end, True
        shown = in_seconds(frame.duration, frame.time_base) if frame.duration else self.period
        self.last, self.end = time, time + shown
        return time, shown


def _can_seek(path: Path) -> bool:
    """Whether a time leads to one place of the file: its clock has an order, and never starts anew."""
    with open_container(path) as container:
        if not container.format.flags & STARTS_ANEW:
            return container.format.name != "avi"
        track = choose_track(container, path)
        stamps = [packet.dts for packet in container.demux(track) if packet.dts is not None]
        longest = LONGEST_GAP / in_seconds(1, track.time_base)
        return all(0 <= later - earlier <= longest for earlier, later in pairwise(stamps))


def iterate_container(path: Path, start: Fraction, seek: bool = True) -> Generator[TimedFrame, None, None]:
    """The frames of a video file, from one that lies at or before `start` to the end, with their presentation times.

    Args:
        path: the file.
        start: in seconds from the first frame.
        seek: jump to the key frame before `start`; False decodes all that lies before.

    Raises:
        VideoError: no video, or it breaks off before all that was asked for had been read.
    """
    origin = picture_origin(path) if seek and start > 0 and _can_seek(path) else None
    with open_container(path) as container:
        track = choose_track(container, path)
        clock = _Clock(container, origin, 1 / _rate(track))
        failure, count, peak, crop = None, 0, None, Crop()
        try:
            if origin is not None:
                container.seek(int((start + origin) / in_seconds(1, track.time_base)), stream=track)
            for frame in decode_frames(container, track):
                time, shown = clock.tell(frame)
                if abs(time) > LONGEST:
                    raise VideoError(f"{path} is damaged: a frame at {float(time):g} s is beyond a day: convert it")
                if origin is not None and count == 0 and time > start:
                    break  # an index that leads behind the place it was asked for
                crop = _find_crop(path, container, frame) if count == 0 else crop
                shown_of = crop if crop.leaves_of(frame.width, frame.height) else Crop()
                width = _square_width(frame, track, shown_of)
                check_sides(path, width, frame.height)
                count, peak = count + 1, peak or read_peak(frame)
                yield TimedFrame(time, shown, partial(_show, path, frame, width, shown_of, peak))
        except av.error.FFmpegError as error:
            failure = error
        stated = _stated_length(container, track, clock.origin or Fraction(0))
    if origin is not None and count == 0:
        yield from iterate_container(path, start, seek=False)
    elif failure is not None or (stated is not None and not clock.jumped and _lacks_end(clock, stated)):
        length = f" of {float(stated):.2f}" if stated else ""
        _require_memory(failure)
        raise VideoError(
            f"{path} breaks off: {counted(count, 'frame')}, up to {float(clock.end):.2f}{length} s, could be read"
            f"{f' ({failure.strerror})' if failure else ''}: get the whole file, or ask for fewer frames"
        ) from failure


def _lacks_end(clock: _Clock, stated: Fraction) -> bool:
    return clock.end < stated * COMPLETE_SHARE and stated - clock.end > AHEAD * clock.period


def _require_memory(error: Exception | None) -> None:
    """Passes what is wrong with a file.

    Raises:
        OutOfMemoryError: not the file is at fault: FFmpeg got no memory, or none for a thread's stack.
    """
    if error is not None and (ran_out_of_memory(error) or getattr(error, "errno", None) == errno.EAGAIN):
        raise OutOfMemoryError() from error


def _show(
    path: Path, frame: av.VideoFrame, width: int, crop: Crop, peak: float | None, size: tuple[int, int] | None
) -> UInt8[np.ndarray, "h w 3"]:
    try:
        return render(frame, width, crop, peak, size)
    except VideoError as error:
        raise VideoError(f"{path}: {error}") from error
    except (av.error.FFmpegError, ValueError) as error:
        _require_memory(error)
        raise VideoError(f"{path}: pixels of the form {frame.format.name} cannot be shown: convert to H.264") from error
