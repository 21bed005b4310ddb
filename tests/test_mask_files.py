"""Masks as tools write them: one walk in every way is read back; several labels, inversion and photos are named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Bool, Int
from PIL import Image

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.mask_files import list_masks, read_masks
from edit_your_motion.people.formats.precomputed import load_precomputed, load_ready_masks
from edit_your_motion.video import write_video

FRAMES, HEIGHT, WIDTH = 5, 72, 96


def walk() -> Bool[np.ndarray, "f h w"]:
    """A person who walks right; gone in the third frame."""
    masks = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    for frame in range(FRAMES):
        masks[frame, 12:60, 20 + 4 * frame : 40 + 4 * frame] = frame != 2
    return masks


WALK = walk()
OTHER = np.roll(WALK, 30, axis=2)
LABELS = (WALK * 1 + OTHER * ~WALK * 2).astype(np.uint8)


def soften(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Edges of several shades, about where the mask has its own."""
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((WIDTH, HEIGHT))).astype(int)


def grey(numbers: np.ndarray) -> Image.Image:
    return Image.fromarray(numbers.astype(np.uint8))


def coloured(numbers: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array(colours, np.uint8)[numbers])


def paletted(numbers: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(numbers.astype(np.uint8)).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def cut_out(mask: np.ndarray, shown: int = 180) -> Image.Image:
    """The person over nothing, whose hidden colours go on."""
    pixels = np.full((*mask.shape, 4), shown, np.uint8)
    pixels[..., 3] = mask * 255
    return Image.fromarray(pixels)


BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (128, 0, 0), (0, 128, 0)
WAYS: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "0 and 255": lambda mask: grey(mask * 255),
    "0 and 1": grey,
    "0 and 38, DAVIS in grey": lambda mask: grey(mask * 38),
    "one bit": Image.fromarray,
    "shades": lambda mask: grey(soften(mask)),
    "RGB": lambda mask: coloured(mask * 1, BLACK, WHITE),
    "red on black": lambda mask: coloured(mask * 1, BLACK, RED),
    "green on red": lambda mask: coloured(mask * 1, RED, GREEN),
    "DAVIS, SAM 2": lambda mask: paletted(mask, BLACK, RED, GREEN),
    "palette of black and white": lambda mask: paletted(mask, BLACK, WHITE),
    "palette of white and black": lambda mask: paletted(~mask, WHITE, BLACK),
    "palette without black": lambda mask: paletted(mask, RED, GREEN),
    "cut out": cut_out,
    "cut out in white": lambda mask: cut_out(mask, 255),
    "alpha of grey": lambda mask: Image.merge("LA", (grey(mask * 0 + 255), grey(mask * 255))),
    "16 bits": lambda mask: Image.fromarray((mask * 65535).astype(np.uint16)),
    "16 bits, shades": lambda mask: Image.fromarray((soften(mask) * 257).astype(np.uint16)),
    "16 bits, 0 and 1": lambda mask: Image.fromarray(mask.astype(np.uint16)),
    "16 bits, label 26001": lambda mask: Image.fromarray((mask * 26001).astype(np.uint16)),
}


def save(folder: Path, pictures: list[Image.Image], name: str = "{:05d}.png") -> Path:
    folder.mkdir(exist_ok=True)
    for index, picture in enumerate(pictures):
        picture.save(folder / name.format(index))
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_a_mask_is_read(tmp_path: Path, way: str) -> None:
    folder = save(tmp_path / "masks", [WAYS[way](mask) for mask in WALK])
    np.testing.assert_array_equal(read_masks(folder), WALK)
    assert load_precomputed(folder, "masks").keypoints is None


