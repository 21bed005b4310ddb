"""A case in the forms that other projects read: videos, first frames, masks, skeletons as text and as pictures."""

from pathlib import Path

import numpy as np

from edit_your_motion.benchmark.cells import CRF, Scene, write_json
from edit_your_motion.config import AlignmentConfig
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import save_masks
from edit_your_motion.people.preview import write_picture
from edit_your_motion.people.skeleton import draw_skeleton
from edit_your_motion.storage.files import written_whole
from edit_your_motion.video import write_video


def export_scene(folder: Path, scene: Scene, alignment: AlignmentConfig) -> None:
    """Writes a case for other projects; ``prompts.json`` last.

    ``source.mp4``, ``source.png`` (its first frame), ``source-masks/``, ``reference.mp4``, and, where it is known,
    ``truth.mp4``; for the skeletons of ``source``, of ``reference`` and of ``aligned`` (the reference's, brought to the
    source person's place and proportions, at the source's size): ``NAME-openpose/`` with OpenPose's JSON, a file a
    frame, and ``NAME-skeleton.mp4``.

    Args:
        folder: of the case; made if it is absent.
        scene: the case.
        alignment: how skeletons are aligned.
    """
    frames, fps = scene.source.video.frames, scene.reference.video.fps
    clips = {"source": frames, "reference": scene.reference.video.frames, "truth": scene.truth}
    for name, clip in clips.items():
        if clip is not None:
            write_video(folder / f"{name}.mp4", clip, fps, crf=CRF)
    write_picture(folder / "source.png", np.ascontiguousarray(frames[0]))
    save_masks(folder / "source-masks", scene.source.masks)
    skeletons = {
        "source": scene.source.keypoints,
        "reference": scene.reference.keypoints,
        "aligned": align_as(alignment, scene.reference.keypoints, scene.source.keypoints),
    }
    for name, keypoints in skeletons.items():
        _write_openpose(folder / f"{name}-openpose", keypoints)
        write_video(folder / f"{name}-skeleton.mp4", draw_skeleton(keypoints), fps, crf=CRF)
    prompts = dict(zip(("prompt", "edit_prompt"), scene.prompts, strict=True))
    write_json(folder / "prompts.json", {**prompts, "frames": len(scene.reference), "fps": float(fps)})


def _write_openpose(folder: Path, keypoints: Keypoints) -> None:
    with written_whole(folder) as part:
        part.mkdir()
        write_openpose(part, keypoints)
