"""Tiny data sets in every layout, for tests."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from edit_your_motion.people.formats.joint_layouts import COCO_JOINTS
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.people.skeleton import draw_skeleton
from synthetic_clip import film


def write_pictures(folder: Path, frames: np.ndarray, first: int = 0, name: str = "{:04d}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / name.format(index))
    return folder


def as_pictures(masks: np.ndarray) -> np.ndarray:
    return masks.astype(np.uint8) * 255


def write_tiktok(root: Path, clips: dict[str, PreparedClip]) -> Path:
    """The layout as published, with OpenPose's JSON beside it."""
    for name, clip in clips.items():
        write_pictures(root / name / "images", clip.video.frames, 1)
        write_pictures(root / name / "masks", as_pictures(clip.masks), 1)
        write_pictures(root / name / "densepose", clip.video.frames, 1)
        (root / name / "openpose").mkdir()
        write_openpose(root / name / "openpose", clip.keypoints)
    return root


def coco_of(keypoints: Keypoints, frame: int) -> list[list[float]]:
    """DisCo's annotation of one frame: whole pixels, -1 for what was not found."""
    points = [keypoints.body[frame, BODY_JOINTS.index(name)] for name in COCO_JOINTS]
    return [[int(x), int(y), float(seen)] if seen else [-1, -1, -1] for x, y, seen in points]


def write_disco(root: Path, clips: dict[str, PreparedClip], masks: str = "groundsam") -> Path:
    """DisCo's layout: pictures in the clip's own folder, COCO's 17 points, masks as plots in false colours."""
    colours = np.array([(68, 1, 84), (253, 231, 36)], np.uint8)
    for name, clip in clips.items():
        folder = write_pictures(root / name, clip.video.frames)
        write_pictures(folder / masks, colours[clip.masks.astype(int)], name="{:04d}.png.mask.jpg")
        (folder / "openpose_json").mkdir()
        for index in range(len(clip)):
            people = [{"keypoints": coco_of(clip.keypoints, index)}]
            (folder / "openpose_json" / f"{index:04d}.png.json").write_text(json.dumps(people))
    return root


def write_table(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_motion_editor(root: Path, *, target_images: bool = True) -> Path:
    """MotionEditor's repository, with one case."""
    source, target = film(4), film(5, seed=1, speed=1.0, height=512, width=512)
    case = root / "data" / "case-1"
    write_pictures(case / "images", source.video.frames)
    write_pictures(case / "man.mask", as_pictures(source.masks))
    write_pictures(case / "target_condition" / "openposefull", draw_skeleton(target.keypoints))
    if target_images:
        write_pictures(case / "target_images", target.video.frames, name="{:04d}.jpg")
    configs = root / "configs" / "case-1"
    configs.mkdir(parents=True)
    validation = {"validation_data": {"prompts": ["a girl is boxing"]}}
    (configs / "eval-motion.yaml").write_text(yaml.safe_dump({"input_data": {"prompt": "another"}, **validation}))
    (configs / "train-motion.yaml").write_text(yaml.safe_dump({"input_data": {"prompt": "a girl is dancing"}}))
    return case