@pytest.mark.parametrize("suffix", [".mp4", ".jpg", ".gif", ".webp", ".avif", ".png"])
@pytest.mark.parametrize("colour", [WHITE, (235, 235, 235), (255, 0, 0)], ids=["white", "grey", "red"])
def test_compression_changes_edges_only(tmp_path: Path, suffix: str, colour: tuple[int, int, int]) -> None:
    pictures = np.stack([np.asarray(coloured(mask * 1, BLACK, colour)) for mask in WALK])
    if suffix in (".jpg", ".webp", ".avif"):
        path = save(tmp_path / "masks", [Image.fromarray(picture) for picture in pictures], f"{{}}{suffix}")
    elif suffix == ".png":  # by name alone
        path = tmp_path / "masks"
        path.mkdir()
        for index, picture in enumerate(pictures):
            Image.fromarray(picture).save(path / f"{index}.png", format="JPEG")
    else:
        path = tmp_path / f"masks{suffix}"
        if suffix == ".mp4":
            write_video(path, pictures, 8, crf=30)
        else:
            images = [Image.fromarray(picture) for picture in pictures]
            images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    masks = read_masks(path)
    assert len(masks) == FRAMES
    overlap = (masks & WALK).sum((1, 2)) / np.maximum(1, (masks | WALK).sum((1, 2)))
    assert np.flatnonzero(overlap > 0.93).tolist() == [0, 1, 3, 4]
    assert not masks[2].any()


def test_lossless_webp_keeps_labels(tmp_path: Path) -> None:
    labels = [coloured(numbers, BLACK, RED, GREEN) for numbers in LABELS]
    (tmp_path / "masks").mkdir()
    for index, picture in enumerate(labels):
        picture.save(tmp_path / "masks" / f"{index}.webp", lossless=True)
    np.testing.assert_array_equal(read_masks(tmp_path / "masks", 2), LABELS == 1)


def test_what_compression_cannot_keep_is_refused(tmp_path: Path) -> None:
    """0 and 1 are one black to a codec, and mixed labels are no labels."""
    write_video(tmp_path / "faint.mp4", np.repeat(WALK[..., None], 3, axis=-1).astype(np.uint8), 8)
    faint = np.repeat((WALK * 20)[..., None], 3, axis=-1).astype(np.uint8)
    write_video(tmp_path / "dark.mp4", faint, 8)
    for name in ("faint.mp4", "dark.mp4"):
        with pytest.raises(PersonError, match=r"white people on black"):
            read_masks(tmp_path / name)
    several = [coloured(labels, BLACK, (255, 0, 0), (0, 255, 0)) for labels in LABELS]
    with pytest.raises(PersonError, match="several colours that compression has mixed"):
        read_masks(save(tmp_path / "several", several, "{}.jpg"))


@pytest.mark.parametrize(
    ("picture", "names", "labels"),
    [
        (lambda labels: paletted(labels, BLACK, RED, GREEN), "1 .* 2", (1, 2)),
        (grey, "1 .* 2", (1, 2)),
        (lambda labels: grey(np.array([0, 38, 75])[labels]), "38 .* 75", (38, 75)),
        (lambda labels: grey(np.array([0, 127, 255])[labels]), "127 .* 255", (127, 255)),
        (lambda labels: coloured(labels, BLACK, GREEN, RED), "1, colour #008000 .* 2, colour #800000", (1, 2)),
    ],
    ids=["palette", "small numbers", "DAVIS in grey", "shades", "colours"],
)
def test_several_labels_are_asked_about(
    tmp_path: Path, picture: Callable[[np.ndarray], Image.Image], names: str, labels: tuple[int, int]
) -> None:
    folder = save(tmp_path / "masks", [picture(frame) for frame in LABELS])
    with pytest.raises(PersonError, match=rf"understood as labels, {names}.*--people.mask-label"):
        read_masks(folder)
    np.testing.assert_array_equal(read_masks(folder, labels[0]), LABELS == 1)
    np.testing.assert_array_equal(read_masks(folder, labels[1]), LABELS == 2)
    np.testing.assert_array_equal(read_masks(folder, everybody=True), LABELS > 0)
    with pytest.raises(PersonError, match=rf"expected a label of {names}.*got 7"):
        read_masks(folder, 7)


ARRAYS: dict[str, np.ndarray] = {
    "truth values": WALK,
    "0 and 255": WALK.astype(np.uint8) * 255,
    "a channel first": WALK[:, None],
    "a channel last": WALK[..., None].astype(np.int64),
    "16 bits": WALK.astype(np.uint16) * 65535,
}


