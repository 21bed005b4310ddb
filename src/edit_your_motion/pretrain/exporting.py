"""A training's averaged weights as a base and a ControlNet in the ``diffusers`` layout."""

import json
from pathlib import Path

from transformers import CLIPTokenizer

from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.tiny import MODEL_INDEX, make_scheduler
from edit_your_motion.pretrain.diffusion import DiffusionTraining, PicturePredictor
from edit_your_motion.pretrain.latents import encoder_digest, find_scaling_factor, made_with
from edit_your_motion.pretrain.loop import checkpoint_file, load_average
from edit_your_motion.pretrain.pipeline import LATENTS, TOKENIZER, read_config
from edit_your_motion.pretrain.vae import VaeTraining, build_vae
from edit_your_motion.storage.files import written_whole

BASE, CONTROLNET, RECORD = "base", "controlnet", "training.json"


def export(folder: Path, destination: Path) -> Path:
    """Writes what the training in `folder` has reached as fp16 safetensors, and returns `destination`.

    It gets the folders ``base`` and ``controlnet``, and ``training.json`` with the steps and the configuration. It
    appears whole or not at all; what lies there is replaced. A training may go on meanwhile.

    Args:
        folder: of `pretrain`.
        destination: a folder to write.

    Raises:
        CheckpointError: if the training is not that far, or a file of it is damaged.
    """
    config = read_config(folder)
    checkpoints = [checkpoint_file(folder, training.name) for training in (VaeTraining, DiffusionTraining)]
    if missing := [path for path in checkpoints if not path.is_file()]:
        raise CheckpointError(
            f"expected checkpoints of the VAE and the diffusion in {folder}, found no {missing[0].name}; train on, a "
            "checkpoint is written every few minutes"
        )
    vae = build_vae(config)
    vae_steps = load_average(checkpoints[0], config.fingerprint, vae)
    latents = sorted((folder / LATENTS).glob("*.safetensors"))
    if not latents or encoder_digest(vae) not in (made_with(latents[0]) or ""):
        raise CheckpointError(
            f"expected pictures in {folder / LATENTS} that the VAE encoded, found none or those of an earlier VAE; "
            "train on until the diffusion goes on"
        )
    vae.register_to_config(scaling_factor=find_scaling_factor(latents[0]))
    tokenizer = CLIPTokenizer.from_pretrained(folder / TOKENIZER)
    networks = PicturePredictor(config, len(tokenizer))
    steps = load_average(checkpoints[1], config.fingerprint, networks)
    with written_whole(destination) as part:
        vae.half().save_pretrained(part / BASE / "vae")
        networks.text_encoder.half().save_pretrained(part / BASE / "text_encoder")
        networks.unet.half().save_pretrained(part / BASE / "unet")
        tokenizer.save_pretrained(part / BASE / "tokenizer")
        make_scheduler(config.architecture.prediction).save_pretrained(part / BASE / "scheduler")
        (part / BASE / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2), encoding="utf-8")
        networks.controlnet.half().save_pretrained(part / CONTROLNET)
        # Where the training began is a folder of the machine that trained, and nobody else's business.
        kept = config.model_dump(mode="json", exclude={"from_base"})
        record = {"vae_steps": vae_steps, "diffusion_steps": steps, "config": kept}
        (part / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
    return destination
