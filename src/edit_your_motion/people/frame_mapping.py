"""Ready keypoints and masks brought to where the frames are that they belong to.

Whoever makes them sees the whole picture, at its own size or another one of the same shape, or the canvas that an
earlier preparation wrote. Frames are cropped or padded to the canvas, and so is what belongs to the whole picture.
"""

import logging
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

from edit_your_motion.errors import PersonError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.video.fit import Fit, fit_frame, fit_transform

SAME_SHAPE = math.log(1.025)
"""Aspect ratios that differ by less are one shape: pose tools round sides to multiples of 64."""

_log = logging.getLogger(__name__)


def fit_keypoints(keypoints: Keypoints, fit: Fit) -> Keypoints:
    """Keypoints of whole frames, brought to where `fit_frame` puts what they are of."""
    scale, offset = fit_transform(keypoints.height, keypoints.width, fit)
    return keypoints.mapped(scale, offset, fit.height, fit.width)


def fit_masks(masks: Bool[np.ndarray, "f h w"], fit: Fit) -> Bool[np.ndarray, "f fit_h fit_w"]:
    """Masks of whole frames, brought to the size of `fit` as `fit_frame` brings their frames."""
    fitted = np.empty((len(masks), fit.height, fit.width), bool)
    for place, mask in zip(fitted, masks, strict=True):
        place[...] = fit_frame(mask.astype(np.uint8) * 255, fit) >= 128
    return fitted


def resize_mask(mask: Bool[np.ndarray, "h w"], height: int, width: int) -> Bool[np.ndarray, "h2 w2"]:
    """The mask squeezed to another size."""
    if mask.shape == (height, width):
        return mask
    picture = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture) >= 128


@dataclass(frozen=True)
class Placement:
    """Where the frames of a clip are: how whole pictures come to the canvas.

    Args:
        height: of the whole upright picture, in square pixels.
        width: of the whole upright picture, in square pixels.
        fit: brings the picture to the canvas.
        pixel_aspect: breadth over height of a pixel as it is stored; some tools look at stored pixels.
    """

    height: int
    width: int
    fit: Fit
    pixel_aspect: float = 1.0

    def place_keypoints(self, keypoints: Keypoints, name: str) -> Keypoints:
        """The keypoints on the canvas.

        Args:
            keypoints: of the whole picture or of the canvas, at any size of that shape.
            name: of their file, for messages.

        Raises:
            PersonError: their canvas has neither shape.
        """
        whole = self.is_of_the_picture(keypoints.height, keypoints.width, f"{name}: keypoints")
        height, width = (self.height, self.width) if whole else (self.fit.height, self.fit.width)
        scale = np.array([width / keypoints.width, height / keypoints.height])
        scaled = keypoints.mapped(scale, np.zeros(2), height, width)
        return fit_keypoints(scaled, self.fit) if whole else scaled

    def place_masks(self, masks: Bool[np.ndarray, "f h w"], name: str) -> Bool[np.ndarray, "f fit_h fit_w"]:
        """The masks on the canvas; arguments and errors are those of `place_keypoints`."""
        _, height, width = masks.shape
        whole = self.is_of_the_picture(height, width, f"{name}: masks")
        if not whole:
            return np.stack([resize_mask(mask, self.fit.height, self.fit.width) for mask in masks])
        placed = (fit_masks(resize_mask(mask, self.height, self.width)[None], self.fit) for mask in masks)
        return np.concatenate(list(placed))

    def is_of_the_picture(self, height: int, width: int, what: str) -> bool:
        """Whether something of this size shows the whole picture; else it shows the canvas.

        Args:
            height: of it, pixels.
            width: of it, pixels.
            what: it is, for messages.

        Raises:
            PersonError: it has neither shape.
        """
        fit = self.fit
        if (height, width) in ((self.height, self.width), (fit.height, fit.width)):
            return (height, width) == (self.height, self.width)

        def misfit(aspect: float) -> float:
            return abs(math.log(width / height / aspect))

        aspect = self.width / self.height
        whole, canvas = min(misfit(aspect), misfit(aspect / self.pixel_aspect)), misfit(fit.width / fit.height)
        if min(whole, canvas) > SAME_SHAPE:
            lying = misfit(1 / aspect) <= SAME_SHAPE
            raise PersonError(
                f"{what} of {width}x{height} have neither the shape of the whole picture, {self.width}x{self.height}"
                f"{' upright (they lie on their side)' if lying else ''}, nor that of the canvas it is fitted to, "
                f"{fit.width}x{fit.height}: make them of the whole picture"
            )
        seen = "the whole picture" if whole <= canvas else "the canvas"
        _log.info("%s of %dx%d understood as of %s, placed on %dx%d", what, width, height, seen, fit.width, fit.height)
        return whole <= canvas


def pick_frames(available: int, chosen: Int[np.ndarray, " f"], whole: int | None, name: str) -> Int[np.ndarray, " f"]:
    """Which of the ready frames go with a clip's: all of them if as many, else those that were chosen of the file.

    Args:
        available: how many ready frames there are.
        chosen: the clip's frames as indices into its file.
        whole: how many frames the file has, as far as it says; a count that is off by one in fifty is the same.
        name: of the ready data, for messages.

    Raises:
        PersonError: they are of other frames.
    """
    if available == len(chosen):
        return np.arange(available)
    of_the_file = whole is None or abs(available - whole) <= 1 + whole // 50
    if of_the_file and available > chosen[-1]:
        return chosen
    stated = "the whole file" if whole is None else f"all {whole} of the file"
    raise PersonError(f"{name}: expected the {len(chosen)} frames of the clip or {stated}, got {available}")
