"""A part of the body as one frame shows it, completed from the others where something else stands before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from scipy.ndimage import binary_dilation, binary_opening, distance_transform_edt

from edit_your_motion.compositing.cutouts import CORNERS, PARTS, Cutout, sample_between
from edit_your_motion.compositing.part_maps import find_head, fit_map, is_from_behind, map_back, match_joints

_CORE = 0.8
"""Half breadths from its bones within which somebody must be, if others show it so."""

_ABOUT = 1.7
"""Half breadths from its bones within which it is told whether somebody is there."""

_NAPE, _EYES, _FACE = 0.7, 1.1, (0.9, 0.42, 0.42)
"""Of the way from the neck to the middle of nose, eyes and ears: to where hair hangs down behind, above which the
forehead is, and the ellipse of a face: its middle, and half of how long and broad it is."""

_WITNESSES = 3
"""Frames that must show a spot before one that does not, or shows it otherwise, is overruled."""

_MAJORITY = 1.5
"""How many times more frames must show somebody than nobody, or the other way round."""

_UNLIKE, _AGREED = 45.0, 18.0
"""Levels of 255 off the others' median that are no fold or shade, and how far apart the others may be for that."""

_WHOLE = 250
"""Matte of 255 from which a pixel is the person's own colour."""

_BROAD, _EDGE = 0.018, 0.006
"""Half of how broad what stands before a part is at least, and how far about it its edge reaches, shares of the height.

What is thinner is braces, folds and hems, that do not lie quite as in the other frames.
"""


