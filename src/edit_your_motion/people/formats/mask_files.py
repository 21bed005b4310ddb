"""A person's pixels in files: pictures, a folder of them, or a video, in whatever way tools say who is where.

White on black, the alpha of what was cut out, in 8 bits or 16: above the middle of the scale is the person. Small
numbers, indices of a palette and colours are labels, of which one is the person and black nobody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageOps

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.keypoints_file import MAX_FRAMES
from edit_your_motion.people.formats.openpose import sorted_by_number
from edit_your_motion.video.pictures import SUFFIXES, frame_count, is_picture, load_frame, open_picture

LABELS = 32
"""Most labels; a grey picture with no value above this numbers people, and 0 is the background."""
LOSSY = frozenset({"JPEG", "MPO", "AVIF"})
"""Formats that do not keep values as they were, whatever a file is called; most WebP and some TIFF are so too."""
FAINTEST = 64
"""What was compressed and has nothing brighter was black and 1, which compression does not keep."""
COLOURFUL = 64
"""A picture whose channels differ by more is in colours; less is what compression gives a grey one."""
SEEN = 0.05
"""Share of all surfaces that are not black beyond which a grey value is a label and no edge."""
COVERED = 0.9
"""Share of the picture's border that no person covers."""
_ENDINGS = (".mask.png", ".mask.jpg")
NAMED = re.compile(r"(?<!un)mask|(^|[^a-z])(matte|alpha|seg(mentation)?)(\d*$|[^a-z])")
"""Stems of masks among other pictures."""


def list_masks(folder: Path) -> list[Path]:
    """A folder's masks in the order of their numbers: what is named so (``1.mask.png``, ``1_matte.png``), else all.

    Raises:
        PersonError: there are none.
    """
    if not folder.is_dir():
        raise PersonError(f"{folder}: expected a folder of masks, got nothing: check the path")
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    named = [path for path in pictures if NAMED.search(path.stem.lower())]
    for chosen in (
        *([path for path in pictures if path.name.endswith(ending)] for ending in _ENDINGS),
        named,
        pictures,
    ):
        if chosen:
            if len(chosen) > MAX_FRAMES:
                raise PersonError(f"{folder}: expected at most {MAX_FRAMES} masks, got {len(chosen)}")
            return sorted_by_number(chosen)
    raise PersonError(f"{folder}: expected pictures of masks, got none")


def read_masks(path: Path, label: int | None = None, *, everybody: bool = False) -> Bool[np.ndarray, "f h w"]:
    """Which pixels are the person's, in every frame of a folder of pictures, a picture, or a video.

    Args:
        path: the file or folder.
        label: which of the labels is the person, a number, an index of a palette or of the colours in order of their
            values; of two values 0 is the darker one; None where there is only one.
        everybody: take all labels together.

    Raises:
        PersonError: there are none, they are of several sizes, nobody is in any, they name several people, or they are
            inverted; the message says how they were understood.
        VideoError: a file cannot be read.
    """
    return _take_person(path, _read_values(path), label, everybody)


def read_mask_array(where: Path | str, array: np.ndarray, label: int | None = None) -> Bool[np.ndarray, "f h w"]:
    """Which pixels are the person's in an array (f, h, w), with or without an axis of one channel, or (h, w).

    Args:
        where: names the file, for messages.
        array: truth values, grey values or labels.
        label: as of `read_masks`.

    Raises:
        PersonError: as of `read_masks`, or it is another kind of array.
    """
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array.squeeze(1 if array.shape[1] == 1 else 3)
    frames = array[None] if array.ndim == 2 else array
    whole = frames.dtype.kind in "bu" or (frames.dtype.kind == "i" and frames.size and frames.min() >= 0)
    if frames.ndim != 3 or not frames.size or not whole or frames.max() > 65535 or len(frames) > MAX_FRAMES:
        raise PersonError(
            f"{where}: expected masks (frame, height, width) of truth values, whole numbers up to 65535 or labels, got "
            f"{array.dtype} ({', '.join(map(str, array.shape))})"
        )
    numbers = frames.astype(np.uint16)
    return _take_person(where, [_Values(frame) for frame in numbers], label, everybody=False)


def _take_person(
    path: Path | str, values: list["_Values"], label: int | None, everybody: bool
) -> Bool[np.ndarray, "f h w"]:
    masks = _understand(path, values, label, everybody)
    if not masks.any():
        raise PersonError(f"{path}: expected white people on black, or labels, got {len(masks)} empty masks")
    if label is None:
        _refuse_inverted(path, masks)
    return masks


def _read_values(path: Path) -> list["_Values"]:
    """Every frame's values."""
    if not path.is_dir() and not is_picture(path):
        # What needs no decoder is read without one.
        from edit_your_motion.video import read_video

        return [_reduce(frame, lossy=True) for frame in read_video(path).frames]
    files = list_masks(path) if path.is_dir() else [path]
    values = [one for file in files for one in _read_picture(file)]
    sizes = sorted({one.numbers.shape[:2] for one in values})
    if len(sizes) > 1:
        raise PersonError(f"{path}: expected masks of one size, got {sizes[0]} and {sizes[1]}: make them equal")
    return values


