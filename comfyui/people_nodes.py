"""Nodes of people and their motion: found, read and written, corrected, retargeted, and taken out of the picture.

None of them needs a base.
"""

from typing import Any, get_args

import numpy as np
from comfy_api.v0_0_2 import io

from edit_your_motion.compositing.clean_plate import make_plate
from edit_your_motion.config import AlignmentConfig, ClipConfig, PeopleConfig, VideoConfig
from edit_your_motion.people.alignment import AlignmentMethod, Place, align_as
from edit_your_motion.people.formats.openpose import list_openpose
from edit_your_motion.people.formats.pose_documents import read_document
from edit_your_motion.people.formats.pose_files import take_person
from edit_your_motion.people.keypoint_edits import hide_joints, move_joints, parse_frames, parse_joints, swap_sides
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.preparation import (
    choose_canvas,
    draw_reference,
    foresee,
    prepare_reference,
    prepare_source,
)
from edit_your_motion.people.preview import alignment_preview, mark_person, overlay_skeleton
from edit_your_motion.people.skeleton import draw_skeleton

from .memory import ManagedBase
from .messages import in_node_words
from .values import (
    CATEGORY,
    BaseType,
    PoseKeypointType,
    Poses,
    PosesType,
    as_clip,
    as_frames,
    as_images,
    as_mask,
    as_pixels,
    as_rate,
)
from .watching import NodeProgress, downloads

SOURCE, REFERENCE = "source: will be edited", "reference: only its motion"
STABLE_DIFFUSION_SIDES = (64, 512)
"""What sides are multiples of, and the side of the square it was trained on, pixels: where no base is given."""

DOWNLOAD = (
    "Download the finder's models if they are not on this machine (tens of MB). Off: an error says what is missing."
)


class FindPeople(io.ComfyNode):
    """Finds a person in a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionFindPeople",
            display_name="Find people",
            category=CATEGORY,
            description="Keypoints and mask of one person in every frame of a clip, steadied over time.",
            inputs=[
                io.MultiType.Input("clip", [io.Image, io.Video], tooltip="The frames, or a video."),
                io.Combo.Input(
                    "use",
                    options=[SOURCE, REFERENCE],
                    default=SOURCE,
                    tooltip="The source is brought to the size that a base works at; a reference keeps its shape.",
                ),
                io.String.Input(
                    "size",
                    default="auto",
                    tooltip="Of a source: '512' (a square), '768x512' (width x height), or 'auto' (its own shape).",
                ),
                io.Int.Input("frames", default=0, min=0, max=20_000, tooltip="So many frames at most; 0: all."),
                io.Int.Input("stride", default=0, min=0, max=1000, tooltip="Every n-th frame; 0: up to 30 a second."),
                io.Float.Input("start", default=0.0, min=0.0, max=1e6, step=0.1, tooltip="Where to begin, seconds."),
                io.Float.Input(
                    "fps",
                    default=30.0,
                    min=0.1,
                    max=240.0,
                    step=0.01,
                    tooltip="Of images, a second; a video knows its own.",
                ),
                io.Int.Input(
                    "person", default=0, min=0, max=64, tooltip="Which, from the left, from 1; 0: the largest."
                ),
                io.Combo.Input("finder", options=["blazepose", "rtmlib"], tooltip="rtmlib has to be installed for it."),
                io.Boolean.Input("hands", default=True, tooltip="Find hands too, 21 points each."),
                io.Boolean.Input("face", default=True, tooltip="Find the face too, 70 points."),
                io.Boolean.Input("download", default=False, tooltip=DOWNLOAD),
                BaseType.Input("base", optional=True, tooltip="Whose working size a source gets; else that of SD 1.5."),
            ],
            outputs=[
                PosesType.Output("poses", display_name="poses", tooltip="The person's keypoints."),
                io.Mask.Output("masks", display_name="masks", tooltip="The person's pixels."),
                io.Image.Output("images", display_name="images", tooltip="The frames that they belong to."),
                io.Image.Output("overlay", display_name="overlay", tooltip="Skeleton and outline on the frames."),
                io.Float.Output("rate", display_name="fps", tooltip="At which the frames play, a second."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(
        cls,
        clip: Any,
        use: str,
        size: str,
        frames: int,
        stride: int,
        start: float,
        fps: float,
        person: int,
        finder: str,
        hands: bool,
        face: bool,
        download: bool,
        base: ManagedBase | None = None,
    ) -> io.NodeOutput:
        """Finds the person."""
        source, progress = as_clip(clip, fps), NodeProgress()
        chosen = ClipConfig(frames=frames or None, stride=stride or None, start=start)
        which = {"person" if use == SOURCE else "reference_person": person or None}
        people = PeopleConfig(backend=finder, hands=hands, face=face, **which)
        with downloads(download):
            if use == SOURCE:
                multiple, side = STABLE_DIFFUSION_SIDES
                if base is not None:
                    multiple, side = base.backbone.base.side_multiple, base.backbone.base.native_side
                canvas = choose_canvas(source, VideoConfig(size=size), multiple, side)
                found = prepare_source(source, canvas, chosen, people, progress)
            else:
                found = prepare_reference(source, chosen, people, progress)
        pictures, keypoints = found.video.frames, found.keypoints
        return io.NodeOutput(
            Poses(keypoints, found.video.fps),
            as_mask(found.masks),
            as_images(pictures),
            as_images(mark_person(pictures, keypoints, found.masks)),
            float(found.video.fps),
        )


class PosesFromKeypoints(io.ComfyNode):
    """Reads what other packs find."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionPosesFromKeypoints",
            display_name="Poses from POSE_KEYPOINT",
            category=CATEGORY,
            description="One person's poses out of what another pack's pose node found.",
            inputs=[
                PoseKeypointType.Input("keypoints", tooltip="OpenPose's JSON of each frame."),
                io.Float.Input("fps", default=30.0, min=0.1, max=240.0, step=0.01, tooltip="Frames a second."),
                io.Int.Input(
                    "person", default=0, min=0, max=64, tooltip="Which, from the left, from 1; 0: the largest."
                ),
                io.Int.Input("width", default=0, min=0, max=16384, tooltip="Of the canvas; 0: the keypoints say it."),
                io.Int.Input("height", default=0, min=0, max=16384, tooltip="Of the canvas; 0: the keypoints say it."),
            ],
            outputs=[PosesType.Output("poses", display_name="poses", tooltip="The person's keypoints.")],
        )

    @classmethod
    @in_node_words()
    def execute(cls, keypoints: Any, fps: float, person: int, width: int, height: int) -> io.NodeOutput:
        """Reads them."""
        frames = read_document("POSE_KEYPOINT", keypoints)
        read = take_person("POSE_KEYPOINT", frames, person=person or None, width=width or None, height=height or None)
        return io.NodeOutput(Poses(read, as_rate(fps)))


