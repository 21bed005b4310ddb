"""The stick figure that motions are written for: joint rotations to the positions of its markers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MARKERS = (
    "pelvis", "spine", "neck", "crown", "nose",
    "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee", "right_ankle", "right_toe",
    "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee", "left_ankle", "left_toe",
)  # fmt: skip
"""What every motion is stored as: positions of these, metres; x to the figure's left, y up, z to its front."""

MARKER = {name: index for index, name in enumerate(MARKERS)}


class _Link(NamedTuple):
    parent: str
    offset: tuple[float, float, float]
    turns: bool


_SKELETON = {
    "pelvis": _Link("", (0.0, 0.0, 0.0), True),
    "spine": _Link("pelvis", (0.0, 0.2362, 0.0), True),
    "neck": _Link("spine", (0.0, 0.2239, 0.0), True),
    "crown": _Link("neck", (0.0, 0.26, 0.0), False),
    "nose": _Link("neck", (0.0, 0.12, 0.12), False),
    **{
        f"{side}_{joint}": _Link(f"{side}_{parent}" if parent not in ("spine", "pelvis") else parent, offset, turns)
        for side, sign in (("right", -1.0), ("left", 1.0))
        for joint, parent, offset, turns in (
            ("shoulder", "spine", (sign * 0.1831, 0.2435, -0.0241), True),
            ("elbow", "shoulder", (0.0, -0.2748, 0.0), True),
            ("wrist", "elbow", (0.0, -0.2589, 0.0), False),
            ("hip", "pelvis", (sign * 0.0849, 0.0, 0.0), True),
            ("knee", "hip", (0.0, -0.4215, 0.0), True),
            ("ankle", "knee", (0.0, -0.4099, 0.0), True),
            ("toe", "ankle", (0.0, 0.0, 0.16), False),
        )
    },
}
"""Offsets at rest, metres: the humanoid of the DeepMimic motions, whose lengths its robot description gives."""

TURNING = tuple(name for name in MARKERS if _SKELETON[name].turns)
"""The markers that are joints with a rotation of their own, parents first."""

PELVIS_HEIGHT = 0.90
"""Height of the pelvis above the ground when the figure stands upright, metres."""


def rotation_from_quaternion(quaternion: Float[np.ndarray, "*shape 4"]) -> Float[np.ndarray, "*shape 3 3"]:
    """Rotation matrices of quaternions (w, x, y, z) of any length but zero."""
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_about(axis: str, angle: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape 3 3"]:
    """Rotation matrices of right-handed turns about one coordinate axis.

    Args:
        axis: "x", "y" or "z".
        angle: radians.
    """
    angle = np.asarray(angle, dtype=float)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., 3 - first - second, 3 - first - second] = 1.0
    rotation[..., first, first] = rotation[..., second, second] = np.cos(angle)
    rotation[..., second, first] = np.sin(angle)
    rotation[..., first, second] = -rotation[..., second, first]
    return rotation


def cross(a: Float[np.ndarray, "*#shape 3"], b: Float[np.ndarray, "*#shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """The product a x b, several times as fast as numpy's on short arrays, of which there are many here."""
    return a[..., _NEXT] * b[..., _AFTER] - a[..., _AFTER] * b[..., _NEXT]


_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]


def stick_figure_markers(
    root: Float[np.ndarray, "f 3"], rotations: dict[str, Float[np.ndarray, "f 3 3"]]
) -> Float[np.ndarray, "f 19 3"]:
    """Positions of `MARKERS` by forward kinematics.

    Args:
        root: position of the pelvis, metres.
        rotations: of each joint relative to its parent; a joint that is absent keeps still.
    """
    positions = np.empty((len(root), len(MARKERS), 3))
    frames: dict[str, np.ndarray] = {}
    ordered = sorted(_SKELETON, key=_depth)
    for name in ordered:
        link = _SKELETON[name]
        own = rotations.get(name, np.broadcast_to(np.eye(3), (len(root), 3, 3)))
        if not link.parent:
            positions[:, MARKER[name]], frames[name] = root, own
            continue
        parent = frames[link.parent]
        positions[:, MARKER[name]] = positions[:, MARKER[link.parent]] + parent @ np.array(link.offset)
        frames[name] = parent @ own
    return positions


def _depth(name: str) -> int:
    parent = _SKELETON[name].parent
    return 1 + _depth(parent) if parent else 0
