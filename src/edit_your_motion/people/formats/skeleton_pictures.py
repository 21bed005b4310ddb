"""Keypoints read off skeleton pictures: each OpenPose joint is a disc of its own hue, each limb a dimmer ellipse.

Bright spots of a joint's hue are its candidates; noise, blurred colours and the hands' dots give more than one. What
the white dots of a face hide of a spot does not count against it; a joint of which nothing shows, as a wrist's under
the hand's dots, may be where its limb ends. The limbs are a tree, so the best choice of one candidate (or none) a joint
is found exactly by dynamic programming over it: a spot counts for its size, a pair for the share of the line between
that shows the limb's colour. Blue and red may be exchanged, as in pictures that OpenCV wrote: the order is taken in
which the bodies fit together better.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from scipy.ndimage import find_objects, gaussian_filter, label, maximum_filter

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.skeleton import JOINT_COLOURS, LIMB_INTENSITY, LIMBS, draw_skeleton
from edit_your_motion.video.selection import spread_evenly

_log = logging.getLogger(__name__)

_JOINTS = len(BODY_JOINTS)
_ROOT = 1
_BRIGHT = 0.75
"""Brightness above which a pixel cannot be a limb's."""
_DIM = 0.3
_SATURATED = 0.4
_HUE_WIDTH = 0.7
"""In steps from one joint's hue to the next, 20 degrees."""
_LEAST_QUALITY = 0.2
_MOST_CANDIDATES = 48
_MOST_PIECES = 8
_MOST_LIT = 0.4
"""Share of a picture that a skeleton does not reach."""
_REACH = 0.02
"""How far about a limb what is drawn belongs to it, as a share of the picture's short side."""
_LEAST_SHOWN = 0.3
"""Share of a disc that must show to tell it."""
_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
_LUMA = JOINT_COLOURS / 255 @ _LUMA_WEIGHTS
_SAMPLES = np.linspace(0.15, 0.85, 15)
_OCCLUDED = 0.6
"""What a point of a limb counts that something bright lies over, as against 1 where the limb itself shows."""
_SUPPORTED = 0.5
_NOSE, _WRISTS, _FACE, _DOTS = 0, (4, 7), (0, 14, 15, 16, 17), 12
"""Joints that the dots of faces and hands hide, and the one whose colour the hands' dots have."""
_MOST_KNEES = 1
"""More spots in that colour are dots of hands."""
_LEAST_FACE = 20
"""Pixels of white in a cloud of a face's dots, at the least, in units of a joint's squared radius: some of them."""
_HIDDEN = 0.4
"""What the end of a limb counts as a joint's spot of which nothing shows."""
_SHOWN = 0.7
"""A spot of at least this quality needs no such help."""
_LIKE = 0.35
"""Likeness above which a pixel has a limb's colour: within 14 degrees of hue."""


@dataclass(frozen=True)
class _Picture:
    """Hue in steps of the joints' colours (NaN for grey and black), brightness as a share of that full colour's, and
    what is white: dots of a face.
    """

    hue: Float32[np.ndarray, "h w"]
    brightness: Float32[np.ndarray, "h w"]
    white: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class _Candidates:
    """The spots that may be a joint: where they are, and how much of a whole disc each is (0..1)."""

    points: Float[np.ndarray, "n 2"]
    quality: Float[np.ndarray, "n"]


def read_skeletons(
    frames: UInt8[np.ndarray, "f h w 3"],
    *,
    on_frame: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] = _log.warning,
) -> Keypoints:
    """The body keypoints of the most complete skeleton in each picture.

    Args:
        frames: skeletons in OpenPose's colours on black, RGB; compression and resizing are tolerated.
        on_frame: called after each frame with how many are done and how many there are.
        on_warning: is told what a user should know.

    Returns:
        Keypoints in pixels of the pictures. A joint's confidence is the mean of its disc's completeness and of how well
        its limbs are seen; one without any limb is taken for noise.

    Raises:
        PersonError: no picture shows a skeleton.
    """
    _require_black(frames)
    body = np.zeros((len(frames), _JOINTS, 3), np.float32)
    as_drawn = _in_rgb(frames)
    if as_drawn is not frames:
        on_warning("skeletons: blue and red are exchanged in these pictures; they are read the other way round")
    for index, frame in enumerate(as_drawn):
        body[index], _ = _read_skeleton(frame)
        if on_frame is not None:
            on_frame(index + 1, len(frames))
    if not (body[..., 2] > 0).any():
        raise PersonError(
            f"expected skeletons in OpenPose's colours on black, found none in {len(frames)} pictures: "
            "give the pictures that the ControlNet takes"
        )
    partial = (body[..., 2] > 0).sum(axis=1) < _JOINTS / 2
    keypoints = Keypoints(body=body, height=frames.shape[1], width=frames.shape[2])
    _require_explained(frames, keypoints, partial)
    few = np.flatnonzero(partial)
    if len(few):
        listed = ", ".join(map(str, few[:8] + 1)) + (" and more" if len(few) > 8 else "")
        on_warning(f"skeletons: fewer than half of a body's joints could be read in frames {listed}")
    return keypoints