class PosesToKeypoints(io.ComfyNode):
    """Writes what other packs read."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionPosesToKeypoints",
            display_name="Poses to POSE_KEYPOINT",
            category=CATEGORY,
            description="Poses in the form that other packs' nodes take: OpenPose's JSON of each frame.",
            inputs=[PosesType.Input("poses", tooltip="The person's keypoints.")],
            outputs=[
                PoseKeypointType.Output(
                    "keypoints", display_name="POSE_KEYPOINT", tooltip="In pixels, with the canvas."
                )
            ],
        )

    @classmethod
    @in_node_words()
    def execute(cls, poses: Poses) -> io.NodeOutput:
        """Writes them."""
        return io.NodeOutput(list_openpose(poses.keypoints))


class EditKeypoints(io.ComfyNode):
    """Corrects poses by hand."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionEditKeypoints",
            display_name="Edit keypoints",
            category=CATEGORY,
            description="Moves or hides joints in some frames, or exchanges left and right; chain several for more.",
            inputs=[
                PosesType.Input("poses", tooltip="The keypoints to correct."),
                io.Combo.Input(
                    "action",
                    options=["offset", "hide", "swap sides"],
                    tooltip="A hand goes with its wrist, the face with the nose; sides are swapped for all limbs.",
                ),
                io.String.Input(
                    "joints",
                    default="right_wrist",
                    tooltip="Names with commas: nose, left_elbow …; or head, left_arm, right_leg …, all.",
                ),
                io.String.Input("frames_chosen", default="all", tooltip="In which frames: '1-12, 20', or 'all'."),
                io.Float.Input("dx", default=0.0, min=-8192.0, max=8192.0, step=0.5, tooltip="To the right, pixels."),
                io.Float.Input("dy", default=0.0, min=-8192.0, max=8192.0, step=0.5, tooltip="Down, pixels."),
                io.Image.Input("images", optional=True, tooltip="Frames to show the result on."),
            ],
            outputs=[
                PosesType.Output("edited", display_name="poses", tooltip="The corrected keypoints."),
                io.Image.Output("overlay", display_name="overlay", tooltip="Their skeletons, on the frames if given."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(
        cls, poses: Poses, action: str, joints: str, frames_chosen: str, dx: float, dy: float, images: Any = None
    ) -> io.NodeOutput:
        """Corrects them."""
        keypoints = poses.keypoints
        frames = parse_frames(frames_chosen, len(keypoints))
        match action:
            case "offset":
                edited = move_joints(keypoints, parse_joints(joints), frames, dx, dy)
            case "hide":
                edited = hide_joints(keypoints, parse_joints(joints), frames)
            case _:
                edited = swap_sides(keypoints, frames)
        shown = draw_skeleton(edited) if images is None else overlay_skeleton(as_frames(images), edited)
        return io.NodeOutput(Poses(edited, poses.fps), as_images(shown))


class RetargetMotion(io.ComfyNode):
    """Gives a motion the proportions and the place of another person."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionRetarget",
            display_name="Retarget motion",
            category=CATEGORY,
            description="The reference's motion with the bone lengths and in the place of the source's person: poses, "
            "and skeleton pictures for any model that takes OpenPose's.",
            inputs=[
                PosesType.Input("reference", tooltip="Whose motion."),
                PosesType.Input("source", tooltip="Whose proportions, place and canvas; a single frame is enough."),
                io.Combo.Input(
                    "method",
                    options=list(get_args(AlignmentMethod)),
                    default="limbs",
                    tooltip="limbs: every bone gets the source's length. paper: one scaling and shift for the clip. "
                    "none: the canvas is fitted, the proportions stay.",
                ),
                io.Combo.Input(
                    "place",
                    options=list(get_args(Place)),
                    default="inside",
                    tooltip="Of limbs, from left to right: around the source (inside keeps it in the picture), from "
                    "where it starts, or as filmed.",
                ),
                io.Float.Input(
                    "size", default=1.0, min=0.1, max=10.0, step=0.01, tooltip="By hand after that: feet stay in place."
                ),
                io.Float.Input(
                    "right", default=0.0, min=-2.0, max=2.0, step=0.01, tooltip="By hand: farther, in picture widths."
                ),
                io.Float.Input(
                    "down", default=0.0, min=-2.0, max=2.0, step=0.01, tooltip="By hand: farther, in picture heights."
                ),
                io.Boolean.Input("hands", default=True, tooltip="Draw hands into the skeleton pictures."),
                io.Boolean.Input("face", default=True, tooltip="Draw the face into the skeleton pictures."),
                io.Image.Input("source_images", optional=True, tooltip="The source's frames, for the preview."),
                io.Image.Input("reference_images", optional=True, tooltip="The reference's frames, for the preview."),
            ],
            outputs=[
                PosesType.Output("poses", display_name="poses", tooltip="The motion on the source's canvas."),
                io.Image.Output("skeletons", display_name="skeletons", tooltip="One picture a frame, on black."),
                io.Image.Output("preview", display_name="preview", tooltip="Both people and the result on one sheet."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(
        cls,
        reference: Poses,
        source: Poses,
        method: AlignmentMethod,
        place: Place,
        size: float,
        right: float,
        down: float,
        hands: bool,
        face: bool,
        source_images: Any = None,
        reference_images: Any = None,
    ) -> io.NodeOutput:
        """Retargets the motion."""
        of_reference, of_source = reference.keypoints, source.keypoints
        config = AlignmentConfig(method=method, place=place, size=size, right=right, down=down)
        foresee(config, draw_reference(of_reference, reference.fps), draw_reference(of_source, source.fps))
        aligned = align_as(config, of_reference, of_source)
        shown = loop_frames(len(of_source), len(of_reference), source.fps / reference.fps)
        sheet = alignment_preview(
            _frames_of(of_source, source_images),
            of_source,
            _frames_of(of_reference, reference_images),
            of_reference,
            aligned,
            shown,
        )
        skeletons = draw_skeleton(aligned, hands=hands, face=face)
        return io.NodeOutput(Poses(aligned, reference.fps), as_images(skeletons), as_images(sheet[None].copy()))


def _frames_of(keypoints: Keypoints, images: Any) -> np.ndarray:
    """The frames that were given, or black ones."""
    if images is None:
        return np.zeros((len(keypoints), keypoints.height, keypoints.width, 3), np.uint8)
    return as_frames(images)


class CleanPlate(io.ComfyNode):
    """Takes the person out of the picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Its inputs and outputs."""
        return io.Schema(
            node_id="EditYourMotionCleanPlate",
            display_name="Clean plate",
            category=CATEGORY,
            description="The frames without the person: what other frames show of the place, brought together where "
            "the camera moves; what none shows is made up.",
            inputs=[
                io.Image.Input("images", tooltip="Frames with a person."),
                io.Mask.Input("masks", tooltip="The person's pixels in each."),
            ],
            outputs=[
                io.Image.Output("plate", display_name="images", tooltip="The frames without the person."),
                io.Float.Output("seen", display_name="share seen", tooltip="Of its pixels, not made up, 0 to 1."),
            ],
        )

    @classmethod
    @in_node_words()
    def execute(cls, images: Any, masks: Any) -> io.NodeOutput:
        """Makes the plate."""
        frames = as_frames(images)
        person = as_pixels(masks, frames)
        plate = make_plate(frames, person, NodeProgress())
        return io.NodeOutput(as_images(plate.put_under(frames, person)), plate.share_seen)
