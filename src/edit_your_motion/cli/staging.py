"""The command that renders synthetic people: stage."""

import json
import sys
from pathlib import Path
from typing import Literal


def stage(
    folder: Path,
    /,
    *,
    pairs: int = 1,
    layout: Literal["pairs", "tiktok"] = "pairs",
    seed: int = 0,
    split: Literal["train", "held_out"] = "held_out",
    frames: int = 16,
    size: int = 256,
    fps: float = 8,
    moving_camera: bool = False,
    single_picture: bool = False,
    edition: Literal[1, 2] = 1,
) -> None:
    """Render people, with the truth of a motion edit.

    A pair's folder has source.mp4 (somebody doing A), reference.mp4 (somebody else, elsewhere, doing B), truth.mp4 (the
    first one doing B), their keypoints (JSON), masks and captions.json.

    Parameters
    ----------
    folder
        Gets one folder for each pair, named by its seed.
    pairs
        How many.
    layout
        Pairs, or clips of the source alone as 'eym benchmark tiktok' reads them.
    seed
        Of the first pair; the others follow.
    split
        People, places and motions that the small base was trained on, or held-out ones.
    frames
        Frames of each clip.
    size
        Side of the frames, pixels.
    fps
        Frames per second.
    moving_camera
        The source's camera moves slowly.
    single_picture
        The source stands still, as in a photograph.
    edition
        Of the looks: 1 the paired benchmark's, 2 with more variety, and captions that name all of it.
    """
    from edit_your_motion.datasets.tiktok import write_tiktok_clip
    from edit_your_motion.jobs.overwriting import rewritten
    from edit_your_motion.people.formats.keypoints_file import save_keypoints
    from edit_your_motion.people.preparation import save_masks
    from edit_your_motion.stage import Pair, render_clip, render_pair
    from edit_your_motion.storage.files import write_text
    from edit_your_motion.storage.locking import held
    from edit_your_motion.video import write_video

    for number in range(seed, seed + pairs):
        pair = Pair.sample(number, split, moving_camera=moving_camera, single_picture=single_picture, edition=edition)
        target = folder / f"{number:05d}"
        with held(target), rewritten(folder, (target.name,)):
            if layout == "tiktok":
                dancer = render_clip(pair.source, frames=frames, size=(size, size), fps=fps)
                write_tiktok_clip(target, dancer.frames, dancer.masks, dancer.keypoints)
                sys.stdout.write(f"{target}: {dancer.caption}\n")
                continue
            rendered = render_pair(pair, frames=frames, size=(size, size), fps=fps)
            clips = {"source": rendered.source, "reference": rendered.reference, "truth": rendered.truth}
            for name, clip in clips.items():
                write_video(target / f"{name}.mp4", clip.frames, fps, crf=8)
                save_keypoints(target / f"{name}.json", clip.keypoints)
                save_masks(target / f"{name}-masks", clip.masks)
            captions = json.dumps({name: clip.caption for name, clip in clips.items()}, indent=2)
            write_text(target / "captions.json", captions)
            sys.stdout.write(f"{target}: {rendered.truth.caption}\n")
