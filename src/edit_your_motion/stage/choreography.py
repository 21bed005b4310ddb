"""Motions that nobody recorded: joint angles as sums of sinusoids, within what joints allow."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from edit_your_motion.stage.motion import Motion
from edit_your_motion.stage.stick_figure import PELVIS_HEIGHT, rotation_about, stick_figure_markers

FPS = 30.0
SECONDS = 8.0

Angles = Float[np.ndarray, "f"]


class _Dancer:
    """Joint rotations of the stick figure over time, limb by limb; in radians, 0 is standing at attention."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.time = np.arange(round(SECONDS * FPS) + 1) / FPS
        self.root = np.zeros((len(self.time), 3))
        self.root[:, 1] = PELVIS_HEIGHT
        self.jump = np.zeros(len(self.time))
        self.rotations: dict[str, np.ndarray] = {}
        self.stand()

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def wave(self, middle: float, swing: float, period: float, phase: float = 0.0) -> Angles:
        """Middle + swing sin(2 pi (t / period + phase)), phase in periods."""
        return middle + swing * np.sin(2 * np.pi * (self.time / period + phase))

    def wander(self, low: float, high: float, period: float) -> Angles:
        """A smooth path of three sinusoids between two angles."""
        share = np.zeros(len(self.time))
        for stretch, weight in ((1.0, 0.5), (1.7, 0.3), (0.6, 0.2)):
            share += weight * np.sin(2 * np.pi * (self.time / (period * stretch) + self.rng.random()))
        return low + (high - low) * (0.5 + 0.5 * share)

    def over_time(self, *angles: Angles | float) -> tuple[Angles, ...]:
        """Each angle at every frame."""
        return tuple(np.broadcast_to(np.asarray(angle, float), self.time.shape) for angle in angles)

    def arm(
        self, side: str, out: Angles | float, forward: Angles | float, bend: Angles | float, twist: float = 0.0
    ) -> None:
        """Upper arm `out` to the side and swung `forward`, elbow bent, turned about itself by `twist` (outward)."""
        sign = 1.0 if side == "left" else -1.0
        out, forward, bend = self.over_time(out, forward, bend)
        turn = rotation_about("y", np.full_like(out, sign * twist))
        self.rotations[f"{side}_shoulder"] = rotation_about("x", -forward) @ rotation_about("z", sign * out) @ turn
        self.rotations[f"{side}_elbow"] = rotation_about("x", -bend)

    def leg(self, side: str, forward: Angles | float, bend: Angles | float, out: Angles | float = 0.06) -> None:
        """Thigh `forward` and `out`, knee bent, foot kept level."""
        sign = 1.0 if side == "left" else -1.0
        forward, bend, out = self.over_time(forward, bend, out)
        self.rotations[f"{side}_hip"] = rotation_about("x", -forward) @ rotation_about("z", sign * out)
        self.rotations[f"{side}_knee"] = rotation_about("x", bend)
        self.rotations[f"{side}_ankle"] = rotation_about("x", np.clip(forward - bend, -0.6, 0.5))

    def trunk(self, lean: Angles | float = 0.0, turn: Angles | float = 0.0, tilt: Angles | float = 0.0) -> None:
        """The chest leaning forward, turned to the left and tilted to the right, against the pelvis."""
        lean, turn, tilt = self.over_time(lean, turn, tilt)
        self.rotations["spine"] = rotation_about("y", turn) @ rotation_about("x", lean) @ rotation_about("z", -tilt)

    def head(self, nod: Angles | float = 0.0, turn: Angles | float = 0.0) -> None:
        """The head nodding forward and turned to the left, against the chest."""
        nod, turn = self.over_time(nod, turn)
        self.rotations["neck"] = rotation_about("y", turn) @ rotation_about("x", nod)

    def stand(self) -> None:
        """A relaxed stance that breathes."""
        breath = self.wave(0.0, 0.02, 3.5)
        for side in ("left", "right"):
            self.arm(side, self.between(0.10, 0.25) + breath, self.between(-0.05, 0.15), self.between(0.15, 0.4))
            self.leg(side, 0.03, 0.06, self.between(0.04, 0.12))
        self.trunk(0.02 + breath)
        self.head(self.between(-0.05, 0.1), self.wander(-0.3, 0.3, 4.0))

    def squat(self, depth: Angles, out: float) -> None:
        """Both legs bent, the heels staying down."""
        for side in ("left", "right"):
            self.leg(side, depth, 1.9 * depth, out)
        self.trunk(0.45 * depth)

    def motion(self, action: str) -> Motion:
        """What has been set, with the lowest marker on the ground but for jumps."""
        markers = stick_figure_markers(self.root, self.rotations)
        markers[..., 1] += (self.jump - markers[..., 1].min(axis=1))[:, None]
        return Motion(markers, FPS, action)


