"""How much each metric's convention matters, on one pair of videos; fills benchmarks/results/metric-conventions.md.

    python benchmarks/metric_conventions.py                       # prints the tables for the built-in pair
    python benchmarks/metric_conventions.py --write               # and puts them into the results
    python benchmarks/metric_conventions.py generated.mp4 truth.mp4

The built-in pair is a pan over a photograph that scikit-image carries (``pip install 'edit-your-motion[test]'``) and
the same pan with the faults of a generated video: two pixels off, softer, a colour cast, noise that changes with every
frame. LPIPS rows need ``eym models fetch lpips-alexnet lpips-vgg16`` once and are left out, by name, without.
"""

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, reduce
from PIL import Image, ImageFilter
from torch import Tensor

from edit_your_motion.errors import ModelFileError
from edit_your_motion.metrics import (
    ClipEncoder,
    FewClipsWarning,
    Lpips,
    encode_clips,
    frechet_distance,
    l1,
    load_lpips,
    lpips,
    lpips_unit_range,
    mean_absolute_error,
    psnr,
    psnr_wrapped_uint8,
    resize_frames,
    ssim,
    ssim_colour,
)
from edit_your_motion.metrics.video_features import CLIP_FRAMES
from edit_your_motion.video import read_video

PAGE = Path(__file__).resolve().with_name("results") / "metric-conventions.md"
BEGIN, END = "<!-- metric_conventions.py begins -->", "<!-- metric_conventions.py ends -->"
FRAMES, LONG_FRAMES, SIDE = 24, 72, 256
LONGEST = 100


def pan(picture: np.ndarray, shift: int = 0, frames: int = FRAMES) -> np.ndarray:
    """A camera that moves diagonally over a picture, two pixels a frame: uint8 (f, h, w, 3)."""
    starts = [100 + 2 * index + shift for index in range(frames)]
    return np.stack([picture[start - 60 : start - 60 + SIDE, start : start + SIDE] for start in starts])


def make_pair(frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """The generated and the true video."""
    from skimage.data import astronaut

    picture = astronaut()
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.2)))
    noise = np.random.default_rng(0).normal(0, 4, (frames, SIDE, SIDE, 3))
    generated = pan(soft, shift=2, frames=frames) + np.array([9, 2, -7]) + noise
    return generated.round().clip(0, 255).astype(np.uint8), pan(picture, frames=frames)


def make_unrelated() -> np.ndarray:
    """Another video of the built-in pair's size."""
    from skimage.data import coffee

    return pan(np.asarray(Image.fromarray(coffee()).resize((512, 512), Image.Resampling.BICUBIC)))


