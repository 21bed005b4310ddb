"""One person's way through a clip, out of everybody found in every frame.

In each frame the people seen are assigned to the people known, all at once, by where these are expected and, where the
detections have looks, by what they look like. Then ways that end are joined to ways that begin later and look the same:
somebody who left the picture, or was behind another one for long. Where two people could as well be each other, the
track says so and names the frames.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.optimize import linear_sum_assignment

from edit_your_motion.errors import PersonError
from edit_your_motion.people.clip_warnings import Concern, list_numbers
from edit_your_motion.people.finders.blazepose_detector import overlap
from edit_your_motion.people.finders.contract import PersonDetection
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.tracking.appearance import compare_looks, mean_look

VISIBLE = 0.3
MAX_GAP = 30
"""Frames for which somebody may be unseen and is taken up again."""
REACH = 0.75
"""How far a body may be from where it was expected, in units of its box's diagonal, one frame later."""

ALIKE, OTHER = 0.35, 0.65
"""Up to and from which distance two looks are of one person and of two: of rendered people before and after they pass
each other, one person's are 0.08 to 0.25 apart and two people's 0.73 to 0.79."""

UNKNOWN = 0.3
"""The distance of looks that one of two detections does not show."""

CONTINUOUS = 0.15
"""How far, in diagonals, a body that moves on from one frame to the next goes; somebody who does is the same, even if
the light changes."""

DOUBT = 0.2
"""How much dearer, in the costs of `_link`, another assignment must be for this one to be sure."""

STEPS = 5
"""The last steps whose median is a person's speed: one misread body does not change it."""

SHORTEST_SHARE = 0.25
"""Share of the frames in which somebody must be there to be counted; at least two frames."""


@dataclass(frozen=True)
class Gathering:
    """The people among whom one is chosen, in a frame that shows as many of them as any.

    Args:
        frame: of the clip, from 0.
        boxes: left, top, right, bottom by a person's number, in widths and heights of the picture.
    """

    frame: int
    boxes: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True)
class Track:
    """One person over a clip.

    Args:
        keypoints: confidence 0 in the frames that lack the person.
        masks: the person's pixels, at the size of the detections' masks; empty in those frames.
        found: in which frames the person was found.
        people: how many people were seen in each frame.
        doubtful: in which frames another person could be the one.
        warnings: what a user should be told.
        gathering: everybody; None where nobody has looked.
    """

    keypoints: Keypoints
    masks: Bool[np.ndarray, "f h w"]
    found: Bool[np.ndarray, "f"]
    people: Int[np.ndarray, "f"]
    warnings: tuple[str, ...] = ()
    doubtful: tuple[int, ...] = ()
    gathering: Gathering | None = None

    def take(self, frames: Int[np.ndarray, " g"]) -> "Track":
        """The frames with these rising indices; doubt in others goes to the next of them."""
        last = len(frames) - 1
        doubtful = sorted({min(int(np.searchsorted(frames, frame)), last) for frame in self.doubtful})
        every = np.array_equal(frames, np.arange(len(self.masks)))  # a copy would be as large again
        keypoints, masks = self.keypoints.take(frames), self.masks if every else self.masks[frames]
        found, people, together = self.found[frames], self.people[frames], self.gathering
        if together is not None:
            together = replace(together, frame=min(int(np.searchsorted(frames, together.frame)), last))
        return Track(keypoints, masks, found, people, self.warnings, tuple(doubtful), together)


@dataclass(eq=False)
class _Path:
    """The detections of one person so far, by frame, in order."""

    steps: dict[int, PersonDetection] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    look: Float32[np.ndarray, "parts colours"] | None = None

    def add(self, frame: int, person: PersonDetection) -> None:
        """Goes on to `person`; what they look like is the mean of their last looks."""
        self.steps[frame] = person
        looks = [step.look for step in list(self.steps.values())[-2 * STEPS :] if step.look is not None]
        self.look = mean_look(looks)

    @property
    def first_frame(self) -> int:
        return next(iter(self.steps))

    @property
    def last_frame(self) -> int:
        return next(reversed(self.steps))

    @property
    def last(self) -> PersonDetection:
        return self.steps[self.last_frame]

    @property
    def area(self) -> float:
        return float(sum(np.prod(step.box[2:] - step.box[:2]) for step in self.steps.values()))

    @property
    def sureness(self) -> float:
        """The mean confidence of the joints, summed over the frames."""
        return float(sum(step.body[:, 2].mean() for step in self.steps.values()))

    def shift(self, frame: int) -> np.ndarray:
        """How far the person has moved until `frame` if it kept its speed: x, y in pixels."""
        recent = list(self.steps.items())[-STEPS:]
        speeds = [(_centre(here) - _centre(before)) / (now - then) for (then, before), (now, here) in pairwise(recent)]
        return np.median(speeds, axis=0) * (frame - self.last_frame) if speeds else np.zeros(2, np.float32)