def _waving(d: _Dancer) -> str:
    side = "left" if d.rng.random() < 0.5 else "right"
    period = d.between(0.7, 1.2)
    d.arm(side, d.wave(2.2, 0.12, period), d.between(0.0, 0.3), d.wave(0.8, 0.5, period), twist=d.between(-0.3, 0.3))
    d.trunk(0.0, d.wander(-0.15, 0.15, 5.0), d.wander(-0.1, 0.1, 4.0))
    return "waving"


def _marching(d: _Dancer) -> str:
    period, lift = d.between(0.9, 1.4), d.between(0.6, 1.3)
    for side, phase in (("left", 0.0), ("right", 0.5)):
        step = np.maximum(0, d.wave(0.0, 1.0, period, phase))
        d.leg(side, lift * step, 1.6 * lift * step)
        swing = d.wave(0.05, 0.6, period, phase + 0.5)
        d.arm(side, 0.15, swing, d.between(0.5, 1.2))
    d.trunk(0.05, d.wave(0.0, 0.12, period))
    return "marching on the spot"


def _jumping_jacks(d: _Dancer) -> str:
    period = d.between(0.9, 1.3)
    open_share = 0.5 - 0.5 * np.cos(2 * np.pi * d.time / period)
    for side in ("left", "right"):
        d.arm(side, 0.2 + 2.4 * open_share, 0.05, 0.25)
        d.leg(side, 0.05 + 0.2 * (1 - np.abs(2 * open_share - 1)), 0.1, 0.03 + 0.42 * open_share)
    d.jump = 0.10 * (1 - (2 * open_share - 1) ** 2)
    return "doing jumping jacks"


def _squatting(d: _Dancer) -> str:
    depth = d.wave(0.55, 0.5, d.between(2.0, 3.2), 0.75)
    d.squat(np.maximum(depth, 0.05), d.between(0.2, 0.4))
    for side in ("left", "right"):
        d.arm(side, d.between(0.0, 0.2), 0.3 + 1.1 * depth, d.between(0.1, 0.6))
    return "doing squats"


def _stretching(d: _Dancer) -> str:
    period = d.between(3.0, 5.0)
    tilt = d.wave(0.0, d.between(0.3, 0.5), period)
    d.trunk(0.0, 0.0, tilt)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        raised = np.clip(0.5 + sign * tilt / 0.5, 0, 1)
        d.arm(side, 0.3 + 2.3 * raised, 0.05, 0.3 + 0.4 * (1 - raised))
        d.leg(side, 0.05, 0.1, 0.25)
    return "stretching"


def _circling(d: _Dancer) -> str:
    period, low, high = d.between(1.5, 3.0), d.between(0.6, 1.0), d.between(1.4, 2.0)
    middle, swing = (low + high) / 2, (high - low) / 2
    offset = 0.5 if d.rng.random() < 0.4 else 0.0
    for side, phase in (("left", 0.0), ("right", offset)):
        d.arm(side, d.wave(middle, swing, period, phase), d.wave(0.3, 0.5, period, phase + 0.25), d.between(0.1, 0.6))
    d.squat(np.maximum(0.03, d.wave(0.15, 0.12, period)), 0.15)
    return "swinging the arms"


def _lunging(d: _Dancer) -> str:
    period = d.between(2.0, 3.0)
    depth = 0.5 + 0.5 * np.sin(2 * np.pi * d.time / period - np.pi / 2)
    front, back = ("left", "right") if d.rng.random() < 0.5 else ("right", "left")
    d.leg(front, 0.35 + 0.85 * depth, 0.35 + 1.0 * depth)
    d.leg(back, -0.30 - 0.15 * depth, 0.25 + 1.15 * depth)
    for side in ("left", "right"):
        d.arm(side, d.between(0.3, 1.2), 0.3, d.between(0.6, 1.6))
    return "doing lunges"


