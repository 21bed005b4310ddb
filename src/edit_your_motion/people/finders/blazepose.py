"""People by BlazePose: keypoints and masks of everybody in a frame, on one CPU core.

The networks are MediaPipe's published files; what reads them (anchors, regions, heatmaps, tracking) is ours.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from scipy import ndimage
from scipy.special import expit

from edit_your_motion.errors import ConfigError
from edit_your_motion.models.downloads import Progress
from edit_your_motion.people.finders.blazepose_detector import SIZE, decode, lay_anchors, merge_overlapping
from edit_your_motion.people.finders.contract import OnFrame, PersonDetection, hide_outside
from edit_your_motion.people.finders.face import FaceReader
from edit_your_motion.people.finders.hands import HandReader
from edit_your_motion.people.finders.litert import as_input, open_network, run_network
from edit_your_motion.people.finders.mask_edges import REACH, lay_along_edges
from edit_your_motion.people.finders.region import Region, tile
from edit_your_motion.people.keypoints import FACE_POINTS

MODELS = ("full", "heavy", "lite")
LANDMARK_SIZE = 256
BODY_LANDMARKS = 33
CENTRE, TOP = 33, 34
NOSE, LEFT_EAR, RIGHT_EAR, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 7, 8, 11, 12
OPENPOSE_SOURCES = (NOSE, LEFT_SHOULDER, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
"""Which landmark each OpenPose joint takes; the neck is put between the shoulders afterwards."""
FACE_JOINTS = (0, 14, 15)
REGION_MARGIN = 1.25
DETECTOR_SCORE = 0.2
"""Low, since the landmark network judges afterwards: the detector is unsure of small people beside large ones."""
TILE_PARTS = (2, 4)
TILE_QUALITY = 0.75
TILE_OVERLAP = 0.4
TILE_FRAMES = 8
"""While nobody is seen, the tiles are searched in every so many frames only."""
ARRIVAL_FRAMES = 32
"""In every so many frames the large tiles are searched for people who have come since."""

DETECTOR_FRAMES = 3
"""While everybody is followed well, the detector looks at every so many-th frame only."""
FOLLOWED_QUALITY = 0.7
"""Somebody read less well than this, before or now, is not followed well."""

LAG = 4
"""Frames whose bodies are read before hands and faces of an earlier one must be."""


@dataclass(frozen=True)
class Reading:
    """What the landmark network sees in a region.

    Args:
        points: x, y, z of 39 landmarks in pixels of the picture; z grows away from the camera.
        confidence: of each landmark, [0, 1]: that it is in the picture and in sight.
        score: that there is a person, [0, 1].
        mask: how much each cell of the region belongs to the person, [0, 1].
        region: where all this was read.
    """

    points: Float[np.ndarray, "39 3"]
    confidence: Float[np.ndarray, "39"]
    score: float
    mask: Float[np.ndarray, "256 256"]
    region: Region

    @cached_property
    def next_region(self) -> Region:
        """Where to look for the same person again."""
        return Region.about(self.points[CENTRE, :2], self.points[TOP, :2], REGION_MARGIN)

    @property
    def quality(self) -> float:
        """How sure the network is of the whole body, [0, 1]: the score alone is near 1 for half a body too."""
        return self.score * float(self.confidence[:BODY_LANDMARKS].mean())

    def distance(self, other: "Reading") -> float:
        """The mean distance of the two bodies' landmarks in units of the larger region's side."""
        apart = np.linalg.norm(self.points[:BODY_LANDMARKS, :2] - other.points[:BODY_LANDMARKS, :2], axis=1)
        return float(apart.mean() / max(self.region.side, other.region.side))

    def covers(self, places: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
        """Which points of the picture, pixels, lie in this person's mask."""
        size = len(self.mask)
        cells = np.floor(self.region.from_picture(places) * size).astype(int)
        inside = ((cells >= 0) & (cells < size)).all(axis=1)
        columns, rows = np.clip(cells, 0, size - 1).T
        return inside & (self.mask[rows, columns] > 0.5)

    def share_inside(self, other: "Reading") -> float:
        """The share of this person's mask that lies in the other's, [0, 1]."""
        cells = np.argwhere(self.mask > 0.5)[:, ::-1]
        inside = other.covers(self.region.to_picture((cells + 0.5) / len(self.mask)))
        return float(inside.sum() / max(len(cells), 1))

    def overlap(self, other: "Reading") -> float:
        """The largest share of one's mask, or of this one's landmarks, in the other's mask, [0, 1]."""
        landmarks = float(other.covers(self.points[:BODY_LANDMARKS, :2]).mean())
        return max(self.share_inside(other), other.share_inside(self), landmarks)


