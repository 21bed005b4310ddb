"""How many frames a second the stage renders on one core.

    python benchmarks/stage_speed.py [--size 256] [--frames 96] [--clips 8]

Prints one JSON object. Times are the user CPU seconds of this process, so a busy machine disturbs them less; still
clips and moving ones apart, and the training stream of single pictures, where every picture has its own view.
"""

import argparse
import json
import os
from itertools import islice

from edit_your_motion.stage.render import paint_plate, render_clip
from edit_your_motion.stage.scene import Scene
from edit_your_motion.stage.stream import training_stream


def user_seconds() -> float:
    return os.times().user


def clip_seconds(scenes: list[Scene], frames: int, size: int) -> float:
    """Seconds for a clip of each scene, dressing and furnishing included."""
    paint_plate.cache_clear()
    start = user_seconds()
    for scene in scenes:
        render_clip(scene, frames=frames, size=(size, size))
    return user_seconds() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--clips", type=int, default=8)
    options = parser.parse_args()
    scenes = [Scene.sample(seed) for seed in range(10 * options.clips)]
    still = [scene for scene in scenes if scene.view.still][: options.clips]
    moving = [scene for scene in scenes if not scene.view.still][: options.clips]
    for scene in (still[0], moving[0]):
        render_clip(scene, frames=2, size=(options.size, options.size))
    batch, steps = 16, 12
    stream = training_stream(0, (options.size, options.size), batch)
    next(stream)
    start = user_seconds()
    for _ in islice(stream, steps):
        pass
    pictures = batch * steps / (user_seconds() - start)
    count = options.clips * options.frames
    short, long = (clip_seconds(still, frames, options.size) for frames in (options.frames, 3 * options.frames))
    figures = {
        "size": options.size,
        "frames_per_clip": options.frames,
        "still_clips": round(count / short, 1),
        "frames_of_still_clips": round(2 * count / (long - short), 1),  # dressed and furnished already
        "moving_clips": round(count / clip_seconds(moving, options.frames, options.size), 1),
        "single_pictures": round(pictures, 1),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
