"""What a person does: markers over time, from packaged clips, users' files or choreography."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float

from edit_your_motion.errors import ConfigError
from edit_your_motion.stage.body import DATA
from edit_your_motion.stage.stick_figure import MARKER, MARKERS, rotation_about

ACTIONS = {
    "walk": "walking", "run": "running", "dance_a": "dancing", "dance_b": "dancing", "jump": "jumping",
    "kick": "kicking", "punch": "boxing", "spin": "spinning around", "spinkick": "doing a spin kick",
    "cartwheel": "turning a cartwheel", "backflip": "doing a backflip", "crawl": "crawling", "roll": "rolling",
    "getup_facedown": "getting up", "getup_faceup": "getting up",
}  # fmt: skip
"""The packaged clips and what somebody who does them is doing."""

CYCLES = ("walk", "run", "crawl")
"""Clips that go round: the last frame's pose is the first one's."""

FAR = 0.35
"""Metres from the middle of the stage that a motion's travel is gently held to."""


@dataclass(frozen=True)
class Motion:
    """A motion of one person.

    Args:
        markers: positions of `stick_figure.MARKERS`, metres; y = 0 is the ground.
        fps: frames per second.
        action: what somebody who does it is doing: "dancing".
        cycle: the end continues at the beginning.
    """

    markers: Float[np.ndarray, "f 19 3"]
    fps: float
    action: str
    cycle: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (len(self.markers) - 1) / self.fps

    def at(self, seconds: Float[np.ndarray, "f"]) -> Float[np.ndarray, "f 19 3"]:
        """Markers at any time: a cycle goes round, anything else plays forth and back."""
        length = len(self.markers) - 1
        position = np.asarray(seconds) * self.fps
        position = position % length if self.cycle else length - np.abs(position % (2 * length) - length)
        first = np.minimum(position.astype(int), length - 1)
        share = (position - first)[:, None, None]
        return (1 - share) * self.markers[first] + share * self.markers[first + 1]

    def mirrored(self) -> "Motion":
        """The same motion with left and right exchanged."""
        return replace(self, markers=self.markers[:, _MIRRORED] * np.array([-1.0, 1.0, 1.0]))

    def turned(self, heading: float) -> "Motion":
        """The same motion on a stage turned by so many radians, counter-clockwise from above."""
        return replace(self, markers=self.markers @ rotation_about("y", np.array(heading)).T)

    def held(self) -> "Motion":
        """The same motion on the spot: steady travel is taken out and what is left is kept within `FAR`."""
        path = self.markers[:, MARKER["pelvis"]] * np.array([1.0, 0.0, 1.0])
        drift = np.linspace(0, 1, len(path))[:, None] * (path[-1] - path[0])
        stay = path - drift
        stay = stay - 0.5 * (stay.min(axis=0) + stay.max(axis=0))
        distance = np.linalg.norm(stay, axis=1, keepdims=True)
        stay = stay * np.where(distance > 1e-6, FAR * np.tanh(distance / FAR) / np.maximum(distance, 1e-6), 1.0)
        return replace(self, markers=self.markers + (stay - path)[:, None])


_OTHER = {"left": "right", "right": "left"}
_MIRRORED = [MARKER["_".join(_OTHER.get(word, word) for word in name.split("_"))] for name in MARKERS]


@cache
def load_motion(name: str) -> Motion:
    """One of the packaged clips.

    Args:
        name: a key of `ACTIONS`.

    Raises:
        ConfigError: there is no such clip.
    """
    if name not in ACTIONS:
        raise ConfigError(f"expected a motion out of {', '.join(ACTIONS)}; got {name!r}")
    with np.load(DATA / "motions.npz", allow_pickle=False) as file:
        markers = file[f"{name}.shape"].astype(np.float64) + file[f"{name}.travel"][:, None]
        return Motion(markers, float(file[f"{name}.fps"]), ACTIONS[name], name in CYCLES)
