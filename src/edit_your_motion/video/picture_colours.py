"""A picture of whatever mode and profile as sRGB, black where it is transparent."""

import io
import struct
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

from edit_your_motion.errors import VideoError
from edit_your_motion.video.colours import SRGB, Colours, encode_srgb, to_ordinary
from edit_your_motion.video.rendering import over_black

SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
# Numbers without an agreed white: ours to guess, and a wrong guess is a black or a white picture.
WITHOUT_WHITE = {"I": "32-bit integers", "F": "floating point numbers"}
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_WHITE_IS_ZERO = 258, 262, 0
# The mark after which a file without a profile names its primaries and its curve by H.273.
MARKS = {"PNG": (b"cICP", ">BB"), "AVIF": (b"colrnclx", ">HH")}
HEAD = 1 << 16
# What PNG's gamma has to differ by from the usual one before anybody sees it.
USUAL_GAMMA, GAMMA_TOLERANCE = 1 / 2.2, 0.02


def read_picture_colours(image: Image.Image, path: Path) -> Colours:
    """How a picture without a profile is coded, by the numbers of H.273; sRGB where it says nothing."""
    mark, layout = MARKS.get(image.format or "", (b"", ""))
    if not mark or "icc_profile" in image.info:
        return Colours(screen=SRGB)
    with path.open("rb") as file:
        head = file.read(HEAD)
    at = head.find(mark) + len(mark)
    if at < len(mark) or len(head) < at + struct.calcsize(layout):
        return Colours(screen=SRGB)
    primaries, transfer = struct.unpack_from(layout, head, at)
    return Colours(primaries, transfer, screen=SRGB)


def to_srgb(image: Image.Image, colours: Colours) -> UInt8[np.ndarray, "h w 3"]:
    """The current frame of a loaded picture in sRGB.

    Args:
        image: of any mode that Pillow has.
        colours: what `read_picture_colours` says of it.

    Raises:
        VideoError: numbers of which nobody knows which one is white; names the mode.
    """
    if image.mode in WITHOUT_WHITE and image.format != "PNG":  # older Pillows read a PNG of 16 bits as "I"
        raise VideoError(
            f"the picture holds {WITHOUT_WHITE[image.mode]} (Pillow's mode {image.mode}), of which nobody knows which "
            "is white: save it with 8 or 16 bits"
        )
    alpha = _alpha(image)
    if image.mode in SIXTEEN_BITS or image.mode == "I":
        image = _from_sixteen_bits(image)
    pixels = np.asarray(_convert(image))
    if not colours.is_ordinary:
        pixels = to_ordinary(pixels, colours)
    return pixels if alpha is None else over_black(pixels, alpha)


def _alpha(image: Image.Image) -> UInt8[np.ndarray, "h w"] | None:
    if not image.has_transparency_data:
        return None
    if image.mode in SIXTEEN_BITS or image.mode == "I":  # one value is transparent
        return np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8)
    straight = image.convert("LA") if image.mode == "La" else image
    return np.asarray(straight.convert("RGBA").getchannel("A"))


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Eight bits, by the bits that a TIFF says it uses of its sixteen."""
    tags = getattr(image, "tag_v2", {})
    most = 2 ** min(int(np.max(tags.get(TIFF_BITS, 16))), 16) - 1
    levels = np.clip(np.asarray(image), 0, most).astype(np.float32) * np.float32(255 / most)
    if tags.get(TIFF_PHOTOMETRIC) == TIFF_WHITE_IS_ZERO:
        levels = 255 - levels
    grey = Image.fromarray(np.rint(levels).astype(np.uint8))
    grey.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return grey


def _convert(image: Image.Image) -> Image.Image:
    """Red, green and blue of sRGB; premultiplied colours are divided by their alpha."""
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if image.mode == "LAB":
        return _transform(image, ImageCms.createProfile("LAB"), image.mode) or image.convert("RGB")
    if profile and (converted := _by_profile(image, profile)):
        return converted
    colour = image.convert("RGB")
    if not profile and "srgb" not in image.info and gamma and abs(gamma - USUAL_GAMMA) > GAMMA_TOLERANCE:
        return colour.point(encode_srgb((np.arange(256) / 255) ** (1 / gamma)).tolist() * 3)
    return colour


def _by_profile(image: Image.Image, content: bytes) -> Image.Image | None:
    """The picture brought to sRGB by its profile; None where that is damaged, another picture's, or sRGB's own."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        space, name = profile.profile.xcolor_space.strip(), ImageCms.getProfileDescription(profile)
    except (OSError, ImageCms.PyCMSError):
        return None
    if name.startswith("sRGB"):
        return None
    if space == "RGB" and image.mode != "CMYK":
        return _transform(image.convert("RGB"), profile, "RGB")
    if space == "GRAY" and image.mode in ("1", "L", "LA"):
        return _transform(image.convert("L"), profile, "L")
    if space == "CMYK" and image.mode == "CMYK":
        return _transform(image, profile, "CMYK")
    return None


def _transform(
    image: Image.Image, profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile, mode: str
) -> Image.Image | None:
    try:
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return ImageCms.applyTransform(image, transform)
    except ImageCms.PyCMSError:
        return None
