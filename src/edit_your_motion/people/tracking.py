"""One person's way through a clip, out of everybody found in every frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.optimize import linear_sum_assignment

from edit_your_motion.errors import PersonError
from edit_your_motion.people.backends import PersonDetection
from edit_your_motion.people.keypoints import Keypoints

VISIBLE = 0.3
REACH = 0.75
"""How far a body may be from where it was expected, in units of its box's diagonal, one frame later."""


@dataclass(frozen=True)
class Track:
    """One person over a clip.

    Args:
        keypoints: confidence 0 in the frames that lack the person.
        masks: the person's pixels; empty in those frames.
        found: in which frames the person was found.
        people: how many people were seen in each frame.
        warnings: what a user should be told.
    """

    keypoints: Keypoints
    masks: Bool[np.ndarray, "f h w"]
    found: Bool[np.ndarray, "f"]
    people: Int[np.ndarray, "f"]
    warnings: tuple[str, ...] = ()


@dataclass
class _Path:
    """The detections of one person so far, by frame, in order."""

    steps: dict[int, PersonDetection] = field(default_factory=dict)

    @property
    def last_frame(self) -> int:
        return next(reversed(self.steps))

    @property
    def last(self) -> PersonDetection:
        return self.steps[self.last_frame]

    @property
    def area(self) -> float:
        return float(sum(np.prod(step.box[2:] - step.box[:2]) for step in self.steps.values()))

    def shift(self, frame: int) -> np.ndarray:
        """How far the person has moved until `frame` if it kept its last speed: x, y in pixels."""
        if len(self.steps) < 2:
            return np.zeros(2, np.float32)
        last, before = islice(reversed(self.steps), 2)
        moved = _centre(self.steps[last]) - _centre(self.steps[before])
        return moved * (frame - last) / (last - before)


def follow_person(
    detections: Sequence[Sequence[PersonDetection]],
    height: int,
    width: int,
    *,
    person: int | None = None,
    max_gap: int = 30,
    expected_share: float = 0.9,
) -> Track:
    """The way of one person through a clip.

    Args:
        detections: everybody in each frame, from a `PeopleBackend`.
        height: of the frames, pixels.
        width: of the frames, pixels.
        person: which one, counted from 1 from the left in the first frame that shows anybody; None takes the one whose
            box covers the most, summed over the clip.
        max_gap: a person who is unseen for more than this many frames is not taken up again.
        expected_share: of the frames; if fewer show the person, the track carries a warning, [0, 1].

    Raises:
        PersonError: nobody was found in any frame, or there is no such person.
    """
    paths = _link(detections, max_gap)
    if not paths:
        raise PersonError(
            f"expected a person in the clip, found nobody in any of {len(detections)} frames: use a clip that shows a "
            "whole person, lit well and not too small"
        )
    path = max(paths, key=lambda path: path.area) if person is None else _pick(paths, person)
    people = np.array([len(frame) for frame in detections])
    found = np.isin(np.arange(len(detections)), list(path.steps))
    masks = np.zeros((len(detections), height, width), bool)
    for frame, step in path.steps.items():
        if step.mask is not None:
            masks[frame] = step.mask
    body = _stack(path, len(detections), lambda step: step.body)
    assert body is not None
    hands = _stack(path, len(detections), lambda step: step.hands)
    face = _stack(path, len(detections), lambda step: step.face)
    keypoints = Keypoints(body, height, width, hands, face)
    return Track(keypoints, masks, found, people, _warn(path, people, found, masks, person, expected_share))


def compare_bodies(one: PersonDetection, other: PersonDetection, shift: Float32[np.ndarray, "2"]) -> float:
    """The mean distance of the joints that both show, in units of the larger box's diagonal, `one` moved by `shift`.

    Bodies that share no visible joint are compared by the centres of their boxes.
    """
    diagonal = max(float(np.hypot(*(person.box[2:] - person.box[:2]))) for person in (one, other))
    both = (one.body[:, 2] > VISIBLE) & (other.body[:, 2] > VISIBLE)
    apart = other.body[both, :2] - one.body[both, :2] if both.any() else (_centre(other) - _centre(one))[None]
    return float(np.linalg.norm(apart - shift, axis=1).mean()) / max(diagonal, 1e-9)


def _link(detections: Sequence[Sequence[PersonDetection]], max_gap: int) -> list[_Path]:
    """Everybody's path: in each frame the cheapest assignment of the people seen to the people known."""
    paths: list[_Path] = []
    for frame, people in enumerate(detections):
        alive = [path for path in paths if frame - path.last_frame <= max_gap + 1]
        taken = set()
        if alive and people:
            costs = np.array([[_cost(path, person, frame) for person in people] for path in alive])
            # A forbidden pair is dear, not infinite: the solver needs a complete assignment to exist.
            for row, column in zip(*linear_sum_assignment(np.minimum(costs, 1e6)), strict=True):
                if np.isfinite(costs[row, column]):
                    alive[row].steps[frame] = people[column]
                    taken.add(column)
        paths += [_Path({frame: person}) for column, person in enumerate(people) if column not in taken]
    return paths


def _cost(path: _Path, person: PersonDetection, frame: int) -> float:
    """How unlike this person is to the one on the path; infinite if they cannot be the same.

    A body is expected between where it was and where its speed would have brought it: the first holds for somebody who
    sways, the second tells people who pass each other apart.
    """
    still = compare_bodies(path.last, person, np.zeros(2, np.float32))
    moved = compare_bodies(path.last, person, path.shift(frame).astype(np.float32))
    if min(still, moved) > REACH * (frame - path.last_frame):
        return float("inf")
    return (still + moved) / 2


def _pick(paths: list[_Path], person: int) -> _Path:
    """The `person`-th path from the left among those that start in the first frame with people."""
    first = min(min(path.steps) for path in paths)
    starts = sorted((path for path in paths if first in path.steps), key=lambda path: _centre(path.steps[first])[0])
    if not 1 <= person <= len(starts):
        raise PersonError(
            f"expected a person from 1 to {len(starts)}, counted from the left in frame {first + 1} (the first that "
            f"shows anybody), got {person}"
        )
    return starts[person - 1]


def _warn(
    path: _Path,
    people: Int[np.ndarray, "f"],
    found: Bool[np.ndarray, "f"],
    masks: Bool[np.ndarray, "f h w"],
    person: int | None,
    expected_share: float,
) -> tuple[str, ...]:
    warnings = []
    if found.mean() < expected_share:
        warnings.append(f"the person was found in {found.sum()} of {len(found)} frames only")
    if person is None and people.max() > 1:
        warnings.append(f"up to {people.max()} people in a frame; the largest was taken, `person` chooses another")
    unmasked = sum(not masks[frame].any() for frame in path.steps)
    if unmasked:
        warnings.append(f"no mask in {unmasked} of the {found.sum()} frames that show the person")
    return tuple(warnings)


def _stack(
    path: _Path, frames: int, part: Callable[[PersonDetection], np.ndarray | None]
) -> Float32[np.ndarray, "f ... 3"] | None:
    """One part of the person over all frames, zeros where it is missing; None if it is missing everywhere."""
    parts = {frame: points for frame, step in path.steps.items() if (points := part(step)) is not None}
    if not parts:
        return None
    stacked = np.zeros((frames, *next(iter(parts.values())).shape), np.float32)
    stacked[list(parts)] = list(parts.values())
    return stacked


def _centre(person: PersonDetection) -> np.ndarray:
    return (person.box[:2] + person.box[2:]) / 2
