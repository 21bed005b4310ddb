"""The whole training on one screen: render, train the VAE, encode, train the diffusion."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from edit_your_motion.config import dump_config, load_config, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError
from edit_your_motion.jobs.early_checks import check_folder
from edit_your_motion.metrics import load_lpips
from edit_your_motion.models.backbone import choose_device, choose_dtype
from edit_your_motion.pretrain.config import PretrainConfig
from edit_your_motion.pretrain.diffusion import DiffusionTraining
from edit_your_motion.pretrain.frames import FramePool, FrameShard, held_out_shard, load_shard, render_shards
from edit_your_motion.pretrain.latents import LatentPool, encode_shards, find_scaling_factor
from edit_your_motion.pretrain.loop import Workshop, train
from edit_your_motion.pretrain.start import part_of
from edit_your_motion.pretrain.tokenizer import train_tokenizer
from edit_your_motion.pretrain.vae import VaeTraining
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.storage.locking import held

CONFIG = "config.yaml"
FRAMES, LATENTS, TOKENIZER = "frames", "latents", "tokenizer"
"""What a training's folder holds, beside checkpoints, logs and sample sheets."""


def pretrain(config: PretrainConfig, folder: Path, progress: Progress | None = None) -> None:
    """Trains a base and its ControlNet in `folder`, going on from what is there; `export` makes a base of it.

    A stopped run goes on where it was, with more steps or pictures or on another machine if `config` says so.

    Args:
        config: what to train, on what, for how long.
        folder: of pictures, checkpoints, logs (JSON lines) and sample sheets; made if it is absent.
        progress: is told how far each phase is.

    Raises:
        CheckpointError: if a file in `folder` is damaged.
        ConfigError: if `folder` holds a training of other networks or pictures, or the loss stops being a number.
        DiskFullError: if there is no room.
        FolderInUseError: if another training works in `folder`.
        MissingExtraError: if pictures are to be rendered and numba is not installed.
        ModelFileError: if the VAE is to train by LPIPS, and its weights can neither be found nor fetched.
    """
    check_folder(folder)
    with held(folder):
        _pretrain(config, folder, progress or SilentProgress())


def _pretrain(config: PretrainConfig, folder: Path, progress: Progress) -> None:
    machine, pictures = config.machine, config.pictures
    if machine.threads:
        torch.set_num_threads(machine.threads)
    device = choose_device(machine.device)
    dtype = choose_dtype(machine.precision, device)
    _claim(folder, config)
    # Hours before the VAE's training asks for them.
    if config.vae.perceptual:
        load_lpips("alexnet", allow_fetch=True)
    if config.from_base:
        for part in ("vae", "unet", "controlnet", "text_encoder", "tokenizer"):
            part_of(config.from_base, part)
    workshop = Workshop(
        folder,
        config.fingerprint,
        config.seed,
        device,
        None if dtype == torch.float32 else dtype,
        machine.checkpoint_minutes,
        progress,
    )

    held_out = held_out_shard(folder / FRAMES, pictures, config.seed)
    shards = render_shards(folder / FRAMES, pictures, config.seed, machine.workers, progress)
    tokenizer = _tokenizer(folder / TOKENIZER, shards, config)
    vae = _train_vae(config, FramePool(shards), held_out, workshop)
    latents = encode_shards(folder / LATENTS, shards, vae, tokenizer, pictures, config.seed, progress)
    vae.register_to_config(scaling_factor=find_scaling_factor(latents[0]))
    pool = LatentPool(latents, pictures.size, vae.config.scaling_factor)
    train(DiffusionTraining(config, pool, held_out, vae, tokenizer, device), workshop)


def _train_vae(config: PretrainConfig, pool: FramePool, held_out: FrameShard, workshop: Workshop) -> AutoencoderKL:
    """The averaged VAE; the pictures, gigabytes of them, are let go with its training."""
    training = VaeTraining(config, pool, held_out, workshop.device)
    train(training, workshop)
    return training.average


def read_config(folder: Path) -> PretrainConfig:
    """The configuration of the training in `folder`.

    Raises:
        CheckpointError: if there is none.
    """
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"expected a training's folder, found no {CONFIG} in {folder}; make one with 'eym pretrain'"
        )
    return parse_config(PretrainConfig, load_config(folder / CONFIG))


def _claim(folder: Path, config: PretrainConfig) -> None:
    """Writes the configuration beside the training; refuses a folder with another one."""
    if (folder / CONFIG).is_file() and read_config(folder).fingerprint != config.fingerprint:
        raise ConfigError(
            f"{folder} holds a training with another seed, pictures or architecture; choose another folder, or go on "
            f"with the settings in its {CONFIG}"
        )
    write_text(folder / CONFIG, dump_config(config))


def _tokenizer(folder: Path, shards: list[Path], config: PretrainConfig) -> CLIPTokenizer:
    """The folder's tokenizer; made of the captions of its first pictures if there is none."""
    sizes = config.architecture
    if not folder.is_dir():
        captions = [caption for path in shards for caption in load_shard(path).captions]
        with written_whole(folder) as part:
            train_tokenizer(part, captions, sizes.merges, sizes.tokens)
    return CLIPTokenizer.from_pretrained(folder)
