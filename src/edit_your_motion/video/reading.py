"""Read a clip: from a file or a folder, the frames that were asked for and no others."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import compress, count, islice, takewhile
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, UInt8

from edit_your_motion.errors import ConfigError, VideoError, counted
from edit_your_motion.video.clip import LARGEST_RATE, TimedFrame, Video, VideoInfo, require_source
from edit_your_motion.video.containers import iterate_container, probe_container
from edit_your_motion.video.fit import Fit, fit_frame
from edit_your_motion.video.pictures import is_picture, iterate_folder, iterate_picture, probe_folder, probe_picture

Shown: TypeAlias = Callable[[Fit | None], UInt8[np.ndarray, "h w 3"]]
"""A frame's pixels at the size of a fit; whole for None."""

LARGEST_CLIP = 4 * 2**30
MOST_FRAMES = 20_000
LONGEST_PAUSE, CLOCK, EVEN = 0.2, 0.002, 0.9
"""Seconds without a frame that are noticed, by which clocks of files are rounded, and the share of equal steps of a
clip that has a rate: phones and screen recordings have gaps by nature."""


def _checked_path(path: Path | str) -> Path:
    path = Path(path)
    require_source(path)
    if not (path.is_file() or path.is_dir()):
        raise VideoError(f"{path} is neither a file nor a folder: expected a video, a picture or a folder of frames")
    return path.absolute()


def _checked_rate(fps: float | int | Fraction | None) -> Fraction | None:
    if fps is None:
        return None
    if not 0 < fps <= LARGEST_RATE:
        raise ConfigError(f"a frame rate lies above 0 and up to {LARGEST_RATE} frames per second, got {fps}")
    return Fraction(fps) if isinstance(fps, Fraction | int) else Fraction(fps).limit_denominator(1001)


def probe(path: Path | str, *, fps: float | int | Fraction | None = None) -> VideoInfo:
    """What a video, a picture or a folder of frames says of itself.

    Args:
        path: the file or folder.
        fps: frames per second of what has none of its own, a picture or a folder (30 unless given).

    Raises:
        VideoError: it is missing, no video, or empty.
    """
    path, rate = _checked_path(path), _checked_rate(fps)
    if path.is_dir():
        return probe_folder(path, rate)
    return probe_picture(path, rate) if is_picture(path) else probe_container(path)


def _iterate(path: Path, start: Fraction, rate: Fraction | None) -> Generator[TimedFrame, None, None]:
    if path.is_dir():
        return iterate_folder(path, rate)
    return iterate_picture(path, rate) if is_picture(path) else iterate_container(path, start)


def drop_before(timed: Iterator[TimedFrame], start: Fraction) -> Iterator[TimedFrame]:
    """The frames from the one nearest to `start` (seconds) on."""
    return (frame for frame in timed if frame.time + frame.duration / 2 > start)


def resample(timed: Iterator[TimedFrame], start: Fraction, rate: Fraction) -> Iterator[TimedFrame]:
    """The frames that are on show at `start`, `start + 1/rate`, ..., each held until the next one's time.

    The next one is taken early where it is the nearer and less than half a step ahead: times that a container has
    rounded to its own clock would otherwise repeat one frame and lose the next.

    Args:
        timed: in the order of their times.
        start: seconds.
        rate: frames per second.
    """
    step = 1 / rate
    moment, held = start, None
    for frame in timed:
        while frame.time >= moment:
            early = frame.time - moment
            taken = frame if held is None or (early < step / 2 and early < moment - held.time) else held
            yield replace(taken, time=moment, duration=step)
            moment += step
        held = frame
    while held is not None and moment + step / 2 <= held.time + held.duration:
        yield replace(held, time=moment, duration=step)
        moment += step


def _choose(
    timed: Iterator[TimedFrame],
    start: Fraction,
    end: float | int | None,
    rate: Fraction | None,
    stride: int,
    frames: int | None,
) -> Iterator[TimedFrame]:
    chosen = drop_before(timed, start) if rate is None else resample(timed, start, rate)
    if end is not None:
        last = Fraction(end).limit_denominator(10**6)
        chosen = takewhile(lambda frame: frame.time + frame.duration / 2 <= last, chosen)
    return islice(islice(chosen, 0, None, stride), frames)


