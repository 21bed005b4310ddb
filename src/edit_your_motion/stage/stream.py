"""An endless stream of pictures and clips to train on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from jaxtyping import Bool, UInt8

from edit_your_motion.errors import ConfigError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.stage.caption import caption
from edit_your_motion.stage.render import render_clip
from edit_your_motion.stage.scene import Scene, sample_performance, sample_view, split_generator

_PURPOSE, _WORDS = 2, 3
"""Keep the random numbers of the stream, and of what its captions leave out, apart from those of scenes and pairs."""


@dataclass(frozen=True)
class RenderedBatch:
    """Clips of different people in different places; of one frame each for training on pictures.

    Args:
        frames: sRGB.
        masks: where the people are.
        keypoints: of each clip.
        captions: of each clip.
    """

    frames: UInt8[np.ndarray, "b f h w 3"]
    masks: Bool[np.ndarray, "b f h w"]
    keypoints: tuple[Keypoints, ...]
    captions: tuple[str, ...]


def stream_scene(seed: int, step: int, slot: int, *, split: str = "train", takes: int = 8, edition: int = 1) -> Scene:
    """What one slot of a batch shows at one step: for `takes` steps on end the same person in the same place, each time
    doing something else before another camera.

    Dressing somebody and furnishing a place take several times as long as a picture of them. The slots change cast at
    different steps.
    """
    shift = step + slot * takes // 7
    cast = split_generator(seed, split, _PURPOSE)
    key = int(cast.integers(2**31))
    scene = Scene.sample(_mix(key, shift // takes, slot), split, edition)
    rng = split_generator(_mix(key, step, slot), split, _PURPOSE)
    performance = sample_performance(rng, split)
    return replace(scene, performance=performance, view=sample_view(rng, scene.identity))


def _mix(*numbers: int) -> int:
    """One number made of several, the same ones always giving the same."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def training_stream(
    seed: int,
    size: tuple[int, int],
    batch: int,
    *,
    frames: int = 1,
    fps: float | int = 12,
    split: str = "train",
    takes: int = 8,
    first: int = 0,
    stride: int = 1,
    edition: int = 1,
) -> Iterator[RenderedBatch]:
    """Batches without end; the batch of each step depends on seed and step only, so a run resumes anywhere.

    Args:
        seed: of the whole stream.
        size: height and width, pixels.
        batch: clips in each.
        frames: of each clip; 1 for independent pictures.
        fps: of the clips.
        split: "train" or "held_out".
        takes: for how many steps a slot of the batch keeps its person and place.
        first: the step to begin with.
        stride: from one step to the next; several processes share a stream with their own `first` and a common stride.
        edition: of the looks; from 2 on captions name more, and leave parts out at random.

    Raises:
        ConfigError: sizes or numbers that cannot be.
    """
    if batch < 1 or takes < 1 or stride < 1 or first < 0:
        raise ConfigError(
            "expected batch, takes and stride of at least 1 and first of at least 0; "
            f"got {batch}, {takes}, {stride} and {first}"
        )
    for step in count(first, stride):
        scenes = [stream_scene(seed, step, slot, split=split, takes=takes, edition=edition) for slot in range(batch)]
        clips = [render_clip(scene, frames=frames, size=size, fps=fps) for scene in scenes]
        rngs = [split_generator(_mix(seed, step, slot), split, _WORDS) for slot in range(batch)]
        yield RenderedBatch(
            np.stack([clip.frames for clip in clips]),
            np.stack([clip.masks for clip in clips]),
            tuple(clip.keypoints for clip in clips),
            tuple(caption(scene, rng) for scene, rng in zip(scenes, rngs, strict=True)),
        )
