"""What a camera and a file do to a picture: exposure, colour, blur, noise, compression."""

from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter


def film(picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as a cheap or a hurried camera would have kept it.

    Args:
        picture: rendered, sRGB.
        rng: draws what happens, and how much of it.
    """
    gain = 2 ** rng.uniform(-0.45, 0.35) * (1 + rng.uniform(-0.07, 0.07, 3))
    values = (picture / 255) ** rng.uniform(0.8, 1.25) * gain
    if rng.random() < 0.5:
        soft = Image.fromarray(_as_bytes(values)).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
        values = np.asarray(soft) / 255
    # Dark parts are noisier.
    noise = rng.uniform(0, 0.03) * (1.2 - values.clip(0, 1)) * rng.standard_normal(picture.shape)
    return _compress(_as_bytes(values + noise), quality=int(rng.integers(45, 95)))


def _as_bytes(values: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _compress(picture: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture out of a JPEG of this quality."""
    file = BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)
