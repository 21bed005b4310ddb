"""Frames from pictures: a single one, an animated one, a folder of them."""

import re
import struct
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError, features

from edit_your_motion.errors import OutOfMemoryError, VideoError
from edit_your_motion.video.clip import STILL_RATE, TimedFrame, VideoInfo, check_sides
from edit_your_motion.video.colours import Colours
from edit_your_motion.video.orientation import EXIF, Orientation
from edit_your_motion.video.picture_colours import read_picture_colours, to_srgb

# What Pillow may try: pictures that people have, and none of its rarely trodden decoders.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", *(["AVIF"] if features.check("avif") else []))
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
ANIMATED = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
# How files begin that are pictures, whether or not they can be read.
SIGNATURES = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}  # fmt: skip
ORIENTATION = 0x0112
# What tools add to a frame's name for a picture that goes with it.
_KINDS = r"(mask|matte|alpha|depth|(open|dw|dense)?pose|skeleton|normal|seg(mentation)?|keypoint|canny|edge)s?\d*"
BESIDE = re.compile(rf"^{_KINDS}[ ._-]+|[ ._-]+{_KINDS}$")
# What Pillow's decoders raise for bytes that make no sense.
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, IndexError, RuntimeError, struct.error)
# Browsers and FFmpeg play a delay too short to be meant as a tenth of a second.
SHORTEST_DELAY, USUAL_DELAY = Fraction(1, 100), Fraction(1, 10)


class NoPictureError(VideoError):
    """The file is no picture of a kind that is read."""


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """The picture, its size checked before a pixel is decoded; what goes wrong in the block is put down to the file.

    Raises:
        NoPictureError: it is another kind of file.
        OutOfMemoryError: there is too little memory for it.
        VideoError: it is damaged, or larger than any clip may be.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the sides are checked below, damage is found by decoding
            image = Image.open(path, formats=FORMATS)
        with image:
            check_sides(path, *image.size)
            yield image
    except UnidentifiedImageError as error:
        raise NoPictureError(f"{path} is named like a picture and is none: remove or replace it") from error
    except Image.DecompressionBombError as error:
        raise VideoError(f"{path} claims to be absurdly large ({error}): shrink the picture") from error
    except MemoryError as error:
        raise OutOfMemoryError(at=path) from error
    except DAMAGE as error:
        raise VideoError(f"{path} breaks off or is damaged ({error}): get the whole file") from error


def is_picture(path: Path) -> bool:
    """Whether the file's content, whatever its name, is a picture.

    Raises:
        VideoError: it is one of a kind that is not read.
    """
    try:
        with open_picture(path):
            return True
    except NoPictureError as error:
        with path.open("rb") as file:
            head = file.read(4)
        for signature, name in SIGNATURES.items():
            if head.startswith(signature):
                raise VideoError(
                    f"{path} is a {name} picture that is damaged or of a kind that is not read: save it as an "
                    "ordinary PNG"
                ) from error
        return False


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after the EXIF orientation."""
    turned = image.format != "TIFF" and _orientation(image).turned  # Pillow states a TIFF's size upright
    return (image.height, image.width) if turned else image.size


def _orientation(image: Image.Image) -> Orientation:
    """How the picture has to be turned yet; Pillow turns a TIFF itself while it loads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is damaged of it turns nothing
        return EXIF.get(image.getexif().get(ORIENTATION, 1), Orientation())


def _pixels(image: Image.Image, colours: Colours, path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The current frame, upright, in RGB; what is transparent becomes black."""
    try:
        return _orientation(image).apply(to_srgb(image, colours))
    except VideoError as error:
        raise VideoError(f"{path}: {error}") from error


def _always(
    pixels: UInt8[np.ndarray, "h w 3"],
) -> Callable[[tuple[int, int] | None], UInt8[np.ndarray, "h w 3"]]:
    """What gives these pixels, whatever size is asked for."""
    return lambda size: pixels.copy()


def _delay(image: Image.Image) -> Fraction:
    """How long the current frame of an animated picture is shown, in seconds."""
    seconds = Fraction(image.info.get("duration", 0) or 0) / 1000
    return seconds if seconds > SHORTEST_DELAY else USUAL_DELAY


def frame_count(image: Image.Image) -> int:
    """1 for every format but the animated ones: further pages and a camera's previews are no frames."""
    return int(getattr(image, "n_frames", 1)) - _hidden(image) if image.format in ANIMATED else 1


def _hidden(image: Image.Image) -> int:
    """How many pictures come before the frames: APNG may begin with one for those who know no animations."""
    return int(getattr(image, "default_image", False))


def load_frame(image: Image.Image, index: int, path: Path) -> None:
    """Decode one frame of an open picture."""
    try:
        image.seek(index + _hidden(image))
        image.load()
        require_palette(image)
    except DAMAGE as error:
        count = frame_count(image)
        raise VideoError(
            f"{path} breaks off: {index} of its {count} frames could be read ({error}): get the whole file"
        ) from error


def require_palette(image: Image.Image) -> None:
    """Passes a loaded picture whose pixels mean something.

    Raises:
        ValueError: they are indices of a palette that is not there.
    """
    if image.mode in ("P", "PA") and image.palette is None:
        raise ValueError("its palette is missing")