@dataclass(frozen=True, eq=False)
class PartPicture:
    """What stands where a part is in a frame, with the part itself behind what covers it there.

    Args:
        values: of each pixel RGB, how much of it is the person, of 255; whether it is the part's, be it the person or
            nobody; and whether its colour is only that of the part's nearest pixel that some frame shows.
        corner: x, y of the first pixel in the frame.
    """

    values: UInt8[np.ndarray, "h w 6"]
    corner: tuple[int, int]

    @classmethod
    def complete(
        cls, index: int, cutout: Cutout, others: Sequence[Cutout], *, from_behind: bool = False
    ) -> "PartPicture":
        """The part as a frame shows it; where something stands before it, as others do.

        A pixel is overruled where the others agree on another look, or show the part where this frame shows another
        one or nobody. Of what none of them shows the colours are guessed.

        Args:
            index: of a part that the frame shows.
            cutout: the frame.
            others: some more of the source.
            from_behind: whether it is wanted so: a face is then covered by the hair above it.
        """
        distances, shown = cutout.measure_distances(index), cutout.members >> index & 1 == 1
        values = np.dstack([cutout.pixels, shown, np.zeros_like(shown)]).astype(np.uint8)
        about = (distances < _ABOUT) | (shown & (cutout.pixels[..., 3] > 0))
        if PARTS[index].kind != "head":  # which turns, and looks another way for that
            _complete(values, index, cutout, others, distances < _CORE)
        elif from_behind and not is_from_behind(cutout.joints[None])[0]:
            _cover_face(values, cutout)
        down, across = (np.flatnonzero(about.any(axis=axis)) for axis in (1, 0))
        if not len(down):
            return cls(values[:0, :0], cutout.corner)
        corner = cutout.corner[0] + int(across[0]), cutout.corner[1] + int(down[0])
        return cls(values[down[0] : down[-1] + 1, across[0] : across[-1] + 1].copy(), corner)

    def sample(
        self, x: Float32[np.ndarray, " n"], y: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """The colours and matte between pixels, and how much there is the part's, and is guessed (bilinear).

        Args:
            x: in the frame, pixels.
            y: in the frame, pixels. Beyond the picture nothing is.
        """
        mixed = sample_between(self.values, self.corner, x, y)
        return mixed[:, :4], mixed[:, 4], mixed[:, 5]


@dataclass(frozen=True, eq=False)
class _Looks:
    """How other frames show the spots of a part.

    Args:
        colours: of each frame.
        valid: whether the frame shows the person there.
        empty: whether it shows nobody there.
        middle: the median of the colours that are valid.
        steady: whether enough of them are, and alike.
    """

    colours: Float32[np.ndarray, "k n 3"]
    valid: Bool[np.ndarray, "k n"]
    empty: Bool[np.ndarray, "k n"]
    middle: Float32[np.ndarray, "n 3"]
    steady: Bool[np.ndarray, " n"]

    def overrule(self, spots: UInt8[np.ndarray, "n 6"], core: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Spots that look otherwise than in the other frames, or are empty near the bones where those show somebody."""
        own = (spots[:, 3] >= _WHOLE) & (spots[:, 4] > 0)
        unlike = own & self.steady & (np.abs(spots[:, :3] - self.middle).max(axis=-1) > _UNLIKE)
        voters = self.valid.sum(axis=0)
        peopled = (voters >= _WITNESSES) & (voters > _MAJORITY * self.empty.sum(axis=0))
        return unlike | (core & peopled & (spots[:, 3] < 128))

    def find_strays(self, joined: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Spots of a neighbour that was close by, where other frames show nobody."""
        nobody = self.empty.sum(axis=0)
        return joined & (nobody >= _WITNESSES) & (nobody > _MAJORITY * self.valid.sum(axis=0))

    def fill(
        self, spots: UInt8[np.ndarray, "n 6"], bad: Bool[np.ndarray, " n"]
    ) -> tuple[UInt8[np.ndarray, "n 6"], Bool[np.ndarray, " n"]]:
        """The spots with those that are bad from the frames that show most of them; and what none shows."""
        spots, left = spots.copy(), bad.copy()
        alike = ~self.steady | (np.abs(self.colours - self.middle).max(axis=-1) <= _UNLIKE)
        usable = self.valid & alike
        while left.any() and len(usable):
            gains = (usable & left).sum(axis=1)
            best = int(gains.argmax())
            if not gains[best]:
                break
            taken = usable[best] & left
            spots[taken, :3] = np.rint(self.colours[best, taken])
            spots[taken, 3:] = (255, 1, 0)
            left &= ~taken
        return spots, left


def _complete(
    values: UInt8[np.ndarray, "h w 6"],
    index: int,
    cutout: Cutout,
    others: Sequence[Cutout],
    core: Bool[np.ndarray, "h w"],
) -> None:
    """Completes a trunk or a limb, in place."""
    shown, somebody = values[..., 4] > 0, values[..., 3] > 0
    rows, columns = np.nonzero(core | (shown & somebody))
    if not len(rows):
        return
    looks = _look_up(index, cutout, others, rows, columns)
    spots = values[rows, columns]
    bad = np.zeros(shown.shape, bool)
    bad[rows, columns] = looks.overrule(spots, core[rows, columns])
    covered = core & ~shown & somebody
    broad, edge = (max(1, round(share * cutout.height)) for share in (_BROAD, _EDGE))
    opened = binary_opening(bad | covered, iterations=broad)
    bad = (binary_dilation(opened, iterations=edge) & (shown | core)) | covered
    stray = looks.find_strays(cutout.owners[rows, columns] != index)
    spots[stray, 3] = 0
    values[rows, columns], left = looks.fill(spots, bad[rows, columns] & ~stray)
    unknown = np.zeros(shown.shape, bool)
    unknown[rows, columns] = left
    _guess(values, unknown)


def _look_up(
    index: int, cutout: Cutout, others: Sequence[Cutout], rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
) -> _Looks:
    part = PARTS[index]
    x, y = (
        (place + corner + 0.5).astype(np.float32) for place, corner in zip((columns, rows), cutout.corner, strict=True)
    )
    colours, valid, empty = [], [], []
    for other in others:
        ends = match_joints(part, cutout.joints, other.joints)
        if other is cutout or len(ends[0]) < min(len(part.joints), CORNERS):
            continue
        if part.kind == "trunk" and _is_turned_round(*ends):
            continue
        there = map_back(part, *ends, x, y, other.height / cutout.height)
        pixels, share = other.sample(index, *there)
        colours.append(pixels[:, :3])
        valid.append((share > 0.99) & (pixels[:, 3] >= _WHOLE))
        empty.append((share > 0.99) & (pixels[:, 3] < 128))
    looks = np.stack(colours) if colours else np.zeros((0, len(rows), 3), np.float32)
    shown = np.stack(valid) if valid else np.zeros((0, len(rows)), bool)
    middle = _median(looks, shown)
    apart = _median(np.abs(looks - middle), shown).max(axis=-1)
    steady = (shown.sum(axis=0) >= _WITNESSES) & (apart <= _AGREED)
    return _Looks(looks, shown, np.stack(empty) if empty else shown.copy(), middle, steady)


def _is_turned_round(here: Float64[np.ndarray, "k 2"], there: Float64[np.ndarray, "k 2"]) -> bool:
    """Whether of two trunks one is seen from the front and one from the back."""
    return float(np.linalg.det(fit_map(here, there, similar=False)[0])) < 0


def _median(values: Float32[np.ndarray, "k n c"], valid: Bool[np.ndarray, "k n"]) -> Float32[np.ndarray, "n c"]:
    """Of the values that are valid, the middle one, the lower of two; 0 where none is."""
    if not len(values):
        return np.zeros(values.shape[1:], np.float32)
    ordered = np.sort(np.where(valid[..., None], values, np.float32(np.inf)), axis=0)
    count = valid.sum(axis=0)
    middle = np.maximum((count - 1) // 2, 0)
    chosen = np.take_along_axis(ordered, middle[None, :, None], axis=0)[0]
    return np.where((count > 0)[:, None], chosen, np.float32(0))


def _cover_face(values: UInt8[np.ndarray, "h w 6"], cutout: Cutout) -> None:
    """Covers a head's face by the hair above and about it, as from behind, in place."""
    neck, middle = find_head(cutout.joints)
    up = middle - neck
    rows, columns = np.indices(values.shape[:2])
    away = np.stack([columns + cutout.corner[0] + 0.5, rows + cutout.corner[1] + 0.5], axis=-1) - neck
    along = away @ up / max(float(up @ up), 1e-6)
    across = away @ np.array([-up[1], up[0]]) / max(float(up @ up), 1e-6)
    face = (along < _EYES) | (np.hypot((along - _FACE[0]) / _FACE[1], across / _FACE[2]) < 1)
    _guess(values, face & (along > _NAPE) & (values[..., 3] > 0) & (values[..., 4] > 0), along > _EYES)


def _guess(
    values: UInt8[np.ndarray, "h w 6"], unknown: Bool[np.ndarray, "h w"], usable: Bool[np.ndarray, "h w"] | bool = True
) -> None:
    """Gives what no frame shows the colour of the nearest usable pixel of the part, in place."""
    good = (values[..., 3] >= _WHOLE) & (values[..., 4] > 0) & ~unknown & usable
    if unknown.any() and good.any():
        down, across = distance_transform_edt(~good, return_distances=False, return_indices=True)[:, unknown]
        values[unknown, :3] = values[down, across, :3]
        values[unknown, 3:] = (255, 1, 1)
