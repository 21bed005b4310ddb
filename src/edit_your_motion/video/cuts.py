"""Where a clip cuts or fades to another scene.

Two frames are of one scene if most of what one shows is found again in the other: its colours as a whole, or its
patches, each near where it was. Patches are compared by their normalised correlation, so that a flash or a changed
exposure costs nothing, and looked for nearby, so that a moving camera or somebody fast does not either. What departs
from a scene that is back a moment later is a flash or a dropout and no cut.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from edit_your_motion.runtime.parallel_map import parallel_map

UNLIKE = 0.08
"""Share of the colours times share of the structure that two frames of one scene do not lose. Neighbours lose at most
0.02 in three real clips, however sparse, 0.02 to 0.08 where the camera moves on by a third of the picture, and 99 of
100 pairs of rendered scenes 0.078 and more."""

_SIDE, _PATCH, _REACH = 48, 8, 12
"""Longer side of the pictures that are compared, side of a patch, and how far it is looked for: pixels of those."""

_LEVELS = 6
"""Of each channel of the colour histogram."""

_FLAT = 1.5
"""Standard deviation of brightness, 0 to 255, below which a patch has no structure that could be found again."""

_LARGEST_GAIN = 2.0
"""Factor by which the light of a scene may change from one frame to the next."""

_PASSING = 0.25
"""Seconds after which something that the scene does not show is no flash."""

_FADE = 0.5
"""Seconds before and after a plain picture in which a fade to it and out of it has begun and ended."""


_DISSOLVES = (0.2, 0.4, 0.8, 1.5)
"""Seconds before and after the middle of a dissolve at which the two scenes are looked for alone."""

_MIXED, _RISES = 0.35, 0.1
"""How far a mixture may be from what two scenes give, as a share of how far these are apart; and by how much more of
the later scene is in it towards the end of a dissolve."""

_APART = 12.0
"""Least difference of two scenes, 0 to 255 in the mean square."""


def find_cuts(frames: UInt8[np.ndarray, "f h w 3"], fps: Fraction) -> Int[np.ndarray, " cuts"]:
    """The frames, counted from 0, with which another scene begins than the one before; of a dissolve its middle.

    Args:
        frames: of any size.
        fps: their rate, Hz.
    """
    small = list(parallel_map(_shrink, frames))
    passing, fade = max(1, round(_PASSING * fps)), max(1, round(_FADE * fps))
    cuts, last = _find_fades(small, fade) + _find_dissolves(small, fps), 0
    for frame in range(1, len(small)):
        if _tell_apart(small[last], small[frame]) < UNLIKE:
            last = frame
        elif all(_tell_apart(small[last], later) >= UNLIKE for later in small[frame + 1 : frame + 1 + passing]):
            cuts.append(frame)
            last = frame
    cuts.sort()
    # Of several in a row, as where a fade is fast or frames are few, the last begins the new scene.
    return np.array([cut for cut, later in pairwise([*cuts, len(small) + fade]) if later - cut > passing], int)


def list_scenes(cuts: Int[np.ndarray, " cuts"], count: int) -> list[range]:
    """The frames of each scene of a clip of `count` frames."""
    return [range(begin, end) for begin, end in pairwise([0, *cuts.tolist(), count])]


def _find_fades(small: list[Float32[np.ndarray, "_ _ 3"]], fade: int) -> list[int]:
    """The ends of plain pictures, black ones say, that come after one scene and before another."""
    plain = list(map(_is_plain, small))
    ends = [frame for frame in range(1, len(small)) if plain[frame - 1] and not plain[frame]]
    found = []
    for end in ends:
        begin = next((frame + 1 for frame in range(end - 1, -1, -1) if not plain[frame]), 0)
        before, after = max(0, begin - fade), min(len(small), end + fade) - 1
        if begin > 0 and _tell_apart(small[before], small[after]) >= UNLIKE:
            found.append(end)
    return found


def _is_plain(frame: Float32[np.ndarray, "h w 3"]) -> bool:
    return bool(frame.mean(axis=-1).std() < _FLAT)


def _find_dissolves(small: list[Float32[np.ndarray, "_ _ 3"]], fps: Fraction) -> list[int]:
    """The middles of dissolves: frames that are mixtures of one before and one after, which show different scenes."""
    found: list[int] = []
    for seconds in _DISSOLVES:
        reach = round(seconds * fps)
        if reach < 2:
            continue
        middles = []
        for frame in range(reach, len(small) - reach):
            before, after = small[frame - reach], small[frame + reach]
            quarter = reach // 2
            parts = [_mix_of(before, after, small[at]) for at in (frame - quarter, frame, frame + quarter)]
            shares = [share for share, _ in parts]
            rises = shares[0] + _RISES < shares[1] < shares[2] - _RISES
            if rises and max(off for _, off in parts) < _MIXED:
                middles.append((abs(shares[1] - 0.5), frame))
        for _, frame in sorted(middles):
            if any(map(_is_plain, small[frame - reach : frame + reach + 1])):
                continue  # a fade
            near = any(abs(frame - other) <= max(2 * reach, round(fps)) for other in found)
            if not near and _tell_apart(small[frame - reach], small[frame + reach]) >= UNLIKE:
                found.append(frame)
    return found


def _mix_of(
    before: Float32[np.ndarray, "h w 3"], after: Float32[np.ndarray, "h w 3"], frame: Float32[np.ndarray, "h w 3"]
) -> tuple[float, float]:
    """How much of the later picture is in a frame, and how far it is from such a mixture."""
    change, part = after - before, frame - before
    size = float((change**2).mean())
    if size < _APART**2:
        return 0.0, 1.0
    share = float((part * change).mean()) / size
    return share, float(np.sqrt(((part - share * change) ** 2).mean() / size))


def _shrink(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "_ _ 3"]:
    height, width = frame.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(_PATCH, round(width * scale)), max(_PATCH, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX)).astype(np.float32)


def _tell_apart(one: Float32[np.ndarray, "_ _ 3"], other: Float32[np.ndarray, "_ _ 3"]) -> float:
    """The share of the colours that two frames do not have in common times that of the structure, [0, 1]."""
    colours = _tell_colours_apart(one, other)
    if colours < UNLIKE:
        return 0.0
    # As if in the same light, but for what that overexposes.
    gain = float(np.clip((one.mean() + 1) / (other.mean() + 1), 1 / _LARGEST_GAIN, _LARGEST_GAIN))
    lit = (one, np.clip(other * gain, 0, 255)), (np.clip(one / gain, 0, 255), other)
    colours = min(colours, *(_tell_colours_apart(*both) for both in lit))
    grey, other_grey = one.mean(axis=-1), other.mean(axis=-1)
    return colours * (1 - min(_find_again(grey, other_grey), _find_again(other_grey, grey)))


def _tell_colours_apart(one: Float32[np.ndarray, "_ _ 3"], other: Float32[np.ndarray, "_ _ 3"]) -> float:
    return 1 - float(np.minimum(_histogram(one), _histogram(other)).sum())


def _histogram(frame: Float32[np.ndarray, "_ _ 3"]) -> Float[np.ndarray, "_ _ _"]:
    """Shares of the colours; a colour between two levels counts for both, so that small changes change little."""
    places = np.clip(frame.reshape(-1, 3) / 255 * _LEVELS - 0.5, 0, _LEVELS - 1)
    below = np.minimum(places.astype(int), _LEVELS - 2)
    above = places - below
    shape = (_LEVELS,) * 3
    counts = np.zeros(_LEVELS**3)
    for corner in np.ndindex(2, 2, 2):
        weights = np.where(corner, above, 1 - above).prod(axis=1)
        counts += np.bincount(np.ravel_multi_index(tuple((below + corner).T), shape), weights, len(counts))
    return counts.reshape(shape) / len(places)


def _find_again(frame: Float32[np.ndarray, "h w"], other: Float32[np.ndarray, "h w"]) -> float:
    """The mean correlation of a frame's patches with what is most like them nearby in the other, [-1, 1].

    Between two frames without any structure one half, for then nothing is known.
    """
    windows, _ = _normalised(sliding_window_view(other, (_PATCH, _PATCH)))
    found = []
    for top in range(0, frame.shape[0] - _PATCH + 1, _PATCH):
        for left in range(0, frame.shape[1] - _PATCH + 1, _PATCH):
            patch, spread = _normalised(frame[top : top + _PATCH, left : left + _PATCH])
            if spread >= _FLAT:
                rows, columns = (slice(max(0, start - _REACH), start + _REACH + 1) for start in (top, left))
                found.append(float(np.einsum("y x i j, i j -> y x", windows[rows, columns], patch).max()))
    return float(np.mean(found)) / _PATCH**2 if found else 0.5


def _normalised(
    patches: Float32[np.ndarray, "*n p p"],
) -> tuple[Float32[np.ndarray, "*n p p"], Float32[np.ndarray, "*n 1 1"]]:
    """The patches with mean 0 and standard deviation 1, which is given too; plain ones are left all but 0."""
    centred = patches - patches.mean(axis=(-2, -1), keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=(-2, -1), keepdims=True))
    return centred / np.maximum(spread, _FLAT), spread
