"""Skeleton pictures as controlnet_aux and DWPose draw them: dots of face and hands over joints, either channel order.

Drawn here by what is known of them: limbs are ellipses of 4 pixels at 60 %, joints discs of radius 4 over them, hands
edges of 2 pixels in a rainbow with blue dots of radius 4, faces white dots of radius 3, in this order, with hard edges.
"""

import colorsys
import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from edit_your_motion.config import ClipConfig, PeopleConfig
from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.skeleton_pictures import read_skeletons
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import Canvas, prepare_skeletons, prepare_source, save_masks
from edit_your_motion.people.skeleton import DRAWN, JOINT_COLOURS, LIMBS
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Video
from stick_figure import ADULT, Camera, make_motion, perform

FACE = [0, 14, 15, 16, 17]
WRISTS = [4, 7]


@pytest.fixture(scope="module")
def dancer() -> Keypoints:
    """A dance with hands that go on from the forearms, and faces of 70 dots about the noses."""
    body = Camera(focal=700).film(perform(ADULT, make_motion("dance", 60))[::20]).body
    hands = np.ones((len(body), 2, 21, 3), np.float32)
    for side, (wrist, elbow) in enumerate(((7, 6), (4, 3))):
        along = body[:, wrist, :2] - body[:, elbow, :2]
        across = along[:, ::-1] * (-1, 1)
        for point in range(1, 21):
            angle, reach = 0.3 * ((point - 1) // 4 - 2), 0.14 * (1 + (point - 1) % 4)
            offset = reach * (np.cos(angle) * along + np.sin(angle) * across)
            hands[:, side, point, :2] = body[:, wrist, :2] + offset
        hands[:, side, 0, :2] = body[:, wrist, :2]
    turn = np.linspace(0, 2 * np.pi, 70)
    dots = np.stack([np.cos(7 * turn), np.sin(7 * turn)], axis=-1) * np.linspace(0, 0.55, 70)[:, None]
    face = np.ones((len(body), 70, 3), np.float32)
    breadth = np.linalg.norm(body[:, 16, :2] - body[:, 17, :2], axis=-1)
    face[..., :2] = body[:, 0, None, :2] + dots * breadth[:, None, None]
    return Keypoints(body, 512, 512, hands, face)


def draw(keypoints: Keypoints, stick: int = 4) -> UInt8[np.ndarray, "f h w 3"]:
    return np.stack([_draw_frame(keypoints, frame, stick) for frame in range(len(keypoints))])


def _draw_frame(keypoints: Keypoints, frame: int, stick: int) -> UInt8[np.ndarray, "h w 3"]:
    image = Image.new("RGB", (keypoints.width, keypoints.height))
    brush, body = ImageDraw.Draw(image), keypoints.body[frame, :, :2]
    turns = np.linspace(0, 2 * np.pi, 90)[:, None]
    for (start, end), colour in zip(LIMBS, JOINT_COLOURS, strict=False):
        half = (body[end] - body[start]) / 2
        side = half[::-1] * (-1, 1) / np.hypot(*half) * stick
        outline = (body[start] + body[end]) / 2 + np.cos(turns) * half + np.sin(turns) * side
        brush.polygon([tuple(np.rint(place)) for place in outline], fill=tuple((0.6 * colour).astype(int).tolist()))
    for place, colour in zip(body, JOINT_COLOURS, strict=True):
        dot(brush, place, stick, tuple(colour.tolist()))
    for hand in [] if keypoints.hands is None else keypoints.hands[frame, ..., :2]:
        for edge in range(20):
            ends = [tuple(np.rint(hand[point])) for point in (edge if edge % 4 else 0, edge + 1)]
            colour = tuple(round(255 * value) for value in colorsys.hsv_to_rgb(edge / 20, 1, 1))
            brush.line(ends, fill=colour, width=2)
        for place in hand:
            dot(brush, place, 4, (0, 0, 255))
    for place in [] if keypoints.face is None else keypoints.face[frame, :, :2]:
        dot(brush, place, 3, (255, 255, 255))
    return np.asarray(image)


def dot(brush: ImageDraw.ImageDraw, place: np.ndarray, radius: int, colour: tuple[int, ...]) -> None:
    x, y = np.rint(place)
    brush.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)