def follow_person(
    detections: Sequence[Sequence[PersonDetection]],
    height: int,
    width: int,
    *,
    person: int | None = None,
    max_gap: int = MAX_GAP,
    expected_share: float = 0.9,
    kept: Bool[np.ndarray, " f"] | None = None,
    near: Keypoints | None = None,
) -> Track:
    """The way of one person through a clip.

    Args:
        detections: everybody in each frame, from a `PeopleBackend`; with looks (`add_looks`), people are told apart
            by these too.
        height: of the frames, pixels.
        width: of the frames, pixels.
        person: which one, counted from 1 from the left in the first frame that shows anybody, and then in the order in
            which they come; None takes the one whose box covers the most, summed over the clip.
        max_gap: a person who is unseen for more than this many frames is taken up again by their look only.
        expected_share: of the frames; if fewer show the person, the track carries a warning, [0, 1].
        kept: the frames that warnings and errors speak of; the others only help to follow. None keeps all.
        near: where the person is to be; without `person`, whoever covers that best is taken before the largest.

    Raises:
        PersonError: nobody was found in any frame, or there is no such person.
    """
    people, lasting = _survey(_link(detections, max_gap), len(detections))
    paths = _join(_link([[one for one in frame if id(one) in people] for frame in detections], max_gap, lasting))
    if not paths:
        raise PersonError(
            f"expected a person in the clip, found nobody in any of {len(detections)} frames: use a clip that shows a "
            "whole person, lit well and not too small"
        )
    if kept is None:
        kept = np.ones(len(detections), bool)
    everybody = _count(paths, len(detections))
    if person is None:
        path = max(everybody, key=lambda path: (0.0 if near is None else _cover(path, near), path.area))
    else:
        path = _pick(everybody, person, kept)
    counts = np.array([len(frame) for frame in detections])
    found = np.isin(np.arange(len(detections)), list(path.steps))
    seen = {frame: step.mask for frame, step in path.steps.items() if step.mask is not None}
    masks = np.zeros((len(detections), *next((mask.shape for mask in seen.values()), (height, width))), bool)
    for frame, mask in seen.items():
        masks[frame] = mask
    body = _stack(path, len(detections), lambda step: step.body)
    assert body is not None
    hands = _stack(path, len(detections), lambda step: step.hands)
    face = _stack(path, len(detections), lambda step: step.face)
    keypoints = Keypoints(body, height, width, hands, face)
    masked = np.asarray(masks.any(axis=(1, 2)))
    warnings = _warn(path, everybody, found[kept], masked[kept], kept, person, expected_share)
    gathering = _gather(everybody, kept, height, width)
    return Track(keypoints, masks, found, counts, warnings, tuple(sorted(path.doubtful)), gathering)


def compare_bodies(one: PersonDetection, other: PersonDetection, shift: Float32[np.ndarray, "2"]) -> float:
    """The mean distance of the joints that both show, in units of the larger box's diagonal, `one` moved by `shift`.

    Bodies that share no visible joint are compared by the centres of their boxes.
    """
    diagonal = max(float(np.hypot(*(person.box[2:] - person.box[:2]))) for person in (one, other))
    both = (one.body[:, 2] > VISIBLE) & (other.body[:, 2] > VISIBLE)
    apart = other.body[both, :2] - one.body[both, :2] if both.any() else (_centre(other) - _centre(one))[None]
    return float(np.linalg.norm(apart - shift, axis=1).mean()) / max(diagonal, 1e-9)


def _survey(paths: list[_Path], frames: int) -> tuple[set[int], set[int]]:
    """The detections, by identity, of no body that is found over another one all along; and of who lasts, of these."""
    people: list[_Path] = []
    for path in sorted(paths, key=lambda path: -path.sureness):  # of a body found twice, the better finding
        if not any(_is_double(path, other) for other in people):
            people.append(path)
    every, lasting = (
        {id(step) for path in chosen for step in path.steps.values()} for chosen in (people, _count(people, frames))
    )
    return every, lasting


