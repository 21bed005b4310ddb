"""A person in one frame, cut out and told apart into the pieces of the body that move as one."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16
from scipy.ndimage import binary_opening, distance_transform_edt

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import DRAWN

Joints: TypeAlias = Float64[np.ndarray, "18 3"]
"""A body: x, y in pixels, confidence."""


@dataclass(frozen=True)
class Part:
    """A piece of the body that moves as one.

    Args:
        kind: how it is brought from one pose to another.
        joints: what it hangs on, indices of `BODY_JOINTS`; of a limb its two ends.
        half_breadth: half of how broad it is, as a share of the body's height.
        joined: further parts whose pixels belong to it too, where they lie nearer to its own bone than so many half
            breadths: without them a joint that bends has a gap.
        beyond: how far it goes on after its second joint, as a share of its length: a hand, a foot.
        narrows: to which share of its breadth, towards its second joint.
    """

    kind: Literal["trunk", "head", "limb"]
    joints: tuple[int, ...]
    half_breadth: float
    joined: tuple[tuple[int, float], ...]
    beyond: float = 0.0
    narrows: float = 1.0


PARTS = (
    Part("trunk", (1, 2, 5, 8, 11), 0.10, ((1, 1.0), (2, 1.2), (4, 1.2))),
    Part("head", (1, 0, 14, 15, 16, 17), 0.08, ((0, 1.0),)),
    Part("limb", (8, 9), 0.075, ((0, 1.1), (3, 1.5), (4, 1.1)), narrows=0.73),
    Part("limb", (9, 10), 0.055, ((2, 1.8),), beyond=0.15),
    Part("limb", (11, 12), 0.075, ((0, 1.1), (5, 1.5), (2, 1.1)), narrows=0.73),
    Part("limb", (12, 13), 0.055, ((4, 1.8),), beyond=0.15),
    Part("limb", (2, 3), 0.05, ((0, 0.5), (7, 1.4)), narrows=0.8),
    Part("limb", (3, 4), 0.04, ((6, 1.6),), beyond=0.6),
    Part("limb", (5, 6), 0.05, ((0, 0.5), (9, 1.4)), narrows=0.8),
    Part("limb", (6, 7), 0.04, ((8, 1.6),), beyond=0.6),
)
"""The breadths are those of clothed people; the lengths below are about those of Drillis and Contini 1966."""

CORNERS = 4
"""Joints of a trunk that two poses must show for one to be brought to the other."""

_LENGTHS = {
    (1, 8): 0.3, (1, 11): 0.3, (8, 9): 0.245, (11, 12): 0.245, (9, 10): 0.245, (12, 13): 0.245,
    (2, 3): 0.17, (5, 6): 0.17, (3, 4): 0.15, (6, 7): 0.15,
}  # fmt: skip
"""Of bones, as shares of the body's height: what its size is measured by."""

_TRUNK, _HEAD, _THIGHS, ARMS, HANDS = 0, 1, (2, 4), (6, 7, 8, 9), (7, 9)
"""Indices of `PARTS`."""

LEGS = ((2, 4), (3, 5))
"""The right and the left thigh, the right and the left shin."""

_SKIRT = 1.5
"""Half breadths of a thigh within which a coat or a skirt may hang."""

_FACE, _ANKLES = (0, 14, 15, 16, 17), [10, 13]

_TRUNK_INSIDE = 0.6
"""Distance, in half breadths, that all of the trunk's inside counts as: what is nearer to an arm's bone is the arm."""

_AROUND = 0.35
"""How far about its joints a body may reach, as a share of its height."""

_BROAD = 1.3
"""Half breadths from the bones beyond which is no body any more."""

_SAME, _OTHER = 8, 24
"""Levels of 255 off the place up to which the edge of a mask is the place, and how many more make it the person."""

_MISSED, _CLIPPED, _THIN = 0.04, 0.015, 0.006
"""How far beyond the finder's mask hair may reach, and the rest of the body, and half the breadth of what is neither,
shares of the height."""

_FOOT = 0.09
"""About an ankle, as a share of the height, what is darker than the place is rather a shadow."""

_HAIR = 40
"""Levels of 255 off the place from which on something beyond the mask may be hair, or what else the mask has missed."""

_CORE, _EDGE, _BESIDE = 0.012, 0.008, 0.04
"""How deep in the mask all is the person, how deep in it a pixel may be mixed with the place, and how far from the
former it is then, shares of the height."""

_CONTRAST, _REST = 48, 0.25
"""Levels of 255 that the person must be off the place for a mixture to be told, and what of them a mixture may be off
the line between the two."""

