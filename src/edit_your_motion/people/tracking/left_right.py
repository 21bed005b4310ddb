"""Left and right kept apart over a clip: a finder that sees a back for a front swaps the two for some frames.

Somebody who truly turns passes through a profile, in which both shoulders are in one place, and nobody turns faster
than `_FASTEST_TURN`. So the way from the right joint of a pair to the left one, a vector in the picture, changes by
only so much between two frames. Where it changes by more as found, and by less with the sides exchanged, the finder
swapped them. Where both would do, near a profile and between frames far apart in time, nothing is known and nothing is
changed.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints

_LIMBS = ("shoulder", "hip", "elbow", "wrist", "knee", "ankle")
_HIP = 1
_TRUNK = slice(2)
"""Shoulders and hips: the pairs that cross only when the body turns."""
_RIGHT, _LEFT = ([BODY_JOINTS.index(f"{side}_{limb}") for limb in _LIMBS] for side in ("right", "left"))
_NECK, _RIGHT_EAR, _LEFT_EAR = (BODY_JOINTS.index(name) for name in ("neck", "right_ear", "left_ear"))

_FEWEST_PAIRS = 3
"""Limbs seen on both sides in both frames; fewer say too little."""

_TRAVEL_SHARE = 0.6
"""A swap must shorten the joints' way to this share."""

_FASTEST_TURN = 2 * np.pi * 2.25
"""Radians a second; dancers' and kickers' fastest turns are about two a second."""

_SHORT_TURN = np.pi / 2
"""Radians; between frames so near in time that limbs do not pass each other unseen."""

_UNKNOWN_INTERVAL = 1 / 15
"""Seconds between the frames of keypoints whose times nobody knows."""

_NOISE = 0.12
"""Of a pair's breadth: what a finder's jitter adds to its change between two frames."""

_BREADTHS = np.array([0.7, 0.38])
"""Of shoulders and hips, at least, in lengths of the trunk."""

_EARS = 0.4
"""Distance of the ears over that of the shoulders, where both are seen from the front or from behind."""

_CONTRADICTION = 0.3
"""Heads do not turn this far against the shoulders: ears that lie the other way round mean a swap."""

_FEWEST_FRAMES = 5
"""Of a stretch that shows which way round is the rule."""

_EXCEPTIONS = 0.4
"""Share of a stretch's support up to which frames are exceptions. On rendered people 51 of 51 runs of frames below 0.34
were the finder's errors, and 11 of 15 above."""

_LONGEST_END = 0.25
"""Seconds from the first to the last frame of exceptions with which a clip may begin or end."""


