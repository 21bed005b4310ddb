"""How good is a small base on people, places and motions that it never saw?

    python benchmarks/base_quality.py BASE_FOLDER [--pictures 128] [--steps 25] [--skeleton-guidance 2]
        [--sheet SHEET.png] [--output OUT.json]

BASE_FOLDER holds base/ and controlnet/, as 'eym pretrain --export' writes them. Pictures are generated from seeded
noise with the captions and skeletons of held-out renders. Three rows: the renders themselves, what the VAE keeps of
them, and the generated pictures; for each

- found: share of pictures in which the people backend finds somebody;
- pck: mean PCK at 0.1 of the person found against the true keypoints (0 where nobody is found);
- frechet_alexnet: Fréchet distance to other held-out renders, as many, over AlexNet's last features averaged over the
  picture (256 numbers; the network is LPIPS's). Only comparable with the same number of pictures: the renders' own row
  is the floor.
"""

import argparse
import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from edit_your_motion.diffusion.ddim import sample
from edit_your_motion.metrics import Lpips, frechet_distance, load_lpips, pck
from edit_your_motion.models.loading import Base, load_base
from edit_your_motion.models.prediction_type import noise_of_velocity, velocity_schedule
from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import DETECTION_SIDE
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.pretrain.config import PicturesConfig
from edit_your_motion.pretrain.frames import FrameShard, held_out_shard
from edit_your_motion.pretrain.latents import as_condition, tokenize
from edit_your_motion.pretrain.samples import write_sheet
from edit_your_motion.pretrain.vae import decode, reconstruct
from edit_your_motion.runtime.random import Draws
from edit_your_motion.video import Fit, fit_frame

BATCH = 16


def take(shard: FrameShard, part: slice) -> FrameShard:
    return FrameShard(shard.frames[part], shard.masks[part], shard.body[part], shard.captions[part])


@torch.no_grad()
def generate(base: Base, shard: FrameShard, steps: int, scale: float, skeleton_scale: float) -> np.ndarray:
    """One picture for each caption and skeleton of the shard.

    Guidance is away from no caption where `scale` is not 1, and away from no skeleton where `skeleton_scale` is not 1.
    """
    shape = (
        len(shard.frames),
        1,
        base.unet.config.in_channels,
        *(side // base.pixels_per_latent for side in shard.frames.shape[1:3]),
    )
    noise = Draws(0).normal(*shape)
    tokens = tokenize(base.tokenizer, shard.captions)
    skeletons = as_condition(draw_skeleton(shard.keypoints, hands=False, face=False))
    schedule = velocity_schedule(base.scheduler)
    nothing = tokenize(base.tokenizer, [""])
    pictures = []
    for first in range(0, len(noise), BATCH):
        part = slice(first, first + BATCH)

        def predict(z: Tensor, t: Tensor, part: slice = part) -> Tensor:
            def eps(words: Tensor, shown: Tensor) -> Tensor:
                latents, text = rearrange(z, "b 1 c h w -> b c h w"), base.text_encoder(words)[0]
                down, mid = base.controlnet(latents, t, text, shown, return_dict=False)
                noise = base.unet(
                    latents, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid
                ).sample
                noise = rearrange(noise, "b c h w -> b 1 c h w")
                return noise if schedule is None else noise_of_velocity(noise, z, schedule[t])

            wanted = made = eps(tokens[part], skeletons[part])
            if scale != 1:
                made = made + (scale - 1) * (wanted - eps(nothing.expand(len(z), -1), skeletons[part]))
            if skeleton_scale != 1:
                made = made + (skeleton_scale - 1) * (wanted - eps(tokens[part], torch.zeros_like(skeletons[part])))
            return made

        z = sample(predict, noise[part], base.scheduler, steps)
        pictures.append(decode(base.vae, rearrange(z, "b 1 c h w -> b c h w") / base.vae.config.scaling_factor))
    return np.concatenate(pictures)


def find_people(frames: np.ndarray, truth: Keypoints) -> dict[str, float]:
    """Share of pictures with somebody in it, and mean PCK; each picture on its own."""
    backend, zoom = BlazePose(num_threads=1), max(1, -(-DETECTION_SIDE // min(frames.shape[1:3])))
    height, width = (side * zoom for side in frames.shape[1:3])
    found, correct = [], []
    for index, frame in enumerate(frames):
        people = backend.detect(fit_frame(frame, Fit(height, width))[None])[0]
        found.append(bool(people))
        if not people:
            correct.append(0.0)
            continue
        body = max(people, key=lambda person: person.score).body[None].astype(np.float32)
        body[..., :2] /= zoom
        detected = Keypoints(body=body, height=truth.height, width=truth.width)
        correct.append(float(pck(detected, truth.take(np.array([index])))[0]))
    return {"found": float(np.mean(found)), "pck": float(np.mean(correct))}


@torch.no_grad()
def describe(frames: np.ndarray, network: Lpips) -> np.ndarray:
    """AlexNet's last features of each picture, averaged over it."""
    described = []
    for first in range(0, len(frames), BATCH):
        batch = rearrange(torch.from_numpy(frames[first : first + BATCH]), "b h w c -> b c h w").float() / 127.5 - 1
        features = (batch - network.shift) / network.scale
        for stage in network.stages:
            features = stage(features)
        described.append(features.mean(dim=(2, 3)).numpy())
    return np.concatenate(described)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=1.0)
    parser.add_argument("--skeleton-guidance", type=float, default=1.0)
    parser.add_argument("--renders", type=Path, default=Path("runs/base-quality"), help="Keeps the held-out renders.")
    parser.add_argument("--edition", type=int, choices=(1, 2), default=1, help="Of the generator's looks.")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()

    base = load_base(str(options.base / "base"), str(options.base / "controlnet"))
    pictures = PicturesConfig(size=base.native_side, held_out=2 * options.pictures, edition=options.edition)
    # Other seeds than the shard that a training measures itself on.
    both = held_out_shard(
        options.renders / f"{pictures.size}-{pictures.held_out}-edition-{options.edition}", pictures, 1
    )
    shown, others = take(both, slice(options.pictures)), both.frames[options.pictures :]
    kept = reconstruct(base.vae, shown.frames)
    made = generate(base, shown, options.steps, options.guidance_scale, options.skeleton_guidance)
    network = load_lpips("alexnet", allow_fetch=True)
    floor = describe(others, network)
    rows = {
        name: {
            **find_people(frames, shown.keypoints),
            "frechet_alexnet": frechet_distance(describe(frames, network), floor),
        }
        for name, frames in (("renders", shown.frames), ("VAE", kept), ("generated", made))
    }
    error = np.square(kept.astype(np.float32) - shown.frames)
    for name, part in (("psnr", error), ("psnr_person", error[shown.masks])):
        rows["VAE"][name] = float(10 * np.log10(255**2 / part.mean()))
    content = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "pictures": options.pictures, "steps": options.steps, "guidance_scale": options.guidance_scale,
        "skeleton_guidance": options.skeleton_guidance, "rows": rows,
    }  # fmt: skip
    print(json.dumps(content, indent=2))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(content, indent=2))
    if options.sheet:
        write_sheet(
            options.sheet,
            [row[:12] for row in (shown.frames, kept, draw_skeleton(shown.keypoints, hands=False, face=False), made)],
        )


if __name__ == "__main__":
    main()
