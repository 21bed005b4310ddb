"""Somebody standing before a plain place, as flat as paper, whose joints can be put anywhere."""

import numpy as np

from edit_your_motion.people.keypoints import Keypoints

SIDE = 160
PLACE = np.array([30, 90, 40], np.uint8)
STANDING = {
    0: (0, 22), 1: (0, 40), 2: (-13, 40), 3: (-22, 58), 4: (-30, 74), 5: (13, 40), 6: (22, 58), 7: (30, 74),
    8: (-8, 76), 9: (-9, 102), 10: (-10, 128), 11: (8, 76), 12: (9, 102), 13: (10, 128),
    14: (-3, 19), 15: (3, 19), 16: (-6, 21), 17: (6, 21),
}  # fmt: skip
"""Joints about the middle of the body: facing the camera, 107 pixels tall, the arms off the body."""

BONES = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (1, 11), (8, 9), (9, 10), (11, 12), (12, 13), (1, 0))


def pose(*frames: dict[int, tuple[float, float] | None], x: float = 80, y: float = 0) -> Keypoints:
    """A standing figure, with other places of some joints; those that are None are hidden."""
    body = np.zeros((len(frames), 18, 3), np.float32)
    for frame, changes in enumerate(frames):
        for joint, place in (STANDING | changes).items():
            if place is not None:
                body[frame, joint] = (x + place[0], y + place[1], 1)
    return Keypoints(body=body, height=SIDE, width=SIDE)


def film(keypoints: Keypoints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames of somebody whose colours say where in the picture they are, the masks, and the plain place alone."""
    across, down = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    masks = np.zeros((len(keypoints), SIDE, SIDE), bool)
    for mask, body in zip(masks, keypoints.body, strict=True):
        for first, second in BONES:
            for share in np.linspace(0, 1, 30):
                x, y = body[first, :2] + share * (body[second, :2] - body[first, :2])
                mask |= np.hypot(across - x, down - y) < 5
        mask |= np.hypot(across - body[0, 0], down - body[0, 1]) < 9
    person = np.stack([90 + across, 90 + down, np.full_like(across, 200)], axis=-1).astype(np.uint8)
    empty = np.tile(PLACE, (len(masks), SIDE, SIDE, 1))
    return np.where(masks[..., None], person, empty), masks, empty


def places(frames: int) -> np.ndarray:
    return np.tile(PLACE, (frames, SIDE, SIDE, 1))
