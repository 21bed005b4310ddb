"""The source's own pixels of a person in new poses: a figure cut out at its joints and put together again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from scipy.special import expit

from edit_your_motion.compositing.clean_plate import find_never_seen
from edit_your_motion.compositing.cutout_choice import choose_cutouts
from edit_your_motion.compositing.cutouts import (
    ARMS,
    PARTS,
    Cutout,
    Joints,
    find_window,
    list_centres,
    measure_distances,
    measure_height,
)
from edit_your_motion.compositing.part_maps import Bend, is_from_behind, map_back, match_joints
from edit_your_motion.compositing.part_pictures import PartPicture
from edit_your_motion.compositing.skirts import find_skirt, join_legs, weigh_other_leg
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import DRAWN
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.video.selection import spread_evenly

MOST_FRAMES = 32
"""Frames of the source, evenly spaced, that parts are taken from."""

_COMPARED = 12
"""Frames of the source, evenly spaced, that each is completed from."""

_PASSAGE = 0.08
"""Width of the passage from one part to its neighbour, in half breadths."""

_BONE, _RIM, _SOFT = 0.25, 1.2, 0.4
"""Half breadths from the bones: within the first is somebody, beyond the second need be nobody; how soft both are."""

_FARTHEST = 3.0
"""Half breadths from the bones beyond which nothing is the body's: hair, coats and skirts end before."""

_LAYERS = ((0, 1, 2, 3, 4, 5), (6, 7), (8, 9))
"""Indices of `PARTS`, from behind to before: an arm lies over what it crosses."""

_CHAINS = {index: chain for chain in ((2, 3), (4, 5), (6, 7), (8, 9)) for index in chain}
"""The two parts of each limb of two."""

_SLEEVE, _HEM = 1.15, 0.25
"""Half breadths from an arm's bones within which it covers what it crosses, and how softly that ends."""

_WIDEST = 2.5
"""Half breadths that a limb may be broad at a joint."""