_NONE, _ALL = 0.05, 0.9
"""Shares of the person up to which a pixel counts as the place, and from which it counts as the person."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A frame of the source with its person's parts told apart, as far as the body reaches.

    Args:
        pixels: RGB, and how much of each is the person.
        corner: x, y of the first pixel in the frame.
        joints: where the body is in the frame.
        height: of the body, pixels.
        members: the parts that each pixel would belong to, were somebody there: a bit each.
        owners: the part that it would above all, an index.
        far: whether it is farther from all bones than bodies are broad.
        sharpness: of each part, the mean difference of neighbouring pixels of it, levels of 255.
    """

    pixels: UInt8[np.ndarray, "h w 4"]
    corner: tuple[int, int]
    joints: Joints
    height: float
    members: UInt16[np.ndarray, "h w"]
    owners: UInt8[np.ndarray, "h w"]
    far: Bool[np.ndarray, "h w"]
    sharpness: Float64[np.ndarray, " parts"]

    @classmethod
    def cut(
        cls,
        frame: UInt8[np.ndarray, "h w 3"],
        mask: Bool[np.ndarray, "h w"],
        empty: UInt8[np.ndarray, "h w 3"],
        made_up: Bool[np.ndarray, "h w"],
        joints: Joints,
        height: float,
    ) -> "Cutout":
        """The person of a frame; of nothing where nobody is seen.

        Args:
            frame: of the source.
            mask: the person's pixels.
            empty: the same frame without the person.
            made_up: what of it no frame shows.
            joints: of the person.
            height: of the body, pixels.
        """
        window = find_window(joints, height, mask.shape[:2]) or (slice(0, 0), slice(0, 0))
        down, across = window
        distances = measure_distances(joints, *list_centres(window), height)
        if not np.isfinite(distances).any():
            distances, down, across = distances[:, :0, :0], slice(0, 0), slice(0, 0)
        owners = distances.argmin(axis=0).astype(np.uint8)
        members = np.zeros(owners.shape, np.uint16)
        for index, part in enumerate(PARTS):
            own = owners == index
            for other, reach in part.joined:
                own |= (owners == other) & (distances[index] < reach)
            members |= own.astype(np.uint16) << index
        far = _find_reach(joints, window, owners == _HEAD, height)
        matte, foreign = _cut_out(
            frame[down, across], mask[down, across], empty[down, across], made_up[down, across], far, height
        )
        pixels = np.concatenate([frame[down, across], np.rint(255 * matte[..., None]).astype(np.uint8)], axis=-1)
        sharpness = _measure_sharpness(pixels, owners)
        _carry_out(pixels, foreign)
        return cls(
            pixels,
            (across.start, down.start),
            joints,
            height,
            members,
            owners,
            distances.min(axis=0) > _BROAD,
            sharpness,
        )

    def sample(
        self, index: int, x: Float32[np.ndarray, " n"], y: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, " n"]]:
        """The colours and matte between pixels, and how much of what is there would be that part (bilinear).

        Args:
            index: of the part.
            x: in the frame, pixels.
            y: in the frame, pixels. Beyond the body nothing is.
        """
        members = (self.members >> index & 1).astype(np.uint8)
        mixed = sample_between(np.dstack([self.pixels, members]), self.corner, x, y)
        return mixed[:, :4], mixed[:, 4]

    def find_axes(
        self, index: int
    ) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]] | None:
        """Where a limb begins, the way to its end, and the direction across, of length 1; None where it is not seen."""
        first, second = self.joints[list(PARTS[index].joints[:2])]
        along = second[:2] - first[:2]
        length = float(np.linalg.norm(along))
        if min(first[2], second[2]) <= DRAWN or length < 1:
            return None
        return first[:2], along, np.array([-along[1], along[0]]) / length

    def measure_breadth(self, index: int) -> float:
        """Half of how broad a part is, pixels."""
        return PARTS[index].half_breadth * self.height

    def list_spots(
        self, index: int, along: Float64[np.ndarray, "*n"], across: Float64[np.ndarray, "*n"]
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]] | None:
        """X and y of spots of a part; None where it is not seen.

        Args:
            index: of a limb, or the trunk.
            along: from its first joint to its second, or from the shoulders to the hips, [0, 1].
            across: of half its breadth, or from the right to the left, [-1, 1].
        """
        share, offset = along.reshape(-1, 1), across.reshape(-1, 1)
        if PARTS[index].kind == "limb":
            axes = self.find_axes(index)
            if axes is None:
                return None
            start, way, aside = axes
            points = start + share * way + offset * self.measure_breadth(index) * aside
        else:
            corners = self.joints[[2, 5, 8, 11]]
            if (corners[:, 2] <= DRAWN).any():
                return None
            above, below = (
                first + (0.5 + 0.5 * offset) * (second - first) for first, second in corners[:, :2].reshape(2, 2, 2)
            )
            points = above + share * (below - above)
        return points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)

    def look_up(self, index: int, points: Float32[np.ndarray, "*n 2"]) -> Float32[np.ndarray, "*n"]:
        """How much of the pixels at these places is the person; not a number where another part would be."""
        columns = np.floor(points[..., 0]).astype(int) - self.corner[0]
        rows = np.floor(points[..., 1]).astype(int) - self.corner[1]
        height, width = self.owners.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        result = np.full(inside.shape, np.nan, np.float32)
        own = inside.copy()
        own[inside] = self.owners[rows[inside], columns[inside]] == index
        result[own] = self.pixels[rows[own], columns[own], 3] / np.float32(255)
        return result

    def measure_distances(self, index: int) -> Float32[np.ndarray, "h w"]:
        """How far each pixel is from a part's bones, in its half breadths; infinite where the part is not seen."""
        (height, width), (left, top) = self.owners.shape, self.corner
        window = slice(top, top + height), slice(left, left + width)
        return _measure_to_part(PARTS[index], self.joints, *list_centres(window), self.height)

    def find_seen(self, index: int) -> tuple[float, float]:
        """How much of a part is seen, near its bones and farther off, as shares of what its length and breadth promise.

        What is far off is hair, a coat, a skirt, and what the person holds.
        """
        part = PARTS[index]
        breadth, length = self.measure_breadth(index), 0.25 * self.height
        if part.kind == "limb":
            axes = self.find_axes(index)
            length = breadth if axes is None else max(float(np.linalg.norm(axes[1])), breadth)
        own, matte = self.owners == index, self.pixels[..., 3] / np.float32(255 * 2 * breadth * length)
        return float(matte[own & ~self.far].sum()), float(matte[own & self.far].sum())

    def share_crossing(self, index: int, along: Float64[np.ndarray, "*n"], across: Float64[np.ndarray, "*n"]) -> float:
        """How much of an arm is before the trunk or a thigh, or behind, or of the trunk behind an arm.

        There the mask does not tell them apart, and the trunk has a hole.

        Args:
            index: of the part.
            along: where the trunk is looked at, see `list_spots`.
            across: the same.
        """
        if index == _TRUNK:
            spots = self.list_spots(index, along, across)
            if spots is None:
                return 0.0
            arms = measure_distances(self.joints, *spots, self.height)[list(ARMS)]
            return float((arms < _TRUNK_INSIDE).any(axis=0).mean())
        axes = self.find_axes(index) if index in ARMS else None
        if axes is None:
            return 0.0
        share = np.linspace(0.2, 1 + PARTS[index].beyond, 8)[:, None]
        points = (axes[0] + share * axes[1]).astype(np.float32)
        distances = measure_distances(self.joints, points[:, 0], points[:, 1], self.height)
        crossed = (distances[_TRUNK] <= _TRUNK_INSIDE) | (distances[list(_THIGHS)] < _SKIRT).any(axis=0)
        return float(crossed.mean())