def _require_explained(frames: UInt8[np.ndarray, "f h w 3"], read: Keypoints, partial: Bool[np.ndarray, " f"]) -> None:
    """Passes parts of bodies that are most of what the pictures show."""
    lit = frames.max(axis=-1) > 255 * _DIM
    shown = lit.any(axis=(1, 2))
    drawn = draw_skeleton(read, threshold=0.0, line_width=_REACH * min(read.height, read.width)).any(axis=-1)
    unexplained = (lit & ~drawn).sum(axis=(1, 2)) > 0.5 * lit.sum(axis=(1, 2))
    if (strange := partial & shown & unexplained).sum() > 0.5 * shown.sum():
        raise PersonError(
            f"expected skeletons in OpenPose's colours on black, could make out a few joints only in {strange.sum()} "
            f"of {len(frames)} pictures, most of what these show is no part of them: draw them in OpenPose's colours"
        )


def _require_black(frames: UInt8[np.ndarray, "f h w 3"]) -> None:
    """Passes skeletons on black, and noise."""
    lit = np.median([(frame.max(axis=-1) > 255 * _DIM).mean() for frame in frames])
    if lit > _MOST_LIT:
        raise PersonError(
            f"expected skeletons in OpenPose's colours on black, found pictures of which {lit:.0%} is not black: give "
            "the skeletons alone, not drawn over a video"
        )


def _in_rgb(frames: UInt8[np.ndarray, "f h w 3"]) -> UInt8[np.ndarray, "f h w 3"]:
    """The frames in the order of channels in which their bodies fit together better."""
    sample = frames[spread_evenly(len(frames), 6)]
    as_is, exchanged = (sum(_read_skeleton(frame)[1] for frame in order) for order in (sample, sample[..., ::-1]))
    if exchanged <= as_is:
        return frames
    return frames[..., ::-1]


def _read_skeleton(frame: UInt8[np.ndarray, "h w 3"]) -> tuple[Float32[np.ndarray, "18 3"], float]:
    """The joints, and how well they fit together."""
    body = np.zeros((_JOINTS, 3), np.float32)
    picture, offset = _classify(frame)
    candidates = _find_candidates(picture)
    chosen, fit = _choose(picture, candidates)
    for joint, index in enumerate(chosen):
        if index is None:
            continue
        point = candidates[joint].points[index]
        supports = [
            _support(picture, candidates[end].points[chosen[end]], point, limb)
            for limb, ends in enumerate(LIMBS)
            if joint in ends
            for end in [sum(ends) - joint]
            if chosen[end] is not None
        ]
        if supports and max(supports) >= _SUPPORTED:
            body[joint] = (*(point + offset), min(1.5 * candidates[joint].quality[index], 1) * np.mean(supports))
    return body, fit


def _classify(frame: UInt8[np.ndarray, "h w 3"]) -> tuple[_Picture, Float[np.ndarray, "2"]]:
    """The part of a frame that is not black, and where (x, y) that part begins."""
    lit = frame.max(axis=-1) > 255 * _DIM
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    top, left = (max(0, int(found[0]) - 2) if len(found) else 0 for found in (rows, columns))
    bottom, right = (int(found[-1]) + 3 if len(found) else 1 for found in (rows, columns))
    lit = lit[top:bottom, left:right]
    pixels = frame[top:bottom, left:right][lit].astype(np.float32) / 255
    value, low = pixels.max(axis=-1), pixels.min(axis=-1)
    red, green, blue = pixels.T
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi) * _JOINTS % _JOINTS
    # Compression halves the resolution of colour but not of luma, which therefore tells discs from limbs best; only
    # blue has so little of it that the value has to.
    whole = np.interp(angle, np.arange(_JOINTS + 1), np.append(_LUMA, _LUMA[0]))
    hue, brightness = np.full(lit.shape, np.nan, np.float32), np.zeros(lit.shape, np.float32)
    hue[lit] = np.where(value - low > _SATURATED * value, angle, np.nan)
    brightness[lit] = pixels @ _LUMA_WEIGHTS + (1 - whole) * value
    white = np.zeros(lit.shape, bool)
    white[lit] = (value - low <= _SATURATED * value) & (value > _BRIGHT)
    return _Picture(hue, brightness, white), np.array([left, top], float)


