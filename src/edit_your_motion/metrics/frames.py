"""Videos as streams of frames: checked, paired, windowed and resized, and never held whole."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from PIL import Image

from edit_your_motion.errors import InputError, VideoError

Frames: TypeAlias = Iterable[np.ndarray]
"""RGB frames: one uint8 array (f, h, w, 3), or an iterable of such arrays, all of one resolution."""

Masks: TypeAlias = Iterable[np.ndarray]
"""Person masks, true on the person: one bool array (f, h, w), or an iterable of such arrays."""

BATCH = 4
"""Frames in memory at a time, which SSIM multiplies by some thirty; no result depends on it."""


@dataclass(frozen=True)
class FrameStream:
    """Frames that can be read more than once: every `iter()` opens the source afresh.

    Args:
        open: returns a new iterable of arrays (f, h, w, 3), for example a decoder at its first frame.
    """

    open: Callable[[], Iterable[np.ndarray]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.open())


def iterate_frames(frames: Frames) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames one by one, checked.

    Raises:
        VideoError: something else than uint8 RGB, or a change of resolution.
    """
    return _iterate_items(frames, np.dtype(np.uint8), (3,), "RGB frames as uint8 (f, h, w, 3)")


def iterate_masks(masks: Masks) -> Iterator[Bool[np.ndarray, "h w"]]:
    """The masks one by one, checked.

    Raises:
        VideoError: something else than bool (f, h, w), or a change of resolution.
    """
    return _iterate_items(masks, np.dtype(np.bool_), (), "masks as bool (f, h, w)")


def iterate_batches(frames: Frames, size: int = BATCH) -> Iterator[UInt8[np.ndarray, "_ h w 3"]]:
    """The frames in batches of `size`, the last one perhaps shorter."""
    single = iterate_frames(frames)
    while batch := list(islice(single, size)):
        yield np.stack(batch)


def iterate_together(*streams: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
    """The same-numbered frames (or masks) of several streams.

    Raises:
        VideoError: the streams differ in length or resolution, or are empty.
    """
    count = 0
    for items in zip_longest(*streams):
        if any(item is None for item in items):
            raise VideoError(
                f"expected videos of the same length, but one ends after {count} frames and another goes on: "
                "cut both to the same frames"
            )
        if len({item.shape[:2] for item in items}) > 1:
            sizes = " and ".join(f"{item.shape[1]}x{item.shape[0]}" for item in items)
            raise VideoError(f"expected videos of the same resolution, got {sizes}: bring them to one size")
        count += 1
        yield items
    if not count:
        raise VideoError("expected at least one frame, got none")


def iterate_windows(frames: Frames, length: int, stride: int = 1) -> Iterator[UInt8[np.ndarray, "length h w 3"]]:
    """Every run of `length` successive frames whose first frame is a multiple of `stride`."""
    window: deque[np.ndarray] = deque(maxlen=length)
    for index, frame in enumerate(iterate_frames(frames)):
        window.append(frame)
        first = index + 1 - length
        if first >= 0 and first % stride == 0:
            yield np.stack(window)


def measure_pairs(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray], left: Frames, right: Frames, size: int = BATCH
) -> Float64[np.ndarray, "f"]:
    """`metric`, which maps two batches to one value for each pair of frames, over two whole videos."""
    pairs = iterate_together(iterate_frames(left), iterate_frames(right))
    values = []
    while batch := list(islice(pairs, size)):
        ours, theirs = zip(*batch, strict=True)
        values.append(np.asarray(metric(np.stack(ours), np.stack(theirs)), np.float64))
    return np.concatenate(values)


def resize_frames(frames: Frames, height: int, width: int) -> FrameStream:
    """The frames at `height` x `width` pixels, PIL bicubic, frames of that size untouched."""

    def resize() -> Iterator[np.ndarray]:
        for frame in iterate_frames(frames):
            yield resize_frame(frame, height, width)[None]

    return FrameStream(resize)


def resize_frame(frame: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """One frame at `height` x `width` pixels, PIL bicubic (which averages when it shrinks)."""
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def describe_frames(frames: Frames) -> tuple[int, int, int]:
    """The number of frames, their height and their width.

    Raises:
        VideoError: no frames, or not frames.
    """
    count, height, width = 0, 0, 0
    for frame in iterate_frames(frames):
        count, (height, width) = count + 1, frame.shape[:2]
    if not count:
        raise VideoError("expected at least one frame, got none")
    return count, height, width


def check_readable_again(frames: Frames | Masks) -> None:
    """Passes where every `iter(frames)` starts at the first frame.

    Raises:
        InputError: an iterator, which could be read only once.
    """
    if iter(frames) is frames:
        raise InputError(
            "expected frames that can be read again (an array, a list of batches, a `FrameStream`), "
            "got an iterator that would be empty at the second metric: wrap its opening in `FrameStream`"
        )


def _iterate_items(
    stream: Iterable[np.ndarray], dtype: np.dtype, trailing: tuple[int, ...], expected: str
) -> Iterator[np.ndarray]:
    shape: tuple[int, ...] | None = None
    for batch in [stream] if isinstance(stream, np.ndarray) else stream:
        fits = isinstance(batch, np.ndarray) and batch.dtype == dtype and batch.ndim == 3 + len(trailing)
        if not fits or batch.shape[3:] != trailing:
            got = f"{batch.dtype} {batch.shape}" if isinstance(batch, np.ndarray) else type(batch).__name__
            raise VideoError(f"expected {expected}, got {got}: convert before measuring")
        if shape not in (None, batch.shape[1:]):
            raise VideoError(f"expected {expected} of one resolution, got {shape} and then {batch.shape[1:]}")
        shape = batch.shape[1:]
        yield from batch