def share_found(read: Keypoints, truth: Keypoints, joints: list[int], within: float = 8) -> float:
    """The share of the joints that are drawn again, and where they are."""
    apart = np.linalg.norm(read.body[:, joints, :2] - truth.body[:, joints, :2], axis=-1)
    return float(((apart < within) & (read.body[:, joints, 2] > DRAWN)).mean())


@pytest.mark.parametrize("exchanged", [False, True], ids=["RGB", "BGR"])
def test_dots_of_face_and_hands_are_no_joints(
    dancer: Keypoints, exchanged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = draw(dancer)
    with caplog.at_level(logging.WARNING):
        read = read_skeletons(pictures[..., ::-1] if exchanged else pictures)
    assert ("blue and red are exchanged" in caplog.text) == exchanged
    others = [joint for joint in range(18) if joint not in (*FACE, *WRISTS)]
    assert share_found(read, dancer, others, within=3) == 1
    assert share_found(read, dancer, WRISTS) == 1
    assert share_found(read, dancer, [0], within=10) == 1


@pytest.mark.parametrize("stick", [3, 4, 8])
def test_other_widths_are_read(dancer: Keypoints, stick: int) -> None:
    bare = Keypoints(dancer.body, 512, 512)
    assert share_found(read_skeletons(draw(bare, stick)), bare, list(range(18)), within=max(3, stick)) > 0.98


def test_frames_with_half_a_body_are_named(dancer: Keypoints, caplog: pytest.LogCaptureFixture) -> None:
    pictures = draw(Keypoints(dancer.body, 512, 512))
    pictures[1, 150:] = 0
    with caplog.at_level(logging.WARNING):
        read_skeletons(pictures)
    assert "fewer than half of a body's joints could be read in frames 2" in caplog.text


def test_skeletons_over_a_picture_are_refused(dancer: Keypoints) -> None:
    noise = np.random.default_rng(0).integers(90, 160, (512, 512, 3)).astype(np.uint8)
    pictures = draw(dancer)
    over = np.where(pictures.any(axis=-1, keepdims=True), pictures, noise)
    with pytest.raises(PersonError, match="not drawn over a video"):
        read_skeletons(over)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (1, 2, 0)])
def test_skeletons_in_other_colours_are_refused(dancer: Keypoints, order: tuple[int, ...]) -> None:
    with pytest.raises(PersonError, match="draw them in OpenPose's colours"):
        read_skeletons(draw(Keypoints(dancer.body, 512, 512))[..., order])


def test_a_picture_s_part_of_a_body_is_read(dancer: Keypoints) -> None:
    """A head and its shoulders; the picture's edge cuts off the rest."""
    scale = np.array([3, 3, 1], np.float32)
    offset = np.append(256 - 3 * dancer.body[:, 1, :2].mean(axis=0), 0).astype(np.float32)
    read = read_skeletons(draw(Keypoints(dancer.body * scale + offset, 512, 512)))
    assert read.visible()[:, [0, 1]].all()


def test_what_was_noticed_of_skeletons_is_kept_with_the_clip(dancer: Keypoints, tmp_path: Path) -> None:
    pictures = draw(Keypoints(dancer.body, 512, 512))
    pictures[1, 150:] = 0
    for index, picture in enumerate(pictures):
        Image.fromarray(picture[..., ::-1].copy()).save(tmp_path / f"{index}.png")
    told = prepare_skeletons(tmp_path, ClipConfig(frames=len(pictures)), None).warnings
    people = PeopleConfig(keypoints=tmp_path, masks=tmp_path.parent / "masks")
    save_masks(tmp_path.parent / "masks", np.ones(pictures.shape[:3], bool))
    clip = Video(pictures, Fraction(10))
    video = ClipConfig(frames=len(pictures))
    found = prepare_source(clip, Canvas(512, 512), video, people, SilentProgress()).warnings
    for warnings in (told, found):
        assert any("blue and red are exchanged" in warning for warning in warnings)
        assert any("could be read in frames 2" in warning for warning in warnings)