@dataclass(frozen=True)
class _Values:
    """What a mask's pixels are.

    Args:
        numbers: grey values, alpha or indices of a palette (h, w), or colours (h, w, 3).
        labels: whether they are names and no measure of anything.
        lossy: whether they were compressed so that they are not exact.
    """

    numbers: np.ndarray
    labels: bool = False
    lossy: bool = False


def _read_picture(path: Path) -> Iterator[_Values]:
    """The frames of one picture, mostly a single one."""
    with open_picture(path) as image:
        count, lossy = frame_count(image), _is_lossy(image, path)
        for index in range(count):
            load_frame(image, index, path)
            upright = ImageOps.exif_transpose(image)
            # Animations give their first frame with a palette and the others without.
            yield _take_values(upright.convert("RGBA") if count > 1 else upright, path, lossy)


def _is_lossy(image: Image.Image, path: Path) -> bool:
    """Whether an open picture's values are what compression made of them."""
    if image.format == "WEBP":
        with path.open("rb") as file:
            return file.read(16)[12:] != b"VP8L"
    return image.format in LOSSY or image.info.get("compression") in ("jpeg", "webp")


def _take_values(image: Image.Image, path: Path, lossy: bool) -> _Values:
    if image.mode == "P" and len(np.unique(np.asarray(image))) <= LABELS:
        return _take_indices(image)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        alpha = rgba[..., 3]
        return _Values(alpha.copy(), lossy=lossy) if alpha.min() < 255 else _reduce(rgba[..., :3], lossy)
    if image.mode in ("1", "L"):
        return _Values(np.asarray(image.convert("L")), lossy=lossy)
    if image.mode.startswith("I"):
        numbers = np.asarray(image).astype(np.int64)
        if numbers.min() >= 0 and numbers.max() <= 65535:
            return _Values(numbers.astype(np.uint16))
    if image.mode in ("P", "RGB", "CMYK", "YCbCr"):
        return _reduce(np.asarray(image.convert("RGB")), lossy)
    raise PersonError(f"{path}: expected a mask of 8 or 16 bits, or a palette, got mode {image.mode}: save it as PNG")


