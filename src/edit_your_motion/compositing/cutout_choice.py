"""From which frame of the source each part of a body is taken, for each pose that is wanted."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from scipy.ndimage import gaussian_filter1d, map_coordinates

from edit_your_motion.compositing.cutouts import ARMS, CORNERS, HANDS, PARTS, Cutout, Part, sample_between
from edit_your_motion.compositing.part_maps import fit_map, is_from_behind, match_joints
from edit_your_motion.people.skeleton import DRAWN

_NOSE = 0
"""Of `BODY_JOINTS`."""

_NEVER = 9.0
"""Cost of a source frame that does not show a part at all."""

_SWITCH = 0.3
"""What it costs to take a part from another source frame than in the frame before."""

_TRUSTED, _DOUBTED = 0.6, 1.0
"""Cost up to which a part is trusted wholly, and from which it is not at all."""

_ODD = 60.0
"""Levels of 255 off what the other frames show that cost 1: something covers the part, or it was found wrongly."""

_SPOTS = np.meshgrid(np.linspace(0.1, 0.95, 6), [-0.5, 0.0, 0.5])
"""Where looks are compared: shares of the way along a part and of half its breadth."""

_RARE, _FEW = 0.25, 4
"""What this share of the frames shows free about an arm is free, if so many frames tell."""

_WORSE = 0.2
"""Trust below which a part is rather left to what is generated."""

_STRETCH = 2.5
"""How much more a trunk may be stretched one way than the other."""

_SKIN, _HELD = 0.03, 0.5
"""Share of red, green or blue by which a bare hand may differ from the face, and what it costs to differ twice that."""

_MOSTLY = 200
"""Matte of 255 from which a spot shows the person's colour."""

_BLURRED = 0.4
"""What it costs that a frame shows nothing of a part's texture."""


def choose_cutouts(
    cutouts: Sequence[Cutout], poses: Float64[np.ndarray, "f 18 3"], height: float
) -> tuple[Int[np.ndarray, "parts f"], Float64[np.ndarray, "parts f"]]:
    """The cutout that shows each part nearest to each pose, and how far it is to be trusted, [0, 1].

    A limb as long and as it points, a trunk and a head turned alike, seen wholly, looking as in most other frames;
    changing from one to another costs too, so that it does not flicker. What no cutout shows has a trust of -1; a trunk
    that is seen from its other side 0, for clothes are alike from both, and so the back of a head that is seen from the
    front, for it has its hair.

    Args:
        cutouts: of the source; what their arms hold in some frames only is taken away from them.
        poses: of the edit.
        height: of the body in them, pixels.
    """
    chosen, trusted = np.zeros((len(PARTS), len(poses)), int), np.zeros((len(PARTS), len(poses)))
    joints = np.stack([cutout.joints for cutout in cutouts])
    for index, part in enumerate(PARTS):
        if index in ARMS:
            _drop_held(index, cutouts)
        costs = _compare_poses(part, joints, poses, (cutouts[0].height, height)) + _measure_faults(index, cutouts)
        chosen[index] = _choose_steadily(costs)
        least = costs[np.arange(len(poses)), chosen[index]]
        trust = gaussian_filter1d(np.clip((_DOUBTED - least) / (_DOUBTED - _TRUSTED), 0, 1), 1.0, mode="nearest")
        usable = (trust >= _WORSE) & (least < _NEVER)
        if part.kind == "trunk":
            usable |= ~_is_stretched(part, joints[chosen[index]], poses)
        if part.kind == "head":
            usable |= is_from_behind(poses) & (least < _NEVER)
        trusted[index] = np.where(usable, np.where(trust < _WORSE, 0, trust), -1)
    return chosen, trusted


def _is_stretched(
    part: Part, shown: Float64[np.ndarray, "f 18 3"], wanted: Float64[np.ndarray, "f 18 3"]
) -> Bool[np.ndarray, " f"]:
    """Where a trunk is seen so much more from the side than it is wanted, or the other way round, that it is none."""
    stretched = np.ones(len(wanted), bool)
    for frame, (there, here) in enumerate(zip(shown, wanted, strict=True)):
        points, places = match_joints(part, here, there)
        if len(points) >= CORNERS:
            linear, _ = fit_map(points, places, similar=False)
            values = np.linalg.svd(linear, compute_uv=False)
            stretched[frame] = values[0] > _STRETCH * values[1]
    return stretched


