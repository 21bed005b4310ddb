"""Motions from BVH files that a user supplies."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edit_your_motion.errors import InputError
from edit_your_motion.stage.motion import Motion
from edit_your_motion.stage.stick_figure import MARKERS, rotation_about

MAX_BYTES = 64 * 2**20
MAX_JOINTS = 512
MAX_FRAMES = 100_000

LEG = 0.8314
"""Thigh and shin together of the stick figure, metres: files come in any unit, so their legs are brought to this."""

_NAMES = {
    "shoulder": ("arm", "uparm", "upperarm", "shldr", "shoulder"),
    "elbow": ("forearm", "elbow", "lowarm", "lowerarm"),
    "wrist": ("hand", "wrist"),
    "hip": ("upleg", "thigh", "hip", "upperleg"),
    "knee": ("leg", "knee", "shin", "lowleg", "lowerleg", "calf"),
    "ankle": ("foot", "ankle"),
}
"""What files call our joints after "Left" or "l"; the first name that a file has is taken."""


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)
    first: int = 0


def read_bvh(path: Path, action: str = "moving") -> Motion:
    """The motion in a BVH file, whatever its unit; y up, at rest upright, as these files are.

    Args:
        path: of the file.
        action: what somebody who does it is doing, for captions.

    Raises:
        InputError: not a BVH file, too large, cut short, or without the joints of a human.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"expected a BVH file of at most {MAX_BYTES >> 20} MiB, got a larger one: {path}")
        words = path.read_text(encoding="utf-8", errors="strict").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a readable BVH file, got {path}: {error}") from error
    try:
        joints, rest = _read_hierarchy(words)
        values, fps = _read_frames(words[rest:], sum(len(joint.channels) for joint in joints))
    except (IndexError, ValueError) as error:
        raise InputError(f"expected a whole BVH file (HIERARCHY, then MOTION), got {path}: {error}") from error
    positions, rotations = _pose(joints, values)
    return Motion(_markers(joints, positions, rotations, path), fps, action)


def _read_hierarchy(words: list[str]) -> tuple[list[_Joint], int]:
    """The joints, and where the word MOTION is."""
    if words[0].upper() != "HIERARCHY":
        raise ValueError(f"it begins with {words[0][:20]!r}")
    joints: list[_Joint] = []
    open_joints: list[int] = []
    cursor, channels = 1, 0
    while words[cursor].upper() != "MOTION":
        word = words[cursor].upper()
        if word in ("ROOT", "JOINT", "END"):
            if len(joints) >= MAX_JOINTS:
                raise ValueError(f"more than {MAX_JOINTS} joints")
            parent = open_joints[-1] if open_joints else -1
            name = f"{joints[parent].name} end" if word == "END" else words[cursor + 1]
            joints.append(_Joint(name, parent))
            cursor += 2
        elif word == "{":
            open_joints.append(len(joints) - 1)
            cursor += 1
        elif word == "}":
            open_joints.pop()
            cursor += 1
        elif word == "OFFSET":
            x, y, z = (float(value) for value in words[cursor + 1 : cursor + 4])
            joints[open_joints[-1]].offset = (x, y, z)
            cursor += 4
        elif word == "CHANNELS":
            count = int(words[cursor + 1])
            names = [name.lower() for name in words[cursor + 2 : cursor + 2 + count]]
            unknown = [name for name in names if name[0] not in "xyz" or name[1:] not in ("position", "rotation")]
            if unknown:
                raise ValueError(f"unknown channel {unknown[0]!r}")
            joints[open_joints[-1]].channels, joints[open_joints[-1]].first = names, channels
            channels += count
            cursor += 2 + count
        else:
            raise ValueError(f"unexpected {words[cursor][:20]!r} in the hierarchy")
    return joints, cursor


def _read_frames(words: list[str], channels: int) -> tuple[np.ndarray, float]:
    """The values of every frame, and frames per second."""
    if words[1].lower() != "frames:" or [word.lower() for word in words[3:5]] != ["frame", "time:"]:
        raise ValueError("no 'Frames:' and 'Frame Time:' after MOTION")
    frames, duration = int(words[2]), float(words[5])
    if not 2 <= frames <= MAX_FRAMES or not 1e-4 < duration < 10:
        raise ValueError(f"{frames} frames of {duration} s; expected 2 to {MAX_FRAMES} frames")
    values = np.array(words[6:], dtype=np.float64)
    if len(values) != frames * channels or not np.isfinite(values).all():
        raise ValueError(f"expected {frames} frames of {channels} finite numbers, got {len(values)} numbers")
    return values.reshape(frames, channels), 1 / duration


