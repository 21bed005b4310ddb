"""Where in one pose of a body the points of another come from, part by part."""

import numpy as np
from jaxtyping import Bool, Float32, Float64

from edit_your_motion.compositing.cutouts import Part
from edit_your_motion.people.skeleton import DRAWN

_NECK, _NOSE, _FACE = 1, 0, [0, 14, 15, 16, 17]


def fit_map(
    wanted: Float64[np.ndarray, "k 2"], there: Float64[np.ndarray, "k 2"], *, similar: bool
) -> tuple[Float64[np.ndarray, "2 2"], Float64[np.ndarray, "2"]]:
    """The map from wanted points to those of the source, least squares: linear @ point + shift.

    Args:
        wanted: points of the edit.
        there: the same points in the source.
        similar: it only turns and scales; else it is affine, drawn towards that where joints in one line leave it open.
    """
    middle = wanted.mean(axis=0)
    left, right = wanted - middle, there - there.mean(axis=0)
    spread = max(float((left**2).sum()), 1e-6)
    cosine = float((left * right).sum()) / spread
    sine = float((left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0]).sum()) / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    if not similar:
        rest = right - left @ linear.T
        linear = linear + np.linalg.solve(left.T @ left + 0.01 * spread * np.eye(2), left.T @ rest).T
    return linear, there.mean(axis=0) - linear @ middle


def match_joints(
    part: Part, wanted: Float64[np.ndarray, "18 3"], there: Float64[np.ndarray, "18 3"]
) -> tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, "k 2"]]:
    """Points of a part in one pose and the same points in another.

    The joints that both show; of a head that either shows from behind, where left and right are swapped, the neck and
    the middle of what is seen of the face.

    Args:
        part: of the body.
        wanted: one pose, x, y and confidence.
        there: the other.
    """
    joints = np.array(part.joints)
    seen = joints[(wanted[joints, 2] > DRAWN) & (there[joints, 2] > DRAWN)]
    if part.kind != "head" or _NOSE in seen:
        return wanted[seen, :2], there[seen, :2]
    ends = find_head(wanted), find_head(there)
    return ends if all(map(len, ends)) else (np.zeros((0, 2)), np.zeros((0, 2)))


def find_head(pose: Float64[np.ndarray, "18 3"]) -> Float64[np.ndarray, "k 2"]:
    """The neck and the middle of what is seen of nose, eyes and ears; nothing where either is hidden."""
    face = pose[_FACE][pose[_FACE, 2] > DRAWN, :2]
    if not len(face) or pose[_NECK, 2] <= DRAWN:
        return np.zeros((0, 2))
    return np.stack([pose[_NECK, :2], face.mean(axis=0)])


def is_from_behind(poses: Float64[np.ndarray, "f 18 3"]) -> Bool[np.ndarray, " f"]:
    """Whether of a head the nose is hidden."""
    return poses[:, _NOSE, 2] <= DRAWN


def map_back(
    part: Part,
    wanted: Float64[np.ndarray, "k 2"],
    there: Float64[np.ndarray, "k 2"],
    x: Float32[np.ndarray, " n"],
    y: Float32[np.ndarray, " n"],
    scale: float,
) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Where in the source the points of a part come from, x and y.

    Args:
        part: a limb is stretched along its bone alone, a head turned and scaled, a trunk brought by an affine map.
        wanted: its joints in the edit.
        there: its joints in the source.
        x: of points of the edit.
        y: of points of the edit.
        scale: the edit's body over the source's.
    """
    if part.kind != "limb":
        linear, shift = (each.astype(np.float32) for each in fit_map(wanted, there, similar=part.kind == "head"))
        return linear[0, 0] * x + linear[0, 1] * y + shift[0], linear[1, 0] * x + linear[1, 1] * y + shift[1]
    (first, second), (start, end) = wanted.astype(np.float32), there.astype(np.float32)
    zoom = np.float32(scale)
    long, has = (max(np.linalg.norm(b - a), np.float32(1e-3)) for a, b in ((first, second), (start, end)))
    (across, down), (right, below) = (second - first) / long, (end - start) / has
    x, y = x - first[0], y - first[1]
    u, v = x * across + y * down, (y * across - x * down) / zoom
    # A hand beyond the bone's end is not stretched with it.
    u = np.where(u < 0, u / zoom, np.where(u > long, has + (u - long) / zoom, u * has / long))
    return start[0] + u * right - v * below, start[1] + u * below + v * right
