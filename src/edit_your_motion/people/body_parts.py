"""Where on a skeleton hair, skin and clothes are: the places that surely show them, and how far else they may reach."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.video.selection import spread_evenly

FEWEST = 12
"""Pixels, over all frames, that a colour is measured on."""

MOST_FRAMES = 24
"""Frames that are looked at, spread over the clip."""

_INDEX = {name: i for i, name in enumerate(BODY_JOINTS)}
_FACE = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")


@dataclass(frozen=True)
class _Skeleton:
    """One frame's joints by name, and lines between them."""

    points: Float32[np.ndarray, "18 3"]

    def has(self, *names: str) -> bool:
        return all(self.points[_INDEX[name], 2] > 0 for name in names)

    def at(self, *names: str) -> Float64[np.ndarray, "2"]:
        """The middle of joints."""
        return self.points[[_INDEX[name] for name in names], :2].mean(axis=0).astype(np.float64)

    def head(self) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]] | None:
        """The middle of what is seen of the face, and the way there from the neck; None without either."""
        seen = [name for name in _FACE if self.has(name)]
        if not seen or not self.has("neck"):
            return None
        return self.at(*seen), self.at(*seen) - self.at("neck")

    def places(self, mask: Bool[np.ndarray, "h w"]) -> Iterator[tuple[str, Bool[np.ndarray, "h w"]]]:
        """Where in a person's mask hair, skin and clothes surely are, as far as the joints tell."""

        def near(
            start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"], reach: float
        ) -> Bool[np.ndarray, "h w"]:
            return mask & (_distances_to_line(mask.shape, start, end) <= max(reach, 0.8))

        if (head := self.head()) is not None:
            middle, up = head
            size = float(np.linalg.norm(up))
            crown = middle + 0.55 * up
            yield "hair", near(crown, crown, 0.22 * size)
            if self.has("nose") and (self.has("right_eye") or self.has("left_eye")):
                yield "skin", near(self.at("nose"), self.at("nose"), 0.28 * size)
        if self.has("neck", "right_hip", "left_hip"):
            neck, down = self.at("neck"), self.at("right_hip", "left_hip") - self.at("neck")
            yield "top", near(neck + 0.25 * down, neck + 0.75 * down, 0.13 * float(np.linalg.norm(down)))
        for side in ("right", "left"):
            hip, knee, ankle = (f"{side}_{joint}" for joint in ("hip", "knee", "ankle"))
            if self.has(hip, knee):
                start, thigh = self.at(hip), self.at(knee) - self.at(hip)
                # Below the hem of what hangs over the hips.
                yield "bottom", near(start + 0.25 * thigh, start + 0.55 * thigh, 0.1 * float(np.linalg.norm(thigh)))
            if self.has(knee, ankle):
                shin = self.at(ankle) - self.at(knee)
                size = 0.08 * float(np.linalg.norm(shin))
                yield "shins", near(self.at(knee) + 0.3 * shin, self.at(knee) + 0.7 * shin, size)
                foot = self.at(ankle) + 0.16 * shin
                yield "shoes", near(foot, foot, 0.11 * float(np.linalg.norm(shin)))

    def lines(self) -> Iterator[tuple[str, Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]]:
        """The lines along which each part may be: skin along bare arms and legs as well."""
        if (head := self.head()) is not None:
            middle, up = head
            yield "hair", middle + 0.1 * up, middle + 0.6 * up
            yield "skin", middle - 0.3 * up, middle + 0.2 * up
        if self.has("neck", "right_hip", "left_hip"):
            yield "top", self.at("neck"), self.at("right_hip", "left_hip")
        for side in ("right", "left"):
            shoulder, elbow, wrist = (f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist"))
            hip, knee, ankle = (f"{side}_{joint}" for joint in ("hip", "knee", "ankle"))
            for first, second, parts in (
                (shoulder, hip, ("top",)),
                (shoulder, elbow, ("top", "skin")),
                (elbow, wrist, ("top", "skin")),
                (hip, knee, ("bottom", "skin")),
                (knee, ankle, ("bottom", "skin")),
            ):
                if self.has(first, second):
                    yield from ((part, self.at(first), self.at(second)) for part in parts)
            if self.has(elbow, wrist):
                yield "skin", self.at(wrist), self.at(wrist) + 0.3 * (self.at(wrist) - self.at(elbow))
            if self.has(knee, ankle):
                shin = self.at(ankle) - self.at(knee)
                yield "shoes", self.at(ankle) + 0.05 * shin, self.at(ankle) + 0.3 * shin


def measure_colours(
    frames: UInt8[np.ndarray, "f h w 3"], keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"]
) -> dict[str, Float64[np.ndarray, "3"]]:
    """The median colours of hair, skin, top, bottom, shins and shoes; those that enough pixels show.

    Args:
        frames: sRGB.
        keypoints: of the person.
        masks: where the person is.
    """
    pixels: dict[str, list[UInt8[np.ndarray, "n 3"]]] = {}
    for i in spread_evenly(len(frames), MOST_FRAMES):
        for name, place in _Skeleton(keypoints.body[i]).places(masks[i]):
            pixels.setdefault(name, []).append(frames[i][place])
    joined = {name: np.concatenate(parts) for name, parts in pixels.items()}
    return {name: np.median(found, axis=0) for name, found in joined.items() if len(found) >= FEWEST}


def distances_to_parts(
    body: Float32[np.ndarray, "18 3"], shape: tuple[int, ...]
) -> dict[str, Float64[np.ndarray, "h w"]]:
    """Pixels from each pixel to the nearest line along which each part may be.

    Args:
        body: the joints of one frame.
        shape: height and width of the frame.
    """
    distances: dict[str, Float64[np.ndarray, "h w"]] = {}
    for part, start, end in _Skeleton(body).lines():
        distances[part] = np.minimum(distances.get(part, np.inf), _distances_to_line(shape, start, end))
    return distances


def _distances_to_line(
    shape: tuple[int, ...], start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"]
) -> Float64[np.ndarray, "h w"]:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-6)
    share = np.clip(share, 0, 1)
    return np.asarray(np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]))