def measure_height(keypoints: Keypoints) -> float:
    """A body's height in pixels, from the longest that its bones are seen; 0 where none is."""
    estimates = []
    for (first, second), share in _LENGTHS.items():
        ends = keypoints.body[:, [first, second]]
        seen = (ends[..., 2] > DRAWN).all(axis=1)
        if seen.any():
            lengths = np.linalg.norm(ends[seen, 0, :2] - ends[seen, 1, :2], axis=-1)
            estimates.append(float(np.quantile(lengths, 0.9)) / share)
    return float(np.median(estimates)) if estimates else 0.0


def find_window(joints: Joints, height: float, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """The rows and columns that a body may reach; None where nothing of it is in the picture.

    Args:
        joints: of the body.
        height: of the body, pixels.
        size: of the picture, rows and columns.
    """
    seen = joints[joints[:, 2] > DRAWN, :2]
    if not len(seen):
        return None
    limits = np.array(size)[::-1]
    low = np.clip(np.floor(seen.min(axis=0) - _AROUND * height), 0, limits).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + _AROUND * height), 0, limits).astype(int)
    if (low >= high).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def list_centres(window: tuple[slice, slice]) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Where the middles of a window's pixels are, x and y."""
    down, across = window
    x = np.arange(across.start, across.stop, dtype=np.float32) + np.float32(0.5)
    y = np.arange(down.start, down.stop, dtype=np.float32) + np.float32(0.5)
    return tuple(np.meshgrid(x, y))  # type: ignore[return-value]