def _compare_poses(
    part: Part,
    shown: Float64[np.ndarray, "n 18 3"],
    wanted: Float64[np.ndarray, "f 18 3"],
    heights: tuple[float, float],
) -> Float64[np.ndarray, "f n"]:
    """How far each source frame's pose of a part is from each wanted one: 0 for the same, `_NEVER` for not seen."""
    joints, scale = list(part.joints), heights[1] / heights[0]
    seen, asked = shown[:, joints, 2] > DRAWN, wanted[:, joints, 2] > DRAWN
    there, here = shown[:, joints, :2] * scale, wanted[:, joints, :2]
    if part.kind == "limb":
        has, wants = there[:, 1] - there[:, 0], here[:, 1] - here[:, 0]
        long, short = np.linalg.norm(has, axis=-1)[None], np.linalg.norm(wants, axis=-1)[:, None]
        stretched = np.abs(np.log((short + 1) / (long + 1)))
        turned = 1 - wants @ has.T / np.maximum(long * short, 1e-6)
        both = np.logical_and.outer(asked.all(axis=1), seen.all(axis=1))
        return np.where(both, 0.7 * stretched + 0.2 * turned, _NEVER)
    costs = np.full((len(wanted), len(shown)), _NEVER)
    head = part.kind == "head"
    turned, back = head & is_from_behind(wanted), head & is_from_behind(shown)
    for one, other in np.ndindex(costs.shape):
        points, places = match_joints(part, wanted[one], shown[other])
        places = places * scale
        fewest = CORNERS if part.kind == "trunk" else 2 if turned[one] else 3
        # Of a face the back is guessed, to begin with; of a back the face is not.
        if len(points) < fewest or (back[other] and not turned[one]):
            continue
        linear, shift = fit_map(points, places, similar=True)
        left = np.linalg.norm(points @ linear.T + shift - places, axis=-1).mean()
        zoom = max(float(np.linalg.det(linear)), 1e-6) ** 0.5
        costs[one, other] = 10 * left / heights[1] + abs(np.log(zoom)) + 0.3 * (1 - linear[0, 0] / zoom)
        if head:
            costs[one, other] += 0.3 * (asked[one] != seen[other]).sum()
            costs[one, other] += _DOUBTED if turned[one] and not back[other] else 0.0
    return costs


def _drop_held(index: int, cutouts: Sequence[Cutout]) -> None:
    """Takes away what hangs about an arm in some frames only: a ball in the hand is none of it."""
    part = PARTS[index]
    breadth = part.half_breadth * cutouts[0].height
    along_grid, across_grid = np.linspace(-0.2, 1.2 + part.beyond, 30), np.linspace(-3, 3, 25)
    share, offset = np.meshgrid(along_grid, across_grid, indexing="ij")
    seen = [(cutout, axes) for cutout in cutouts if (axes := cutout.find_axes(index)) is not None]
    covered = np.full((len(seen), *share.shape), np.nan, np.float32)
    for looks, (cutout, (start, along, aside)) in zip(covered, seen, strict=True):
        points = start + share[..., None] * along + offset[..., None] * breadth * aside
        looks[...] = cutout.look_up(index, points.astype(np.float32))
    free = np.zeros(share.shape, np.float32)
    enough = (~np.isnan(covered)).sum(axis=0) >= _FEW
    free[enough] = 1 - np.nanquantile(covered[:, enough], _RARE, axis=0)
    for cutout, (start, along, aside) in seen:
        rows, columns = np.nonzero(cutout.owners == index)
        points = np.stack([columns + cutout.corner[0], rows + cutout.corner[1]], axis=-1) + 0.5 - start
        u = points @ along / max(float(along @ along), 1e-6)
        v = points @ aside / breadth
        places = [
            (place - grid[0]) / (grid[-1] - grid[0]) * (len(grid) - 1)
            for place, grid in ((u, along_grid), (v, across_grid))
        ]
        dropped = map_coordinates(free, places, order=1, mode="constant", cval=1.0) > 0.5
        cutout.pixels[rows[dropped], columns[dropped], 3] = 0


