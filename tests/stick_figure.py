"""Figures of known build in space, and cameras of known place: where joints truly are in a picture."""

from dataclasses import astuple, dataclass, replace

import numpy as np

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

JOINT = {name: index for index, name in enumerate(BODY_JOINTS)}
SIDES = (("right", -1.0), ("left", 1.0))


@dataclass(frozen=True)
class Build:
    """Bone lengths in metres; shoulder and hip are half a breadth."""

    thigh: float = 0.45
    shin: float = 0.43
    torso: float = 0.52
    shoulder: float = 0.19
    hip: float = 0.10
    upper_arm: float = 0.30
    forearm: float = 0.27
    neck: float = 0.22
    head: float = 0.08

    def scaled(self, factor: float) -> "Build":
        return Build(*(factor * length for length in astuple(self)))

    @property
    def leg(self) -> float:
        return self.thigh + self.shin


ADULT = Build()
CHILD = Build(0.25, 0.23, 0.32, 0.12, 0.065, 0.165, 0.15, 0.17, 0.07)
LANKY = Build(0.52, 0.50, 0.50, 0.20, 0.10, 0.34, 0.31, 0.22, 0.08)


@dataclass(frozen=True)
class Camera:
    """At `distance` metres from the figure, which is `aside` metres from its axis."""

    distance: float = 4.0
    focal: float = 900.0
    aside: float = 0.0
    height: int = 512
    width: int = 512

    def film(self, joints: np.ndarray) -> Keypoints:
        depth = joints[..., 2] + self.distance
        x = self.width / 2 + self.focal * (joints[..., 0] + self.aside) / depth
        y = self.height / 2 + self.focal * (joints[..., 1] + 1.0) / depth
        body = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
        return Keypoints(body=body, height=self.height, width=self.width)


@dataclass(frozen=True)
class Motion:
    """Angles over time: limbs (outward, forward) from hanging down, for right and left, (f, 2, 2); x in leg lengths."""

    arm: np.ndarray
    forearm: np.ndarray
    thigh: np.ndarray
    shin: np.ndarray
    yaw: np.ndarray
    x: np.ndarray
    jump: np.ndarray


def make_motion(name: str, frames: int = 90) -> Motion:
    time = np.arange(frames) / 30
    zero = np.zeros(frames)

    def wave(rate: float, phase: float = 0.0) -> np.ndarray:
        return np.sin(2 * np.pi * (rate * time + phase))

    def pair(right: tuple, left: tuple) -> np.ndarray:
        return np.stack([np.stack([zero + angle for angle in side], axis=1) for side in (right, left)], axis=1)

    if name == "stand":
        return Motion(
            pair((0.15 + 0.05 * wave(0.5), 0.1 * wave(0.4)), (0.15, 0.1 * wave(0.3))),
            pair((0.1, 0.2 + 0.1 * wave(0.5)), (0.1, 0.2)),
            pair((0.05, 0.02), (0.05, 0)), pair((0.02, -0.02), (0.02, 0)), 0.1 * wave(0.2), zero, zero,
        )  # fmt: skip
    if name == "spread":
        return Motion(
            pair((1.5 + 0.2 * wave(0.5), 0.1 * wave(0.7)), (1.5 - 0.2 * wave(0.5), 0.1 * wave(0.6))),
            pair((1.5 + 0.5 * wave(0.8), 0.2 * wave(0.5)), (1.5 - 0.5 * wave(0.8), 0.1)),
            pair((0.15, 0.1), (0.15, 0.1 * wave(0.4))), pair((0.05, -0.1), (0.05, -0.1)),
            0.2 * wave(0.3), 0.2 * wave(0.33), zero,
        )  # fmt: skip
    if name == "dance":
        return Motion(
            pair((0.8 + 0.7 * wave(0.7), 0.5 * wave(0.9)), (0.8 - 0.7 * wave(0.7), 0.5 * wave(0.8, 0.2))),
            pair((1.2 + 1.2 * wave(1.1), 0.4 + 0.4 * wave(0.9)), (1 + wave(1.2, 0.3), 0.3 * wave(0.7))),
            pair((0.2 + 0.15 * wave(0.7), 0.3 + 0.3 * wave(0.7)), (0.2 - 0.15 * wave(0.7), 0.3 - 0.3 * wave(0.7))),
            pair((0.1, -0.3 - 0.2 * wave(0.7)), (0.1, -0.3 + 0.2 * wave(0.7))),
            0.5 * wave(0.25), 0.5 * wave(0.33), zero,
        )  # fmt: skip
    if name == "jump":
        up = 1.2 + 1.2 * wave(1)
        return Motion(
            pair((up, 0.2), (up, 0.2)), pair((up + 0.2, 0.1), (up + 0.2, 0.1)),
            pair((0.2 + 0.15 * wave(1), 0.1), (0.2 + 0.15 * wave(1), 0.1)), pair((0.1, -0.15), (0.1, -0.15)),
            zero, zero, 0.3 * np.maximum(0, wave(1)),
        )  # fmt: skip
    assert name == "walk"
    return Motion(
        pair((0.1, 0.5 * wave(1)), (0.1, -0.5 * wave(1))),
        pair((0.1, 0.3 + 0.5 * wave(1)), (0.1, 0.3 - 0.5 * wave(1))),
        pair((0.04, -0.45 * wave(1)), (0.04, 0.45 * wave(1))),
        pair((0.03, -0.25 + 0.35 * wave(1, 0.4)), (0.03, -0.25 - 0.35 * wave(1, 0.4))),
        zero + 1.2, -0.8 + 0.55 * time, zero,
    )  # fmt: skip