def read_pair(generated: Path, truth: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first frames of two files, cut to the shorter one, the first file resized to the second."""
    videos = [read_video(path, frames=LONGEST).frames for path in (generated, truth)]
    count = min(len(frames) for frames in videos)
    height, width = videos[1].shape[1:3]
    return np.concatenate(list(resize_frames(videos[0][:count], height, width))), videos[1][:count]


def tabulate(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) + ("---:",) * (len(heading) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tabulate_resolutions(generated: np.ndarray, truth: np.ndarray) -> str:
    height, width = truth.shape[1:3]
    rows = []
    for scale in (0.5, 1, 2):
        size = round(height * scale), round(width * scale)
        pair = [np.concatenate(list(resize_frames(frames, *size))) for frames in (generated, truth)]
        values = [metric(*pair).mean() for metric in (mean_absolute_error, psnr, ssim)]
        formatted = [f"{value:.{decimals}f}" for value, decimals in zip(values, (2, 2, 3), strict=True)]
        rows.append((f"{size[1]}x{size[0]}", f"{l1(*pair).mean():.2e}", *formatted))
    return tabulate(("resolution of both", "L1", "MAE", "PSNR, dB", "SSIM"), rows)


def tabulate_pairs(pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    def row(name: str, metric: Callable, decimals: int) -> tuple[str, ...]:
        return name, *(f"{metric(*pair).mean():.{decimals}f}" for pair in pairs.values())

    rows = [
        row("PSNR, dB", psnr, 2),
        row("PSNR that wraps in uint8, dB", psnr_wrapped_uint8, 2),
        row("SSIM, grey", ssim, 3),
        row("SSIM, colour", ssim_colour, 3),
    ]
    for backbone, title in (("alexnet", "AlexNet"), ("vgg16", "VGG-16")):
        try:
            network = load_lpips(backbone)
        except ModelFileError as why:
            print(f"left out: LPIPS on {title}: {why}")
            continue
        rows.append(row(f"LPIPS, {title}, [-1, 1]", lambda x, y, n=network: lpips(x, y, n), 3))
        rows.append(row(f"LPIPS, {title}, [0, 1]", lambda x, y, n=network: lpips_unit_range(x, y, n), 3))
    return tabulate(("convention", *pairs), rows)


def make_stand_in(network: Lpips) -> ClipEncoder:
    """AlexNet's last features, averaged over the frames of a clip and the picture, in the place of I3D's logits."""

    def describe(clips: Tensor) -> Tensor:
        features = (rearrange(clips, "b c f h w -> (b f) c h w") - network.shift) / network.scale
        for stage in network.stages:
            features = stage(features)
        return reduce(features, "(b f) c h w -> b c", "mean", b=len(clips))

    def prepare(clip: np.ndarray) -> Tensor:
        return rearrange(torch.from_numpy(clip), "f h w c -> c f h w").float() / 127.5 - 1

    return ClipEncoder(describe, prepare, torch.device("cpu"))


def tabulate_clip_sampling(generated: np.ndarray, truth: np.ndarray) -> str | None:
    """The Fréchet distance of the pair's clips, by which of them are taken; None without AlexNet's weights."""
    try:
        encoder = make_stand_in(load_lpips("alexnet"))
    except ModelFileError as why:
        print(f"left out: clip sampling: {why}")
        return None
    features = [encode_clips(frames, encoder) for frames in (generated, truth)]
    rows = []
    for name, stride in (("every start (ours)", 1), ("every fourth", 4), ("without overlap", 16)):
        taken = [each[::stride] for each in features]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClipsWarning)
            rows.append((name, str(len(taken[0])), f"{frechet_distance(*taken):.4f}"))
    return tabulate(("starts of the 16-frame clips", "clips", "distance"), rows)


def tabulate_clip_counts(dimension: int = 400) -> str:
    """The Fréchet distance of two sets drawn from one and the same distribution: it should be 0."""
    rows = []
    for count in (10, 50, 200, 1000, 5000):
        a, b = np.random.default_rng(0).normal(size=(2, count, dimension))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClipsWarning)
            rows.append((str(count), f"{frechet_distance(a, b):.1f}", f"{2 * dimension:.0f}"))
    return tabulate(("clips on each side", "distance", "sum of both variances"), rows)


def write_page(tables: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    temporary = PAGE.with_suffix(".partial")
    temporary.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")
    os.replace(temporary, PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generated", type=Path, nargs="?")
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true", help="put the built-in pair's tables into the results")
    arguments = parser.parse_args()
    if arguments.generated is not None and (arguments.truth is None or arguments.write):
        parser.error("expected two videos and no --write, or no video")
    if arguments.generated is not None:
        generated, truth = read_pair(arguments.generated, arguments.truth)
        longer = generated, truth
        pairs = {"the pair": (generated, truth)}
    else:
        generated, truth = make_pair()
        longer = make_pair(LONG_FRAMES)
        pairs = {"the pair": (generated, truth), "two unrelated videos": (make_unrelated(), truth)}
    table = tabulate_clip_sampling(*longer) if len(longer[1]) >= 2 * CLIP_FRAMES else None
    sampling = [] if table is None else [
        f"**Clip sampling.** The same pair, {len(longer[1])} frames long: the Fréchet distance of FVD, with a stand-in "
        "for I3D (AlexNet's last features, averaged over clip and picture):",
        table,
    ]  # fmt: skip
    tables = "\n\n".join(
        [
            f"**Resolution.** The same pair, {len(truth)} frames, resized (bicubic) before measuring:",
            tabulate_resolutions(generated, truth),
            f"**Arithmetic, channels and range.** At {truth.shape[2]}x{truth.shape[1]}:",
            tabulate_pairs(pairs),
            *sampling,
            "**Number of clips.** Fréchet distance of two sets of features drawn from the same normal distribution in "
            "400 dimensions, which is 0 for infinitely many:",
            tabulate_clip_counts(),
        ]
    )
    print(tables)
    if arguments.write:
        write_page(tables)


if __name__ == "__main__":
    main()