def _bowing(d: _Dancer) -> str:
    depth = np.maximum(0, d.wave(0.4, 0.5, d.between(3.0, 4.5), 0.75))
    d.trunk(depth)
    d.head(0.3 * depth)
    d.leg("left", 0.45 * depth, 0.05)
    d.leg("right", 0.45 * depth, 0.05)
    d.rotations["pelvis"] = rotation_about("x", 0.4 * depth)
    d.arm("left", 0.15, 0.5 * depth, 0.2)
    d.arm("right", 0.15, 0.2 + 0.8 * depth, 0.3 + 1.4 * depth)
    return "taking a bow"


def _boogie(d: _Dancer) -> str:
    beat = d.between(0.8, 1.4)
    bounce = np.maximum(0.04, d.wave(0.18, d.between(0.08, 0.18), beat / 2))
    sway = d.wave(0.0, d.between(0.05, 0.12), beat)
    for side, phase in (("left", 0.0), ("right", 0.5)):
        d.arm(
            side,
            d.wander(0.2, d.between(1.0, 2.4), beat * 2),
            d.wander(-0.2, d.between(0.6, 1.5), beat * 2),
            d.wander(0.3, 1.9, beat),
            twist=d.between(-0.5, 0.5),
        )
        lift = np.maximum(0, d.wave(0.0, d.between(0.2, 0.7), beat, phase))
        d.leg(side, bounce + lift, 1.9 * bounce + 1.5 * lift, d.between(0.08, 0.22))
    d.root[:, 0] = sway
    d.trunk(d.wander(-0.05, 0.2, beat * 2), d.wander(-0.4, 0.4, beat * 2), d.wave(0.0, 0.12, beat))
    d.head(d.wave(0.05, 0.12, beat), d.wander(-0.4, 0.4, beat * 3))
    d.rotations["pelvis"] = rotation_about("y", d.wander(-0.35, 0.35, beat * 3))
    return "dancing"


def _posing(d: _Dancer) -> str:
    for side in ("left", "right"):
        d.arm(side, d.wander(0.2, 2.0, 5.0), d.wander(-0.3, 1.2, 5.0), d.wander(0.1, 2.0, 4.0), d.between(-0.6, 0.6))
        d.leg(side, d.wander(0.0, 0.25, 5.0), d.wander(0.05, 0.4, 4.0), d.between(0.05, 0.3))
    d.trunk(d.wander(-0.1, 0.2, 5.0), d.wander(-0.4, 0.4, 5.0), d.wander(-0.2, 0.2, 5.0))
    return "posing"


def _standing(d: _Dancer) -> str:
    d.trunk(0.02, d.wander(-0.2, 0.2, 5.0))
    return "standing"


def _balancing(d: _Dancer) -> str:
    stand, lift = ("left", "right") if d.rng.random() < 0.5 else ("right", "left")
    d.leg(stand, 0.02, 0.06, 0.0)
    d.leg(lift, d.wander(0.6, 1.3, 3.0), d.wander(0.6, 1.9, 3.0), d.between(0.1, 0.6))
    for side in ("left", "right"):
        d.arm(side, d.wander(1.1, 1.8, 3.0), d.wander(-0.1, 0.4, 3.0), d.wander(0.1, 0.6, 3.0))
    return "balancing on one leg"


ROUTINES: dict[str, Callable[[_Dancer], str]] = {
    "waving": _waving, "marching": _marching, "jumping_jacks": _jumping_jacks, "squatting": _squatting,
    "stretching": _stretching, "circling": _circling, "lunging": _lunging, "bowing": _bowing, "boogie": _boogie,
    "posing": _posing, "standing": _standing, "balancing": _balancing,
}  # fmt: skip
"""The routines by name; each sets a dancer moving and says what it is doing."""


def choreograph(routine: str, seed: int) -> Motion:
    """A motion of eight seconds on the spot.

    Args:
        routine: a key of `ROUTINES`.
        seed: of the amplitudes, tempi and phases.
    """
    dancer = _Dancer(np.random.default_rng(seed))
    return dancer.motion(ROUTINES[routine](dancer))