def choose_frames(
    path: Path | str,
    frames: int | None,
    *,
    start: float | int = 0.0,
    end: float | int | None = None,
    stride: int = 1,
    fps: float | int | Fraction | None = None,
) -> Int[np.ndarray, " f"]:
    """Which frames of the file `read_video` takes for the same arguments, counted from its first one.

    Raises:
        VideoError: as of `read_video`.
    """
    path, rate, begin = _checked_path(path), _checked_rate(fps), Fraction(start).limit_denominator(10**6)
    with closing(_iterate(path, Fraction(0), rate)) as timed:
        counted = (replace(frame, index=index) for index, frame in enumerate(timed))
        return np.array([frame.index for frame in _choose(counted, begin, end, rate, stride, frames)], int)


@dataclass(frozen=True, eq=False)
class Located:
    """Where the frames of a file are that `read_video` takes.

    Args:
        times: when each frame from about the start on is shown, seconds after the source's first one.
        chosen: which of them are taken, in order; one that is held comes repeatedly.
        fps: the rate at which these play at their true speed.
        start: when the first of these is shown, seconds.
    """

    times: Float[np.ndarray, " n"]
    chosen: Int[np.ndarray, " f"]
    fps: Fraction
    start: float


def locate_frames(
    path: Path | str,
    frames: int | None,
    *,
    start: float | int = 0.0,
    end: float | int | None = None,
    stride: int = 1,
    fps: float | int | Fraction | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> Located:
    """Where the frames are that `read_video` takes for the same arguments; all are decoded, and none is held.

    The frames are counted as `read_frames_at` counts them: from the first one that is decoded to find the start.

    Raises:
        VideoError: as of `read_video`; but a file with fewer frames than asked for has those that it has.
    """
    path, rate, begin = _checked_path(path), _checked_rate(fps), Fraction(start).limit_denominator(10**6)
    times: list[float] = []

    def counted(timed: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        for index, frame in enumerate(timed):
            times.append(float(frame.time))
            yield replace(frame, index=index)

    chosen: list[int] = []
    moments: list[Fraction] = []
    with closing(_iterate(path, begin, rate)) as timed:
        for frame in _choose(counted(timed), begin, end, rate, stride, frames):
            assert frame.index is not None
            if len(chosen) == MOST_FRAMES:
                raise VideoError(_too_large(path))
            chosen.append(frame.index)
            moments.append(frame.time)
            if on_frame is not None:
                on_frame(len(chosen))
    _require(len(chosen), 1, path, start, end, stride, rate)
    stated = rate or probe(path).fps
    return Located(np.array(times), np.array(chosen, int), _true_rate(moments, stated / stride), float(moments[0]))


def describe_gaps(times: Float[np.ndarray, " n"]) -> tuple[str, ...]:
    """Whether frames are missing where they come evenly elsewhere, as in a damaged file.

    Args:
        times: of the frames, seconds, rising.
    """
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > max(LONGEST_PAUSE, 4 * usual))
    if not len(gaps) or (np.abs(steps - usual) <= max(usual / 2, CLOCK)).mean() < EVEN:
        return ()
    at = int(gaps[0])
    more = f" ({len(gaps)} such gaps)" if len(gaps) > 1 else ""
    return (
        f"frames are missing: after {times[at]:.2f} s none comes for {steps[at]:.2f} s{more}, where the clip will jump "
        "or stand still: get the whole file, or take the part before or after",
    )


def _too_large(path: Path) -> str:
    return (
        f"{path} has more than the {LARGEST_CLIP // 2**30} GiB or {MOST_FRAMES} frames that a clip may: "
        "ask for fewer frames, a larger stride or a smaller size"
    )


def read_frames_at(
    path: Path | str,
    indices: Int[np.ndarray, " f"],
    *,
    start: float | int = 0.0,
    fps: float | int | Fraction | None = None,
) -> Generator[Shown, None, None]:
    """The frames with these rising indices, as `locate_frames` counts them for the same start and rate, one at a time.

    Each comes as a function that gives its pixels at the size of a fit, or whole for None: each size that is asked for
    is made of the frame itself.

    Raises:
        VideoError: as of `read_video`.
    """
    path, rate, begin = _checked_path(path), _checked_rate(fps), Fraction(start).limit_denominator(10**6)
    wanted = set(indices.tolist())
    with closing(_iterate(path, begin, rate)) as timed:
        for frame in islice(compress(timed, (index in wanted for index in count())), len(wanted)):
            yield partial(_fitted, frame)


def _fitted(frame: TimedFrame, fit: Fit | None) -> UInt8[np.ndarray, "h w 3"]:
    return frame.pixels(None) if fit is None else fit_frame(frame.pixels((fit.height, fit.width)), fit)


def _true_rate(times: list[Fraction], stated: Fraction) -> Fraction:
    """The stated rate, or a whole number, where it puts the last frame at its own time, else the mean.

    Files round times to their clock, of 1 ms in Matroska and WebP and 10 ms in GIF.
    """
    if len(times) < 2 or times[-1] <= times[0]:
        return stated
    span, steps = times[-1] - times[0], len(times) - 1
    for clock in (Fraction(1, 1000), Fraction(1, 100)):
        for candidate in (stated, Fraction(max(1, round(steps / span)))):
            if abs(steps / candidate - span) <= clock:
                return candidate
    return (steps / span).limit_denominator(10**6)


def read_video(
    path: Path | str,
    *,
    start: float | int = 0.0,
    end: float | int | None = None,
    frames: int | None = None,
    stride: int = 1,
    fps: float | int | Fraction | None = None,
    fit: Fit | None = None,
    minimum: int | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> Video:
    """The chosen frames of a video, an animated or single picture, or a folder of pictures.

    The source is decoded as a stream and only what was chosen is kept, fitted at once. Rotation flags, EXIF
    orientation and non-square pixels are applied. The rate of the result is that of the source (or `fps`) divided by
    the stride, so that it plays at its true speed; of a variable frame rate it is the mean, and `fps` makes it even.

    Args:
        path: the file or folder.
        start: seconds after the source's first frame; the frame nearest to it comes first.
        end: seconds after the source's first frame; None for the end of the source.
        frames: how many to keep; None keeps all up to the end.
        stride: keep every so many-th frame, at least 1.
        fps: choose frames by their presentation time at this many per second, above 0 and up to 1000, before the
            stride; pictures in a folder have no times of their own and play at this rate (30 unless given).
        fit: size to bring each frame to; None keeps the source's.
        minimum: with fewer frames than this the clip is of no use to the caller; as many as `frames` unless given.
        on_frame: called after each kept frame with how many there are by then.

    Raises:
        ConfigError: an argument is out of its range.
        VideoError: missing, no video, broken off before the last frame that was asked for, too short, or too large.
    """
    minimum = (frames or 1) if minimum is None else minimum
    if not (math.isfinite(start) and start >= 0) or stride < 1 or minimum < 1 or (frames is not None and frames < 1):
        raise ConfigError(
            "expected start of at least 0 s and frames, stride and minimum of at least 1, "
            f"got start {start}, frames {frames}, stride {stride}, minimum {minimum}"
        )
    path, rate, begin = _checked_path(path), _checked_rate(fps), Fraction(start).limit_denominator(10**6)
    kept: list[UInt8[np.ndarray, "h w 3"]] = []
    times: list[Fraction] = []
    size = 0
    with closing(_iterate(path, begin, rate)) as timed:
        for frame in _choose(timed, begin, end, rate, stride, frames):
            pixels = _fitted(frame, fit)
            size += pixels.nbytes
            if kept and pixels.shape != kept[0].shape:
                raise VideoError(
                    f"{path} changes its size after {counted(len(kept), 'frame')}: give a size to bring all of it to"
                )
            if size > LARGEST_CLIP or len(kept) == MOST_FRAMES:
                raise VideoError(_too_large(path))
            kept.append(pixels)
            times.append(frame.time)
            if on_frame is not None:
                on_frame(len(kept))
    _require(len(kept), minimum, path, start, end, stride, rate)
    stated = rate or probe(path).fps
    return Video(np.stack(kept), _true_rate(times, stated / stride), path, float(times[0]))


def _require(
    count: int,
    wanted: int,
    path: Path,
    start: float | int,
    end: float | int | None,
    stride: int,
    rate: Fraction | None,
) -> None:
    if count >= wanted:
        return
    if count == 0:
        length = probe(path).duration
        stated = "" if length is None else f" (it lasts {length:.2f} s)"
        until, remedy = ("on", "lower the start") if end is None else (f"to {end:g} s", "take a longer part of it")
        raise VideoError(f"{path} has no frames from {start:g} s {until}{stated}: {remedy}")
    pace = f" at {float(rate):g} frames per second" if rate else ""
    raise VideoError(
        f"{path} has {counted(count, 'frame')} from {start:g} s on with stride {stride}{pace}, expected {wanted}: "
        "lower the number of frames, the stride or the start, or give a longer clip"
    )