_LEAST = 0.01
"""Share of a pixel that a part must have to be looked up."""


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A figure in one frame, within a window of it.

    Args:
        window: rows and columns.
        colours: of the person; of no meaning where the matte is 0.
        matte: how much of each pixel is the person, [0, 1].
        trust: how far the source shows what is seen here, be it somebody or nobody, [0, 1].
    """

    window: tuple[slice, slice]
    colours: Float32[np.ndarray, "h w 3"]
    matte: Float32[np.ndarray, "h w"]
    trust: Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class WarpedPerson:
    """A person's own pixels in new poses, drawn frame by frame.

    Args:
        cutouts: frames of the source.
        pictures: the parts that are taken from them, by part, frame, and whether the head is seen from behind.
        poses: of the edit.
        chosen: the cutout that each part is taken from.
        trusted: how far it shows that part in that pose, [0, 1]; -1 for a part that is none.
        heights: of the body in the source and in the edit, pixels.
        skirt: of each of a leg's parts that of the other leg which hangs in the same cloth; empty for trousers.
    """

    cutouts: Sequence[Cutout]
    pictures: Mapping[tuple[int, int, bool], PartPicture]
    poses: Float64[np.ndarray, "f 18 3"]
    chosen: Int[np.ndarray, "parts f"]
    trusted: Float64[np.ndarray, "parts f"]
    heights: tuple[float, float]
    skirt: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        frames: UInt8[np.ndarray, "n h w 3"],
        masks: Bool[np.ndarray, "n h w"],
        keypoints: Keypoints,
        empty: UInt8[np.ndarray, "n h w 3"],
        skeletons: Keypoints,
    ) -> "WarpedPerson":
        """The person of a clip in the poses of these skeletons.

        Args:
            frames: the source's.
            masks: the person's pixels in them.
            keypoints: of the person in them.
            empty: the frames without the person.
            skeletons: of the edit, on a canvas of the same size.
        """
        heights = measure_height(keypoints), measure_height(skeletons)
        joints, poses = _read_joints(keypoints), _read_joints(skeletons)
        if min(heights) <= 0:
            nothing = np.zeros((len(PARTS), len(poses)))
            return cls((), {}, poses, nothing.astype(int), nothing, heights)
        picks = spread_evenly(len(masks), MOST_FRAMES)
        # What only a moving camera shows counts as made up too: hair has to differ from more there.
        made_up = find_never_seen(masks[picks])
        cutouts = [
            Cutout.cut(frames[pick], masks[pick], empty[pick], made_up, joints[pick], heights[0]) for pick in picks
        ]
        skirt = find_skirt(cutouts)
        join_legs(cutouts, skirt)
        chosen, trusted = choose_cutouts(cutouts, poses, heights[1])
        others = [cutouts[pick] for pick in spread_evenly(len(cutouts), _COMPARED)]
        heads = np.array([part.kind == "head" for part in PARTS])
        behind = heads[:, None] & is_from_behind(poses)
        taken = {
            (index, int(chosen[index, frame]), bool(behind[index, frame]))
            for index, frame in np.argwhere(trusted >= 0).tolist()
        }
        pictures = {
            (index, pick, turned): PartPicture.complete(index, cutouts[pick], others, from_behind=turned)
            for index, pick, turned in sorted(taken)
        }
        return cls(cutouts, pictures, poses, chosen, trusted, heights, skirt)

    def over(
        self, places: UInt8[np.ndarray, "f h w 3"], cells: tuple[int, int], progress: Progress | None = None
    ) -> tuple[UInt8[np.ndarray, "f h w 3"], Float32[np.ndarray, "f lh lw"]]:
        """The person over places, all of it that the source shows from whichever side.

        Args:
            places: what stands behind.
            cells: a grid, down and across, that divides the frames evenly.
            progress: is told how far it is.

        Returns:
            The frames, and the share of each cell of the grid that the person covers.
        """
        frames, shares = places.copy(), np.zeros((len(places), *cells), np.float32)
        for index, frame in _counted(frames, "warp the person", progress):
            matte = self.draw_over(index, frame)
            shares[index] = reduce(matte, "(lh y) (lw x) -> lh lw", "mean", lh=cells[0], lw=cells[1])
        return frames, shares

    def draw_over(self, index: int, place: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
        """Draws the person of one frame over its place, in place, and says how much of each pixel it covers."""
        matte = np.zeros(place.shape[:2], np.float32)
        drawn = self._draw(index, (place.shape[0], place.shape[1]))
        if drawn is not None:
            matte[drawn.window] = drawn.matte
            _lay(place[drawn.window], drawn.colours, drawn.matte)
        return matte

    def refine(
        self,
        edited: UInt8[np.ndarray, "f h w 3"],
        places: UInt8[np.ndarray, "f h w 3"],
        progress: Progress | None = None,
    ) -> UInt8[np.ndarray, "f h w 3"]:
        """The edit with the source's own pixels wherever the source shows what is seen.

        Args:
            edited: the generated person over its place.
            places: the place alone, seen beside the warped person.
            progress: is told how far it is.
        """
        frames = edited.copy()
        for index, frame in _counted(frames, "lay the person over", progress):
            drawn = self._draw(index, frame.shape[:2])
            if drawn is not None:
                warped = places[index][drawn.window].copy()
                _lay(warped, drawn.colours, drawn.matte)
                _lay(frame[drawn.window], warped.astype(np.float32), drawn.trust)
        return frames

    def _draw(self, frame: int, size: tuple[int, int]) -> _Drawn | None:
        """The figure in a frame of the edit; None where nothing of it is seen."""
        joints = self.poses[frame]
        window = find_window(joints, self.heights[1], size)
        if window is None or not self.cutouts:
            return None
        x, y = list_centres(window)
        distances = measure_distances(joints, x, y, self.heights[1])
        nearest = distances.min(axis=0)
        if not np.isfinite(nearest).all():
            return None
        shares = np.exp((nearest - distances) / np.float32(_PASSAGE))
        shares /= shares.sum(axis=0)
        # Colours, matte and trust, all times the matte.
        figure, shown = np.zeros((*nearest.shape, 5), np.float32), np.zeros_like(nearest)
        for layer in _LAYERS:
            above = np.zeros_like(figure)
            for index, weights in zip(layer, _weigh(layer, distances), strict=True):
                where = weights > _LEAST
                if self.trusted[index, frame] < 0 or not where.any():
                    continue
                values, member, guess = self._look_up(index, frame, x[where], y[where])
                share = weights[where] * member * values[:, 3] / 255
                sure = (1 - guess) * np.float32(self.trusted[index, frame])
                above[where] += share[:, None] * np.column_stack([values[:, :3], np.ones_like(share), sure])
                shown[where] += shares[index][where] * member
            figure = figure * (1 - above[..., 3:4]) + above
        matte = figure[..., 3]
        # Nobody is where the source shows nobody about that part, or far from all; but at bones something is missing.
        free = np.clip((nearest - np.where(shown > 0.5, _BONE, _RIM)) / _SOFT, 0, 1)
        sure = np.einsum("p, p h w -> h w", self.trusted[:, frame].clip(0).astype(np.float32), shares)
        trust = figure[..., 4] + (1 - matte) * free * sure
        colours = figure[..., :3] / np.maximum(matte, np.float32(1e-6))[..., None]
        return _Drawn(window, colours, matte, trust.astype(np.float32))

    def _look_up(
        self, index: int, frame: int, x: Float32[np.ndarray, " n"], y: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """A part's colours and matte at points of a frame, how much there is its own, and how much is guessed."""
        part, joints = PARTS[index], self.poses[frame]
        pick, scale = int(self.chosen[index, frame]), self.heights[1] / self.heights[0]
        there = self.cutouts[pick].joints
        picture = self.pictures[index, pick, bool(part.kind == "head" and is_from_behind(joints[None])[0])]
        spots = map_back(part, *match_joints(part, joints, there), x, y, scale)
        if index in self.skirt:
            self._hang(index, joints, there, x, y, spots)
        left = np.ones_like(x)
        if index in _CHAINS:
            upper, lower = (PARTS[each] for each in _CHAINS[index])
            bend = Bend.between(upper, lower, joints, there, scale)
            if bend is not None:
                reach = _measure_reach(picture, bend, lower.half_breadth * self.heights[0])
                left = bend.fan_out(x, y, spots, scale * reach)
        values, member, guess = picture.sample(*spots)
        return values, member * left, guess

    def _hang(
        self,
        index: int,
        joints: Joints,
        there: Joints,
        x: Float32[np.ndarray, " n"],
        y: Float32[np.ndarray, " n"],
        spots: tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]],
    ) -> None:
        """Moves the spots that points of a skirt come from towards where they would, were they the other leg's."""
        part, other = PARTS[index], PARTS[self.skirt[index]]
        ends = match_joints(other, joints, there)
        if len(ends[0]) < 2 or (joints[list(part.joints), 2] <= DRAWN).any():
            return
        breadth = part.half_breadth * self.heights[1]
        share = weigh_other_leg(joints, (part.joints, other.joints), breadth, x, y)
        for spot, beside in zip(spots, map_back(other, *ends, x, y, self.heights[1] / self.heights[0]), strict=True):
            spot += share * (beside - spot)


