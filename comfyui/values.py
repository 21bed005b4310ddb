"""What flows between nodes: our own types, and ComfyUI's pictures, masks and videos to and from arrays."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from comfy_api.v0_0_2 import Input, InputImpl, Types, io
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from edit_your_motion.errors import PersonError, VideoError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.video import Video, probe

CATEGORY = "Edit-Your-Motion"

PosesType = io.Custom("EYM_POSES")
BaseType = io.Custom("EYM_BASE")
PersonType = io.Custom("EYM_PERSON")
PoseKeypointType = io.Custom("POSE_KEYPOINT")
"""Of other packs: OpenPose's JSON of each frame, as a list."""


@dataclass(frozen=True, eq=False)
class Poses:
    """One person's keypoints over a clip, and how fast they play, frames/s."""

    keypoints: Keypoints
    fps: Fraction


def as_rate(fps: float) -> Fraction:
    """A rate, frames/s, as the fraction that is meant: 29.97 is 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def as_frames(images: Float[Tensor, "f h w c"]) -> UInt8[np.ndarray, "f h w 3"]:
    """An IMAGE as bytes; without an opacity, and a grey one in three channels."""
    colours = images[..., :3] if images.shape[-1] >= 3 else images[..., :1].expand(*images.shape[:-1], 3)
    return colours.detach().float().clamp(0, 1).mul(255).round().byte().cpu().numpy()


def as_images(frames: UInt8[np.ndarray, "f h w 3"]) -> Float[Tensor, "f h w 3"]:
    """Frames as an IMAGE."""
    return torch.from_numpy(frames).float() / 255


def as_mask(masks: Bool[np.ndarray, "f h w"]) -> Float[Tensor, "f h w"]:
    """A person's pixels as a MASK."""
    return torch.from_numpy(masks).float()


def as_video(frames: UInt8[np.ndarray, "f h w 3"], fps: Fraction) -> Input.Video:
    """Frames as a VIDEO."""
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=as_images(frames), frame_rate=fps))


def as_clip(clip: "Tensor | Input.Video", fps: float) -> Path | Video:
    """A VIDEO's file, read by ourselves, or the frames of an IMAGE or of a VIDEO without a file of its own.

    Args:
        clip: an IMAGE or a VIDEO.
        fps: of an IMAGE, frames/s.
    """
    if isinstance(clip, Tensor):
        return Video(as_frames(clip), as_rate(fps))
    source = clip.get_stream_source()
    if isinstance(source, str) and _is_whole(clip, Path(source)):
        return Path(source)
    components = clip.get_components()
    return Video(as_frames(components.images), Fraction(components.frame_rate))


def _is_whole(clip: Input.Video, path: Path) -> bool:
    """Whether a VIDEO is all of its file: it may be a part that was cut out of it."""
    info = probe(path)
    return info.duration is not None and bool(abs(clip.get_duration() - info.duration) <= 1.5 / info.fps)


def as_pixels(masks: Tensor, frames: UInt8[np.ndarray, "f h w 3"]) -> Bool[np.ndarray, "f h w"]:
    """A MASK as the person's pixels in each frame.

    Raises:
        VideoError: it is the mask of others.
    """
    person: Bool[np.ndarray, "f h w"] = masks.detach().cpu().numpy() > 0.5
    if person.shape != frames.shape[:3]:
        raise VideoError(
            f"expected a mask for each image, {len(frames)} of {frames.shape[2]}x{frames.shape[1]}, got "
            f"{len(person)} of {person.shape[-1]}x{person.shape[-2]}: take both from 'Find people'"
        )
    return person


def as_prepared(images: Tensor, masks: Tensor, poses: Poses) -> PreparedClip:
    """A clip with the person in it, of three inputs that have to go together.

    Raises:
        VideoError: the masks are others than the frames'.
        PersonError: the poses are.
    """
    frames = as_frames(images)
    person = as_pixels(masks, frames)
    keypoints = poses.keypoints
    if (len(keypoints), keypoints.height, keypoints.width) != person.shape:
        raise PersonError(
            f"expected poses of {len(frames)} images of {frames.shape[2]}x{frames.shape[1]}, got {len(keypoints)} of "
            f"{keypoints.width}x{keypoints.height}: take both from 'Find people'"
        )
    return PreparedClip(Video(frames, poses.fps), keypoints, person)
