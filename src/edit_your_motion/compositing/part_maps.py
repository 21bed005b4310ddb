"""Where in one pose of a body the points of another come from, part by part."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from edit_your_motion.compositing.cutouts import Part
from edit_your_motion.people.skeleton import DRAWN

_NECK, _NOSE, _FACE = 1, 0, [0, 14, 15, 16, 17]

_STRAIGHT = 0.02
"""Radians below which a joint is not bent."""


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


@dataclass(frozen=True, eq=False)
class Bend:
    """A joint between two limbs, in a pose that is wanted and in one that is there.

    On its outer side, beyond the end of the one and before the beginning of the other, neither limb says where a point
    comes from. There it comes from across the joint, as far off, and the skin fans out.

    Args:
        wanted: where the joint is, x and y.
        there: the same in the source.
        along: the ways of the two limbs in the wanted pose, of length 1.
        turn: radians from the first to the second in the wanted pose, clockwise in the picture.
        bent: the same in the source; 0 where it is bent the other way.
        across: radians, the direction of the outer side in the source where the fan begins.
        scale: the wanted body over the source's.
    """

    wanted: Float64[np.ndarray, "2"]
    there: Float64[np.ndarray, "2"]
    along: tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]
    turn: float
    bent: float
    across: float
    scale: float

    @classmethod
    def between(
        cls,
        upper: Part,
        lower: Part,
        wanted: Float64[np.ndarray, "18 3"],
        there: Float64[np.ndarray, "18 3"],
        scale: float,
    ) -> "Bend | None":
        """The joint where one limb ends and the other begins; None where one of them is not seen, or it is straight."""
        joints = [*upper.joints, lower.joints[1]]
        if (wanted[joints, 2] <= DRAWN).any() or (there[joints, 2] <= DRAWN).any():
            return None
        begin, middle, end = wanted[joints, :2]
        along = _unit(middle - begin), _unit(end - middle)
        turn = _turn_between(*along)
        if abs(turn) < _STRAIGHT:
            return None
        begin, joint, end = there[joints, :2]
        before, after = _unit(joint - begin), _unit(end - joint)
        bent, side = _turn_between(before, after), -np.sign(turn)
        across = float(np.arctan2(side * before[0], -side * before[1]))
        if bent * turn < 0:
            across, bent = across + 0.5 * bent, 0.0
        return cls(middle, joint, along, turn, bent, across, scale)

    def follow(self, away: Float64[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Spots in the source, x and y, so many pixels of the source from the joint on its outer side."""
        angle = self.across + 0.5 * self.bent
        x, y = self.there[0] + away * np.cos(angle), self.there[1] + away * np.sin(angle)
        return x.astype(np.float32), y.astype(np.float32)

    def fan_out(
        self,
        x: Float32[np.ndarray, " n"],
        y: Float32[np.ndarray, " n"],
        spots: tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]],
        breadth: float,
    ) -> Float32[np.ndarray, " n"]:
        """Moves the spots that points of the outer side come from, in place, and says how much of each point is left.

        Args:
            x: of points of the edit.
            y: of points of the edit.
            spots: where in the source they come from, were there no other limb.
            breadth: how far the limb goes on across the joint, pixels of the edit: beyond nothing is its own.
        """
        right, down = x - np.float32(self.wanted[0]), y - np.float32(self.wanted[1])
        past, onward = (right * way[0] + down * way[1] for way in self.along)
        outside = [-np.sign(self.turn) * (way[0] * down - way[1] * right) for way in self.along]
        within, away = (past > 0) & (onward < 0), np.hypot(right, down)
        aside = np.where(within, away, np.where(past <= 0, outside[0], outside[1]))
        near = np.clip(2 + np.minimum(past, -onward) / max(breadth, 1.0), 0, 1)
        left = 1 - near * np.clip((aside - breadth) / max(0.25 * breadth, 1.0), 0, 1)
        across = -np.sign(self.turn) * np.array([-self.along[0][1], self.along[0][0]])
        dx, dy = right[within], down[within]
        share = np.arctan2(across[0] * dy - across[1] * dx, across[0] * dx + across[1] * dy) / self.turn
        angle = self.across + np.clip(share, 0, 1) * self.bent
        spots[0][within] = self.there[0] + away[within] / self.scale * np.cos(angle)
        spots[1][within] = self.there[1] + away[within] / self.scale * np.sin(angle)
        return left.astype(np.float32)


def _unit(way: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "2"]:
    return way / max(float(np.linalg.norm(way)), 1e-6)


def _turn_between(first: Float64[np.ndarray, "2"], second: Float64[np.ndarray, "2"]) -> float:
    """Radians from one way to another, clockwise in the picture."""
    return float(np.arctan2(first[0] * second[1] - first[1] * second[0], first @ second))
