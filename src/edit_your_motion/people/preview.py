"""Pictures for looking at results: labelled sheets of frames, and frames side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from edit_your_motion.errors import VideoError
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.skeleton import DRAWN, draw_skeleton
from edit_your_motion.storage.files import written_whole
from edit_your_motion.video.selection import spread_evenly

COLUMNS = 8
"""The most frames in a row of a sheet."""

_BACKGROUND = (24, 24, 24)
_INK = (235, 235, 235)
_GAP = 4
_OUTLINE = (255, 0, 255)
_DIM = 0.5
"""Brightness of a picture that a skeleton lies on, as a share of its own."""


def alignment_preview(
    source_frames: UInt8[np.ndarray, "f h w 3"],
    source: Keypoints,
    reference_frames: UInt8[np.ndarray, "g h2 w2 3"],
    reference: Keypoints,
    aligned: Keypoints,
    shown: Int[np.ndarray, " g"],
    *,
    columns: int = 6,
) -> UInt8[np.ndarray, "height width 3"]:
    """A sheet to judge an alignment by: both people with their skeletons, and the aligned skeletons on the source.

    Args:
        source_frames: of the person to be moved.
        source: their keypoints, as many.
        reference_frames: of the person whose motion it is.
        reference: their keypoints, as many.
        aligned: the reference's keypoints on the source's canvas, as many as the reference's.
        shown: which frame of the source goes with each of them.
        columns: how many frames to show, spread evenly over each row.

    Raises:
        VideoError: frames and keypoints do not go together.
    """
    return contact_sheet(
        [
            ("source", overlay_skeleton(source_frames, source)),
            ("reference", overlay_skeleton(reference_frames, reference)),
            ("aligned", draw_skeleton(aligned)),
            ("aligned on source", overlay_skeleton(source_frames[shown], aligned)),
        ],
        columns=columns,
    )


def overlay_skeleton(
    frames: UInt8[np.ndarray, "f h w 3"],
    keypoints: Keypoints,
    skeletons: UInt8[np.ndarray, "f h w 3"] | None = None,
) -> UInt8[np.ndarray, "f h w 3"]:
    """The frames, dimmed, with the skeletons drawn over them.

    Args:
        frames: of the canvas's size.
        keypoints: as many.
        skeletons: `draw_skeleton` of them, where that is at hand.

    Raises:
        VideoError: other counts or sizes than the keypoints'.
    """
    expected = (len(keypoints), keypoints.height, keypoints.width)
    if frames.shape[:3] != expected:
        raise VideoError(
            "expected as many frames as keypoints, of their canvas's size, {} of {}x{}, got {} of {}x{}".format(
                *(expected[0], expected[2], expected[1]), *(frames.shape[0], frames.shape[2], frames.shape[1])
            )
        )
    drawn = np.empty_like(frames)
    for index, skeleton in enumerate(draw_skeleton(keypoints) if skeletons is None else skeletons):
        # The brightest channel of a drawn pixel is at least a limb's intensity: this is whole on shapes, 0 beside them.
        bright = np.maximum(np.maximum(skeleton[..., 0], skeleton[..., 1]), skeleton[..., 2])
        cover = Image.fromarray(np.minimum(bright, 127) * 2 + (bright > 127))
        dim = Image.fromarray(frames[index]).point([round(level * _DIM) for level in range(256)] * 3)
        drawn[index] = np.asarray(Image.composite(Image.fromarray(skeleton), dim, cover))
    return drawn


def mark_person(
    frames: UInt8[np.ndarray, "f h w 3"],
    keypoints: Keypoints,
    masks: Bool[np.ndarray, "f h w"],
    first: int = 1,
    skeletons: UInt8[np.ndarray, "f h w 3"] | None = None,
) -> UInt8[np.ndarray, "f h w 3"]:
    """The frames with all that is known of the person: skeleton, outline of the mask, the seen joints' mean confidence.

    Args:
        frames: with them.
        keypoints: of the person.
        masks: the person's pixels.
        first: the number of the first frame, which stands on it.
        skeletons: `draw_skeleton` of the keypoints, where that is at hand.

    Raises:
        VideoError: other counts or sizes than the keypoints'.
    """
    marked = overlay_skeleton(frames, keypoints, skeletons)
    seen, bar = keypoints.visible(DRAWN), max(16, frames.shape[1] // 24)
    for index, mask in enumerate(masks):
        inside = mask.copy()
        inside[1:] &= mask[:-1]
        inside[:-1] &= mask[1:]
        inside[:, 1:] &= mask[:, :-1]
        inside[:, :-1] &= mask[:, 1:]
        marked[index][mask & ~inside] = _OUTLINE
        sure = keypoints.body[index, seen[index], 2]
        label = f"{first + index}: confidence {sure.mean():.2f}" if len(sure) else f"{first + index}: nobody"
        picture = Image.fromarray(marked[index])
        ImageDraw.Draw(picture).text((_GAP, _GAP), label, _INK, _font(bar), stroke_width=2, stroke_fill=(0, 0, 0))
        marked[index] = np.asarray(picture)
    return marked


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, whole or not at all."""
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def contact_sheet(
    rows: Sequence[tuple[str, UInt8[np.ndarray, "_ _ _ 3"]]],
    columns: int = COLUMNS,
    *,
    cell_height: int = 192,
    numbers: Int[np.ndarray, " f"] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """One picture with a labelled row of evenly spread frames for each clip.

    Args:
        rows: label and frames; lengths and sizes may differ from row to row.
        columns: the most frames in a row.
        cell_height: of each shown frame, pixels; its width follows from the frame.
        numbers: of the frames, where they are not all of a clip.

    Raises:
        VideoError: no rows, or a row without frames.
    """
    _check_clips(rows)
    strips = [_strip(label, frames, columns, cell_height, numbers) for label, frames in rows]
    sheet = Image.new("RGB", (max(strip.width for strip in strips), sum(strip.height for strip in strips)), _BACKGROUND)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return np.asarray(sheet)


def comparison_frames(
    columns: Sequence[tuple[str, UInt8[np.ndarray, "_ _ _ 3"]]],
) -> UInt8[np.ndarray, "f height width 3"]:
    """The clips side by side under their labels, frame by frame, with even sides as video encoders want them.

    Args:
        columns: label and frames; all as high as the first is made; a single frame stays still beside the others.

    Raises:
        VideoError: no columns, or clips of several lengths.
    """
    _check_clips(columns)
    lengths = {len(frames) for _, frames in columns} - {1}
    if len(lengths) > 1:
        got = ", ".join(f"{label}: {len(frames)}" for label, frames in columns)
        raise VideoError(f"expected clips of one length to compare, got {got}: cut them to the shortest")
    count = lengths.pop() if lengths else 1
    height = columns[0][1].shape[1]
    bar = max(20, height // 16)

    shown = []
    for label, frames in columns:
        scaled = np.stack([np.asarray(_scaled(frame, height)) for frame in frames])
        title = _title(label, scaled.shape[2], bar)
        titled = np.concatenate([np.broadcast_to(title, (len(scaled), *title.shape)), scaled], axis=1)
        shown.append(np.broadcast_to(titled, (count, *titled.shape[1:])))
    joined = np.concatenate(shown, axis=2)
    odd = ((0, 0), (0, joined.shape[1] % 2), (0, joined.shape[2] % 2), (0, 0))
    return np.pad(joined, odd, mode="edge")


def _check_clips(clips: Sequence[tuple[str, np.ndarray]]) -> None:
    if not clips:
        raise VideoError("expected at least one clip to show, got none")
    for label, frames in clips:
        if not frames.size:
            raise VideoError(f"expected frames to show as {label!r}, got none")


def _strip(
    label: str,
    frames: UInt8[np.ndarray, "f h w 3"],
    columns: int,
    cell_height: int,
    numbers: Int[np.ndarray, " f"] | None,
) -> Image.Image:
    chosen = spread_evenly(len(frames), columns)
    cells = [_scaled(frames[index], cell_height) for index in chosen]
    bar = max(18, cell_height // 9)
    # A label is shown whole, however narrow the one frame under it.
    needed = int(_font(bar).getlength(label)) + 4 * _GAP
    width = max(needed, sum(cell.width + _GAP for cell in cells) + _GAP)
    strip = Image.new("RGB", (width, bar + cell_height + 2 * _GAP), _BACKGROUND)
    strip.paste(Image.fromarray(_title(label, width, bar)), (0, 0))
    left = _GAP
    for index, cell in zip(chosen, cells, strict=True):
        strip.paste(cell, (left, bar + _GAP))
        corner = (left + _GAP, bar + _GAP + cell_height - _GAP)
        ImageDraw.Draw(strip).text(
            corner,
            f"{index if numbers is None else numbers[index]}",
            _INK,
            _font(bar),
            anchor="ls",
            stroke_width=2,
            stroke_fill=(0, 0, 0),
        )
        left += cell.width + _GAP
    return strip


def _title(label: str, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    bar = Image.new("RGB", (width, height), _BACKGROUND)
    ImageDraw.Draw(bar).text((2 * _GAP, height / 2), label, _INK, _font(height), anchor="lm")
    return np.asarray(bar)


def _font(bar: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(0.7 * bar)


def _scaled(frame: UInt8[np.ndarray, "h w 3"], height: int) -> Image.Image:
    picture = Image.fromarray(frame)
    if picture.height == height:
        return picture
    return picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS)