def keep_sides(
    keypoints: Keypoints, threshold: float = 0.3, *, times: Float[np.ndarray, " f"] | None = None
) -> Keypoints:
    """The keypoints with the limbs' left and right swapped back wherever a finder exchanged them for some frames.

    A stretch of frames in which it is known how each one goes with the next has a rule and exceptions: the rule is the
    way round that more of the finder's confidence is in, weighed by how well the ears go with the shoulders. Exceptions
    are swapped if they come out of the rule and go back to it. The face does not take part; it is found by other
    features.

    Args:
        keypoints: of one person over consecutive frames.
        threshold: joints up to this confidence take no part in the comparison; they are swapped with the others.
        times: of the frames, seconds; None takes them to be 1/15 apart.
    """
    body = keypoints.body.astype(np.float64)
    if times is None:
        times = np.arange(len(body)) * _UNKNOWN_INTERVAL
    pairs = np.stack([body[:, _RIGHT], body[:, _LEFT]])  # side, frame, limb, (x, y, confidence)
    places, seen = pairs[..., :2], np.all(pairs[..., 2] > threshold, axis=0)
    usable = np.flatnonzero((seen.sum(axis=1) >= _FEWEST_PAIRS) & seen[:, _TRUNK].any(axis=1))
    if not len(usable):
        return keypoints
    breadths = _measure_breadths(body, places, seen, threshold)
    agreement = _agreement(body, places, seen, breadths, threshold)
    support = pairs[..., 2].sum(axis=(0, 2)) * (1 + agreement) / 2
    steps = list(pairwise(usable))
    compared = [
        _Comparison.of(places[:, [last, frame]], seen[last] & seen[frame], agreement[[last, frame]], breadths)
        for last, frame in steps
    ]
    jumps = [step for step, comparison in zip(steps, compared, strict=True) if comparison.travel < _TRAVEL_SHARE]
    stretches, turned = [[usable[0]]], np.zeros(len(body), bool)
    for (last, frame), comparison in zip(steps, compared, strict=True):
        turn = min(_FASTEST_TURN * (times[frame] - times[last]), np.pi)
        # Out and back within less than half a turn is no turn.
        returns = any(
            other != (last, frame)
            and _FASTEST_TURN * (times[max(other[1], frame)] - times[min(other[0], last)]) < np.pi
            for other in jumps
        )
        same = comparison.same_way(turn, returns)
        if same is None:
            stretches.append([frame])
        else:
            stretches[-1].append(frame)
            turned[frame] = turned[last] ^ (not same)
    swapped = np.zeros(len(body), bool)
    for stretch in stretches:
        opened = (stretch is not stretches[0], stretch is not stretches[-1])
        sure = agreement[stretch] < -_CONTRADICTION
        swapped[stretch] = _find_exceptions(turned[stretch], support[stretch], sure, times[stretch], opened)
    # Frames that show too little follow the last that showed enough.
    last_usable = usable[np.maximum(np.searchsorted(usable, np.arange(len(body)), side="right") - 1, 0)]
    return swap_sides(keypoints, swapped[last_usable])


def _find_exceptions(
    turned: Bool[np.ndarray, " s"],
    support: Float[np.ndarray, " s"],
    sure: Bool[np.ndarray, " s"],
    times: Float[np.ndarray, " s"],
    opened: tuple[bool, bool],
) -> Bool[np.ndarray, " s"]:
    """Which frames of a stretch are not as its rule is.

    Args:
        turned: whether each has the sides the other way round than the first.
        support: of each.
        sure: which contradict themselves: the head is the other way round.
        times: of each, seconds.
        opened: whether there are frames before and after the stretch of which it is not known how they go with it.
    """
    odd = turned if support[turned].sum() <= support[~turned].sum() else ~turned
    if len(odd) < _FEWEST_FRAMES or support[odd].sum() > _EXCEPTIONS * support.sum():
        return np.zeros_like(odd)
    for order, is_open in zip((slice(None), slice(None, None, -1)), opened, strict=True):
        # What only one side vouches for may be where a turn was seen late: not so at an end of the clip, if short.
        run = np.logical_and.accumulate(odd[order])[order]
        if run.any() and (is_open or np.ptp(times[run]) > _LONGEST_END):
            odd = odd & (sure | ~run)
    return odd


def swap_sides(keypoints: Keypoints, frames: Bool[np.ndarray, " f"]) -> Keypoints:
    """The keypoints with the limbs and the hands of both sides exchanged in some frames; the face stays."""
    if not frames.any():
        return keypoints
    body = keypoints.body.copy()
    rows = np.flatnonzero(frames)[:, None]
    body[rows, _RIGHT + _LEFT] = body[rows, _LEFT + _RIGHT]
    hands = keypoints.hands
    if hands is not None:
        hands = np.where(frames[:, None, None, None], hands[:, ::-1], hands)
    return replace(keypoints, body=body, hands=hands)


