"""A short video of a figure that moves over a background, with its true keypoints and masks, for tests."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edit_your_motion.config import EditConfig, PeopleConfig, TuneConfig, parse_config
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.video import Video, write_video

FPS = Fraction(8)
JOINTS = np.array(
    [
        (0.50, 0.10), (0.50, 0.25),
        (0.30, 0.25), (0.20, 0.45), (0.15, 0.60),
        (0.70, 0.25), (0.80, 0.45), (0.85, 0.60),
        (0.40, 0.55), (0.38, 0.75), (0.36, 0.95),
        (0.60, 0.55), (0.62, 0.75), (0.64, 0.95),
        (0.47, 0.07), (0.53, 0.07), (0.44, 0.09), (0.56, 0.09),
    ]
)  # fmt: skip
"""OpenPose-18 of a standing figure in a box of side 1."""


@dataclass(frozen=True)
class SyntheticClip:
    """Files of a clip, and what is truly in them."""

    video: Path
    keypoints: Path
    masks: Path
    prepared: PreparedClip


def film(frames: int = 4, height: int = 64, width: int = 64, speed: float = 2.0, seed: int = 0) -> PreparedClip:
    """A figure that walks to the right at `speed` pixels a frame, its box coloured, over a noisy background."""
    generator = np.random.default_rng(seed)
    background = generator.integers(90, 120, (height, width, 3), dtype=np.uint8)
    colours = generator.integers(120, 255, 3, dtype=np.uint8)
    body = np.ones((frames, 18, 3), np.float32)
    masks = np.zeros((frames, height, width), bool)
    pictures = np.repeat(background[None], frames, axis=0)
    tall, wide, top = round(0.75 * height), round(0.375 * height), round(0.125 * height)
    for index in range(frames):
        left = round(width / 4 + speed * index)
        body[index, :, :2] = JOINTS * (wide, tall) + (left, top)
        masks[index, top : top + tall, left : left + wide] = True
        pictures[index][masks[index]] = colours
    return PreparedClip(Video(pictures, FPS), Keypoints(body, height, width), masks)


def write_clip(folder: Path, clip: PreparedClip) -> SyntheticClip:
    """The clip as a video, a keypoints file and a folder of masks."""
    files = SyntheticClip(folder / "video.mp4", folder / "keypoints.json", folder / "masks", clip)
    write_video(files.video, clip.video.frames, clip.video.fps, crf=4)
    save_keypoints(files.keypoints, clip.keypoints)
    files.masks.mkdir()
    for index, mask in enumerate(clip.masks):
        Image.fromarray(mask.astype(np.uint8) * 255).save(files.masks / f"{index:03d}.png")
    return files


def ready_people(source: SyntheticClip, reference: SyntheticClip | None = None) -> PeopleConfig:
    """Settings that look for nobody: everything is ready."""
    reference_keypoints = None if reference is None else reference.keypoints
    return PeopleConfig(keypoints=source.keypoints, masks=source.masks, reference_keypoints=reference_keypoints)


def short_edit(checkpoints: Path, source: SyntheticClip, reference: SyntheticClip, **values: Any) -> EditConfig:
    """An edit of 2 frames of 64x64 with two steps of everything, which needs no detector."""
    stage = {"iterations": 2, "learning_rate": 1e-3}
    short = {
        "source": str(source.video),
        "reference": str(reference.video),
        "prompt": "a box walks",
        "model": {"base": str(checkpoints / "base"), "controlnet": str(checkpoints / "controlnet")},
        "video": {"frames": 2, "size": "64"},
        "people": ready_people(source, reference).model_dump(),
        "tuning": {"motion": stage, "appearance": stage, "checkpoint_every": 1, "gradient_checkpointing": False},
        "inversion": {"steps": 2},
        "sampling": {"steps": 2},
        "runtime": {"device": "cpu"},
    }
    return parse_config(EditConfig, short, values)


def short_tune(checkpoints: Path, source: SyntheticClip, **values: Any) -> TuneConfig:
    """The tuning of `short_edit`."""
    return parse_config(EditConfig, short_edit(checkpoints, source, source).model_dump(), values).for_tuning()
