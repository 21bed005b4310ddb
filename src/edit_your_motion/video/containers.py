"""Frames from video containers, through FFmpeg's libraries."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from jaxtyping import UInt8

from edit_your_motion.errors import VideoError
from edit_your_motion.video.clip import LARGEST_RATE, LONGEST, STILL_RATE, TimedFrame, VideoInfo, check_sides

# Containers that hold their own data. FFmpeg's other formats include playlists that open further files and addresses,
# and text that it draws as a picture: nothing that a stranger's file should get to choose.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,nut,mxf,ivf,h264,hevc,m4v,"
    "yuv4mpegpipe,dv,rm,wtv,gif,apng,wav,mp3,aac,flac"
)
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
COLORSPACE_UNSPECIFIED = 2
# A file whose picture track ends before this share of its own stated length has lost its end.
COMPLETE_SHARE = Fraction(9, 10)


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


def _picture_track(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    tracks = [track for track in container.streams.video if not track.disposition & av.stream.Disposition.attached_pic]
    if not tracks:
        found = "only sound" if container.streams.audio else "no pictures"
        raise VideoError(f"{path} holds {found}: expected a video")
    if tracks[0].codec_context is None:
        raise VideoError(f"{path} is coded in a way that this FFmpeg does not know: convert it to H.264")
    check_sides(path, tracks[0].codec_context.width, tracks[0].codec_context.height)
    tracks[0].thread_type = "AUTO"
    return tracks[0]


def in_seconds(ticks: int, time_base: Fraction | None) -> Fraction:
    """A time on a track's clock in seconds; without a clock of its own a track runs on FFmpeg's."""
    return ticks * (time_base or Fraction(1, av.time_base))


def _rate(track: av.VideoStream) -> Fraction:
    """Mean frames per second; the even rate that FFmpeg guesses where the two differ by a frame or so."""
    stated = [Fraction(rate) for rate in (track.average_rate, track.guessed_rate) if rate]
    mean, *guessed = [rate for rate in stated if Fraction(1, LONGEST) <= rate <= LARGEST_RATE] or [STILL_RATE]
    return guessed[0] if guessed and abs(guessed[0] / mean - 1) < Fraction(1, 100) else mean


def _origin(track: av.VideoStream) -> Fraction:
    """When the container shows the track's first frame, in seconds."""
    return in_seconds(track.start_time or 0, track.time_base)


def picture_origin(container: av.container.InputContainer) -> Fraction:
    """When the container shows its first frame, in seconds on the clock that its sound runs on too."""
    return _origin(container.streams.video[0]) if container.streams.video else Fraction(0)


def _square_width(frame: av.VideoFrame, track: av.VideoStream) -> int:
    """The frame's width once its pixels are square."""
    return max(1, round(frame.width * Fraction(track.sample_aspect_ratio or 1)))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """How often the frame has to be turned left by a quarter to stand upright."""
    return round(frame.rotation / 90) % 4


def _to_rgb(frame: av.VideoFrame, width: int) -> UInt8[np.ndarray, "h w 3"]:
    matrix = frame.colorspace
    if matrix == COLORSPACE_UNSPECIFIED:  # players take BT.709 from HD on, and libswscale would take BT.601
        matrix = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    picture = frame.reformat(width=width, format="rgb24", src_colorspace=matrix)
    return np.ascontiguousarray(np.rot90(picture.to_ndarray(), _quarter_turns(frame)))


def probe_container(path: Path) -> VideoInfo:
    """What a video file says of itself; its first frame is decoded, which alone knows the rotation.

    Raises:
        VideoError: no video, or no frame could be decoded.
    """
    with open_container(path) as container:
        track = _picture_track(container, path)
        try:
            frame = next(container.decode(track), None)
        except av.error.FFmpegError as error:
            raise VideoError(f"{path}: not one frame could be read ({error.strerror}): get the whole file") from error
        if frame is None:
            raise VideoError(f"{path} holds no frames: expected at least one")
        width, height = _square_width(frame, track), frame.height
        check_sides(path, width, height)
        pixel_aspect = width / frame.width
        if _quarter_turns(frame) % 2:
            width, height, pixel_aspect = height, width, 1 / pixel_aspect
        duration = _stated_end(container, track) or in_seconds(container.duration or 0, None) or None
        return VideoInfo(
            track.frames or None,
            _rate(track),
            width,
            height,
            None if duration is None else float(duration),
            bool(container.streams.audio),
            pixel_aspect,
        )


def _stated_end(container: av.container.InputContainer, track: av.VideoStream) -> Fraction | None:
    """How long the file says that its pictures last, in seconds; the whole file's length may be that of its sound."""
    if track.duration:
        return in_seconds(track.duration, track.time_base)
    if container.duration and not container.streams.audio:
        return in_seconds(container.duration, None)
    return None


def iterate_container(path: Path, start: Fraction, seek: bool = True) -> Generator[TimedFrame, None, None]:
    """The frames of a video file, from one that lies at or before `start` to the end, with their presentation times.

    Args:
        path: the file.
        start: in seconds from the first frame.
        seek: jump to the key frame before `start`; False decodes all that lies before.

    Raises:
        VideoError: no video, or it breaks off before all that was asked for had been read.
    """
    with open_container(path) as container:
        track = _picture_track(container, path)
        origin, period, end, count = _origin(track), 1 / _rate(track), Fraction(0), 0
        # AVI stores no presentation times, and what FFmpeg puts in their place is out of order.
        unordered = container.format.name == "avi"
        jumped = seek and start > 0 and not unordered
        failure = None
        try:
            if jumped:
                container.seek(int((start + origin) / in_seconds(1, track.time_base)), stream=track)
            for frame in container.decode(track):
                stamp = frame.dts if unordered else frame.pts
                if unordered and count == 0:
                    origin = in_seconds(stamp or 0, frame.time_base)
                time = end if stamp is None else in_seconds(stamp, frame.time_base) - origin
                shown = in_seconds(frame.duration, frame.time_base) if frame.duration else period
                if abs(time) > LONGEST:
                    raise VideoError(f"{path} is damaged: a frame at {float(time):g} s is beyond a day: convert it")
                if jumped and count == 0 and time > start:
                    break  # an index that leads behind the place it was asked for
                width = _square_width(frame, track)
                check_sides(path, width, frame.height)
                count, end = count + 1, time + shown
                yield TimedFrame(time, shown, partial(_to_rgb, frame, width))
        except av.error.FFmpegError as error:
            failure = error
        stated = _stated_end(container, track)
    if jumped and count == 0:
        yield from iterate_container(path, start, seek=False)
    elif failure is not None or (stated is not None and end < stated * COMPLETE_SHARE):
        length = f" of {float(stated):.2f}" if stated else ""
        raise VideoError(
            f"{path} breaks off: {count} frames, up to {float(end):.2f}{length} s, could be read"
            f"{f' ({failure.strerror})' if failure else ''}: get the whole file, or ask for fewer frames"
        ) from failure