def _find_candidates(picture: _Picture) -> list[_Candidates]:
    bright = np.clip((picture.brightness - LIMB_INTENSITY) / (1 - LIMB_INTENSITY), 0, 1)
    y, x = np.nonzero((bright > 0) & ~np.isnan(picture.hue))
    hue, bright = picture.hue[y, x], bright[y, x]
    near = [bright * _likeness(hue, joint) for joint in range(_JOINTS)]
    areas = [spots.sum() for spots in near if spots.any()]
    radius = float(np.clip(np.sqrt(np.median(areas) / np.pi), 1.0, 32.0)) if areas else 1.0
    found = [_peaks(y[spots > 0.02], x[spots > 0.02], spots[spots > 0.02], radius, picture.white) for spots in near]
    return _add_hidden(picture, found, radius)


def _add_hidden(picture: _Picture, found: list[_Candidates], radius: float) -> list[_Candidates]:
    """The candidates, with the ends of their limbs for joints of which little shows."""
    added: list[list[np.ndarray]] = [[] for _ in found]
    hidden = [*_FACE] if picture.white.any() else []
    # Hands are of many dots in one of the knees' colour.
    hidden += _WRISTS if len(found[_DOTS].points) > _MOST_KNEES else []
    for limb, ends in enumerate(LIMBS):
        wanted = [joint for joint in ends if joint in hidden and not (found[joint].quality >= _SHOWN).any()]
        for point, white in _limb_ends(picture, limb, radius) if wanted else ():
            # Under a face's dots the end of the neck is the chin.
            for joint in wanted:
                if white == (joint in _FACE) and joint != _NOSE:
                    added[joint].append(point)
    if _NOSE in hidden and not (found[_NOSE].quality >= _SHOWN).any():
        added[_NOSE] += _face_centres(picture, radius)
    return [
        _Candidates(
            np.concatenate([spots.points, np.reshape(more, (-1, 2))]),
            np.append(spots.quality, np.full(len(more), _HIDDEN)),
        )
        for spots, more in zip(found, added, strict=True)
    ]


def _face_centres(picture: _Picture, radius: float) -> list[np.ndarray]:
    """The middle of each cloud of white dots, (x, y): about the nose, whichever way a face looks."""
    clouds, count = label(maximum_filter(picture.white, 4 * int(np.ceil(radius)) + 1))
    sizes = np.bincount(clouds[picture.white], minlength=count + 1)
    large = np.flatnonzero(sizes[1:] > _LEAST_FACE * radius**2)[:_MOST_PIECES] + 1
    return [np.argwhere(picture.white & (clouds == number)).mean(axis=0)[::-1] + 0.5 for number in large]


def _limb_ends(picture: _Picture, limb: int, radius: float) -> list[tuple[np.ndarray, bool]]:
    """Both ends of each piece in a limb's colour, (x, y), and whether white hides them.

    Pieces that only dots part are one.
    """
    dim = (picture.brightness > _DIM * LIMB_INTENSITY) & (picture.brightness <= _BRIGHT)
    shown = dim & (_likeness(picture.hue, limb) > _LIKE)
    pieces, _ = label(maximum_filter(shown, 2 * int(np.ceil(radius)) + 1), np.ones((3, 3)))
    ends = []
    for number, window in enumerate(find_objects(pieces)[:_MOST_PIECES], 1):
        y, x = np.nonzero(shown[window] & (pieces[window] == number))
        if len(x) < 2 * radius:
            continue
        places = np.stack([x + window[1].start, y + window[0].start], axis=-1) + 0.5
        middle = places.mean(axis=0)
        along = np.linalg.eigh(np.cov((places - middle).T))[1][:, 1]
        reach = (places - middle) @ along
        for sign, far in ((1, reach.max()), (-1, -reach.min())):
            end = middle + sign * far * along
            beyond = (end + sign * 0.5 * radius * along).astype(int)
            column, row = np.clip(beyond, 0, np.array(shown.shape[::-1]) - 1)
            white = bool(picture.white[row, column])
            covered = white or picture.brightness[row, column] > _BRIGHT
            ends.append((end + sign * radius * along * covered, white))
    return ends