def _weigh(layer: tuple[int, ...], distances: Float32[np.ndarray, "parts h w"]) -> Float32[np.ndarray, "k h w"]:
    """How much of each pixel is left to each part of a layer: to the nearest, and of an arm what it crosses too."""
    own = distances[list(layer)]
    least = np.minimum(own.min(axis=0), np.float32(1e6))
    weights = np.exp((least - own) / np.float32(_PASSAGE)) * (least < _FARTHEST)
    weights /= np.maximum(weights.sum(axis=0), np.float32(1e-6))
    if layer[0] in ARMS:
        others = np.delete(distances, layer, axis=0).min(axis=0)
        nearer = expit((others - least) / np.float32(_PASSAGE))
        weights *= np.maximum(nearer, np.clip((_SLEEVE - least) / _HEM, 0, 1))
    return weights.astype(np.float32)


def _measure_reach(picture: PartPicture, bend: Bend, breadth: float) -> float:
    """How far from a joint the person goes on across it on its outer side, pixels of the source."""
    away = np.linspace(0, _WIDEST * breadth, 24)
    values, member, _ = picture.sample(*bend.follow(away))
    covered = member * values[:, 3] > 128
    if not covered[0]:
        return _RIM * breadth
    return float(away[-1] if covered.all() else away[covered.argmin()])


def _read_joints(keypoints: Keypoints) -> Float64[np.ndarray, "f 18 3"]:
    """The bodies, with the hidden joints at nought, wherever they were said to be."""
    return np.where(keypoints.body[..., 2:] > DRAWN, keypoints.body, 0).astype(np.float64)


def _counted(
    frames: UInt8[np.ndarray, "f h w 3"], phase: str, progress: Progress | None
) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    with (progress or SilentProgress()).phase(phase, len(frames)) as advance:
        for index, frame in enumerate(frames):
            yield index, frame
            advance()


def _lay(
    below: UInt8[np.ndarray, "h w 3"], above: Float32[np.ndarray, "h w 3"], share: Float32[np.ndarray, "h w"]
) -> None:
    below[...] = np.rint(below + share[..., None] * (above - below))
