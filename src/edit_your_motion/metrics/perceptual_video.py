"""LPIPS along a video and against its source: Table VI's LPIPS-N and LPIPS-S."""

from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np
from jaxtyping import Float64

from edit_your_motion.errors import VideoError
from edit_your_motion.metrics.frames import Frames, FrameStream, iterate_frames
from edit_your_motion.metrics.lpips import Lpips, lpips


def lpips_neighbours(generated: Frames, network: Lpips) -> Float64[np.ndarray, "pairs"]:
    """LPIPS-N: the LPIPS of each frame and the next.

    Convention: pixels in [-1, 1]; the paper does not name the backbone, so name it; 0 or more, lower is steadier
    (a still video gets 0).

    Args:
        generated: at least two frames that can be read twice at once (an array, a list, a `FrameStream`).
        network: from `load_lpips`.

    Raises:
        VideoError: fewer than two frames, or frames that are too small.
    """
    if len(list(islice(iterate_frames(generated), 2))) < 2:
        raise VideoError("LPIPS-N compares neighbouring frames and needs at least 2")

    def all_but_last() -> Iterator[np.ndarray]:
        held = None
        for frame in iterate_frames(generated):
            if held is not None:
                yield held[None]
            held = frame

    def all_but_first() -> Iterator[np.ndarray]:
        return (frame[None] for frame in islice(iterate_frames(generated), 1, None))

    return lpips(FrameStream(all_but_last), FrameStream(all_but_first), network)


def lpips_source(generated: Frames, source: Frames, network: Lpips) -> Float64[np.ndarray, "f"]:
    """LPIPS-S: the LPIPS of each generated frame and the same-numbered source frame.

    Convention: pixels in [-1, 1]; name the backbone; 0 or more, lower keeps more of the source. It cannot reach 0 where
    the motion differs. A source of one frame (an image) stands for every frame, as the method itself repeats it.

    Args:
        generated: frames of at least 32x32 pixels.
        source: as many frames, or one.
        network: from `load_lpips`.

    Raises:
        VideoError: the videos differ in resolution, or in length where the source has more than one frame.
    """
    first_two = list(islice(iterate_frames(source), 2))
    if len(first_two) == 1:
        count = sum(1 for _ in iterate_frames(generated))
        source = FrameStream(lambda: repeat(first_two[0][None], count))
    return lpips(generated, source, network)
