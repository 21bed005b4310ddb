"""What finds the people in a clip: the contract that every backend keeps."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

OnFrame = Callable[[int, int], None]
"""Called after each frame with how many frames are done and how many there are."""

AT_ONCE = 32
"""Frames that a backend is given together where it takes no stream."""


@dataclass(frozen=True)
class PersonDetection:
    """One person in one frame; points are (x, y, confidence) as in `Keypoints`.

    Args:
        box: left, top, right, bottom in pixels.
        score: how sure the backend is that this is a person, [0, 1].
        body: OpenPose-18, in the order of `BODY_JOINTS`.
        hands: left, right; None when the backend finds none.
        face: OpenPose's 70 points; None when the backend finds none.
        mask: the person's pixels; None when the backend finds none.
        look: shares of the colours of head, trunk and legs, see `add_looks`; None where nobody has looked.
    """

    box: Float32[np.ndarray, "4"]
    score: float
    body: Float32[np.ndarray, "18 3"]
    hands: Float32[np.ndarray, "2 21 3"] | None = None
    face: Float32[np.ndarray, "70 3"] | None = None
    mask: Bool[np.ndarray, "h w"] | None = None
    look: Float32[np.ndarray, "parts colours"] | None = None


def hide_outside(points: Float32[np.ndarray, "*n 3"], height: int, width: int) -> Float32[np.ndarray, "*n 3"]:
    """The points, with confidence 0 for those that lie outside a frame of `height` x `width`."""
    places = points[..., :2]
    inside = ((places >= 0) & (places < (width, height))).all(axis=-1, keepdims=True)
    return np.where(inside, points, points * np.array([1, 1, 0], np.float32))


@runtime_checkable
class PeopleBackend(Protocol):
    """Finds everybody in every frame.

    Args:
        name: what `load_backend` calls it.
    """

    name: str

    def detect(
        self, frames: UInt8[np.ndarray, "f h w 3"], *, on_frame: OnFrame | None = None
    ) -> list[list[PersonDetection]]:
        """The people in each frame, in no particular order; consecutive frames are taken to be one shot."""
        ...


@runtime_checkable
class StreamingBackend(PeopleBackend, Protocol):
    """One that takes frames as they come, and knows in each what was in those before."""

    def follow(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[list[PersonDetection]]:
        """The people in each frame of one shot, in order; it may lag behind the frames that it has taken."""
        ...


def detect_in_stream(
    backend: PeopleBackend, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
) -> Iterator[list[PersonDetection]]:
    """The people in each frame, of which few are held at a time, whatever the backend."""
    if isinstance(backend, StreamingBackend):
        yield from backend.follow(frames)
        return
    coming = iter(frames)
    while batch := list(islice(coming, AT_ONCE)):
        yield from backend.detect(np.stack(batch))


@runtime_checkable
class PersonSegmenter(Protocol):
    """Finds the pixels of a person whose whereabouts are known."""

    def segment(
        self, frame: UInt8[np.ndarray, "h w 3"], box: Float32[np.ndarray, "4"]
    ) -> Bool[np.ndarray, "h w"] | None:
        """The pixels of the person in the box (left, top, right, bottom); None if nobody is there."""
        ...
