"""What the diffusion trains on, computed once: latents, tokens and skeleton pictures, in shards on disk."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from transformers import CLIPTokenizer

from edit_your_motion.errors import CheckpointError
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.pretrain.config import PicturesConfig
from edit_your_motion.pretrain.frames import FrameShard, load_shard
from edit_your_motion.pretrain.vae import encode, encoder_of
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.tensor_files import save_tensors
from edit_your_motion.storage.tensor_headers import load_metadata
from edit_your_motion.tuning.checkpoints import load_tensors


@dataclass(frozen=True)
class Examples:
    """What the diffusion learns from.

    Args:
        latents: means of the VAE's latents, times its scaling factor.
        tokens: of the captions.
        skeletons: skeleton pictures, in [0, 1].
    """

    latents: Float[Tensor, "b c lh lw"]
    tokens: Int[Tensor, "b n"]
    skeletons: Float[Tensor, "b 3 h w"]

    def first(self, count: int) -> "Examples":
        """The first of them."""
        return Examples(self.latents[:count], self.tokens[:count], self.skeletons[:count])


class LatentPool:
    """All encoded pictures in memory; the skeleton pictures, which are mostly black, compressed.

    Args:
        paths: of the shards.
        size: side of the skeleton pictures, pixels.
        scaling_factor: of the VAE.
    """

    def __init__(self, paths: Sequence[Path], size: int, scaling_factor: float) -> None:
        latents, tokens, self._skeletons, self._size = [], [], list[bytes](), size
        for path in paths:
            tensors = load_tensors(path)
            latents.append(tensors["latents"])
            tokens.append(tensors["tokens"])
            packed, ends = tensors["skeletons"].numpy().tobytes(), tensors["ends"].tolist()
            starts = [0, *ends[:-1]]
            self._skeletons += [packed[start:end] for start, end in zip(starts, ends, strict=True)]
        self._latents, self._tokens, self._scaling_factor = torch.cat(latents), torch.cat(tokens), scaling_factor
        if not len(self._latents) == len(self._tokens) == len(self._skeletons):
            raise CheckpointError(f"expected encoded pictures in {paths[0].parent}, got damaged files; delete them")

    def __len__(self) -> int:
        return len(self._latents)

    def take(self, indices: Int[Tensor, " b"]) -> Examples:
        """The examples with these indices."""
        pictures = np.stack([unpack_picture(self._skeletons[index], self._size) for index in indices.tolist()])
        return Examples(
            self._latents[indices].float() * self._scaling_factor,
            self._tokens[indices].long(),
            as_condition(pictures),
        )


def encode_shards(
    folder: Path,
    frames: Sequence[Path],
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    pictures: PicturesConfig,
    seed: int,
    progress: Progress,
) -> list[Path]:
    """Encodes the rendered shards that `folder` lacks, or has from another encoder; returns all of its shards in order.

    Args:
        folder: of the encoded shards.
        frames: the rendered shards.
        vae: with the encoder to use.
        tokenizer: of the captions.
        pictures: says how many are encoded with everything but the person black.
        seed: of which ones.
        progress: is told of each shard.

    Raises:
        CheckpointError: if a shard is damaged.
        DiskFullError: if there is no room for them.
    """
    paths = [folder / path.name for path in frames]
    # One digest stands for all that the shards are made with.
    digest = f"{encoder_digest(vae)} {pictures.masked}"
    stale = [(source, path) for source, path in zip(frames, paths, strict=True) if made_with(path) != digest]
    with progress.phase("encode", len(stale)) as advance:
        for source, path in stale:
            shard = load_shard(source)
            random = np.random.default_rng([seed, *source.name.encode()])
            masked = random.random(len(shard.frames)) < pictures.masked
            shown = np.where(masked[:, None, None, None], shard.people, shard.frames)
            packed = [pack_picture(picture) for picture in draw_skeleton(shard.keypoints, hands=False, face=False)]
            tensors = {
                "latents": encode(vae, shown).half(),
                "tokens": tokenize(tokenizer, shard.captions).short(),
                "skeletons": torch.frombuffer(bytearray(b"".join(packed)), dtype=torch.uint8),
                "ends": torch.tensor(np.cumsum([len(picture) for picture in packed])),
            }
            save_tensors(path, tensors, {"made_with": digest})
            advance()
    return paths


def find_scaling_factor(path: Path) -> float:
    """What brings the latents of a shard to a standard deviation of 1."""
    return float(1 / load_tensors(path)["latents"].float().std())


def examples_of(shard: FrameShard, vae: AutoencoderKL, tokenizer: CLIPTokenizer, scaling_factor: float) -> Examples:
    """The examples of a rendered shard, straight."""
    return Examples(
        encode(vae, shard.frames).cpu() * scaling_factor,
        tokenize(tokenizer, shard.captions),
        as_condition(draw_skeleton(shard.keypoints, hands=False, face=False)),
    )


def tokenize(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Int[Tensor, "b n"]:
    """The captions' tokens, filled up to the longest prompt."""
    length = tokenizer.model_max_length
    filled = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return filled.input_ids


def as_condition(pictures: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Skeleton pictures as a ControlNet takes them."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255


def pack_picture(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture, compressed without loss."""
    return zlib.compress(picture.tobytes(), level=1)


def unpack_picture(packed: bytes, size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The square picture that `pack_picture` packed.

    Raises:
        CheckpointError: if it is damaged.
    """
    try:
        # Bounded, whatever a damaged file claims.
        pixels = zlib.decompressobj().decompress(packed, size * size * 3)
        return np.frombuffer(pixels, np.uint8).reshape(size, size, 3)
    except (zlib.error, ValueError) as error:
        raise CheckpointError(
            f"expected skeleton pictures of {size}x{size}, got damaged ones ({error}); delete the encoded pictures"
        ) from error


def encoder_digest(vae: AutoencoderKL) -> str:
    """Tells this encoder from others."""
    digest = sha256()
    for part in encoder_of(vae):
        for value in part.state_dict().values():
            digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def made_with(path: Path) -> str | None:
    """What an encoded shard was made with; None if there is no such file."""
    return load_metadata(path).get("made_with") if path.is_file() else None
