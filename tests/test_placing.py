"""Ready people lie where the person is in the frames, however these were cropped, padded, turned or chosen."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import Bool, UInt8
from PIL import Image

from edit_your_motion.config import ClipConfig, PeopleConfig, VideoConfig
from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.keypoints_file import save_keypoints
from edit_your_motion.people.formats.openpose import write_openpose
from edit_your_motion.people.frame_mapping import Placement, pick_frames
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.preparation import (
    Canvas,
    PreparedClip,
    choose_canvas,
    prepare_reference,
    prepare_source,
    save_prepared,
)
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Fit, choose_frames, read_video
from synthetic_clip import JOINTS

SILENT = SilentProgress()
FRAMES, HEIGHT, WIDTH = 4, 180, 320


def people(
    height: int = HEIGHT, width: int = WIDTH, frames: int = FRAMES
) -> tuple[Keypoints, Bool[np.ndarray, "f h w"]]:
    """A figure left of the middle that walks right, and its box as the mask, on pictures of any size."""
    body = np.ones((frames, 18, 3), np.float32)
    masks = np.zeros((frames, height, width), bool)
    for frame in range(frames):
        left, top, right, bottom = 0.3 + 0.01 * frame, 0.2, 0.45 + 0.01 * frame, 0.9
        body[frame, :, :2] = (JOINTS * (right - left, bottom - top) + (left, top)) * (width, height)
        masks[frame, round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return Keypoints(body, height, width), masks


def write_film(
    path: Path,
    masks: Bool[np.ndarray, "f h w"],
    *,
    turns: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    times: list[int] | None = None,
) -> Path:
    """White people on black, so that every frame shows its own true mask."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "4"})
        stream.height, stream.width = masks.shape[1:]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        stream.codec_context.time_base = Fraction(1, 1000)
        if turns:
            stream.set_display_rotation(90 * turns)
        for index, mask in enumerate(masks):
            frame = av.VideoFrame.from_ndarray(as_picture(mask), format="rgb24")
            frame.pts, frame.time_base = (125 * index if times is None else times[index]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def as_picture(mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=-1)


def write_masks(folder: Path, masks: Bool[np.ndarray, "f h w"]) -> Path:
    folder.mkdir()
    for index, mask in enumerate(masks):
        Image.fromarray(as_picture(mask)).save(folder / f"{index:05d}.png")
    return folder


def worst_overlap(clip: PreparedClip) -> float:
    """The least IoU over the frames of the masks and what the frames show."""
    shown = clip.video.frames[..., 0] >= 128
    return float(((shown & clip.masks).sum((1, 2)) / (shown | clip.masks).sum((1, 2))).min())


def farthest(clip: PreparedClip) -> float:
    """The largest distance over frames and sides of the joints' box from the box that the frames show, in pixels."""
    apart = []
    for frame, points in zip(clip.video.frames, clip.keypoints.body, strict=True):
        y, x = np.nonzero(frame[..., 0] >= 128)
        low, high = JOINTS.min(axis=0), JOINTS.max(axis=0)
        start, size = np.array([x.min(), y.min()]), np.array([np.ptp(x) + 1, np.ptp(y) + 1])
        apart += [points[:, :2].min(axis=0) - (start + low * size), points[:, :2].max(axis=0) - (start + high * size)]
    return float(np.abs(apart).max())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", people()[1])


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH), (120, 213), (128, 224)], ids=str)
@pytest.mark.parametrize(
    "canvas", [Canvas(128, 128), Canvas(128, 128, "pad"), Canvas(128, 64, "pad"), Canvas(64, 128), None], ids=str
)
def test_people_of_the_whole_picture_follow_the_frames(
    tmp_path: Path, film: Path, size: tuple[int, int], canvas: Canvas | None
) -> None:
    """At the picture's own size, twice, rounded, and rounded to sixteenths as pose tools round."""
    keypoints, masks = people(*size)
    save_keypoints(tmp_path / "k.json", keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "masks", masks))
    video = ClipConfig(frames=FRAMES)
    clip = prepare_source(film, canvas or choose_canvas(film, VideoConfig(), 64, 96), video, ready, SILENT)
    coarse = size[0] < HEIGHT
    assert worst_overlap(clip) > (0.8 if coarse else 0.9)
    assert farthest(clip) < (2 if coarse else 1.5)


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_what_a_preparation_wrote_goes_back_where_it_was(tmp_path: Path, film: Path, how: str) -> None:
    keypoints, masks = people()
    save_keypoints(tmp_path / "k.json", keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "masks", masks))
    video = ClipConfig(frames=FRAMES)
    save_prepared(tmp_path / "clip", prepare_source(film, Canvas(256, 256, how), video, ready, SILENT))
    ready = PeopleConfig(keypoints=tmp_path / "clip" / "keypoints.json", masks=tmp_path / "clip" / "masks")
    for side in (256, 192):
        clip = prepare_source(film, Canvas(side, side, how), video, ready, SILENT)
        assert worst_overlap(clip) > 0.9
        assert farthest(clip) < 1.5