@pytest.mark.parametrize("way", ARRAYS)
def test_arrays_of_masks_are_read(tmp_path: Path, way: str) -> None:
    np.save(tmp_path / "masks.npy", ARRAYS[way])
    np.savez(tmp_path / "masks.npz", masks=ARRAYS[way])
    for path in (tmp_path / "masks.npy", tmp_path / "masks.npz"):
        np.testing.assert_array_equal(load_ready_masks(path), WALK)


@pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
def test_labels_in_arrays_are_asked_about_and_inverted_ones_noticed(tmp_path: Path, name: str) -> None:
    def write(array: np.ndarray) -> Path:
        np.savez(tmp_path / "masks.npz", masks=array)
        np.save(tmp_path / "masks.npy", array)
        return tmp_path / name

    labels = write(LABELS.astype(np.int32))
    with pytest.raises(PersonError, match=r"understood as labels, 1 .* 2"):
        load_ready_masks(labels)
    np.testing.assert_array_equal(load_ready_masks(labels, 1), LABELS == 1)
    with pytest.raises(PersonError, match="look inverted"):
        load_ready_masks(write(~WALK))
    with pytest.raises(PersonError, match=r"got float32 \(\d+, \d+, \d+\)"):
        load_ready_masks(write(WALK.astype(np.float32)))


@pytest.mark.parametrize("way", ["0 and 255", "0 and 1", "shades", "red on black", "one bit"])
def test_inverted_masks_are_noticed_and_turned(tmp_path: Path, way: str) -> None:
    folder = save(tmp_path / "masks", [WAYS[way](~mask) for mask in WALK])
    with pytest.raises(PersonError, match=r"look inverted.*--people.mask-label 0"):
        read_masks(folder)
    np.testing.assert_array_equal(read_masks(folder, 0), WALK)


def test_a_mask_of_everything_is_no_inverted_one(tmp_path: Path) -> None:
    assert read_masks(save(tmp_path / "masks", [grey(np.full((8, 8), 255))] * 2)).all()


@pytest.mark.parametrize("name", ["{}_mask.png", "{}-matte.png", "alpha_{:04d}.png", "f{}.seg.png", "{}_Masks.png"])
def test_masks_among_other_pictures_are_picked_out(tmp_path: Path, name: str) -> None:
    folder = save(tmp_path / "clip", [coloured(mask * 1, GREEN, RED) for mask in WALK], "{}.png")
    save(folder, [grey(mask * 255) for mask in WALK], name)
    assert [path.name for path in list_masks(folder)] == [name.format(index) for index in range(FRAMES)]
    np.testing.assert_array_equal(read_masks(folder), WALK)


def test_plots_in_false_colours(tmp_path: Path) -> None:
    """matplotlib's viridis, as some annotations have them: empty is dark violet."""
    plots = [coloured(labels, (68, 1, 84), (253, 231, 37), (33, 145, 140)) for labels in LABELS]
    masks = read_masks(save(tmp_path / "masks", plots, "{}.png.mask.jpg"), everybody=True)
    assert (masks != (LABELS > 0)).mean() < 0.02


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    with pytest.raises(PersonError, match=r"pictures of \d+ colours"):
        read_masks(save(tmp_path / "photos", [Image.fromarray(photo) for photo in photos]))
    with pytest.raises(PersonError, match="got mode F"):
        read_masks(save(tmp_path / "floats", [Image.fromarray(photos[0, ..., 0].astype(np.float32))], "{}.tiff"))
    with pytest.raises(PersonError, match=r"one size, got \(8, 8\) and \(9, 8\)"):
        read_masks(save(tmp_path / "sizes", [grey(np.ones((8, 8))), grey(np.ones((9, 8)))]))
    with pytest.raises(PersonError, match="empty masks"):
        read_masks(save(tmp_path / "black", [grey(np.zeros((8, 8)))]))


def test_masks_of_davis_and_sam(cases: Path) -> None:
    masks = read_masks(cases / "davis-masks")
    truth = read_masks(cases / "wide" / "masks")
    np.testing.assert_array_equal(masks, truth[: len(masks)])
    assert load_precomputed(cases / "davis-masks").masks is not None