@dataclass(frozen=True)
class _Comparison:
    """How the limbs of one frame lie to those of an earlier one.

    Args:
        changes: of the way across the trunk, as found and with the sides exchanged, in breadths; infinite if unknown.
        travel: of the joints with the sides exchanged, over that as found; 1 if unknown.
        heads: whether the ears go with the shoulders in both frames (True) or in one only (False), if either is sure.
    """

    changes: tuple[float, float] = (np.inf, np.inf)
    travel: float = 1.0
    heads: bool | None = None

    @classmethod
    def of(
        cls,
        places: Float[np.ndarray, "2 2 6 2"],
        limbs: Bool[np.ndarray, "6"],
        agreement: Float[np.ndarray, "2"],
        breadths: Float[np.ndarray, "2"],
    ) -> "_Comparison":
        """Of the places (side, frame, limb, x and y) of the limbs that both frames show."""
        against = agreement < -_CONTRADICTION
        heads = True if against.all() else False if against.any() and agreement.max() > _CONTRADICTION else None
        if limbs.sum() < _FEWEST_PAIRS or not limbs[_TRUNK].any():
            return cls(heads=heads)
        before, after = places[:, 0, limbs], places[:, 1, limbs]
        trunk = limbs[_TRUNK]
        across = (places[1] - places[0])[:, _TRUNK][:, trunk]
        as_found, exchanged = (
            np.linalg.norm(across[1] - sign * across[0], axis=-1).sum() / breadths[trunk].sum() for sign in (1, -1)
        )
        ways = [np.linalg.norm(there - before, axis=-1).sum() for there in (after, after[::-1])]
        return cls((float(as_found), float(exchanged)), float(ways[1] / max(ways[0], 1e-9)), heads)

    def same_way(self, turn: float, returns: bool) -> bool | None:
        """Whether both frames have left and right the same way round; None where nothing tells.

        Args:
            turn: how far the body may have turned meanwhile, up to half a turn, radians.
            returns: whether the limbs jump once more, too soon for a turn.
        """
        # A vector of the body's breadth changes by no more than the chord of the turn, wherever the turn's axis points.
        reach = 2 * np.sin(turn / 2) + _NOISE
        as_found, exchanged = (change <= reach for change in self.changes)
        jumps = self.travel < _TRAVEL_SHARE
        if self.heads is not None:
            return self.heads
        if jumps and exchanged and (returns or not as_found):
            return False
        if as_found and (not exchanged or (turn < _SHORT_TURN and self.travel > 1 / _TRAVEL_SHARE)):
            return True
        return None


def _measure_breadths(
    body: Float[np.ndarray, "f 18 3"],
    places: Float[np.ndarray, "2 f 6 2"],
    seen: Bool[np.ndarray, "f 6"],
    threshold: float,
) -> Float[np.ndarray, "2"]:
    """Of shoulders and hips, as seen from the front, pixels; too large rather than too small."""
    across = np.linalg.norm(places[1] - places[0], axis=-1)[:, _TRUNK]
    widest = [
        np.percentile(values[there], 95) if there.any() else 0.0
        for values, there in zip(across.T, seen.T, strict=False)
    ]
    upright = seen[:, _HIP] & (body[:, _NECK, 2] > threshold)
    lengths = np.linalg.norm(body[:, _NECK, :2] - places[:, :, _HIP].mean(axis=0), axis=-1)[upright]
    return np.maximum(widest, _BREADTHS * (np.percentile(lengths, 95) if len(lengths) else 0.0))


def _agreement(
    body: Float[np.ndarray, "f 18 3"],
    places: Float[np.ndarray, "2 f 6 2"],
    seen: Bool[np.ndarray, "f 6"],
    breadths: Float[np.ndarray, "2"],
    threshold: float,
) -> Float[np.ndarray, "f"]:
    """How well the ears' order goes with the shoulders', [-1, 1]."""
    shoulders, ears = places[1, :, 0] - places[0, :, 0], body[:, _LEFT_EAR] - body[:, _RIGHT_EAR]
    known = seen[:, 0] & (body[:, [_LEFT_EAR, _RIGHT_EAR], 2] > threshold).all(axis=1)
    along = np.einsum("fi,fi->f", ears[:, :2], shoulders) / np.maximum(np.linalg.norm(shoulders, axis=-1), 1e-9)
    agreement = np.clip(along / max(_EARS * breadths[0], 1e-9), -1, 1)
    return np.where(known, agreement, 0.0)
