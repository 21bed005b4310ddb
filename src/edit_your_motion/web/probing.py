"""What a clip's process does first: look at a file that anybody may have made. It loads no networks."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from edit_your_motion.errors import InputError, VideoError
from edit_your_motion.people.formats.precomputed import load_ready_keypoints
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.storage.parsing import parse_json
from edit_your_motion.video import Fit, VideoInfo, probe, read_video
from edit_your_motion.video.writing import CONTAINERS

FACTS = "facts.json"
THUMBNAIL = "thumbnail.jpg"
THUMBNAIL_SIDE = 192
STRIP = "strip.jpg"
STRIP_PICTURES = 12
STRIP_SIDE = 96


def probe_clip(folder: Path, job: dict[str, Any], progress: Progress) -> None:
    """Writes what a clip is, and a picture of it."""
    path = folder / job["original"]
    with progress.phase("look at the file", 1) as advance:
        if job["role"] == "skeletons" and path.suffix.lower() not in CONTAINERS:
            keypoints = load_ready_keypoints(path)
            facts: dict[str, Any] = {
                "width": keypoints.width,
                "height": keypoints.height,
                "frames": len(keypoints),
                "fps": 30.0,
            }
            first = draw_skeleton(keypoints.take(np.arange(1)))[0]
            rows = np.linspace(0, len(keypoints) - 1, STRIP_PICTURES).round().astype(int)
            strip = [each for row in rows for each in draw_skeleton(keypoints.take(np.array([row])))]
        else:
            info = probe(path)
            facts = {"width": info.width, "height": info.height, "frames": info.frames, "fps": float(info.fps)}
            first = read_video(path, frames=1, fit=Fit(*small_size(info.height, info.width, THUMBNAIL_SIDE))).frames[0]
            strip = list(_sample(path, info))
        with written_whole(folder / THUMBNAIL) as temporary:
            height, width = small_size(first.shape[0], first.shape[1], THUMBNAIL_SIDE)
            Image.fromarray(first).resize((width, height)).save(temporary, format="JPEG", quality=85)
        with written_whole(folder / STRIP) as temporary:
            height, width = small_size(first.shape[0], first.shape[1], STRIP_SIDE)
            row = Image.new("RGB", (width * STRIP_PICTURES, height))
            for index, picture in enumerate(strip):
                row.paste(Image.fromarray(picture).resize((width, height)), (index * width, 0))
            row.save(temporary, format="JPEG", quality=80)
        write_text(folder / FACTS, json.dumps(facts))
        advance()


def read_facts(path: Path) -> dict[str, Any] | None:
    """What a JSON file of ours says; None where there is none yet.

    Raises:
        InputError: it is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path.name} is damaged ({error}): bring the clip, or make the edit, once more") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} is damaged: bring the clip, or make the edit, once more")
    return content


def _sample(path: Path, info: VideoInfo) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Small pictures from all over a clip; where one cannot be had, as at the end of a damaged file, that before it."""
    fit = Fit(*small_size(info.height, info.width, STRIP_SIDE))
    picture = np.zeros((fit.height, fit.width, 3), np.uint8)
    for share in np.linspace(0, 1, STRIP_PICTURES, endpoint=False):
        with suppress(VideoError):
            picture = read_video(path, start=float(share * (info.duration or 0)), frames=1, fit=fit).frames[0]
        yield picture


def small_size(height: int, width: int, side: int) -> tuple[int, int]:
    """The size of a picture of it whose longer side is so many pixels, both even."""
    scale = side / max(height, width)
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))