@pytest.mark.parametrize("form", ["pixels", "shares", "pixels of a stated canvas", "shares of a stated canvas"])
def test_openpose_files_are_of_the_whole_picture(tmp_path: Path, film: Path, form: str) -> None:
    stated = "stated" in form
    keypoints = people(270, 480)[0] if stated else people()[0]
    if "shares" in form:
        keypoints = keypoints.mapped(
            1 / np.array([keypoints.width, keypoints.height]), np.zeros(2), keypoints.height, keypoints.width
        )
    for file in write_openpose(tmp_path / "k", keypoints):
        if not stated:
            file.write_text(file.read_text().replace("canvas_", "no_"))
    ready = PeopleConfig(keypoints=tmp_path / "k", masks=write_masks(tmp_path / "masks", people()[1]))
    clip = prepare_source(film, Canvas(64, 64), ClipConfig(frames=FRAMES), ready, SILENT)
    assert farthest(clip) < 1


def test_a_references_keypoints_follow_its_frames(tmp_path: Path, film: Path) -> None:
    save_keypoints(tmp_path / "k.json", people(180, 320)[0])
    ready = PeopleConfig(reference_keypoints=tmp_path / "k.json")
    assert farthest(prepare_reference(film, ClipConfig(frames=FRAMES), ready, SILENT)) < 6  # of 910x512 pixels


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write the flag")
@pytest.mark.parametrize("canvas", [Canvas(128, 64), Canvas(128, 128, "pad")], ids=["crop", "pad"])
def test_a_turned_film_takes_people_of_its_upright_frames(tmp_path: Path, canvas: Canvas) -> None:
    keypoints, masks = people(320, 180)
    film = write_film(tmp_path / "turned.mp4", np.rot90(masks, -1, (1, 2)), turns=1)
    save_keypoints(tmp_path / "k.json", keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "masks", masks))
    clip = prepare_source(film, canvas, ClipConfig(frames=FRAMES), ready, SILENT)
    assert worst_overlap(clip) > 0.93
    assert farthest(clip) < 1
    save_keypoints(tmp_path / "k.json", people(180, 320)[0])
    with pytest.raises(PersonError, match=r"320x180 .* 180x320 upright \(they lie on their side\)"):
        prepare_source(film, canvas, ClipConfig(frames=FRAMES), ready, SILENT)


@pytest.mark.parametrize("width", [160, 320], ids=["stored", "square"])
@pytest.mark.parametrize("canvas", [Canvas(128, 128), Canvas(128, 128, "pad")], ids=["crop", "pad"])
def test_people_of_stored_and_of_square_pixels_are_told_apart(tmp_path: Path, width: int, canvas: Canvas) -> None:
    """Tools that pass over the pixels' shape see a picture of 160x180 where players show 320x180."""
    film = write_film(tmp_path / "film.mp4", people(180, 160)[1], pixel_aspect=Fraction(2))
    keypoints, masks = people(180, width)
    save_keypoints(tmp_path / "k.json", keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "masks", masks))
    clip = prepare_source(film, canvas, ClipConfig(frames=FRAMES), ready, SILENT)
    assert worst_overlap(clip) > 0.9
    assert farthest(clip) < 1.5


def test_people_of_another_shape_are_refused_with_what_was_understood() -> None:
    place = Placement(360, 640, Fit(256, 256))
    keypoints, masks = people(300, 400)
    for call in (lambda: place.place_keypoints(keypoints, "k.json"), lambda: place.place_masks(masks, "masks")):
        with pytest.raises(PersonError, match=r"400x300 .* whole picture, 640x360, .* canvas .* 256x256"):
            call()