def _link(detections: Sequence[Sequence[PersonDetection]], max_gap: int, lasting: Collection[int] = ()) -> list[_Path]:
    """Everybody's path: in each frame the cheapest assignment of the people seen to the people known.

    Args:
        detections: everybody in each frame.
        max_gap: frames after which a path is not gone on with.
        lasting: the detections, by identity, of those whom another person can be taken for.
    """
    paths: list[_Path] = []
    for frame, people in enumerate(detections):
        alive = [path for path in paths if frame - path.last_frame <= max_gap + 1]
        taken: dict[int, _Path] = {}
        if alive and people:
            costs = np.array([[_cost(path, person, frame) for person in people] for path in alive])
            # A forbidden pair is dear, not infinite: the solver needs a complete assignment to exist.
            assigned = zip(*(index.tolist() for index in linear_sum_assignment(np.minimum(costs, 1e6))), strict=True)
            pairs = [(row, column) for row, column in assigned if np.isfinite(costs[row, column])]
            known = [id(path.last) in lasting for path in alive]
            for row in _find_doubtful(costs, pairs, known, [id(person) in lasting for person in people]):
                alive[row].doubtful.add(frame)
            taken = {column: alive[row] for row, column in pairs}
        for column, person in enumerate(people):
            path = taken.get(column)
            if path is None:
                path = _Path()
                paths.append(path)
            path.add(frame, person)
    return paths


def _cost(path: _Path, person: PersonDetection, frame: int) -> float:
    """How unlike this person is to the one on the path; infinite if they cannot be the same.

    A body is expected between where it was and where its speed would have brought it: the first holds for somebody who
    sways, the second tells people who pass each other apart. To that comes the distance of the looks.
    """
    gap = frame - path.last_frame
    still = compare_bodies(path.last, person, np.zeros(2, np.float32))
    moved = compare_bodies(path.last, person, path.shift(frame).astype(np.float32))
    nearest = min(still, moved)
    looks = compare_looks(path.look, person.look)
    if nearest > REACH * gap or (looks is not None and looks > OTHER and (gap > 1 or nearest > CONTINUOUS)):
        return float("inf")
    return (still + moved) / 2 + (UNKNOWN if looks is None else looks)


def _find_doubtful(
    costs: Float[np.ndarray, "known seen"],
    pairs: Sequence[tuple[int, int]],
    known_lasting: Sequence[bool],
    seen_lasting: Sequence[bool],
) -> set[int]:
    """The known people who, in a frame, could as well be somebody else of the seen, or whom another could be."""
    doubtful = set()
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    for row, column in pairs:
        sure = costs[row, column] + DOUBT
        if any(costs[row, other] < sure for other, lasts in enumerate(seen_lasting) if lasts and other not in columns):
            doubtful.add(row)
        for other, lasts in enumerate(known_lasting):
            if lasts and other not in rows and costs[other, column] < sure:
                doubtful |= {row, other}
        for other, elsewhere in pairs:
            exchanged = costs[row, elsewhere] + costs[other, column]
            if known_lasting[other] and other != row and exchanged < sure + costs[other, elsewhere]:
                doubtful |= {row, other}
    return doubtful


def _join(paths: list[_Path]) -> list[_Path]:
    """The paths, with those joined end to beginning that look like one person, and like nobody else."""
    looks = [mean_look([step.look for step in path.steps.values() if step.look is not None]) for path in paths]
    apart = np.full((len(paths), len(paths)), np.inf)
    for one in range(len(paths)):
        for other in range(len(paths)):
            distance = compare_looks(looks[one], looks[other]) if one != other else None
            apart[one, other] = np.inf if distance is None else distance
    after = np.array([[one.last_frame < other.first_frame for other in paths] for one in paths], bool).reshape(
        apart.shape
    )
    # Who is there at the same time is somebody else; one who looks the same could be taken for them.
    unique = np.minimum.outer(*2 * [np.where(after | after.T, np.inf, apart).min(axis=1, initial=np.inf)])
    costs = np.where(after & (apart < ALIKE) & (apart + DOUBT < unique), apart, 1e6)
    following = {
        int(one): int(other)
        for one, other in zip(*linear_sum_assignment(costs), strict=True)
        if costs[one, other] < ALIKE
    }
    joined = []
    for first in sorted(set(range(len(paths))) - set(following.values())):
        chain = [first]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        joined.append(
            _Path(
                {frame: step for one in chain for frame, step in paths[one].steps.items()},
                {frame for one in chain for frame in paths[one].doubtful},
                looks[first],
            )
        )
    return joined