def sample_between(
    values: UInt8[np.ndarray, "h w c"],
    corner: tuple[int, int],
    x: Float32[np.ndarray, " n"],
    y: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, "n c"]:
    """A picture's values between its pixels (bilinear); 0 beyond.

    Args:
        values: of the pixels.
        corner: x, y of the first of them.
        x: where to look, pixels.
        y: the same.
    """
    height, width, channels = values.shape
    result = np.zeros((len(x), channels), np.float32)
    if min(height, width) < 2:
        return result
    x, y = x - np.float32(corner[0] + 0.5), y - np.float32(corner[1] + 0.5)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = x - left, y - top
    known = (left >= 0) & (left < width - 1) & (top >= 0) & (top < height - 1)
    first, flat = np.where(known, top * width + left, 0), values.reshape(-1, channels)
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (fx if across else 1 - fx) * (fy if down else 1 - fy) * known
        result += weight[:, None] * flat[first + (down * width + across)]
    return result


def measure_distances(
    joints: Joints, x: Float32[np.ndarray, "*n"], y: Float32[np.ndarray, "*n"], height: float
) -> Float32[np.ndarray, "parts *n"]:
    """How far points are from the bones of each part, in its half breadths; infinite for parts that are not seen.

    Args:
        joints: of the body.
        x: of the points, pixels.
        y: of the points, pixels.
        height: of the body, pixels.
    """
    return np.stack([_measure_to_part(part, joints, x, y, height) for part in PARTS])


def _measure_to_part(
    part: Part, joints: Joints, x: Float32[np.ndarray, "*n"], y: Float32[np.ndarray, "*n"], height: float
) -> Float32[np.ndarray, "*n"]:
    """How far points are from a part's bones, in its half breadths; infinite where it is not seen."""
    seen, places = joints[:, 2] > DRAWN, joints[:, :2]
    breadth = np.float32(max(part.half_breadth * height, 1.0))
    match part.kind:
        case "trunk" if seen[[2, 5, 8, 11]].all():
            corners = places[[2, 5, 11, 8]]
            sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
            away = np.min([_measure_to_line(x, y, *side) for side in sides], axis=0)
            within = _lies_within(x, y, corners)
            return (_TRUNK_INSIDE + np.where(within, 0, away / breadth)).astype(np.float32)
        case "head" if seen[1] and seen[list(_FACE)].any():
            up = places[[joint for joint in _FACE if seen[joint]]].mean(axis=0) - places[1]
            return _measure_to_line(x, y, places[1] + 0.4 * up, places[1] + 1.6 * up) / breadth
        case "limb" if seen[list(part.joints)].all():
            first, second = places[list(part.joints)]
            away = _measure_to_line(x, y, first, second + part.beyond * (second - first)) / breadth
            if part.narrows < 1:
                (right, down), (across, below) = first.astype(np.float32), (second - first).astype(np.float32)
                share = ((x - right) * across + (y - down) * below) / max(float(across**2 + below**2), 1e-6)
                away /= 1 + (part.narrows - 1) * np.clip(share, 0, 1)
            return away.astype(np.float32)
    return np.full(x.shape, np.inf, np.float32)


