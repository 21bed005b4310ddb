"""The hands of a person whose body is known: OpenPose's 21 points of each, where one is in sight.

The body's wrist and knuckles give a first region, one small network moves it onto the hand, and another reads the
points there, and once more where they themselves say that the hand is. A hand that was seen in the frame before is read
once, where the wrist has taken it since. The networks are MediaPipe's published files; their input is a picture in
[0, 1], and points come out in its pixels, in OpenPose's order.
"""

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from edit_your_motion.models.downloads import Progress
from edit_your_motion.people.finders.contract import hide_outside
from edit_your_motion.people.finders.litert import as_input, open_network, run_network
from edit_your_motion.people.finders.region import Region
from edit_your_motion.people.keypoints import HAND_POINTS

BODY_SOURCES = ((15, 17, 19), (16, 18, 20))
"""Wrist, knuckle of the little and of the index finger among BlazePose's landmarks: of the left hand and the right."""
REGION_SIZE, HAND_SIZE = 256, 224
REGION_MARGIN, PALM_MARGIN, TOWARDS_FINGERS = 2.7, 2.0, 0.1
"""The hand's region over twice its wrist's distance from the knuckles, and over the palm; how far it is moved up."""
WRIST, KNUCKLES = 0, (5, 9, 13)
PALM = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
HOPELESS = 0.1
"""A first look that scores less is not followed by a second."""
SURE = 0.35
"""A hand that is there and is the side's own with less is not the person's hand."""
ASTRAY = 0.35
"""A hand that is followed and whose wrist is farther from the body's, in sides of its region, is looked for anew."""


class HandReader:
    """Reads the points of both hands.

    Args:
        fetch: download the model files if they are absent.
        num_threads: that the networks may use.
        progress: told of downloads.

    Raises:
        ModelFileError: a model file is absent and may not be, or cannot be, fetched.
    """

    def __init__(self, *, fetch: bool = False, num_threads: int = 1, progress: Progress | None = None) -> None:
        self._finder, self._reader = (
            open_network(name, fetch=fetch, num_threads=num_threads, progress=progress)
            for name in ("hand-region", "hand-landmark")
        )

    def read(
        self,
        picture: Image.Image,
        landmarks: Float[np.ndarray, "33 2"],
        before: tuple[Float[np.ndarray, "33 2"], Float32[np.ndarray, "2 21 3"]] | None = None,
    ) -> Float32[np.ndarray, "2 21 3"]:
        """Left and right hand in pixels of the picture; zeros for one that is not seen.

        Args:
            picture: with the person.
            landmarks: BlazePose's of the body, pixels.
            before: landmarks and hands of the same person a frame ago; None if they are not known.
        """
        hands = []
        for side, sources in enumerate(BODY_SOURCES):
            body, found = landmarks[list(sources)], None
            if before is not None and before[1][side, :, 2].any():
                moved = body[0] - before[0][sources[0]]
                found = self._follow(picture, region_of_hand(before[1][side, :, :2] + moved), body[0], side)
            hands.append(self._search(picture, region_of_body(body), side) if found is None else found)
        return np.stack(hands)

    def _follow(
        self, picture: Image.Image, region: Region, wrist: Float[np.ndarray, "2"], side: int
    ) -> Float32[np.ndarray, "21 3"] | None:
        """The hand of a side in the region where it should be; None if it is not, or not at the body's wrist."""
        points, score, right = self._look(picture, region)
        astray = float(np.linalg.norm(points[WRIST] - wrist)) > ASTRAY * region.side
        found = _describe(picture, points, score, right, side)
        return found if found.any() and not astray else None

    def _search(self, picture: Image.Image, region: Region, side: int) -> Float32[np.ndarray, "21 3"]:
        """The hand of a side near the region that its arm points to."""
        nothing = np.zeros((HAND_POINTS, 3), np.float32)
        if region.side < 1:
            return nothing
        spots = run_network(self._finder, as_input(region.crop(picture, REGION_SIZE)))[0].reshape(2, 2)
        # The second spot lies below the hand, towards the wrist.
        centre, below = region.to_picture(spots / REGION_SIZE)
        points, score, _ = self._look(picture, Region.about(centre, 2 * centre - below, 1.0).moved_up(TOWARDS_FINGERS))
        if score < HOPELESS:
            return nothing
        points, score, right = self._look(picture, region_of_hand(points))
        return _describe(picture, points, score, right, side)

    def _look(self, picture: Image.Image, region: Region) -> tuple[Float[np.ndarray, "21 2"], float, float]:
        """The points of the hand in a region, that there is one, and that it is a right one, [0, 1]."""
        if region.side < 1:
            return np.zeros((HAND_POINTS, 2)), 0.0, 0.0
        points, score, right, _ = run_network(self._reader, as_input(region.crop(picture, HAND_SIZE)))
        places = points.reshape(HAND_POINTS, 3)[:, :2].astype(np.float64) / HAND_SIZE
        return region.to_picture(places), float(score.item()), float(right.item())


def _describe(
    picture: Image.Image, points: Float[np.ndarray, "21 2"], score: float, right: float, side: int
) -> Float32[np.ndarray, "21 3"]:
    """The points of a hand of a side, 0 for left, each with the confidence that it is there and is this side's."""
    confidence = score * (right if side else 1 - right)
    if confidence < SURE:
        return np.zeros((HAND_POINTS, 3), np.float32)
    found = np.concatenate([points, np.full((HAND_POINTS, 1), confidence)], axis=1)
    return hide_outside(found.astype(np.float32), picture.height, picture.width)


def region_of_body(landmarks: Float[np.ndarray, "3 2"]) -> Region:
    """About where the hand of a wrist and the knuckles of little and index finger is; upright along it."""
    wrist, little, index = landmarks
    middle = (2 * index + little) / 3
    return Region.about(middle, 2 * middle - wrist, REGION_MARGIN).moved_up(TOWARDS_FINGERS)


def region_of_hand(points: Float[np.ndarray, "21 2"]) -> Region:
    """The region that holds a hand of these points; upright along the palm."""
    across, down = points[list(KNUCKLES)].mean(axis=0) - points[WRIST]
    angle = float(np.arctan2(across, -down))
    return Region.holding(points[list(PALM)], angle, PALM_MARGIN).moved_up(TOWARDS_FINGERS)
