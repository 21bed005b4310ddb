"""Rendered pictures on disk, in shards that several processes can make and a stopped run goes on from."""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from edit_your_motion.errors import CheckpointError
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.pretrain.camera import film
from edit_your_motion.pretrain.config import PicturesConfig
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors

SLOTS = 8
"""Pictures that the generator makes at one step."""

_FACE = [BODY_JOINTS.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")]
_NECK = BODY_JOINTS.index("neck")

_HEAD_RADIUS = 0.6
"""Of a head, as a share of the way from the neck to the middle of the face."""


class Crop(NamedTuple):
    """A square part of one picture, and which of its pixels belong to the person and lie near its head."""

    frame: UInt8[Tensor, "h w 3"]
    mask: Bool[Tensor, "h w"]
    head: Bool[Tensor, "h w"]


@dataclass(frozen=True)
class FrameShard:
    """Some rendered pictures with their truth.

    Args:
        frames: sRGB.
        masks: where the people are.
        body: OpenPose-18 keypoints, pixels.
        captions: what is to be seen.
    """

    frames: UInt8[np.ndarray, "b h w 3"]
    masks: Bool[np.ndarray, "b h w"]
    body: Float32[np.ndarray, "b 18 3"]
    captions: tuple[str, ...]

    @property
    def keypoints(self) -> Keypoints:
        """The people as if they were one over a clip, for drawing."""
        return Keypoints(self.body, *self.frames.shape[1:3])

    @property
    def people(self) -> UInt8[np.ndarray, "b h w 3"]:
        """The pictures with everything but the person black, as stage 1 of a tuning sees them."""
        return self.frames * self.masks[..., None]


def render_shards(folder: Path, pictures: PicturesConfig, seed: int, workers: int, progress: Progress) -> list[Path]:
    """Renders what `folder` still lacks, and returns all of its shards of the training split in order.

    Args:
        folder: of the shards.
        pictures: which and how many.
        seed: of the stream of pictures.
        workers: processes to render with.
        progress: is told of each shard.

    Raises:
        DiskFullError: if there is no room for them.
    """
    paths = [folder / f"train-{index:05d}.safetensors" for index in range(-(-pictures.count // pictures.shard))]
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    render = partial(_render_shard, folder=folder, pictures=pictures, seed=seed)
    with progress.phase("render", len(missing)) as advance:
        if workers == 1 or len(missing) < 2:
            for index in missing:
                render(index)
                advance()
        else:
            with ProcessPoolExecutor(min(workers, len(missing)), get_context("spawn")) as pool:
                for _ in pool.map(render, missing):
                    advance()
    return paths


def held_out_shard(folder: Path, pictures: PicturesConfig, seed: int) -> FrameShard:
    """Pictures of people, places and motions that training never shows; rendered if `folder` lacks them."""
    path = folder / "held-out.safetensors"
    if not path.is_file():
        _write(path, _render(pictures.model_copy(update={"takes": 1}), seed, 0, pictures.held_out, "held_out"))
    return load_shard(path)


def load_shard(path: Path) -> FrameShard:
    """The shard that a file holds.

    Raises:
        CheckpointError: if the file is absent or damaged.
    """
    tensors = load_tensors(path)
    try:
        captions = tuple(str(caption) for caption in parse_json(load_metadata(path)["captions"]))
        frames, masks, body = (tensors[name].numpy() for name in ("frames", "masks", "body"))
        if not len(frames) == len(masks) == len(body) == len(captions):
            raise ValueError("its parts differ in length")
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"expected rendered pictures in {path}, got a damaged file ({error}); delete it"
        ) from error
    return FrameShard(frames, masks, body, captions)


class FramePool:
    """All rendered pictures in memory, as one long row of lists: joined, they would be there twice for a while.

    Args:
        paths: of the shards.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.frames: list[UInt8[Tensor, "h w 3"]] = []
        self.masks: list[Bool[Tensor, "h w"]] = []
        self._heads: list[Float32[Tensor, 3]] = []
        for path in paths:
            shard = load_shard(path)
            self.frames += torch.from_numpy(shard.frames).unbind()
            self.masks += torch.from_numpy(shard.masks).unbind()
            self._heads += torch.from_numpy(head_circles(shard.body)).unbind()

    def __len__(self) -> int:
        return len(self.frames)

    def crop(self, index: int, side: int, shares: Float32[Tensor, "4"]) -> Crop:
        """A square part of one picture.

        Args:
            index: of the picture.
            side: of the part, pixels.
            shares: numbers in [0, 1) that decide: where down and across it lies; whether anywhere (below a quarter) or
                about a pixel of the person, whose detail matters most; which pixel.
        """
        frame, mask = self.frames[index], self.masks[index]
        room = torch.tensor(mask.shape) - side
        corner = (shares[:2] * (room + 1)).long()
        inside = mask.nonzero()
        if shares[2] >= 0.25 and len(inside):
            pixel = inside[int(shares[3] * len(inside))]
            corner = (pixel - (shares[:2] * side).long()).clamp(torch.zeros_like(room), room)
        rows, columns = (slice(int(start), int(start) + side) for start in corner)
        across, down, radius = self._heads[index]
        near = [torch.arange(side) + start + 0.5 - middle for start, middle in zip(corner, (down, across), strict=True)]
        head = near[0][:, None] ** 2 + near[1] ** 2 < radius**2
        return Crop(frame[rows, columns], mask[rows, columns], head)


def head_circles(body: Float32[np.ndarray, "b 18 3"]) -> Float32[np.ndarray, "b 3"]:
    """Circles about heads, (x, y, radius) in pixels; the radius is 0 where no eye, ear or nose is seen, or no neck."""
    seen = body[:, _FACE, 2:] > 0
    count = seen.sum(axis=1)
    middle = (body[:, _FACE, :2] * seen).sum(axis=1) / np.maximum(count, 1)
    to_neck = np.linalg.norm(body[:, _NECK, :2] - middle, axis=-1, keepdims=True)
    known = (count > 0) & (body[:, _NECK, 2:] > 0)
    return np.concatenate([middle, known * (_HEAD_RADIUS * to_neck + 1)], axis=1).astype(np.float32)


def _render_shard(index: int, *, folder: Path, pictures: PicturesConfig, seed: int) -> None:
    first = index * (pictures.shard // SLOTS)
    _write(folder / f"train-{index:05d}.safetensors", _render(pictures, seed, first, pictures.shard, "train"))


def _render(pictures: PicturesConfig, seed: int, first: int, count: int, split: str) -> FrameShard:
    # Needs numba, which those who train from ready shards do without.
    from edit_your_motion.stage.stream import training_stream

    size = (pictures.size, pictures.size)
    stream = training_stream(
        seed, size, SLOTS, split=split, takes=pictures.takes, first=first, edition=pictures.edition
    )
    batches = list(islice(stream, -(-count // SLOTS)))
    frames = np.concatenate([batch.frames[:, 0] for batch in batches])[:count]
    if split == "train":
        rng = np.random.default_rng([seed, first])
        filmed = rng.random(len(frames)) < pictures.filmed
        frames = np.stack([film(frame, rng) if so else frame for frame, so in zip(frames, filmed, strict=True)])
    return FrameShard(
        frames,
        np.concatenate([batch.masks[:, 0] for batch in batches])[:count],
        np.concatenate([person.body for batch in batches for person in batch.keypoints])[:count],
        tuple(caption for batch in batches for caption in batch.captions)[:count],
    )


def _write(path: Path, shard: FrameShard) -> None:
    tensors = {name: torch.from_numpy(getattr(shard, name)) for name in ("frames", "masks", "body")}
    save_tensors(path, tensors, {"captions": json.dumps(shard.captions)})