def _cut_out(
    frame: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    empty: UInt8[np.ndarray, "h w 3"],
    made_up: Bool[np.ndarray, "h w"],
    reach: Float64[np.ndarray, "h w"],
    height: float,
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """How much of each pixel is the person: all well inside of the mask, at its edge what differs from the place.

    Beyond the mask the person may go on for `reach` pixels; farther off it is rather a shadow, or what they hold.
    Before a place that is made up they do where they differ from what stands beside them too.

    Returns:
        The share, [0, 1], and in which pixels the place may shine through.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32), np.ones(mask.shape, bool)
    depth = distance_transform_edt(mask) - distance_transform_edt(~mask)
    colours = frame.astype(np.float32)
    off = np.abs(colours - empty).max(axis=-1)
    share, mixed = _find_mixed(colours, empty, depth, height)
    differs = np.where(mixed, share, np.clip((off - _SAME) / _OTHER, 0, 1))
    inside = np.maximum(differs, np.clip(depth / (0.018 * height) - 0.5, 0, 1))
    guessed, beyond = made_up & ~mask, depth < -_MISSED * height
    if guessed.any() and beyond.any():
        beside = distance_transform_edt(~beyond, return_distances=False, return_indices=True)
        off[guessed] = np.minimum(off, np.abs(colours - colours[tuple(beside)]).max(axis=-1))[guessed]
    # What is thin is no hair, but a line of the place that the plate has a little elsewhere.
    missed = mask | ((depth > -reach) & (off > _HAIR))
    broad = binary_opening(missed, iterations=max(1, round(_THIN * height)))
    outside = np.minimum(np.clip((off - _HAIR) / _OTHER, 0, 1), differs) * broad
    return np.where(mask, inside, outside).astype(np.float32), mixed | ~mask


def _find_mixed(
    frame: Float32[np.ndarray, "h w 3"],
    empty: UInt8[np.ndarray, "h w 3"],
    depth: Float64[np.ndarray, "h w"],
    height: float,
) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """How much of each pixel is the person, where its colour lies between the place's and that of the person beside it.

    Returns:
        The share, [0, 1], and whether the pixel is such a mixture at all.
    """
    core = depth > _CORE * height
    if not core.any():
        return np.zeros(core.shape, np.float32), np.zeros(core.shape, bool)
    far, (down, across) = distance_transform_edt(~core, return_indices=True)
    away, whole = frame - empty, frame[down, across] - empty
    share = (away * whole).sum(axis=-1) / np.maximum((whole**2).sum(axis=-1), 1)
    contrast, rest = np.abs(whole).max(axis=-1), np.abs(away - share[..., None] * whole).max(axis=-1)
    near = (depth < max(_EDGE * height, 1.5)) & (far < _BESIDE * height)
    return np.clip((share - _NONE) / (_ALL - _NONE), 0, 1), near & (contrast > _CONTRAST) & (rest < _REST * contrast)


def _find_reach(
    joints: Joints, window: tuple[slice, slice], head: Bool[np.ndarray, "h w"], height: float
) -> Float64[np.ndarray, "h w"]:
    """How far beyond the finder's mask the person may go on, pixels: hair most, and nothing about the feet."""
    x, y = list_centres(window)
    reach = np.where(head, _MISSED, _CLIPPED)
    for ankle in joints[_ANKLES]:
        if ankle[2] > DRAWN:
            reach[np.hypot(x - ankle[0], y - ankle[1]) < _FOOT * height] = 0
    return reach * height


def _measure_sharpness(
    pixels: UInt8[np.ndarray, "h w 4"], owners: UInt8[np.ndarray, "h w"]
) -> Float64[np.ndarray, " parts"]:
    """The mean difference of neighbouring pixels of each part, levels of 255; 0 where it is not seen."""
    beside = (np.minimum(pixels[:, 1:, 3], pixels[:, :-1, 3]) > 127) & (owners[:, 1:] == owners[:, :-1])
    steps = np.abs(np.diff(pixels[..., :3].mean(axis=-1, dtype=np.float32), axis=1))[beside]
    of = owners[:, 1:][beside]
    return np.bincount(of, steps, minlength=len(PARTS)) / np.maximum(np.bincount(of, minlength=len(PARTS)), 1)


def _carry_out(pixels: UInt8[np.ndarray, "h w 4"], foreign: Bool[np.ndarray, "h w"]) -> None:
    """Gives pixels in which the place shines through the colour of the nearest that is the person's own, in place."""
    matte = pixels[..., 3]
    own = (matte == 255) | (~foreign & (matte > 127))
    rim = foreign & ~own
    if own.any():
        down, across = distance_transform_edt(~own, return_distances=False, return_indices=True)[:, rim]
        pixels[rim, :3] = pixels[down, across, :3]


def _measure_to_line(
    x: Float32[np.ndarray, "*n"],
    y: Float32[np.ndarray, "*n"],
    first: Float64[np.ndarray, "2"],
    second: Float64[np.ndarray, "2"],
) -> Float32[np.ndarray, "*n"]:
    """The distance of points from a line between two others."""
    (left, top), (across, down) = first.astype(np.float32), (second - first).astype(np.float32)
    x, y = x - left, y - top
    share = np.clip((x * across + y * down) / max(across * across + down * down, np.float32(1e-6)), 0, 1)
    return np.sqrt((x - share * across) ** 2 + (y - share * down) ** 2)


def _lies_within(
    x: Float32[np.ndarray, "*n"], y: Float32[np.ndarray, "*n"], corners: Float64[np.ndarray, "corners 2"]
) -> Bool[np.ndarray, "*n"]:
    """Whether points lie in a polygon, by the even-odd rule."""
    inside = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside
