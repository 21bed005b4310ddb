"""Steadier keypoints: short gaps filled, jitter smoothed, without lag, because the whole clip is known.

Every position is replaced by a quadratic fitted to its neighbours in time, weighted by a Gaussian window and by their
confidences (local regression; Cleveland, 1979), so that neither a steady drift nor the clip's ends lag. The window
narrows where the motion needs it, by the rule of the One Euro filter (Casiez, Roussel and Vogel, 2012), cutoff =
min_cutoff + beta * activity. Their activity is the speed, because a causal filter errs by its lag; ours errs where the
path bends, so ours is the square root of the acceleration. On known motions with 1 to 2.5 pixels of noise at a height
of 512 this leaves 0.55 of the error, and the One Euro filter run both ways 0.7 (the tests hold the order).

All is measured in seconds and in the body's size, and nothing is done that the frames do not bear out: a position that
smoothing would move by more than jitter moves it stays, a gap across which the joint did not keep its course stays, and
frames far apart are not smoothed. `benchmarks/steadying.py` measures each step on rendered people.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import distance_transform_edt

from edit_your_motion.errors import ConfigError, PersonError
from edit_your_motion.people.keypoints import Keypoints

_PILOT_WINDOW = 1 / 15
"""Seconds; standard deviation of the window with which the acceleration is measured."""

_WINDOW_OF_CUTOFF = 0.27
"""Standard deviation of a window times its cutoff: where a local quadratic under a Gaussian passes half the power."""

_LARGEST_JITTER = 0.0175
"""Of the body's size; what smoothing would move by this much it moves by half, and by twice this hardly at all. The
finder's jitter is below a third of it in most frames; what is larger is motion, or an error that no neighbour mends."""

_LONGEST_INTERVAL = 0.08
"""Seconds; frames farther apart show too little of a motion to tell it from jitter."""

_COURSE = 0.1
"""Seconds before and after a gap from which the course of a joint is taken."""

_LARGEST_DEPARTURE = 0.15
"""Of the body's size: how far the way across a gap may depart from either end's course. On rendered people 95 % of the
points filled below 0.1 are right, 85 % of those from there to 0.2, and 60 % of those beyond."""

_LARGEST_DRIFT = 0.05
"""Of the body's size: how far a joint may have moved on, by its course, where its last position is held."""

_FILLED_SHARE = 0.8
"""Confidence of a filled point as a share of the lesser confidence at the gap's two ends."""