def perform(build: Build, motion: Motion) -> np.ndarray:
    """Joints in metres (f, 18, 3): x to the right, y down with the ground at 0, z away from the camera."""
    joints = np.zeros((len(motion.x), 18, 3))

    def along(angles: np.ndarray, side: float) -> np.ndarray:
        out, forward = angles[:, 0], angles[:, 1]
        return np.stack([side * np.sin(out) * np.cos(forward), np.cos(out) * np.cos(forward), -np.sin(forward)], axis=1)

    joints[:, JOINT["neck"], 1] = -build.torso
    joints[:, JOINT["nose"]] = [0, -build.torso - build.neck, -0.3 * build.neck]
    for index, (name, side) in enumerate(SIDES):
        joints[:, JOINT[f"{name}_eye"]] = joints[:, 0] + build.head * np.array([side * 0.45, -0.5, 0.1])
        joints[:, JOINT[f"{name}_ear"]] = joints[:, 0] + build.head * np.array([side, -0.2, 1.0])
        joints[:, JOINT[f"{name}_shoulder"]] = joints[:, 1] + build.shoulder * np.array([side, 0.1, 0])
        joints[:, JOINT[f"{name}_hip"]] = build.hip * np.array([side, 0.1, 0])
        for child, parent, length, angles in (
            ("elbow", "shoulder", build.upper_arm, motion.arm), ("wrist", "elbow", build.forearm, motion.forearm),
            ("knee", "hip", build.thigh, motion.thigh), ("ankle", "knee", build.shin, motion.shin),
        ):  # fmt: skip
            start = joints[:, JOINT[f"{name}_{parent}"]]
            joints[:, JOINT[f"{name}_{child}"]] = start + length * along(angles[:, index], side)
    cosine, sine = np.cos(motion.yaw)[:, None], np.sin(motion.yaw)[:, None]
    x, z = joints[..., 0].copy(), joints[..., 2].copy()
    joints[..., 0] = cosine * x + sine * z + build.leg * motion.x[:, None]
    joints[..., 2] = cosine * z - sine * x
    lowest = joints[:, [JOINT["right_ankle"], JOINT["left_ankle"]], 1].max(axis=1)
    joints[..., 1] -= (lowest + build.leg * motion.jump)[:, None]
    return joints


def film_turn(
    seed: int,
    frames: int,
    rate: float,
    turns: float,
    *,
    heading: float | None = None,
    far_hidden: bool = False,
    noise: float = 1.5,
) -> Keypoints:
    """Somebody who moves and turns, `turns` a second, as a finder with so many pixels of noise sees it.

    Args:
        seed: of the motion, the side it turns to, the heading unless given, and the noise.
        frames: how many.
        rate: of the frames, Hz.
        turns: a second.
        heading: at the start, radians; 0 faces the camera.
        far_hidden: whether the limbs farther from the camera than those of the other side are not found.
        noise: pixels.
    """
    generator = np.random.default_rng(seed)
    shown = generator.integers(0, 30) + np.rint(np.arange(frames) * 30 / rate).astype(int)
    motion = make_motion(str(generator.choice(["stand", "spread", "dance", "walk", "jump"])), shown[-1] + 1)
    start = generator.uniform(0, 2 * np.pi) if heading is None else heading
    yaw = start + generator.choice([-1, 1]) * 2 * np.pi * turns * np.arange(frames) / rate
    moved = Motion(motion.arm[shown], motion.forearm[shown], motion.thigh[shown], motion.shin[shown], yaw, 0 * yaw,
                   motion.jump[shown])  # fmt: skip
    joints = perform(ADULT, moved)
    filmed = Camera().film(joints)
    body = filmed.body.copy()
    body[..., :2] += noise * generator.normal(size=(frames, 18, 2))
    if far_hidden:
        for limb in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            right, left = JOINT[f"right_{limb}"], JOINT[f"left_{limb}"]
            behind = joints[:, right, 2] - joints[:, left, 2]
            body[behind > 0.15, right, 2] = 0
            body[behind < -0.15, left, 2] = 0
    return replace(filmed, body=body)