def _likeness(hue: Float32[np.ndarray, "*any"], colour: int) -> Float32[np.ndarray, "*any"]:
    """How near a hue is to a joint's colour: 1 at it, next to nothing at its neighbours'."""
    steps = (hue - colour + _JOINTS / 2) % _JOINTS - _JOINTS / 2
    return np.exp(-((steps / _HUE_WIDTH) ** 2))


def _peaks(
    y: Int[np.ndarray, "n"],
    x: Int[np.ndarray, "n"],
    spots: Float32[np.ndarray, "n"],
    radius: float,
    white: Bool[np.ndarray, "h w"],
) -> _Candidates:
    """Where there is most of a joint's colour within a disc's reach, and how much of what could show of a whole one."""
    if not len(spots):
        return _Candidates(np.zeros((0, 2)), np.zeros(0))
    reach = 2 * int(np.ceil(radius)) + 1
    top, left = y.min() - 2 * reach, x.min() - 2 * reach
    likely = np.zeros((y.max() - top + 2 * reach + 1, x.max() - left + 2 * reach + 1), np.float32)
    likely[y - top, x - left] = spots
    density = gaussian_filter(likely, radius / 2, mode="constant")
    whole = 1 - np.exp(-2)
    hidden = np.zeros_like(likely)
    part = white[max(top, 0) : top + len(likely), max(left, 0) : left + likely.shape[1]]
    down, right = max(-top, 0), max(-left, 0)
    hidden[down : down + part.shape[0], right : right + part.shape[1]] = part
    covered = gaussian_filter(hidden, radius / 2, mode="constant")
    density = density * whole / np.maximum(whole - covered, _LEAST_SHOWN * whole)
    row, column = np.nonzero((density == maximum_filter(density, reach)) & (density > _LEAST_QUALITY * whole))
    strongest = np.argsort(-density[row, column])[:_MOST_CANDIDATES]
    row, column = row[strongest], column[strongest]
    steps = np.arange(-(reach // 2), reach // 2 + 1)
    rows, columns = row[:, None, None] + steps[:, None], column[:, None, None] + steps
    weight = likely[rows, columns]
    total = weight.sum(axis=(1, 2))
    centres = [(weight * places).sum(axis=(1, 2)) / total + 0.5 for places in (columns + left, rows + top)]
    return _Candidates(np.stack(centres, axis=-1), np.minimum(density[row, column] / whole, 1).astype(float))


def _choose(picture: _Picture, candidates: Sequence[_Candidates]) -> tuple[list[int | None], float]:
    """Which candidate each joint takes, None for none, and the total over the tree of limbs, which is the best."""
    below: dict[int, list[tuple[int, int]]] = {joint: [] for joint in range(_JOINTS)}
    for limb, (start, end) in enumerate(LIMBS):
        below[start].append((end, limb))
    order = [_ROOT]
    for joint in order:
        order += [child for child, _ in below[joint]]

    # The last entry of each list stands for a joint that is not there.
    scores = [np.append(found.quality - 0.25, 0.0) for found in candidates]
    picks: dict[int, np.ndarray] = {}
    for joint in reversed(order):
        for child, limb in below[joint]:
            pairs = np.zeros((len(scores[joint]), len(scores[child])))
            pairs[:-1, :-1] = 2 * (_supports(picture, candidates[joint], candidates[child], limb) - _SUPPORTED)
            totals = pairs + scores[child]
            picks[child] = totals.argmax(axis=1)
            scores[joint] = scores[joint] + totals.max(axis=1)

    chosen = {_ROOT: int(scores[_ROOT].argmax())}
    for joint in order:
        for child, _ in below[joint]:
            chosen[child] = int(picks[child][chosen[joint]])
    counts = [len(found.points) for found in candidates]
    taken = [chosen[joint] if chosen[joint] < counts[joint] else None for joint in range(_JOINTS)]
    return taken, float(scores[_ROOT].max())


def _supports(picture: _Picture, starts: _Candidates, ends: _Candidates, limb: int) -> Float[np.ndarray, "n m"]:
    supports = [[_support(picture, start, end, limb) for end in ends.points] for start in starts.points]
    return np.array(supports).reshape(len(starts.points), len(ends.points))


def _support(picture: _Picture, start: np.ndarray, end: np.ndarray, limb: int) -> float:
    """The share of the line between two points that shows the limb, or what may lie over it."""
    x, y = (start[:, None] + (end - start)[:, None] * _SAMPLES).astype(int)
    covered = _OCCLUDED * (picture.brightness[y, x] > _BRIGHT)
    return float(np.fmax(_likeness(picture.hue[y, x], limb) > _LIKE, covered).mean())