@dataclass(frozen=True)
class SmoothingConfig:
    """How keypoints are steadied.

    Args:
        smooth: whether to smooth at all.
        min_cutoff: cutoff of the low-pass at rest, Hz; lower is steadier.
        beta: how much the cutoff grows with the square root of the acceleration in body sizes a second squared;
            without a unit; higher keeps fast swings wholer.
        fill_gaps: whether to fill gaps at all.
        longest_gap: seconds between the two ends of a gap; a longer one stays.
        longest_hold: seconds for which the first and last seen position are held beyond the ends.
        threshold: a point up to this confidence counts as not there, as in drawing.
    """

    smooth: bool = True
    min_cutoff: float = 1.5
    beta: float = 2.0
    fill_gaps: bool = True
    longest_gap: float = 0.4
    longest_hold: float = 0.1
    threshold: float = 0.3

    def __post_init__(self) -> None:
        for name in ("min_cutoff", "beta", "longest_gap", "longest_hold", "threshold"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0 or (name == "min_cutoff" and value == 0):
                raise ConfigError(f"expected {name} to be a finite number of at least 0, got {value}")


def frame_times(count: int, frame_rate: float | int | Fraction) -> Float[np.ndarray, " f"]:
    """When each of evenly spaced frames is shown, seconds.

    Raises:
        PersonError: the frame rate is not a positive number.
    """
    rate = float(frame_rate)
    if not (np.isfinite(rate) and rate > 0):
        raise PersonError(f"expected a frame rate above 0, got {rate}: take the video's")
    return np.arange(count) / rate


def steady_keypoints(
    keypoints: Keypoints, config: SmoothingConfig | None = None, *, times: Float[np.ndarray, " f"]
) -> Keypoints:
    """The keypoints with short gaps filled and jitter smoothed, each where `config` asks for it.

    Args:
        keypoints: of one person over consecutive frames.
        config: what to do, how strongly; None for the defaults.
        times: when each frame is shown, seconds; see `frame_times`.

    Raises:
        PersonError: the times are not one a frame and rising.
    """
    config = config or SmoothingConfig()
    if len(times) != len(keypoints) or not (np.diff(times) > 0).all():
        raise PersonError(f"expected {len(keypoints)} rising times, one a frame, got {len(times)}")
    size = _measure_body(keypoints, config.threshold)

    def steady(points: np.ndarray | None) -> np.ndarray | None:
        if points is None or size == 0:
            return points
        tracks = points.reshape(len(points), -1, 3).astype(np.float64)
        if config.fill_gaps:
            tracks = _fill_gaps(tracks, config, times, size)
        if config.smooth and len(times) > 1 and np.median(np.diff(times)) <= _LONGEST_INTERVAL:
            tracks = _smooth(tracks, config, times, size)
        return tracks.reshape(points.shape).astype(np.float32)

    body = steady(keypoints.body)
    assert body is not None
    return replace(keypoints, body=body, hands=steady(keypoints.hands), face=steady(keypoints.face))


def jitter(keypoints: Keypoints) -> float:
    """The mean length of the second difference over time, |x(t-1) - 2 x(t) + x(t+1)|, in pixels.

    Over every body joint wherever it is visible in three frames in a row; 0 where none is.
    """
    body = keypoints.body.astype(np.float64)
    seen = keypoints.visible()
    everywhere = seen[:-2] & seen[1:-1] & seen[2:]
    if not everywhere.any():
        return 0.0
    second = body[:-2, :, :2] - 2 * body[1:-1, :, :2] + body[2:, :, :2]
    return float(np.linalg.norm(second, axis=-1)[everywhere].mean())


def fill_mask_gaps(masks: Bool[np.ndarray, "f h w"]) -> Bool[np.ndarray, "f h w"]:
    """The masks with every empty one replaced: by a shape between its neighbours', at the ends by the nearest.

    In between, both neighbours' distance maps are moved to the centre between theirs and blended.

    Raises:
        PersonError: all of them are empty.
    """
    seen = np.flatnonzero(masks.any(axis=(1, 2)))
    if not len(seen):
        raise PersonError(f"expected a person in at least one of {len(masks)} masks, got none: look at the masks")
    filled = masks.copy()
    filled[: seen[0]], filled[seen[-1] + 1 :] = masks[seen[0]], masks[seen[-1]]
    for before, after in pairwise(seen):
        for frame in range(before + 1, after):
            filled[frame] = _blend_masks(masks[before], masks[after], (frame - before) / (after - before))
    return filled


def _measure_body(keypoints: Keypoints, threshold: float) -> float:
    """The longer side of the box around the visible joints, pixels; of the frames' sizes the upper quartile."""
    sizes = [
        np.ptp(body[seen, :2], axis=0).max()
        for body, seen in zip(keypoints.body, keypoints.visible(threshold), strict=True)
        if seen.sum() > 1
    ]
    return float(np.percentile(sizes, 75)) if sizes else 0.0


def _fill_gaps(
    tracks: Float[np.ndarray, "f k 3"], config: SmoothingConfig, times: Float[np.ndarray, " f"], size: float
) -> Float[np.ndarray, "f k 3"]:
    filled = tracks.copy()
    for joint in range(tracks.shape[1]):
        places, confidence = tracks[:, joint, :2], tracks[:, joint, 2]
        seen = np.flatnonzero(confidence > config.threshold)
        if not len(seen):
            continue
        for before, after in pairwise(seen.tolist()):
            if after - before > 1 and _is_bridged(places, times, seen, before, after, config.longest_gap, size):
                # Monotone between neighbours, so a gap never overshoots what was seen at its ends.
                inside = np.arange(before + 1, after)
                filled[inside, joint, :2] = PchipInterpolator(times[seen], places[seen])(times[inside])
                filled[inside, joint, 2] = _FILLED_SHARE * min(confidence[before], confidence[after])
        for end, inward in ((int(seen[0]), 1), (int(seen[-1]), -1)):
            outside = np.arange(end)[::-1] if inward > 0 else np.arange(end + 1, len(times))
            course = _course(places, times, seen, end, inward)
            if course is None:
                continue
            elapsed = np.abs(times[outside] - times[end])
            held = outside[
                (elapsed <= config.longest_hold) & (elapsed * np.linalg.norm(course) <= _LARGEST_DRIFT * size)
            ]
            filled[held, joint] = (*places[end], _FILLED_SHARE * confidence[end])
    return filled


def _is_bridged(
    places: Float[np.ndarray, "f 2"],
    times: Float[np.ndarray, " f"],
    seen: Int[np.ndarray, " s"],
    before: int,
    after: int,
    longest: float,
    size: float,
) -> bool:
    """Whether a joint's way across a gap is known: it goes on at one end, and came in at the other, as it crosses."""
    elapsed = times[after] - times[before]
    courses = [_course(places, times, seen, before, -1), _course(places, times, seen, after, 1)]
    known = [course for course in courses if course is not None]
    way = places[after] - places[before]
    departures = [np.linalg.norm(course * elapsed - way) for course in known]
    return bool(known and elapsed <= longest + 1e-6 and max(departures) <= _LARGEST_DEPARTURE * size)


def _course(
    places: Float[np.ndarray, "f 2"], times: Float[np.ndarray, " f"], seen: Int[np.ndarray, " s"], end: int, way: int
) -> Float[np.ndarray, "2"] | None:
    """The mean velocity at one end of a joint's track, pixels a second, from what is seen there; None if too little.

    Args:
        places: of the joint in each frame, pixels.
        times: of the frames, seconds.
        seen: the frames that show it.
        end: one of them.
        way: 1 looks at those after, -1 at those before.
    """
    apart = way * (times[seen] - times[end])
    near = seen[(apart > 0) & (apart <= _COURSE + 1e-6)]
    if not len(near):
        return None
    farthest = near[-1] if way > 0 else near[0]
    return (places[farthest] - places[end]) / (times[farthest] - times[end])


def _smooth(
    tracks: Float[np.ndarray, "f k 3"], config: SmoothingConfig, times: Float[np.ndarray, " f"], size: float
) -> Float[np.ndarray, "f k 3"]:
    """Local quadratics twice: with one window for the acceleration, then with the windows that follow from it."""
    positions, weights = tracks[..., :2], tracks[..., 2]
    interval = float(np.median(np.diff(times)))
    pilot = np.full(weights.shape, max(_PILOT_WINDOW, interval))
    _, bend = _fit_quadratics(positions, weights, times, pilot)
    activity = np.sqrt(np.linalg.norm(2 * bend, axis=-1) / size)
    windows = _WINDOW_OF_CUTOFF / (config.min_cutoff + config.beta * activity)
    fitted, _ = _fit_quadratics(positions, weights, times, np.maximum(windows, 0.5 * interval))
    shift = np.where(weights[..., None] > 0, fitted - positions, 0.0)
    excess = np.linalg.norm(shift, axis=-1, keepdims=True) / (_LARGEST_JITTER * size)
    return np.concatenate([positions + shift / (1 + excess**4), weights[..., None]], axis=-1)


def _fit_quadratics(
    positions: Float[np.ndarray, "f k 2"],
    weights: Float[np.ndarray, "f k"],
    times: Float[np.ndarray, " f"],
    windows: Float[np.ndarray, "f k"],
) -> tuple[Float[np.ndarray, "f k 2"], Float[np.ndarray, "f k 2"]]:
    """Value and quadratic coefficient (pixels a second squared) of the parabola around every frame of every joint.

    Args:
        positions: pixels.
        weights: 0 keeps a point out of its neighbours' fits.
        times: of the frames, seconds.
        windows: standard deviation of each fit's Gaussian window, seconds.
    """
    frames = len(positions)
    farthest = np.searchsorted(times, times + 3 * windows.max(), side="right") - 1 - np.arange(frames)
    reach = int(farthest.max())
    moments = np.zeros((*weights.shape, 5))
    products = np.zeros((*weights.shape, 3, 2))
    for step in range(-reach, reach + 1):
        here = slice(max(0, -step), frames - max(0, step))
        there = slice(max(0, step), frames - max(0, -step))
        # In units of the window the equations are well conditioned whatever its width.
        time = (times[there] - times[here])[:, None] / windows[here]
        weight = weights[there] * np.exp(-(time**2) / 2)
        # Differences to the centre: a fit with too few points then falls back on leaving it where it is.
        difference = positions[there] - positions[here]
        for power in range(5):
            moments[here][..., power] += weight * time**power
        for power in range(3):
            products[here][..., power, :] += (weight * time**power)[..., None] * difference
    total = np.maximum(moments[..., :1], 1e-12)
    matrix = moments[..., [[0, 1, 2], [1, 2, 3], [2, 3, 4]]] / total[..., None] + 1e-9 * np.eye(3)
    coefficients = np.linalg.solve(matrix, products / total[..., None])
    return positions + coefficients[..., 0, :], coefficients[..., 2, :] / windows[..., None] ** 2


def _blend_masks(
    before: Bool[np.ndarray, "h w"], after: Bool[np.ndarray, "h w"], share: float
) -> Bool[np.ndarray, "h w"]:
    centres = [np.argwhere(mask).mean(axis=0) for mask in (before, after)]
    between = (1 - share) * centres[0] + share * centres[1]
    maps = [
        _shifted(_signed_distance(mask), np.rint(between - centre).astype(int))
        for mask, centre in zip((before, after), centres, strict=True)
    ]
    blended = (1 - share) * maps[0] + share * maps[1] > 0
    return blended if blended.any() else (before if share < 0.5 else after)


def _signed_distance(mask: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Distance to the outline in pixels, positive inside."""
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)), np.float32)
    return (distance_transform_edt(mask) - distance_transform_edt(~mask)).astype(np.float32)


def _shifted(distances: Float32[np.ndarray, "h w"], offset: np.ndarray) -> Float32[np.ndarray, "h w"]:
    """The map moved by whole pixels, its border repeated into what comes free."""
    rows, columns = (
        np.clip(np.arange(size) - move, 0, size - 1) for size, move in zip(distances.shape, offset, strict=True)
    )
    return distances[np.ix_(rows, columns)]
