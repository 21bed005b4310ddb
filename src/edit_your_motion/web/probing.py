"""What a clip's process does first: look at a file that anybody may have made. It loads no networks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edit_your_motion.people.formats.precomputed import load_ready_keypoints
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.video import Fit, probe, read_video
from edit_your_motion.video.writing import CONTAINERS

FACTS = "facts.json"
THUMBNAIL = "thumbnail.jpg"
THUMBNAIL_SIDE = 192


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
        else:
            info = probe(path)
            facts = {"width": info.width, "height": info.height, "frames": info.frames, "fps": float(info.fps)}
            height, width = _thumbnail_size(info.height, info.width)
            first = read_video(path, frames=1, fit=Fit(height, width)).frames[0]
        with written_whole(folder / THUMBNAIL) as temporary:
            height, width = _thumbnail_size(*first.shape[:2])
            Image.fromarray(first).resize((width, height)).save(temporary, format="JPEG", quality=85)
        write_text(folder / FACTS, json.dumps(facts))
        advance()


def _thumbnail_size(height: int, width: int) -> tuple[int, int]:
    scale = THUMBNAIL_SIDE / max(height, width)
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))