def _take_indices(image: Image.Image) -> _Values:
    """A palette's indices, 0 for what is black or transparent; grey values where it has nothing but grey."""
    numbers = np.asarray(image)
    shown = np.zeros((256, 4), np.uint8)
    palette = np.asarray(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    shown[: len(palette)] = palette
    shown[shown[:, 3] < 128] = 0
    if not np.ptp(shown[np.unique(numbers), :3], axis=1).any():
        return _Values(shown[numbers, 0])
    return _Values(np.where(shown[numbers, :3].any(axis=-1), numbers, 0).astype(np.uint8), labels=True)


def _reduce(picture: UInt8[np.ndarray, "h w 3"], lossy: bool) -> _Values:
    """A picture in grey as its values, one in colours as it is."""
    spread = int((picture.max(axis=-1).astype(int) - picture.min(axis=-1)).max())
    if spread <= (COLOURFUL if lossy else 0):
        return _Values(picture[..., 1].copy(), lossy=lossy)
    return _Values(picture, labels=True, lossy=lossy)


def _understand(
    path: Path | str, values: list[_Values], label: int | None, everybody: bool
) -> Bool[np.ndarray, "f h w"]:
    if any(one.numbers.ndim == 3 for one in values):
        if any(one.lossy for one in values):
            return np.stack([_brighter(path, one) for one in values])
        numbers, names = _number_colours(path, values)
        return _choose_label(path, numbers, names, label, everybody)
    numbers = np.stack([one.numbers for one in values])
    counts = sum(np.bincount(frame.ravel(), minlength=65536) for frame in numbers)
    present = np.flatnonzero(counts)
    largest, lossy = int(present[-1]), any(one.lossy for one in values)
    if lossy and 0 < largest < FAINTEST:
        raise PersonError(
            f"{path}: expected white people on black, got compressed pictures with nothing above {largest} of 255: "
            "write masks as PNG, or people in 255"
        )
    named = [number for number in present if number]
    if any(one.labels for one in values) or (largest <= LABELS and not lossy) or len(named) == 1:
        return _choose_label(path, numbers, {int(number): str(number) for number in named}, label, everybody)
    full = 65535 if largest > 255 else 255
    if not lossy and len(named) <= LABELS and _count_surfaces(numbers) > 1:
        return _choose_label(path, numbers, {int(number): str(number) for number in named}, label, everybody)
    people = numbers > (largest if lossy else full) // 2
    if label not in (None, 0, 1, full):
        raise PersonError(f"{path}: expected label 0 (black) or {full} (white) of shades of grey, got {label}")
    return ~people if label == 0 else people


def _count_surfaces(numbers: np.ndarray) -> int:
    """How many values fill surfaces; those of soft edges have no neighbours of their own value on all sides."""
    inner = numbers[:, 1:-1, 1:-1]
    sides = (numbers[:, 1:-1, :-2], numbers[:, 1:-1, 2:], numbers[:, :-2, 1:-1], numbers[:, 2:, 1:-1])
    filled = inner[np.logical_and.reduce([inner == side for side in sides])]
    counts = np.bincount(filled, minlength=1)[1:]
    return int((counts > SEEN * counts.sum()).sum())


def _choose_label(
    path: Path | str, numbers: np.ndarray, names: dict[int, str], label: int | None, everybody: bool
) -> Bool[np.ndarray, "f h w"]:
    """Where the person's label stands."""
    if label is not None and label not in names and len(names) == 1 and label in (1, 255):
        label = next(iter(names))
    if label is not None and label != 0 and label not in names:
        raise PersonError(f"{path}: expected a label of {_listed(numbers, names)}, got {label}")
    if label is None and not everybody and len(names) > 1:
        raise PersonError(
            f"{path}: understood as labels, {_listed(numbers, names)}: say which is the person (--people.mask-label), "
            "or give masks with one"
        )
    return numbers != 0 if label is None else numbers == label


def _listed(numbers: np.ndarray, names: dict[int, str]) -> str:
    shares = [f"{name} ({np.mean(numbers == number):.1%})" for number, name in list(names.items())[:8]]
    return ", ".join(shares) + (" and more" if len(names) > 8 else "")


def _number_colours(path: Path | str, values: list[_Values]) -> tuple[UInt8[np.ndarray, "f h w"], dict[int, str]]:
    """The colours as numbers in the order of their values, and what each is; the background is 0."""
    if any(one.labels and one.numbers.ndim == 2 and one.numbers.any() for one in values):
        raise PersonError(f"{path}: expected masks of one kind, got palettes and colours: make them alike")
    packed = [_pack(one.numbers) for one in values]
    colours = np.unique(np.concatenate([np.unique(one) for one in packed]))
    if len(colours) > LABELS + 1:
        raise PersonError(
            f"{path}: expected masks, got pictures of {len(colours)} colours: give white people on black, or a colour "
            "for each"
        )
    border = np.concatenate([_border(one) for one in packed])
    background = 0 if colours[0] == 0 else int(np.bincount(np.searchsorted(colours, border)).argmax())
    order = np.r_[background, np.delete(np.arange(len(colours)), background)]
    place = np.argsort(order).astype(np.uint8)
    numbers = np.stack([place[np.searchsorted(colours, one)] for one in packed])
    names = {number: f"{number}, colour #{colours[index]:06x}" for number, index in enumerate(order) if number}
    return numbers, names


def _pack(picture: np.ndarray) -> np.ndarray:
    """Colours as one number each; grey values and indices as grey."""
    red, green, blue = np.moveaxis(picture, -1, 0) if picture.ndim == 3 else (picture,) * 3
    return (red.astype(np.uint32) << 16) | (green.astype(np.uint32) << 8) | blue


def _brighter(path: Path | str, values: _Values) -> Bool[np.ndarray, "h w"]:
    """The people of a compressed picture in one colour, or of a plot of a mask in false colours."""
    picture = values.numbers if values.numbers.ndim == 3 else np.repeat(values.numbers[..., None], 3, axis=-1)
    if _is_plot(picture):
        # Empty is (68, 1, 84) in the plots' colours, the second of two people (33, 145, 140), a single one yellow.
        return picture.mean(axis=-1) >= 80
    value = picture.max(axis=-1)
    half = max(int(value.max()), FAINTEST) / 2
    bright = picture[value >= half]
    if len(bright):
        colours = bright / bright.max(axis=-1, keepdims=True)
        low, high = np.quantile(colours, [0.05, 0.95], axis=0)
        if (high - low).max() > 0.35:
            raise PersonError(
                f"{path}: expected white people on black, got several colours that compression has mixed: "
                "write masks as PNG"
            )
    return value >= half


def _is_plot(picture: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether the background is the dark violet of matplotlib's plots of masks."""
    return bool(np.abs(np.median(_border(picture), axis=0) - (68, 1, 84)).max() < 24)


def _border(picture: np.ndarray) -> np.ndarray:
    """The pixels along the four sides."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def _refuse_inverted(path: Path | str, masks: Bool[np.ndarray, "f h w"]) -> None:
    """Passes masks that leave some of the picture's border free, or none at all of the picture."""
    covered = np.median([_border(mask).mean() for mask in masks])
    if covered > COVERED and masks.mean() < 1:
        raise PersonError(
            f"{path}: understood as {masks.mean():.0%} person, who covers the picture's whole border: the masks look "
            "inverted; write people in white, or say --people.mask-label 0 if they are black"
        )