def _say_pages(image: Image.Image) -> str | None:
    """What to tell of a TIFF that is a clip in pages; smaller pages are a camera's previews."""
    if image.format != "TIFF":
        return None
    size = image.size
    try:
        pages = int(getattr(image, "n_frames", 1))
        image.seek(min(1, pages - 1))
    except DAMAGE:
        return None
    said = f"of {pages} pages the first is read: save each as a picture in a folder"
    return said if pages > 1 and image.size == size else None


def probe_picture(path: Path, fps: Fraction | None) -> VideoInfo:
    """What a picture says of itself; a single one lasts one frame at `fps` (30 unless given)."""
    with open_picture(path) as image:
        count = frame_count(image)
        if count > 1:
            load_frame(image, 0, path)  # WebP tells the delay of a frame only once that is decoded
        rate = 1 / _delay(image) if count > 1 else fps or STILL_RATE
        width, height = _upright_size(image)
        told = [read_picture_colours(image, path).warning, _say_pages(image)]
    said = tuple(warning for warning in told if warning is not None)
    return VideoInfo(count, rate, width, height, float(count / rate), has_audio=False, warnings=said)


def iterate_picture(path: Path, fps: Fraction | None) -> Generator[TimedFrame, None, None]:
    """The frames of a picture, one or, where it is animated, many, each with its own delay."""
    with open_picture(path) as image:
        count, time, colours = frame_count(image), Fraction(0), read_picture_colours(image, path)
        for index in range(count):
            load_frame(image, index, path)
            shown = _delay(image) if count > 1 else 1 / (fps or STILL_RATE)
            yield TimedFrame(time, shown, _always(_pixels(image, colours, path)))
            time += shown


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order, frame2 before frame10; hidden files are passed over.

    Raises:
        VideoError: the folder holds no pictures, pictures of different sizes, or several that belong to one frame.
    """
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not paths:
        raise VideoError(f"{folder} holds no pictures: expected frames named {', '.join(sorted(SUFFIXES))}")
    paths.sort(key=lambda path: [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)])
    _require_one_film(folder, paths)
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        with open_picture(path) as image:
            sizes.setdefault(_upright_size(image), path)
    if len(sizes) > 1:
        (first, one), (second, other), *_ = sizes.items()
        raise VideoError(
            f"the frames of {folder} differ in size: {one.name} is {first[0]}x{first[1]}, "
            f"{other.name} {second[0]}x{second[1]}: make them equal"
        )
    return paths


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", path.stem)))


def _require_one_film(folder: Path, paths: list[Path]) -> None:
    """Passes frames alone: no number twice, and no mask, depth or skeleton beside the picture that it belongs to."""
    stems = {path.stem.lower(): path for path in paths}
    numbered: dict[tuple[int, ...], Path] = {}
    pairs = []
    for path in paths:
        stem, numbers = path.stem.lower(), _numbers(path)
        first = stems.get(BESIDE.sub("", stem), path) if BESIDE.search(stem) else path
        if first is path and numbers:
            first = numbered.setdefault(numbers, path)
        if first is not path:
            pairs.append((first, path))
    if pairs:
        one, other = pairs[0]
        raise VideoError(
            f"{folder} holds more than the frames of one clip: {one.name} and {other.name} belong to one frame. Leave "
            "the frames alone in the folder, and give masks and skeletons by --people.masks and --people.keypoints"
        )


def _gap(paths: list[Path]) -> tuple[str, ...]:
    """What to tell of frames that are missing between others, where one number counts them."""
    numbers = [_numbers(path) for path in paths]
    if len(paths) < 3 or len({len(each) for each in numbers}) > 1:
        return ()
    counting = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if len(counting) != 1:
        return ()
    steps = [later - earlier for earlier, later in pairwise(counting[0])]
    usual = min(steps)
    at = next((index for index, step in enumerate(steps) if step != usual), None)
    if at is None:
        return ()
    return (f"frames are missing: {paths[at].name} is followed by {paths[at + 1].name}, where the clip will jump",)


def probe_folder(folder: Path, fps: Fraction | None) -> VideoInfo:
    """What a folder of frames amounts to at `fps` (30 unless given)."""
    paths, rate = list_pictures(folder), fps or STILL_RATE
    with open_picture(paths[0]) as image:
        width, height = _upright_size(image)
    return VideoInfo(len(paths), rate, width, height, float(len(paths) / rate), has_audio=False, warnings=_gap(paths))


def _first_frame(path: Path) -> Callable[[tuple[int, int] | None], UInt8[np.ndarray, "h w 3"]]:
    """What gives the pixels of a picture's first frame, of whatever size; it is decoded once, when first asked for."""

    @cache
    def decode() -> UInt8[np.ndarray, "h w 3"]:
        with closing(iterate_picture(path, None)) as frames:
            return next(frames).pixels(None)

    return lambda size: decode().copy()


def iterate_folder(folder: Path, fps: Fraction | None) -> Generator[TimedFrame, None, None]:
    """The pictures of a folder as frames at `fps` (30 unless given); of an animated picture the first frame."""
    period = 1 / (fps or STILL_RATE)

    for index, path in enumerate(list_pictures(folder)):
        yield TimedFrame(index * period, period, _first_frame(path))