def test_masks_that_the_joints_are_not_in_are_told(tmp_path: Path, film: Path) -> None:
    """Inverted ones of a person at the border pass for a large person until the joints say otherwise."""
    keypoints, masks = people()
    save_keypoints(tmp_path / "k.json", keypoints)
    inverted = ~masks
    inverted[:, :20], inverted[:, -20:] = False, False
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "inverted", inverted))
    with pytest.raises(PersonError, match="masks look inverted: 0% of the person's joints"):
        prepare_source(film, Canvas(128, 128), ClipConfig(frames=FRAMES), ready, SILENT)
    beside = write_masks(tmp_path / "beside", np.roll(masks, 100, axis=2))
    ready = ready.model_copy(update={"masks": beside})
    clip = prepare_source(film, Canvas(128, 128, "pad"), ClipConfig(frames=FRAMES), ready, SILENT)
    assert any("0% of the person's joints lie within the masks" in warning for warning in clip.warnings)
    ready = ready.model_copy(update={"masks": write_masks(tmp_path / "masks", masks)})
    assert not prepare_source(film, Canvas(128, 128), ClipConfig(frames=FRAMES), ready, SILENT).warnings


def test_labels_of_masks_are_chosen_by_the_setting(tmp_path: Path, film: Path) -> None:
    keypoints, masks = people()
    save_keypoints(tmp_path / "k.json", keypoints)
    folder = tmp_path / "masks"
    folder.mkdir()
    for index, mask in enumerate(masks):
        labels = 2 * mask + np.roll(mask, 100, axis=1)
        Image.fromarray(labels.astype(np.uint8)).save(folder / f"{index}.png")
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=folder)
    with pytest.raises(PersonError, match=r"--people\.mask-label"):
        prepare_source(film, Canvas(128, 128), ClipConfig(frames=FRAMES), ready, SILENT)
    ready = ready.model_copy(update={"mask_label": 2})
    assert worst_overlap(prepare_source(film, Canvas(128, 128), ClipConfig(frames=FRAMES), ready, SILENT)) > 0.9


@pytest.mark.parametrize("canvas", [Canvas(256, 256), Canvas(256, 256, "pad"), None], ids=["crop", "pad", "auto"])
def test_a_wide_clip_with_its_people(cases: Path, canvas: Canvas | None) -> None:
    wide, video = cases / "wide" / "wide.mp4", ClipConfig(frames=8)
    ready = PeopleConfig(keypoints=cases / "wide" / "wide.json", masks=cases / "wide" / "masks")
    clip = prepare_source(wide, canvas or choose_canvas(wide, VideoConfig(), 64, 512), video, ready, SILENT)
    assert worst_overlap(clip) > 0.97
    assert not clip.warnings


Times = list[int]
EVEN: Times = [125 * index for index in range(24)]
UNEVEN: Times = [40 * index + (400 if index > 5 else 0) + (15 * index if index > 12 else 0) for index in range(24)]


@pytest.mark.parametrize("times", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"stride": 3},
        {"start": 0.63},
        {"start": 0.5, "stride": 2},
        {"fps": 5},
        {"fps": 6, "stride": 2, "start": 0.3},
    ],
)
def test_whole_files_of_people_give_the_chosen_frames(
    tmp_path: Path, times: Times, suffix: str, choice: dict[str, float]
) -> None:
    keypoints, masks = people(frames=24)
    film = write_film(tmp_path / f"film{suffix}", masks, times=times)
    save_keypoints(tmp_path / "k.json", keypoints)
    ready = PeopleConfig(keypoints=tmp_path / "k.json", masks=write_masks(tmp_path / "masks", masks))
    video = ClipConfig.model_validate({"frames": 4, **choice})
    assert worst_overlap(prepare_source(film, Canvas(128, 128), video, ready, SILENT)) > 0.95
    indices = choose_frames(film, 4, **choice)
    read = read_video(film, frames=4, **choice).frames[..., 0] >= 128
    assert [int(np.argmax((mask == masks).mean((1, 2)))) for mask in read] == indices.tolist()


def test_ready_frames_of_another_choice_are_refused() -> None:
    """Every second frame of a file would otherwise pass for its first half."""
    chosen = np.arange(8)
    assert pick_frames(48, chosen, 48, "k").tolist() == pick_frames(47, chosen, None, "k").tolist() == list(range(8))
    with pytest.raises(PersonError, match=r"k: expected the 8 frames of the clip or all 48 of the file, got 24"):
        pick_frames(24, chosen, 48, "k")
    with pytest.raises(PersonError, match="got 1"):
        pick_frames(1, chosen, None, "k")
