"""One clip as a handful of choices: who, where, doing what, seen from where."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from edit_your_motion.errors import ConfigError
from edit_your_motion.stage.body import BONE, load_cast
from edit_your_motion.stage.bvh import read_bvh
from edit_your_motion.stage.camera import Camera
from edit_your_motion.stage.choreography import ROUTINES, choreograph
from edit_your_motion.stage.identity import Identity, sample_identity
from edit_your_motion.stage.motion import Motion, load_motion
from edit_your_motion.stage.places import Place, sample_place
from edit_your_motion.stage.variety import sample_varied_identity

SPLITS = ("train", "held_out")

EDITIONS = (1, 2)
"""Of the looks of people and places: what an edition shows for a seed never changes."""

HELD_OUT_CLIPS = ("dance_b", "kick", "jump")
HELD_OUT_ROUTINES = ("marching", "balancing")
"""Motions that only held-out scenes show."""

_CLIPS = {
    "walk": 4, "run": 3, "dance_a": 4, "dance_b": 4, "jump": 3, "kick": 3, "punch": 3, "spin": 2, "spinkick": 2,
    "cartwheel": 1, "backflip": 0.5, "crawl": 0.7, "roll": 0.4, "getup_facedown": 0.6, "getup_faceup": 0.6,
}  # fmt: skip
_ROUTINES = {"boogie": 6, "posing": 5, "waving": 3, "circling": 3, "jumping_jacks": 2, "squatting": 2, "stretching": 2,
             "lunging": 2, "bowing": 1.5, "standing": 1.5, "marching": 3, "balancing": 3}  # fmt: skip
"""How often each motion is drawn: upright ones most, since they are what people film."""

assert set(_ROUTINES) == set(ROUTINES)


@dataclass(frozen=True)
class Performance:
    """What somebody does.

    Args:
        name: a packaged clip, a routine of choreography, or the path of a user's .bvh file.
        seed: of a routine; clips have none.
        mirrored: left and right exchanged.
        speed: factor on the motion's own tempo.
        heading: radians; 0 faces the camera, positive turns to the person's left.
        start: seconds into the motion.
    """

    name: str
    seed: int = 0
    mirrored: bool = False
    speed: float = 1.0
    heading: float = 0.0
    start: float = 0.0

    def motion(self) -> Motion:
        """The motion on the stage, at its own tempo."""
        return _prepare(self.name, self.seed, self.mirrored, self.heading)


@lru_cache(maxsize=64)
def _prepare(name: str, seed: int, mirrored: bool, heading: float) -> Motion:
    if name in ROUTINES:
        motion = choreograph(name, seed)
    elif name.endswith(".bvh"):
        motion = read_bvh(Path(name))
    else:
        motion = load_motion(name)
    motion = motion.held()
    return (motion.mirrored() if mirrored else motion).turned(heading)


@dataclass(frozen=True)
class View:
    """Where a clip is filmed from, and how the camera moves.

    Args:
        camera: at the start.
        sway: how far it moves to the right, up and forward at most, metres; zeros for a tripod.
        period: of that movement, seconds.
    """

    camera: Camera
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)
    period: float = 6.0

    @property
    def still(self) -> bool:
        """The camera stands on a tripod."""
        return not any(self.sway)

    def at(self, seconds: float) -> Camera:
        """The camera at some time; a moving one keeps aiming roughly where it did."""
        if self.still:
            return self.camera
        share = np.sin(2 * np.pi * seconds / self.period)
        x, y, z = self.camera.position
        right, up, forward = (amount * share for amount in self.sway)
        return Camera(
            (float(x + right), float(y + up), float(z - forward)),
            float(self.camera.yaw + 0.6 * right / z),
            float(self.camera.pitch - 0.6 * up / z),
            self.camera.focal,
        )


@dataclass(frozen=True)
class Scene:
    """One clip before it is rendered.

    Args:
        identity: who.
        place: where.
        performance: doing what.
        view: seen from where.
        offset: of the whole performance on the ground plan, metres to the right and towards the camera.
    """

    identity: Identity
    place: Place
    performance: Performance
    view: View
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def sample(cls, seed: int, split: str = "train", edition: int = 1) -> "Scene":
        """A scene of one split; identities, places and motions of the two never meet.

        Args:
            seed: 0 or more; the same seed and edition give the same scene.
            split: "train" or "held_out".
            edition: 1, whose looks are those of the paired benchmark and never change, or 2, with more variety.

        Raises:
            ConfigError: an unknown split or edition, or a negative seed.
        """
        if edition not in EDITIONS:
            raise ConfigError(f"expected an edition out of {', '.join(map(str, EDITIONS))}; got {edition}")
        rng = split_generator(seed, split)
        identity = (sample_identity if edition == 1 else sample_varied_identity)(rng, split)
        place = sample_place(rng, split, edition)
        return cls(identity, place, sample_performance(rng, split), sample_view(rng, identity))


def split_generator(seed: int, split: str, purpose: int = 0) -> np.random.Generator:
    """Random numbers of one seed of one split.

    Raises:
        ConfigError: an unknown split, or a negative seed.
    """
    if split not in SPLITS:
        raise ConfigError(f"expected a split out of {', '.join(SPLITS)}; got {split!r}")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more, got {seed}")
    return np.random.default_rng([seed, SPLITS.index(split), purpose])


def sample_performance(rng: np.random.Generator, split: str, name: str | None = None) -> Performance:
    """Somebody doing something of one split, mostly facing the camera.

    Args:
        rng: where the choices come from.
        split: "train" or "held_out".
        name: the motion, when it is chosen already.
    """
    held_out = split == "held_out"
    reserved = (*HELD_OUT_CLIPS, *HELD_OUT_ROUTINES)
    odds = {key: odd for key, odd in (_CLIPS | _ROUTINES).items() if (key in reserved) == held_out}
    if name is None:
        name = str(rng.choice(list(odds), p=np.array(list(odds.values())) / sum(odds.values())))
    heading = rng.normal(0, 0.45) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    return Performance(
        name,
        seed=int(rng.integers(2**31)) if name in ROUTINES else 0,
        mirrored=bool(rng.random() < 0.5),
        speed=float(rng.uniform(0.75, 1.25)),
        heading=float(heading),
        start=float(rng.uniform(0, 8)),
    )


def sample_view(
    rng: np.random.Generator, identity: Identity, *, whole: bool | None = None, moving: bool | None = None
) -> View:
    """A camera in front of a person.

    Args:
        rng: where the choices come from.
        identity: whose height decides the distance.
        whole: the whole person is in view, else it is nearer; None draws, mostly the former.
        moving: the camera moves; None draws, mostly not.
    """
    tall = _height(identity)
    near = rng.random() > 0.85 if whole is None else not whole
    share = rng.uniform(0.82, 1.25) if near else rng.uniform(0.58, 0.82)
    focal = rng.uniform(1.3, 2.0)
    distance = focal * tall / share
    height = rng.uniform(0.75, 1.5)
    # Closer views look at the upper body.
    aim = tall * (0.5 + 0.18 * max(0.0, share - 0.82) / 0.43)
    camera = Camera(
        (float(rng.normal(0, 0.08)), float(height), float(distance)),
        yaw=float(rng.normal(0, 0.012)),
        pitch=float(np.arctan2(aim - height, distance)),
        focal=float(focal),
    )
    if not (rng.random() > 0.7 if moving is None else moving):
        return View(camera)
    x, y, z = rng.uniform(-1, 1, 3) * np.array([0.35, 0.12, 0.35])
    return View(camera, (float(x), float(y), float(z)), float(rng.uniform(5, 9)))


@lru_cache(maxsize=256)
def _height(identity: Identity) -> float:
    """Of the person, metres: from the ground to the top of the skin."""
    cast = load_cast()
    vertices = cast.template.vertices[:, 1] + np.tensordot(np.array(identity.shape), cast.vertex_directions[..., 1], 1)
    return float(vertices.max())


def stage_root(markers: Float[np.ndarray, "f 19 3"], joints: Float[np.ndarray, "22 3"]) -> Float[np.ndarray, "f 3"]:
    """Where the pelvis of a body with these joints goes on the ground plan (y is left at 0): paths scale with legs."""
    legs = joints[BONE["left_thigh"], 1] / 0.9
    return markers[:, 0] * np.array([legs, 0.0, legs])


def clearance(motion: Motion, markers: Float[np.ndarray, "f 19 3"]) -> Float[np.ndarray, "f"]:
    """How high the lowest point of the body is above the ground, metres: zero but for jumps.

    Markers lie inside the body by different amounts, so the first centimetres above the motion's lowest one count for
    nothing.
    """
    return np.maximum(0.0, markers[..., 1].min(axis=1) - motion.markers[..., 1].min() - 0.06)
