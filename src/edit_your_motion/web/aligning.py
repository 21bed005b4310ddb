"""A reference's motion on a source's person, worked out while somebody tries how it should be put."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edit_your_motion.config import AlignmentConfig
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.clip_warnings import describe_hopeless, describe_motion, frames_of
from edit_your_motion.people.formats.keypoints_file import describe_keypoints, load_keypoints
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.video import probe


def align_clips(source: Path, reference: Path, config: AlignmentConfig) -> Mapping[str, Any]:
    """The aligned skeletons as a keypoints file has them, which frames of the source go with them, and what is wrong.

    Args:
        source: the prepared clip of who is to move.
        reference: the prepared clip of the motion.
        config: how the one is brought to the other.

    Raises:
        PersonError: the two cannot be aligned.
    """
    standing, moving = (load_keypoints(place / "keypoints.json") for place in (source, reference))
    aligned = align_as(config, moving, standing)
    rates = [probe(place / "frames.mp4").fps for place in (source, reference)]
    shown = loop_frames(len(standing), len(moving), rates[0] / rates[1])
    concerns = (*describe_motion(config, moving, standing), *describe_hopeless(config, moving, standing))
    content = describe_keypoints(aligned)
    return {**content, "shown": shown.tolist(), "fps": float(rates[1]), "concerns": concerns,
            "concerned": [frames_of(each) for each in concerns]}  # fmt: skip
