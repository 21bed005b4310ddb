"""The face of a person whose body is known: OpenPose's 70 points, where it is in sight.

The body's eleven landmarks of the head give a first region; a network reads a mesh of 468 points in it, and once more
where the mesh says that the face is. The network is MediaPipe's published file without the irises, for the one with
them needs operations that LiteRT has not: the pupils are put between the lids. Its input is a picture in [0, 1].
"""

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image
from scipy.special import expit

from edit_your_motion.models.downloads import Progress
from edit_your_motion.people.finders.contract import hide_outside
from edit_your_motion.people.finders.litert import as_input, open_network, run_network
from edit_your_motion.people.finders.region import Region
from edit_your_motion.people.keypoints import FACE_POINTS

MESH_POINTS = 468
MESH_SIZE = 192
HEAD = slice(11)
"""BlazePose's landmarks of the head."""
BODY_RIGHT_EYE, BODY_LEFT_EYE = 5, 2
BODY_MARGIN, MESH_MARGIN = 2.5, 1.5
"""The face's region over the box of the head's landmarks, and over that of the mesh."""
LOOKS = 2
SURE = 0.5

MESH_SOURCES = (
    # The jaw: along the mesh's oval, from the temple beside the person's right eye down to the chin and up again.
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    # The brows: along their upper edge, the right one from the temple inwards, the left one outwards.
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    # The nose: down the middle of its ridge to the tip, then below it from the right nostril to the left.
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    # The eyes: corner, two of the upper lid, corner, two of the lower lid; the right one from its outer corner.
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    # The mouth: round the outer edge of the lips from the right corner over the upper lip, then round the inner edge.
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip
"""Which point of the mesh each of OpenPose's first 68 takes: the one at the place that OpenPose's has on a face."""
EYES = (slice(36, 42), slice(42, 48))
"""The person's right and left eye, in whose middles the last two points, the pupils, are put."""
MESH_RIGHT_EYE, MESH_LEFT_EYE = 33, 263


class FaceReader:
    """Reads the points of a face.

    Args:
        fetch: download the model file if it is absent.
        num_threads: that the network may use.
        progress: told of downloads.

    Raises:
        ModelFileError: the model file is absent and may not be, or cannot be, fetched.
    """

    def __init__(self, *, fetch: bool = False, num_threads: int = 1, progress: Progress | None = None) -> None:
        self._reader = open_network("face-landmark", fetch=fetch, num_threads=num_threads, progress=progress)

    def read(self, picture: Image.Image, landmarks: Float[np.ndarray, "33 2"]) -> Float32[np.ndarray, "70 3"]:
        """The points in pixels of the picture; zeros if no face is seen. Their confidence is that there is one.

        Args:
            picture: with the person.
            landmarks: BlazePose's of the body, pixels.
        """
        head = landmarks[HEAD]
        region = Region.holding(head, tilt(head[BODY_RIGHT_EYE], head[BODY_LEFT_EYE]), BODY_MARGIN)
        confidence = 0.0
        for _ in range(LOOKS):
            if region.side < 1:
                return np.zeros((FACE_POINTS, 3), np.float32)
            mesh, score = run_network(self._reader, as_input(region.crop(picture, MESH_SIZE)))
            points = region.to_picture(mesh.reshape(MESH_POINTS, 3)[:, :2].astype(np.float64) / MESH_SIZE)
            confidence = float(expit(score.item()))
            region = Region.holding(points, tilt(points[MESH_RIGHT_EYE], points[MESH_LEFT_EYE]), MESH_MARGIN)
        if confidence < SURE:
            return np.zeros((FACE_POINTS, 3), np.float32)
        return hide_outside(to_openpose(points, confidence), picture.height, picture.width)


def to_openpose(mesh: Float[np.ndarray, "468 2"], confidence: float) -> Float32[np.ndarray, "70 3"]:
    """A mesh as OpenPose's points of a face, all with one confidence."""
    points = mesh[list(MESH_SOURCES)]
    pupils = [points[eye].mean(axis=0) for eye in EYES]
    places = np.concatenate([points, pupils])
    return np.concatenate([places, np.full((FACE_POINTS, 1), confidence)], axis=1).astype(np.float32)


def tilt(right: Float[np.ndarray, "2"], left: Float[np.ndarray, "2"]) -> float:
    """The angle, radians clockwise, of a face whose eyes are there."""
    across, down = left - right
    return float(np.arctan2(down, across))