def _pose(joints: list[_Joint], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions and rotations of all joints: each turns about its axes in the order of its channels."""
    positions = np.empty((len(values), len(joints), 3))
    rotations = np.empty((len(values), len(joints), 3, 3))
    for number, joint in enumerate(joints):
        moved = np.tile(joint.offset, (len(values), 1))
        turned = np.broadcast_to(np.eye(3), (len(values), 3, 3))
        for column, channel in enumerate(joint.channels):
            value = values[:, joint.first + column]
            if channel.endswith("position"):
                # A root's positions are given in the world, in place of its offset.
                moved[:, "xyz".index(channel[0])] = value
            else:
                turned = turned @ rotation_about(channel[0], np.deg2rad(value))
        if joint.parent < 0:
            positions[:, number], rotations[:, number] = moved, turned
        else:
            parent = rotations[:, joint.parent]
            positions[:, number] = positions[:, joint.parent] + np.einsum("fij,fj->fi", parent, moved)
            rotations[:, number] = parent @ turned
    return positions, rotations


def _find(joints: list[_Joint], path: Path) -> dict[str, int]:
    """Which joint is which of ours."""
    plain: dict[str, int] = {}
    for number, joint in enumerate(joints):
        name = "".join(letter for letter in joint.name.rpartition(":")[2].lower() if letter.isalpha() or letter == " ")
        plain.setdefault(name, number)
    found = {}
    for side in ("left", "right"):
        for ours, names in _NAMES.items():
            spelled = [prefix + name for name in names for prefix in (side, side[0])]
            matches = [plain[name] for name in spelled if name in plain]
            if matches:
                found[f"{side}_{ours}"] = matches[0]
    for ours in ("neck", "head"):
        if ours in plain:
            found[ours] = plain[ours]
    wanted = [f"{side}_{ours}" for side in ("left", "right") for ours in _NAMES] + ["neck", "head"]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            f"expected a BVH file of a human; found no joint for {', '.join(missing)} in {path} "
            f"(it has {', '.join(list(plain)[:30])})"
        )
    return found


def _markers(joints: list[_Joint], positions: np.ndarray, rotations: np.ndarray, path: Path) -> np.ndarray:
    found = _find(joints, path)
    at_rest = np.array([joint.offset for joint in joints])
    for number, joint in enumerate(joints):
        at_rest[number] += at_rest[joint.parent] if joint.parent >= 0 else 0
    leg = sum(
        np.linalg.norm(at_rest[found[f"{side}_{lower}"]] - at_rest[found[f"{side}_{upper}"]]) / 2
        for side in ("left", "right")
        for upper, lower in (("hip", "knee"), ("knee", "ankle"))
    )
    if leg <= 0:
        raise InputError(f"expected legs of some length in {path}, got none")
    scale = LEG / leg
    # At rest every joint's axes are the world's, so what points up and forward there tells a joint's own directions.
    left = at_rest[found["left_hip"]] - at_rest[found["right_hip"]]
    forward = np.cross(left, [0.0, 1.0, 0.0])
    forward /= max(np.linalg.norm(forward), 1e-9)
    up = np.array([0.0, 1.0, 0.0])

    at = {name: positions[:, number] * scale for name, number in found.items()}
    at["pelvis"] = 0.5 * (at["left_hip"] + at["right_hip"])
    at["spine"] = positions[:, _middle_of_spine(joints, found["neck"], at_rest)] * scale
    head = rotations[:, found["head"]]
    at["crown"] = at["neck"] + head @ (0.26 * up)
    at["nose"] = at["neck"] + head @ (0.12 * up + 0.12 * forward)
    for side in ("left", "right"):
        at[f"{side}_toe"] = at[f"{side}_ankle"] + rotations[:, found[f"{side}_ankle"]] @ (0.16 * forward)
    markers = np.stack([at[name] for name in MARKERS], axis=1)
    markers[..., 1] -= markers[..., 1].min()
    return markers


def _middle_of_spine(joints: list[_Joint], neck: int, at_rest: np.ndarray) -> int:
    """The joint between root and neck whose height at rest is nearest to the middle."""
    chain = [neck]
    while joints[chain[-1]].parent >= 0:
        chain.append(joints[chain[-1]].parent)
    between = chain[1:-1] or chain[-1:]
    middle = 0.5 * (at_rest[chain[0], 1] + at_rest[chain[-1], 1])
    return min(between, key=lambda number: abs(at_rest[number, 1] - middle))