def _count(paths: list[_Path], frames: int) -> list[_Path]:
    """Everybody who is there for long enough, in the order of their numbers."""
    least = min(max(2, SHORTEST_SHARE * frames), max((len(path.steps) for path in paths), default=0))
    people = [path for path in paths if len(path.steps) >= least]
    return sorted(people, key=lambda path: (path.first_frame, _centre(path.steps[path.first_frame])[0]))


def _gather(everybody: list[_Path], kept: Bool[np.ndarray, " f"], height: int, width: int) -> Gathering:
    frame = max(np.flatnonzero(kept).tolist(), key=lambda frame: sum(frame in path.steps for path in everybody))
    boxes = {number: path.steps[frame].box for number, path in enumerate(everybody, 1) if frame in path.steps}
    return Gathering(
        frame, {number: tuple((box / (width, height, width, height)).tolist()) for number, box in boxes.items()}
    )


def _is_double(path: _Path, other: _Path) -> bool:
    """Whether the path is of a body that the other has already: most of its boxes lie over the other's."""
    shared = [(step.box, other.steps[frame].box) for frame, step in path.steps.items() if frame in other.steps]
    overlaps = [
        np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
        / max(min(np.prod(one[2:] - one[:2]), np.prod(two[2:] - two[:2])), 1e-9)
        for one, two in shared
    ]
    return len(shared) > len(path.steps) / 2 and float(np.median(overlaps)) > 0.8


def _cover(path: _Path, near: Keypoints) -> float:
    """How well the boxes of a path lie on those of the keypoints: intersection over union, summed over its frames."""
    covered = 0.0
    for frame, step in path.steps.items():
        points = near.body[frame, near.body[frame, :, 2] > 0, :2]
        if len(points):
            wanted = np.stack([points.min(axis=0), points.max(axis=0)])
            covered += float(overlap(wanted, step.box.reshape(1, 2, 2))[0])
    return covered


def _pick(people: list[_Path], person: int, kept: Bool[np.ndarray, " f"]) -> _Path:
    """The `person`-th of the people, from 1."""
    if not 1 <= person <= len(people):
        raise PersonError(
            f"expected a person from 1 to {len(people)}, counted from the left in frame "
            f"{_numbers([people[0].first_frame], kept)[0]} (the first that shows anybody) and then as they "
            f"come, got {person}"
        )
    return people[person - 1]


def _numbers(frames: list[int], kept: Bool[np.ndarray, " f"]) -> Int[np.ndarray, " n"]:
    """The numbers, from 1, that frames have among those kept; one that is not has that of the next."""
    before = np.cumsum(kept) - kept
    return np.unique(np.minimum(before[frames], kept.sum() - 1)) + 1


def _warn(
    path: _Path,
    everybody: list[_Path],
    found: Bool[np.ndarray, "f"],
    masked: Bool[np.ndarray, "f"],
    kept: Bool[np.ndarray, " all"],
    person: int | None,
    expected_share: float,
) -> tuple[str, ...]:
    warnings = list[str]()
    if found.mean() < expected_share:
        few = f"the person was found in {found.sum()} of {len(found)} frames only"
        warnings.append(Concern(few, np.flatnonzero(~found)))
    if person is None and len(everybody) > 1:
        warnings.append(
            f"{len(everybody)} people; the largest, number {everybody.index(path) + 1} from the left, was taken, "
            "--people.person or --people.reference-person chooses another"
        )
    if path.doubtful:
        close = _numbers(sorted(path.doubtful), kept)
        confused = (
            "somebody else may have been taken for the person where people are close, from frame "
            f"{list_numbers(close)} on: look at the skeletons; give keypoints and masks corrected by hand, or take "
            "other frames"
        )
        warnings.append(Concern(confused, close - 1))
    unmasked = found & ~masked
    if unmasked.any():
        without = f"no mask in {unmasked.sum()} of the {found.sum()} frames that show the person"
        warnings.append(Concern(without, np.flatnonzero(unmasked)))
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