def _measure_faults(index: int, cutouts: Sequence[Cutout]) -> Float64[np.ndarray, " n"]:
    """What speaks against taking a part from each frame, whatever the pose: about 1 for each grave thing.

    It is hardly seen, more hangs about it or its hand has another hue than in other frames (what the person holds), it
    is before or behind another part, it looks unlike itself, or it is blurred.
    """
    near, far = np.array([cutout.find_seen(index) for cutout in cutouts]).T
    seen = near > 0.2
    faults = np.clip(1 - near / 0.4, 0, 1)
    if seen.any():
        faults += np.clip(2 * (far - np.quantile(far[seen], 0.1)), 0, 1)
    faults += [cutout.share_crossing(index, *_SPOTS) for cutout in cutouts]
    faults += _measure_oddness(index, cutouts)
    if index in HANDS:
        faults += _measure_held(index, cutouts)
    sharpness = np.array([cutout.sharpness[index] for cutout in cutouts])
    return faults + _BLURRED * (1 - np.clip(sharpness / max(float(np.quantile(sharpness, 0.8)), 1e-6), 0, 1))


def _measure_oddness(index: int, cutouts: Sequence[Cutout]) -> Float64[np.ndarray, " n"]:
    """How unlike the other frames' a part looks in each: something stands before it, or it was found wrongly."""
    odd = np.zeros(len(cutouts))
    if PARTS[index].kind == "head":
        return odd  # which turns, and looks another way for that
    looks = np.full((len(cutouts), _SPOTS[0].size, 4), np.nan)
    for frame, cutout in enumerate(cutouts):
        spots = cutout.list_spots(index, *_SPOTS)
        if spots is not None:
            values, _ = cutout.sample(index, *spots)
            looks[frame] = np.concatenate([values[:, :3] * values[:, 3:] / 255, values[:, 3:]], axis=-1)
    known = ~np.isnan(looks[:, 0, 0])
    if known.sum() > 2:
        odd[known] = np.abs(looks[known] - np.median(looks[known], axis=0)).mean(axis=(1, 2)) / _ODD
    return odd


def _measure_held(index: int, cutouts: Sequence[Cutout]) -> Float64[np.ndarray, " n"]:
    """How unlike the face's hue that of a hand is in each frame, more than in others: it holds something."""
    hues = [hue for cutout in cutouts if (hue := _find_hue(cutout, *_look_at_face(cutout))) is not None]
    unlike = np.zeros(len(cutouts))
    if not hues:
        return unlike
    face, along = np.median(hues, axis=0), 1 + PARTS[index].beyond * np.linspace(0.2, 0.8, 4)
    for frame, cutout in enumerate(cutouts):
        spots = cutout.list_spots(index, *np.meshgrid(along, [-0.5, 0.0, 0.5]))
        hue = None if spots is None else _find_hue(cutout, *spots)
        unlike[frame] = 0 if hue is None else np.abs(hue - face).max()
    usual = max(_SKIN, float(np.quantile(unlike, 0.1)))
    return _HELD * np.clip((unlike - usual) / _SKIN, 0, 1)


def _look_at_face(cutout: Cutout) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
    """Spots about the nose, x and y; none where it is not seen."""
    x, y, seen = cutout.joints[_NOSE]
    across, down = (0.02 * cutout.height * grid.ravel() for grid in np.meshgrid(*2 * [np.linspace(-1, 1, 5)]))
    spots = np.stack([x + across, y + down]).astype(np.float32)
    return tuple(spots if seen > DRAWN else spots[:, :0])


def _find_hue(
    cutout: Cutout, x: Float32[np.ndarray, " n"], y: Float32[np.ndarray, " n"]
) -> Float64[np.ndarray, "3"] | None:
    """The median shares of red, green and blue in what is the person's at some spots; None where nothing is."""
    values = sample_between(cutout.pixels, cutout.corner, x, y).astype(np.float64)
    colours = values[values[:, 3] > _MOSTLY, :3]
    if not len(colours):
        return None
    return np.asarray(np.median(colours / np.maximum(colours.sum(axis=-1, keepdims=True), 1), axis=0))


def _choose_steadily(costs: Float64[np.ndarray, "f n"]) -> Int[np.ndarray, " f"]:
    """The source frame for each of the edit, of the least cost in all where a change costs `_SWITCH` (Viterbi 1967)."""
    total, came = costs[0], []
    for cost in costs[1:]:
        best = int(total.argmin())
        came.append(np.where(total <= total[best] + _SWITCH, np.arange(len(total)), best))
        total = np.minimum(total, total[best] + _SWITCH) + cost
    path = [int(total.argmin())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])