class BlazePose:
    """Finds people with BlazePose's detector and reads each one's keypoints and mask.

    Args:
        model: one of `MODELS`; "heavy" is more exact and slower than "full", "lite" the opposite.
        fetch: download the model files if they are absent.
        num_threads: that the networks may use.
        min_score: a region that the landmark network scores lower holds nobody; [0, 1].
        progress: told of downloads.
        hands: read the points of everybody's hands too.
        face: and of their faces.

    Raises:
        ConfigError: there is no such model.
        ModelFileError: a model file is absent and may not be, or cannot be, fetched.
    """

    name = "blazepose"

    def __init__(
        self,
        model: str = "full",
        *,
        fetch: bool = False,
        num_threads: int = 1,
        min_score: float = 0.5,
        progress: Progress | None = None,
        hands: bool = False,
        face: bool = False,
    ) -> None:
        if model not in MODELS:
            raise ConfigError(f"expected a BlazePose model of {', '.join(MODELS)}, got '{model}'")
        self.min_score = min_score
        options: Any = {"fetch": fetch, "num_threads": num_threads, "progress": progress}
        self._detector, self._landmarker = (
            open_network(name, **options) for name in ("pose-detection", f"pose-landmark-{model}")
        )
        self._hands = HandReader(**options) if hands else None
        self._face = FaceReader(**options) if face else None
        self._anchors = lay_anchors()

    def detect(
        self, frames: UInt8[np.ndarray, "f h w 3"], *, on_frame: OnFrame | None = None
    ) -> list[list[PersonDetection]]:
        """The people in each frame, with masks; a person found in one frame is looked for there in the next.

        Args:
            frames: of one shot, in order.
            on_frame: called after each frame with how many are done and how many there are.
        """
        people: list[list[PersonDetection]] = []
        for found in self.follow(frames):
            people.append(found)
            if on_frame is not None:
                on_frame(len(people), len(frames))
        return people

    def follow(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[list[PersonDetection]]:
        """The same of frames that come one by one; masks, hands and faces are read beside the next frames' bodies.

        Args:
            frames: of one shot, in order; a few are held at a time.
        """
        readings: list[Reading] = []
        described: list[tuple[Reading, PersonDetection]] = []
        empty = 0

        def describe(
            picture: Image.Image, readings: list[Reading], bodies: list[Future[PersonDetection]]
        ) -> list[PersonDetection]:
            found = [self._read_hands_and_face(picture, reading, described) for reading in readings]
            people = [
                replace(body.result(), hands=hands, face=face)
                for body, (hands, face) in zip(bodies, found, strict=True)
            ]
            described[:] = zip(readings, people, strict=True)
            return people

        with ThreadPoolExecutor(1, "masks") as aside, ThreadPoolExecutor(1, "hands-and-face") as beside:
            waiting: deque[Future[list[PersonDetection]]] = deque()
            for number, frame in enumerate(frames):
                picture = Image.fromarray(frame)
                regions = [reading.next_region for reading in readings]
                arrivals = number % ARRIVAL_FRAMES == 0
                follows = number % DETECTOR_FRAMES > 0 and not arrivals and are_clear(readings)
                followed = self._follow(picture, regions) if follows else []
                readings = followed or self._read_people(
                    picture, regions, search_tiles=empty % TILE_FRAMES == 0, arrivals=arrivals
                )
                empty = 0 if readings else empty + 1
                bodies = [aside.submit(describe_person, reading, frame) for reading in readings]
                waiting.append(beside.submit(describe, picture, readings, bodies))
                while len(waiting) > LAG or (waiting and waiting[0].done()):
                    yield waiting.popleft().result()
            for found in waiting:
                yield found.result()

    def segment(
        self, frame: UInt8[np.ndarray, "h w 3"], box: Float32[np.ndarray, "4"]
    ) -> Bool[np.ndarray, "h w"] | None:
        """The pixels of the person in the box (left, top, right, bottom); None if nobody is there."""
        picture = Image.fromarray(frame)
        left, top, right, bottom = map(float, box)
        region = Region((left + right) / 2, (top + bottom) / 2, REGION_MARGIN * max(right - left, bottom - top, 1.0))
        reading = self._read(picture, region)
        # A box says nothing about where the hips are; the first reading does.
        better = reading and self._read(picture, reading.next_region)
        return describe_person(better, frame).mask if better else None

    def read_people(
        self,
        frame: UInt8[np.ndarray, "h w 3"],
        regions: list[Region],
        *,
        search_tiles: bool = True,
        arrivals: bool = False,
    ) -> list[Reading]:
        """Everybody in a frame, best first.

        The detector looks at the whole of it; over 24 frames of each of three clips its regions were read as exactly as
        those that follow from the frame before.

        Args:
            frame: the picture.
            regions: where people were before; read where the detector sees nobody now.
            search_tiles: let the detector look at parts of the frame too: at a few where nobody was known before, and
                at some fifty where then nobody, or only small people, are found.
            arrivals: let it look at a few parts in any case.
        """
        return self._read_people(Image.fromarray(frame), regions, search_tiles=search_tiles, arrivals=arrivals)

    def _read_people(
        self, picture: Image.Image, regions: list[Region], *, search_tiles: bool, arrivals: bool
    ) -> list[Reading]:
        width, height = picture.size
        readings = self._read_all(picture, self._search(picture, Region.around(height, width)))
        lost = [region for region in regions if not any(region.is_near(reading.region) for reading in readings)]
        readings = distinct([*readings, *self._read_all(picture, lost)])
        for parts in TILE_PARTS:
            # The detector is blind to people much smaller than its picture, and misses some beside others.
            large = parts == TILE_PARTS[0]
            small_people = all(reading.region.side < max(height, width) / TILE_PARTS[0] for reading in readings)
            wanted = search_tiles and (not readings or (not regions and (large or small_people)))
            if wanted or (arrivals and large):
                found = [region for part in tile(height, width, parts) for region in self._search(picture, part)]
                sure: list[Reading] = []
                for region in found:
                    # Tiles overlap by half, so that most people are found several times.
                    if not any(region.is_near(reading.region) for reading in (*readings, *sure)):
                        sure += [one for one in self._read_all(picture, [region]) if one.quality > TILE_QUALITY]
                # A tile may cut a body and so show another one, wherever its joints, in the whole one's place.
                extra = distinct(sure, suspicious=np.inf, shared=TILE_OVERLAP)
                known = tuple(readings)
                readings += [one for one in extra if all(one.overlap(other) < TILE_OVERLAP for other in known)]
        return readings

    def _follow(self, picture: Image.Image, regions: list[Region]) -> list[Reading]:
        """Everybody in the regions where they were expected; nobody if one of them is not to be seen well there."""
        readings = [self._read(picture, region) for region in regions]
        well = [
            reading
            for region, reading in zip(regions, readings, strict=True)
            if reading and reading.next_region.is_near(region)
        ]
        return well if len(well) == len(regions) and are_clear(well) else []

    def _read_hands_and_face(
        self, picture: Image.Image, reading: Reading, before: list[tuple[Reading, PersonDetection]]
    ) -> tuple[Float32[np.ndarray, "2 21 3"] | None, Float32[np.ndarray, "70 3"] | None]:
        """The hands and the face of a person; None for what is not read.

        Args:
            picture: what was seen.
            reading: of the person.
            before: who was read and described a frame ago.
        """
        landmarks = reading.points[:BODY_LANDMARKS, :2]
        hands = None
        if self._hands is not None:
            known = next(
                ((earlier.points[:BODY_LANDMARKS, :2], there.hands) for earlier, there in before
                 if there.hands is not None and earlier.next_region.is_near(reading.region)),
                None,
            )  # fmt: skip
            hands = self._hands.read(picture, landmarks, known)
        face = None
        if self._face is not None:
            away = looks_away(reading.points)
            face = np.zeros((FACE_POINTS, 3), np.float32) if away else self._face.read(picture, landmarks)
        return hands, face

    def _search(self, picture: Image.Image, region: Region) -> list[Region]:
        """The regions that hold the people whom the detector sees in a region of the picture."""
        crop = region.crop(picture, SIZE)
        raw_points, raw_scores = run_network(self._detector, crop.astype(np.float32) / 127.5 - 1)
        points, scores = decode(raw_points[0], raw_scores[0, :, 0], self._anchors)
        sure = scores > DETECTOR_SCORE
        alignments = [region.to_picture(found[2:4]) for found, _ in merge_overlapping(points[sure], scores[sure])]
        return [Region.about(centre, top, REGION_MARGIN) for centre, top in alignments]

    def _read_all(self, picture: Image.Image, regions: list[Region]) -> list[Reading]:
        """What is read in the regions, each person once, best first."""
        return distinct([reading for region in regions if (reading := self._read(picture, region))])

    def _read(self, picture: Image.Image, region: Region) -> Reading | None:
        """What the landmark network sees in a region; None if nobody."""
        if region.side < 1:
            return None
        crop = region.crop(picture, LANDMARK_SIZE)
        landmarks, score, mask, heatmap, _ = run_network(self._landmarker, as_input(crop))
        if float(score[0, 0]) < self.min_score:
            return None
        values = landmarks.reshape(39, 5).astype(np.float64)
        places = refine(values[:, :2] / LANDMARK_SIZE, heatmap[0])
        depth = values[:, 2:3] / LANDMARK_SIZE * region.side
        return Reading(
            points=np.concatenate([region.to_picture(places), depth], axis=1),
            confidence=expit(values[:, 3:]).min(axis=1),
            score=float(score[0, 0]),
            mask=expit(mask[0, :, :, 0]),
            region=region,
        )


def refine(
    places: Float[np.ndarray, "n 2"], heatmap: Float[np.ndarray, "s s n"], reach: int = 3, sure: float = 0.5
) -> Float[np.ndarray, "n 2"]:
    """The landmarks moved to the centre of mass of their heatmaps nearby.

    Args:
        places: x, y in units of the region.
        heatmap: logits, one layer for each landmark.
        reach: how many cells away a heatmap counts.
        sure: a landmark whose heatmap stays below this nearby is left where it is.
    """
    size = len(heatmap)
    cells = np.arange(size)
    near = np.abs(cells - np.floor(places * size)[..., None]) <= reach
    weights = expit(heatmap).transpose(2, 0, 1) * near[:, 1, :, None] * near[:, 0, None, :]
    total = np.maximum(weights.sum(axis=(1, 2)), 1e-9)
    across = (weights.sum(axis=1) @ cells) / total
    down = (weights.sum(axis=2) @ cells) / total
    use = weights.max(axis=(1, 2)) >= sure
    return np.where(use[:, None], np.stack([across, down], axis=1) / size, places)


def are_clear(readings: list[Reading]) -> bool:
    """Whether everybody is read well, and nobody may be another one's second reading."""
    return all(
        reading.quality > FOLLOWED_QUALITY and all(reading.overlap(other) < TILE_OVERLAP for other in readings[:place])
        for place, reading in enumerate(readings)
    )


def distinct(
    readings: list[Reading], closest: float = 0.1, suspicious: float = 0.2, shared: float = 0.7
) -> list[Reading]:
    """The readings without those of a person who is read better by another, best first.

    Args:
        readings: several of the same person may be among them.
        closest: bodies nearer to each other than this (see `Reading.distance`) are the same.
        suspicious: and so are those nearer than this ...
        shared: ... if they overlap (see `Reading.overlap`) by more than this: a body read upside down.
    """
    kept: list[Reading] = []
    for reading in sorted(readings, key=lambda reading: -reading.quality):
        if not any(
            reading.distance(other) < closest
            or (reading.distance(other) < suspicious and reading.overlap(other) > shared)
            for other in kept
        ):
            kept.append(reading)
    return kept


def describe_person(reading: Reading, frame: UInt8[np.ndarray, "h w 3"]) -> PersonDetection:
    """A reading as keypoints, box and mask in its picture."""
    height, width = frame.shape[:2]
    body = to_openpose(reading.points[:BODY_LANDMARKS], reading.confidence[:BODY_LANDMARKS])
    mask, reach = np.zeros((height, width), bool), REACH * min(height, width)
    window, soft = reading.region.spread(clean_mask(reading.mask), height, width, round(2 * reach))
    if soft.size:
        mask[window] = lay_along_edges(frame[window], soft, reach) > 0.5
    spots = reading.points[:BODY_LANDMARKS, :2]
    box = np.clip([*spots.min(axis=0), *spots.max(axis=0)], 0, [width, height, width, height])
    return PersonDetection(box.astype(np.float32), reading.score, hide_outside(body, height, width), mask=mask)


def to_openpose(points: Float[np.ndarray, "33 3"], confidence: Float[np.ndarray, "33"]) -> Float32[np.ndarray, "18 3"]:
    """BlazePose's landmarks as OpenPose-18 with confidences.

    The network is as sure of a face seen from behind as of one seen from the front, so nose and eyes are hidden when
    the person looks away.
    """
    source = list(OPENPOSE_SOURCES)
    body = np.concatenate([points[source, :2], confidence[source, None]], axis=1)
    shoulders = [LEFT_SHOULDER, RIGHT_SHOULDER]
    body[1] = [*points[shoulders, :2].mean(axis=0), confidence[shoulders].min()]
    if looks_away(points):
        body[list(FACE_JOINTS), 2] = 0
    return body.astype(np.float32)


def looks_away(points: Float[np.ndarray, "n 3"]) -> bool:
    """Whether somebody with these landmarks is seen from behind: the nose lies further away than the ears."""
    return bool(points[NOSE, 2] > points[[LEFT_EAR, RIGHT_EAR], 2].mean())


def clean_mask(mask: Float[np.ndarray, "s s"], smallest: float = 0.05, hole: int = 16) -> Float[np.ndarray, "s s"]:
    """A soft mask without specks and pinholes.

    Args:
        mask: [0, 1].
        smallest: parts below this share of the largest part are specks.
        hole: holes of at most this many cells are pinholes; larger ones are gaps between arm and body.
    """
    parts, count = ndimage.label(mask > 0.5)
    if count == 0:
        return mask
    areas = np.bincount(parts.ravel())[1:]
    specks = np.isin(parts, np.flatnonzero(areas < smallest * areas.max()) + 1)
    gaps, _ = ndimage.label(mask <= 0.5)
    sizes = np.bincount(gaps.ravel(), weights=(mask <= 0.5).ravel())
    pinholes = np.isin(gaps, np.flatnonzero((sizes > 0) & (sizes <= hole)))
    return np.where(specks, 0.0, np.where(pinholes, 1.0, mask))
